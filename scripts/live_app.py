"""A running app and a browser to look at it, for tests, measurements and screenshots.

with running(ROOT / "app.py") as app, chromium() as browser:
    page = browser.new_page()
    page.goto(app.url)
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent

#: Importing torch on a cold, busy machine is what this waits for.
START_SECONDS = 120

CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class App:
    """A server that answers.

    Attributes
    ----------
    url : str
        Its address, without a slash at the end.
    pid : int
        Its process.
    """

    url: str
    pid: int
    _log: Path
    _last_words: str | None = None

    def log(self) -> str:
        """Return everything the server has printed so far; after its end, all it ever did."""
        if self._last_words is None:
            return self._log.read_text(errors="replace")
        return self._last_words

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server has used so far; Linux only, 0 elsewhere."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> tuple[float, float]:
        """Return the MB that the server holds, and the processes that it started; Linux only."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        beside = [int(pid) for task in tasks for pid in task.read_text().split()]
        return _resident(self.pid), sum(map(_resident, beside))


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:  # it has ended, or this is not Linux
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def serve(
    script: Path = ROOT / "app.py", port: int = 8501, address: str = "127.0.0.1", **process: Any
) -> subprocess.Popen[bytes]:
    """Start the server: the one command of the people, the tests, the benches and the screenshots.

    It says where to listen and nothing else; all other settings are in ``.streamlit/config.toml``,
    which Streamlit finds in the folder that it is started from, and in the script's own.

    Parameters
    ----------
    script : Path
    port : int
    address : str
    **process
        As `subprocess.Popen` takes them.
    """
    listen = ("--server.port", str(port), "--server.address", address)
    command = [sys.executable, "-m", "streamlit", "run", str(script), *listen]
    return subprocess.Popen(command, cwd=ROOT, **process)


@contextmanager
def running(script: Path = ROOT / "app.py") -> Iterator[App]:
    """Serve a Streamlit script on a free port while the block runs."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            server = serve(
                script,
                port,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        app = App(f"http://127.0.0.1:{port}", server.pid, log)
        try:
            if not answers(app.url, server):
                raise RuntimeError(f"{script} is not being served:\n{app.log()}")
            yield app
        finally:
            _stop(server)
            app._last_words = app.log()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str, server: subprocess.Popen[bytes], seconds: float = START_SECONDS) -> bool:
    """Wait until a server says that it is well; return False if it ends, or never does."""
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.1)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Start the Chrome or Chromium of this machine, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    path = find_browser.find()
    if path is None:
        raise RuntimeError("No Chrome or Chromium: `python scripts/find_browser.py` finds one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(path), args=[*CHROMIUM_ARGUMENTS, *arguments]
        )
        yield browser
        browser.close()

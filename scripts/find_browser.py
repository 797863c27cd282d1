"""Print the path of a Chrome or Chromium for the browser tests; install one if there is none.

    python scripts/find_browser.py           # look, then install
    python scripts/find_browser.py --look    # look only

The environment variable CHROME names one outright. Never asks a question, never waits for ever.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = (
    "google-chrome-stable",
    "google-chrome",
    "chromium",
    "chromium-browser",
    "chrome",
    "microsoft-edge-stable",
    "microsoft-edge",
)

APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "~/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)

ADVICE = """\
No Chrome or Chromium was found, and none could be installed here:
{tried}
Install one (Debian, Ubuntu: sudo apt-get install chromium; macOS: brew install --cask chromium),
or say where it is: CHROME=/path/to/chrome make test"""


def find() -> Path | None:
    """Return an installed browser that runs, or None."""
    named = os.environ.get("CHROME")
    if named:
        path = Path(shutil.which(named) or named)
        if not runs(path):
            raise SystemExit(f"CHROME={named}: that browser does not run.")
        return path
    return next(filter(runs, _candidates()), None)


def _candidates() -> Iterator[Path]:
    yield from (Path(found) for name in NAMES if (found := shutil.which(name)))
    yield from (path for name in APPLICATIONS if (path := Path(name).expanduser()).is_file())
    yield from _playwrights_own()


def _playwrights_own() -> Iterator[Path]:
    """Yield the browser that `playwright install chromium` has put into its cache, if it has."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    if path.is_file():
        yield path


def runs(path: Path) -> bool:
    """Whether a browser starts: Ubuntu's chromium-browser may be a note about another package."""
    if platform.system() == "Windows":  # where --version opens a window
        return path.is_file()
    return call([str(path), "--version"], seconds=30) is None


def install() -> tuple[Path | None, list[str]]:
    """Try the ways there are to install one; return it, and what was tried."""
    tried: list[str] = []
    for command in _ways():
        print(f"No browser yet. Trying: {' '.join(command)}", file=sys.stderr, flush=True)
        trouble = call(command, seconds=900)
        browser = find()
        if browser:
            return browser, tried
        tried.append(f"  {' '.join(command)}: {trouble or 'done, but no browser came of it'}")
    return None, tried


def _ways() -> Iterator[list[str]]:
    yield [sys.executable, "-m", "playwright", "install", "chromium"]
    yield from apt("chromium")


def apt(package: str) -> Iterator[list[str]]:
    """Yield the commands that install a package of Debian's, where there is apt."""
    if not shutil.which("apt-get"):
        return
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    # -n: sudo fails rather than ask for a password.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    get = [*quiet, "apt-get"] if root else ["sudo", "-n", *quiet, "apt-get"]
    yield [*get, "update"]
    yield [*get, "install", "-y", "--no-install-recommends", package]


def call(command: list[str], seconds: float) -> str | None:
    """Run a command without a terminal; return what went wrong, or None."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return f"no end after {seconds:.0f} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    return next(reversed(done.stdout.strip().splitlines()), f"exit status {done.returncode}")


def main() -> None:
    """Print the path, or say what to do and fail."""
    browser, tried = find(), ["  (only looked)"]
    if browser is None and "--look" not in sys.argv[1:]:
        browser, tried = install()
    if browser is None:
        raise SystemExit(ADVICE.format(tried="\n".join(tried)))
    print(browser)


if __name__ == "__main__":
    main()

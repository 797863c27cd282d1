"""Serve the app and open it in the browser, which `streamlit run` does not do for an `st.App`.

python scripts/start.py [app.py] [--port 8501] [--address localhost]
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

from live_app import ROOT, answers, serve


def main() -> None:
    """Run the server until it ends or Ctrl+C is pressed."""
    options = argparse.ArgumentParser(description="Serve the app and open it in the browser.")
    options.add_argument("script", nargs="?", type=Path, default=ROOT / "app.py")
    options.add_argument("--port", type=int, default=8501)
    options.add_argument("--address", default="localhost")
    asked = options.parse_args()
    everybody = asked.address in ("0.0.0.0", "::")
    url = f"http://{'localhost' if everybody else asked.address}:{asked.port}"
    if taken(asked.port):
        sys.exit(f"Port {asked.port} is taken; another one: make app PORT={asked.port + 1}")
    print(f"The app: {url}  (Ctrl+C ends it)", flush=True)
    if everybody:
        print(f"For the class: http://{own_address()}:{asked.port}", flush=True)
    server = serve(asked.script.resolve(), asked.port, asked.address)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    threading.Thread(target=_open, args=(server, url), daemon=True).start()
    try:
        sys.exit(server.wait())
    except KeyboardInterrupt:  # the server has had it too
        server.wait()


def taken(port: int) -> bool:
    """Whether something on this machine listens on a port."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def own_address() -> str:
    """Return this machine's address in its network."""
    with socket.socket(type=socket.SOCK_DGRAM) as caller:
        try:
            # Nothing is sent: to connect such a socket is to ask which way a packet would go.
            caller.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(caller.getsockname()[0])


def _open(server: subprocess.Popen[bytes], url: str) -> None:
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if answers(url, server) and screen and "CI" not in os.environ:
        webbrowser.open(url)


if __name__ == "__main__":
    main()

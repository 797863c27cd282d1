"""Print the path of a Firefox for the tests; install Debian's if there is none.

    python scripts/find_firefox.py

The tests do without one where it must be: then this says so in one line, and ends well all the same.
The environment variable FIREFOX names one outright.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from find_browser import apt, call, runs

NAMES = ("firefox-esr", "firefox")
APPLICATION = "/Applications/Firefox.app/Contents/MacOS/firefox"
NONE = "No Firefox here, and none could be installed: nothing is tested in it (FIREFOX=/path names one)."


def find() -> Path | None:
    """Return an installed Firefox that runs, or None."""
    named = os.environ.get("FIREFOX")
    if named:
        path = Path(shutil.which(named) or named)
        if not runs(path):
            raise SystemExit(f"FIREFOX={named}: that browser does not run.")
        return path
    return next(filter(runs, _candidates()), None)


def _candidates() -> Iterator[Path]:
    yield from (Path(found) for name in NAMES if (found := shutil.which(name)))
    if Path(APPLICATION).is_file():
        yield Path(APPLICATION)


def install() -> Path | None:
    """Install the distribution's Firefox, where there is one."""
    for command in apt("firefox-esr"):
        print(f"No Firefox yet. Trying: {' '.join(command)}", file=sys.stderr, flush=True)
        call(command, seconds=900)
    return find()


def main() -> None:
    """Print the path, or the line that says there is none."""
    path = find() or install()
    print(f"A second browser: {path}" if path else NONE)


if __name__ == "__main__":
    main()

"""Print the path of a Node.js for the player's tests: the one that Playwright brings along.

It is the same on every machine, and there where nobody has installed one.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import playwright


def main() -> None:
    """Print the path, or say what to do and fail."""
    folder = Path(playwright.__file__).parent / "driver"
    bundled = next(
        (path for path in (folder / "node", folder / "node.exe") if path.is_file()), None
    )
    found = bundled or shutil.which("node")
    if found is None:
        sys.exit("No Node.js for the player's tests: install version 22 or newer, nodejs.org.")
    print(found)


if __name__ == "__main__":
    main()

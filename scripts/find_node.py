"""Print the path of the node that Playwright brings along, for machines that have none."""

from __future__ import annotations

import sys
from pathlib import Path

import playwright


def main() -> None:
    """Print the path, or say what to do and fail."""
    folder = Path(playwright.__file__).parent / "driver"
    found = next((path for path in (folder / "node", folder / "node.exe") if path.is_file()), None)
    if found is None:
        sys.exit("No node for the player's tests: install Node.js 20 or newer, nodejs.org.")
    print(found)


if __name__ == "__main__":
    main()

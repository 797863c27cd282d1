"""The player's own JavaScript, for pages that no server gives it to."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
#: An import of one module by another: the word before, and the file's name.
IMPORT = re.compile(r'(\bfrom\s+|\bimport\s+)"\./([\w-]+\.js)"')


def sources(first: str) -> dict[str, str]:
    """Return a module and all that it imports: their sources by the names of their files.

    >>> list(sources("number.js"))
    ['number.js']
    """
    found: dict[str, str] = {}
    wanted = [first]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = (FOLDER / name).read_text()
            wanted += [match[2] for match in IMPORT.finditer(found[name])]
    return found

"""Read a folder of real files and print what became of them.

python scripts/real.py FOLDER [--each]

Files are data: they are read in the locked box, like any pasted text.
"""

from __future__ import annotations

import argparse
import ast
import re
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from convt_trace.snippet import Reading, SnippetError, read_snippet
from convt_trace.snippet.notebook import code_of

#: A constructor, or its name, in code.
_WRITTEN = re.compile(r"(?:Lazy)?ConvTranspose[123]d|conv_transpose[123]d")


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    file : Path
    end : str
        "to the end", or why not.
    message : str
    written, missing : int
        Lines that write a transposed convolution down, and those that the reader names nowhere.
    calls, wrong : int
        Convolutions shown, and those whose numbers are not torch's.
    """

    file: Path
    end: str
    message: str
    written: int
    missing: int
    calls: int
    wrong: int


def lines_written(source: str) -> set[int]:
    """Return the lines that call or hand over a transposed convolution, found without the reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    lines = set()
    for node in ast.walk(tree):
        name = getattr(node, "attr", getattr(node, "id", "")) if isinstance(node, ast.expr) else ""
        if isinstance(name, str) and _WRITTEN.fullmatch(name):
            lines.add(node.lineno)  # type: ignore[attr-defined]
    return lines


def outcome(file: Path) -> Outcome:
    """Read one file."""
    source = file.read_text(encoding="utf-8-sig", errors="replace")
    source = code_of(source) or source
    error: SnippetError | None = None
    try:
        reading = read_snippet(source)
    except SnippetError as raised:
        error, reading = raised, raised.reading
    try:
        written = lines_written(source)
    except (SyntaxError, ValueError, RecursionError):
        written = set()
    return Outcome(
        file,
        _end(reading, error),
        "" if error is None else f"{error.type}: {error.message}",
        len(written),
        len(written - _named(reading, source)),
        len(reading.calls),
        sum(call.verdict == "different" for call in reading.calls),
    )


def _named(reading: Reading, source: str) -> set[int]:
    """Return the lines that the reader names: of definitions, of calls, and where layers were made."""
    named = {one.line for one in reading.definitions}
    for sized in reading.sizes:
        named |= {sized.line, sized.built}
    for call in reading.calls:
        named |= set(call.stack)
    # A class whose name stands for the layer, an alias: the line is told where the name is used.
    lines = source.splitlines()
    return named | {
        number
        for number, line in enumerate(lines, 1)
        if re.match(
            r"\s*(?:class |from |import |@|isinstance|if .*isinstance|elif .*isinstance)", line
        )
        or re.search(
            r"isinstance\(|^\s*\w+ = (?:[\w.]+\.)?(?:Lazy)?ConvTranspose[123]d\b(?!\()", line
        )
    }


def _end(reading: Reading, error: SnippetError | None) -> str:
    if error is None or (error.type == "NothingToExplain" and not reading.definitions):
        return "to the end"
    if error.type == "SyntaxError":
        return "no Python 3"
    if error.type == "Refused":
        return "a stated limit"
    if any("stand-in" in note.text or "comes from" in note.text for note in reading.notes):
        return "a stand-in's value" if _is_of_a_stand_in(error) else "an error after stand-ins"
    return "an error of its own"


def _is_of_a_stand_in(error: SnippetError) -> bool:
    return bool(re.search(r"is not here|StandIn|stand-in", error.message))


def main() -> None:
    """Print the shares, and with ``--each`` every file."""
    asked = argparse.ArgumentParser(description="Read a folder of real files, and print shares.")
    asked.add_argument("folder", type=Path)
    asked.add_argument("--each", action="store_true", help="print a line per file, too")
    given = asked.parse_args()
    files = sorted(
        path for path in given.folder.rglob("*") if path.suffix in (".py", ".ipynb", ".txt", ".md")
    )
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(outcome, files))
    if given.each:
        for one in found:
            print(
                f"{one.end:26} {one.calls:4} {one.missing:3}/{one.written:<3} {one.file} {one.message[:150]}"
            )
    parsed = sum(one.end != "no Python 3" for one in found)
    written, missing = (sum(getattr(one, name) for one in found) for name in ("written", "missing"))
    calls, wrong = (sum(getattr(one, name) for one in found) for name in ("calls", "wrong"))
    print(f"{len(found)} files, {parsed} parsed")
    print(f"definitions: {written - missing} of {written} lines named")
    print(f"numbers: {calls - wrong} of {calls} calls are torch's")
    for end, count in Counter(one.end for one in found).most_common():
        print(f"{count / max(len(found), 1):6.0%}  {end}")


if __name__ == "__main__":
    main()

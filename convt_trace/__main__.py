"""The command line: ``python -m convt_trace explain FILE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from convt_trace.snippet import Call, Reading, SnippetError, read_snippet

#: Sums longer than this are cut in the terminal.
_TERMS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, or 2 for a text not read to its end."""
    parser = argparse.ArgumentParser(prog="python -m convt_trace", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser("explain", help="explain the convolutions of a PyTorch text")
    explain.add_argument("file", help="the text; - for standard input")
    explain.add_argument("--cell", metavar="N,C,POS", type=_cell, help="one output cell: 0,1,2,2")
    explain.add_argument("--json", action="store_true", help="print the calls as JSON")
    chosen = parser.parse_args(arguments)
    return _explain(chosen.file, chosen.cell, chosen.json)


def _cell(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers") from None


def _explain(file: str, cell: tuple[int, ...] | None, as_json: bool) -> int:
    try:
        source = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as unread:
        print(f"{file}: {unread}", file=sys.stderr)
        return 2
    error: SnippetError | None = None
    try:
        reading = read_snippet(source, isolated=True)
    except SnippetError as raised:
        error = raised
        reading = raised.reading
    if as_json:
        print(json.dumps((error or reading).to_json()))
    else:
        print(answer(reading, cell))
    if error is None:
        return 0
    print(error, file=sys.stderr)
    if error.hint:
        print(error.hint, file=sys.stderr)
    return 2


def answer(reading: Reading, cell: tuple[int, ...] | None = None) -> str:
    """Return a reading as plain text: every call, and one cell's sum for each transposed one."""
    parts = [_call_text(call, cell) for call in reading.calls]
    parts += [f"{one}." for one in reading.definitions]
    parts += [
        f"line {note.line}: {note.text}" if note.line else note.text for note in reading.notes
    ]
    if reading.printed:
        parts.append("printed:\n" + reading.printed.rstrip("\n"))
    return "\n\n".join(parts)


def _call_text(call: Call, cell: tuple[int, ...] | None) -> str:
    case = call.case
    lines = [
        f"line {call.line}: {call.source}",
        f"  {case.line() if case else call.op}",
        f"  input {_by(call.x.shape)}, weight {_by(call.weight.shape)}, "
        f"output {_by(call.output.shape)}; {call.macs:,} multiply-accumulates; {call.verdict}",
    ]
    if call.output.size <= 64:
        lines.append(f"  output: {call.output.tolist()}")
    if case is not None and call.output.size:
        lines.append(f"  {_sum(call, cell or (0,) * (case.dims + 2))}")
    return "\n".join(lines)


def _by(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _sum(call: Call, cell: tuple[int, ...]) -> str:
    """Return the sum of one output cell, term by term."""
    assert call.case is not None
    try:
        terms = call.case.trace().of_output(*cell)
    except (IndexError, TypeError) as error:
        return f"cell {_by(cell)}: {error}"
    if any(o < 0 or o >= size for o, size in zip(cell[2:], call.case.geometry.output_size)):
        return f"cell {_by(cell)}: cropped by padding"
    shown = " + ".join(f"{x:g}*{w:g}" for x, w in zip(terms.x[:_TERMS], terms.w[:_TERMS]))
    more = f" + ... ({len(terms) - _TERMS} more)" if len(terms) > _TERMS else ""
    bias = f" + bias {call.case.bias[cell[1]]:g}" if call.case.bias is not None else ""
    y = call.output if not call.case.unbatched else call.output[None]
    return f"y[{', '.join(map(str, cell))}] = {shown or '0'}{more}{bias} = {y[cell]:g}"


if __name__ == "__main__":
    from convt_trace.snippet.worker import fork_here

    fork_here()
    sys.exit(main())

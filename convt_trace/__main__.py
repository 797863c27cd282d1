"""The command line: ``python -m convt_trace explain FILE`` and ``... export CASE``."""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from convt_trace import words
from convt_trace.advice import Call as Refusal
from convt_trace.advice import Explanation, explain_error, unbatched_warning
from convt_trace.layer import Ints
from convt_trace.positional import warnings_of
from convt_trace.snippet import LIMITS, Attempt, Call, Reading, SnippetError, read_snippet
from convt_trace.snippet.clean import parse
from convt_trace.words_conv import conv_cell_answer, conv_short_answer

_CONSTRUCTOR = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups",
    "bias", "dilation",
)  # fmt: skip
_PARAMETERS = ("stride", "padding", "output_padding", "dilation", "groups")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        The exit code: 0, 2 for a text that was not read to its end or a cell that is not there, 1
        where there is nothing to export.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["export"]:
        return _export(given[1:])
    parser = argparse.ArgumentParser(
        prog="python -m convt_trace",
        description="Explain the transposed convolutions of a text, or write one as a page.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser("explain", help="explain the convolutions of a PyTorch text")
    explain.add_argument("file", help="the text; - for standard input")
    explain.add_argument(
        "--cell", metavar="N,C,POS", type=_cell, help="add up this output cell alone: 0,1,2,2"
    )
    explain.add_argument("--json", action="store_true", help="print the calls as JSON")
    commands.add_parser("export", help="write a case as an HTML file that plays it")
    chosen = parser.parse_args(given)
    return _explain(chosen.file, chosen.cell, chosen.json)


def _export(arguments: Sequence[str]) -> int:
    try:
        from convt_trace.export import export_main
    except ImportError as missing:  # torch, whose result is on the page
        print(missing, file=sys.stderr)
        return 1
    return export_main(arguments)


def _cell(text: str) -> Ints:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers") from None


def _explain(file: str, cell: Ints | None, as_json: bool) -> int:
    """Print the answer, or JSON, on standard output and what went wrong on standard error."""
    try:
        source = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as unread:
        print(f"{file}: {unread}", file=sys.stderr)
        return 2
    error: SnippetError | None = None
    try:
        reading = read_snippet(source, isolated=True)
    except SnippetError as raised:
        error, reading = raised, raised.reading
    missing = "" if cell is None else _not_there(reading, cell)
    if as_json:
        print(json.dumps((error or reading).to_json()))
    elif text := answer(reading, source, cell):
        print(text)
    if missing:
        print(missing, file=sys.stderr)
    if error is not None:
        print(trouble(error, source), file=sys.stderr)
    return 2 if error is not None or missing else 0


def answer(reading: Reading, source: str = "", cell: Ints | None = None) -> str:
    """Return a reading as Markdown: every call's answer, and what else the text did.

    Parameters
    ----------
    reading : Reading
    source : str
        The text that was read, for warnings about how its calls are written.
    cell : tuple of int, optional
        An output cell (n, c, *position) to add up instead, in every call that has it.

    Examples
    --------
    >>> source = "import torch; torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))"
    >>> print(answer(read_snippet(source), source, (0, 0, 1)).partition("torch says")[0])
    ## Line 1: `F.conv_transpose1d(x, weight)`
    <BLANKLINE>
    ...
    <BLANKLINE>
    **`y[0,0,1] = 2`**: batch item 0, output channel 0, position 1.
    ...
    """
    parts: list[str] = []
    told: set[tuple[object, ...]] = set()
    for call in reading.calls:
        kind = (call.op, call.x.shape, call.weight.shape, *call.parameters.values())
        parts += [_heading(call), *_facts(call)]
        parts.append(_in_short(call) if cell is None and kind in told else _answered(call, cell))
        told.add(kind)
    parts += [f"**Line {line}.** {warning}" for line, warning in warnings_of(source)]
    if reading.printed:
        parts.append(f"**It prints**\n\n{_block(reading.printed)}")
    parts += [f"**Line {one.line} shows**\n\n{_block(one.text)}" for one in reading.shown]
    parts += [f"{str(one)[0].upper()}{str(one)[1:]}." for one in reading.definitions]
    notes = [
        f"- line {one.line}: {one.text}" if one.line else f"- {one.text}" for one in reading.notes
    ]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


# -- one call -----------------------------------------------------------------------------------


def _heading(call: Call) -> str:
    written = call.case.line() if call.case else call.op
    return f"## Line {call.line}: `{written}`\n\n    {call.source}"


def _facts(call: Call) -> list[str]:
    """Return what a call costs, and what to know of its numbers."""
    shapes = f"x {call.x.shape} → y {call.output.shape} · {call.macs:,} MACs"
    facts = [words.counts(call.case) if call.case else shapes]
    if call.random:
        facts.append("One sample: nothing seeds these random numbers.")
    warning = unbatched_warning(call.x.shape, call.dims)
    return [*facts, warning] if warning else facts


def _answered(call: Call, cell: Ints | None) -> str:
    """Return the whole answer, or that of one cell."""
    if cell is not None and call.output.size and (call.case or not call.transposed):
        try:
            return _cell_answer(call, cell)
        except IndexError as outside:
            return f"{str(outside)[:1].upper()}{str(outside)[1:]}."
    return words.long_answer(call.case) if call.case else _in_short(call)


def _in_short(call: Call) -> str:
    if call.case:
        return words.short_answer(call.case)
    if call.transposed:
        return "This one is not added up: its numbers are complex, or there are none."
    return conv_short_answer(*_given(call))


def _given(call: Call) -> tuple[Any, ...]:
    """Return a plain convolution as `conv_short_answer` takes it."""
    return (
        call.x, call.weight, call.bias, call.stride, call.padding, call.dilation, call.groups,
        call.output,
    )  # fmt: skip


def _cell_answer(call: Call, cell: Ints) -> str:
    """Return one cell's answer; an unbatched output's cell may leave the batch item out."""
    if call.x.ndim == call.dims + 1 == len(cell):
        cell = (0, *cell)
    if len(cell) != call.dims + 2:
        raise IndexError(f"cell {cell} has {len(cell)} numbers; N,C,POS are {call.dims + 2} here")
    if call.case:
        return words.cell_answer(call.case, *cell)
    return conv_cell_answer(*_given(call), *cell)


def _not_there(reading: Reading, cell: Ints) -> str:
    """Return why no call has a cell; empty if one has it."""
    reason = "no call has an output to look at"
    for call in reading.calls:
        if call.output.size and (call.case or not call.transposed):
            try:
                _cell_answer(call, cell)
            except IndexError as outside:
                reason = str(outside)
            else:
                return ""
    return f"--cell: {reason}"


def _block(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.rstrip("\n").split("\n"))


# -- what went wrong ----------------------------------------------------------------------------


def trouble(error: SnippetError, source: str) -> str:
    """Return an error, what it means in plain words, and the smallest change that helps."""
    told = _explained(error, source)
    if told is None:
        return f"{error}\n{error.hint}".rstrip()
    return f"{error}\n{told.plain} {told.fix}".rstrip() + (
        f"\n\n{_block(told.code)}" if told.code else ""
    )


def _explained(error: SnippetError, source: str) -> Explanation | None:
    """Return a transposed convolution's error in plain words; None for what is not one."""
    attempt = error.attempt
    if error.type in ("Refused", "NothingToExplain", "SyntaxError"):
        return None
    if attempt is not None:
        if not attempt.op.startswith("conv_transpose"):
            return None
        told = explain_error(error.message, _refusal(attempt, error, source))
        return told if told.fix else None
    made = _constructed(error, source)
    told = explain_error(error.message, made)
    # Without a convolution, what is said of tensors and channels may be another function's.
    elsewhere = ("x", "weight", "bias", *(["groups"] if made is None else []))
    return told if told.fix and told.what not in elsewhere else None


def _refusal(attempt: Attempt, error: SnippetError, source: str) -> Refusal:
    """Return what is known of a transposed convolution that did not run."""
    line = "".join(source.splitlines()[: error.lineno or 0][-1:])
    layer = "conv_transpose" not in line
    kernel = (attempt.weight_shape or ())[2:]
    return Refusal(
        dims=int(attempt.op[-2]),
        x=attempt.input_shape,
        weight=attempt.weight_shape,
        bias=attempt.bias_shape,
        kernel_size=_shortest(kernel) if layer and kernel else None,
        layer=layer,
        **{
            name: _shortest(value)
            for name, value in attempt.parameters.items()
            if name in _PARAMETERS and _is_plain(value)
        },
    )


def _is_plain(value: object) -> bool:
    each = value if isinstance(value, tuple) else (value,)
    return isinstance(value, str) or all(isinstance(one, int) for one in each)


def _shortest(value: Any) -> Any:
    """Return one number for a tuple of equal ones."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _constructed(error: SnippetError, source: str) -> Refusal | None:
    """Return the transposed layer that the line in question builds, if its arguments are literals."""
    for name, node in _calls(source):
        if not name.startswith("Conv") or not (
            node.lineno <= (error.lineno or 0) <= (node.end_lineno or node.lineno)
        ):
            continue
        written = dict(zip(_CONSTRUCTOR, node.args))
        written |= {one.arg: one.value for one in node.keywords if one.arg in _CONSTRUCTOR}
        try:
            given = {key: ast.literal_eval(one) for key, one in written.items() if key != "bias"}
        except (ValueError, TypeError):
            return None
        return Refusal(dims=int(name[-2]), layer=True, **given)
    return None


def _calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of transposed convolutions that a text writes down, and their names."""
    try:
        tree, _ = parse(source, LIMITS)
    except SnippetError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if re.fullmatch(r"conv_transpose[123]d|ConvTranspose[123]d", name):
                yield name, node


if __name__ == "__main__":
    from convt_trace.snippet.worker import fork_here

    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    fork_here()
    sys.exit(main())

"""The command line: ``python -m convt_trace explain FILE``, and ``export``, ``sizes``, ``overlap``."""

from __future__ import annotations

import argparse
import ast
import io
import json
import shlex
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from convt_trace.answers import transposed as words
from convt_trace.answers.advice import layer_warning, size_rule, unbatched_warning, warnings_of
from convt_trace.answers.plain import conv_cell_answer, conv_short_answer
from convt_trace.answers.refused import explained
from convt_trace.answers.summary import Summary, asks_for_counts, counters, totals
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.onnx_file import FileError, Node, random_input, read_onnx
from convt_trace.engine.case import Case
from convt_trace.engine.errors import LayerError
from convt_trace.engine.extras import MissingError
from convt_trace.engine.layer import Ints
from convt_trace.engine.orders import ORDERS, units_of
from convt_trace.engine.text import by, table
from convt_trace.engine.view import Cell, Moment, View, picked_trace, view_of
from convt_trace.figures.errors import FigureError
from convt_trace.figures.saved import KINDS, kind_of, save
from convt_trace.links.files import from_json
from convt_trace.links.packed import Unreadable
from convt_trace.links.settings import PRESETS
from convt_trace.planning.alternatives import alternatives
from convt_trace.planning.chain import Chain
from convt_trace.planning.counts import Counts
from convt_trace.planning.overlap import overlap
from convt_trace.planning.recorded import Recorded, read_off
from convt_trace.planning.sizes import SizesError, sizes
from convt_trace.planning.skips import mended
from convt_trace.planning.stacked import stacked
from convt_trace.planning.stage import ChainError
from convt_trace.planning.typed import NotReadError, layer_of
from convt_trace.player.page import ExportError, to_html
from convt_trace.player.scene import build, read_message
from convt_trace.snippet import (
    LIMITS,
    Call,
    Note,
    Reading,
    Run,
    SnippetError,
    Weights,
    WeightsNote,
    read_snippet,
)
from convt_trace.snippet.clean import lines_of
from convt_trace.snippet.notebook import code_of
from convt_trace.views import VIEWS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        The exit code: 0, 2 for a text that was not read to its end or a cell that is not there, 1
        where there is nothing to export or to count.
    """
    commands = {
        "export": _export, "sizes": _sizes, "overlap": _overlap, "chain": _chain, "explain": _explain,
    }  # fmt: skip
    chosen = _parser().parse_args(arguments)
    try:
        return commands[chosen.command](chosen)
    except MissingError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convt_trace",
        description="Explain the transposed convolutions of a text, or write one as a page.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser("explain", help="explain the convolutions of a PyTorch text")
    explain.add_argument(
        "files", nargs="+", metavar="file",
        help="the text; - for standard input; several are read one below the other",
    )  # fmt: skip
    explain.add_argument(
        "--cell", metavar="N,C,POS", type=_cell, help="add up this output cell alone: 0,1,2,2"
    )
    explain.add_argument(
        "--run", metavar="NAME", help="run this class of the text, or the layer of this line"
    )
    explain.add_argument(
        "--shape", metavar="N,C,...", type=_cell, action="append", default=[],
        help="the shape of its input; once per input",
    )  # fmt: skip
    explain.add_argument("--init", metavar="ARGUMENTS", help="its constructor's arguments: 64, 32")
    explain.add_argument(
        "--weights", metavar="FILE",
        help="trained weights: a .safetensors file, or a state dict that torch.save wrote",
    )  # fmt: skip
    explain.add_argument("--json", action="store_true", help="print the calls as JSON")
    explain.add_argument(
        "--summary", action="store_true", help="only a table: every convolution's sizes and MACs"
    )
    _unboxed(explain)

    does = "write a case as a page that plays it with no server and no network, or as a picture"
    export = commands.add_parser("export", help=does, description=f"{does.capitalize()}.")
    export.add_argument(
        "case",
        help=f"a snippet (.py, .txt), a case file (.json), or one of {', '.join(PRESETS)}",
    )
    export.add_argument(
        "--call", type=int, default=1, help="which of a snippet's transposed convolutions"
    )
    export.add_argument(
        "-o", "--output", default="lesson.html",
        help=f"default: %(default)s; a name that ends in .{', .'.join(KINDS)} makes a picture, "
        "of which .gif and .webp move",
    )  # fmt: skip
    export.add_argument("--order", choices=list(ORDERS), default="scatter")
    export.add_argument(
        "--step", type=int,
        help="the step to open at; of a picture the step that is marked (default: the finished output), "
        "of a moving one where it begins",
    )  # fmt: skip
    export.add_argument(
        "--hide", type=int, help="hide the output from this step on, to be predicted; 0 hides all"
    )
    export.add_argument(
        "--unit",
        default="MAC",
        help="what a step spans: MAC, stamp, input-channel, group, all, ...",
    )
    export.add_argument(
        "--cell", metavar="N,C,POS", help="the output cell that is selected, such as 0,1,2,2"
    )
    export.add_argument("--title", default="", help="a heading")
    export.add_argument(
        "--linked", metavar="VIEW", choices=list(VIEWS), default="",
        help=f"a linked view to open, or to draw instead: {', '.join(VIEWS)}",
    )  # fmt: skip
    export.add_argument("--dark", action="store_true", help="a picture on a dark ground")
    _unboxed(export)
    _add_sizes(commands)
    _add_overlap(commands)
    _add_chain(commands)
    return parser


def _add_chain(commands: Any) -> None:
    does = "print the sizes along a model, and what mends a skip connection that does not fit"
    command = commands.add_parser("chain", help=does, description=f"{does.capitalize()}.")
    command.add_argument(
        "file",
        help="a PyTorch text that calls a model, or one layer a line; - for standard input",
    )
    command.add_argument("--size", type=int, help="the input size (default: the text's own)")
    command.add_argument(
        "--axis", type=int, choices=(0, 1, 2), help="which spatial axis, where they differ"
    )
    _unboxed(command)


def _add_overlap(commands: Any) -> None:
    does = "count how many MACs land in each output cell of a layer, or of some in a row"
    command = commands.add_parser("overlap", help=does, description=f"{does.capitalize()}.")
    command.add_argument(
        "lines", nargs="+", metavar="layer",
        help='a line of torch: "nn.ConvTranspose2d(3, 8, 4, stride=3)"; then the input size: 16 16',
    )  # fmt: skip
    command.add_argument(
        "--map", action="store_true", help="print the count of every output cell: needs a size"
    )
    command.add_argument(
        "--alternatives", action="store_true",
        help="print what can stand in for the layer, as programs: needs a size",
    )  # fmt: skip


def _add_sizes(commands: Any) -> None:
    does = "find the settings that make a wanted size of a given one"
    command = commands.add_parser("sizes", help=does, description=f"{does.capitalize()}.")
    command.add_argument("given", type=int, help="the input size, along one axis")
    command.add_argument("wanted", type=int, nargs="?", help="the output size")
    command.add_argument(
        "--times", type=int, help="instead: this many times the input, for every input size"
    )
    command.add_argument(
        "--kernel", type=_stretch, default=range(1, 8),
        help="a number, or a stretch with both its ends: 2:5 (default: 1:7)",
    )  # fmt: skip
    for name in ("stride", "padding", "output-padding"):
        command.add_argument(f"--{name}", type=_stretch, help="the same (default: whatever fits)")
    command.add_argument("--dilation", type=_stretch, default=1, help="the same (default: 1)")
    command.add_argument(
        "--even", action="store_true", help="only those that reach all positions equally often"
    )
    command.add_argument("--dims", type=int, choices=(1, 2, 3), default=2)
    command.add_argument(
        "--channels", type=int, nargs=2, default=(1, 1), metavar=("IN", "OUT"), help="for the lines"
    )
    command.add_argument("--json", action="store_true", help="print the settings as JSON")


def _stretch(text: str) -> range:
    """Read a number, or a stretch with both its ends: 2:5."""
    first, _, last = text.partition(":")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number or a stretch such as 2:5"
        ) from None


def _unboxed(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--run-unboxed",
        action="store_true",
        help="run the text as `python` would, where no process can be locked: only what you trust",
    )


def _cell(text: str) -> Ints:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers") from None


# -- sizes --------------------------------------------------------------------------------------


def _sizes(asked: argparse.Namespace) -> int:
    names = ("times", "kernel", "stride", "padding", "output_padding", "dilation", "even")
    options = {name: getattr(asked, name) for name in names}
    try:
        found = sizes(asked.given, asked.wanted, **options)
    except SizesError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([setting.to_dict() for setting in found], indent=2))
    else:
        print(found.to_markdown(asked.dims, *asked.channels))
    return 0 if found else 1


# -- a chain ------------------------------------------------------------------------------------


def _chain(asked: argparse.Namespace) -> int:
    """Print the sizes along a chain: 1 where a skip does not fit or torch stops, 2 for what is not read."""
    try:
        text = _text_of(asked.file)
        notes: tuple[str, ...] = ()
        if _is_program(text):
            found = _read_off(text, asked.run_unboxed)
            stages, notes = found.chain(asked.axis), found.notes
        else:
            stages = Chain.read(text, asked.axis)
        size = asked.size or stages.size
        if size is None:
            raise ChainError("Say of which input size: --size 27.")
    except (OSError, UnicodeDecodeError, ChainError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n\n".join([stages.to_markdown(size), *(f"Note: {note}." for note in notes)]))
    return 0 if stages.fits(size) else 1


def _is_program(text: str) -> bool:
    """Whether a text is Python that imports or defines something, and no list of layers."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    return any(isinstance(one, (ast.Import, ast.ImportFrom, ast.ClassDef)) for one in body)


def _read_off(text: str, unboxed: bool) -> Recorded:
    """Return the chain that a text's model runs, as far as it ran."""
    problem = "No layer of it that changes a size ran: let it call its model."
    try:
        made = read_snippet(text, unboxed=unboxed).made
    except SnippetError as error:
        made, problem = error.reading.made, trouble(error)
    found = read_off(made)
    if found is None:
        raise ChainError(problem)
    return found


# -- explain ------------------------------------------------------------------------------------


def _explain(asked: argparse.Namespace) -> int:
    """Print the answer, or JSON, on standard output and what went wrong on standard error."""
    if asked.files[0].endswith(".onnx"):
        return _explain_onnx(asked)
    cell = asked.cell
    texts = []
    for file in asked.files:
        try:
            texts.append(_text_of(file))
        except (OSError, UnicodeDecodeError) as unread:
            print(f"{file}: {unread}", file=sys.stderr)
            return 2
    try:
        weights = _weights(asked.weights) if asked.weights is not None else None
    except OSError as unread:
        print(f"{asked.weights}: {unread}", file=sys.stderr)
        return 2
    source = "\n".join(texts)
    if len(texts) > 1:
        print(_where(asked.files, texts), file=sys.stderr)
    error: SnippetError | None = None
    try:
        reading = read_snippet(source, _run(asked), weights=weights, unboxed=asked.run_unboxed)
    except SnippetError as raised:
        error, reading = raised, raised.reading
    missing = "" if cell is None else _not_there(reading, cell)
    if asked.json:
        print(json.dumps(_as_json(reading, error)))
    elif asked.summary:
        print(Summary(reading.sizes) if reading.sizes else "No convolution ran.")
    elif text := answer(reading, source, cell):
        print(text)
    if not asked.json and asked.run is None:
        for line in _commands(reading, asked.files, asked.weights):
            print(line)
    if missing:
        print(missing, file=sys.stderr)
    if error is not None:
        print(trouble(error), file=sys.stderr)
    return 2 if error is not None or missing else 0


def _explain_onnx(asked: argparse.Namespace) -> int:
    """Print the transposed convolutions of an ONNX model; with --run the one of that name, traced."""
    try:
        model = read_onnx(Path(asked.files[0]).read_bytes())
        if asked.run is None:
            rows = [node.told() for node in model.nodes]
            print(table(list(rows[0]), [list(row.values()) for row in rows]))
            return 0
        print(onnx_answer(model.named(asked.run), asked.shape[0] if asked.shape else None))
    except (OSError, FileError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def onnx_answer(node: Node, shape: Ints | None) -> str:
    """Return one node traced on an input drawn from seed 0, with ONNX's own result beside it."""
    size = shape[2:] if shape else tuple(size or 4 for size in node.input_size or (4,) * node.dims)
    x = random_input(node, size)
    ported, case = node.ported(size), node.case(x)
    theirs, ours = node.evaluated(x), ported.output(x, case.weight, case.bias)
    apart = float(abs(ours - theirs).max(initial=0))
    parts = [
        f"In PyTorch: `{ported.line}` on {by(size)}",
        *ported.sentences,
        words.short_answer(case),
        f"ONNX's reference evaluator differs by {apart:g} at most, over {ours.size:,} values.",
    ]
    return "\n\n".join(parts)


def _run(asked: argparse.Namespace) -> Run | None:
    if asked.run is None:
        return None
    target = int(asked.run) if asked.run.isdigit() else asked.run
    return Run(target, tuple(asked.shape), asked.init)


def _text_of(file: str) -> str:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    return code_of(text) or text


def _weights(file: str) -> Weights:
    """Return a file of weights; of one that is too large, enough to be told so."""
    with open(file, "rb") as opened:
        return Weights(file, opened.read(LIMITS.weights_bytes + 1))


def _where(files: Sequence[str], texts: Sequence[str]) -> str:
    """Say which lines are which file's, where several are read as one text."""
    start, parts = 1, []
    for file, text in zip(files, texts):
        parts.append(f"{file}: from line {start}")
        start += len(lines_of(text))
    return "; ".join(parts)


def _commands(reading: Reading, files: Sequence[str], weights: str | None = None) -> list[str]:
    """Return the commands that run what the text defines and never calls, each on a line."""
    trials = {one.trial.target: one.trial for one in reading.definitions if one.trial}
    lines = []
    for trial in trials.values():
        words = ["explain", *files, "--run", str(trial.target)]
        for shape in trial.input_shapes:
            words += ["--shape", ",".join(map(str, shape))]
        words += ["--init", trial.init_args] if trial.init_args else []
        words += ["--weights", weights] if weights else []
        lines.append(f"    python -m convt_trace {shlex.join(words)}")
    return ["", "To run it, with shapes and arguments of your own:", "", *lines] if lines else []


def _as_json(reading: Reading, error: SnippetError | None) -> dict[str, Any]:
    """Return a reading as plain lists and dicts; with an error, what it means, if that is known."""
    if error is None:
        return reading.to_json()
    written, told = error.to_json(), explained(error)
    written["error"]["explanation"] = told and told.to_json()
    return written


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
    parts = [_listed(reading.weights)] if reading.weights else []
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
    for one in reading.definitions:
        rule = size_rule(one.op, one.arguments, one.unknown)
        makes = f" It makes {rule}." if rule else ""
        parts.append(f"{str(one)[0].upper()}{str(one)[1:]}.{makes}")
        if warning := layer_warning(one.op, one.arguments):
            parts.append(f"**Line {one.line}.** {warning}")
    if reading.sizes and asks_for_counts(source):
        parts.append(f"{totals(reading.sizes)} {counters(reading.sizes)}")
    return "\n\n".join([*parts, *([_listed(reading.notes)] if reading.notes else [])])


def _listed(notes: Sequence[Note | WeightsNote]) -> str:
    return "\n".join(
        f"- line {one.line}: {one.text}" if one.line else f"- {one.text}" for one in notes
    )


# -- one call -----------------------------------------------------------------------------------


def _heading(call: Call) -> str:
    written = call.case.line() if call.case else call.op
    maker = f" as {call.maker}" if call.maker else ""
    return f"## Line {call.line}: `{written}`{maker}\n\n    {call.source}"


def _facts(call: Call) -> list[str]:
    """Return what a call costs, and what to know of its numbers."""
    shapes = f"x {call.x.shape} → y {call.output.shape} · {call.macs:,} MACs"
    facts = [words.counts(call.case) if call.case else shapes]
    if "gradient" in call.origin:
        facts.append(f"It is the {call.origin}.")
    if call.random:
        facts.append("One sample: nothing seeds these random numbers.")
    warning = unbatched_warning(call.x.shape, call.dims)
    return [*facts, warning] if warning else facts


def _answered(call: Call, cell: Ints | None) -> str:
    """Return the whole answer, or that of one cell."""
    if cell is not None and call.output.size and (call.case or call.conv):
        try:
            return _cell_answer(call, cell)
        except IndexError as outside:
            return f"{str(outside)[:1].upper()}{str(outside)[1:]}."
    return words.long_answer(call.case) if call.case else _in_short(call)


def _in_short(call: Call) -> str:
    if call.case:
        return words.short_answer(call.case)
    if call.conv is None:
        return "This one is not added up: its numbers are complex, or there are none."
    return conv_short_answer(*_given(call))


def _given(call: Call) -> tuple[Any, ...]:
    """Return a plain convolution as `conv_short_answer` takes it."""
    return (
        call.x, call.weight, call.bias, call.stride, call.zeros, call.dilation, call.groups,
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
        if call.output.size and (call.case or call.conv):
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


_ASK = " With --run-unboxed it runs on this computer, as `python` would run it."


def trouble(error: SnippetError) -> str:
    """Return an error, what it means in plain words, and the smallest change that helps."""
    told = explained(error)
    if told is None:
        mend = mended(error.message, error.reading.cases) or ""
        asks = _ASK if error.type == "NoBox" else ""
        return f"{error}\n{error.hint}{asks}\n{mend}".rstrip()
    code = f"\n\n{_block(told.code)}" if told.code else ""
    return f"{error}\n{told.plain} {told.fix}{code}"


# -- export -------------------------------------------------------------------------------------


class _NotThere(ValueError):
    """A unit or a cell that a case does not have; the message is one sentence."""


def _export(asked: argparse.Namespace) -> int:
    """Write a page or a picture: 1 if there is nothing to write, 2 for a unit or a cell not there."""
    try:
        case = _named(asked.case, asked.call, asked.run_unboxed)
        unit = _unit(case, asked.order, asked.unit)
        if kind_of(asked.output):
            return _picture(asked, case, unit)
        view, cell, step = View(asked.order), None, asked.step or 0
        if asked.cell is not None:
            place = _in_output(case, asked.cell)
            view, cell = view_of(case, asked.order, place), Cell("output", place)
            _refuse_off_screen(case, view, step, place)
        views = (asked.linked,) if asked.linked else ()
        moment = Moment(step=step, unit=unit, selected=cell, hidden=asked.hide, views=views)
        page = to_html(case, view, moment=moment, title=asked.title)
        written = Path(asked.output).write_bytes(page.encode())
    except _NotThere as error:
        print(error, file=sys.stderr)
        return 2
    except SnippetError as error:
        print(trouble(error), file=sys.stderr)
        return 1
    except (OSError, Unreadable, LayerError, ExportError, FigureError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{asked.output}: {written / 1e6:.1f} MB, {case.line()}")
    return 0


def _picture(asked: argparse.Namespace, case: Case, unit: str) -> int:
    """Write a picture of a case, still or moving."""
    if asked.hide is not None:
        raise ExportError("A picture hides nothing: --hide is for pages.")
    cell = None if asked.cell is None else _in_output(case, asked.cell)
    written = save(
        asked.output, case, asked.step, order=asked.order, cell=cell, unit=unit, linked=asked.linked,
        title=asked.title, dark=asked.dark,
    )  # fmt: skip
    print(f"{asked.output}: {written / 1e3:,.0f} kB, {case.line()}")
    return 0


def _unit(case: Case, order: str, text: str) -> str:
    """Return a unit of step by its name, written as the player shows it or as links do."""
    units = units_of(order, case.layer.dims)
    for unit in units:
        if text.lower().replace("-", " ") == unit.lower():
            return unit
    raise _NotThere(f"--unit: {text!r} is none of {', '.join(units)}, the steps of {order}.")


def _in_output(case: Case, text: str) -> Ints:
    """Return an output cell; that of an unbatched case may leave the batch item out."""
    try:
        cell = _cell(text)
    except argparse.ArgumentTypeError as error:
        raise _NotThere(f"--cell: {error}.") from None
    shape = case.geometry.output_shape
    if case.unbatched and len(cell) == len(shape) - 1:
        cell = (0, *cell)
    if len(cell) != len(shape):
        raise _NotThere(f"--cell: {text!r} has {len(cell)} numbers; N,C,POS are {len(shape)} here.")
    if not all(0 <= at < size for at, size in zip(cell, shape)):
        raise _NotThere(f"--cell: {text} is outside the output, whose shape is {shape}.")
    return cell


def _refuse_off_screen(case: Case, view: View, step: int, cell: Ints) -> None:
    """Refuse to select a cell that the player does not show where it opens."""
    total = len(picked_trace(case, view))
    header = read_message(build(case, view, min(max(step - 1, 0), max(total - 1, 0))))[0]
    (output,) = (panel for panel in header["panels"] if panel["name"] == "output")
    tracks = output["tracks"][-case.layer.dims :]
    if not all(at in track["label"] for at, track in zip(cell[2:], tracks)):
        place = ",".join(map(str, cell))
        raise _NotThere(f"--cell: {place} is not on screen at step {step}: give a --step near it.")


def _named(name: str, call: int, unboxed: bool) -> Case:
    """Return a preset's case, a case file's, or that of a snippet's call (counted from 1)."""
    if name in PRESETS:
        return PRESETS[name].settings.case()
    if name.endswith(".json"):
        return from_json(Path(name).read_bytes())
    cases = read_snippet(Path(name).read_text(errors="replace"), unboxed=unboxed).cases
    if not 1 <= call <= len(cases):
        raise ExportError(
            f"{name} runs {len(cases)} transposed convolutions: there is no call {call} to write."
        )
    return cases[call - 1]


# -- overlap ------------------------------------------------------------------------------------


#: A map with more cells is not printed.
_PRINTED = 10_000


def _overlap(asked: argparse.Namespace) -> int:
    """Print the overlap of a layer, or of several in a row: 1 where there is nothing to count."""
    lines = [text for text in asked.lines if not text.isdecimal()]
    size = [int(text) for text in asked.lines if text.isdecimal()] or None
    try:
        layers = [layer_of(line) for line in lines]
        seen = overlap(layers[0], size) if len(layers) == 1 else stacked(layers, size)
        parts = [str(seen)]
        if asked.map:
            parts.append(_map(seen if isinstance(seen, Counts) else seen.last))
        if asked.alternatives:
            if len(layers) > 1:
                raise ValueError("Alternatives are told for one layer: give one.")
            for one in alternatives(layers[0], size):
                parts += [f"**{one.name}.** {one.sentence}", _block(one.code)]
    except (NotReadError, LayerError, TypeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n\n".join(parts))
    return 0


def _map(counts: Counts) -> str:
    cells = prod(counts.size)
    if cells > _PRINTED:
        return f"The map has {cells:,} cells: at most {_PRINTED:,} are printed."
    with np.printoptions(threshold=_PRINTED + 1, linewidth=10_000):
        return _block(str(counts.map()))


if __name__ == "__main__":
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(main())

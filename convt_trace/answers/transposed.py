"""Sentences and equations about a case, as Markdown with maths. Every number is the case's own.

An answer comes in three sizes: `short_answer` (a line per distinct sum), `cell_answer` (one output
cell, term by term) and `long_answer` (the whole story, good enough to paste into a forum). A plain
convolution gets its own in `convt_trace.answers.plain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from convt_trace.answers.sums import (
    MOST_CELLS,
    MOST_LINES,
    MOST_MACS,
    MOST_TERMS,
    Sum,
    is_exact,
    line,
    merged,
    number,
    numbers,
)
from convt_trace.engine.arrays import range_in_words, wide
from convt_trace.engine.case import Case
from convt_trace.engine.cost import cost_of, torch_refusal
from convt_trace.engine.layer import Ints, Layer, channel_ranges
from convt_trace.engine.reference import Verdict, compare
from convt_trace.engine.text import AXES, axes, by, shortest, table, times
from convt_trace.engine.trace import Mac, Macs

#: Groups that the block table lists before it skips to the last.
_MOST_GROUPS = 4

#: What each order of the MACs walks along.
ORDERS = {
    "scatter": "Each input value stamps the kernel onto the output.",
    "gather": "Each output cell collects its taps: the flipped kernel slides over the zero-stuffed "
    "input.",
}


def size_formula(case: Case) -> str:
    r"""Return the output-size formula, then the same with the case's numbers, per axis, as Markdown.

    Each is a formula of its own, which a phone breaks into lines; an aligned block of them it cannot.

    Examples
    --------
    >>> print(size_formula(Case.of([[[1, 1, 1]]], [[[1, 1, 2]]], padding=2)).splitlines()[-2])
    L_{out} = (3-1)\cdot1 - 2\cdot2 + 1\cdot(3-1) + 0 + 1 = 1
    """
    names = AXES[case.dims]
    rows = [
        f"{names[0]}_{{out}} = ({names[0]}_{{in}}-1)\\cdot\\text{{stride}} - 2\\cdot\\text{{padding}}"
        " + \\text{dilation}\\cdot(\\text{kernel\\_size}-1) + \\text{output\\_padding} + 1"
    ]
    layer, geometry = case.layer, case.geometry
    for name, size, stride, padding, dilation, kernel, extra, result in zip(
        names,
        geometry.input_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.kernel_size,
        layer.output_padding,
        geometry.output_size,
    ):
        rows.append(
            f"{name}_{{out}} = ({size}-1)\\cdot{stride} - 2\\cdot{padding} + "
            f"{dilation}\\cdot({kernel}-1) + {extra} + 1 = {result}"
        )
    return "\n\n".join(f"$$\n{row}\n$$" for row in rows)


def counts(case: Case) -> str:
    """Return what the layer costs, in one line: shapes, MACs, cropped MACs, parameters.

    Examples
    --------
    >>> print(counts(Case.of([[[1, 1, 1]]], [[[1, 1, 2]]], padding=2)))
    x (1, 1, 3) → y (1, 1, 1) · 9 MACs, of which 6 are cropped · 3 parameters
    """
    geometry = case.geometry
    shape = geometry.output_shape[1:] if case.unbatched else geometry.output_shape
    cropped = f", of which {geometry.cropped_macs:,} are cropped" if geometry.cropped_macs else ""
    return (
        f"x {case.x.shape} → y {shape} · {geometry.macs:,} MACs{cropped} · "
        f"{case.parameter_count:,} parameters"
    )


def weight_rule(case: Case) -> str:
    """Return how the weight's axes are read, with the case's groups."""
    layer = case.layer
    return (
        f"The weight is (in_channels, out_channels/groups, kernel) = {case.weight.shape}: input "
        f"channels first. Output channel co of group g is w[ci, co - g*{layer.out_per_group}]."
    )


# -- the short answer ---------------------------------------------------------------------------


def short_answer(case: Case) -> str:
    """Return the result as one line per distinct sum, in Markdown.

    Cells that add the same terms with the same numbers share a line. Where there are too many
    distinct sums, some are written out and the pattern of the rest is given.

    Examples
    --------
    >>> weight = np.array([1, 1, 2] * 8, dtype=np.float32).reshape(4, 2, 3)
    >>> x = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2], dtype=np.float32).reshape(1, 4, 3)
    >>> print(short_answer(Case.of(x, weight, padding=2, groups=2)))
    `y[0,0:2,0] = 2 * dot([1,1,1], [2,1,1]) = 8`
    <BLANKLINE>
    `y[0,2:4,0] = 2 * dot([1,1,2], [2,1,1]) = 10`
    """
    geometry = case.geometry
    cells = prod(geometry.output_shape)
    if not cells:
        return f"The output has shape {_shape(case)}: it holds no numbers."
    if cells > MOST_CELLS or geometry.kept_macs > MOST_MACS:
        return (
            f"{line([_name(case, _fullest(case))], _sum(case, _fullest(case)))}\n\n{_pattern(case)}"
        )
    distinct = merged((_name(case, cell), _sum(case, cell)) for cell in _cells(case))
    if len(distinct) <= MOST_LINES:
        return "\n\n".join(line(*one) for one in distinct)
    most = max(its_sum.terms for _, its_sum in distinct)
    fullest = next(one for one in distinct if one[1].terms == most)
    shown = [*distinct[:2], *([fullest] if fullest not in distinct[:2] else [])]
    lines = [line(*one) for one in shown]
    return "\n\n".join([*lines, f"{len(distinct) - len(shown)} more sums. {_pattern(case)}"])


def _cells(case: Case) -> Iterator[Ints]:
    return np.ndindex(case.geometry.output_shape)


def _sum(case: Case, cell: Ints) -> Sum:
    """Return what one output cell (n, c, *o) adds, read off the trace."""
    macs = case.trace().of_output(*cell)
    rows = (case.layer.in_per_group, -1) if len(macs) else (case.layer.in_per_group, 0)
    return Sum(
        x=macs.x.reshape(rows),
        w=macs.w.reshape(rows),
        bias=_bias(case, cell[1]),
        total=_total(case, macs, cell[1]),
        dtype=case.x.dtype,
    )


def _bias(case: Case, channel: int) -> Any:
    return None if case.bias is None else wide(case.bias)[channel]


def _total(case: Case, macs: Macs, channel: int) -> Any:
    """Return a cell's value in torch's dtype: its last running sum and the bias."""
    with np.errstate(all="ignore"):
        return _wide_total(case, macs, channel).astype(case.x.dtype)


def _wide_total(case: Case, macs: Macs, channel: int) -> Any:
    """Return the same before it is stored in torch's dtype."""
    total = macs.after[-1] if len(macs) else wide(case.x[:0]).dtype.type(0)
    with np.errstate(all="ignore"):
        return total if case.bias is None else total + wide(case.bias)[channel]


def _fullest(case: Case) -> Ints:
    """Return the first cell with the most terms, in batch item 0 and channel 0."""
    return (0, 0, *(int(np.argmax(axis.count[axis.inside])) for axis in case.geometry.axes))


def _name(case: Case, cell: Ints) -> Ints:
    """Return a cell's index as the person writes it: without a batch axis if x has none."""
    return cell[1:] if case.unbatched else cell


def _index(case: Case, cell: Ints) -> str:
    return ",".join(map(str, _name(case, cell)))


def _shape(case: Case) -> Ints:
    shape = case.geometry.output_shape
    return shape[1:] if case.unbatched else shape


def _pattern(case: Case) -> str:
    """Return how every cell is summed, with the layer's numbers, and how many terms it has."""
    layer = case.layer
    names = [""] if case.dims == 1 else list(map(str, range(case.dims)))
    rules = [
        f"{times(f'i{axis}', s)}{f' - {p}' if p else ''} + {times(f'k{axis}', d)} = o{axis}"
        for axis, s, p, d in zip(names, layer.stride, layer.padding, layer.dilation)
    ]
    where = ", ".join(f"`{rule}`" for rule in rules)
    least, most = _terms(case)
    n = "" if case.unbatched else "n,"
    local = "c" if layer.groups == 1 else f"c - g*{layer.out_per_group}"
    plural = "s" if layer.in_per_group > 1 else ""
    group = " of c's group g" if layer.groups > 1 else ""
    bias = " + bias[c]" if case.bias is not None else ""
    return (
        f"Every cell is summed the same way: `y[{n}c,o] = Σ x[{n}ci,i] * w[ci,{local},k]{bias}` over "
        f"the {layer.in_per_group:,} input channel{plural}{group} and all positions i and taps k with "
        f"{where}: {least:,}{f' to {most:,}' if most != least else ''} "
        f"term{'s' if most != 1 else ''} a cell."
    )


def _terms(case: Case) -> tuple[int, int]:
    """Return the fewest and the most terms that an output cell has."""
    counts = [axis.count[axis.inside] for axis in case.geometry.axes]
    channels = case.layer.in_per_group
    return (
        channels * prod(int(count.min()) for count in counts),
        channels * prod(int(count.max()) for count in counts),
    )


# -- one cell -----------------------------------------------------------------------------------


def cell_answer(case: Case, n: int, c: int, *pos: int, verdict: Verdict | None = None) -> str:
    """Return the sum of one output cell, term by term, in Markdown.

    Parameters
    ----------
    case : Case
    n, c : int
        Batch item (0 for an unbatched input) and output channel.
    *pos : int
        Output position. One that padding crops, but that is on the canvas, is explained too.
    verdict : Verdict, optional
        `convt_trace.compare` of the case, if it is at hand already.

    Raises
    ------
    IndexError
        For a cell that is not there, with what is.

    Examples
    --------
    >>> print(cell_answer(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2), 0, 0, 0))
    **`y[0,0,0] = 12`**: batch item 0, output channel 0, position 0.
    <BLANKLINE>
    ```
    x[0,0,0] * w[0,0,2] = 2 * 5 = 10   sum 10
    x[0,0,1] * w[0,0,1] = 1 * 1 = 1    sum 11
    x[0,0,2] * w[0,0,0] = 1 * 1 = 1    sum 12
    ```
    <BLANKLINE>
    3 terms; none is zero. The 3 input values in this sum stamp 9 cells of this channel; padding crops
    4 of them. torch says 12: equal.
    """
    macs = case.trace().of_output(n, c, *pos)
    cell = (n, c, *pos)
    kept = all(0 <= o < size for o, size in zip(pos, case.geometry.output_size))
    total = _total(case, macs, c)
    facts = [_count(case, macs), _cropped(case, macs)]
    if kept:
        facts += [_bias_words(case, macs, c), _range_words(case, macs, c, total)]
        facts.append(_torch_words(case, cell, total, verdict or _compared(case)))
    else:
        facts.append("Padding crops this cell: the sum is computed but is not part of the output.")
    head = f"**`y[{_index(case, cell)}] {_sign(total, case)} {number(total)}`**"
    if not kept:
        head = f"**Cropped: canvas cell at output position {_position(pos)}**"
    parts = [f"{head}: {_where(case, cell)}"]
    parts += [f"```\n{_table(case, macs)}\n```"] if len(macs) else []
    shown = [*macs.x[:MOST_TERMS], *macs.w[:MOST_TERMS], total]
    if not all(is_exact(value, case.x.dtype) for value in shown):
        facts.append("Some numbers are rounded for reading.")
    return "\n\n".join([*parts, " ".join(fact for fact in facts if fact)])


def _sign(total: Any, case: Case) -> str:
    exact = number(total)
    return "=" if case.x.dtype.kind in "iu" or float(exact) == float(total) else "≈"


def _position(pos: Ints) -> str:
    return str(pos[0]) if len(pos) == 1 else str(tuple(pos))


def _where(case: Case, cell: Ints) -> str:
    n, c, *pos = cell
    item = "" if case.unbatched else f"batch item {n}, "
    layer = case.layer
    if layer.groups == 1:
        return f"{item}output channel {c}, position {_position(tuple(pos))}."
    group = c // layer.out_per_group
    ins, _ = list(channel_ranges(layer))[group]
    return (
        f"{item}output channel {c}, position {_position(tuple(pos))}. The channel is in group {group}, "
        f"which reads input channel{_span(ins)}."
    )


def _span(channels: range) -> str:
    if len(channels) == 1:
        return f" {channels[0]}"
    return f"s {channels[0]} to {channels[-1]}"


def _table(case: Case, macs: Macs) -> str:
    """Return the terms, a line each, in columns; of many, the first and the last."""
    if len(macs) <= MOST_TERMS:
        return "\n".join(_aligned([_row(case, mac) for mac in macs]))
    head, tail = MOST_TERMS // 2, 4
    rows = [_row(case, macs[row]) for row in [*range(head), *range(len(macs) - tail, len(macs))]]
    lines = _aligned(rows)
    skipped = len(macs) - head - tail
    before = number(macs.before[len(macs) - tail])
    gap = f"… {skipped:,} more terms, which bring the sum to {before} …"
    return "\n".join([*lines[:head], gap, *lines[head:]])


def _row(case: Case, mac: Mac) -> tuple[str, str, str]:
    at = _index(case, (mac.n, mac.in_channel, *mac.i))
    local = mac.out_channel - mac.group * case.layer.out_per_group
    tap = ",".join(map(str, (mac.in_channel, local, *mac.k)))
    return (
        f"x[{at}] * w[{tap}]",
        f"{number(mac.x)} * {number(mac.w)} = {number(mac.product)}",
        f"sum {number(mac.after)}",
    )


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    first, second = (max(len(row[place]) for row in rows) for place in (0, 1))
    return [f"{a:<{first}} = {b:<{second}}   {c}" for a, b, c in rows]


def _count(case: Case, macs: Macs) -> str:
    """Return how many terms there are, how many are zero, and where the kernel meets no input."""
    zero = int((macs.product == 0).sum())
    zeros = {0: "none is zero", 1: "1 of them is zero"}.get(zero, f"{zero:,} of them are zero")
    if not len(macs):
        text = "No term: no stamp reaches this cell."
    elif len(macs) == 1:
        text = f"1 term{', which is zero' if zero else ''}."
    else:
        text = f"{len(macs):,} terms; {zeros}."
    taps = case.layer.in_per_group * prod(case.layer.kernel_size)
    missing = taps - len(macs)
    if not missing:
        return text
    return (
        f"{text} {missing:,} of the {taps:,} weights of this output channel meet no input value here: "
        "they fall on the zeros between input values (stride) or outside the border."
    )


def _cropped(case: Case, macs: Macs) -> str:
    """Return how much of the stamps of this sum's input values padding throws away."""
    stamps = _stamps(case, macs)
    values, made, kept = len(stamps), len(stamps) * prod(case.layer.kernel_size), sum(stamps)
    if made == kept:
        return ""
    plural = ("s", "") if values > 1 else ("", "s")
    return (
        f"The {f'{values:,} ' if values > 1 else ''}input value{plural[0]} in this sum "
        f"stamp{plural[1]} {made:,} cells of this channel; padding crops {made - kept:,} of them."
    )


def _stamps(case: Case, macs: Macs) -> list[int]:
    """Return for each input value among these MACs how many cells of its stamp are kept."""
    kept = np.ones(len(macs), dtype=np.int64)
    for place, axis in enumerate(case.geometry.axes):
        inside = (axis.c >= axis.inside.start) & (axis.c < axis.inside.stop)
        kept *= np.bincount(axis.i[inside], minlength=axis.length)[macs.i[:, place]]
    return kept.tolist()


def _bias_words(case: Case, macs: Macs, c: int) -> str:
    if case.bias is None:
        return ""
    bias = number(case.bias[c])
    if not len(macs):
        return f"What it holds is the bias of channel {c}, {bias}."
    return f"The bias of channel {c}, {bias}, is added once, to the sum {number(macs.after[-1])}."


def _range_words(case: Case, macs: Macs, c: int, total: Any) -> str:
    """Return why a finite sum is stored as inf, where it is."""
    if case.x.dtype.kind in "iu" or not np.isinf(total):
        return ""
    exact = _wide_total(case, macs, c)
    if not np.isfinite(exact):
        return ""
    return (
        f"The sum, {number(exact)}, is outside {range_in_words(case.x.dtype)}: it is stored as "
        f"{number(total)}."
    )


def _compared(case: Case) -> Verdict | str:
    """Return the verdict, or why torch's result is not computed for so large a case."""
    return torch_refusal(cost_of(case), case.x.dtype) or compare(case)


def _torch_words(case: Case, cell: Ints, total: Any, verdict: Verdict | str) -> str:
    if isinstance(verdict, str):
        return verdict
    place = _name(case, cell)
    theirs = verdict.torch[place]
    if theirs == total or (theirs != theirs and total != total):
        return f"torch says {number(theirs)}: equal."
    dtype = case.x.dtype.name
    if verdict.overflows[place]:
        return (
            f"torch says {number(theirs)}: this sum can leave {range_in_words(case.x.dtype)}, on its "
            "way, and the order of adding decides whether it does."
        )
    with np.errstate(all="ignore"):
        apart = f"torch says {number(theirs)}: {number(abs(float(theirs) - float(total)), 2)} apart"
    if not verdict.agrees[place]:
        return f"{apart}, a bug in convt-trace."
    return f"{apart}, the rounding of {dtype} sums taken in another order."


# -- the long answer ----------------------------------------------------------------------------


def long_answer(case: Case, cell: Ints | None = None, verdict: Verdict | None = None) -> str:
    """Return the whole story of a case, in Markdown with maths: fit to be pasted into a forum.

    Parameters
    ----------
    case : Case
    cell : tuple of int, optional
        An output cell (n, c, *position) to add up term by term, beside the short answer's sums.
    verdict : Verdict, optional
        `convt_trace.compare` of the case, if it is at hand already.

    Examples
    --------
    >>> answer = long_answer(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2))
    >>> print(answer.partition("**The weight.**")[0].strip())
    **Shapes.** `F.conv_transpose1d(x, weight, padding=2)` takes x of shape (1, 1, 4), that is
    (N, C_in, L), and weight of shape (1, 1, 3), and gives y of shape (1, 1, 2), that is
    (N, C_out, L_out).
    """
    compared = verdict or _compared(case)
    parts = [
        f"**Shapes.** {_shapes(case)}",
        f"**The weight.** {_weight(case)}",
        f"**Padding.** {_padding(case)}",
        f"**Output size.**\n\n{size_formula(case)}",
        f"**The kernel is flipped.** {_flip(case)}",
        f"**The sums.**\n\n{short_answer(case)}",
    ]
    if cell is not None:
        at_hand = compared if isinstance(compared, Verdict) else None
        parts.append(cell_answer(case, *cell, verdict=at_hand))
    parts.append(f"**torch.** {_result(compared)}")
    return "\n\n".join(parts)


def _shapes(case: Case) -> str:
    layer = case.layer
    keywords = [f"{name}={value}" for name, value in layer.arguments().items()]
    given = ["x", "weight", *(["bias"] if case.bias is not None else []), *keywords]
    spatial = axes(case.dims)
    n = "" if case.unbatched else "N, "
    bias = f", bias of shape {case.bias.shape}" if case.bias is not None else ""
    out = ", ".join(f"{name}_out" for name in AXES[case.dims])
    unbatched = " x has no batch axis, so its first axis is the channels." if case.unbatched else ""
    return (
        f"`F.{case.op}({', '.join(given)})` takes x of shape {case.x.shape}, that is "
        f"({n}C_in, {spatial}), and weight of shape {case.weight.shape}{bias}, and gives y of shape "
        f"{_shape(case)}, that is ({n}C_out, {out}).{unbatched}"
    )


def _weight(case: Case) -> str:
    layer = case.layer
    first = (
        f"Its shape {case.weight.shape} is (in_channels, out_channels/groups, "
        f"{'kernel' if case.dims == 1 else '*kernel'}): input channels first, the other way round "
        "than a Conv's."
    )
    if layer.groups == 1:
        return f"{first} groups=1: every output channel reads every input channel."
    depthwise = (
        " With groups=in_channels every input channel is a group of its own (depthwise)."
        if layer.groups == layer.in_channels
        else ""
    )
    return (
        f"{first} groups={layer.groups} cuts the channels into blocks that do not see each "
        f"other.{depthwise}\n\n{_blocks(layer)}"
    )


def _blocks(layer: Layer) -> str:
    """Return which input channels meet which output channels, as a Markdown table."""
    heads, rows = ("group", "input channels", "weight block", "output channels"), []
    for group, (ins, outs) in enumerate(channel_ranges(layer)):
        if _MOST_GROUPS <= group < layer.groups - 1:
            rows += [["…"] * len(heads)] if group == _MOST_GROUPS else []
            continue
        block = f"`weight[{_slice_of(ins)}]`"
        rows.append([str(group), _listed(ins), block, _listed(outs)])
    return table(heads, rows)


def _slice_of(channels: range) -> str:
    return str(channels[0]) if len(channels) == 1 else f"{channels[0]}:{channels[-1] + 1}"


def _listed(channels: range) -> str:
    if len(channels) <= 4:
        return ", ".join(map(str, channels))
    return f"{channels[0]} to {channels[-1]}"


def _padding(case: Case) -> str:
    """Return what padding crops, what it is in the other view, and what output_padding adds."""
    layer, axes = case.layer, case.geometry.axes
    borders = [d * (k - 1) - p for d, k, p in zip(layer.dilation, layer.kernel_size, layer.padding)]
    uncropped = [axis.canvas - max(0, axis.output_padding - axis.padding) for axis in axes]
    crops = (
        f"padding={shortest(layer.padding)} crops: the stamps fill {by(uncropped)} cells, and "
        f"{shortest(layer.padding)} {'are' if max(layer.padding) > 1 else 'is'} cut off at each end."
        if any(layer.padding)
        else f"padding=0 crops nothing: all {by(uncropped)} cells that the stamps fill are in the output."
    )
    gather = (
        " Seen as a convolution of the input (with zeros between its values if stride > 1), the border "
        f"of zeros on each side is `dilation*(kernel-1) - padding` wide: {_border_sums(case, borders)}"
    )
    if min(borders) < 0:
        gather += "; a negative border cuts that many cells off instead"
    return f"{crops}{gather}.{_extra(case)}"


def _border_sums(case: Case, borders: list[int]) -> str:
    layer = case.layer
    texts = [
        f"{d}*({k}-1) - {p} = {border}"
        for d, k, p, border in zip(layer.dilation, layer.kernel_size, layer.padding, borders)
    ]
    return texts[0] if len(set(texts)) == 1 else "; ".join(texts)


def _extra(case: Case) -> str:
    """Return what the cells that output_padding adds hold, counted."""
    layer, axes = case.layer, case.geometry.axes
    if not any(layer.output_padding):
        return ""
    reached = [
        int((axis.count[axis.inside][axis.outputs - extra :] > 0).sum()) if extra else 0
        for axis, extra in zip(axes, layer.output_padding)
    ]
    cells = (
        "real sums land in all of them"
        if reached == list(layer.output_padding)
        else "no stamp reaches them, so they hold the bias alone"
        if not any(reached)
        else f"stamps reach {shortest(tuple(reached))} of them, the rest hold the bias alone"
    )
    return (
        f" output_padding={shortest(layer.output_padding)} adds that many cells at the end; it is "
        f"not a strip of zeros: {cells}."
    )


def _flip(case: Case) -> str:
    why = (
        "A transposed convolution is the gradient of a convolution with respect to its input: each "
        "input value stamps the kernel, as it is, at `i*stride - padding`. Seen from one output cell "
        "the later input values come with the earlier taps (`o = i*stride - padding + k*dilation`: "
        "as i grows, k shrinks), so along the input the kernel is read backwards."
    )
    if max(case.layer.kernel_size) == 1:
        return f"{why} Here it has a single tap, so there is nothing to flip."
    if case.dims > 1 or case.weight.shape[-1] > 12:
        return why
    kernel = case.weight[0, 0]
    return f"{why} Here `{numbers(kernel)}` is read as `{numbers(kernel[::-1])}`."


def _result(verdict: Verdict | str) -> str:
    if isinstance(verdict, str):
        return verdict[:1].upper() + verdict[1:]
    sentence = str(verdict)
    if verdict.torch.size > 64:
        return f"The trace {sentence}."
    flat = ", ".join(map(number, verdict.torch.reshape(-1)))
    return f"`[{flat}]` in shape {verdict.torch.shape}. The trace {sentence}."


def beside_plain_conv(plain: np.ndarray, transposed: np.ndarray) -> str:
    """Return torch's results of a plain and a transposed convolution side by side, in one line.

    >>> beside_plain_conv(np.array([8.0, 17.0]), np.array([12.0, 9.0]))
    'Plain convolution: `[8, 17]`. Transposed: `[12, 9]`.'
    """

    def listed(result: np.ndarray) -> str:
        return "[" + ", ".join(map(number, result.ravel())) + "]"

    return f"Plain convolution: `{listed(plain)}`. Transposed: `{listed(transposed)}`."

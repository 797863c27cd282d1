"""The same answers for a plain ``conv1d/2d/3d``: there the kernel is not flipped.

A snippet often holds both, to compare them. The sums are read off the tensors with the index rule of a
plain convolution,

    y[n, co, o]  =  sum of  x[n, g*C_in/groups + ci, o*stride - padding + k*dilation] * w[co, ci, k]

and held against the output that torch gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
)
from convt_trace.engine.arrays import as_array, wide
from convt_trace.engine.conv import Conv
from convt_trace.engine.layer import Ints, conv_length, ints, span
from convt_trace.engine.text import times

#: How a plain convolution is walked through.
ORDER = (
    "Each output cell collects its window of x, input channel by input channel and tap by tap; "
    "the kernel is not flipped."
)


def conv_counts(conv: Conv) -> str:
    """Return the shapes and the MACs of a plain convolution, and how many read padding's zeros.

    >>> conv_counts(Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=1))
    'x (1, 1, 4) → y (1, 1, 4) · 12 MACs, 2 of them on padded zeros'
    """
    geometry = conv.geometry
    shapes = f"x {conv.x.shape} → y {geometry.output_shape[conv.unbatched :]}"
    padded = f", {geometry.padded_macs:,} of them on padded zeros" if geometry.padded_macs else ""
    return f"{shapes} · {geometry.macs:,} MAC{'s' * (geometry.macs != 1)}{padded}"


def no_picture(mode: str) -> str:
    """Return why there is no picture of a layer that pads with something other than zeros.

    >>> print(no_picture("circular"))
    There is no picture of this call: padding_mode="circular" has padded x with values of its own
    before the convolution, and the picture shows padding with zeros only. The sums read the padded x.
    """
    return (
        f'There is no picture of this call: padding_mode="{mode}" has padded x with values of its own '
        "before the convolution, and the picture shows padding with zeros only. The sums read the "
        "padded x."
    )


def conv_short_answer(
    x: ArrayLike | Any,
    weight: ArrayLike | Any,
    bias: ArrayLike | Any | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    output: ArrayLike | Any | None = None,
) -> str:
    """Return the result of a plain convolution as one line per distinct sum, in Markdown.

    Parameters
    ----------
    x : array_like or torch.Tensor, shape (N, C_in, *L) or (C_in, *L)
    weight : array_like or torch.Tensor, shape (C_out, C_in/groups, *K)
    bias : array_like or torch.Tensor, shape (C_out,), optional
    stride, padding, dilation, groups
        As in ``torch.nn.functional.conv2d``; padding may be "same" or "valid".
    output : array_like or torch.Tensor, optional
        What torch returned: the results in the answer are these. Without it they are the sums.

    Examples
    --------
    >>> print(conv_short_answer([[[2, 1, 1, 3]]], [[[1, 1, 5]]]))
    `y[0,0,0] = dot([2,1,1], [1,1,5]) = 8`
    <BLANKLINE>
    `y[0,0,1] = dot([1,1,3], [1,1,5]) = 17`
    <BLANKLINE>
    The kernel is not flipped here: tap k meets `x[o + k]`.
    """
    conv = _Conv.of(x, weight, bias, stride, padding, dilation, groups, output)
    if not prod(conv.shape):
        return f"The output has shape {conv.shape[conv.unbatched :]}: it holds no numbers."
    if prod(conv.shape) > MOST_CELLS or prod(conv.shape) * prod(conv.weight.shape[1:]) > MOST_MACS:
        cell = conv.fullest()
        return f"{line([cell[conv.unbatched :]], conv.sum(cell))}\n\n{conv.pattern()}"
    distinct = merged((cell[conv.unbatched :], conv.sum(cell)) for cell in np.ndindex(conv.shape))
    shown = distinct if len(distinct) <= MOST_LINES else distinct[:3]
    lines = [line(*one) for one in shown]
    if len(shown) < len(distinct):
        lines.append(f"{len(distinct) - len(shown)} more sums. {conv.pattern()}")
    else:
        lines.append(conv.not_flipped())
    return "\n\n".join(lines)


def conv_cell_answer(
    x: ArrayLike | Any,
    weight: ArrayLike | Any,
    bias: ArrayLike | Any | None,
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    output: ArrayLike | Any | None,
    n: int,
    c: int,
    *pos: int,
) -> str:
    """Return the sum of one output cell of a plain convolution, term by term, in Markdown.

    The arguments are those of `conv_short_answer`, then the cell.

    Examples
    --------
    >>> print(conv_cell_answer([[[2, 1, 1, 3]]], [[[1, 1, 5]]], None, 1, 0, 1, 1, None, 0, 0, 1))
    **`y[0,0,1] = 17`**
    <BLANKLINE>
    ```
    x[0,0,1] * w[0,0,0] = 1 * 1 = 1
    x[0,0,2] * w[0,0,1] = 1 * 1 = 1
    x[0,0,3] * w[0,0,2] = 3 * 5 = 15
    ```
    <BLANKLINE>
    3 terms. The kernel is not flipped here: tap k meets `x[o + k]`.
    """
    conv = _Conv.of(x, weight, bias, stride, padding, dilation, groups, output)
    cell = (n, c, *pos)
    if len(cell) != len(conv.shape) or any(
        not 0 <= place < size for place, size in zip(cell, conv.shape)
    ):
        raise IndexError(f"cell {cell} is outside the output, whose shape is {conv.shape}")
    its_sum = conv.sum(cell)
    sign = "=" if is_exact(its_sum.total, its_sum.dtype) else "≈"
    name = ",".join(map(str, cell[conv.unbatched :]))
    parts = [f"**`y[{name}] {sign} {number(its_sum.total)}`**"]
    if its_sum.terms:
        parts.append("```\n" + "\n".join(conv.rows(cell, its_sum)) + "\n```")
    return "\n\n".join([*parts, " ".join(conv.facts(cell, its_sum))])


@dataclass(frozen=True, eq=False)
class _Conv:
    """A plain convolution with its numbers, batched, one parameter per dimension."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: Ints
    before: Ints
    dilation: Ints
    groups: int
    shape: Ints
    output: np.ndarray | None
    unbatched: bool

    @classmethod
    def of(
        cls, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int,
        output: Any,
    ) -> _Conv:  # fmt: skip
        weight = as_array(weight, "weight")
        x = as_array(x, "x", like=weight.dtype)
        dims = weight.ndim - 2
        strides, dilations = ints(stride, dims, "stride"), ints(dilation, dims, "dilation")
        unbatched = x.ndim == dims + 1
        x = x[None] if unbatched else x
        taps = weight.shape[2:]
        before, after = _sides(padding, [span(k, d) - 1 for k, d in zip(taps, dilations)], dims)
        both = [a + b for a, b in zip(before, after)]
        size = tuple(map(conv_length, x.shape[2:], taps, strides, both, dilations))
        shape = (len(x), len(weight), *size)
        if x.shape[1] != weight.shape[1] * groups or min(size, default=0) < 1:
            raise ValueError(
                f"x of shape {x.shape} and weight of shape {weight.shape} with groups={groups} do "
                "not go together: weight is (C_out, C_in/groups, *K), and K has to fit into x."
            )
        given = None if output is None else as_array(output, "output").reshape(shape)
        array = None if bias is None else as_array(bias, "bias", like=weight.dtype)
        return cls(x, weight, array, strides, before, dilations, groups, shape, given, unbatched)

    def sum(self, cell: Ints) -> Sum:
        """Return what a cell adds: the taps that meet an input value, in the order of the taps."""
        taps, at = self._meeting(cell)
        channels = self._channels(cell[1])
        x = wide(self.x[cell[0]][channels][(slice(None), *np.ix_(*at))]).reshape(len(channels), -1)
        w = wide(self.weight[cell[1]][(slice(None), *np.ix_(*taps))]).reshape(len(channels), -1)
        bias = None if self.bias is None else wide(self.bias)[cell[1]]
        with np.errstate(all="ignore"):
            total = (x * w).sum() + (0 if bias is None else bias)
            total = total.astype(self.x.dtype) if self.output is None else self.output[cell]
        return Sum(x, w, bias, total, self.x.dtype)

    def _channels(self, c: int) -> np.ndarray:
        ins = self.weight.shape[1]
        group = c // (len(self.weight) // self.groups)
        return np.arange(group * ins, (group + 1) * ins)

    def _meeting(self, cell: Ints) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return, per axis, the taps that meet an input value and the positions of those values."""
        taps, at = [], []
        for o, s, p, d, k, length in zip(
            cell[2:], self.stride, self.before, self.dilation, self.weight.shape[2:],
            self.x.shape[2:],
        ):  # fmt: skip
            tap = np.arange(k)
            place = o * s - p + tap * d
            inside = (place >= 0) & (place < length)
            taps.append(tap[inside])
            at.append(place[inside])
        return taps, at

    def fullest(self) -> Ints:
        """Return a cell in the middle, of batch item 0 and channel 0."""
        return (0, 0, *(size // 2 for size in self.shape[2:]))

    def rows(self, cell: Ints, its_sum: Sum) -> list[str]:
        """Return the terms as lines; of many, the first and the last."""
        taps, at = self._meeting(cell)
        spots = [*zip(_grid(at), _grid(taps))]
        chosen = range(its_sum.terms)
        head, tail = MOST_TERMS // 2, 4
        cut = its_sum.terms > MOST_TERMS
        shown = [*chosen[:head], *chosen[-tail:]] if cut else [*chosen]
        lines = []
        for term in shown:
            local, spot = divmod(term, len(spots))
            (i, k), channel = spots[spot], int(self._channels(cell[1])[local])
            index = ",".join(map(str, (cell[0], channel, *i)[self.unbatched :]))
            tap = ",".join(map(str, (cell[1], local, *k)))
            left, right = its_sum.x.flat[term], its_sum.w.flat[term]
            lines.append(
                f"x[{index}] * w[{tap}] = {number(left)} * {number(right)} = {number(left * right)}"
            )
        if cut:
            lines.insert(head, f"… {its_sum.terms - head - tail:,} more terms …")
        return lines

    def facts(self, cell: Ints, its_sum: Sum) -> list[str]:
        """Return the counts, the bias, torch's number, and that nothing is flipped."""
        facts = [f"{its_sum.terms:,} term{'s' if its_sum.terms != 1 else ''}."]
        beyond = prod(self.weight.shape[1:]) - its_sum.terms
        if beyond:
            facts.append(f"{beyond:,} more fall on padding, which is zeros here.")
        if self.bias is not None:
            facts.append(
                f"The bias of channel {cell[1]}, {number(self.bias[cell[1]])}, is added once."
            )
        if self.output is not None:
            facts.append(f"torch says {number(self.output[cell])}.")
        return [*facts, self.not_flipped()]

    def not_flipped(self) -> str:
        """Return the sentence that tells this from a transposed convolution, with its index rule."""
        return f"The kernel is not flipped here: tap k meets `x[{self._rule()}]`."

    def pattern(self) -> str:
        """Return how every cell is summed."""
        ins = self.weight.shape[1]
        return (
            f"Every cell is summed the same way, over {ins:,} input channel{'s' if ins > 1 else ''} "
            f"and {prod(self.weight.shape[2:]):,} taps, less those on padding. {self.not_flipped()}"
        )

    def _rule(self) -> str:
        names = [""] if len(self.stride) == 1 else [str(axis) for axis in range(len(self.stride))]
        return ", ".join(
            f"{times(f'o{axis}', s)}{f' - {p}' if p else ''} + {times(f'k{axis}', d)}"
            for axis, s, p, d in zip(names, self.stride, self.before, self.dilation)
        )


def _grid(places: list[np.ndarray]) -> list[Ints]:
    """Return every combination of places along the axes, the last axis fastest."""
    sizes = [len(along) for along in places]
    return [
        tuple(int(along[spot]) for along, spot in zip(places, spots))
        for spots in islice(np.ndindex(*sizes), prod(sizes))
    ]


def _sides(padding: Any, reach: list[int], dims: int) -> tuple[Ints, Ints]:
    """Return the zeros before and after each axis; "same" puts the odd one after."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        return tuple(r // 2 for r in reach), tuple(r - r // 2 for r in reach)
    numbers = ints(padding, dims, "padding")
    return numbers, numbers

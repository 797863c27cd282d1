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
from convt_trace.engine.layer import Ints
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
    sums = _Sums.of(x, weight, bias, stride, padding, dilation, groups, output)
    unbatched = sums.conv.unbatched
    if not prod(sums.shape):
        return f"The output has shape {sums.shape[unbatched:]}: it holds no numbers."
    if prod(sums.shape) > MOST_CELLS or sums.conv.geometry.macs > MOST_MACS:
        cell = sums.fullest()
        return f"{line([cell[unbatched:]], sums.sum(cell))}\n\n{sums.pattern()}"
    distinct = merged((cell[unbatched:], sums.sum(cell)) for cell in np.ndindex(sums.shape))
    shown = distinct if len(distinct) <= MOST_LINES else distinct[:3]
    lines = [line(*one) for one in shown]
    if len(shown) < len(distinct):
        lines.append(f"{len(distinct) - len(shown)} more sums. {sums.pattern()}")
    else:
        lines.append(sums.not_flipped())
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
    sums = _Sums.of(x, weight, bias, stride, padding, dilation, groups, output)
    cell = (n, c, *pos)
    if len(cell) != len(sums.shape) or any(
        not 0 <= place < size for place, size in zip(cell, sums.shape)
    ):
        raise IndexError(f"cell {cell} is outside the output, whose shape is {sums.shape}")
    its_sum = sums.sum(cell)
    sign = "=" if is_exact(its_sum.total, its_sum.dtype) else "≈"
    name = ",".join(map(str, cell[sums.conv.unbatched :]))
    parts = [f"**`y[{name}] {sign} {number(its_sum.total)}`**"]
    if its_sum.terms:
        parts.append("```\n" + "\n".join(sums.rows(cell, its_sum)) + "\n```")
    return "\n\n".join([*parts, " ".join(sums.facts(cell, its_sum))])


@dataclass(frozen=True, eq=False)
class _Sums:
    """The sums of a plain convolution, and torch's results where they are known, batched."""

    conv: Conv
    output: np.ndarray | None

    @classmethod
    def of(
        cls, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int,
        output: Any,
    ) -> _Sums:  # fmt: skip
        conv = Conv.of(
            x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        shape = conv.geometry.output_shape
        return cls(conv, None if output is None else as_array(output, "output").reshape(shape))

    @property
    def shape(self) -> Ints:
        """The output's shape, with a batch axis."""
        return self.conv.geometry.output_shape

    def sum(self, cell: Ints) -> Sum:
        """Return what a cell adds: the taps that meet an input value, in the order of the taps."""
        conv = self.conv
        taps, at = self._meeting(cell)
        channels = self._channels(cell[1])
        x = wide(conv.batched[cell[0]][channels][(slice(None), *np.ix_(*at))])
        w = wide(conv.weight[cell[1]][(slice(None), *np.ix_(*taps))])
        x, w = x.reshape(len(channels), -1), w.reshape(len(channels), -1)
        bias = None if conv.bias is None else wide(conv.bias)[cell[1]]
        with np.errstate(all="ignore"):
            total = (x * w).sum() + (0 if bias is None else bias)
            total = total.astype(conv.x.dtype) if self.output is None else self.output[cell]
        return Sum(x, w, bias, total, conv.x.dtype)

    def _channels(self, c: int) -> np.ndarray:
        layer = self.conv.layer
        group = c // layer.out_per_group
        return np.arange(group * layer.in_per_group, (group + 1) * layer.in_per_group)

    def _meeting(self, cell: Ints) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return, per axis, the taps that meet an input value and the positions of those values."""
        geometry = self.conv.geometry
        taps, at = [], []
        for axis, (o, k, length) in enumerate(
            zip(cell[2:], geometry.layer.kernel_size, geometry.input_size)
        ):
            tap = np.arange(k)
            place = geometry.places(axis, np.array(o), tap)
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
            index = ",".join(map(str, (cell[0], channel, *i)[self.conv.unbatched :]))
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
        beyond = self.conv.most_terms - its_sum.terms
        if beyond:
            facts.append(f"{beyond:,} more fall on padding, which is zeros here.")
        if self.conv.bias is not None:
            facts.append(
                f"The bias of channel {cell[1]}, {number(self.conv.bias[cell[1]])}, is added once."
            )
        if self.output is not None:
            facts.append(f"torch says {number(self.output[cell])}.")
        return [*facts, self.not_flipped()]

    def not_flipped(self) -> str:
        """Return the sentence that tells this from a transposed convolution, with its index rule."""
        return f"The kernel is not flipped here: tap k meets `x[{self._rule()}]`."

    def pattern(self) -> str:
        """Return how every cell is summed."""
        layer = self.conv.layer
        ins = layer.in_per_group
        return (
            f"Every cell is summed the same way, over {ins:,} input channel{'s' if ins > 1 else ''} "
            f"and {prod(layer.kernel_size):,} taps, less those on padding. {self.not_flipped()}"
        )

    def _rule(self) -> str:
        layer = self.conv.layer
        names = [""] if layer.dims == 1 else [str(axis) for axis in range(layer.dims)]
        return ", ".join(
            f"{times(f'o{axis}', s)}{f' - {p}' if p else ''} + {times(f'k{axis}', d)}"
            for axis, s, (p, _), d in zip(names, layer.stride, layer.sides, layer.dilation)
        )


def _grid(places: list[np.ndarray]) -> list[Ints]:
    """Return every combination of places along the axes, the last axis fastest."""
    sizes = [len(along) for along in places]
    return [
        tuple(int(along[spot]) for along, spot in zip(places, spots))
        for spots in islice(np.ndindex(*sizes), prod(sizes))
    ]

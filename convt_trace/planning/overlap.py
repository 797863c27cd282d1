"""Overlap: how many multiply-accumulates (MACs) land in each output cell of a transposed convolution.

Where neighbours get different numbers, a constant input comes out as a checkerboard (Odena, Dumoulin and
Olah, *Deconvolution and Checkerboard Artifacts*, Distill 2016). All of it is worked out axis by axis in
closed form; a map is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.layer import Axis, Geometry, Ints, Layer, ints, phases
from convt_trace.engine.text import AXES, count, table
from convt_trace.planning.counts import Along, Counts
from convt_trace.planning.heat import heat
from convt_trace.planning.weighted import Weighted, added_up

#: Cells of a map that a notebook draws.
_DRAWN = 2**20
#: Phases of an axis that a table lists.
_LISTED = 8


@dataclass(frozen=True, eq=False)
class Phase:
    """The output positions that are one position modulo the stride, and the sub-kernel that makes them.

    Attributes
    ----------
    position : tuple of int
        Output position modulo the stride, per axis.
    taps : tuple of range
        The kernel taps that reach these positions, per axis.
    count : int
        MACs that land in each such cell of an output channel, edges left out.
    kernel : ndarray or None
        Those taps of the weight, (C_in, C_out/groups, *number of taps); None without a case.
    sums : ndarray or None
        What a constant input of ones gives there per output channel, shape (C_out,); None without a case.

    Examples
    --------
    >>> phase = overlap(Case.of([[[1, 1]]], [[[1, 2, 4]]], stride=2)).phase(0)
    >>> phase.taps, phase.count, phase.kernel.tolist(), phase.sums.tolist()
    ((range(0, 3, 2),), 2, [[[1, 4]]], [5])
    """

    position: Ints
    taps: tuple[range, ...]
    count: int
    kernel: np.ndarray | None
    sums: np.ndarray | None


@dataclass(frozen=True, eq=False, repr=False)
class Overlap(Counts):
    """The overlap of a layer: its counts, its phases and, of a case, the same with its weights.

    Made by `overlap`.

    Attributes
    ----------
    layer : Layer
    input_size : tuple of int or None
        Without one there is a pattern and no map.
    case : Case or None

    Examples
    --------
    >>> seen = overlap(Layer.of(3, 8, 3, stride=2, dims=2), (4, 4))
    >>> seen.ratio, seen.period, seen.even
    (4.0, (2, 2), False)
    >>> seen.tile().tolist()
    [[12, 6], [6, 3]]
    >>> print(seen)
    **ConvTranspose2d(3, 8, 3, stride=2)**: max/min 4 = 2 x 2, period 2 x 2.
    <BLANKLINE>
    | axis | kernel | stride | dilation | MACs by phase | max/min | period | edge cells |
    |---|---:|---:|---:|---|---:|---:|---:|
    | H | 3 | 2 | 1 | 2, 1 | 2 | 2 | 2 of 9 |
    | W | 3 | 2 | 1 | 2, 1 | 2 | 2 | 2 of 9 |
    <BLANKLINE>
    A cell of an output channel gets 3 to 12 MACs: the product of the axes, times 3 input channels. 32 of
    the 81 cells are edge cells, which get less because the input ends.
    """

    layer: Layer
    input_size: Ints | None = None
    case: Case | None = None

    @cached_property
    def taps(self) -> tuple[list[range], ...]:
        """The taps of each phase, per axis: what `engine.layer.phases` returns."""
        layer = self.layer
        return tuple(map(phases, layer.kernel_size, layer.stride, layer.padding, layer.dilation))

    def phase(self, *position: int) -> Phase:
        """Return the phase of an output position; any position of the output will do.

        >>> overlap(Layer.of(1, 1, 4, stride=3, dims=1)).phase(6).taps
        (range(0, 4, 3),)
        """
        stride = self.layer.stride
        if len(position) != len(stride):
            raise IndexError(f"a phase of this layer has {len(stride)} numbers: {position} has not")
        at = tuple(o % s for o, s in zip(position, stride))
        taps = tuple(axis[o] for axis, o in zip(self.taps, at))
        landing = self.channels * prod(map(len, taps))
        if self.case is None or self.weighted is None:
            return Phase(at, taps, landing, None, None)
        slices = [slice(t.start, t.stop, t.step) for t in taps]
        cut: Any = (slice(None), slice(None), *slices)
        kernel = self.case.weight[cut]
        sums = added_up(self.weighted.summed, [[one] for one in slices]).reshape(-1)
        return Phase(at, taps, landing, kernel, sums)

    def phases(self) -> Iterator[Phase]:
        """Yield every phase, as many as the product of the strides, the last axis fastest.

        >>> [phase.count for phase in overlap(Layer.of(1, 1, 4, stride=3, dims=1)).phases()]
        [2, 1, 1]
        """
        for at in product(*map(range, self.layer.stride)):
            yield self.phase(*at)

    @cached_property
    def weighted(self) -> Weighted | None:
        """The same with the case's weights; None for a layer without weights."""
        if self.case is None or self.input_size is None:
            return None
        return Weighted(self.case, self.taps, Geometry(self.layer, 1, self.input_size))

    def to_markdown(self) -> str:
        """Return the number, a table with a row per axis, and what a cell gets."""
        parts = [f"**{self.layer}**: {self.in_words}.", self._table(), self._told()]
        if self.weighted is not None:
            parts.append(
                f"With its own weights, an input of ones without the bias: {self.weighted.in_words}."
            )
        return "\n\n".join(parts)

    __str__ = to_markdown
    _repr_markdown_ = to_markdown

    def _repr_html_(self) -> str | None:
        """Return the map for a notebook; None without one, or for too large a map: there the text stands."""
        if self.input_size is None or prod(self.size) > _DRAWN:
            return None
        parts = [
            f"<p><b>{escape(str(self.layer))}</b>: {escape(self.in_words)}.</p>",
            f"<p>{escape(self._told())} Those are dashed.</p>",
            heat(self.map(), "MACs per cell", self.edges()),
        ]
        if self.weighted is not None:
            parts += [
                "<p>What an input of ones gives with the layer's own weights, without the bias, in "
                f"output channel 0: {escape(self.weighted.in_words)}.</p>",
                heat(self.weighted.map()[0], "an input of ones"),
            ]
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Overlap of {self.layer}: {self.in_words}"

    def _table(self) -> str:
        heads = ["axis", "kernel", "stride", "dilation", "MACs by phase", "max/min", "period"]
        rows = [
            [axis.name, *map(str, numbers), _listed(axis.pattern), f"{axis.ratio:.4g}", str(axis.period)]
            for axis, *numbers in zip(
                self.along, self.layer.kernel_size, self.layer.stride, self.layer.dilation
            )
        ]  # fmt: skip
        if self.input_size is not None:
            heads.append("edge cells")
            for row, axis in zip(rows, self.along):
                row.append(f"{axis.edge_cells:,} of {len(axis.counts):,}")
        return table(heads, rows, "tnnntnnn")

    def _told(self) -> str:
        spread = f"{self.low:,}" if self.even else f"{self.low:,} to {self.high:,}"
        told = f"A cell of an output channel gets {spread} MACs: "
        told += f"the product of the axes, times {count(self.channels, 'input channel')}."
        if self.input_size is None:
            return told
        return (
            f"{told} {self.edge_cells:,} of the {prod(self.size):,} cells are edge cells, which get less "
            "because the input ends."
        )


def _listed(pattern: Ints) -> str:
    more = f", ... ({len(pattern):,} phases)" if len(pattern) > _LISTED else ""
    return ", ".join(f"{number:,}" for number in pattern[:_LISTED]) + more


def overlap(case_or_layer: Case | Layer, input_size: int | Iterable[int] | None = None) -> Overlap:
    """Return how many MACs land in each output cell, and what they add up to with the real weights.

    Parameters
    ----------
    case_or_layer : Case or Layer
        A layer has counts alone; a case has weights too.
    input_size : int or iterable of int, optional
        Spatial input size; a case's own where not given. A layer without one has no map.

    Raises
    ------
    LayerError
        If the size does not fit the layer, or padding leaves no output.

    Examples
    --------
    >>> overlap(Layer.of(3, 8, 4, stride=3, dims=2))
    Overlap of ConvTranspose2d(3, 8, 4, stride=3): max/min 4 = 2 x 2, period 3 x 3
    >>> overlap(Layer.of(3, 8, 4, stride=2, padding=1, dims=2))
    Overlap of ConvTranspose2d(3, 8, 4, stride=2, padding=1): even
    >>> overlap(Layer.of(1, 1, 4, stride=2, dilation=2, dims=1), 4).map().tolist()
    [1, 0, 2, 0, 3, 0, 4, 0, 3, 0, 2, 0, 1]
    >>> overlap(Layer.of(1, 1, 4, stride=2, dilation=2, dims=1))
    Overlap of ConvTranspose1d(1, 1, 4, stride=2, dilation=2): some cells get nothing, period 2
    """
    case = case_or_layer if isinstance(case_or_layer, Case) else None
    layer = case_or_layer.layer if isinstance(case_or_layer, Case) else case_or_layer
    size: Ints | None = None
    if input_size is not None:
        size = ints(input_size, layer.dims, "input_size")
        Geometry(layer, 1, size)  # refuses an input or an output with nothing in it
    elif case is not None:
        size = case.geometry.input_size
    return Overlap(_along(layer, size), layer.in_per_group, layer, size, case)


def _along(layer: Layer, size: Ints | None) -> tuple[Along, ...]:
    axes = zip(
        AXES[layer.dims], size or [None] * layer.dims, layer.kernel_size, layer.stride,
        layer.padding, layer.output_padding, layer.dilation,
    )  # fmt: skip
    found = []
    for name, length, taps, stride, padding, output_padding, dilation in axes:
        pattern = tuple(map(len, phases(taps, stride, padding, dilation)))
        made = None
        if length is not None:
            made = partial(_counts, length, taps, stride, padding, output_padding, dilation)
        found.append(Along(name, pattern, made))
    return tuple(found)


def _counts(*axis: int) -> np.ndarray:
    made = Axis(*axis)
    return made.count[made.inside]

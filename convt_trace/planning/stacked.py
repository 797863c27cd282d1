"""Stacked layers: what the overlap of one becomes when the next one spreads it further."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import Axis, Geometry, Ints, Layer, ints, repeated
from convt_trace.engine.text import AXES, by, count, table
from convt_trace.planning.counts import Along, Counts, exact, in_words

#: Positions of a pattern before it repeats: beyond it nothing is worked out.
LONGEST_PATTERN = 2**16


@dataclass(frozen=True, eq=False, repr=False)
class Stacked:
    """Layers one behind the other, and the counts after each of them.

    A count is a number of *paths*: of ways from a value of the first input to a cell, each through one
    MAC per layer. With all weights 1 and no bias, an input of ones gives just these numbers.

    Attributes
    ----------
    layers : tuple of Layer
    input_size : tuple of int or None
        Spatial size of the first layer's input; without one there are patterns and no maps.
    stages : tuple of Counts
        After the first layer, after the second, and so on.

    Examples
    --------
    >>> up = Layer.of(1, 1, 3, stride=2, dims=1)
    >>> seen = stacked([up, up], input_size=3)
    >>> seen.stages[0].map().tolist()
    [1, 1, 2, 1, 2, 1, 1]
    >>> seen.stages[1].map().tolist()
    [1, 1, 2, 1, 3, 2, 3, 1, 3, 2, 3, 1, 2, 1, 1]
    >>> print(seen)
    | after | layer | output | max/min | period | edge cells |
    |---:|---|---:|---:|---:|---:|
    | 1 | ConvTranspose1d(1, 1, 3, stride=2) | 7 | 2 | 2 | 2 |
    | 2 | ConvTranspose1d(1, 1, 3, stride=2) | 15 | 3 | 4 | 6 |
    """

    layers: tuple[Layer, ...]
    input_size: Ints | None
    stages: tuple[Counts, ...]

    @property
    def last(self) -> Counts:
        """The counts after all layers."""
        return self.stages[-1]

    @property
    def ratio(self) -> float:
        """The number after all layers."""
        return self.last.ratio

    @property
    def period(self) -> Ints:
        """The period after all layers."""
        return self.last.period

    def to_markdown(self) -> str:
        """Return a table with a row per layer."""
        sized = self.input_size is not None
        heads = ["after", "layer", *(["output"] if sized else []), "max/min", "period"]
        heads += ["edge cells"] if sized else []
        rows = []
        for number, (layer, stage) in enumerate(zip(self.layers, self.stages), start=1):
            told = in_words(stage.ratio) if stage.gaps else f"{stage.ratio:.4g}"
            row = [str(number), str(layer), told, by(stage.period)]
            if sized:
                row = [*row[:2], by(stage.size), *row[2:], f"{stage.edge_cells:,}"]
            rows.append(row)
        return table(heads, rows, "nt" + "n" * (len(heads) - 2))

    __str__ = to_markdown
    _repr_markdown_ = to_markdown

    def __repr__(self) -> str:
        return f"{count(len(self.layers), 'stacked layer')}: {self.last.in_words}"


def stacked(
    layers: Sequence[Layer | Case], input_size: int | Iterable[int] | None = None
) -> Stacked:
    """Return how many paths lead to each cell, after each of some layers that follow one another.

    What may stand between them and changes no size, such as an activation, is left out.

    Parameters
    ----------
    layers : sequence of Layer or Case
        One or more, in the order in which they run.
    input_size : int or iterable of int, optional
        Spatial size of the first one's input; that of the first where it is a case.

    Raises
    ------
    LayerError
        If a layer does not fit the one before it, or padding leaves no output.
    ValueError
        Without a layer, or where the pattern repeats too late to be worked out.

    Examples
    --------
    >>> stacked([Layer.of(64, 32, 4, 3, dims=2), Layer.of(32, 3, 4, 3, dims=2)])
    2 stacked layers: max/min 9 = 3 x 3, period 9 x 9
    >>> stacked([Layer.of(64, 32, 4, 2, 1, dims=2), Layer.of(32, 3, 4, 2, 1, dims=2)])
    2 stacked layers: even
    """
    if not layers:
        raise ValueError("There is no layer to look at: give one or more.")
    chain = tuple(one.layer if isinstance(one, Case) else one for one in layers)
    _refuse_misfits(chain)
    given = _input_size(layers[0], input_size)
    stages: list[Counts] = []
    size = given
    for layer in chain:
        if size is not None:
            Geometry(layer, 1, size)  # refuses an input or an output with nothing in it
        stages.append(_after(layer, size, stages[-1] if stages else None))
        size = None if size is None else layer.output_size(size)
    return Stacked(chain, given, tuple(stages))


def _input_size(first: Layer | Case, asked: int | Iterable[int] | None) -> Ints | None:
    if asked is not None:
        layer = first.layer if isinstance(first, Case) else first
        return ints(asked, layer.dims, "input_size")
    return first.geometry.input_size if isinstance(first, Case) else None


def _refuse_misfits(chain: Sequence[Layer]) -> None:
    for before, layer in zip(chain, chain[1:]):
        if before.dims != layer.dims:
            raise LayerError(
                f"{layer} can't take the output of {before}",
                "Stack layers of the same number of dimensions.",
            )
        if before.out_channels != layer.in_channels:
            raise LayerError(
                f"Given transposed=1, weight of size {[*layer.weight_shape]}, expected input to have "
                f"{layer.in_channels} channels, but got {before.out_channels} channels instead",
                f"The in_channels of {layer} are the out_channels of the layer before it.",
            )


def _after(layer: Layer, size: Ints | None, before: Counts | None) -> Counts:
    """Return the counts after a layer, from those of its input; None for an input of ones."""
    found = []
    for axis, name in enumerate(AXES[layer.dims]):
        came = before.along[axis] if before is not None else None
        taps, stride, padding, more, dilation = (
            getattr(layer, parameter)[axis]
            for parameter in ("kernel_size", "stride", "padding", "output_padding", "dilation")
        )
        repeats = came.pattern[: came.period] if came is not None else (1,)
        if stride * len(repeats) > LONGEST_PATTERN:
            raise ValueError(
                f"After {layer} the pattern repeats every {stride * len(repeats):,} positions, and "
                f"{LONGEST_PATTERN:,} are worked out at most: use smaller strides or fewer layers."
            )
        pattern = tuple(repeated(repeats, taps, stride, padding, dilation))
        made = None
        if size is not None:
            measures = (size[axis], taps, stride, padding, more, dilation)
            made = partial(_counts, measures, came, exact(max(pattern)))
        found.append(Along(name, pattern, made))
    channels = layer.in_per_group * (before.channels if before is not None else 1)
    return Counts(tuple(found), channels)


def _counts(measures: Ints, came: Along | None, dtype: Any) -> np.ndarray:
    """Return what a kernel of ones makes of the counts along an axis; of ones where None came."""
    axis = Axis(*measures)
    values = np.ones(axis.length, dtype) if came is None else came.counts.astype(dtype)
    canvas = np.zeros(axis.canvas, dtype)
    np.add.at(canvas, axis.c, values[axis.i])
    return canvas[axis.inside]

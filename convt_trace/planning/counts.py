"""How many multiply-accumulates (MACs) land in each output cell, as a product of one count per axis.

Away from the edges the counts of an axis repeat: positions a stride apart are met by the same taps. That
is the *pattern*, a matter of the layer alone. An *edge* cell misses some of it, because the input ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import inf, isinf, isnan, prod
from typing import Any

import numpy as np

from convt_trace.engine.layer import Ints
from convt_trace.engine.text import by

#: What is said where the ratio would be a division by 0.
NOTHING = "some cells get nothing"


def ratio_of(low: float, high: float) -> float:
    """Return the larger by the smaller of two numbers of one sign; infinite where one is 0 or below.

    >>> ratio_of(2, 3), ratio_of(0, 3), ratio_of(-3, -2), ratio_of(-1, 2), ratio_of(0, 0)
    (1.5, inf, 1.5, inf, 1.0)
    """
    if isnan(low) or isnan(high):
        return float("nan")
    if low == high:
        return 1.0
    if low <= 0 <= high:
        return inf
    small, large = sorted((abs(low), abs(high)))
    return inf if isinf(large) else large / small


def in_words(ratio: float) -> str:
    """Return what a ratio of counts means.

    >>> in_words(1.0), in_words(2.25), in_words(inf)
    ('even', 'max/min 2.25', 'some cells get nothing')
    """
    if isinf(ratio):
        return NOTHING
    return "even" if ratio == 1 else f"max/min {ratio:.4g}"


def period_of(pattern: Sequence[int]) -> int:
    """Return after how many positions a pattern that goes round repeats for the first time.

    >>> period_of([2, 1, 2, 1]), period_of([2, 2]), period_of([2, 1, 1])
    (2, 1, 3)
    """
    length, numbers = len(pattern), list(pattern)
    for shift in range(1, length):
        if length % shift == 0 and numbers[shift:] == numbers[:-shift]:
            return shift
    return length


def exact(largest: int) -> Any:
    """Return the dtype that holds whole numbers up to this one: Python's own beyond 64 bits."""
    return np.int64 if largest < 2**63 else object


@dataclass(frozen=True, eq=False)
class Along:
    """The counts along one axis.

    Attributes
    ----------
    name : str
        "L", or "D", "H", "W".
    pattern : tuple of int
        The count at output positions 0, 1, ... of an input without an end, one repetition.
    made : callable or None
        Makes `counts`; None without an input size.

    Examples
    --------
    >>> axis = Along("L", (2, 1), lambda: np.array([1, 1, 2, 1, 1]))
    >>> axis.ratio, axis.period, axis.edge.tolist()
    (2.0, 2, [True, False, False, False, True])
    """

    name: str
    pattern: Ints
    made: Callable[[], np.ndarray] | None = None

    @cached_property
    def counts(self) -> np.ndarray:
        """The count at each output position."""
        if self.made is None:
            raise ValueError("Without an input size there is no output: give input_size.")
        return self.made()

    @cached_property
    def edge(self) -> np.ndarray:
        """Which positions get less than the pattern has there: booleans, one for each output position."""
        counts = self.counts
        full = np.array(self.pattern, counts.dtype)
        return counts < full[np.arange(len(counts)) % len(full)]

    @property
    def edge_cells(self) -> int:
        """How many positions get less than the pattern has there."""
        return int(np.count_nonzero(self.edge))

    @cached_property
    def low(self) -> int:
        """The smallest count of the pattern."""
        return min(self.pattern)

    @cached_property
    def high(self) -> int:
        """The largest count of the pattern."""
        return max(self.pattern)

    @property
    def ratio(self) -> float:
        """`high` by `low`; infinite if some positions get nothing."""
        return ratio_of(self.low, self.high)

    @cached_property
    def period(self) -> int:
        """After how many positions the pattern repeats; 1 if it is even."""
        return period_of(self.pattern)


@dataclass(frozen=True, eq=False, repr=False)
class Counts:
    """The counts of every output cell: a product of those along the axes, times channels.

    Attributes
    ----------
    along : tuple of Along
        One per spatial dimension.
    channels : int
        What each cell of an output channel gets of every landing along the axes: one MAC per input
        channel that the output channel reads, ``in_channels / groups``.

    Examples
    --------
    >>> axis = Along("L", (2, 1), lambda: np.array([1, 1, 2, 1, 1]))
    >>> counts = Counts((axis,), channels=3)
    >>> counts.map().tolist(), counts.ratio, counts.at(2)
    ([3, 3, 6, 3, 3], 2.0, 6)
    """

    along: tuple[Along, ...]
    channels: int

    @property
    def low(self) -> int:
        """The smallest count of the pattern."""
        return self.channels * prod(axis.low for axis in self.along)

    @property
    def high(self) -> int:
        """The largest count of the pattern."""
        return self.channels * prod(axis.high for axis in self.along)

    @property
    def ratio(self) -> float:
        """The number: `high` by `low`, edges left out. 1 if even, infinite if some cells get nothing."""
        return ratio_of(self.low, self.high)

    @property
    def period(self) -> Ints:
        """After how many positions the pattern repeats, per axis."""
        return tuple(axis.period for axis in self.along)

    @property
    def even(self) -> bool:
        """Whether all cells but the edge cells get the same number."""
        return max(self.period) == 1

    @property
    def gaps(self) -> bool:
        """Whether some cells get nothing, edges left out."""
        return self.low == 0

    @property
    def size(self) -> Ints:
        """The spatial output size; a ValueError without an input size."""
        return tuple(len(axis.counts) for axis in self.along)

    @property
    def edge_cells(self) -> int:
        """How many output cells of a channel are edge cells."""
        inner = prod(len(axis.counts) - axis.edge_cells for axis in self.along)
        return prod(self.size) - inner

    def tile(self) -> np.ndarray:
        """Return one repetition of the pattern: the counts of an input without an end, from cell 0 on."""
        parts = [np.array(axis.pattern[: axis.period], exact(self.high)) for axis in self.along]
        return reduce(np.multiply.outer, parts) * self.channels

    def map(self) -> np.ndarray:
        """Return the count of each output cell; it is the same in every channel."""
        parts = [axis.counts.astype(exact(self.high)) for axis in self.along]
        return reduce(np.multiply.outer, parts) * self.channels

    def edges(self) -> np.ndarray:
        """Return which output cells are edge cells: booleans of the map's shape."""
        return reduce(np.logical_or.outer, (axis.edge for axis in self.along))

    def at(self, *position: int) -> int:
        """Return the count of one output cell, without making the map."""
        return self.channels * prod(int(axis.counts[o]) for o, axis in zip(position, self.along))

    @property
    def in_words(self) -> str:
        """The number with its period, in one line."""
        if self.even:
            return "even"
        told = in_words(self.ratio)
        if len(self.along) > 1 and not self.gaps:
            told += f" = {by(f'{axis.ratio:.4g}' for axis in self.along)}"
        return f"{told}, period {by(self.period)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_words})"

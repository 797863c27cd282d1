"""What the real weights make of a constant input: sums in place of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan, prod
from typing import Any

import ml_dtypes
import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Axis, Geometry, Ints
from convt_trace.planning.counts import in_words, period_of, ratio_of

#: Which taps are added up: a slice of them, or their numbers.
Taps = Any


@dataclass(frozen=True, eq=False, repr=False)
class Weighted:
    """What an input of ones gives with a case's weights, without the bias.

    Two sums that differ by no more than the rounding of the weights in their dtype count as equal; sums
    of integers are exact.

    Attributes
    ----------
    case : Case
    taps : tuple of lists of range
        The taps of each phase, per axis.
    geometry : Geometry
        The layer on the input size that is looked at.

    Examples
    --------
    >>> from convt_trace.planning.overlap import overlap
    >>> sums = overlap(Case.of([[[5, 5, 5]]], [[[1, 2, 1]]], stride=2)).weighted
    >>> sums.map().tolist(), sums.even, sums.ratio
    ([[1, 2, 2, 2, 2, 2, 1]], True, 1.0)
    """

    case: Case
    taps: tuple[list[range], ...]
    geometry: Geometry

    @cached_property
    def summed(self) -> np.ndarray:
        """The kernel of each output channel, its input channels added up: (C_out, *K)."""
        return summed_over_inputs(self.case, wide(self.case.weight))

    @cached_property
    def low(self) -> np.ndarray:
        """The smallest sum of a phase, per output channel."""
        return self._sums.min(axis=self._spatial)

    @cached_property
    def high(self) -> np.ndarray:
        """The largest sum of a phase, per output channel."""
        return self._sums.max(axis=self._spatial)

    @cached_property
    def ratios(self) -> tuple[float, ...]:
        """The number of each output channel: the larger by the smaller of the phases' sums.

        1 if they are equal, infinite where one is 0 or where they have both signs.
        """
        equal = self._equal(self.low, self.high) & ~np.isnan(self.low)
        return tuple(
            1.0 if same else ratio_of(float(low), float(high))
            for same, low, high in zip(equal, self.low, self.high)
        )

    @cached_property
    def ratio(self) -> float:
        """The largest of `ratios`; nan if one is."""
        return max(self.ratios, key=lambda ratio: (isnan(ratio), ratio))

    @cached_property
    def period(self) -> Ints:
        """After how many positions the sums repeat in all output channels, per axis."""
        return tuple(map(self._period, range(self.case.dims)))

    @property
    def even(self) -> bool:
        """Whether an input of ones gives one number per output channel, edges left out."""
        return max(self.period) == 1

    @property
    def in_words(self) -> str:
        """The number in a few words."""
        if isnan(self.ratio):
            return "the weights are not all numbers"
        if self.even:
            return "even"
        if (self.low < 0).any() and ((self.low < 0) & (self.high > 0)).any():
            return "some sums are negative and some positive"
        return in_words(self.ratio)

    def sums(self) -> np.ndarray:
        """Return the sum of each phase, per output channel: shape (C_out, *stride)."""
        return added_up(self.summed, [[_as_slice(taps) for taps in axis] for axis in self.taps])

    def map(self) -> np.ndarray:
        """Return what an input of ones gives, shape (C_out, *L_out): float64, int64 for integers."""
        kinds = [_kinds(axis) for axis in self.geometry.axes]
        core = added_up(self.summed, [taps for taps, _ in kinds])
        channels = np.arange(len(core))
        return core[np.ix_(channels, *(which for _, which in kinds))]

    def __repr__(self) -> str:
        return f"Weighted({self.in_words})"

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _spatial(self) -> Ints:
        return tuple(range(1, 1 + self.case.dims))

    @cached_property
    def _different(self) -> list[list[range]]:
        """The phases that can differ, per axis: those that have taps, and one that has none."""
        return [sorted(set(axis), key=lambda taps: (taps.start, taps.stop)) for axis in self.taps]

    @cached_property
    def _sums(self) -> np.ndarray:
        """The sums of the phases that can differ, however large the stride is."""
        return added_up(
            self.summed, [[_as_slice(taps) for taps in axis] for axis in self._different]
        )

    @cached_property
    def _rounding(self) -> np.ndarray:
        """How far two equal sums of an output channel may lie apart, shape (C_out,)."""
        weight = self.case.weight
        if weight.dtype.kind in "iu":
            return np.zeros(len(self._sums))
        # Each weight is off by half of eps at most, in each of two sums; then they are added up.
        largest = added_up(
            summed_over_inputs(self.case, np.abs(wide(weight))),
            [[_as_slice(taps) for taps in axis] for axis in self._different],
        ).max(axis=self._spatial)
        terms = self.case.layer.in_per_group * prod(self.case.layer.kernel_size)
        return largest * (float(ml_dtypes.finfo(weight.dtype).eps) + terms * 2.0**-52)

    def _equal(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return which sums are equal up to rounding; the first axis is the output channels."""
        bound = self._rounding.reshape(-1, *[1] * (one.ndim - 1))
        with np.errstate(invalid="ignore"):
            near = np.abs(one - other) <= np.where(np.isfinite(bound), bound, 0)
        return near | (one == other) | ((one != one) & (other != other))

    def _period(self, axis: int) -> int:
        """Return the period along an axis: of the number of the first phase with the same sums."""
        rows = np.moveaxis(self._sums, axis + 1, 1)
        first: list[int] = []
        for at in range(rows.shape[1]):
            like = (one for one in range(at) if self._equal(rows[:, one], rows[:, at]).all())
            first.append(next(like, at))
        number = dict(zip(self._different[axis], first))
        return period_of([number[taps] for taps in self.taps[axis]])


def summed_over_inputs(case: Case, weight: np.ndarray) -> np.ndarray:
    """Return a weight with the input channels of each group added up: (C_out, *K)."""
    layer = case.layer
    blocks = weight.reshape(layer.groups, layer.in_per_group, *weight.shape[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        return blocks.sum(axis=1).reshape(layer.out_channels, *layer.kernel_size)


def added_up(kernel: np.ndarray, taps: Sequence[Sequence[Taps]]) -> np.ndarray:
    """Return the sums of parts of a kernel: (C_out, *K) to (C_out, *number of parts).

    >>> added_up(np.array([[1, 2, 4]]), [[slice(0, 3, 2), slice(1, 2)]]).tolist()
    [[5, 2]]
    """
    for axis, parts in enumerate(taps, start=1):
        before: Any = (slice(None),) * axis
        with np.errstate(over="ignore", invalid="ignore"):
            kernel = np.stack([kernel[(*before, part)].sum(axis=axis) for part in parts], axis)
    return kernel


def _as_slice(taps: range) -> slice:
    return slice(taps.start, taps.stop, taps.step)


def _kinds(axis: Axis) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sets of taps that meet in one position, and which of them each output position has."""
    start, count = axis.start[axis.inside], axis.count[axis.inside]
    # The taps of a position are evenly spaced: the first and their number tell them all.
    first = np.where(count > 0, axis.k[np.minimum(start, len(axis.k) - 1)], 0)
    _, found, which = np.unique(
        first * (axis.taps + 1) + count, return_index=True, return_inverse=True
    )
    return [axis.k[axis.pairs(int(c) + axis.padding)] for c in found], which.reshape(-1)

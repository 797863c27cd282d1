"""The numbering of MACs: two orders in which the same sums are walked, each decoded in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from convt_trace.engine.layer import Geometry, Pick


@dataclass(frozen=True, eq=False)
class Index:
    """Where some MACs stand, as places in a `Pick` and in the axes.

    Attributes
    ----------
    n, group, in_local, out_local : ndarray, shape (m,)
        Places in the pick's lists.
    i, k : tuple of ndarray, each of shape (m,), one per spatial dimension
        Input position and kernel tap.
    """

    n: np.ndarray
    group: np.ndarray
    in_local: np.ndarray
    out_local: np.ndarray
    i: tuple[np.ndarray, ...]
    k: tuple[np.ndarray, ...]


class ScatterOrder:
    """Input-stationary: each input value stamps the kernel, as PyTorch's column-to-image does.

    The digits of a MAC's number, slowest first: n, group, input channel, i, output channel, k.
    """

    name = "scatter"
    #: What a step may span, smallest first.
    units = ("MAC", "tap row", "stamp", "input value", "input channel", "group", "all")

    def __init__(self, geometry: Geometry, pick: Pick):
        self._dims = geometry.layer.dims
        self._radix = (
            len(pick.n),
            len(pick.group),
            len(pick.in_local),
            *geometry.input_size,
            len(pick.out_local),
            *geometry.layer.kernel_size,
        )

    def decode(self, numbers: np.ndarray) -> Index:
        """Return where the MACs with these numbers stand."""
        n, group, in_local, *rest = np.unravel_index(numbers, self._radix)
        i, out_local, k = rest[: self._dims], rest[self._dims], rest[self._dims + 1 :]
        return Index(n, group, in_local, out_local, tuple(i), tuple(k))

    def encode(self, index: Index) -> np.ndarray:
        """Return the numbers of these MACs: the inverse of `decode`."""
        digits = (index.n, index.group, index.in_local, *index.i, index.out_local, *index.k)
        return np.ravel_multi_index(digits, self._radix)

    def levels(self, numbers: np.ndarray) -> np.ndarray:
        """Return for each MAC the largest unit (as a place in `units`) that it is the first of."""
        taps, dims = self._radix[-self._dims :], self._dims
        out_channels, positions = self._radix[-dims - 1], prod(self._radix[3 : 3 + dims])
        stamp = prod(taps)
        value = stamp * out_channels
        channel = value * positions
        group = channel * self._radix[2]
        level = np.zeros(len(numbers), dtype=np.uint8)
        for place, size in enumerate((taps[-1], stamp, value, channel, group), start=1):
            level[numbers % size == 0] = place
        level[numbers == 0] = self.units.index("all")
        return level


class GatherOrder:
    """Output-stationary: each output cell collects its taps, channel by channel.

    The digits of a MAC's number, slowest first: n, group, output channel, canvas position, input
    channel, pair. The number of pairs changes with the position, but only as a product over the
    axes, so a number is still decoded without a search through the list.
    """

    name = "gather"
    units = ("MAC", "window", "output cell", "output channel", "group", "all")

    def __init__(self, geometry: Geometry, pick: Pick):
        self._axes = geometry.axes
        self._channels = len(pick.in_local)
        self._pairs = [len(axis.i) for axis in self._axes]
        self._outer = (len(pick.n), len(pick.group), len(pick.out_local))
        self._inner = self._channels * prod(self._pairs)

    def decode(self, numbers: np.ndarray) -> Index:
        """Return where the MACs with these numbers stand."""
        outer, rest = np.divmod(numbers, self._inner)
        n, group, out_local = np.unravel_index(outer, self._outer)
        cells = []
        here = np.ones_like(rest)  # pairs chosen so far, over the axes already decoded
        for place, axis in enumerate(self._axes):
            weight = here * (self._channels * prod(self._pairs[place + 1 :]))
            cell = np.searchsorted(axis.start + axis.count, rest // weight, side="right")
            rest = rest - axis.start[cell] * weight
            here = here * axis.count[cell]
            cells.append(cell)
        in_local, rest = np.divmod(rest, here)
        i, k = [], []
        for axis, cell in zip(self._axes, cells):
            here //= axis.count[cell]
            slot, rest = np.divmod(rest, here)
            i.append(axis.i[axis.start[cell] + slot])
            k.append(axis.k[axis.start[cell] + slot])
        return Index(n, group, in_local, out_local, tuple(i), tuple(k))

    def encode(self, index: Index) -> np.ndarray:
        """Return the numbers of these MACs: the inverse of `decode`."""
        number = np.ravel_multi_index((index.n, index.group, index.out_local), self._outer)
        number = number * self._inner
        here = np.ones_like(number)
        slots = np.zeros_like(number)
        for place, (axis, i, k) in enumerate(zip(self._axes, index.i, index.k)):
            cell = i * axis.stride + k * axis.dilation
            weight = here * (self._channels * prod(self._pairs[place + 1 :]))
            number = number + axis.start[cell] * weight
            here = here * axis.count[cell]
            slots = slots * axis.count[cell] + axis.slot[i, k]
        return number + index.in_local * here + slots

    def levels(self, numbers: np.ndarray) -> np.ndarray:
        """Return for each MAC the largest unit (as a place in `units`) that it is the first of."""
        index = self.decode(numbers)
        slots = sum(axis.slot[i, k] for axis, i, k in zip(self._axes, index.i, index.k))
        first = np.asarray(slots) == 0
        level = np.zeros(len(numbers), dtype=np.uint8)
        level[first] = 1
        level[first & (index.in_local == 0)] = 2
        level[numbers % self._inner == 0] = 3
        level[numbers % (self._inner * self._outer[2]) == 0] = 4
        level[numbers == 0] = self.units.index("all")
        return level


ORDERS: dict[str, type[ScatterOrder] | type[GatherOrder]] = {
    order.name: order for order in (ScatterOrder, GatherOrder)
}


def units_of(order: str, dims: int) -> tuple[str, ...]:
    """Return the units that a step of an order may span; in 1-D a tap row is one MAC, and left out.

    >>> units_of("scatter", 1)
    ('MAC', 'stamp', 'input value', 'input channel', 'group', 'all')
    """
    return tuple(unit for unit in ORDERS[order].units if unit != "tap row" or dims > 1)

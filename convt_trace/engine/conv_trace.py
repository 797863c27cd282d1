"""The trace of a plain convolution: every output cell collects its window, MAC by MAC.

A MAC on a padded zero is a MAC like any other: it is numbered, multiplied, and adds 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from convt_trace.engine.conv_layer import ConvGeometry
from convt_trace.engine.layer import Pick
from convt_trace.engine.orders import GatherOrder, Index
from convt_trace.engine.trace import (
    SEQUENTIAL_MACS,
    SEQUENTIAL_WEIGHTS,
    TERMS_AT_ONCE,
    Macs,
    Trace,
    positions,
)

if TYPE_CHECKING:
    from convt_trace.engine.conv import Conv  # which makes traces, so it stands above


class WindowOrder:
    """Each output cell collects its window, input channel by input channel, tap by tap.

    The digits of a MAC's number, slowest first: n, group, output channel, output position, input
    channel, tap. An `Index` has the output position as its ``i``, as the partner has it.
    """

    name = GatherOrder.name
    units = GatherOrder.units

    def __init__(self, geometry: ConvGeometry, pick: Pick):
        self._dims = geometry.layer.dims
        self._outer = (len(pick.n), len(pick.group), len(pick.out_local), *geometry.output_size)
        self._radix = (*self._outer, len(pick.in_local), *geometry.layer.kernel_size)
        self.taps = prod(geometry.layer.kernel_size)
        #: MACs of an output cell that are walked through.
        self.per_cell = len(pick.in_local) * self.taps

    def decode(self, numbers: np.ndarray) -> Index:
        """Return where the MACs with these numbers stand."""
        n, group, out_local, *rest = np.unravel_index(numbers, self._radix)
        o, in_local, k = rest[: self._dims], rest[self._dims], rest[self._dims + 1 :]
        return Index(n, group, in_local, out_local, tuple(o), tuple(k))

    def encode(self, index: Index) -> np.ndarray:
        """Return the numbers of these MACs: the inverse of `decode`."""
        digits = (index.n, index.group, index.out_local, *index.i, index.in_local, *index.k)
        return np.ravel_multi_index(digits, self._radix)

    def firsts(self, n: Any, group: Any, out_local: Any, o: Sequence[Any]) -> np.ndarray:
        """Return the number of each output cell's first MAC, by the cell's places in the pick."""
        cells = np.ravel_multi_index((n, group, out_local, *o), self._outer)
        return np.asarray(cells) * self.per_cell

    def levels(self, numbers: np.ndarray) -> np.ndarray:
        """Return for each MAC the largest unit (as a place in `units`) that it is the first of."""
        channel = self.per_cell * prod(self._outer[3:])
        sizes = (self.taps, self.per_cell, channel, channel * self._outer[2])
        level = np.zeros(len(numbers), dtype=np.uint8)
        for place, size in enumerate(sizes, start=1):
            level[numbers % size == 0] = place
        level[numbers == 0] = self.units.index("all")
        return level


class ConvTrace(Trace):
    """Every MAC of one plain convolution, computed when it is read, as a `Trace` is.

    Of its `Macs`, ``i`` is the input position, outside the input where a tap reads a padded zero;
    ``kept`` is False there. ``o`` is always inside the output.

    Examples
    --------
    >>> from convt_trace.engine.conv import Conv
    >>> t = Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=1).trace()
    >>> len(t), t.kept_macs
    (12, 10)
    >>> [(mac.i, mac.k, mac.product, mac.after) for mac in t.of_output(0, 0, 0)]
    [((-1,), (0,), 0, 0), ((0,), (1,), 2, 2), ((1,), (2,), 5, 7)]
    """

    case: Conv  # type: ignore[assignment]
    geometry: ConvGeometry  # type: ignore[assignment]
    numbering: WindowOrder  # type: ignore[assignment]

    #: A page of a plain convolution is not written: a notebook shows its name.
    _repr_html_ = None
    _repr_mimebundle_ = None

    def to_html(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a page plays transposed convolutions only."""
        raise NotImplementedError("A page of a plain convolution is not written.")

    def __init__(self, case: Conv, order: str = "gather", picked: Pick | None = None):
        self.case, self.geometry, self.order = case, case.geometry, order
        self.picked = picked if picked is not None else self.geometry.everything()
        self.is_whole = picked is None
        self.numbering = WindowOrder(self.geometry, self.picked)

    def __repr__(self) -> str:
        return f"<trace of {self.case.line()}: {len(self):,} MACs>"

    def __len__(self) -> int:
        taps = prod(self.geometry.layer.kernel_size)
        return self.picked.channel_pairs * prod(self.geometry.output_size) * taps

    def of_output(self, n: int, c: int, *position: int) -> Macs:
        """Return the MACs of one output cell, in the order in which they are added.

        Parameters
        ----------
        n, c : int
            Batch item and output channel.
        *position : int
            Output position, one number per dimension.
        """
        self._check_cell(n, c, position)
        everything = self.geometry.everything()
        numbering = WindowOrder(self.geometry, everything)
        group, local = divmod(c, self.geometry.layer.out_per_group)
        first = int(numbering.firsts(n, group, local, position))
        numbers = np.arange(first, first + numbering.per_cell)
        return self._read(numbering.decode(numbers), everything)

    @cached_property
    def output_sums(self) -> np.ndarray:
        """The sums that make the output, wide (float64 or int64), without the bias: (N, C_out, *L_out)."""
        small = self.macs <= SEQUENTIAL_MACS and self.case.most_terms <= SEQUENTIAL_WEIGHTS
        return self.case.added(self._x, self._weight, one_by_one=small)

    # -- inside ---------------------------------------------------------------------------------

    @cached_property
    def _slots(self) -> int:
        return prod(self.geometry.layer.kernel_size)

    def _worth_whole_blocks(self, start: int, stop: int) -> bool:
        return False

    def _check_cell(self, n: int, c: int, position: tuple[int, ...]) -> None:
        shape = self.geometry.output_shape
        cell = (n, c, *position)
        if len(cell) != len(shape) or any(not 0 <= at < size for at, size in zip(cell, shape)):
            raise IndexError(f"cell {cell} is outside the output, whose shape is {shape}")

    def _read(self, index: Index, picked: Pick | None = None) -> Macs:
        picked = picked or self.picked
        layer = self.geometry.layer
        n, group = picked.n[index.n], picked.group[index.group]
        in_local = picked.in_local[index.in_local]
        in_channel = group * layer.in_per_group + in_local
        out_channel = group * layer.out_per_group + picked.out_local[index.out_local]
        i, kept = self._places(index.i, index.k)
        inside = [np.where(kept, at, 0) for at in i]
        x = np.where(kept, self._x[(n, in_channel, *inside)], 0)
        w = self._weight[(out_channel, in_local, *index.k)]
        tap = np.ravel_multi_index(index.k, layer.kernel_size)
        before = self._held(n, out_channel, list(index.i), in_local * self._slots + tap)
        with np.errstate(all="ignore"):
            product = x * w
            after = before + product
        return Macs(
            n=n,
            group=group,
            in_channel=in_channel,
            out_channel=out_channel,
            i=positions(i),
            k=positions(index.k),
            o=positions(index.i),
            kept=kept,
            x=x,
            w=w,
            product=product,
            before=before,
            after=after,
        )

    def _places(
        self, o: Sequence[np.ndarray], k: Sequence[np.ndarray]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the input positions that taps read, and which of them the input has."""
        geometry = self.geometry
        i = [geometry.places(axis, *both) for axis, both in enumerate(zip(o, k))]
        kept = np.ones(np.broadcast_shapes(*(at.shape for at in i)), dtype=bool)
        for at, length in zip(i, geometry.input_size):
            kept &= (at >= 0) & (at < length)
        return i, kept

    def _terms(
        self, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray], channels: int
    ) -> Iterator[np.ndarray]:
        """Yield the cells' terms, shape (terms, cells), some input channels of the first at a time."""
        layer, size = self.geometry.layer, self.geometry.input_size
        taps = np.unravel_index(np.arange(self._slots)[:, None], layer.kernel_size)
        i, kept = self._places(cells, taps)
        inside = [np.where(kept, at, 0) for at in i]
        channel = c // layer.out_per_group * layer.in_per_group
        x_place = np.ravel_multi_index((n, channel, *inside), self._x.shape)
        w_place = c * layer.in_per_group * self._slots + np.arange(self._slots)[:, None]
        x, weight = self._x.reshape(-1), self._weight.reshape(-1)
        # The places in the next channels are a step further on, and so are those in the ones after.
        at_once = max(1, min(channels, TERMS_AT_ONCE // kept.size))
        for start in range(0, channels, at_once):
            ahead = np.arange(start, min(start + at_once, channels))[:, None, None]
            values = np.where(kept, x.take(x_place + ahead * prod(size)), 0)
            with np.errstate(all="ignore"):
                terms = values * weight.take(w_place + ahead * self._slots)
            yield terms.reshape(-1, len(c))

    def _last_rank_before(
        self, number: int, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        picked, numbering = self.picked, self.numbering
        group, out_local = np.divmod(c, self.geometry.layer.out_per_group)
        first = numbering.firsts(
            np.searchsorted(picked.n, n),
            np.searchsorted(picked.group, group),
            np.searchsorted(picked.out_local, out_local),
            cells,
        )
        done = np.clip(number - first, 0, numbering.per_cell)
        channel, tap = np.divmod(np.maximum(done - 1, 0), self._slots)
        rank = picked.in_local[channel] * self._slots + tap
        return np.where(done > 0, rank, -1), done == numbering.per_cell

"""The trace: every multiply-accumulate of a transposed convolution, by number.

Nothing is computed before it is read. A MAC's number is decoded in closed form
(`convt_trace.engine.layer`), so the cost of a row, a window or a cell does not grow with the layer.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.engine.arrays import wide
from convt_trace.engine.blocks import (
    Columns,
    add_in_order,
    add_up,
    gather_blocks,
    lines_of_cells,
    running,
    scatter_blocks,
)
from convt_trace.engine.extras import require
from convt_trace.engine.layer import Axis, Ints, Pick
from convt_trace.engine.orders import ORDERS, Index

if TYPE_CHECKING:
    import pandas as pd

    from convt_trace.engine.case import Case  # which makes traces, so it stands above

#: Up to here the output is added up in the trace's own order, to the last bit; a larger layer is
#: added tap by tap with matrix products (the same MACs; float64 sums may differ in the last bits), and
#: so is one with more weights per output channel, of which each takes a call of numpy.
SEQUENTIAL_MACS, SEQUENTIAL_WEIGHTS = 2**22, 2**14

#: How many terms of running sums are added at once: they stay in the processor's cache.
TERMS_AT_ONCE = 2**16


@dataclass(frozen=True)
class Mac:
    """One multiply-accumulate.

    Attributes
    ----------
    n, group, in_channel, out_channel : int
        Batch item, group and channels, numbered over the whole layer.
    i, k, o : tuple of int
        Input position, kernel tap and output position; ``o`` may lie outside the output.
    kept : bool
        False where padding crops it away.
    x, w, product : int or float
        The input value, the weight and their product.
    before, after : int or float
        The running sum of the cell before and after this MAC; the bias is not in it.
    """

    n: int
    group: int
    in_channel: int
    out_channel: int
    i: Ints
    k: Ints
    o: Ints
    kept: bool
    x: float
    w: float
    product: float
    before: float
    after: float


class Macs(Columns):
    """Some MACs as columns, in the order of their trace.

    Attributes
    ----------
    n, group, in_channel, out_channel : ndarray of int64, shape (m,)
    i, k, o : ndarray of int64, shape (m, dims)
    kept : ndarray of bool, shape (m,)
    x, w, product, before, after : ndarray of float64 or int64, shape (m,)
        Fields as in `Mac`.

    Examples
    --------
    >>> from convt_trace import trace
    >>> window = trace([[[1, 2]]], [[[3, 4]]])[0:2]
    >>> window.product.tolist(), window.o[:, 0].tolist()
    ([3, 4], [0, 1])
    """

    def __len__(self) -> int:
        return len(self.n)

    def __getitem__(self, row: int) -> Mac:
        values: dict[str, Any] = {}
        for field in fields(self):
            cell = getattr(self, field.name)[row]
            values[field.name] = tuple(cell.tolist()) if np.ndim(cell) else cell.item()
        return Mac(**values)

    def __iter__(self) -> Iterator[Mac]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} MACs: {', '.join(field.name for field in fields(self))}>"

    @property
    def nbytes(self) -> int:
        """Bytes in the columns."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def to_frame(self) -> pd.DataFrame:
        """Return the columns as a pandas frame; positions get one column per dimension (i0, i1)."""
        pd = require("pandas")

        columns = {}
        for field in fields(self):
            column = getattr(self, field.name)
            if column.ndim == 1:
                columns[field.name] = column
            else:
                for place in range(column.shape[1]):
                    columns[f"{field.name}{place}"] = column[:, place]
        return pd.DataFrame(columns)


class Trace(Sequence[Mac]):
    """Every MAC of one transposed convolution, computed when it is read.

    Made of a case, by `Case.trace` or `trace`. ``len(t)`` counts the MACs, the cropped ones too;
    ``t[5]`` is a `Mac`; ``t[a:b]`` is `Macs`, columns as numpy arrays.

    Attributes
    ----------
    case : Case
        The layer and its numbers.
    geometry : Geometry
        Every size and index map.
    order : str
        "scatter" or "gather".
    picked : Pick
        The channels that the trace walks through; all of them unless made by `pick`.
    is_whole : bool
        Whether that is every MAC of the layer.

    Examples
    --------
    >>> from convt_trace import trace
    >>> t = trace([[[1, 1, 2]]], [[[1, 1, 2]]], padding=2)
    >>> len(t), t.kept_macs
    (9, 3)
    >>> [(mac.i, mac.k, mac.product, mac.after) for mac in t.of_output(0, 0, 0)]
    [((0,), (2,), 2, 2), ((1,), (1,), 1, 3), ((2,), (0,), 2, 5)]
    >>> t.output.tolist()
    [[[5]]]
    """

    def __init__(self, case: Case, order: str = "scatter", picked: Pick | None = None):
        if order not in ORDERS:
            raise ValueError(f"order={order!r} is not known. Use 'scatter' or 'gather'.")
        self.case, self.geometry, self.order = case, case.geometry, order
        self.picked = picked if picked is not None else self.geometry.everything()
        self.is_whole = picked is None
        self.numbering = ORDERS[order](self.geometry, self.picked)

    # -- the same MACs, walked another way ------------------------------------------------------

    def in_order(self, order: str) -> Trace:
        """Return the same MACs in another order."""
        return Trace(self.case, order, None if self.is_whole else self.picked)

    def pick(
        self,
        n: Sequence[int] | None = None,
        groups: Sequence[int] | None = None,
        in_local: Sequence[int] | None = None,
        out_local: Sequence[int] | None = None,
    ) -> Trace:
        """Return a trace that walks through these batch items, groups and channels only.

        Its rows are rows of this trace, in its order: their running sums still hold every MAC, so
        where channels are left out, a row's ``before`` may differ from the ``after`` of the row above.

        Parameters
        ----------
        n, groups, in_local, out_local : sequence of int, optional
            Batch items, groups, and channels numbered inside their group; all where not given.

        Examples
        --------
        >>> from convt_trace import trace
        >>> t = trace(np.ones((1, 4, 3)), np.ones((4, 1, 2)))
        >>> first_and_last = t.pick(in_local=[0, 3])
        >>> [mac.in_channel for mac in first_and_last][::6], first_and_last[-1].after
        ([0, 3], 4.0)
        """
        full = self.geometry.everything()
        chosen = Pick(
            *(
                every if some is None else np.unique(every[np.asarray(some, dtype=np.int64)])
                for every, some in (
                    (full.n, n),
                    (full.group, groups),
                    (full.in_local, in_local),
                    (full.out_local, out_local),
                )
            )
        )
        return type(self)(self.case, self.order, chosen)

    # -- counting -------------------------------------------------------------------------------

    def __len__(self) -> int:
        pairs = 1
        for axis in self.geometry.axes:
            pairs *= len(axis.i)
        return self.picked.channel_pairs * pairs

    @property
    def macs(self) -> int:
        """All MACs of the layer."""
        return self.geometry.macs

    @property
    def kept_macs(self) -> int:
        """MACs of the layer that land inside the output."""
        return self.geometry.kept_macs

    @property
    def cropped_macs(self) -> int:
        """MACs of the layer that padding crops away."""
        return self.geometry.cropped_macs

    # -- reading --------------------------------------------------------------------------------

    # `Macs` is columns, not a Sequence[Mac], so mypy objects.
    @overload  # type: ignore[override]
    def __getitem__(self, number: int) -> Mac: ...
    @overload
    def __getitem__(self, number: slice) -> Macs: ...

    def __getitem__(self, number: int | slice) -> Mac | Macs:
        if isinstance(number, slice):
            start, stop, step = number.indices(len(self))
            if step == 1 and self._worth_whole_blocks(start, stop):
                return self._whole_blocks(start, stop)
            return self.take(np.arange(start, stop, step))
        place = operator.index(number)
        if place < 0:
            place += len(self)
        if not 0 <= place < len(self):
            raise IndexError(f"MAC {number} of a trace of {len(self)}")
        return self.take(np.array([place]))[0]

    def take(self, numbers: ArrayLike) -> Macs:
        """Return the MACs with these numbers.

        Parameters
        ----------
        numbers : array_like of int, shape (m,)
        """
        return self._read(self.numbering.decode(np.asarray(numbers, dtype=np.int64)))

    def of_output(self, n: int, c: int, *position: int) -> Macs:
        """Return the MACs that land in one output cell, in the order in which they are added.

        Parameters
        ----------
        n, c : int
            Batch item and output channel.
        *position : int
            Output position, one number per dimension. A position outside the output, but on the
            canvas, gives the MACs that padding crops.

        Examples
        --------
        >>> from convt_trace import trace
        >>> t = trace([[[1, 2, 3]]], [[[1, 10]]], stride=2)
        >>> t.of_output(0, 0, 4).x.tolist()
        [3]
        """
        geometry = self.geometry
        layer = geometry.layer
        self._check_cell(n, c, position)
        axes = geometry.axes
        here = [axis.pairs(o + axis.padding) for axis, o in zip(axes, position)]
        channels = np.arange(layer.in_per_group)
        grid = np.meshgrid(channels, *(np.arange(p.start, p.stop) for p in here), indexing="ij")
        in_local, *pairs = (column.ravel() for column in grid)
        group, out_local = divmod(c, layer.out_per_group)
        same = np.ones_like(in_local)
        index = Index(
            same * n,
            same * group,
            in_local,
            same * out_local,
            tuple(axis.i[pair] for axis, pair in zip(axes, pairs)),
            tuple(axis.k[pair] for axis, pair in zip(axes, pairs)),
        )
        return self._read(index, geometry.everything())

    def to_frame(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Return the MACs ``start:stop`` as a pandas frame, indexed by their numbers."""
        pd = require("pandas")

        start, stop, _ = slice(start, stop).indices(len(self))
        frame = self[start:stop].to_frame()
        frame.index = pd.RangeIndex(start, stop)
        return frame

    def sums(self, n: ArrayLike, c: ArrayLike, canvas: Sequence[ArrayLike]) -> np.ndarray:
        """Return the whole sums of canvas cells, before the bias, exactly as the last MAC leaves them.

        Parameters
        ----------
        n, c : array_like of int, shape (m,)
            Batch items and output channels.
        canvas : sequence of array_like of int, one per dimension, each of shape (m,)
            Canvas positions (output position + padding).
        """
        cells = [np.asarray(place, dtype=np.int64) for place in canvas]
        n, c = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
        channels = self.geometry.layer.in_per_group
        return self._held(n, c, cells, np.full(len(n), channels * self._slots))

    def sums_before(
        self, number: int, n: ArrayLike, c: ArrayLike, canvas: Sequence[ArrayLike]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what canvas cells hold just before a MAC of this trace, and how far they have come.

        Parameters
        ----------
        number : int
            The MAC that is next.
        n, c, canvas
            As in `sums`; the cells of the picked batch items and channels.

        Returns
        -------
        held : ndarray, shape (m,)
        reached, finished : ndarray of bool, shape (m,)
            Whether a cell has had its first MAC of this trace, and its last.
        """
        cells = [np.asarray(place, dtype=np.int64) for place in canvas]
        n, c = np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64)
        rank, finished = self._last_rank_before(number, n, c, cells)
        return self._held(n, c, cells, rank + 1), rank >= 0, finished

    # -- results --------------------------------------------------------------------------------

    @cached_property
    def output(self) -> np.ndarray:
        """The layer's output, bias included, in torch's shape and dtype.

        ``(N, C_out, *L_out)``, or ``(C_out, *L_out)`` for an unbatched input.
        """
        return self.case.finished(self.output_sums)

    @cached_property
    def output_sums(self) -> np.ndarray:
        """The sums that make the output, wide (float64 or int64), without the bias: (N, C_out, *L_out)."""
        weights = self.geometry.layer.in_per_group * prod(self.geometry.layer.kernel_size)
        sequential = self.macs <= SEQUENTIAL_MACS and weights <= SEQUENTIAL_WEIGHTS
        added = add_in_order if sequential else add_up
        canvas = added(self.geometry, self._x, self._weight)
        return canvas[(slice(None), slice(None), *(axis.inside for axis in self.geometry.axes))]

    # -- inside ---------------------------------------------------------------------------------

    @cached_property
    def _x(self) -> np.ndarray:
        return wide(self.case.batched)

    @cached_property
    def _weight(self) -> np.ndarray:
        return wide(self.case.weight)

    @cached_property
    def _slots(self) -> int:
        """Room for the pairs of one canvas position: the largest number there is, per axis."""
        return prod(axis.most for axis in self.geometry.axes)

    def _check_cell(self, n: int, c: int, position: tuple[int, ...]) -> None:
        geometry = self.geometry
        if len(position) != geometry.layer.dims:
            raise IndexError(
                f"a cell of this output has {geometry.layer.dims} position numbers, "
                f"not {len(position)}"
            )
        if not (0 <= n < geometry.batch and 0 <= c < geometry.layer.out_channels):
            raise IndexError(
                f"cell ({n}, {c}) is outside: batch {geometry.batch}, "
                f"out_channels {geometry.layer.out_channels}"
            )
        for o, axis in zip(position, geometry.axes):
            if not 0 <= o + axis.padding < axis.canvas:
                raise IndexError(
                    f"output position {o} is outside the canvas, which goes from "
                    f"{-axis.padding} to {axis.canvas - axis.padding - 1}"
                )

    def _read(self, index: Index, picked: Pick | None = None) -> Macs:
        picked = picked or self.picked
        layer, axes = self.geometry.layer, self.geometry.axes
        n, group = picked.n[index.n], picked.group[index.group]
        in_channel = group * layer.in_per_group + picked.in_local[index.in_local]
        out_local = picked.out_local[index.out_local]
        out_channel = group * layer.out_per_group + out_local
        cells = [i * axis.stride + k * axis.dilation for axis, i, k in zip(axes, index.i, index.k)]
        x = self._x[(n, in_channel, *index.i)]
        w = self._weight[(in_channel, out_local, *index.k)]
        slot = np.zeros_like(n)
        for axis, i, k in zip(axes, index.i, index.k):
            slot = slot * axis.most + axis.slot[i, k]
        rank = (in_channel - group * layer.in_per_group) * self._slots + slot
        before = self._held(n, out_channel, cells, rank)
        with np.errstate(all="ignore"):
            product = x * w
            after = before + product
        kept = np.ones(len(n), dtype=bool)
        for axis, cell in zip(axes, cells):
            kept &= axis.is_inside(cell)
        return Macs(
            n=n,
            group=group,
            in_channel=in_channel,
            out_channel=out_channel,
            i=positions(index.i),
            k=positions(index.k),
            o=positions([cell - axis.padding for axis, cell in zip(axes, cells)]),
            kept=kept,
            x=x,
            w=w,
            product=product,
            before=before,
            after=after,
        )

    def _held(
        self, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray], rank: np.ndarray
    ) -> np.ndarray:
        """Return the cells' sums of all terms before ``rank``.

        The terms of a cell are its (input channel, slot) pairs in order; a cell with fewer pairs
        than the fullest has empty slots, which add nothing.
        """
        held = np.zeros(len(n), dtype=self._x.dtype)
        wheres = np.ravel_multi_index(
            (n, c, *cells),
            (self.geometry.batch, self.geometry.layer.out_channels, *self.geometry.canvas_size),
        )
        _, first, which = np.unique(wheres, return_index=True, return_inverse=True)
        by_cell = np.argsort(which, kind="stable")
        begin = np.searchsorted(which[by_cell], np.arange(len(first) + 1))
        at_once = max(1, TERMS_AT_ONCE // self._slots)
        for start in range(0, len(first), at_once):
            some = first[start : start + at_once]
            rows = by_cell[begin[start] : begin[start + len(some)]]
            held[rows] = self._added(
                n[some], c[some], [cell[some] for cell in cells], which[rows] - start, rank[rows]
            )
        return held

    def _added(
        self,
        n: np.ndarray,
        c: np.ndarray,
        cells: list[np.ndarray],
        which: np.ndarray,
        rank: np.ndarray,
    ) -> np.ndarray:
        """Return the sums before ``rank`` of the cells ``which``, added up side by side."""
        by_rank = np.argsort(rank)
        held = np.zeros(len(rank), dtype=self._x.dtype)
        so_far, done = np.zeros(len(c), dtype=self._x.dtype), 0
        for terms in self._terms(n, c, cells, channels=-(-int(rank.max()) // self._slots)):
            with np.errstate(all="ignore"):
                sums = running(terms, so_far)
            here = np.searchsorted(rank, [done + 1, done + len(sums)], sorter=by_rank)
            rows = by_rank[slice(*here)]
            held[rows] = sums[rank[rows] - done, which[rows]]
            so_far, done = sums[-1], done + len(terms)
        return held

    def _terms(
        self, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray], channels: int
    ) -> Iterator[np.ndarray]:
        """Yield the cells' terms, shape (terms, cells), some input channels of the first at a time."""
        layer = self.geometry.layer
        group, out_local = np.divmod(c, layer.out_per_group)
        i, k, there = _pairs_of(self.geometry.axes, cells)
        channel = group * layer.in_per_group
        x_place = np.ravel_multi_index((n, channel, *i), self._x.shape)
        w_place = np.ravel_multi_index((channel, out_local, *k), self._weight.shape)
        x, weight = self._x.reshape(-1), self._weight.reshape(-1)
        # The places in the next channels are a step further on, and so are those in the ones after.
        x_step, w_step = prod(self._x.shape[2:]), prod(self._weight.shape[1:])
        at_once = max(1, min(channels, TERMS_AT_ONCE // there.size))
        ahead = np.arange(at_once)[:, None, None]
        x_place, w_place = x_place + ahead * x_step, w_place + ahead * w_step
        empty = np.flatnonzero(np.broadcast_to(~there, x_place.shape))
        for start in range(0, channels, at_once):
            some = slice(channels - start)
            with np.errstate(all="ignore"):
                terms = x[start * x_step :].take(x_place[some])
                terms *= weight[start * w_step :].take(w_place[some])
            terms.reshape(-1)[empty[: np.searchsorted(empty, terms.size)]] = 0
            yield terms.reshape(-1, len(c))

    def _last_rank_before(
        self, number: int, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rank of each cell's last MAC below ``number``, and whether none is left.

        The rank is -1 where no MAC of the cell is numbered so low.
        """
        # A cell has as much to look at as it has room for terms.
        at_once = max(1, TERMS_AT_ONCE // (self._slots * len(self.picked.in_local)))
        parts = [
            self._last_ranks(number, n[some], c[some], [cell[some] for cell in cells])
            for some in (slice(at, at + at_once) for at in range(0, max(len(n), 1), at_once))
        ]
        last, finished = zip(*parts)
        return np.concatenate(last), np.concatenate(finished)

    def _last_ranks(
        self, number: int, n: np.ndarray, c: np.ndarray, cells: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        layer, picked = self.geometry.layer, self.picked
        group, out_local = np.divmod(c, layer.out_per_group)
        i, k, there = _pairs_of(self.geometry.axes, cells)
        in_place = np.arange(len(picked.in_local))[:, None, None]
        item, block, channel, out = np.broadcast_arrays(
            np.searchsorted(picked.n, n),
            np.searchsorted(picked.group, group),
            in_place,
            np.searchsorted(picked.out_local, out_local),
        )
        index = Index(item, block, channel, out, tuple(i), tuple(k))
        rank = picked.in_local[in_place] * self._slots + np.arange(self._slots)[:, None]
        done = there & (self.numbering.encode(index) < number)
        last = np.where(done, rank, -1).max(axis=(0, 1))
        return last, (last >= 0) & (last == np.where(there, rank, -1).max(axis=(0, 1)))

    def _worth_whole_blocks(self, start: int, stop: int) -> bool:
        """Tell whether reading whole (n, group) blocks costs about what the window holds."""
        layer = self.geometry.layer
        blocks = self.geometry.batch * layer.groups
        if not self.is_whole or not blocks or stop - start < max(self.macs // blocks // 2, 1):
            return False
        # It takes a few numpy calls per (channel, tap), or tens per line: the window has to pay.
        if self.order == "scatter":
            return stop - start >= 32 * layer.in_per_group * prod(layer.kernel_size)
        return stop - start >= 512 * len(lines_of_cells(self.geometry))

    def _whole_blocks(self, start: int, stop: int) -> Macs:
        """Return ``self[start:stop]``, cut from whole blocks."""
        block = self.macs // (self.geometry.batch * self.geometry.layer.groups)
        first, last = start // block, -(-stop // block)
        read = scatter_blocks if self.order == "scatter" else gather_blocks
        columns = read(self.geometry, self._x, self._weight, first, last)
        cut = slice(start - first * block, stop - first * block)
        return Macs(*(getattr(columns, field.name)[cut] for field in fields(columns)))


def _pairs_of(
    axes: tuple[Axis, ...], cells: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return the (input position, kernel tap) pairs of canvas cells, in the order they are added.

    Parameters
    ----------
    axes : tuple of Axis
    cells : list of ndarray of int64, one per dimension, each of shape (m,)
        Canvas positions.

    Returns
    -------
    i, k : list of ndarray, one per dimension, each of shape (slots, m)
    there : ndarray of bool, shape (slots, m)
        False for the empty slots of a cell with fewer pairs than the fullest.
    """
    most = [axis.most for axis in axes]
    slots = np.unravel_index(np.arange(prod(most)), most)
    i, k = [], []
    there = np.ones((prod(most), len(cells[0])), dtype=bool)
    for axis, cell, slot in zip(axes, cells, slots):
        filled = slot[:, None] < axis.count[cell]
        pair = np.where(filled, axis.start[cell] + slot[:, None], 0)
        i.append(axis.i.take(pair))
        k.append(axis.k.take(pair))
        there &= filled
    return i, k, there


def positions(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return position columns as one array (m, dims), each dimension contiguous in memory."""
    return np.array(columns, dtype=np.int64).reshape(len(columns), -1).T

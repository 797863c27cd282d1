"""Reading (nearly) everything: whole (n, group) blocks, written column by column.

`Trace.take` decodes every MAC by itself. Reading millions in a row, most of that work repeats: here
what is equal between channels, and between lines of cells, is decoded once and copied, so the time is
near that of writing the bytes. Both readers give the same rows as `Trace.take`, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from itertools import product as every
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.engine.layer import Axis, Geometry, Ints, Run

#: How many numbers of a column are worked on at once: they stay in the processor's cache.
_AT_ONCE = 2**16

#: From this many cells on, one numpy call per term is faster than `np.add.accumulate`.
_WORTH_A_CALL = 2**8


@dataclass(frozen=True, eq=False)
class Columns:
    """Room for the columns of ``rows`` MACs; the fields are those of `convt_trace.Macs`."""

    n: np.ndarray
    group: np.ndarray
    in_channel: np.ndarray
    out_channel: np.ndarray
    i: np.ndarray
    k: np.ndarray
    o: np.ndarray
    kept: np.ndarray
    x: np.ndarray
    w: np.ndarray
    product: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def empty(cls, rows: int, dims: int, dtype: np.dtype) -> Columns:
        """Return columns of ``rows`` MACs with nothing in them yet; each is contiguous in memory."""

        def column(name: str) -> np.ndarray:
            if name in ("i", "k", "o"):
                return np.empty((dims, rows), np.int64).T
            if name in ("x", "w", "product", "before", "after"):
                return np.empty(rows, dtype)
            return np.empty(rows, bool if name == "kept" else np.int64)

        return cls(*(column(field.name) for field in fields(cls)))


def taps_backwards(kernel_size: Ints) -> list[Ints]:
    """Return the kernel taps, last first.

    Within an output cell a later tap belongs to an earlier input value, so a walk over whole taps
    in this order adds every cell up in the order of its MACs.

    >>> taps_backwards((1, 2))
    [(0, 1), (0, 0)]
    """
    return list(every(*(range(size) for size in kernel_size)))[::-1]


def landing(axes: tuple[Axis, ...], k: Ints) -> tuple[slice, ...]:
    """Return the canvas positions where tap ``k`` puts the whole input, as slices.

    >>> landing((Axis(3, 2, stride=2, padding=0, output_padding=0, dilation=1),), (1,))
    (slice(1, 6, 2),)
    """
    return tuple(
        slice(
            tap * axis.dilation,
            tap * axis.dilation + (axis.length - 1) * axis.stride + 1,
            axis.stride,
        )
        for tap, axis in zip(k, axes)
    )


def scatter_blocks(
    geometry: Geometry, x: np.ndarray, weight: np.ndarray, first: int, last: int
) -> Columns:
    """Return the MACs of blocks ``first:last`` in scatter order.

    Parameters
    ----------
    geometry : Geometry
    x : ndarray of float64 or int64, shape (N, C_in, *L)
    weight : ndarray of the same dtype, shape (C_in, C_out/groups, *K)
    first, last : int
        Blocks are numbered ``n * groups + group``.
    """
    layer, size = geometry.layer, geometry.input_size
    ins, outs = layer.in_per_group, layer.out_per_group
    values, stamp = prod(size), prod(layer.kernel_size)
    shape = (last - first, ins, values, outs * stamp)
    rows = Columns.empty(prod(shape), layer.dims, x.dtype)

    # The index columns of one input channel, (values, outs * stamp); all channels repeat them.
    every_channel = (shape[0] * ins, values, outs * stamp)
    kept = rows.kept.reshape(every_channel)
    kept[0] = True
    positions = np.indices(size).reshape(layer.dims, values)
    taps = np.indices(layer.kernel_size).reshape(layer.dims, stamp)
    for place, axis in enumerate(geometry.axes):
        tap = np.tile(taps[place], outs)
        rows.i[:, place].reshape(every_channel)[...] = positions[place][:, None]
        rows.k[:, place].reshape(every_channel)[...] = tap
        o = rows.o[:, place].reshape(every_channel)
        lands = positions[place] * axis.stride - axis.padding
        np.add(lands[:, None], tap * axis.dilation, out=o[0])
        o[1:] = o[0]
        along = (np.arange(axis.length) * axis.stride - axis.padding)[:, None] + tap * axis.dilation
        inside = (along >= 0) & (along < axis.outputs)
        here = [axis.length if at == place else 1 for at in range(layer.dims)]
        kept[0].reshape(*size, -1)[...] &= inside.reshape(*here, -1)
    kept[1:] = kept[0]

    n, group = (part[:, None, None, None] for part in _numbered(geometry, first, last))
    rows.n.reshape(shape)[...] = n
    rows.group.reshape(shape)[...] = group
    rows.in_channel.reshape(shape)[...] = group * ins + np.arange(ins)[:, None, None]
    rows.out_channel.reshape(shape)[...] = group * outs + np.repeat(np.arange(outs), stamp)
    rows.x.reshape(shape)[...] = x.reshape(-1, ins, values, 1)[first:last]
    rows.w.reshape(shape)[...] = weight.reshape(-1, ins, 1, outs * stamp)[group[:, 0, 0, 0]]
    for _ in _added(geometry, x, weight, first, last, rows):
        pass
    with np.errstate(all="ignore"):
        np.add(rows.before, rows.product, out=rows.after)
    return rows


def add_in_order(geometry: Geometry, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the canvas of every item and channel, added in the order of the MACs.

    Parameters
    ----------
    geometry, x, weight
        As in `scatter_blocks`.

    Returns
    -------
    ndarray, shape (N, C_out, *canvas)
    """
    layer = geometry.layer
    blocks = geometry.batch * layer.groups
    canvas = np.empty((blocks, *geometry.canvas_size, layer.out_per_group), dtype=x.dtype)
    for some, sums in _added(geometry, x, weight, 0, blocks):
        canvas[some] = sums
    return np.moveaxis(canvas, -1, 1).reshape(
        geometry.batch, layer.out_channels, *geometry.canvas_size
    )


def _numbered(geometry: Geometry, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n and group of the blocks ``first:last``."""
    n, group = np.divmod(np.arange(first, last), geometry.layer.groups)
    return n, group


def _added(
    geometry: Geometry,
    x: np.ndarray,
    weight: np.ndarray,
    first: int,
    last: int,
    rows: Columns | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Add blocks up in the order of their MACs, as many blocks at once as the cache holds.

    Parameters
    ----------
    geometry, x, weight, first, last
        As in `scatter_blocks`.
    rows : Columns, optional
        Their columns, of which ``product`` and ``before`` are filled.

    Yields
    ------
    blocks : slice
        Some blocks, numbered from ``first``.
    canvas : ndarray, shape (blocks, *canvas, C_out/groups)
    """
    layer, axes, size = geometry.layer, geometry.axes, geometry.input_size
    ins, stamps = layer.in_per_group, (layer.out_per_group, *layer.kernel_size)
    shape = (last - first, ins, *size, *stamps)
    x = x.reshape(-1, ins, *size, *[1] * len(stamps))[first:last]
    group = _numbered(geometry, first, last)[1]
    weight = weight.reshape(-1, ins, *[1] * layer.dims, *stamps)
    walk = [(k, landing(axes, k)) for k in taps_backwards(layer.kernel_size)]
    # A step of the walk is a numpy call for one tap of each value: it needs ``worth`` values to pay.
    worth = _AT_ONCE // 64
    lines = max(1, _AT_ONCE // prod(shape[3:]), worth // (prod(size[1:]) * stamps[0]))
    at_once = max(1, _AT_ONCE // prod(shape[2:]), worth // (prod(size) * stamps[0]))  # blocks
    for start in range(0, last - first, at_once):
        some = slice(start, min(start + at_once, last - first))
        canvas = np.zeros((some.stop - start, *geometry.canvas_size, stamps[0]), dtype=x.dtype)
        for in_local, line in every(range(ins), range(0, size[0], lines)):
            here = (some, in_local, slice(line, line + lines))
            with np.errstate(all="ignore"):
                products = x[here] * weight[group[some], in_local]
                if rows is not None:
                    rows.product.reshape(shape)[here] = products
                    before = rows.before.reshape(shape)[here]
                for k, (down, *others) in walk:
                    lands = slice(
                        down.start + line * down.step,
                        min(down.start + (line + lines) * down.step, down.stop),
                        down.step,
                    )
                    cells = canvas[(slice(None), lands, *others)]
                    if rows is not None:
                        before[_tap(k)] = cells
                    cells += products[_tap(k)]
        yield some, canvas


def gather_blocks(
    geometry: Geometry, x: np.ndarray, weight: np.ndarray, first: int, last: int
) -> Columns:
    """Return the MACs of blocks ``first:last`` in gather order; parameters as in `scatter_blocks`."""
    reader = _Gathering(geometry, x, weight, first, last)
    # A line's MACs depend on where it is only in how many pairs its cells have in the other axes.
    for across, alike in groupby(lines_of_cells(geometry), key=_pairs_across):
        some = list(alike)
        for line in _Line.pieces(geometry, across):
            for runs in some:
                reader.read(runs, line)
    return reader.rows


def lines_of_cells(geometry: Geometry) -> list[tuple[Run, ...]]:
    """Return the lines of canvas cells, in runs of lines with the same taps in the other axes.

    A line goes along the last of `_axes`; lines whose cells have as many pairs are next to each
    other.

    >>> from convt_trace.engine.layer import Layer
    >>> layer = Layer.of(1, 1, 3, stride=2, dims=2)
    >>> [[len(run.cells) for run in runs] for runs in lines_of_cells(Geometry(layer, 1, (9, 9)))]
    [[1], [1], [8], [1], [8]]
    """
    others = [axis.runs for _, axis in _axes(geometry)[:-1]]
    return sorted(every(*others), key=_pairs_across)


def _axes(geometry: Geometry) -> list[tuple[int, Axis]]:
    """Return the numbered axes, those of a single pair first: they change no order of MACs."""
    return sorted(enumerate(geometry.axes), key=lambda numbered: len(numbered[1].i) > 1)


def _pairs_across(runs: tuple[Run, ...]) -> int:
    return prod(run.count for run in runs)


@dataclass(frozen=True, eq=False)
class _Line:
    """The MACs of some canvas cells of a line, in gather order, which may come again and again.

    Attributes
    ----------
    begin : int
        How many MACs of the line come before these.
    repeats, strides : int
        How often such cells come, one time after the other, and how many strides further each time.
    in_local, across, i, k, c : ndarray of int64, shape (m,)
        Input channel, place among the pairs of the other axes, and along the line the input
        position, tap and canvas position.
    term : ndarray of int64, shape (terms, cells)
        Where each cell's first, second, ... MAC stands; anywhere for a cell that has fewer.
    place : ndarray of int64, shape (m,)
        Where each MAC stands in ``term``, flattened.
    """

    begin: int
    repeats: int
    strides: int
    in_local: np.ndarray
    across: np.ndarray
    i: np.ndarray
    k: np.ndarray
    c: np.ndarray
    term: np.ndarray
    place: np.ndarray

    @classmethod
    def pieces(cls, geometry: Geometry, across: int) -> Iterator[_Line]:
        """Yield a whole line piece by piece; its cells have ``across`` pairs in the other axes."""
        ins, axis = geometry.layer.in_per_group, _axes(geometry)[-1][1]
        for cells, repeats, strides in _cut(axis, ins * across):
            if len(cells):
                yield cls._of(axis, cells, ins, across, repeats, strides)

    @classmethod
    def _of(
        cls,
        axis: Axis,
        cells: np.ndarray,
        ins: int,
        across: int,
        repeats: int,
        strides: int,
    ) -> _Line:
        start, each = axis.start[cells], axis.count[cells] * (ins * across)
        begin = (start - start[0]) * (ins * across)
        cell = np.repeat(np.arange(len(cells)), each)
        number = np.arange(len(cell)) - np.repeat(begin, each)  # inside its cell
        if ins * across == 1:  # each pair is one MAC
            in_local = place_across = np.zeros_like(cell)
            pair: Any = slice(start[0], start[0] + len(cell))
        else:
            other, slot = np.divmod(number, axis.count[cells].take(cell))
            in_local, place_across = np.divmod(other, across)
            pair = start.take(cell) + slot
        return cls(
            begin=int(start[0]) * ins * across,
            repeats=repeats,
            strides=strides,
            in_local=in_local,
            across=place_across,
            i=axis.i[pair],
            k=axis.k[pair],
            c=axis.c[pair],
            term=np.minimum(begin + np.arange(each.max())[:, None], len(cell) - 1),
            place=number * len(cells) + cell,
        )

    def __len__(self) -> int:
        return len(self.i)

    def sums_before(self, products: np.ndarray) -> np.ndarray:
        """Return what the cells hold before each MAC, from the products, both of shape (..., m)."""
        terms = products.reshape(-1, len(self)).take(self.term, axis=1)
        sums = running(terms).reshape(len(terms), -1)
        return sums.take(self.place, axis=1).reshape(products.shape)


def _cut(axis: Axis, terms: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield the cells of a line in pieces, how often each comes, and how many strides on each time.

    ``terms`` is the number of MACs per pair of the axis. A stretch of the axis without pairs yields
    pieces without cells.
    """
    strides = max(1, _AT_ONCE // (terms * axis.taps))
    long = [stretch for stretch in axis.stretches if len(stretch) >= 2 * strides]
    done = 0
    for stretch in [*long, range(axis.canvas, axis.canvas)]:
        # What comes once, since the last long stretch.
        cells = done + np.flatnonzero(axis.count[done : stretch.start])
        ends = np.cumsum(axis.count[cells]) * terms
        bounds = np.searchsorted(ends, np.arange(_AT_ONCE, terms * len(axis.i), _AT_ONCE))
        for some in np.split(cells, np.unique(bounds)):
            yield some, 1, 0
        repeats = len(stretch) // strides
        again = slice(stretch.start, stretch.start + strides * axis.stride)
        yield stretch.start + np.flatnonzero(axis.count[again]), repeats, strides
        done = stretch.start + repeats * strides * axis.stride


class _Gathering:
    """Blocks being read in gather order, all lines of cells that are alike at once.

    Attributes
    ----------
    rows : Columns
        Filled where lines were read.
    """

    def __init__(
        self, geometry: Geometry, x: np.ndarray, weight: np.ndarray, first: int, last: int
    ):
        layer = geometry.layer
        groups, ins, outs = layer.groups, layer.in_per_group, layer.out_per_group
        n, group = _numbered(geometry, first, last)
        self._geometry, self._group, self._axes = geometry, group, _axes(geometry)
        self._x = x.reshape(geometry.batch * groups, -1)[first:last]
        by_group = weight.reshape(groups, ins, outs, -1)
        self._kernels = by_group.swapaxes(1, 2).reshape(groups, outs, -1)
        self._plane = ins * prod(len(axis.i) for axis in geometry.axes)
        shape = (len(n), outs, self._plane)
        self.rows = Columns.empty(prod(shape), layer.dims, x.dtype)
        self.rows.n.reshape(shape)[...] = n[:, None, None]
        self.rows.group.reshape(shape)[...] = group[:, None, None]
        out_channel = group[:, None] * outs + np.arange(outs)
        self.rows.out_channel.reshape(shape)[...] = out_channel[..., None]

    def read(self, runs: tuple[Run, ...], line: _Line) -> None:
        """Fill in the MACs of these cells of a line, in every line of the runs."""
        layer, size, rows = self._geometry.layer, self._geometry.input_size, self.rows
        room = self._room(runs, line)
        group = self._group.reshape(-1, *[1] * (layer.dims + 2))
        np.add(group * layer.in_per_group, line.in_local, out=room(rows.in_channel))
        # Where each MAC's numbers stand in a block's input and in a kernel, both flattened: for the
        # first of the cells, and how much further on for the others.
        x_place = line.in_local * prod(size)
        w_place = line.in_local * prod(layer.kernel_size)
        further = np.zeros(1, dtype=np.int64)
        kept = np.ones(1, dtype=bool)
        steps = np.ix_(
            *(np.arange(len(run.cells)) for run in runs),
            np.arange(line.repeats) * line.strides,
            np.arange(1),
        )
        for (place, axis), step, (i, k, c) in zip(self._axes, steps, self._first(runs, line)):
            np.add(i, step, out=room(rows.i[:, place]))
            room(rows.k[:, place])[...] = k
            np.add(c - axis.padding, step * axis.stride, out=room(rows.o[:, place]))
            kept = kept & axis.is_inside(c + step * axis.stride)
            x_place = x_place + i * prod(size[place + 1 :])
            w_place = w_place + k * prod(layer.kernel_size[place + 1 :])
            further = further + step * prod(size[place + 1 :])
        room(rows.kept)[...] = kept
        self._multiply(room, line, further, x_place, w_place)

    def _first(
        self, runs: tuple[Run, ...], line: _Line
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield for each axis i, k and canvas position of the MACs where the runs and line begin."""
        counts = [run.count for run in runs]
        slots = np.indices(counts).reshape(len(counts), prod(counts))
        for (_, axis), run, slot in zip(self._axes, runs, slots):
            pair = run.start + slot.take(line.across)
            yield axis.i.take(pair), axis.k.take(pair), np.array(run.cells.start)
        yield line.i, line.k, line.c

    def _multiply(
        self,
        room: Callable[[np.ndarray], np.ndarray],
        line: _Line,
        further: np.ndarray,
        x_place: np.ndarray,
        w_place: np.ndarray,
    ) -> None:
        """Fill in the numbers of the MACs that `read` has placed."""
        rows = self.rows
        x, w, product = room(rows.x), room(rows.w), room(rows.product)
        before, after = room(rows.before), room(rows.after)
        blocks, outs, *lines, _ = x.shape
        for some, *here in _pieces((blocks, *lines), len(line)):
            inputs = self._x[some].take(further[tuple(here)] + x_place, axis=1)[:, None]
            for (out_local,) in _pieces((outs,), inputs.size):
                weights = self._kernels[self._group[some], out_local].take(w_place, axis=-1)
                weights = weights.reshape(*weights.shape[:2], *[1] * len(here), -1)
                cut = (some, out_local, *here)
                x[cut], w[cut] = inputs, weights
                with np.errstate(all="ignore"):
                    product[cut] = products = inputs * weights
                    before[cut] = held = line.sums_before(products)
                    np.add(held, products, out=after[cut])

    def _room(self, runs: tuple[Run, ...], line: _Line) -> Callable[[np.ndarray], np.ndarray]:
        """Return what finds these MACs in a column, as (blocks, C_out/groups, *runs, repeats, m)."""
        outs, begin, steps, each = self._geometry.layer.out_per_group, line.begin, [], self._plane
        for (_, axis), run in zip(self._axes, runs):
            each //= len(axis.i)
            begin += run.start * each
            steps.append(run.period * each)
            each *= run.count
        times = (len(run.cells) for run in runs)
        shape = (len(self._group), outs, *times, line.repeats, len(line))
        strides = (outs * self._plane, self._plane, *steps, len(line), 1)

        def room(column: np.ndarray) -> np.ndarray:
            size = column.itemsize
            bytes_on = [stride * size for stride in strides]
            return np.ndarray(shape, column.dtype, column, begin * size, bytes_on)

        return room


def _pieces(shape: tuple[int, ...], each: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cut ``shape``, of ``each`` numbers per place, into what the cache holds."""
    cuts: list[list[slice]] = []
    for length in reversed(shape):
        step = min(length, max(1, _AT_ONCE // each))
        cuts.append([slice(start, start + step) for start in range(0, length, step)])
        each *= step
    return every(*reversed(cuts))


def running(terms: np.ndarray, held: ArrayLike = 0) -> np.ndarray:
    """Return what cells hold before each of their terms, and after the last.

    Parameters
    ----------
    terms : ndarray, shape (..., terms, cells)
    held : array_like, shape (..., cells), optional
        What they hold before the first.

    Returns
    -------
    ndarray, shape (..., terms + 1, cells)

    Examples
    --------
    >>> running(np.array([[1, 10], [2, 20]])).tolist()
    [[0, 0], [1, 10], [3, 30]]
    """
    *lines, count, cells = terms.shape
    sums = np.empty((*lines, count + 1, cells), dtype=terms.dtype)
    sums[..., 0, :] = held
    if prod(lines) * cells < _WORTH_A_CALL:
        sums[..., 1:, :] = terms
        return np.add.accumulate(sums, axis=-2, out=sums)
    for term in range(count):
        np.add(sums[..., term, :], terms[..., term, :], out=sums[..., term + 1, :])
    return sums


def add_up(geometry: Geometry, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the canvas of every item and channel, added tap by tap with matrix products.

    Parameters
    ----------
    geometry, x, weight
        As in `scatter_blocks`.

    Returns
    -------
    ndarray, shape (N, C_out, *canvas)
        float64 sums may differ from the running sums in the last bits; integers may not.
    """
    layer, size = geometry.layer, geometry.input_size
    groups, ins, outs = layer.groups, layer.in_per_group, layer.out_per_group
    columns = x.reshape(geometry.batch, groups, ins, -1)
    canvas = np.zeros((geometry.batch, groups, outs, *geometry.canvas_size), dtype=x.dtype)
    with np.errstate(all="ignore"):
        for k in taps_backwards(layer.kernel_size):
            tap = weight[_tap(k)].reshape(groups, ins, outs)
            stamped = np.matmul(tap.transpose(0, 2, 1), columns)
            canvas[_tap(landing(geometry.axes, k))] += stamped.reshape(
                geometry.batch, groups, outs, *size
            )
    return canvas.reshape(geometry.batch, layer.out_channels, *geometry.canvas_size)


def _tap(places: tuple[Any, ...]) -> Any:
    """Return the index of spatial places, in every channel."""
    return (..., *places)

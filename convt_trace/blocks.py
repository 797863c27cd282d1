"""Reading (nearly) everything: whole (n, group) blocks, written column by column.

`Trace.take` pays a little per MAC to read any MAC. Reading millions in a row pays that for nothing:
what repeats between channels is decoded once here and copied, so the cost is near that of writing
the bytes. Both readers give the same rows as `Trace.take`, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product as every
from math import prod
from typing import Any

import numpy as np

from convt_trace.layer import Axis, Geometry, Ints

#: Numbers of a column that are worked on at once: what stays in the cache from one step to the next.
_AT_ONCE = 2**15


@dataclass(frozen=True, eq=False)
class Columns:
    """Room for the columns of ``rows`` MACs; the fields are those of `convt_trace.trace.Macs`."""

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
    # A step of the walk takes one tap of each value: it has to be worth a call, or ``worth`` values.
    worth = _AT_ONCE // 32
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
    layer, axes = geometry.layer, geometry.axes
    ins, outs = layer.in_per_group, layer.out_per_group
    n, group = _numbered(geometry, first, last)
    shape = (last - first, outs, ins * prod(len(axis.i) for axis in axes))
    rows = Columns.empty(prod(shape), layer.dims, x.dtype)
    rows.n.reshape(shape)[...] = n[:, None, None]
    rows.group.reshape(shape)[...] = group[:, None, None]
    rows.out_channel.reshape(shape)[...] = (group[:, None] * outs + np.arange(outs))[..., None]
    x = x.reshape(geometry.batch * layer.groups, -1)[first:last]
    by_group = weight.reshape(layer.groups, ins, outs, -1)
    kernels = by_group.swapaxes(1, 2).reshape(layer.groups, outs, -1)

    # Every canvas cell gets room for the fullest cell's pairs, (cells, ins, slots), some of it empty;
    # as many lines of cells at a time as the cache holds.
    slots, others = prod(axis.most for axis in axes), geometry.canvas_size[1:]
    lines = max(1, _AT_ONCE // (prod(others) * ins * slots))
    for top in range(0, axes[0].canvas, lines):
        cells = np.indices((min(lines, axes[0].canvas - top), *others)).reshape(layer.dims, -1)
        cells[0] += top
        i, k, there = pairs_of(axes, list(cells))
        room = (len(there), ins, slots)
        filled = np.flatnonzero(np.broadcast_to(there[:, None, :], room))
        if not len(filled):
            continue  # a stride may leave whole lines without a MAC
        start = int(axes[0].start[top]) * ins * prod(len(axis.i) for axis in axes[1:])
        here = slice(start, start + len(filled))

        def spread(
            column: np.ndarray, room: Ints = room, filled: np.ndarray = filled
        ) -> np.ndarray:
            """Return for each MAC what (cells, ins, slots), or a part of it, says."""
            spread_out = np.broadcast_to(column, room).reshape(-1)
            return spread_out if len(filled) == prod(room) else spread_out.take(filled)

        kept = np.ones(len(there), dtype=bool)
        x_place = w_place = np.zeros((room[0], slots), dtype=np.int64)
        for place, axis in enumerate(axes):
            lands = cells[place] - axis.padding
            kept &= (lands >= 0) & (lands < axis.outputs)
            rows.i[:, place].reshape(shape)[..., here] = spread(i[place][:, None])
            rows.k[:, place].reshape(shape)[..., here] = spread(k[place][:, None])
            rows.o[:, place].reshape(shape)[..., here] = spread(lands[:, None, None])
            x_place = x_place * axis.length + i[place]
            w_place = w_place * axis.taps + k[place]
        rows.kept.reshape(shape)[..., here] = spread(kept[:, None, None])
        channel = np.arange(ins)[:, None]
        in_channel = spread(channel)
        rows.in_channel.reshape(shape)[..., here] = (group * ins)[:, None, None] + in_channel
        x_place = spread(channel * prod(geometry.input_size) + x_place[:, None])
        w_place = spread(channel * prod(layer.kernel_size) + w_place[:, None])
        # Where a MAC's sum before it stands in rows of sums, which start with a 0.
        done = filled + spread(np.arange(room[0])[:, None, None])

        at_once = max(1, _AT_ONCE // prod(room))  # (block, output channel) pairs
        for block in range(0, last - first, max(1, at_once // outs)):
            blocks = slice(block, block + max(1, at_once // outs))
            inputs = x[blocks].take(x_place, axis=1)[:, None]
            for out_local in range(0, outs, at_once):
                these = (blocks, slice(out_local, out_local + at_once), here)
                taps = kernels[group[blocks], these[1]].take(w_place, axis=-1)
                with np.errstate(all="ignore"):
                    products = inputs * taps
                    sums = _sums_before(products.reshape(-1, len(filled)), room, filled, done)
                rows.x.reshape(shape)[these] = inputs
                rows.w.reshape(shape)[these] = taps
                rows.product.reshape(shape)[these] = products
                rows.before.reshape(shape)[these] = sums.reshape(products.shape)
    with np.errstate(all="ignore"):
        np.add(rows.before, rows.product, out=rows.after)
    return rows


def _sums_before(
    products: np.ndarray, room: Ints, filled: np.ndarray, done: np.ndarray
) -> np.ndarray:
    """Return what cells hold before each of their terms; all of shape (rows, len(filled))."""
    terms = np.zeros((len(products), prod(room)), dtype=products.dtype)
    terms[:, filled] = products
    in_cells = terms.reshape(-1, room[1] * room[2])
    sums = np.zeros((len(in_cells), in_cells.shape[1] + 1), dtype=products.dtype)
    in_cells[:, 0] += 0  # a sum starts at 0, and 0 + -0 is 0
    np.add.accumulate(in_cells, axis=1, out=sums[:, 1:])
    return sums.reshape(len(products), -1).take(done, axis=1)


def pairs_of(
    axes: tuple[Axis, ...], cells: tuple[np.ndarray, ...] | list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return the (input position, kernel tap) pairs of canvas cells, in the order they are added.

    Parameters
    ----------
    axes : tuple of Axis
    cells : sequence of ndarray of int64, one per dimension, each of shape (m,)
        Canvas positions.

    Returns
    -------
    i, k : list of ndarray, one per dimension, each of shape (m, slots)
    there : ndarray of bool, shape (m, slots)
        False for the empty slots of a cell with fewer pairs than the fullest.
    """
    most = [axis.most for axis in axes]
    slots = np.unravel_index(np.arange(prod(most)), most)
    i, k = [], []
    there = np.ones((len(cells[0]), prod(most)), dtype=bool)
    for axis, cell, slot in zip(axes, cells, slots):
        filled = slot < axis.count[cell][:, None]
        pair = np.where(filled, axis.start[cell][:, None] + slot, 0)
        i.append(axis.i.take(pair))
        k.append(axis.k.take(pair))
        there &= filled
    return i, k, there


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

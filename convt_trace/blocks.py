"""Reading (nearly) everything: whole (n, group) blocks, written column by column.

`Trace.take` pays a little per MAC to read any MAC. Reading millions in a row pays that for nothing:
what repeats between channels is decoded once here and copied, so the cost is near that of writing
the bytes. Both readers give the same rows as `Trace.take`, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product as every
from math import prod
from typing import Any

import numpy as np

from convt_trace.layer import Axis, Geometry, Ints


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
    layer, axes, dims = geometry.layer, geometry.axes, geometry.layer.dims
    ins, outs, size, kernel = (
        layer.in_per_group,
        layer.out_per_group,
        geometry.input_size,
        layer.kernel_size,
    )
    values, stamp = prod(size), prod(kernel)
    rows = Columns.empty((last - first) * ins * values * outs * stamp, dims, x.dtype)

    # The index columns of one input channel, (values, outs * stamp); all channels repeat them.
    tap = np.array(list(np.ndindex(kernel)), dtype=np.int64).reshape(stamp, dims)
    position = np.array(list(np.ndindex(size)), dtype=np.int64).reshape(values, dims)
    every_channel = ((last - first) * ins, values, outs * stamp)
    kept = np.ones(every_channel[1:], dtype=bool)
    for place, axis in enumerate(axes):
        taps = np.tile(tap[:, place], outs)
        lands = (position[:, place] * axis.stride)[:, None] + taps * axis.dilation - axis.padding
        kept &= (lands >= 0) & (lands < axis.outputs)
        rows.i[:, place].reshape(every_channel)[...] = position[:, place][:, None]
        rows.k[:, place].reshape(every_channel)[...] = taps
        rows.o[:, place].reshape(every_channel)[...] = lands
    rows.kept.reshape(every_channel)[...] = kept

    block = (ins, values, outs * stamp)
    out_local = np.repeat(np.arange(outs), stamp)
    for place in range(last - first):
        n, group = divmod(first + place, layer.groups)
        channels = np.arange(group * ins, (group + 1) * ins)
        here = slice(place * prod(block), (place + 1) * prod(block))
        rows.n[here], rows.group[here] = n, group
        rows.in_channel[here].reshape(block)[...] = channels[:, None, None]
        rows.out_channel[here].reshape(block)[...] = out_local + group * outs
        rows.x[here].reshape(block)[...] = x[n, channels].reshape(ins, values, 1)
        rows.w[here].reshape(block)[...] = weight[channels].reshape(ins, 1, outs * stamp)
        add_block(geometry, x, weight, (n, group), rows.before[here], rows.product[here])
    with np.errstate(all="ignore"):
        np.add(rows.before, rows.product, out=rows.after)
    return rows


def add_block(
    geometry: Geometry,
    x: np.ndarray,
    weight: np.ndarray,
    block: tuple[int, int],
    before: np.ndarray | None = None,
    product: np.ndarray | None = None,
) -> np.ndarray:
    """Add one (n, group) block up in the order of its MACs.

    Parameters
    ----------
    geometry, x, weight
        As in `scatter_blocks`.
    block : (int, int)
        n and group.
    before, product : ndarray, optional
        Columns of the block in scatter order, to be filled.

    Returns
    -------
    ndarray, shape (C_out/groups, *canvas)
    """
    layer, axes = geometry.layer, geometry.axes
    n, group = block
    one_channel = (*geometry.input_size, layer.out_per_group, *layer.kernel_size)
    canvas = np.zeros((*geometry.canvas_size, layer.out_per_group), dtype=x.dtype)
    walk = [(k, landing(axes, k)) for k in taps_backwards(layer.kernel_size)]
    products = np.empty(one_channel, dtype=x.dtype)
    size = prod(one_channel)
    with np.errstate(all="ignore"):
        for in_local in range(layer.in_per_group):
            in_channel = group * layer.in_per_group + in_local
            here = slice(in_local * size, (in_local + 1) * size)
            if product is not None:
                products = product[here].reshape(one_channel)
            x_here = x[n, in_channel].reshape(*geometry.input_size, *[1] * (layer.dims + 1))
            np.multiply(x_here, weight[in_channel], out=products)
            held = before[here].reshape(one_channel) if before is not None else None
            for k, lands in walk:
                cells = canvas[lands]
                if held is not None:
                    held[_tap(k)] = cells
                cells += products[_tap(k)]
    return np.moveaxis(canvas, -1, 0)


def gather_blocks(
    geometry: Geometry, x: np.ndarray, weight: np.ndarray, first: int, last: int
) -> Columns:
    """Return the MACs of blocks ``first:last`` in gather order; parameters as in `scatter_blocks`."""
    layer, axes, dims = geometry.layer, geometry.axes, geometry.layer.dims
    ins, outs = layer.in_per_group, layer.out_per_group
    # Every canvas cell gets room for the fullest cell's pairs: (cells, ins, slots), some empty.
    i, k, there = pairs_of(
        axes, np.unravel_index(np.arange(prod(geometry.canvas_size)), geometry.canvas_size)
    )
    room = (len(there), ins, there.shape[1])
    filled = np.flatnonzero(np.broadcast_to(there[:, None, :], room))
    cell, rest = np.divmod(filled, ins * room[2])
    in_local, slot = np.divmod(rest, room[2])
    pair = cell * room[2] + slot
    x_place = np.ravel_multi_index(
        (in_local, *(a.reshape(-1)[pair] for a in i)), (ins, *geometry.input_size)
    )
    w_place = np.ravel_multi_index(
        (in_local, *(a.reshape(-1)[pair] for a in k)), (ins, *layer.kernel_size)
    )
    rows = Columns.empty((last - first) * outs * len(filled), dims, x.dtype)

    every_channel = ((last - first) * outs, len(filled))
    kept = np.ones(len(filled), dtype=bool)
    for place, axis in enumerate(axes):
        taps, position = k[place].reshape(-1)[pair], i[place].reshape(-1)[pair]
        lands = position * axis.stride + taps * axis.dilation - axis.padding
        kept &= (lands >= 0) & (lands < axis.outputs)
        rows.i[:, place].reshape(every_channel)[...] = position
        rows.k[:, place].reshape(every_channel)[...] = taps
        rows.o[:, place].reshape(every_channel)[...] = lands
    rows.kept.reshape(every_channel)[...] = kept

    sums = np.zeros((room[0], ins * room[2] + 1), dtype=x.dtype)
    terms = np.zeros(prod(room), dtype=x.dtype)
    done = cell * sums.shape[1] + rest  # where a MAC's running sum stands in ``sums``
    for place in range(last - first):
        n, group = divmod(first + place, layer.groups)
        channels = slice(group * ins, (group + 1) * ins)
        block = slice(place * outs * len(filled), (place + 1) * outs * len(filled))
        rows.n[block], rows.group[block] = n, group
        rows.in_channel[block].reshape(outs, -1)[...] = in_local + group * ins
        rows.x[block].reshape(outs, -1)[...] = x[n, channels].reshape(-1)[x_place]
        for out_local in range(outs):
            start = block.start + out_local * len(filled)
            here = slice(start, start + len(filled))
            rows.out_channel[here] = group * outs + out_local
            kernels = np.ascontiguousarray(weight[channels, out_local]).reshape(-1)
            np.take(kernels, w_place, out=rows.w[here])
            with np.errstate(all="ignore"):
                np.multiply(rows.x[here], rows.w[here], out=rows.product[here])
                terms[filled] = rows.product[here]
                in_cells = terms.reshape(room[0], -1)
                in_cells[:, 0] += 0  # a sum starts at 0, and 0 + -0 is 0
                np.add.accumulate(in_cells, axis=1, out=sums[:, 1:])
            np.take(sums.reshape(-1), done, out=rows.before[here])
    with np.errstate(all="ignore"):
        np.add(rows.before, rows.product, out=rows.after)
    return rows


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
        i.append(axis.i[pair])
        k.append(axis.k[pair])
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

"""Matrix: the layer as one sparse matrix, and its transpose, the plain convolution's."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.extras import require
from convt_trace.views.tensors import (
    LinkedView,
    NotComputedError,
    Tensor,
    arguments,
    input_of,
    lit_input,
    lit_output,
    output_of,
    places,
    program,
    refuse_large,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

#: Entries of a matrix that are held at once: 16 bytes each.
MOST_ENTRIES = 2**24
#: Entries that a page works with.
MOST_SHOWN = 2**21


def matrix(case: Case) -> csr_array:
    """Return the layer as a sparse matrix: its output, flat, is this matrix times the input, flat.

    The transpose is the matrix of the plain convolution with the same weight, stride, padding and
    dilation. scipy is needed.

    Returns
    -------
    scipy.sparse.csr_array of float64 or int64, shape (C_out * prod(L_out), C_in * prod(L))
        One entry for each MAC of a batch item that is not cropped, those with a weight of 0 too.

    Raises
    ------
    NotComputedError
        If it has more than `MOST_ENTRIES` entries.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> matrix(case).toarray().tolist()
    [[5, 1, 1, 0], [0, 5, 1, 1]]
    >>> (matrix(case) @ case.x.ravel()).tolist()
    [12, 9]
    """
    require("scipy")
    from scipy.sparse import csr_array

    geometry, layer = case.geometry, case.layer
    pairs = [axis.i.size for axis in geometry.axes]
    entries = layer.groups * layer.in_per_group * layer.out_per_group * prod(pairs)
    if entries > MOST_ENTRIES:
        raise NotComputedError(
            f"The matrix has {entries:,} entries; {MOST_ENTRIES:,} are allowed. Take a smaller input."
        )
    group, local, out, *at = np.ix_(
        range(layer.groups),
        range(layer.in_per_group),
        range(layer.out_per_group),
        *map(range, pairs),
    )
    i, k = ([getattr(axis, name)[p] for axis, p in zip(geometry.axes, at)] for name in "ik")
    o = [axis.c[p] - axis.padding for axis, p in zip(geometry.axes, at)]
    channel = group * layer.in_per_group + local
    inside = np.ones((), dtype=bool)
    for place, size in zip(o, geometry.output_size):
        inside = inside & (place >= 0) & (place < size)
    row, column = group * layer.out_per_group + out, channel
    for place, size in zip(o, geometry.output_size):
        row = row * size + place
    for place, size in zip(i, geometry.input_size):
        column = column * size + place
    value = wide(case.weight)[(channel, out, *k)]
    value, row, column, inside = np.broadcast_arrays(value, row, column, inside)
    shape = (
        layer.out_channels * prod(geometry.output_size),
        layer.in_channels * prod(geometry.input_size),
    )
    return csr_array((value[inside], (row[inside], column[inside])), shape=shape)


def times(matrix: csr_array | csc_array, tensor: np.ndarray) -> np.ndarray:
    """Return a matrix times every batch item of a tensor, flat: shape (N, rows)."""
    return (matrix @ wide(tensor).reshape(len(tensor), matrix.shape[1]).T).T


def matrix_view(case: Case) -> LinkedView:
    """Return the view of the layer as a matrix."""
    return LinkedView(
        name="matrix",
        sentence=(
            "The whole layer as one sparse matrix M = Aᵀ: a row is an output cell and its sum, a column "
            "an input value and its stamp, an entry a tap. y = M x; what padding crops are rows left "
            "out, here hatched. A = Mᵀ is the plain convolution's matrix with the same weight: that is "
            "what transposed means."
        ),
        tensors=(
            _joining(
                case,
                "M",
                "M = Aᵀ: rows are output cells",
                "output",
                line="The layer, and the plain convolution with the same weight",
            ),
            _joining(case, "A", "A = Mᵀ: rows are input values", "input"),
            input_of(case, line="y = M x"),
            output_of(case),
        ),
        lit=lambda macs: {
            "x": lit_input(macs),
            "y": lit_output(macs),
            "M": places(macs.out_channel, macs.o, macs.in_channel, macs.i),
            "A": places(macs.in_channel, macs.i, macs.out_channel, macs.o),
        },
        equation="{y} += {M} * {x} = {M=} * {x=} = {product}",
        code=_code(case),
        result=lambda: _result(case),
    )


def _result(case: Case) -> np.ndarray:
    refuse_large(case, MOST_SHOWN)
    sums = times(matrix(case), case.batched)
    return case.finished(sums.reshape(case.geometry.output_shape))


def _joining(case: Case, name: str, title: str, rows: str, line: str = "") -> Tensor:
    """Return the matrix, or its transpose, as a tensor of (channel, position, channel, position)."""
    geometry, layer, dims = case.geometry, case.layer, case.dims
    outputs = (layer.out_channels, *geometry.output_size)
    inputs = (layer.in_channels, *geometry.input_size)
    first = rows == "output"

    def values(*at: np.ndarray) -> np.ndarray:
        one, other = at[: dims + 1], at[dims + 1 :]
        (out, *o), (channel, *i) = (one, other) if first else (other, one)
        return _entries(case, out, o, channel, i)

    return Tensor(
        name=name,
        title=title,
        letter=name,
        shape=(*outputs, *inputs) if first else (*inputs, *outputs),
        axes=("c" + "s" * dims) * 2,
        values=values,
        blocks=0,
        joins=("output", "input") if first else ("input", "output"),
        line=line,
    )


def _entries(
    case: Case, out: np.ndarray, o: list[np.ndarray], channel: np.ndarray, i: list[np.ndarray]
) -> np.ndarray:
    """Return the weights that join output cells to input values; 0 where there is none."""
    layer = case.layer
    there = out // layer.out_per_group == channel // layer.in_per_group
    taps = []
    for at_out, at_in, stride, padding, dilation, size in zip(
        o, i, layer.stride, layer.padding, layer.dilation, layer.kernel_size
    ):
        tap, rest = np.divmod(at_out + padding - at_in * stride, dilation)
        inside = (rest == 0) & (tap >= 0) & (tap < size)
        there = there & inside
        taps.append(np.where(inside, tap, 0))
    return np.where(there, wide(case.weight)[(channel, out % layer.out_per_group, *taps)], 0)


def _code(case: Case) -> str:
    """Return a program that lets a plain convolution's gradient write the matrix."""
    layer, dims = case.layer, case.dims
    size = ", ".join(map(str, (layer.in_channels, *case.geometry.input_size)))
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    given = "".join(f", {text}" for text in arguments(case, *names))
    batch = "" if case.unbatched else "len(x), "
    out = ", ".join(map(str, (layer.out_channels, *case.geometry.output_size)))
    flat = "x.flatten()" if case.unbatched else "x.flatten(1).T"
    back = "" if case.unbatched else ".T"
    return program(
        case,
        f"ones = torch.eye({layer.in_channels * prod(case.geometry.input_size)}, dtype=x.dtype)",
        f"M = F.conv_transpose{dims}d(ones.reshape(-1, {size}), weight{given})",
        "M = M.flatten(1).T.to_sparse()  # a column is the stamp of one input value",
        f"y = (M @ {flat}){back}.reshape({batch}{out})",
    )

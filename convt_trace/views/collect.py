"""Collect: a plain convolution over the zero-stuffed input, with the weight rearranged."""

from __future__ import annotations

from typing import Any

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.trace import Macs
from convt_trace.views.tensors import (
    LinkedView,
    Place,
    Tensor,
    arguments,
    in_local,
    lit_output,
    lit_weight,
    one_or_all,
    output_of,
    places,
    program,
    refuse_zeros_times_infinity,
    weight_of,
)


def collect(case: Case) -> LinkedView:
    """Return the view in which each output cell collects its taps: the equivalent plain conv."""
    borders = tuple(before for before, _ in borders_of(case))
    border = one_or_all(borders) + (" (negative: it cuts values off)" if min(borders) < 0 else "")
    return LinkedView(
        name="collect",
        sentence=(
            "Each output cell collects its taps: a plain convolution with stride 1 over the input with "
            f"zeros between its values and a border of dilation*(kernel-1) - padding = {border} around "
            "it. The weight is rearranged for that: (in, out/groups, k) becomes "
            "(out, in/groups, k backwards), block by block."
        ),
        tensors=(
            weight_of(case, line="1. The weight as torch stores it, and rearranged"),
            rearranged(case),
            stuffed(case, line="2. The plain convolution over the stuffed input"),
            output_of(case),
        ),
        lit=lambda macs: {
            "w": lit_weight(case, macs),
            "v": lit_rearranged(case, macs),
            "z": lit_stuffed(case, macs),
            "y": lit_output(macs),
        },
        equation="{y} += {z} * {v}, which is {w}: {z=} * {w=} = {product}",
        code=program(case, *stuffing(case), *rearranging(case), convolving(case, "v")),
        result=lambda: collected(case),
    )


def collected(case: Case) -> np.ndarray:
    """Return the layer's output by the equivalent plain convolution."""
    refuse_zeros_times_infinity(case)
    return case.finished(slide(case, stuffed_input(case), rearranged_weight(case)))


def as_conv(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the equivalent plain convolution: its padded signal and its weight.

    It has stride 1, no padding, and the layer's dilation, groups and bias.

    Returns
    -------
    signal : ndarray, shape (N, C_in, *size)
        The input with zeros between its values and around them, in the case's dtype.
    weight : ndarray, shape (C_out, C_in/groups, *K)

    Examples
    --------
    >>> signal, weight = as_conv(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2))
    >>> signal.tolist(), weight.tolist()
    ([[[2, 1, 1, 3]]], [[[5, 1, 1]]])
    """
    return stuffed_input(case).astype(case.x.dtype), rearranged_weight(case)


# -- the weight, rearranged -------------------------------------------------------------------------


def rearranged_weight(case: Case, *, flip: bool = True) -> np.ndarray:
    """Return the equivalent plain conv's weight: (C_out, C_in/groups, *K), every tap backwards."""
    layer = case.layer
    blocks = case.weight.reshape(layer.groups, layer.in_per_group, *case.weight.shape[1:])
    swapped = blocks.swapaxes(1, 2)
    if flip:
        swapped = np.flip(swapped, axis=tuple(range(-case.dims, 0)))
    return np.ascontiguousarray(swapped).reshape(
        layer.out_channels, layer.in_per_group, *layer.kernel_size
    )


def rearranged(case: Case, *, flip: bool = True, line: str = "") -> Tensor:
    """Return the plain conv's weight as a tensor; with ``flip`` its taps are backwards."""
    weight = rearranged_weight(case, flip=flip)
    order = "backwards" if flip else "forwards"
    name = "v" if flip else "f"
    return Tensor(
        name=name,
        title=f"weight {name}: (out, in/groups, k {order})",
        letter=name,
        shape=weight.shape,
        axes="cc" + "s" * case.dims,
        values=lambda *at: wide(weight[at]),
        line=line,
    )


def lit_rearranged(case: Case, macs: Macs) -> np.ndarray:
    """Return where MACs stand in the rearranged weight."""
    backwards = np.array(case.layer.kernel_size) - 1 - macs.k
    return places(macs.out_channel, in_local(case, macs), backwards)


# -- the input, stuffed with zeros and padded -------------------------------------------------------


def borders_of(case: Case) -> list[tuple[int, int]]:
    """Return the zeros before and after the stuffed input, per axis; a negative number cuts.

    >>> borders_of(Case.of([[[1, 2]]], [[[1, 2, 3]]], stride=2, padding=1, output_padding=1))
    [(1, 2)]
    """
    layer = case.layer
    return [
        (d * (k - 1) - p, d * (k - 1) - p + extra)
        for d, k, p, extra in zip(
            layer.dilation, layer.kernel_size, layer.padding, layer.output_padding
        )
    ]


def stuffed_size(case: Case) -> Ints:
    """Return the size of the stuffed and padded input, per axis."""
    return tuple(
        (length - 1) * stride + 1 + before + after
        for length, stride, (before, after) in zip(
            case.geometry.input_size, case.layer.stride, borders_of(case)
        )
    )


def stuffed_input(case: Case) -> np.ndarray:
    """Return the input with zeros between and around its values, wide: (N, C_in, *size).

    >>> stuffed_input(Case.of([[[1, 2]]], [[[1, 2, 3]]], stride=2, padding=1)).tolist()
    [[[0, 1, 0, 2, 0]]]
    """
    real, index = _on_input(case, np.indices(stuffed_size(case), sparse=True))
    at: Any = (..., *index)
    return np.where(real, wide(case.batched)[at], 0)


def stuffed(case: Case, line: str = "") -> Tensor:
    """Return the stuffed input as a tensor whose real cells bear the input's own names."""
    x = case.batched

    def place(axis: int, at: int) -> Place:
        on = at - borders_of(case)[axis - 2][0]
        stride = case.layer.stride[axis - 2]
        if not 0 <= on <= (x.shape[axis] - 1) * stride:
            return "pad", None
        return ("zero", None) if on % stride else ("real", on // stride)

    def values(n: np.ndarray, channel: np.ndarray, *at: np.ndarray) -> np.ndarray:
        real, index = _on_input(case, at)
        return np.where(real, wide(x[(n, channel, *index)]), 0)

    return Tensor(
        name="z",
        title="input x, zero-stuffed and padded",
        letter="x",
        shape=(*x.shape[:2], *stuffed_size(case)),
        unbatched=case.unbatched,
        axes="nc" + "s" * case.dims,
        values=values,
        place=place,
        # Where the border is negative, padding cuts into the input itself.
        cropped=tuple((max(0, -before), max(0, -after)) for before, after in borders_of(case)),
        line=line,
    )


def _on_input(case: Case, at: tuple[np.ndarray, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return which stuffed positions hold an input value, and which one (0 where none)."""
    real: np.ndarray = np.ones((), dtype=bool)
    index = []
    for (before, _), here, length, stride in zip(
        borders_of(case), at, case.geometry.input_size, case.layer.stride
    ):
        on = here - before
        holds = (on >= 0) & (on % stride == 0) & (on // stride < length)
        real = real & holds
        index.append(np.where(holds, on // stride, 0))
    return real, index


def lit_stuffed(case: Case, macs: Macs) -> np.ndarray:
    """Return where MACs stand in the stuffed input."""
    before = np.array([border for border, _ in borders_of(case)])
    return places(macs.n, macs.in_channel, macs.i * np.array(case.layer.stride) + before)


# -- the plain convolution --------------------------------------------------------------------------


def slide(case: Case, z: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the plain convolution of a padded signal, with stride 1 and the case's dilation, wide.

    Parameters
    ----------
    case : Case
        Groups and dilation are the layer's.
    z : ndarray, shape (N, C_in, *size)
    weight : ndarray, shape (C_out, C_in/groups, *K)
    """
    layer, dims = case.layer, case.dims
    spans = [d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size)]
    windows = np.lib.stride_tricks.sliding_window_view(z, spans, axis=tuple(range(2, z.ndim)))
    taps: Any = (..., *(slice(None, None, d) for d in layer.dilation))
    windows = windows[taps]
    axes = ([1, *range(-dims, 0)], [1, *range(2, 2 + dims)])
    parts = []
    for group in range(layer.groups):
        ins = slice(group * layer.in_per_group, (group + 1) * layer.in_per_group)
        outs = slice(group * layer.out_per_group, (group + 1) * layer.out_per_group)
        part = np.tensordot(windows[:, ins], wide(weight[outs]), axes=axes)
        parts.append(np.moveaxis(part, -1, 1))
    return np.concatenate(parts, axis=1)


def stuffing(case: Case) -> list[str]:
    """Return lines of torch that make the stuffed and padded input, ``z``."""
    layer = case.layer
    size = [str((length - 1) * s + 1) for length, s in zip(case.geometry.input_size, layer.stride)]
    steps = ", ".join(f"::{s}" for s in layer.stride)
    pads = [str(side) for border in reversed(borders_of(case)) for side in border]
    return [
        f"z = torch.zeros(*x.shape[:{-case.dims}], {', '.join(size)}, dtype=x.dtype)",
        f"z[..., {steps}] = x  # zeros between the values",
        f"z = F.pad(z, ({', '.join(pads)}))  # dilation*(kernel-1) - padding",
    ]


def rearranging(case: Case) -> list[str]:
    """Return lines of torch that rearrange the weight: ``f`` forwards, ``v`` backwards."""
    axes = ", ".join(str(axis) for axis in range(2, 2 + case.dims))
    blocks = f"weight.unflatten(0, ({case.layer.groups}, -1))"
    return [
        f"f = {blocks}.transpose(1, 2).flatten(0, 1)  # (out, in/groups, k)",
        f"v = f.flip({axes})  # k backwards",
    ]


def convolving(case: Case, weight: str, into: str = "y") -> str:
    """Return the line of torch that runs the plain convolution."""
    given = ", ".join(["z", weight, *arguments(case, "dilation", "groups")])
    return f"{into} = F.conv{case.dims}d({given})"

"""Gradient: the layer as what a plain convolution sends back to its input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.extras import require
from convt_trace.views.tensors import (
    LinkedView,
    NotComputedError,
    arguments,
    input_of,
    lit_input,
    lit_output,
    lit_weight,
    output_of,
    program,
    refuse_zeros_times_infinity,
    weight_of,
)

#: float64 holds whole numbers up to here exactly, and autograd knows floats alone.
_EXACT = 2**53


def gradient(case: Case) -> LinkedView:
    """Return the view of the layer as the gradient of a plain convolution's input."""
    # The numbers of z and u do not matter to the gradient: only which of them meet.
    z = replace(output_of(case, name="z"), title="z, the conv's input", letter="z")
    u = replace(input_of(case, name="u"), title="u, the conv's output", letter="u")
    return LinkedView(
        name="gradient",
        sentence=(
            "A plain convolution u = conv(z) with this very weight, stride, padding and dilation makes "
            "u[i] out of z[i*stride - padding + k*dilation] * w[k]. Send a gradient x back "
            "through it, and every product goes the other way: the layer is the gradient of "
            "conv's input, which is why it is called transposed."
        ),
        tensors=(
            replace(
                z,
                values=None,
                same="",
                tells=False,
                line="Forwards: the plain conv collects from z",
            ),
            weight_of(case),
            replace(u, values=None, same=""),
            input_of(
                case,
                line="Backwards: the same products, the roles exchanged",
                title="x, the gradient of u",
            ),
            output_of(case, title="y, the gradient of z"),
        ),
        lit=lambda macs: {
            "z": lit_output(macs),
            "w": lit_weight(case, macs),
            "u": lit_input(macs),
            "x": lit_input(macs),
            "y": lit_output(macs),
        },
        equation="{u} += {z} * {w}, so {y} += {x} * {w} = {x=} * {w=} = {product}",
        code=_code(case),
        result=lambda: _result(case),
    )


def _result(case: Case) -> np.ndarray:
    refuse_zeros_times_infinity(case)
    if case.x.dtype.kind in "iu":
        terms = case.layer.in_per_group * np.prod(case.layer.kernel_size)
        largest = [
            float(np.abs(wide(tensor).astype(float)).max()) for tensor in (case.x, case.weight)
        ]
        if largest[0] * largest[1] * terms > _EXACT:
            raise NotComputedError(
                "Not compared: autograd works with floats alone, and the whole numbers here are too "
                "large for float64 to hold their sums."
            )
    sums = as_gradient(case)
    return case.finished(sums.astype(np.int64) if case.x.dtype.kind in "iu" else sums)


def as_gradient(case: Case) -> np.ndarray:
    """Return the layer's sums as torch's autograd makes them: what x sends back through a plain conv.

    Returns
    -------
    ndarray of float64, shape (N, C_out, *L_out)
        The gradient of the plain conv's input, without the layer's bias.

    Examples
    --------
    >>> as_gradient(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)).tolist()
    [[[12.0, 9.0]]]
    """
    layer, torch = case.layer, require("torch")
    x, weight = (
        torch.from_numpy(wide(tensor).astype(float)) for tensor in (case.batched, case.weight)
    )
    z = torch.zeros(case.geometry.output_shape, dtype=torch.float64, requires_grad=True)
    conv = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[case.dims]
    u = conv(z, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    # Where output_padding is a stride or more, the conv has outputs to which no gradient belongs.
    inside: Any = (..., *(slice(length) for length in case.geometry.input_size))
    u[inside].backward(x)
    assert z.grad is not None
    return z.grad.numpy()


def _code(case: Case) -> str:
    geometry, dims = case.geometry, case.dims
    names = ("stride", "padding", "dilation", "groups")
    given = ", ".join(["z", "weight", *arguments(case, *names)])
    size = ", ".join(map(str, geometry.output_shape[case.unbatched :]))
    cut = ", ".join(f":{length}" for length in geometry.input_size)
    # Where output_padding is a stride or more, the conv has outputs to which no gradient belongs.
    more = any(p >= s for p, s in zip(case.layer.output_padding, case.layer.stride))
    return program(
        case,
        f"z = torch.zeros({size}, dtype=x.dtype, requires_grad=True)",
        f"u = F.conv{dims}d({given})" + (f"[..., {cut}]" if more else ""),
        "u.backward(x)",
        "y = z.grad",
    )

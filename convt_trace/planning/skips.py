"""A skip connection that torch refused: which transposed convolution is off, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from convt_trace.engine.case import Case
from convt_trace.engine.layer import Layer
from convt_trace.engine.text import AXES
from convt_trace.planning.chain import change
from convt_trace.planning.sizes import Setting, sizes

#: torch's words where two sizes do not go together, and the numbers in them.
_CAT = re.compile(
    r"Sizes of tensors must match except in dimension \d+\. Expected size (\d+) .*?but got size (\d+)"
)
_ADD = re.compile(r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)")
#: How far from its own the kernel of the changed layer may be, and how many changes are named.
_KERNELS, _SHOWN = 2, 3


def mended(message: str, cases: Sequence[Case]) -> str | None:
    """Say how to mend a skip connection whose sizes did not go together.

    Parameters
    ----------
    message : str
        torch's error.
    cases : sequence of Case
        The transposed convolutions that ran before it.

    Returns
    -------
    str or None
        Markdown; None where the message is another one, or no layer made one of its sizes.

    Examples
    --------
    >>> import numpy as np
    >>> up = Case.of(np.ones((1, 1, 13, 13)), np.ones((1, 1, 2, 2)), stride=2)
    >>> said = "Sizes of tensors must match except in dimension 1. Expected size 27 but got size 26"
    >>> print(mended(said, [up]).splitlines()[0])
    `nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False)` makes 26 along H and W, where 27 is wanted: 1 too few.
    """
    found = _CAT.search(message) or _ADD.search(message)
    if not found:
        return None
    one, other = int(found[1]), int(found[2])
    for case in reversed(cases):
        made = case.geometry.output_size
        for size, wanted in ((one, other), (other, one)):
            at = [axis for axis, here in enumerate(made) if here == size]
            if at and size != wanted:
                return _said(case, at, size, wanted)
    return None


def _said(case: Case, at: list[int], size: int, wanted: int) -> str:
    names = " and ".join(AXES[case.dims][axis] for axis in at)
    by = size - wanted
    lines = [
        f"`{case.line()}` makes {size} along {names}, where {wanted} is wanted: {abs(by)} too "
        f"{'many' if by > 0 else 'few'}.",
    ]
    layers = _changed(case, at, wanted)
    bias = "" if case.bias is not None else ", bias=False"
    if layers:
        lines.append("What makes it fit, the smallest change first:\n")
        lines += [f"- `nn.{str(layer)[:-1]}{bias})`" for layer in layers]
    pad = ["0"] * (2 * case.dims)
    cut = [":"] * case.dims
    for axis in at:
        pad[2 * (case.dims - 1 - axis) + 1] = str(-by)
        cut[axis] = f":{wanted}"
    code = f"F.pad(y, ({', '.join(pad)}))" if by < 0 else f"y[..., {', '.join(cut)}]"
    lines.append(f"- or, behind the layer as it is, `y = {code}`")
    return "\n".join(lines)


def _changed(case: Case, at: list[int], wanted: int) -> list[Layer]:
    """Return layers that make the wanted size along some axes, the smallest changes first."""
    layer, first = case.layer, at[0]
    kernel = layer.kernel_size[first]
    found = sizes(
        case.geometry.input_size[first],
        wanted,
        kernel=range(max(1, kernel - _KERNELS), kernel + _KERNELS + 1),
        stride=layer.stride[first],
        dilation=layer.dilation[first],
    )
    nearest = sorted(found, key=lambda setting: change(_setting(case, first), setting))
    layers = [_with(layer, setting, at) for setting in nearest]
    sized = case.geometry.input_size
    return [one for one in layers if all(one.output_size(sized)[axis] == wanted for axis in at)][
        :_SHOWN
    ]


def _with(layer: Layer, setting: Setting, at: list[int]) -> Layer:
    """Return the layer with another setting along some axes."""
    along: dict[str, Any] = {
        name: tuple(
            getattr(setting, name) if axis in at else own
            for axis, own in enumerate(getattr(layer, name))
        )
        for name in ("kernel_size", "padding", "output_padding")
    }
    return replace(layer, **along)


def _setting(case: Case, axis: int) -> Setting:
    names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
    return Setting(
        input_size=case.geometry.input_size[axis],
        **{name: getattr(case.layer, name)[axis] for name in names},
    )

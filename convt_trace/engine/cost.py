"""What a picture costs, counted from sizes alone, and what it may cost: all limits are here.

Links, files and controls come from strangers, and one server draws for many. So the cost of a case is
counted before anything of it is made. A case that is too dear as a picture is refused; one for which
only torch's result is too dear is drawn without it.

The limits are set so that opening a picture takes two seconds of computing and 400 MB at most. A test
tries that at their ends, and ``make bench`` with 1,500 links.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.extras import missing
from convt_trace.engine.layer import Ints, Layer
from convt_trace.engine.view import CHANNELS, GROUPS, POSITIONS


@dataclass(frozen=True)
class Cost:
    """What a layer on an input takes.

    Attributes
    ----------
    numbers : int
        Numbers of the input and of the weight.
    cells : int
        Output cells, those that padding crops too.
    macs : int
        Multiply-accumulates.
    pairs : int
        The most (input position, tap) pairs along one axis.
    screen : int
        Cells and pairs that a window can have on screen, in all panels.
    terms : int
        Room for products in the sums that a window can have on screen, each as long as the longest.
    columns : int
        Products that torch's kernels lay out at once: those of one item, input channels added up.
    calls : int
        Calls of numpy and of torch's kernels: some for each tap, and for each group of each item.

    Examples
    --------
    >>> cost = Cost.of(1, Layer.of(512, 256, 4, 2, 1, dims=2), (16, 16))
    >>> cost.macs, cost.cells, cost.terms
    (536870912, 295936, 9469952)
    """

    numbers: int
    cells: int
    macs: int
    pairs: int
    screen: int
    terms: int
    columns: int
    calls: int

    @classmethod
    def of(cls, batch: int | None, layer: Layer, size: Ints) -> Cost:
        """Count the cost of a layer on ``batch`` items of this size; None for no batch axis."""
        items = 1 if batch is None else max(batch, 1)  # an empty batch still has axes
        kernel, taps = layer.kernel_size, prod(layer.kernel_size)
        canvas = [
            (length - 1) * stride + dilation * (k - 1) + 1 + max(0, extra - padding)
            for length, k, stride, dilation, extra, padding in zip(
                size, kernel, layer.stride, layer.dilation, layer.output_padding, layer.padding
            )
        ]
        shown = [min(length, POSITIONS[layer.dims]) for length in canvas]
        terms = [
            place * _most(*axis)
            for place, *axis in zip(shown, size, kernel, layer.stride, layer.dilation)
        ]
        groups = min(layer.groups, GROUPS[layer.dims])
        ins = min(layer.in_per_group, CHANNELS[layer.dims])
        outs = min(layer.out_per_group, CHANNELS[layer.dims])
        # When gathering, the input has zeros around it as far as the kernel reaches.
        around = [c + d * (k - 1) for c, d, k in zip(shown, layer.dilation, kernel)]
        panels = ins * prod(around) + ins * outs * taps + 2 * outs * prod(shown)
        return cls(
            numbers=items * layer.in_channels * prod(size) + prod(layer.weight_shape),
            cells=items * layer.out_channels * prod(canvas),
            macs=items * layer.in_channels * layer.out_per_group * prod(size) * taps,
            pairs=max(length * k for length, k in zip(size, kernel)),
            screen=groups * panels + sum(terms),
            terms=groups * outs * layer.in_per_group * prod(terms),
            columns=layer.out_channels * prod(size) * taps,
            calls=(taps + 8) * (items * layer.groups + 16),
        )


def cost_of(case: Case | Conv) -> Cost:
    """Count the cost of a case, or of a plain convolution."""
    if isinstance(case, Conv):
        return _cost_of_conv(case)
    return Cost.of(case.geometry.batch, case.layer, case.geometry.input_size)


def _cost_of_conv(conv: Conv) -> Cost:
    """Count the same of a plain convolution: its cells are those of its output."""
    layer, geometry = conv.layer, conv.geometry
    items, taps = max(geometry.batch, 1), prod(layer.kernel_size)
    most = POSITIONS[layer.dims]
    shown = prod(min(length, most) for length in geometry.output_size)
    places = prod(min(length, most) for length in geometry.padded_size)
    pairs = [length * k for length, k in zip(geometry.output_size, layer.kernel_size)]
    groups = min(layer.groups, GROUPS[layer.dims])
    ins = min(layer.in_per_group, CHANNELS[layer.dims])
    outs = min(layer.out_per_group, CHANNELS[layer.dims])
    return Cost(
        numbers=conv.x.size + conv.weight.size,
        cells=items * layer.out_channels * prod(geometry.output_size),
        macs=geometry.macs,
        pairs=max(pairs),
        screen=groups * (ins * places + ins * outs * taps + 2 * outs * shown) + sum(pairs),
        terms=groups * outs * layer.in_per_group * taps * shown,
        columns=layer.in_per_group * taps * prod(geometry.output_size),  # one group at a time
        calls=(taps + 8) * (items * layer.groups + 16),
    )


def _most(length: int, taps: int, stride: int, dilation: int) -> int:
    """Return how many (input position, tap) pairs land in one place of an axis, at most."""
    # They are dilation/common inputs and stride/common taps apart.
    common = gcd(stride, dilation)
    return min(-(-length * common // dilation), -(-taps * common // stride))


#: What a picture may cost: more is not opened.
LARGEST = {
    "numbers": 10_000_000,
    "cells": 2**24,
    "macs": 2**31,
    "pairs": 2**20,
    "screen": 2**20,
    "terms": 2**25,
}
#: What torch's result may cost, beside which stands the whole output of the trace: for a larger case
#: the picture has no torch in it.
LARGEST_TORCH = {"numbers": 2**23, "cells": 2**22, "columns": 2**23, "calls": 2**17}
#: MACs of the same, by the kind of the numbers.
LARGEST_TORCH_MACS = {"floats": 2**30, "16-bit floats": 2**27, "integers": 2**24}

_NAMES = {
    "numbers": "numbers in its input and weight",
    "cells": "output cells before the crop",
    "macs": "MACs",
    "pairs": "pairs of an input position and a tap along one axis",
    "screen": "cells on screen",
    "terms": "products in the sums on screen",
    "columns": "products laid out at once",
    "calls": "calls of its kernels",
}


def refusal(cost: Cost) -> str:
    """Return why a case is not opened, with the number and its limit; empty where it is.

    >>> refusal(Cost.of(1, Layer.of(1, 1, 3, stride=2**15, dims=2), (32, 32)))
    'it has 1,031,871,987,721 output cells before the crop; at most 16,777,216 are opened'
    """
    for name, most in LARGEST.items():
        count = getattr(cost, name)
        if count > most:
            return f"it has {count:,} {_NAMES[name]}; at most {most:,} are opened"
    return ""


def torch_refusal(cost: Cost, dtype: np.dtype, crops: bool = True) -> str:
    """Return the same of torch's result alone; a plain convolution crops nothing.

    >>> cost = Cost.of(1, Layer.of(1, 1, 3, stride=4000, dims=2), (2, 2))
    >>> torch_refusal(cost, np.dtype("float32"))[37:]
    'it takes 16,024,009 output cells before the crop in float32, and the limit is 4,194,304.'
    """
    if sentence := missing("torch"):
        return f"torch's result is not here: {sentence}"
    macs = LARGEST_TORCH_MACS[_kind(dtype)]
    names = _NAMES if crops else {**_NAMES, "cells": "output cells"}
    for name, most in {**LARGEST_TORCH, "macs": macs}.items():
        count = getattr(cost, name)
        if count > most:
            return (
                f"torch's result is not computed here: it takes {count:,} {names[name]} in "
                f"{dtype.name}, and the limit is {most:,}."
            )
    return ""


def _kind(dtype: np.dtype) -> str:
    if dtype.kind in "iu":
        return "integers"  # torch multiplies them one by one
    return "16-bit floats" if dtype.itemsize == 2 else "floats"


def limits() -> str:
    """Return what is opened, and up to where torch's result is computed, in two sentences."""
    opened = ", ".join(f"{most:,} {_NAMES[name]}" for name, most in LARGEST.items())
    torch = ", ".join(f"{most:,} {_NAMES[name]}" for name, most in LARGEST_TORCH.items())
    macs = ", ".join(f"{most:,} of {kind}" for kind, most in LARGEST_TORCH_MACS.items())
    return (
        f"A layer is opened up to {opened}. torch's result stands beside it up to {torch}, and "
        f"MACs: {macs}."
    )

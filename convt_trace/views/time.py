"""Time: a 1-D layer on a line of positions, and what a causal one must trim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import span
from convt_trace.engine.text import count, times
from convt_trace.engine.trace import Macs
from convt_trace.views.tensors import (
    LinkedView,
    NotComputedError,
    Place,
    Tensor,
    arguments,
    lit_output,
    lit_weight,
    output_of,
    places,
    program,
    refuse_zeros_times_infinity,
    weight_of,
)


def time(case: Case) -> LinkedView:
    """Return the view of a 1-D layer along time."""
    stride, padding = case.layer.stride[0], case.layer.padding[0]
    lands = times("i", stride) + (f" - {padding}" if padding else "")
    waits = f"o + {padding}" if padding else "o"
    latest = waits if stride == 1 else f"({waits}) // {stride}" if padding else f"o // {stride}"
    return LinkedView(
        name="time",
        sentence=(
            f"Positions on a line of time. Input i stands where its first tap lands, at {lands}; arrows "
            "go to the outputs that it reaches, all of them there or later. The latest input that "
            f"output o needs is {latest}."
        ),
        tensors=(_on_time(case), output_of(case), weight_of(case, line="The weight")),
        lit=lambda macs: {
            "t": _lit_time(case, macs),
            "w": lit_weight(case, macs),
            "y": lit_output(macs),
        },
        equation="{y} += {t} * {w} = {t=} * {w=} = {product}",
        code=_code(case),
        result=lambda: _result(case),
        notes=lambda: [_latest(case), _causal(case)],
        arrows=("t", "y"),
    )


def _on_time(case: Case) -> Tensor:
    """Return the input on the canvas, the output's time before anything is cropped: a stride apart."""
    x, stride = case.batched, case.layer.stride[0]

    def place(axis: int, at: int) -> Place:
        i, rest = divmod(at, stride)
        return ("zero", None) if rest or not 0 <= i < x.shape[2] else ("real", i)

    def values(n: np.ndarray, channel: np.ndarray, at: np.ndarray) -> np.ndarray:
        i, rest = np.divmod(at, stride)
        real = (rest == 0) & (i >= 0) & (i < x.shape[2])
        return np.where(real, wide(x[n, channel, np.where(real, i, 0)]), 0)

    return Tensor(
        name="t",
        title="input x on the output's time",
        letter="x",
        shape=(*x.shape[:2], case.geometry.axes[0].canvas),
        unbatched=case.unbatched,
        axes="ncs",
        values=values,
        place=place,
    )


def _lit_time(case: Case, macs: Macs) -> np.ndarray:
    return places(macs.n, macs.in_channel, macs.i * case.layer.stride[0])


def _result(case: Case) -> np.ndarray:
    """Return the layer's output as a filter of signal processing: numpy's convolve, then a crop."""
    refuse_zeros_times_infinity(case)
    layer, x, weight = case.layer, wide(case.batched), wide(case.weight)
    if layer.groups * layer.in_per_group * layer.out_per_group * len(x) > 2**12:
        raise NotComputedError("Not compared: there are too many channels to filter one by one.")
    signal = np.zeros((*x.shape[:2], (x.shape[2] - 1) * layer.stride[0] + 1), x.dtype)
    signal[..., :: layer.stride[0]] = x
    kernel = np.zeros((*weight.shape[:2], span(layer.kernel_size[0], layer.dilation[0])), x.dtype)
    kernel[..., :: layer.dilation[0]] = weight
    total = np.zeros(case.geometry.output_shape, x.dtype)
    first, size = layer.padding[0], case.geometry.output_size[0]
    for n in range(len(x)):
        for channel in range(layer.in_channels):
            group = channel // layer.in_per_group
            for local in range(layer.out_per_group):
                whole = np.convolve(signal[n, channel], kernel[channel, local])
                whole = whole[first : first + size]
                total[n, group * layer.out_per_group + local, : len(whole)] += whole
    return case.finished(total)


def _latest(case: Case) -> str:
    """Say of the first outputs which input they have to wait for."""
    stride, padding = case.layer.stride[0], case.layer.padding[0]
    length, outputs = case.geometry.input_size[0], case.geometry.output_size[0]
    shown = min(outputs, 8)
    waits = [f"y[{o}] ← x[{min((o + padding) // stride, length - 1)}]" for o in range(shown)]
    rest = ", …" if outputs > shown else ""
    return f"The latest input that an output needs: {', '.join(waits)}{rest}."


def _causal(case: Case) -> str:
    """Say what a causal layer trims, and on which side."""
    layer = case.layer
    stride, reach = layer.stride[0], span(layer.kernel_size[0], layer.dilation[0])
    trim = reach - stride
    ahead = -(-layer.padding[0] // stride)
    now = (
        "padding is 0, so no output waits for an input that comes after its own time"
        if not layer.padding[0]
        else f"padding={layer.padding[0]} cuts the start off, so that outputs wait for inputs up to "
        f"{count(ahead, 'step')} ahead"
    )
    if trim <= 0:
        end = f"With padding=0 there is nothing to trim: the kernel reaches {reach}, the stride {stride}."
    else:
        end = (
            f"A causal layer has padding=0 and trims dilation*(kernel-1) + 1 - stride = {trim} on the "
            f"right, none on the left: y = layer(x)[..., :-{trim}], {count(stride, 'output')} per input."
        )
    return f"Here {now}. {end}"


def _code(case: Case) -> str:
    layer = case.layer
    first = layer.padding[0]
    free = replace(layer, padding=(0,), output_padding=(0,))
    given = ", ".join(["x", "weight", *arguments(case, "stride", "groups", "dilation")])
    whole = free.output_size(case.geometry.input_size)[0]
    missing = first + case.geometry.output_size[0] - whole
    lines = [f"y = F.conv_transpose1d({given})  # all of time, {whole} positions"]
    if missing > 0:
        lines.append(f"y = F.pad(y, (0, {missing}))  # output_padding adds what no input reaches")
    lines.append(f"y = y[..., {first}:{first + case.geometry.output_size[0]}]  # padding crops")
    return program(case, *lines)

"""Groups: the layer cut into its groups, each a small layer of its own, then concatenated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.text import count
from convt_trace.views.tensors import (
    LinkedView,
    Tensor,
    arguments,
    in_local,
    input_of,
    out_local,
    output_of,
    places,
    program,
    weight_of,
)


def groups(case: Case) -> LinkedView:
    """Return the view in which every group is a layer of its own."""
    layer = case.layer
    whole = (
        "the one group is the whole layer"
        if layer.groups == 1
        else f"{layer.groups} layers side by side, none of which sees another's channels"
    )
    return LinkedView(
        name="groups",
        sentence=(
            f"groups={layer.groups}: {whole}. Group g takes "
            f"{count(layer.in_per_group, 'input channel')}, the weight's rows of these, and makes "
            f"{count(layer.out_per_group, 'output channel')}; the outputs are concatenated. In the "
            "stored weight, output channel co is column co - g*out_channels/groups."
        ),
        tensors=(
            _stored(case),
            _map(case),
            _cut_input(case),
            _cut_weight(case),
            _cut_output(case),
        ),
        lit=lambda macs: {
            "s": places(macs.in_channel, out_local(case, macs)),
            "m": places(macs.in_channel, macs.out_channel),
            "gx": places(macs.group, macs.n, in_local(case, macs), macs.i),
            "gw": places(macs.group, in_local(case, macs), out_local(case, macs), macs.k),
            "gy": places(macs.group, macs.n, out_local(case, macs), macs.o),
        },
        equation="{gy} += {gx} * {gw} = {gx=} * {gw=} = {product}, of the stored block {s}",
        code=_code(case),
        result=lambda: np.concatenate(
            [part.trace().output for part in per_group(case)], axis=-1 - case.dims
        ),
    )


def per_group(case: Case) -> list[Case]:
    """Return the case's groups, each as a case of its own with groups=1.

    >>> case = Case.of(np.ones((1, 4, 3)), np.ones((4, 2, 3)), groups=2)
    >>> [part.line() for part in per_group(case)]
    ['nn.ConvTranspose1d(2, 2, 3, bias=False)', 'nn.ConvTranspose1d(2, 2, 3, bias=False)']
    """
    layer = case.layer
    small = replace(
        layer, in_channels=layer.in_per_group, out_channels=layer.out_per_group, groups=1
    )
    parts = []
    for group in range(layer.groups):
        ins = slice(group * layer.in_per_group, (group + 1) * layer.in_per_group)
        outs = slice(group * layer.out_per_group, (group + 1) * layer.out_per_group)
        x = case.x[ins] if case.unbatched else case.x[:, ins]
        bias = None if case.bias is None else case.bias[outs]
        parts.append(Case(small, x, case.weight[ins], bias, origin=f"group {group}"))
    return parts


def _stored(case: Case) -> Tensor:
    """Return the weight as torch stores it, a number for each block of taps."""
    layer = case.layer
    return Tensor(
        name="s",
        title=f"as stored: w[in, co - g*{layer.out_per_group}]",
        letter="w",
        shape=(layer.in_channels, layer.out_per_group),
        axes="cc",
        values=lambda channel, local: _tap_sums(case, channel, local),
        blocks=0,
        line="1. Which channels meet. Rows are input channels; a number is the sum of a block's taps",
    )


def _tap_sums(case: Case, channel: np.ndarray, local: np.ndarray) -> np.ndarray:
    sums: np.ndarray = wide(case.weight)[channel, local].sum(axis=tuple(range(-case.dims, 0)))
    return sums


def _map(case: Case) -> Tensor:
    """Return the map of channels: a number where two channels meet, nothing where they do not."""
    layer = case.layer

    def meet(channel: np.ndarray, out: np.ndarray) -> np.ndarray:
        return channel // layer.in_per_group == out // layer.out_per_group

    return Tensor(
        name="m",
        title="what it means: in x out",
        letter="m",
        shape=(layer.in_channels, layer.out_channels),
        axes="cc",
        values=lambda channel, out: _tap_sums(case, channel, out % layer.out_per_group),
        there=meet,
        blocks=0,
    )


def _cut(case: Case, tensor: Tensor, channels: int, line: str = "", name: str = "") -> Tensor:
    """Return a tensor with its channels cut into groups: (groups, N, channels, *positions)."""
    n, _, *size = tensor.shape
    values = tensor.values
    assert values is not None

    def of_group(
        group: np.ndarray, item: np.ndarray, at: np.ndarray, *spot: np.ndarray
    ) -> np.ndarray:
        return values(item, group * channels + at, *spot)

    return replace(
        tensor,
        name=name,
        title=f"{tensor.title}, cut into groups",
        letter=tensor.letter,
        shape=(case.layer.groups, n, channels, *size),
        axes="g" + tensor.axes,
        values=of_group,
        blocks=3,
        same="",
        line=line,
    )


def _cut_input(case: Case) -> Tensor:
    line = "2. Each group as a layer of its own: its channels, its block of the weight, its output"
    return _cut(case, input_of(case), case.layer.in_per_group, line, "gx")


def _cut_output(case: Case) -> Tensor:
    return _cut(case, output_of(case), case.layer.out_per_group, name="gy")


def _cut_weight(case: Case) -> Tensor:
    layer, tensor = case.layer, weight_of(case)

    def values(group: np.ndarray, at: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        return wide(case.weight[(group * layer.in_per_group + at, *rest)])

    return replace(
        tensor,
        name="gw",
        title="weight w, cut into groups",
        letter="w",
        shape=(layer.groups, layer.in_per_group, *tensor.shape[1:]),
        axes="g" + tensor.axes,
        values=values,
        blocks=3,
        same="",
    )


def _code(case: Case) -> str:
    names = ("stride", "padding", "output_padding", "dilation")
    given = ", ".join(["x_g", "w_g", *arguments(case, *names)])
    channels = -1 - case.dims
    return program(
        case,
        "parts = []",
        f"for x_g, w_g in zip(x.chunk({case.layer.groups}, dim={channels}), "
        f"weight.chunk({case.layer.groups})):",
        f"    parts.append(F.conv_transpose{case.dims}d({given}))",
        f"y = torch.cat(parts, dim={channels})",
    )

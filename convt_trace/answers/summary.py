"""A model's convolutions, layer by layer: sizes, multiply-accumulates (MACs) and parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from convt_trace.engine.extras import require
from convt_trace.engine.sized import Sized
from convt_trace.engine.text import by
from convt_trace.engine.text import table as as_table

_COLUMNS = ("layer", "line", "x", "y", "MACs", "cropped", "parameters")


def rows(sizes: Sequence[Sized]) -> list[dict[str, str | int]]:
    """Return one row a convolution, in the order in which they ran.

    ``cropped`` are the MACs of a transposed convolution that padding cuts off, and those of a plain
    one that read padding's zeros. Parameters that were counted before count 0.

    Examples
    --------
    >>> up = Sized("conv_transpose1d", (1, 2, 5), (2, 3, 4), True, (2,), (1,), (0,), (1,), module="up")
    >>> for name, value in rows([up])[0].items():
    ...     print(name, value)
    layer up: ConvTranspose1d
    line 0
    x 2 x 5
    y 3 x 10
    MACs 120
    cropped 12
    parameters 27
    """
    seen: set[int] = set()
    table = []
    for one in sizes:
        new = not one.shared or one.shared not in seen
        seen.add(one.shared)
        values: tuple[str | int, ...] = (
            _name(one), one.line, by(one.x[-one.dims - 1 :]), by(one.output[-one.dims - 1 :]),
            one.macs, one.macs - one.landed, one.parameters if new else 0,
        )  # fmt: skip
        table.append(dict(zip(_COLUMNS, values)))
    return table


def _name(one: Sized) -> str:
    kind = one.op.replace("conv_transpose", "ConvTranspose").replace("conv", "Conv")
    own = one.kind if one.kind not in ("", kind) else kind
    return f"{one.module}: {own}" if one.module else own


def totals(sizes: Sequence[Sized]) -> str:
    """Return the sums, and what other tools make of them.

    Examples
    --------
    >>> up = Sized("conv_transpose1d", (1, 2, 5), (2, 3, 4), True, (2,), (1,), (0,), (1,))
    >>> print(totals([up]))
    In all 120 MACs forward, of which 108 land in an output; 27 parameters. Backward takes twice the MACs
    that land (one for the gradient of x, one for that of the weight): 216. One MAC is 2 FLOPs: 240 forward.
    """
    macs = sum(one.macs for one in sizes)
    landed = sum(one.landed for one in sizes)
    parameters = sum(int(row["parameters"]) for row in rows(sizes))
    return (
        f"In all {macs:,} MACs forward, of which {landed:,} land in an output; {parameters:,} parameters. "
        "Backward takes twice the MACs that land (one for the gradient of x, one for that of the weight): "
        f"{2 * landed:,}. One MAC is 2 FLOPs: {2 * macs:,} forward."
    )


def counters(sizes: Sequence[Sized]) -> str:
    """Return what FLOP counters print for the same convolutions, and why they differ.

    torch's FlopCounterMode and fvcore walk a transposed convolution's input, as it is done here: all
    MACs, the cropped ones too. thop multiplies the *output's* cells by the taps, which is right for a
    plain convolution and counts zeros between the input's values in a transposed one.

    Sources: ``conv_flop_count`` in `torch.utils.flop_counter` and in fvcore, and
    ``calculate_conv2d_flops`` in thop 0.1.1.

    Examples
    --------
    >>> up = Sized("conv_transpose2d", (1, 3, 2, 2), (3, 1, 2, 2), True, (2, 2), (0, 0), (0, 0), (1, 1))
    >>> print(counters([up]))
    torch's FlopCounterMode counts 96 FLOPs (2 for each of the 48 MACs), and fvcore 48: the cropped MACs are
    among them. thop counts 192: it multiplies every output cell by in_channels/groups and all taps, as
    if each tap of a transposed convolution met a value in every cell.
    """
    macs = sum(one.macs for one in sizes)
    thop = sum(_by_output(one) for one in sizes)
    told = (
        f"torch's FlopCounterMode counts {2 * macs:,} FLOPs (2 for each of the {macs:,} MACs), and fvcore "
        f"{macs:,}: the cropped MACs are among them."
    )
    if thop == macs:
        return f"{told} thop counts {thop:,}, too."
    return (
        f"{told} thop counts {thop:,}: it multiplies every output cell by in_channels/groups and all taps, "
        "as if each tap of a transposed convolution met a value in every cell."
    )


def asks_for_counts(source: str) -> bool:
    """Whether a text uses a package that counts what a model computes.

    >>> asks_for_counts("from thop import profile"), asks_for_counts("flops = 3")
    (True, False)
    """
    return bool(_COUNTER.search(source))


_COUNTER = re.compile(r"\b(?:thop|fvcore|ptflops|torchinfo|torchsummary|FlopCounterMode)\b")


def _by_output(one: Sized) -> int:
    cells, taps = 1, 1
    for size in one.output:
        cells *= size
    for size in one.weight[2:]:
        taps *= size
    channels = one.x[-one.dims - 1] // one.groups
    return cells * channels * taps


class Summary(tuple[Sized, ...]):
    """The convolutions of a model by their sizes; printed, or shown in a notebook, as a table.

    Examples
    --------
    >>> import torch
    >>> told = summary(torch.nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1), torch.ones(1, 2, 5))
    >>> told[0].macs, told[0].landed
    (120, 108)
    """

    def __str__(self) -> str:
        return f"{table(self)}\n\n{counters(self)}"

    _repr_markdown_ = __str__


def summary(model: Callable[..., Any], *inputs: Any, **named: Any) -> Summary:
    """Return a model's convolutions layer by layer: sizes, MACs, parameters.

    Parameters
    ----------
    model : callable
        Such as an ``nn.Module``. On the meta device it may be of any size.
    *inputs, **named
        What it is called with, once, without gradients.

    Examples
    --------
    >>> import torch
    >>> print(str(summary(torch.nn.ConvTranspose1d(2, 3, 4), torch.ones(1, 2, 5))).splitlines()[2])
    | ConvTranspose1d | 0 | 2 x 5 | 3 x 8 | 120 | 0 | 27 |
    """
    require("torch")
    from convt_trace.engine.recording import sizes_of

    return Summary(sizes_of(model, *inputs, **named))


def table(sizes: Sequence[Sized]) -> str:
    """Return `rows` and `totals` as Markdown."""
    cells = [
        [f"{value:,}" if isinstance(value, int) else value for value in row.values()]
        for row in rows(sizes)
    ]
    numbers = "t" + "n" * (len(_COLUMNS) - 1)
    return f"{as_table(_COLUMNS, cells, numbers)}\n\n{totals(sizes)}"

"""Random valid layers with their tensors, small enough to be looped over in plain Python.

`loop` is the reference that the engine is held against: nested Python loops over the defining sum,
which share no code with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from torch.nn import functional

import convt_trace
from convt_trace import Case
from convt_trace.engine.conv import Conv
from convt_trace.links.packed import DTYPES

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.int8, torch.int32, torch.int64)

#: Largest input length and kernel size by number of dimensions, and MACs at most.
_LONGEST = {1: (6, 4), 2: (4, 3), 3: (3, 3)}
_MOST_MACS = 2000

#: How many examples are tried is the profile's to say: see conftest.py.
moderate = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class DrawnTensors:
    """A valid layer with its tensors, x (N, C_in, *L) or (C_in, *L), as torch's function takes them."""

    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    parameters: dict[str, Any]
    function: ClassVar[str]

    @property
    def dims(self) -> int:
        return self.weight.ndim - 2

    @property
    def batched(self) -> torch.Tensor:
        return self.x if self.x.ndim == self.dims + 2 else self.x[None]

    def torch(self) -> torch.Tensor:
        """torch's own output; small integer dtypes, which it has no kernel for, through int64."""
        tensors = [self.x, self.weight, self.bias]
        if self.x.dtype in INTEGERS:
            tensors = [None if tensor is None else tensor.long() for tensor in tensors]
        function = getattr(functional, f"{self.function}{self.dims}d")
        return function(*tensors, **self.parameters).to(self.x.dtype)


@dataclass(frozen=True)
class Drawn(DrawnTensors):
    """A transposed convolution: weight (C_in, C_out/groups, *K)."""

    function: ClassVar[str] = "conv_transpose"

    def trace(self, order: str = "scatter") -> convt_trace.Trace:
        return convt_trace.trace(self.x, self.weight, self.bias, order=order, **self.parameters)

    def case(self) -> convt_trace.Case:
        return convt_trace.Case.of(self.x, self.weight, self.bias, **self.parameters)


def conv_transpose(dims: int) -> Any:
    """torch's function for this many dimensions."""
    return getattr(functional, f"conv_transpose{dims}d")


@st.composite
def axes(draw: st.DrawFn) -> dict[str, int]:
    """One dimension: any length, kernel and parameters that leave an output of 1 or more."""
    return _axis(draw(_numbers()), *_LONGEST[1])


@st.composite
def _numbers(draw: st.DrawFn) -> Callable[[int, int], int]:
    """A source of whole numbers between two bounds.

    Half of them are hypothesis' own, which find the smallest layer that fails; it likes to repeat
    itself, and the other half, from a seed, spread evenly over what layers there are.
    """
    if draw(st.booleans()):
        return lambda low, high: draw(st.integers(low, high))
    return Random(draw(st.integers(0, 2**30))).randint


def _axis(number: Callable[[int, int], int], longest: int, widest: int) -> dict[str, int]:
    # The larger and the smaller of two: kernels that overlap are the interesting ones.
    length, taps = (max(number(1, most), number(1, most)) for most in (longest, widest))
    stride, dilation = (min(number(1, most), number(1, most)) for most in (4, 3))
    output_padding = number(0, max(stride, dilation) - 1)
    reach = (length - 1) * stride + dilation * (taps - 1) + 1
    padding = number(0, (reach + output_padding - 1) // 2)
    return {
        "length": length,
        "taps": taps,
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
    }


@st.composite
def layers(
    draw: st.DrawFn,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64, torch.int64),
    whole: bool | None = None,
) -> Drawn:
    """A layer of 1 to 3 dimensions, every parameter its own on every axis.

    Parameters
    ----------
    dtypes : tuple of torch.dtype
    whole : bool, optional
        Only whole numbers, or (False) normal ones; either where not given.
    """
    number = draw(_numbers())
    dims = number(1, 3)
    along = [_axis(number, *_LONGEST[dims]) for _ in range(dims)]
    groups, ins, outs = number(1, 3), number(1, 3), number(1, 2)
    batch = [None, 1, 2][number(0, 2)]
    dtype = dtypes[number(0, len(dtypes) - 1)]
    whole = bool(number(0, 1)) if whole is None else whole
    size, kernel = [a["length"] for a in along], [a["taps"] for a in along]
    assume(groups * ins * outs * (batch or 1) * prod(size) * prod(kernel) <= _MOST_MACS)
    random = torch.Generator().manual_seed(number(0, 2**20))

    def tensor(*shape: int) -> torch.Tensor:
        if whole or dtype in INTEGERS:
            return torch.randint(-3, 4, shape, generator=random).to(dtype)
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    return Drawn(
        x=tensor(*([] if batch is None else [batch]), groups * ins, *size),
        weight=tensor(groups * ins, outs, *kernel),
        bias=tensor(groups * outs) if number(0, 1) else None,
        parameters={
            "groups": groups,
            **{
                name: tuple(a[name] for a in along)
                for name in ("stride", "padding", "output_padding", "dilation")
            },
        },
    )


def spoil(drawn: Drawn | DrawnConv, seed: int) -> None:
    """Put NaN, Inf, -Inf or 0 in two places of x and two of the weight, or fewer."""
    random = np.random.default_rng(seed)
    for tensor in (drawn.x, drawn.weight):
        for at, value in zip(
            random.integers(tensor.numel(), size=2),
            random.choice([np.nan, np.inf, -np.inf, 0], 2),
        ):
            tensor.view(-1)[at] = value


@dataclass(frozen=True)
class DrawnConv(DrawnTensors):
    """A plain convolution: weight (C_out, C_in/groups, *K)."""

    function: ClassVar[str] = "conv"

    @property
    def sides(self) -> list[tuple[int, int]]:
        """Zeros before and after each axis."""
        padding, dilation = self.parameters["padding"], self.parameters["dilation"]
        if padding == "same":
            both = [d * (k - 1) for d, k in zip(dilation, self.weight.shape[2:])]
            return [(b // 2, b - b // 2) for b in both]
        return [(p, p) for p in padding]

    def conv(self) -> Conv:
        return Conv.of(self.x, self.weight, self.bias, **self.parameters)


@st.composite
def convs(
    draw: st.DrawFn,
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64, torch.int64),
    whole: bool | None = None,
) -> DrawnConv:
    """A plain convolution of 1 to 3 dimensions, every parameter its own on every axis."""
    number = draw(_numbers())
    dims = number(1, 3)
    longest, widest = _LONGEST[dims]
    kernel = [number(1, widest) for _ in range(dims)]
    dilation = [min(number(1, 3), number(1, 3)) for _ in range(dims)]
    same = number(0, 4) == 0
    stride = [1 if same else min(number(1, 4), number(1, 4)) for _ in range(dims)]
    padding: Any = "same" if same else tuple(min(number(0, 3), number(0, 3)) for _ in range(dims))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    least = [
        1 if same else max(1, s - 2 * p) for s, p in zip(spans, padding if not same else spans)
    ]
    size = [number(low, max(low, longest)) for low in least]
    groups, ins, outs = number(1, 3), number(1, 3), number(1, 2)
    batch = [None, 1, 2][number(0, 2)]
    dtype = dtypes[number(0, len(dtypes) - 1)]
    whole = bool(number(0, 1)) if whole is None else whole
    assume(groups * ins * outs * (batch or 1) * prod(size) * prod(kernel) <= _MOST_MACS)
    random = torch.Generator().manual_seed(number(0, 2**20))

    def tensor(*shape: int) -> torch.Tensor:
        if whole or dtype in INTEGERS:
            return torch.randint(-3, 4, shape, generator=random).to(dtype)
        return torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)

    return DrawnConv(
        x=tensor(*([] if batch is None else [batch]), groups * ins, *size),
        weight=tensor(groups * outs, ins, *kernel),
        bias=tensor(groups * outs) if number(0, 1) else None,
        parameters={
            "groups": groups,
            "stride": tuple(stride),
            "padding": padding,
            "dilation": tuple(dilation),
        },
    )


class Row(NamedTuple):
    """One MAC of `loop`; the fields are those of `convt_trace.Mac`."""

    n: int
    group: int
    in_channel: int
    out_channel: int
    i: tuple[int, ...]
    k: tuple[int, ...]
    o: tuple[int, ...]
    kept: bool
    x: float
    w: float
    product: float
    before: float
    after: float


def loop(drawn: Drawn, order: str = "scatter") -> list[Row]:
    """Every MAC of a layer in its order, by nested loops over Python numbers.

    Scatter: input value by input value, each against the whole kernel of each output channel.
    Gather: output cell by output cell, canvas included, its terms by input channel and position.
    """
    size = drawn.torch().shape[-drawn.dims :]
    macs = list(_multiplied(drawn))
    if order == "gather":
        macs.sort(key=lambda mac: (mac[0], mac[3], mac[6], mac[2], mac[4]))
    sums: defaultdict[Any, float] = defaultdict(int if drawn.x.dtype in INTEGERS else float)
    rows = []
    for n, group, ci, co, i, k, o, x, w in macs:
        before = sums[n, co, o]
        sums[n, co, o] = before + x * w
        kept = all(0 <= place < length for place, length in zip(o, size))
        rows.append(Row(n, group, ci, co, i, k, o, kept, x, w, x * w, before, sums[n, co, o]))
    return rows


def conv_loop(drawn: DrawnConv) -> list[Row]:
    """Every MAC of a plain convolution by nested loops: cell by cell, channel by channel, tap by tap.

    A position outside the input is a padded zero; there a row is not `kept`.
    """
    x, weight, p = drawn.batched, drawn.weight, drawn.parameters
    outs, ins = len(weight) // p["groups"], weight.shape[1]
    before = [side for side, _ in drawn.sides]
    zero = 0 if drawn.x.dtype in INTEGERS else 0.0
    rows = []
    for n, co in product(range(len(x)), range(len(weight))):
        for o in product(*map(range, drawn.torch().shape[-drawn.dims :])):
            held = zero
            for local, k in product(range(ins), product(*map(range, weight.shape[2:]))):
                ci = co // outs * ins + local
                i = tuple(
                    at * stride - pad + tap * dilation
                    for at, stride, pad, tap, dilation in zip(
                        o, p["stride"], before, k, p["dilation"]
                    )
                )
                kept = all(0 <= at < length for at, length in zip(i, x.shape[2:]))
                value = x[(n, ci, *i)].item() if kept else zero
                w = weight[(co, local, *k)].item()
                after = held + value * w
                rows.append(
                    Row(n, co // outs, ci, co, i, k, o, kept, value, w, value * w, held, after)
                )
                held = after
    return rows


def _multiplied(drawn: Drawn) -> Iterator[tuple[Any, ...]]:
    """Yield (n, group, ci, co, i, k, o, x, w) in scatter order."""
    x, weight, p = drawn.batched, drawn.weight, drawn.parameters
    ins, outs = weight.shape[0] // p["groups"], weight.shape[1]
    for n, group, ci in product(range(len(x)), range(p["groups"]), range(ins)):
        ci += group * ins
        for i in product(*map(range, x.shape[2:])):
            for out, k in product(range(outs), product(*map(range, weight.shape[2:]))):
                o = tuple(
                    at * stride + tap * dilation - padding
                    for at, tap, stride, dilation, padding in zip(
                        i, k, p["stride"], p["dilation"], p["padding"]
                    )
                )
                yield (
                    n, group, ci, group * outs + out, i, k, o,
                    x[(n, ci, *i)].item(), weight[(ci, out, *k)].item(),
                )  # fmt: skip


@st.composite
def bit_cases(draw) -> Case:
    """Cases of any bits at all: NaNs with payloads, -0.0, subnormals, the ends of integers."""
    dtype = DTYPES[draw(st.sampled_from(list(DTYPES)))]
    size = dtype.itemsize

    def tensor(*shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        raw = draw(st.binary(min_size=count * size, max_size=count * size))
        return np.frombuffer(raw, f"u{size}").view(dtype).reshape(shape)

    length, kernel, c_in, c_out = (draw(st.integers(1, 4)) for _ in range(4))
    unbatched = draw(st.booleans())
    return Case.of(
        tensor(*([] if unbatched else [draw(st.integers(0, 2))]), c_in, length),
        tensor(c_in, c_out, kernel),
        tensor(c_out) if draw(st.booleans()) else None,
        stride=draw(st.integers(1, 3)),
    )

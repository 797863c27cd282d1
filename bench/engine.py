"""How fast the engine reads: against a plain Python loop, and against writing the same bytes once.

Prints a plain text table and asserts nothing: times depend on the machine, so what counts is the
ratios, each of two things measured one after the other in the same process.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import fields
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np

import convt_trace
from convt_trace import Case, Macs, Trace
from convt_trace.engine.layer import Layer

#: A full-column read takes at most this many times writing its bytes, and is meant to take so many.
LIMIT, AIM = 6, 3

ORDERS = ("scatter", "gather")

#: Layers of at most four million MACs, and their input's (N, *L). A column of a little fewer than
#: 4,194,304 numbers is one that the C library may keep for the next reader, so that writing is three
#: times as quick: the hard case.
FOUR_MILLION = (
    (Layer.of(32, 32, 4, 2, 1, dims=2), (1, 16, 16)),
    (Layer.of(32, 32, 4, 2, 1, dims=2), (1, 15, 16)),
    (Layer.of(512, 512, 4, 2, 1, groups=512, dims=2), (1, 22, 22)),
    (Layer.of(1, 1, 4, 2, 1, dims=2), (1, 512, 512)),
    (Layer.of(1, 1, 4, 2, 1, dims=2), (1, 500, 500)),
    (Layer.of(1, 1, 4, 2, 100, dims=2), (1, 500, 500)),
    (Layer.of(1, 1, 4, 2, 1, dims=2), (4000, 8, 8)),
    (Layer.of(1, 1, 4, 2, 1, dims=2), (1, 1, 250_000)),
    (Layer.of(1, 1, 4, 2, 1, dims=1), (1, 1_000_000)),
    (Layer.of(1, 1, 1, 3, dims=1), (1, 4_000_000)),
    (Layer.of(1, 1, 3, 2, 1, dims=3), (1, 52, 52, 52)),
    (Layer.of(1, 1, 3, 2, 1, dilation=3, dims=2), (1, 660, 660)),
    (Layer.of(1, 1, 2, 8, dims=2), (1, 990, 990)),
    (Layer.of(1, 1, 64, dims=2), (1, 30, 30)),
)


def seconds(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the best time of a few rounds; what a round returns is dropped outside its time."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        start = perf_counter()
        result = work()
        best = min(best, perf_counter() - start)
        del result
    return best


def opened(layer: Layer, shape: tuple[int, ...], order: str) -> Trace:
    """Return the trace of a layer on an input of this (N, *L)."""
    random = np.random.default_rng(0)
    batch, *size = shape
    x = random.normal(size=(batch, layer.in_channels, *size)).astype(np.float32)
    weight = random.normal(size=layer.weight_shape).astype(np.float32)
    return Trace(Case(layer, x, weight), order)


# -- the plain loop -----------------------------------------------------------------------------


def plain_loop(t: Trace) -> list[list[Any]]:
    """Return the columns of a one-group 2-D trace from nested Python loops, in its order."""
    parameters = t.geometry.layer
    (sy, sx), (py, px), (dy, dx) = parameters.stride, parameters.padding, parameters.dilation
    (height, width), (taps_y, taps_x) = t.geometry.input_size, parameters.kernel_size
    out_height, out_width = t.geometry.output_size
    x, weight = t.case.x.tolist(), t.case.weight.tolist()
    taps = list(product(range(taps_y), range(taps_x)))
    columns: list[list[Any]] = [[] for _ in fields(convt_trace.Mac)]
    sums: defaultdict[tuple[int, ...], float] = defaultdict(float)

    def add(n: int, ci: int, co: int, i: tuple[int, int], k: tuple[int, int]) -> None:
        o = (i[0] * sy - py + k[0] * dy, i[1] * sx - px + k[1] * dx)
        kept = 0 <= o[0] < out_height and 0 <= o[1] < out_width
        value, tap = x[n][ci][i[0]][i[1]], weight[ci][co][k[0]][k[1]]
        before = sums[n, co, *o]
        after = sums[n, co, *o] = before + value * tap
        row = (n, 0, ci, co, i, k, o, kept, value, tap, value * tap, before, after)
        for column, number in zip(columns, row):
            column.append(number)

    if t.order == "scatter":
        for n, ci in product(range(len(x)), range(parameters.in_channels)):
            for i in product(range(height), range(width)):
                for co in range(parameters.out_channels):
                    for k in taps:
                        add(n, ci, co, i, k)
        return columns
    cells: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for i in product(range(height), range(width)):
        for k in taps:
            cells[i[0] * sy + k[0] * dy, i[1] * sx + k[1] * dx].append((i, k))
    for n, co in product(range(len(x)), range(parameters.out_channels)):
        for cell in sorted(cells):
            for ci in range(parameters.in_channels):
                for i, k in cells[cell]:
                    add(n, ci, co, i, k)
    return columns


def rates(order: str) -> tuple[float, float]:
    """Return MACs per second of the engine and of the plain loop, all columns of a smaller layer."""
    t = opened(Layer.of(8, 8, 4, 2, 1, dims=2), (1, 12, 12), order)
    return len(t) / seconds(lambda: t[:]), len(t) / seconds(lambda: plain_loop(t), rounds=3)


# -- the bytes ----------------------------------------------------------------------------------


def write_once(macs: Macs) -> list[np.ndarray]:
    """Write as many bytes as there are in these columns, once, column by column."""
    written = []
    for field in fields(macs):
        column = getattr(macs, field.name)
        room = np.empty(column.shape, column.dtype)
        room.fill(1)
        written.append(room)
    return written


def read_against_write(t: Trace) -> tuple[float, float]:
    """Return the seconds to read and to write the columns of a trace, taken in turn."""
    everything = t[:]
    times = [
        (seconds(lambda: t[:], rounds=1), seconds(lambda: write_once(everything), rounds=1))
        for _ in range(5)
    ]
    reading, writing = zip(*times)
    return min(reading), min(writing)


# -- the gigantic layer -------------------------------------------------------------------------


def gigantic(order: str) -> dict[str, float]:
    """Return the seconds to open the DCGAN layer of 537 million MACs and to read a little of it."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 512, 16, 16)).astype(np.float32)
    weight = random.normal(size=(512, 256, 4, 4)).astype(np.float32)

    def trace() -> Trace:
        return convt_trace.trace(x, weight, stride=2, padding=1, order=order)

    t = trace()
    middle = len(t) // 2
    return {
        "open it": seconds(trace),
        # A trace widens its numbers when somebody first looks.
        "open it, read the first row": seconds(lambda: trace()[0]),
        "a row": seconds(lambda: t[middle]),
        "a window of 4096": seconds(lambda: t[middle : middle + 4096]),
        "the last 4096": seconds(lambda: t[-4096:]),
        "an output cell": seconds(lambda: t.of_output(0, 100, 15, 15)),
    }


def report() -> str:
    """Measure everything and return the table."""
    lines = ["Every column of ConvTranspose2d(8, 8, 4, 2, 1) on 12x12, million MACs per second"]
    lines.append(f"  {'order':<10}{'engine':>12}{'plain loop':>12}{'ratio':>10}")
    for order in ORDERS:
        ours, theirs = rates(order)
        lines.append(f"  {order:<10}{ours / 1e6:>12.2f}{theirs / 1e6:>12.2f}{ours / theirs:>9.1f}x")
    lines += ["", f"Every column of a layer, milliseconds (limit {LIMIT}x, aim {AIM}x)"]
    heads = "".join(f"{order:>12}{'write once':>12}{'ratio':>8}" for order in ORDERS)
    lines.append(f"  {'layer and (N, *L)':<76}{'MACs':>10}{heads}")
    for layer, shape in FOUR_MILLION:
        line = f"  {f'{layer} {shape}':<76}"
        for number, order in enumerate(ORDERS):
            t = opened(layer, shape, order)
            read, write = read_against_write(t)
            line += f"{len(t):>10,}" if number == 0 else ""
            line += f"{read * 1e3:>12.1f}{write * 1e3:>12.1f}{read / write:>7.2f}x"
        lines.append(line)
    lines += ["", "ConvTranspose2d(512, 256, 4, 2, 1) on 16x16, 536,870,912 MACs, milliseconds"]
    measured = {order: gigantic(order) for order in ORDERS}
    lines.append(f"  {'':<30}{'scatter':>12}{'gather':>12}")
    for what in measured["scatter"]:
        times = "".join(f"{measured[order][what] * 1e3:>12.2f}" for order in ORDERS)
        lines.append(f"  {what:<30}{times}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())

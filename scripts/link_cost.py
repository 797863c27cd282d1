"""What it takes the app to open a link: drawn at random or with one parameter at its bound, and measured.

`make bench` opens 1,500 of them and a test some. Each is opened by the page itself, in a process of
its own: one that dies or does not end is counted, and takes nothing else with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import exp, log, prod

import numpy as np
import torch
from streamlit.testing.v1 import AppTest

from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import LARGEST_PARAMETER, Layer
from convt_trace.links.link import LONGEST
from convt_trace.links.packed import DTYPES, LARGEST_PACKED, Unreadable, check_bounds, pack
from live_app import ROOT

#: What opening a picture takes at most: seconds of computing on the machine where the limits of
#: engine/cost.py were measured, and MB.
SECONDS, MEGABYTES = 2.0, 400.0
#: Seconds that `pace` took there.
PACE = 0.018
#: A link that takes longer is given up, in seconds.
_PATIENCE = 60


@dataclass(frozen=True)
class Taken:
    """What opening a link took: seconds of CPU, MB beyond those of the process, and what went wrong."""

    seconds: float
    megabytes: float
    wrong: str = ""


def pace() -> float:
    """Return the seconds of CPU that a fixed piece of torch's and numpy's work takes, right now.

    Limits in seconds are those of one machine; on another one, or on a busy day, they grow with this.
    """
    numbers = np.random.default_rng(0).standard_normal(2**20, dtype=np.float32)
    x = torch.ones(1, 64, 64, 64)
    start = time.process_time()
    for _ in range(3):
        torch.nn.functional.conv_transpose2d(x, torch.ones(64, 64, 3, 3))
        np.sort(numbers)
    return time.process_time() - start


def take(query: str) -> Taken:
    """Open a link in the app, in a process of its own, and return what it took."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        signal.alarm(_PATIENCE)
        _open(query, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(child, 0)
    if not said:
        died = f"ended by signal {status & 127}" if status & 127 else "ended without a word"
        return Taken(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, died)
    return Taken(**json.loads(said))


def _open(query: str, write: int) -> None:
    """Open a link, write what it took, and end this process."""
    wrong = ""
    with open("/proc/self/statm") as sizes:
        before = int(sizes.read().split()[1]) * resource.getpagesize() / 2**20
    start = time.process_time()
    try:
        page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=_PATIENCE)
        page.query_params.update(dict(part.split("=", 1) for part in query.split("&")))
        page.run()
        wrong = str(page.exception[0].message) if page.exception else ""
    except BaseException as error:
        wrong = repr(error)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    taken = {"seconds": time.process_time() - start, "megabytes": most - before, "wrong": wrong}
    os.write(write, json.dumps(taken).encode())
    os._exit(0)


def warm_up() -> None:
    """Load what every page needs, so that it is not counted as the first link's."""
    torch.set_num_threads(1)  # a process that forks may not have torch's threads
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=_PATIENCE).run()
    assert not page.exception
    pace()


# -- links --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """A layer and the size of its input."""

    batch: int | None
    layer: Layer
    size: tuple[int, ...]

    def is_legal(self) -> bool:
        """Tell whether a link may hold it."""
        with contextlib.suppress(Unreadable, LayerError):
            check_bounds(self.batch, self.layer, self.size)
            return min(self.layer.output_size(self.size)) > 0
        return False

    def link(self, dtype: str, x: str, weight: str, bias: bool = False, **state: object) -> str:
        """Return a link's query."""
        layer = self.layer
        parts = {
            "dims": f"{layer.dims}d",
            "batch": "no" if self.batch is None else self.batch,
            "in_channels": layer.in_channels,
            "out_channels": layer.out_channels,
            "groups": layer.groups,
            "size": _commas(self.size),
            "kernel": _commas(layer.kernel_size),
            "stride": _commas(layer.stride),
            "padding": _commas(layer.padding),
            "output_padding": _commas(layer.output_padding),
            "dilation": _commas(layer.dilation),
            "dtype": dtype,
            "bias": "yes" if bias else "no",
            "x": x,
            "weight": weight,
            **({"offset": "counting"} if bias else {}),
            **state,
        }
        return "&".join(f"{name}={value}" for name, value in parts.items())


def at_bounds(
    dtypes: Iterable[str] = ("float32", "bfloat16", "int64"),
) -> Iterator[tuple[str, str]]:
    """Yield links in which one parameter is as large as is legal, with what they are.

    The largest value is looked for by halving, with everything else as small as it may be.
    """
    for dims, dtype in product((1, 2, 3), dtypes):
        for name in ("batch", "in_channels", "out_channels", "groups", "size", "kernel"):
            yield _largest(name, dims, 2**24, dtype)
        for name in ("stride", "padding", "dilation"):
            yield _largest(name, dims, LARGEST_PARAMETER, dtype)


def _largest(name: str, dims: int, most: int, dtype: str) -> tuple[str, str]:
    low, high = 1, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _with(name, middle, dims) else (low, middle)
    shape = _with(name, low, dims)
    assert shape is not None, f"{name}=1 is legal"
    return f"{name}={low}, {dims}d, {dtype}", shape.link(dtype, "normal:1", "normal:2")


def _with(name: str, value: int, dims: int) -> _Shape | None:
    """Return a small layer with one parameter of this value, or None if it is not legal."""
    parts = {"batch": 1, "in_channels": 1, "out_channels": 1, "groups": 1, "size": 2, "kernel": 3,
             "stride": 1, "padding": 0, "dilation": 1, name: value}  # fmt: skip
    if name == "groups":
        parts["in_channels"] = parts["out_channels"] = value
    if name == "padding":  # something has to be left of the output
        parts["size"] = 2 * value + 1
    axes = {key: (parts[key],) * dims for key in ("kernel", "stride", "padding", "dilation")}
    layer = Layer(
        parts["in_channels"],
        parts["out_channels"],
        axes["kernel"],
        axes["stride"],
        axes["padding"],
        (0,) * dims,
        axes["dilation"],
        parts["groups"],
    )
    shape = _Shape(parts["batch"], layer, (parts["size"],) * dims)
    return shape if shape.is_legal() else None


def random_links(seed: int) -> Iterator[str]:
    """Yield legal links with parameters of all magnitudes."""
    chance = random.Random(seed)
    while True:
        shape = _random_shape(chance)
        if shape is None or not shape.is_legal():
            continue
        dtype, layer = chance.choice([*DTYPES]), shape.layer
        numbers = prod((shape.batch or 1, layer.in_channels, *shape.size))
        yield shape.link(
            dtype,
            x=_fill(chance, dtype, numbers, "normal:2"),
            weight=_fill(chance, dtype, prod(layer.weight_shape), "bilinear"),
            bias=chance.random() < 0.4,
            order=chance.choice(["scatter", "gather"]),
            step=chance.choice([0, 0, chance.randint(0, 10**9)]),
        )


def _random_shape(chance: random.Random) -> _Shape | None:
    dims = chance.choice([1, 2, 3])
    groups = chance.choice([1, 1, 1, 2, 4, _magnitude(chance, 4096)])
    same = chance.random() < 0.7

    def along(most: int, least: int = 1) -> tuple[int, ...]:
        most = _magnitude(chance, most)
        lengths = [max(least, _magnitude(chance, most) - (1 - least)) for _ in range(dims)]
        return (lengths[0],) * dims if same else tuple(lengths)

    stride = along(LARGEST_PARAMETER)
    dilation = chance.choice([(1,) * dims, along(LARGEST_PARAMETER)])
    added = [chance.randint(0, max(pair) - 1) for pair in zip(stride, dilation)]
    with contextlib.suppress(LayerError):
        layer = Layer(
            groups * _magnitude(chance, 2 ** chance.randint(0, 20)),
            groups * _magnitude(chance, 2 ** chance.randint(0, 20)),
            along(2 ** chance.randint(0, 18)),
            stride,
            chance.choice([(0,) * dims, along(LARGEST_PARAMETER, 0)]),
            chance.choice([(0,) * dims, tuple(added)]),
            dilation,
            groups,
        )
        batch = chance.choice([None, 1, 1, 2, _magnitude(chance, 2 ** chance.randint(1, 20))])
        return _Shape(batch, layer, along(2**20))
    return None


def _magnitude(chance: random.Random, most: int) -> int:
    """Return a number from 1 to ``most``; each order of magnitude is as likely."""
    return round(exp(chance.uniform(0, log(most))))


def _fill(chance: random.Random, dtype: str, count: int, own: str) -> str:
    """Return a recipe, or packed numbers; ``own`` is a recipe that this tensor alone may have."""
    said = chance.choice(
        ["ones", "normal:1", "counting", "integers:3", "numbers:1,2.5", "impulse", own]
    )
    if chance.random() < 1 / 8 and count <= LARGEST_PACKED:
        packed = f"raw:{pack(np.zeros(count, DTYPES[dtype]))}"
        said = packed if len(packed) < LONGEST // 2 else said
    return said


def _commas(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))

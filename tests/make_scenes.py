"""Write messages for the JavaScript tests: `python tests/make_scenes.py FOLDER`.

Random small layers, each whole in one window, in both orders; one layer in many windows; plain
convolutions; numbers that are hard to carry. ``scenes.json`` lists the files, each with what Python
calls its cells, row by row.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from convt_trace import Case, views
from convt_trace.engine.conv import Conv
from convt_trace.engine.view import View, picked_trace
from convt_trace.links.settings import PRESETS
from convt_trace.player import conv_scene as conv_scenes
from convt_trace.player import scene as scenes
from convt_trace.player.linked import with_views
from convt_trace.player.scene import messages, read_message, scene

ORDERS = ("scatter", "gather")


def random_case(random: np.random.Generator, dims: int) -> Case:
    """A small layer with every parameter its own on every axis."""
    longest = {1: 6, 2: 4, 3: 3}[dims]
    size, kernel = random.integers(1, longest + 1, dims), random.integers(1, longest, dims)
    stride, dilation = random.integers(1, 4, dims), random.integers(1, 3, dims)
    extra = random.integers(0, np.maximum(stride, dilation))
    reach = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra
    padding = random.integers(0, (reach - 1) // 2 + 1)
    groups, ins, outs = random.integers(1, 3, 3)
    batch = [] if random.random() < 0.3 else [2]
    dtype = random.choice([np.float32, np.int64])
    return Case.of(
        random.integers(-3, 4, (*batch, groups * ins, *size)).astype(dtype),
        random.integers(-3, 4, (groups * ins, outs, *kernel)).astype(dtype),
        random.integers(-3, 4, groups * outs).astype(dtype) if random.random() < 0.5 else None,
        stride=stride.tolist(),
        padding=padding.tolist(),
        output_padding=extra.tolist(),
        dilation=dilation.tolist(),
        groups=int(groups),
    )


def many_rows(random: np.random.Generator) -> Case:
    """A layer of several hundred MACs, padding and bias included."""
    x, weight = random.integers(-3, 4, (1, 4, 3, 2)), random.integers(-3, 4, (4, 1, 3, 2))
    bias = random.integers(-3, 4, 2)
    return Case.of(x, weight, bias, stride=2, padding=1, output_padding=(1, 0), groups=2)


def long_axis(random: np.random.Generator) -> Case:
    """A layer longer than a small screen."""
    x, weight = random.integers(-3, 4, (1, 2, 40)), random.integers(-3, 4, (2, 2, 3))
    return Case.of(x.astype(np.float64), weight.astype(np.float64), stride=2, padding=1)


def random_conv(random: np.random.Generator, dims: int) -> Conv:
    """A small plain convolution with every parameter its own on every axis."""
    longest = {1: 6, 2: 4, 3: 3}[dims]
    kernel, dilation = random.integers(1, longest, dims), random.integers(1, 3, dims)
    padding = random.integers(0, 3, dims)
    least = np.maximum(1, dilation * (kernel - 1) + 1 - 2 * padding)
    size = [int(random.integers(low, max(low, longest) + 1)) for low in least]
    groups, ins, outs = (int(number) for number in random.integers(1, 3, 3))
    batch = [] if random.random() < 0.3 else [2]
    dtype = random.choice([np.float32, np.int64])
    return Conv.of(
        random.integers(-3, 4, (*batch, groups * ins, *size)).astype(dtype),
        random.integers(-3, 4, (groups * outs, ins, *kernel)).astype(dtype),
        random.integers(-3, 4, groups * outs).astype(dtype) if random.random() < 0.5 else None,
        stride=random.integers(1, 4, dims).tolist(),
        padding=padding.tolist(),
        dilation=dilation.tolist(),
        groups=groups,
    )


def conv_names(conv: Conv, view: View, rows: range) -> list[list[str]]:
    """What a row of a plain convolution's input value, tap and output cell are called."""
    item = "" if conv.unbatched else f"{view.n},"
    ins = conv.layer.in_per_group

    def written(*numbers: int) -> str:
        return ",".join(map(str, numbers))

    return [
        [
            f"x[{item}{written(mac.in_channel, *mac.i)}]" if mac.kept else "a padded zero",
            f"w[{written(mac.out_channel, mac.in_channel % ins, *mac.k)}]",
            f"y[{item}{written(mac.out_channel, *mac.o)}]",
        ]
        for mac in picked_trace(conv, view)[rows.start : rows.stop]
    ]


def names(case: Case, view: View, rows: range) -> list[list[str]]:
    """What a row's input value, tap and output cell are called."""
    item = "" if case.unbatched else f"{view.n},"
    outs = case.layer.out_per_group

    def written(*numbers: int) -> str:
        return ",".join(map(str, numbers))

    return [
        [
            f"x[{item}{written(mac.in_channel, *mac.i)}]",
            f"w[{written(mac.in_channel, mac.out_channel - mac.group * outs, *mac.k)}]",
            f"y[{item}{written(mac.out_channel, *mac.o)}]",
        ]
        for mac in picked_trace(case, view)[rows.start : rows.stop]
    ]


def finished(case: Case, view: View) -> list[float]:
    """The finished output of the batch item on screen."""
    output = scenes.wide(case.trace().output)
    return (output if case.unbatched else output[view.n]).reshape(-1).tolist()


def lit_names(case: Case, view: View) -> dict[str, list[dict[str, Any]]]:
    """What each view says of every MAC of a whole window: its equation, and the names of the cells."""
    macs = list(picked_trace(case, view)[:])
    said = {}
    for name in views.names(case):
        seen = views.view(case, name)
        tensors = {tensor.name: tensor for tensor in seen.tensors}
        said[name] = [
            {
                "kept": mac.kept,
                "equation": seen.equation_of(mac),
                "names": {
                    at: tensors[at].cell(index)
                    for at, index in seen.cells_of(mac).items()
                    if not tensors[at].joins or not case.unbatched
                },
            }
            for mac in macs
        ]
    return said


def main(folder: Path) -> None:
    files: list[dict[str, Any]] = []

    def write_linked(case: Case, view: View) -> None:
        file = f"{len(files)}.scene"
        message = with_views(scene(case, view), case, view, list(views.VIEWS))
        (folder / file).write_bytes(message)
        about = f"{case.line()} on {case.x.shape}, {view.order}"
        entry = {"file": file, "kind": "linked", "about": about, "views": lit_names(case, view)}
        files.append({**entry, "names": [], "output": None})

    def write(kind: str, case: Case, view: View, number: int = 0) -> int:
        message = scene(case, view, number)
        window = read_message(message)[0]["window"]
        file = f"{len(files)}.scene"
        (folder / file).write_bytes(message)
        rows = range(window["start"], window["stop"])
        files.append(
            {
                "file": file,
                "kind": kind,
                "about": f"{case.line()} on {case.x.shape}, {view.order}",
                "names": names(case, view, rows),
                # The finished output where all of it is on screen, in numbers that JSON can write.
                "output": finished(case, view) if kind.startswith(("whole", "windows")) else None,
            }
        )
        return int(window["stop"])

    def write_conv(kind: str, conv: Conv, view: View, number: int = 0) -> int:
        message = conv_scenes.build_conv(conv, view, number)
        header = read_message(message)[0]
        window, file = header["window"], f"{len(files)}.scene"
        (folder / file).write_bytes(message)
        output = scenes.wide(conv.trace().output)
        files.append(
            {
                "file": file,
                "kind": kind,
                "about": f"{conv.line()} on {conv.x.shape}",
                "names": conv_names(conv, view, range(window["start"], window["stop"])),
                "output": (output if conv.unbatched else output[view.n]).reshape(-1).tolist(),
                "padded": conv.geometry.padded_macs,
            }
        )
        return int(window["stop"])

    random = np.random.default_rng(20)
    for dims in (1, 2, 3):
        for _ in range(8):
            case = random_case(random, dims)
            for order in ORDERS:
                write("whole", case, View(order, n=0 if case.unbatched else 1))
    for name, preset in PRESETS.items():
        for order in ORDERS:
            write("preset" if name == "dcgan" else "whole", preset.settings.case(), View(order))
    for dims in (1, 2, 3):
        for _ in range(2):
            case = random_case(random, dims)
            for order in ORDERS:
                write_linked(case, View(order, n=0 if case.unbatched else 1))
    # Windows that end by their number of rows, and where the screen ends.
    for long in (many_rows(random), long_axis(random)):
        with (
            patch.object(scenes, "WINDOW", 37),
            patch.object(scenes, "POSITIONS", {1: 20, 2: 20, 3: 20}),
        ):
            messages.forget()
            for order in ORDERS:
                trace, stop = picked_trace(long, View(order)), 0
                while stop < len(trace):
                    stop = write(f"windows {order} {long.dims}d", long, View(order), stop)
    messages.forget()
    random = np.random.default_rng(21)
    for dims in (1, 2, 3):
        for _ in range(8):
            conv = random_conv(random, dims)
            write_conv("conv", conv, View("gather", n=0 if conv.unbatched else 1))
    long = Conv.of(np.ones((1, 1, 60)), np.array([[[1.0, 2.0, 3.0]]]), stride=2, padding=1)
    with patch.object(conv_scenes, "POSITIONS", {1: 20}):
        stop = 0
        while stop < len(long.trace()):
            stop = write_conv("conv windows", long, View("gather"), stop)
    hard = np.array([[[np.nan, np.inf, -np.inf, -0.0, 1e300, 0.1]]])
    write("floats", Case.of(hard, np.ones((1, 1, 1))), View())
    write("integers", Case.of(np.array([[[2**62, -(2**62)]]]), np.array([[[1]]])), View())
    (folder / "scenes.json").write_text(json.dumps(files))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

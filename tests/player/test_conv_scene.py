"""The message of a plain convolution: the same format, with its rows on the right cells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from player.test_scene import ROWS, Read, _keys, same
from strategies import DrawnConv, conv_loop, convs, moderate, spoil

from convt_trace import compare
from convt_trace.engine.arrays import wide
from convt_trace.engine.conv import Conv
from convt_trace.engine.view import View, chosen, picked_trace
from convt_trace.player import conv_scene as conv_scenes
from convt_trace.player import scene as scenes
from convt_trace.player.conv_scene import build_conv, conv_scene
from convt_trace.player.scene import COMPLETES, KEPT, read_message, scene

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


class ConvRead(Read):
    """A message of a plain convolution as the player reads it."""

    def __init__(self, conv: Conv, view: View | None = None, number: int = 0):
        self.case: Any = conv
        self.header, self.columns = read_message(build_conv(conv, view, number))
        self.panels = {panel["name"]: panel for panel in self.header["panels"]}
        self.start, self.stop = self.header["window"]["start"], self.header["window"]["stop"]

    def kind(self, name: str, cell: int) -> str:
        _, *places = np.unravel_index(cell, self.size(name))
        kinds = {
            track.get("kind", ["real"] * len(track["label"]))[at]
            for track, at in zip(self.panels[name]["tracks"], places)
        }
        return "pad" if "pad" in kinds else kinds.pop()


@st.composite
def looked_at(draw: st.DrawFn) -> tuple[DrawnConv, Conv, View]:
    drawn = draw(convs())
    if draw(st.integers(0, 3)) == 0 and drawn.x.dtype.is_floating_point:
        spoil(drawn, draw(st.integers(0, 1000)))
    conv = drawn.conv()
    layer = conv.layer

    def some(count: int) -> tuple[int, ...] | None:
        picks = st.sets(st.integers(0, count - 1), min_size=1).map(sorted).map(tuple)
        return draw(st.none() | picks)

    view = View(
        "gather",
        draw(st.integers(0, conv.geometry.batch - 1)),
        some(layer.groups),
        some(layer.in_per_group),
        some(layer.out_per_group),
    )
    return drawn, conv, view


@contextmanager
def small_windows(macs: int, positions: int) -> Iterator[None]:
    shown = dict.fromkeys((1, 2, 3), positions)
    with (
        patch.object(scenes, "WINDOW", macs),
        patch.object(conv_scenes, "POSITIONS", shown),
    ):
        yield


def walk(conv: Conv, view: View | None = None) -> Iterator[ConvRead]:
    """Every window, each asked for by the number at which the one before it ended."""
    read = ConvRead(conv, view)
    yield read
    while read.stop < read.header["window"]["total"]:
        number, read = read.stop, ConvRead(conv, view, read.stop)
        assert read.start <= number < read.stop
        yield read


# -- rows -------------------------------------------------------------------------------------------


@moderate
@given(looked_at())
def test_a_product_is_that_of_the_cells_it_points_at(looked: tuple[DrawnConv, Conv, View]):
    drawn, conv, view = looked
    read = ConvRead(conv, view)
    x, w, y = (read.columns[name] for name in "xwy")
    with np.errstate(all="ignore"):
        assert same(read.columns["product"], read.values("input")[x] * read.values("weight")[w])
    shown = chosen(conv, view)
    layer = conv.layer
    rows = [
        row
        for row in conv_loop(drawn)
        if row.n == shown.n
        and row.group in (shown.groups or ())
        and row.in_channel % layer.in_per_group in (shown.in_local or ())
        and row.out_channel % layer.out_per_group in (shown.out_local or ())
    ]
    assert len(rows) == read.header["window"]["total"] == len(x)
    for at, row in enumerate(rows):
        channel, i = read.place("input", int(x[at]))
        assert (channel["channel"], channel["group"]) == (row.in_channel, row.group)
        assert (read.kind("input", int(x[at])) == "real") == row.kept
        if row.kept:
            assert i == row.i
        channel, k = read.place("weight", int(w[at]))
        assert (channel["in"], channel["out"], k) == (row.in_channel, row.out_channel, row.k)
        channel, o = read.place("output", int(y[at]))
        assert (channel["channel"], channel["group"], o) == (row.out_channel, row.group, row.o)
        assert read.columns["flags"][at] & KEPT, "nothing is cropped"
        if drawn.x.dtype != torch.float32:  # the loop adds in float64 what torch has in float32
            assert same(read.columns["before"][at], row.before)
            assert same(read.columns["after"][at], row.after)


@moderate
@given(looked_at())
def test_rows_of_a_cell_add_up_to_it(looked: tuple[DrawnConv, Conv, View]):
    _, conv, view = looked
    read = ConvRead(conv, View("gather", view.n))
    if not read.header["all_terms"]:
        return
    y, flags = read.columns["y"], read.columns["flags"]
    for cell in read.cells("output"):
        rows = np.flatnonzero(y == cell)
        assert len(rows) == conv.most_terms and (np.diff(rows) == 1).all(), "one after the other"
        assert [bool(flags[row] & COMPLETES) for row in rows] == [False] * (len(rows) - 1) + [True]
        with np.errstate(all="ignore"):
            total = np.add.accumulate(read.columns["product"][rows])[-1]
        bias = read.place("output", cell)[0]["bias"]
        assert same(read.columns["after"][rows[-1]], total)
        with np.errstate(all="ignore"):
            stored = wide((total + (0 if bias is None else bias)).astype(conv.x.dtype))
        assert same(read.values("output")[cell], stored)


# -- tensors ----------------------------------------------------------------------------------------


@moderate
@given(looked_at())
def test_panels_hold_the_tensors_and_zeros_around_the_input(looked: tuple[DrawnConv, Conv, View]):
    drawn, conv, view = looked
    read = ConvRead(conv, view)
    n = chosen(conv, view).n
    padded = np.pad(wide(conv.batched[n]), [(0, 0), *drawn.sides])
    for at, panel in enumerate(read.panels["input"]["channels"]):
        block = read.values("input").reshape(read.size("input"))[at]
        assert same(block.reshape(padded.shape[1:]), padded[panel["channel"]])
    for cell in read.cells("input"):
        channel, i = read.place("input", cell)
        inside = None not in i
        assert (read.kind("input", cell) == "real") == inside
        if inside:
            assert same(read.values("input")[cell], wide(conv.batched)[(n, channel["channel"], *i)])
    weight = wide(conv.weight)
    for cell in read.cells("weight"):
        channel, k = read.place("weight", cell)
        assert same(read.values("weight")[cell], weight[(*channel["index"], *k)])
        out, local = channel["index"]
        assert (channel["out"], channel["in"]) == (
            out,
            channel["group"] * conv.layer.in_per_group + local,
        )
        assert channel["group"] == out // conv.layer.out_per_group
    for name, tensor in {"output": conv.trace().output, "torch": compare(conv).torch}.items():
        item = wide(tensor if conv.unbatched else tensor[n])
        for cell in read.cells(name):
            channel, o = read.place(name, cell)
            assert same(read.values(name)[cell], item[(channel["channel"], *o)])
    assert all("crop" not in track for panel in read.panels.values() for track in panel["tracks"])
    assert read.columns["agrees"].size == len(read.cells("torch"))


@moderate
@given(looked_at())
def test_links_and_axes_give_the_terms_of_a_cell(looked: tuple[DrawnConv, Conv, View]):
    _, conv, view = looked
    read = ConvRead(conv, view)
    sizes = {name: read.size(name) for name in ("input", "weight", "output")}
    axes = [{"x": [0], "w": [0], "y": [0]}] * (3 - conv.dims) + read.header["axes"]
    triples: list[tuple[int, int, int]] = []
    for link in read.header["links"]:
        for places in product(*(zip(axis["x"], axis["w"], axis["y"]) for axis in axes)):
            at = zip(*places)
            triples.append(
                tuple(
                    int(np.ravel_multi_index((block, *place), sizes[name]))
                    for block, place, name in zip(link, at, sizes)
                )  # type: ignore[arg-type]
            )
    rows = [*zip(*(read.columns[name].tolist() for name in "xwy"))]
    # In the order of addition for every cell.
    for cell in read.cells("output"):
        assert [t for t in triples if t[2] == cell] == [r for r in rows if r[2] == cell]
    for axis in read.header["axes"]:
        assert axis["y"] == sorted(axis["y"])
    for x, w, y in read.header["links"]:
        blocks = (read.panels[name]["channels"] for name in ("input", "weight", "output"))
        source, kernel, target = (block[at] for block, at in zip(blocks, (x, w, y)))
        assert (kernel["in"], kernel["out"]) == (source["channel"], target["channel"])


# -- windows ----------------------------------------------------------------------------------------


@moderate
@given(looked_at(), st.integers(10, 200), st.integers(8, 14))
def test_windows_leave_nothing_out(looked: tuple[DrawnConv, Conv, View], macs: int, positions: int):
    _, conv, view = looked
    trace = picked_trace(conv, view)
    state: dict[tuple[int, Any], Any] = {}
    done_until = 0
    finals = wide(conv.trace().output if conv.unbatched else conv.trace().output[view.n])
    last_shown = (chosen(conv, view).in_local or ())[-1] == conv.layer.in_per_group - 1
    with small_windows(macs, positions):
        at = 0
        for read in walk(conv, view):
            assert read.stop - read.start <= macs
            rows = slice(at - read.start, None)
            expected = trace[at : read.stop]
            for name in ("product", "before", "after"):
                assert same(read.columns[name][rows], getattr(expected, name))
            for row, mac in zip(range(at - read.start, read.stop - read.start), expected):
                x = int(read.columns["x"][row])
                assert same(read.values("input")[x], mac.x)
                assert (read.kind("input", x) == "real") == mac.kept
                assert read.place("weight", int(read.columns["w"][row]))[1] == mac.k
                assert read.place("output", int(read.columns["y"][row]))[1] == mac.o
            # What its cells hold when it begins is what a replay from the start holds.
            for mac in trace[done_until : read.start]:
                key = (mac.out_channel, mac.o)
                state[key] = (mac.after, state.get(key, (0, 0))[1] + 1)
            done_until = read.start
            for cell in read.cells("output"):
                channel, o = read.place("output", cell)
                held, count = state.get((channel["channel"], o), (0, 0))
                done = last_shown and count == trace.numbering.per_cell
                assert read.columns["stage"][cell] == (2 if done else 1 if count else 0)
                final = finals[(channel["channel"], *o)]
                assert same(read.columns["held"][cell], final if done else held)
            at = read.stop
        assert at == len(trace)


def test_an_axis_longer_than_the_screen_shows_the_window_in_work():
    conv = Conv.of(torch.ones(1, 1, 1000), torch.ones(1, 1, 5), stride=3, padding=2, dilation=7)
    total = 0
    for read in walk(conv):
        assert len(read.cells("input")) <= scenes.POSITIONS[1] >= len(read.cells("output"))
        assert not read.header["all_terms"]
        total = read.stop
    assert total == len(conv.trace())


def test_a_kernel_wider_than_the_screen_still_ends():
    conv = Conv.of(torch.ones(1, 1, 400), torch.ones(1, 1, scenes.POSITIONS[1] + 20), padding=3)
    with patch.object(conv_scenes, "around", wraps=conv_scenes.around) as around:
        at = 0
        for number in (0, len(conv.trace()) // 2, len(conv.trace()) - 1):
            read = ConvRead(conv, None, number)
            assert read.start <= number < read.stop
            at = read.stop
        assert at == len(conv.trace())
        assert around.call_count < 50_000


@pytest.mark.parametrize("channels", [64, 512])
def test_a_real_layer_travels_in_windows(channels: int):
    random = np.random.default_rng(0)
    x = random.standard_normal((1, channels, 16, 16)).astype(np.float32)
    weight = random.standard_normal((channels, channels, 3, 3)).astype(np.float32)
    conv = Conv.of(x, weight, padding=1)
    trace = picked_trace(conv, View("gather"))
    for number in (0, len(trace) // 2, len(trace) - 1):
        read = ConvRead(conv, None, number)
        assert read.start <= number < read.stop <= read.start + scenes.WINDOW
        assert read.columns["after"][number - read.start] == trace[number].after
        assert read.header["macs"] == {
            "all": conv.geometry.macs,
            "cropped": 0,
            "hidden": conv.geometry.macs - len(trace),
            "padded": conv.geometry.padded_macs,
        }
    assert read.header["verdict"]["kind"] == "rounding"
    # The last channels are among those shown, so that the last step shows a finished sum.
    assert read.columns["flags"][-1] & COMPLETES
    cell = int(read.columns["y"][-1])
    assert np.isclose(read.columns["after"][-1], read.values("output")[cell])


def test_where_torchs_result_is_too_dear_the_picture_says_so():
    one = np.ones((1, 1, 1, 1), np.float32)
    read = ConvRead(Conv.of(one, one, padding=1100))
    assert read.header["verdict"]["kind"] == "none"
    assert "output cells in float32" in read.header["verdict"]["text"]
    assert not read.values("torch").any() and not read.columns["agrees"].any()


# -- the message ------------------------------------------------------------------------------------


def test_a_batch_of_nothing_has_a_scene():
    conv = Conv.of(np.ones((0, 2, 3), dtype=np.float32), np.ones((1, 2, 2), dtype=np.float32))
    read = ConvRead(conv)
    assert read.header["window"] == {"start": 0, "stop": 0, "total": 0}


def test_equal_ones_share_one_message():
    def made() -> Conv:
        return Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]])

    assert conv_scene(made()) is conv_scene(made())
    assert conv_scene(made()) == build_conv(made())


def test_the_description_names_every_key_and_column():
    text = (Path(__file__).parents[2] / "docs" / "scene.md").read_text()
    conv = Conv.of(torch.ones(1, 2, 4), torch.ones(2, 2, 3), torch.ones(2), padding=1)
    header, columns = read_message(conv_scene(conv))
    assert not {name for name in (*_keys(header), *columns) if f"`{name}`" not in text}
    assert header["op"] == "conv" and json.dumps(header)


@moderate
@given(looked_at())
def test_it_has_the_keys_and_columns_of_a_transposed_ones(looked: tuple[DrawnConv, Conv, View]):
    from convt_trace.links.settings import QUESTION

    read = ConvRead(looked[1], looked[2])
    header, columns = read_message(scene(QUESTION.case(), View("gather")))
    assert {*read.header} == {*header, "op"}
    assert {*read.columns} == {*columns}
    assert {name: read.columns[name].dtype for name in "xwy"} == {
        name: columns[name].dtype for name in "xwy"
    }
    assert sum(read.columns[name].nbytes for name in ROWS) <= 40 * (read.stop - read.start)

"""The message that the player draws: its rows point at the right cells, its windows leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers, moderate, spoil

from convt_trace import Case, Mac, compare
from convt_trace.engine.view import View, picked_trace
from convt_trace.links.settings import PRESETS, QUESTION
from convt_trace.player import scene as scenes
from convt_trace.player.scene import read_message, scene

ORDERS = ("scatter", "gather")
ROWS = ("x", "w", "y", "flags", "product", "before", "after")
TENSORS = ("input", "weight", "output", "torch")


class Read:
    """A message as the player reads it: cells by panel, rows by number."""

    def __init__(self, case: Case, view: View, number: int = 0):
        self.case = case
        self.header, self.columns = read_message(scene(case, view, number))
        self.panels = {panel["name"]: panel for panel in self.header["panels"]}
        self.start, self.stop = self.header["window"]["start"], self.header["window"]["stop"]

    def size(self, name: str) -> tuple[int, ...]:
        panel = self.panels[name]
        tracks = [len(track["label"]) for track in panel["tracks"]]
        return (len(panel["channels"]), *tracks)

    def place(self, name: str, cell: int) -> tuple[dict[str, Any], tuple[int, ...]]:
        """The channel of a cell, and the tensor's own position there."""
        channel, *places = np.unravel_index(cell, self.size(name))
        panel = self.panels[name]
        tracks = panel["tracks"][3 - self.case.dims :]
        labels = [track["label"][at] for track, at in zip(tracks, places[3 - self.case.dims :])]
        return panel["channels"][channel], tuple(labels)

    def marked(self, name: str, mark: str, cell: int) -> bool:
        _, *places = np.unravel_index(cell, self.size(name))
        tracks = self.panels[name]["tracks"]
        return any(track.get(mark) and track[mark][at] for track, at in zip(tracks, places))

    def cells(self, name: str) -> range:
        return range(int(np.prod(self.size(name))))

    def values(self, name: str) -> np.ndarray:
        return self.columns[f"values.{name}"]


@contextmanager
def small_windows(macs: int, positions: int) -> Iterator[None]:
    """Windows so small that a small layer needs many."""
    shown = dict.fromkeys((1, 2, 3), positions)
    with patch.object(scenes, "WINDOW", macs), patch.object(scenes, "POSITIONS", shown):
        scenes.messages.forget()
        yield
    scenes.messages.forget()


def walk(case: Case, view: View) -> Iterator[Read]:
    """Every window, each asked for by the number at which the one before it ended."""
    read = Read(case, view)
    yield read
    while read.stop < read.header["window"]["total"]:
        number, read = read.stop, Read(case, view, read.stop)
        assert read.start <= number < read.stop, "the window holds the MAC that it was asked for"
        yield read


@st.composite
def views(draw: st.DrawFn, drawn: Drawn) -> View:
    """Any order, batch item and channels of a layer; or the scene's own choice."""
    layer = drawn.case().layer

    def some(count: int) -> tuple[int, ...] | None:
        picks = st.sets(st.integers(0, count - 1), min_size=1).map(sorted).map(tuple)
        return draw(st.none() | picks)

    return View(
        draw(st.sampled_from(ORDERS)),
        draw(st.integers(0, drawn.batched.shape[0] - 1)),
        some(layer.groups),
        some(layer.in_per_group),
        some(layer.out_per_group),
    )


@st.composite
def looked_at(draw: st.DrawFn, **kinds: Any) -> tuple[Case, View]:
    drawn = draw(layers(**kinds))
    view = draw(views(drawn))
    if draw(st.integers(0, 3)) == 0 and drawn.x.dtype.is_floating_point:
        spoil(drawn, draw(st.integers(0, 1000)))
    return drawn.case(), view


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


# -- rows -------------------------------------------------------------------------------------------


@moderate
@given(looked_at())
def test_rows_point_at_the_cells_of_their_macs(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    macs = picked_trace(case, view)[read.start : read.stop]
    columns = read.columns
    for row, mac in enumerate(macs):
        x, w, y = (int(columns[name][row]) for name in "xwy")
        assert same(read.values("input")[x], mac.x)
        assert same(read.values("weight")[w], mac.w)
        channel, i = read.place("input", x)
        assert (channel["channel"], channel["group"], i) == (mac.in_channel, mac.group, mac.i)
        channel, k = read.place("weight", w)
        assert (channel["in"], channel["out"], k) == (mac.in_channel, mac.out_channel, mac.k)
        channel, o = read.place("output", y)
        assert (channel["channel"], channel["group"], o) == (mac.out_channel, mac.group, mac.o)
        assert read.marked("output", "crop", y) == (not mac.kept)
        assert bool(columns["flags"][row] & scenes.KEPT) == mac.kept
    for name in ("product", "before", "after"):
        assert same(columns[name], getattr(macs, name))


@moderate
@given(looked_at())
def test_a_row_completes_its_cell_when_nothing_more_comes(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    for row, mac in enumerate(picked_trace(case, view)[read.start : read.stop]):
        last = case.trace(view.order).of_output(mac.n, mac.out_channel, *mac.o)[-1]
        completes = bool(read.columns["flags"][row] & scenes.COMPLETES)
        assert completes == ((mac.in_channel, mac.i) == (last.in_channel, last.i))


#: What stays the same inside a unit, by order; "MAC" and "all" need no word.
UNITS = {
    "scatter": {
        "tap row": lambda m: (m.in_channel, m.i, m.out_channel, m.k[:-1]),
        "stamp": lambda m: (m.in_channel, m.i, m.out_channel),
        "input value": lambda m: (m.in_channel, m.i),
        "input channel": lambda m: m.in_channel,
        "group": lambda m: m.group,
    },
    "gather": {
        "window": lambda m: (m.out_channel, m.o, m.in_channel),
        "output cell": lambda m: (m.out_channel, m.o),
        "output channel": lambda m: m.out_channel,
        "group": lambda m: m.group,
    },
}


@moderate
@given(looked_at())
def test_levels_say_where_units_begin(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    units = UNITS[view.order]
    assert read.header["units"] == ["MAC", *units, "all"]
    assert [unit for unit in read.header["units"] if unit not in read.header["choices"]] == (
        ["tap row"] if case.dims == 1 and view.order == "scatter" else []
    )
    levels = read.columns["flags"] >> scenes.LEVEL_SHIFT
    assert levels[0] == len(units) + 1
    macs = list(picked_trace(case, view)[read.start : read.stop])
    for level, (before, mac) in zip(levels[1:], pairwise(macs)):
        begun = [at for at, unit in enumerate(units.values(), 1) if unit(before) != unit(mac)]
        assert level == max(begun, default=0)


# -- tensors ----------------------------------------------------------------------------------------


@moderate
@given(looked_at())
def test_panels_hold_the_tensors(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    n = scenes.chosen(case, view).n
    outputs = {"output": case.trace().output, "torch": compare(case).torch}
    for name, tensor in {"input": case.x, **outputs}.items():
        item = tensor if case.unbatched else tensor[n]
        values = read.values(name)
        for cell in read.cells(name):
            channel, at = read.place(name, cell)
            if read.marked(name, "crop", cell) or None in at:
                if name == "input":
                    assert values[cell] == 0 or None not in at
                continue
            assert same(values[cell], scenes.wide(item)[(channel["channel"], *at)])
            item_number = [] if case.unbatched else [n]
            assert channel["index"] == [*item_number, channel["channel"]]
    weight = scenes.wide(case.weight)
    for cell in read.cells("weight"):
        channel, k = read.place("weight", cell)
        local = channel["out"] - channel["group"] * case.layer.out_per_group
        assert channel["index"] == [channel["in"], local]
        assert same(read.values("weight")[cell], weight[(channel["in"], local, *k)])


@moderate
@given(looked_at())
def test_the_output_panel_marks_the_crop_and_what_output_padding_adds(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    geometry = case.geometry
    for axis, track in zip(geometry.axes, read.panels["output"]["tracks"][3 - case.dims :]):
        assert track["label"] == list(range(-axis.padding, axis.canvas - axis.padding))
        nothing = [False] * axis.canvas
        kept = [not crop for crop in track.get("crop", nothing)]
        assert [o for o, inside in zip(track["label"], kept) if inside] == list(range(axis.outputs))
        added = [o for o, extra in zip(track["label"], track.get("extra", nothing)) if extra]
        first_added = max(0, axis.outputs - axis.output_padding)
        assert added == list(range(first_added, axis.outputs))
    assert read.columns["agrees"].size == len(read.cells("torch"))


@moderate
@given(looked_at())
def test_gathering_lays_the_flipped_kernel_on_the_stuffed_input(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, View("gather", view.n))
    layer, dims = case.layer, case.dims
    for at in range(dims):
        track = read.panels["input"]["tracks"][3 - dims + at]
        taps = layer.kernel_size[at]
        pairs = read.header["axes"][at]
        there = set(zip(pairs["x"], pairs["w"], pairs["y"]))
        laid = set()
        for c, tap in product(range(case.geometry.canvas_size[at]), range(taps)):
            place = c + tap * layer.dilation[at]
            if track["label"][place] is not None:
                laid.add((place, tap, c))
        assert laid == there
        # Between neighbouring inputs lie stride - 1 zeros, and padding's zeros lie outside them all.
        real = [place for place, i in enumerate(track["label"]) if i is not None]
        assert [track["label"][place] for place in real] == list(
            range(case.geometry.input_size[at])
        )
        assert all(b - a == layer.stride[at] for a, b in pairwise(real))
        for place, kind in enumerate(track.get("kind", ["real"] * len(track["label"]))):
            inside = real[0] <= place <= real[-1]
            assert kind == ("real" if place in real else "zero" if inside else "pad")


@moderate
@given(looked_at())
def test_links_join_channels_of_one_group(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    blocks = [read.panels[name]["channels"] for name in ("input", "weight", "output")]
    found = set()
    for x, w, y in read.header["links"]:
        source, kernel, target = blocks[0][x], blocks[1][w], blocks[2][y]
        assert source["group"] == kernel["group"] == target["group"]
        assert (kernel["in"], kernel["out"]) == (source["channel"], target["channel"])
        found.add((x, y))
    possible = product(range(len(blocks[0])), range(len(blocks[2])))
    assert found == {(x, y) for x, y in possible if blocks[0][x]["group"] == blocks[2][y]["group"]}


@pytest.mark.parametrize("order", ORDERS)
def test_marks_stand_where_groups_and_channels_begin(order: str):
    case = QUESTION.case()
    macs = case.trace(order)[:]
    side = "input" if order == "scatter" else "output"
    channels = macs.in_channel if order == "scatter" else macs.out_channel
    starts = [0, *(np.flatnonzero(np.diff(channels)) + 1).tolist()]
    marks = Read(case, View(order)).header["marks"]
    assert [mark["at"] for mark in marks] == starts
    assert [mark["label"] for mark in marks] == [
        f"group {macs.group[at]}, {side} channel {channels[at]}" for at in starts
    ]
    assert [mark["bound"] for mark in marks] == ["group", "channel"] * 2


# -- windows ----------------------------------------------------------------------------------------


@moderate
@given(looked_at(), st.integers(20, 200), st.integers(14, 20))
def test_windows_leave_nothing_out(looked: tuple[Case, View], macs: int, positions: int):
    case, view = looked
    whole = Read(case, view)
    trace = picked_trace(case, view)
    with small_windows(macs, positions):
        at = 0
        for read in walk(case, view):
            rows = slice(at - read.start, None)
            assert read.stop - read.start <= macs
            expected = trace[at : read.stop]
            for name in ("product", "before", "after"):
                assert same(read.columns[name][rows], getattr(expected, name))
            for row, mac in zip(range(at - read.start, read.stop - read.start), expected):
                assert read.place("input", int(read.columns["x"][row]))[1] == mac.i
                assert read.place("weight", int(read.columns["w"][row]))[1] == mac.k
                assert read.place("output", int(read.columns["y"][row]))[1] == mac.o
            at = read.stop
        assert at == len(trace) == whole.header["window"]["total"]


@moderate
@given(looked_at(), st.integers(20, 200), st.integers(14, 20))
def test_a_window_begins_with_what_a_replay_from_the_start_holds(
    looked: tuple[Case, View], macs: int, positions: int
):
    case, view = looked
    trace = picked_trace(case, view)
    finals = case.trace().output
    item = scenes.chosen(case, view).n
    finals = scenes.wide(finals if case.unbatched else finals[item])

    @cache
    def last_of(channel: int, o: tuple[int, ...]) -> Mac | None:
        terms = case.trace().of_output(item, channel, *o)
        return terms[-1] if len(terms) else None

    state: dict[tuple[int, tuple[int, ...]], Mac] = {}
    done_until = 0
    with small_windows(macs, positions):
        for read in walk(case, view):
            # Windows may overlap: the replay goes on where it stopped, but never begins again.
            assert read.start >= done_until
            state |= {(mac.out_channel, mac.o): mac for mac in trace[done_until : read.start]}
            done_until = read.start
            for cell in read.cells("output"):
                channel, o = read.place("output", cell)
                here = (channel["channel"], o)
                mac, last = state.get(here), last_of(*here)
                done = last is None or (
                    mac is not None and (mac.in_channel, mac.i) == (last.in_channel, last.i)
                )
                stage = 2 if done else 0 if mac is None else 1
                assert read.columns["stage"][cell] == stage, (here, read.start)
                cropped = read.marked("output", "crop", cell)
                if done and not cropped:
                    assert same(read.columns["held"][cell], finals[(here[0], *o)])
                elif mac is not None:
                    assert same(read.columns["held"][cell], mac.after)


def test_a_kernel_wider_than_the_screen_still_ends():
    case = Case.of(torch.ones(1, 1, 3), torch.ones(1, 1, scenes.POSITIONS[1] + 20))
    with patch.object(scenes.Builder, "_around", counted(scenes.Builder._around, 100)):
        for order in ORDERS:
            total = sum(read.stop - read.start for read in walk(case, View(order)))
            assert total >= len(case.trace())


def counted(function: Any, most: int) -> Any:
    """A function that gives up where a loop would not end."""
    calls = 0

    def called(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        assert calls <= most, "the search for a window does not end"
        return function(*arguments)

    return called


@pytest.mark.parametrize("order", ORDERS)
def test_a_real_layer_travels_in_windows(order: str):
    case = PRESETS["dcgan"].settings.case()
    view = View(order)
    trace = picked_trace(case, view)
    for number in (0, len(trace) // 2, len(trace) - 1):
        read = Read(case, view, number)
        assert read.start <= number < read.stop <= read.start + scenes.WINDOW
        mac = trace[number]
        after = read.columns["after"][number - read.start]
        assert after == mac.after
        assert read.header["macs"] == {
            "all": case.geometry.macs,
            "cropped": case.geometry.cropped_macs,
            "hidden": case.geometry.macs - len(trace),
        }
    # The last channels are among those shown, so that the last steps show finished sums.
    done = read.columns["flags"] & (scenes.COMPLETES | scenes.KEPT) == 3
    row = int(np.flatnonzero(done)[-1])
    cell = int(read.columns["y"][row])
    channel, o = read.place("output", cell)
    expected = case.trace().output[(0, channel["channel"], *o)]
    assert np.isclose(read.values("output")[cell], expected)
    assert np.isclose(read.columns["after"][row], read.values("output")[cell])


@moderate
@given(looked_at(), st.integers(-5, 10_000))
def test_a_number_outside_the_trace_gives_the_nearest_window(
    looked: tuple[Case, View], number: int
):
    case, view = looked
    read = Read(case, view, number)
    total = read.header["window"]["total"]
    assert read.start <= min(max(number, 0), total - 1) < read.stop


# -- the message ------------------------------------------------------------------------------------


@moderate
@given(looked_at())
def test_a_row_takes_at_most_40_bytes(looked: tuple[Case, View]):
    case, view = looked
    read = Read(case, view)
    rows = read.stop - read.start
    assert sum(read.columns[name].nbytes for name in ROWS) <= 40 * rows
    assert {read.columns[name].size for name in ROWS} == {rows}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_message_is_its_rows_and_its_tensors(preset: str):
    case = PRESETS[preset].settings.case()
    message = scene(case, View())
    read = Read(case, View())
    tensors = sum(read.values(name).nbytes for name in TENSORS) + sum(
        read.columns[name].nbytes for name in ("agrees", "held", "stage")
    )
    rows = 40 * (read.stop - read.start)
    assert len(message) <= rows + tensors + 8000, "the header alone is more than 8 kB"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 1e300, 2**60])
def test_every_number_survives(value: float):
    dtype = np.int64 if isinstance(value, int) else np.float64
    x = np.array([[[value, 1]]], dtype=dtype)
    case = Case.of(x, np.ones((1, 1, 2), dtype=dtype), np.array([0], dtype=dtype))
    read = Read(case, View())
    assert same(read.values("input"), x.reshape(-1))
    assert read.values("input").dtype == dtype
    for name in ("product", "before", "after"):
        assert read.columns[name].dtype == dtype
        assert same(read.columns[name], getattr(case.trace()[:], name))


@pytest.mark.parametrize("bias", [np.nan, np.inf, -np.inf])
def test_a_bias_that_json_cannot_write_is_a_word(bias: float):
    case = Case.of([[[1.0]]], [[[1.0]]], [bias])
    assert Read(case, View()).panels["output"]["channels"][0]["bias"] == str(bias)


def test_a_batch_of_nothing_has_a_scene():
    case = Case.of(np.ones((0, 2, 3), dtype=np.float32), np.ones((2, 1, 2), dtype=np.float32))
    read = Read(case, View())
    assert read.header["window"] == {"start": 0, "stop": 0, "total": 0}
    assert read.columns["x"].size == 0


def test_equal_cases_share_one_message():
    view = View()
    assert scene(QUESTION.case(), view) is scene(QUESTION.case(), view)


# -- its description --------------------------------------------------------------------------------


def test_the_description_names_every_key_and_column():
    text = (Path(__file__).parents[2] / "docs" / "scene.md").read_text()
    described = set(re.findall(r"`([^`\n]+)`", text))
    header, columns = read_message(scene(PRESETS["output_padding"].settings.case(), View("gather")))
    missing = {name for name in _keys(header) if name not in described}
    assert not missing
    assert not {name for name in columns if name not in described}


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            # The columns' own names are looked for by themselves.
            yield from () if name == "columns" else _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)

"""The message of a linked view, held against the view and the trace: every row, every cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import layers, moderate

from convt_trace import Case, view
from convt_trace.engine.view import View, picked_trace
from convt_trace.links.settings import PRESETS, QUESTION
from convt_trace.player.linked import linked, parts_of, with_views
from convt_trace.player.scene import WINDOW, build, read_message, scene
from convt_trace.views import VIEWS, names


def messages_of(case: Case, seen: View, number: int = 0) -> tuple[dict, dict[str, tuple]]:
    """Return a scene's header and columns, and every view's by its name."""
    message = with_views(build(case, seen, number), case, seen, list(VIEWS))
    views = {name: read_message(part) for name, part in parts_of(message).items()}
    assert all(header["view"] == name for name, (header, _) in views.items())
    return read_message(message), views


def index_of(panel: dict[str, Any], cell: int, tensor: Any, n: int) -> tuple:
    """Return the tensor's own index of a cell on a panel, by its labels alone; None for no place."""
    sizes = [len(track["label"]) for track in panel["tracks"]]
    channel, *places = np.unravel_index(cell, (len(panel["channels"]), *sizes))
    labels = [track["label"][at] for track, at in zip(panel["tracks"], places)]
    return (*panel["channels"][channel]["index"], *labels[3 - panel["dims"] :])


@moderate
@given(layers(), st.data())
def test_every_row_lights_the_cell_that_the_view_names(drawn, data) -> None:
    case = drawn.case()
    seen = View(data.draw(st.sampled_from(["scatter", "gather"])))
    number = data.draw(st.integers(0, max(len(picked_trace(case, seen)) - 1, 0)))
    (header, columns), views = messages_of(case, seen, number)
    assert list(views) == names(case)
    window = header["window"]
    macs = picked_trace(case, seen)[window["start"] : window["stop"]]
    for name, (said, arrays) in views.items():
        described = view(case, name)
        for tensor, panel in zip(described.tensors, said["panels"]):
            assert panel["name"] == tensor.name and panel["title"] == tensor.title
            if tensor.joins:
                assert panel["joins"] == list(tensor.joins)
                continue
            lit = arrays[f"lit.{tensor.name}"]
            assert len(lit) == len(macs)
            for row in data.draw(st.lists(st.integers(0, max(len(macs) - 1, 0)), max_size=5)):
                if not len(macs):
                    continue
                index = described.cells_of(macs[row])[tensor.name]
                assert lit[row] >= 0, (name, tensor.name)  # a small layer is shown whole
                there = index_of(panel, lit[row], tensor, seen.n)
                if tensor.place:
                    there = (*there[: tensor.blocks], *index[tensor.blocks :])
                assert there == index, (name, tensor.name)
                inside = all(low <= at < high for at, (low, high) in zip(index, tensor.bounds))
                if tensor.values is not None and inside:
                    number_there = arrays[f"values.{tensor.name}"][lit[row]]
                    assert number_there == tensor.number(index), (name, tensor.name)
                marks = arrays.get(f"there.{tensor.name}")
                if marks is not None:
                    assert marks[lit[row]] == inside


@moderate
@given(layers())
def test_every_cell_on_screen_holds_the_tensors_number(drawn) -> None:
    case = drawn.case()
    (_, _), views = messages_of(case, View())
    for name, (said, arrays) in views.items():
        for tensor, panel in zip(view(case, name).tensors, said["panels"]):
            values = arrays.get(f"values.{tensor.name}")
            if tensor.joins or values is None or tensor.place:
                continue
            marks = arrays.get(f"there.{tensor.name}", np.ones(len(values)))
            for cell in range(0, len(values), max(1, len(values) // 20)):
                index = index_of(panel, cell, tensor, 0)
                inside = all(0 <= at < size for at, size in zip(index, tensor.shape))
                met = tensor.there is None or (inside and tensor.there(*map(np.asarray, index)))
                assert marks[cell] == (inside and met), (name, tensor.name, index)
                assert values[cell] == (tensor.number(index) if marks[cell] else 0)


def test_the_blocks_names_are_the_views_own() -> None:
    case = QUESTION.case()
    (_, _), views = messages_of(case, View())
    said, arrays = views["groups"]
    mac = case.trace()[43]
    cells = view(case, "groups").cells_of(mac)
    for tensor, panel in zip(view(case, "groups").tensors, said["panels"]):
        label = panel["channels"][arrays[f"lit.{tensor.name}"][43] // _per_block(panel)]["label"]
        assert tensor.cell(cells[tensor.name]).startswith(label)


def _per_block(panel: dict) -> int:
    return int(np.prod([len(track["label"]) for track in panel["tracks"]]))


def test_the_default_message_carries_no_view() -> None:
    case = QUESTION.case()
    assert with_views(scene(case), case, View(), []) is scene(case)
    offered = [name for name, _ in read_message(scene(case))[0]["views"]]
    assert offered == [name for name in VIEWS if name != "stamp"]
    gathered = read_message(scene(case, View("gather")))[0]["views"]
    assert [name for name, _ in gathered] == list(VIEWS)


def test_a_long_trace_has_views_of_the_same_window() -> None:
    rng = np.random.default_rng(0)
    case = Case.of(rng.normal(size=(1, 2, 40, 40)), rng.normal(size=(2, 2, 3, 3)), stride=2)
    (header, columns), views = messages_of(case, View(), 3 * WINDOW)
    for _, arrays in views.values():
        assert {len(column) for name, column in arrays.items() if name.startswith("lit")} == {
            len(columns["x"])
        }


def test_what_is_not_on_screen_is_lit_nowhere() -> None:
    case = Case.of(np.ones((1, 1, 400)), np.ones((1, 1, 3)), stride=3)
    (header, _), views = messages_of(case, View(), 0)
    said, arrays = views["collect"]
    z = next(panel for panel in said["panels"] if panel["name"] == "z")
    assert len(z["tracks"][2]["label"]) == 128
    lit = arrays["lit.z"]
    assert lit[0] >= 0 and lit.max() < 128
    reached = np.arange(header["window"]["stop"]) // 3 * 3 + 2
    assert (lit == np.where(reached < 128, reached, -1)).all()


def test_numbers_that_are_not_worked_out_say_so() -> None:
    case = Case.of(np.ones((1, 64, 64, 64), np.float32), np.ones((64, 64, 3, 3), np.float32))
    said, arrays = read_message(linked(case, View(), 0, WINDOW, "back"))
    back = next(panel for panel in said["panels"] if panel["name"] == "b")
    assert back["missing"].startswith("Not worked out here") and "values.b" not in arrays
    assert "lit.b" in arrays and said["notes"] == [back["missing"]]


@pytest.mark.parametrize("name", ["groups", "matrix"])
def test_the_description_names_every_key(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scene.md").read_text()
    described = set(re.findall(r"`([^`\n]+)`", text))
    case = PRESETS["output_padding"].settings.case()
    header, _ = read_message(linked(case, View(), 0, 10, name))
    keys = set(header) | {key for panel in header["panels"] for key in panel}
    keys |= {
        key
        for panel in header["panels"]
        for part in (*panel.get("channels", []), *panel.get("tracks", []))
        for key in part
    }
    assert not keys - described


def test_an_empty_batch_has_every_view_and_nothing_in_it() -> None:
    case = Case.of(np.ones((0, 2, 3)), np.ones((2, 2, 3)))
    (_, _), views = messages_of(case, View())
    assert list(views) == names(case)
    for said, arrays in views.values():
        assert said["proof"]["text"].startswith("equals torch: all 0 output values")
        assert all(not len(column) for name, column in arrays.items() if name.startswith("lit"))

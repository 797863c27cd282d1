"""The widget's Python side: its traits, what it holds, and what the player asks it for."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
import torch
import traitlets

from convt_trace import Case, record
from convt_trace.player.modules import IMPORT, sources
from convt_trace.player.page import NOTEBOOK
from convt_trace.player.scene import build, read_message
from convt_trace.player.widget import PlayerWidget, recording_widget

QUESTION = Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)
WIDE = Case.of(np.ones((1, 20, 3)), np.ones((20, 20, 2)))


def asked(widget: PlayerWidget, content: dict) -> tuple[dict, list]:
    """What the widget answers a message of its player."""
    sent: list[tuple] = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers or []))
    widget._handle_custom_msg(content, [])
    (answer,) = sent
    return answer


def test_it_opens_where_it_is_told_and_holds_the_whole_of_a_short_trace() -> None:
    widget = PlayerWidget(QUESTION, step=3, unit="stamp", cell=(0, 0, 1))
    assert (widget.step, widget.order, widget.unit, widget.cell) == (
        3,
        "scatter",
        "stamp",
        (0, 0, 1),
    )
    assert widget._cell == "output:0,0,1"
    (held,) = widget._held
    assert (held["start"], held["stop"]) == (0, 12)
    header, columns = read_message(gzip.decompress(held["data"]))
    alone, expected = read_message(build(QUESTION))
    assert header["verdict"] == alone["verdict"]
    assert all(np.array_equal(columns[name], expected[name]) for name in expected)


def test_python_hears_what_the_player_sets() -> None:
    widget = PlayerWidget(QUESTION)
    heard: list = []
    widget.observe(lambda change: heard.append((change["name"], change["new"])), ["step", "cell"])
    widget.set_state({"step": 4, "_cell": "weight:0,0,2"})
    assert heard == [("step", 4), ("cell", ("weight", 0, 0, 2))]
    widget.set_state({"_cell": ""})
    assert widget.cell is None


def test_a_trace_is_walked_as_it_is() -> None:
    trace = WIDE.trace("gather").pick([0], [0], [1, 2], [3])
    widget = PlayerWidget(trace, step=10**6)
    assert (widget.order, widget.step) == ("gather", len(trace))
    (held,) = widget._held
    assert held["stop"] == len(trace)


@pytest.mark.parametrize("step, stands", [(-5, 0), (12, 12), (99, 12)])
def test_a_step_beyond_the_trace_stands_at_its_end(step: int, stands: int) -> None:
    assert PlayerWidget(QUESTION, step=step).step == stands


@pytest.mark.parametrize(
    "trait, value, said",
    [
        ("unit", "window", "unit is one of MAC, stamp"),
        ("order", "sideways", "order"),
        ("cell", (0, 0), "cell is an output cell such as (0, 0, 0)"),
        ("cell", ("weight", 0, 0, 3), "is none of this case"),
        ("cell", "nowhere", "'nowhere' is none of this case"),
        ("cell", 3, "3 is none of this case"),
    ],
)
def test_a_trait_that_the_case_does_not_have_is_a_sentence(trait: str, value, said: str) -> None:
    widget = PlayerWidget(QUESTION)
    with pytest.raises(traitlets.TraitError, match=re.escape(said)):
        setattr(widget, trait, value)
    assert getattr(widget, trait) != value


def test_another_order_is_another_walk() -> None:
    widget = PlayerWidget(QUESTION)
    widget.order = "gather"
    header, _ = read_message(gzip.decompress(widget._held[0]["data"]))
    assert header["order"] == "gather"
    widget.unit = "window"
    assert widget.unit == "window"


def test_a_cell_of_a_channel_that_is_not_shown_brings_it() -> None:
    widget = PlayerWidget(WIDE)
    assert 9 not in widget._view.out_local
    widget.cell = (0, 9, 1)
    assert 9 in widget._view.out_local
    header, _ = read_message(gzip.decompress(widget._held[0]["data"]))
    (output,) = (panel for panel in header["panels"] if panel["name"] == "output")
    assert [0, 9] in [channel["index"] for channel in output["channels"]]


def test_a_long_trace_is_sent_window_by_window() -> None:
    case = Case.of(np.random.default_rng(0).normal(size=(1, 4, 40, 40)), np.ones((4, 4, 3, 3)))
    widget = PlayerWidget(case)
    assert sum(len(held["data"]) for held in widget._held) <= NOTEBOOK
    gap = next(
        one["stop"]
        for one, two in zip(widget._held, widget._held[1:])
        if one["stop"] < two["start"]
    )
    content, (message,) = asked(widget, {"ask": "window", "mac": gap})
    window = read_message(message)[0]["window"]
    assert content == {"kind": "scene"} and window["start"] <= gap < window["stop"]


def test_open_views_come_with_every_window_from_then_on() -> None:
    widget = PlayerWidget(QUESTION)
    assert asked(widget, {"ask": "hello"})[0] == {"kind": "hello"}
    _, (message,) = asked(widget, {"ask": "views", "open": ["matrix", "nothing"], "mac": 0})
    assert list(read_message(message)[0]["parts"]) == ["matrix"]
    _, (message,) = asked(widget, {"ask": "window", "mac": 0})
    assert list(read_message(message)[0]["parts"]) == ["matrix"]


def test_the_display_has_the_page_that_plays_without_a_kernel() -> None:
    shown = PlayerWidget(QUESTION, step=3)._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"].startswith("<iframe srcdoc=")


def test_the_module_holds_the_players_own_files_and_they_import_in_no_circle() -> None:
    files = sources("widget.js")
    assert {"player.js", "plotly.js", "held.js"} <= set(files)
    left = {name: {match[2] for match in IMPORT.finditer(text)} for name, text in files.items()}
    while left:
        free = {name for name, needs in left.items() if not needs & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}
    for name, text in files.items():
        assert name.partition(".")[0] == "plotly" or text[
            :200
        ].strip() in PlayerWidget._esm.replace("\\n", "\n").replace('\\"', '"'), name


def test_the_calls_of_a_model_get_a_player_when_they_are_opened() -> None:
    model = torch.nn.Sequential(
        torch.nn.ConvTranspose1d(1, 1, 3), torch.nn.ConvTranspose1d(1, 1, 2)
    )
    with record() as calls:
        model(torch.ones(1, 1, 4))
    with torch.device("meta"), record() as sizes:
        torch.nn.ConvTranspose1d(1, 1, 3)(torch.ones(1, 1, 4))
    calls += sizes
    folded = recording_widget(calls)
    assert folded.titles == ("1. nn.ConvTranspose1d(1, 1, 3)", "2. nn.ConvTranspose1d(1, 1, 2)")
    assert [len(place.children) for place in folded.children] == [0, 0]
    folded.selected_index = 1
    (opened,) = folded.children[1].children
    assert isinstance(opened, PlayerWidget) and opened._case is calls[1]
    folded.selected_index = None
    folded.selected_index = 1
    assert folded.children[1].children == (opened,)
    table = calls.to_markdown()
    assert "| 3 | `conv_transpose1d` | (1, 1, 4) | (1, 1, 6) | 12 |" in table

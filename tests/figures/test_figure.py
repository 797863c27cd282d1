"""The figure: its numbers are the case's and torch's, its marks the trace's, its parts the player's."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from plotly.io.json import to_json_plotly
from strategies import Drawn, layers, moderate

from convt_trace import Case, figure, overlap, torch_output
from convt_trace.answers.sums import number
from convt_trace.elsewhere.difference import difference
from convt_trace.engine.layer import Layer
from convt_trace.engine.view import View, picked_trace
from convt_trace.figures.errors import FigureError
from convt_trace.figures.figure import MOST_FRAMES
from convt_trace.links.settings import PRESETS
from convt_trace.views import names, view

QUESTION = PRESETS["question"].settings.case()


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


CASES = {
    "1-D, groups": QUESTION,
    "2-D, cropped and extra": Case.of(
        numbers(1, 2, 4, 4), numbers(2, 1, 3, 3), numbers(2), stride=2, padding=1, groups=2,
        output_padding=1,
    ),
    "3-D": Case.of(numbers(1, 1, 3, 3, 3), numbers(1, 2, 2, 2, 2), stride=2, padding=1),
    "unbatched": Case.of(numbers(2, 5), numbers(2, 2, 3), dilation=2),
}  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
both_orders = pytest.mark.parametrize("order", ["scatter", "gather"])


def trace_of(picture: go.Figure, name: str) -> Any:
    (found,) = (one for one in picture.data if name in (one.name, one.meta))
    return found


def sheet(picture: go.Figure, name: str) -> np.ndarray:
    """A heatmap's numbers, row by row; NaN where it has none."""
    return np.array(trace_of(picture, name).z, dtype=float)


def shown_numbers(picture: go.Figure, name: str) -> list[float]:
    z = sheet(picture, name).ravel()
    return sorted(z[~np.isnan(z)].tolist())


def boxes(picture: go.Figure, name: str) -> set[tuple[int, int]]:
    """The (row, column) of every cell that a trace of outlines surrounds."""
    found, corner = set(), []
    trace = trace_of(picture, name)
    for x, y in [*zip(trace.x, trace.y), (None, None)]:
        if x is not None:
            corner.append((y, x))
        elif corner:
            found.add(tuple(np.mean(corner[:4], axis=0).round(6).tolist()))
            corner = []
    return found


def pointed(picture: go.Figure, name: str, mark: str) -> set[str]:
    """What the cells that a mark surrounds are called and hold, as the pointer tells it."""
    heat = trace_of(picture, name)
    return {
        heat.hovertext[int(row)][int(column)] for row, column in boxes(picture, f"{name} {mark}")
    }


def told(picture: go.Figure, name: str) -> dict[tuple[int, ...], str]:
    """What the pointer tells of every cell: its number as text, by its index."""
    texts = [text for row in trace_of(picture, name).hovertext for text in row]
    pairs = [text.split(" = ") for text in texts if "[" in text]
    return {tuple(map(int, re.findall(r"-?\d+", cell))): value for cell, value in pairs}


def index(*parts: int) -> str:
    return f"[{','.join(map(str, parts))}]"


# -- numbers --------------------------------------------------------------------------------------


@every_case
def test_the_heatmaps_hold_the_cases_tensors_and_torchs_output(case: Case) -> None:
    picture = figure(case)
    shown = {"input": case.x, "weight": case.weight, "torch": torch_output(case)}
    for name, tensor in shown.items():
        assert shown_numbers(picture, name) == sorted(tensor.ravel().tolist()), name


@both_orders
@every_case
def test_each_cell_tells_its_own_name_and_number(case: Case, order: str) -> None:
    picture = figure(case, order=order)
    for name, tensor in (("torch", torch_output(case)), ("weight", case.weight)):
        wanted = {at: f"{value:g}" for at, value in np.ndenumerate(tensor)}
        assert told(picture, name) == wanted


@moderate
@given(drawn=layers(), order=st.sampled_from(["scatter", "gather"]), data=st.data())
def test_any_case_is_drawn_as_its_trace_has_it(
    drawn: Drawn, order: str, data: st.DataObject
) -> None:
    case = drawn.case()
    step = data.draw(st.integers(1, len(picked_trace(case, View(order)))))
    picture = figure(case, step, order=order, view=View(order))
    # Of larger sheets the pointer tells no names.
    assume(all(one.hovertext is not None for one in picture.data if one.type == "heatmap"))
    tensors = {"input": case.x, "weight": case.weight, "torch": torch_output(case)}
    for name, tensor in tensors.items():
        for at, text in told(picture, name).items():
            assert text == number(tensor[at]), (name, at)
    marks_are_the_macs(case, order, step, picture)
    again = plotly.io.from_json(picture.to_json())
    assert json.loads(again.to_json()) == json.loads(picture.to_json())


# -- marks ----------------------------------------------------------------------------------------


def marks_are_the_macs(case: Case, order: str, step: int, picture: go.Figure) -> None:
    """The outlined cells of a step are those that the trace's MAC reads and writes."""
    picked = View(order)
    mac = picked_trace(case, picked)[step - 1]
    n = () if case.unbatched else (mac.n,)
    local = mac.out_channel % case.layer.out_per_group
    wanted = {
        "input": f"x{index(*n, mac.in_channel, *mac.i)} = ",
        "weight": f"w{index(mac.in_channel, local, *mac.k)} = ",
        "output": f"y{index(*n, mac.out_channel, *mac.o)} = ",
    }
    for name, start in wanted.items():
        (text,) = pointed(picture, name, "now")
        assert text.startswith(start), (name, text)
    said = picture.layout.annotations[0].text.replace("<br>", " ")
    assert wanted["input"].removesuffix(" = ") in said
    assert ("cropped" in said) == (not mac.kept)


@both_orders
@every_case
def test_the_marked_cells_are_the_macs(case: Case, order: str) -> None:
    total = len(case.trace(order).pick([0]))
    for step in {1, 2, total // 3, total // 2, total - 1, total}:
        marks_are_the_macs(case, order, step, figure(case, step, order=order))


@every_case
def test_a_stamp_is_dashed_around_its_mac(case: Case) -> None:
    trace = case.trace()
    step = len(trace.pick([0])) // 2
    mac, picture = trace[step - 1], figure(case, step)
    taps = [other for other in trace if (other.in_channel, other.i) == (mac.in_channel, mac.i)]
    stamp = [other for other in taps if (other.n, other.out_channel) == (mac.n, mac.out_channel)]
    assert len(boxes(picture, "output reach")) == len(stamp) == len(boxes(picture, "weight reach"))


def test_a_window_is_dashed_with_its_zeros_around_a_gathered_mac() -> None:
    case = CASES["2-D, cropped and extra"]
    picture = figure(case, 60, order="gather")
    around = boxes(picture, "input reach")
    rows, columns = zip(*around)
    assert len(around) == 9
    assert (np.ptp(rows), np.ptp(columns)) == (2, 2)
    assert boxes(picture, "input now") <= around


@pytest.mark.parametrize("unit", ["stamp", "input channel"])
def test_a_larger_step_marks_all_of_itself(unit: str) -> None:
    taps = {"stamp": 3, "input channel": 18}[unit]
    picture = figure(QUESTION, taps, unit=unit)
    y = QUESTION.trace()[0:taps]
    cells = {(int(c), *o) for c, o in zip(y.out_channel, y.o.tolist())}
    assert len(boxes(picture, "output now")) == len(cells)
    assert f"the last of {taps} in this {unit}" in picture.layout.annotations[0].text


@both_orders
@every_case
def test_a_selected_cell_is_marked_with_all_it_is_made_of(case: Case, order: str) -> None:
    place = tuple(size - 1 for size in case.geometry.output_shape)
    picture = figure(case, cell=place, order=order)
    macs = case.trace().of_output(*place)
    n = () if case.unbatched else (place[0],)
    reads = {f"x{index(*n, mac.in_channel, *mac.i)} = {mac.x:g}" for mac in macs}
    assert pointed(picture, "input", "lit") == reads
    value = torch_output(case).reshape(case.geometry.output_shape)[place]
    name = f"y{index(*n, *place[1:])} = {value:g}"
    assert pointed(picture, "output", "lit") == pointed(picture, "torch", "lit") == {name}
    said = picture.layout.annotations[0].text.replace("<br>", " ")
    assert said.startswith(f"{name.partition(' = ')[0]} = ")
    assert f" = {value:g} " in said


def test_a_cell_far_inside_is_brought_on_screen_with_its_channel() -> None:
    case = Case.of(numbers(1, 1, 300), numbers(1, 20, 3), stride=2)
    picture = figure(case, cell=(0, 11, 500))
    value = torch_output(case)[0, 11, 500]
    assert pointed(picture, "output", "lit") == {f"y[0,11,500] = {value:g}"}


# -- what a step holds ----------------------------------------------------------------------------


@both_orders
@every_case
def test_the_output_holds_what_the_trace_has_added_up(case: Case, order: str) -> None:
    trace = case.trace(order).pick([0])
    step = 2 * len(trace) // 3
    picture = figure(case, step, order=order)
    last = {(mac.out_channel, mac.o): mac.after for mac in trace[:step]}
    bias = case.bias if case.bias is not None else np.zeros(case.layer.out_channels)
    left = {(mac.out_channel, mac.o) for mac in trace[step:]}
    here = {
        (at[-1 - case.dims], at[-case.dims :]): float(text)
        for at, text in told(picture, "output").items()
    }
    kept = {
        at: value + (bias[at[0]] if at not in left and inside(case, at[1]) else 0)
        for at, value in last.items()
    }
    assert {at: here[at] for at in kept} == kept
    # The others are empty, but for those that nothing reaches: they hold the bias from the start.
    assert not (here.keys() - kept.keys()) & left


def inside(case: Case, o: tuple[int, ...]) -> bool:
    return all(0 <= at < size for at, size in zip(o, case.geometry.output_size))


def test_torchs_cells_are_ticked_once_the_output_agrees() -> None:
    ticks = [len(boxes(figure(QUESTION, step), "torch agrees")) for step in (0, 36, 72, None)]
    assert ticks == [0, 2, 4, 4]


# -- layout ---------------------------------------------------------------------------------------


def test_the_cropped_margin_is_hatched_and_nothing_else() -> None:
    case = CASES["2-D, cropped and extra"]
    picture = figure(case)
    hatch = trace_of(picture, "output crop")
    assert hatch.fillpattern.shape == "/"
    area = 0.0
    corners: list[tuple[float, float]] = []
    for x, y in [*zip(hatch.x, hatch.y), (None, None)]:
        if x is not None:
            corners.append((x, y))
        elif corners:
            (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
            area += (right - left) * (bottom - top)
            corners = []
    canvas = np.prod([axis.canvas for axis in case.geometry.axes])
    assert area == 2 * (canvas - np.prod(case.geometry.output_size))
    assert not [one for one in figure(CASES["unbatched"]).data if one.meta == "output crop"]


def test_groups_have_their_bars_and_a_gap_between_them() -> None:
    picture = figure(QUESTION)
    assert {one.legendgroup for one in picture.data if one.showlegend} >= {"group 0", "group 1"}
    colors = [shape.fillcolor for shape in picture.layout.shapes if shape.type == "rect"]
    assert (colors.count("#009e73"), colors.count("#b0569a")) == (10, 10)  # 2 + 4 + 2 + 2 rows each
    z = sheet(picture, "input")
    assert np.isnan(z).all(axis=1).tolist() == [False, False, True, False, False]


def test_one_group_has_no_bars() -> None:
    assert "group 0" not in {one.legendgroup for one in figure(CASES["3-D"]).data}


def test_the_axes_are_labelled_with_the_tensors_own_indices() -> None:
    case = CASES["2-D, cropped and extra"]
    picture = figure(case)
    axis = picture.layout["xaxis3"]
    assert list(axis.ticktext) == ["-1", *map(str, range(8))]
    assert list(axis.tickvals) == list(range(9))
    flipped = figure(case, order="gather")
    assert list(flipped.layout["xaxis2"].ticktext) == ["2", "1", "0"]


@both_orders
@every_case
def test_sheets_stand_apart_and_inside_the_figure(case: Case, order: str) -> None:
    layout = figure(case, 1, order=order).layout
    spans = [(layout[f"xaxis{at}"].domain, layout[f"yaxis{at}"].domain) for at in ("", 2, 3, 4)]
    for at, (x, y) in enumerate(spans):
        assert 0 <= x[0] < x[1] <= 1 and 0 <= y[0] < y[1] <= 1
        for others in spans[at + 1 :]:
            apart = [a[1] <= b[0] or b[1] <= a[0] for a, b in zip((x, y), others)]
            assert any(apart)


def test_cells_are_square() -> None:
    layout = figure(CASES["2-D, cropped and extra"], 9).layout
    width = layout.width - layout.margin.l - layout.margin.r
    height = layout.height - layout.margin.t - layout.margin.b
    for at in ("", 2, 3, 4):
        x, y = layout[f"xaxis{at}"], layout[f"yaxis{at}"]
        across = (x.domain[1] - x.domain[0]) * width / abs(x.range[1] - x.range[0])
        down = (y.domain[1] - y.domain[0]) * height / abs(y.range[1] - y.range[0])
        assert across == pytest.approx(down)


def test_a_large_layer_shows_the_part_that_the_player_shows() -> None:
    case = Case.of(numbers(1, 6, 150, 8), numbers(6, 6, 3, 3))
    picture = figure(case)
    z = sheet(picture, "input")
    shown = case.x[0, [0, 1, 4, 5], :128]
    assert sorted(z[~np.isnan(z)].tolist()) == sorted(shown.ravel().tolist())
    assert trace_of(picture, "input").showscale  # too small for numbers


def test_a_dark_figure_has_the_players_night() -> None:
    layout = figure(QUESTION, 3, dark=True).layout
    assert (layout.paper_bgcolor, layout.font.color) == ("#0e1117", "#fafafa")


def test_where_torchs_result_is_too_dear_its_sheet_is_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convt_trace.player.scene.torch_refusal", lambda *_: "Too dear here.")
    picture = figure(QUESTION)
    assert shown_numbers(picture, "torch") == [] and not trace_of(picture, "torch numbers").text
    assert picture.layout.annotations[0].text.endswith("<br>Too dear here.")


def test_numbers_stand_in_cells_that_have_room() -> None:
    texts = trace_of(figure(QUESTION), "torch numbers").text
    assert list(texts) == ["8", "8", "10", "10"]


def test_nan_and_infinity_are_told_in_words() -> None:
    case = Case.of(np.float32([[[np.nan, np.inf, 1]]]), np.float32([[[1]]]))
    picture = figure(case)
    assert list(trace_of(picture, "torch numbers").text) == ["nan", "inf", "1"]
    assert shown_numbers(picture, "torch") == [1]


def test_the_title_is_the_layers_line_and_can_be_another() -> None:
    titles = [figure(QUESTION, title=title).layout.annotations for title in ("", "Two groups")]
    first, second = ({one.text for one in words} for words in titles)
    assert f"<b>{QUESTION.line()}</b>" in first
    assert "<b>Two groups</b>" in second and f"<b>{QUESTION.line()}</b>" not in second


# -- views and maps -------------------------------------------------------------------------------


@every_case
def test_every_linked_view_is_a_figure_with_the_macs_cells_lit(case: Case) -> None:
    for name in names(case):
        seen, step = view(case, name), 7
        picture = figure(case, step, linked=name)
        mac = case.trace()[step - 1]
        cells = seen.cells_of(mac)
        for tensor in seen.tensors:
            (text,) = pointed(picture, tensor.name, "now")
            # A cell that holds no number, such as a cropped one, tells nothing.
            assert text.partition(" = ")[0] in ("", tensor.cell(cells[tensor.name]))
        said = picture.layout.annotations[0].text.replace("<br>", " ")
        assert seen.equation_of(mac) in said.replace("  ", " ")


def test_the_matrix_holds_the_matrix() -> None:
    case = CASES["unbatched"]
    assert sheet(figure(case, linked="matrix"), "M").shape == (18, 10)
    z = np.nan_to_num(sheet(figure(case, linked="matrix"), "M"))
    assert z.tolist() == case.matrix().toarray().tolist()
    transposed = np.nan_to_num(sheet(figure(case, linked="matrix"), "A"))
    assert transposed.tolist() == z.T.tolist()


def test_an_overlap_is_a_figure_of_its_map_with_the_edge_dashed() -> None:
    seen = overlap(Layer.of(3, 8, 3, stride=2, dims=2), (4, 4))
    picture = figure(seen)
    assert sheet(picture, "counts").tolist() == seen.map().tolist()
    assert trace_of(picture, "counts extra").x
    with pytest.raises(FigureError, match="give input_size"):
        figure(overlap(Layer.of(3, 8, 3, stride=2, dims=2)))


@pytest.mark.parametrize("case", [CASES["unbatched"], CASES["3-D"]], ids=["1-D", "3-D"])
def test_a_difference_is_a_figure_of_both_outputs_and_their_difference(case: Case) -> None:
    apart = difference(case, "pytorch", "keras same")
    picture = figure(apart)
    planes = [*apart.outputs, apart.map]
    for name, values in zip("yzd", planes):
        first = values.reshape(-1, *values.shape[values.ndim - case.dims :])[0]
        assert shown_numbers(picture, name) == sorted(first.astype(float).ravel().tolist())


# -- frames ---------------------------------------------------------------------------------------


@both_orders
def test_there_is_a_frame_for_each_step(order: str) -> None:
    picture = figure(QUESTION, animate=True, order=order)
    assert len(picture.frames) == len(QUESTION.trace(order)) + 1
    (slider,) = picture.layout.sliders
    assert [step.label for step in slider.steps] == [str(at) for at in range(73)]
    assert [button.label for button in picture.layout.updatemenus[0].buttons] == ["Play", "Pause"]
    assert len(figure(QUESTION, 70, animate=True, order=order).frames) == 3


def test_a_frame_shows_what_the_figure_at_its_step_shows() -> None:
    moving = figure(QUESTION, 30, animate=True)
    for at in (0, 14, 42):
        frame, still = moving.frames[at], figure(QUESTION, 30 + at)
        for trace, place in zip(frame.data, frame.traces):
            assert to_json_plotly(trace) == to_json_plotly(still.data[place])
        assert {one.meta or one.name for one in frame.data} >= {
            "output",
            "input now",
            "torch agrees",
        }
        assert frame.layout.annotations[0].text == still.layout.annotations[0].text
        changed = len(frame.layout.shapes)
        begun = figure(QUESTION, 30 + at, animate=True).layout.shapes  # of the same height
        assert frame.layout.shapes == begun[:changed]
        assert moving.layout.shapes[changed:] == begun[changed:]


def test_larger_steps_make_fewer_frames() -> None:
    assert len(figure(QUESTION, unit="stamp", animate=True).frames) == 25
    assert len(figure(QUESTION, unit="all", animate=True).frames) == 2


def test_a_walk_that_is_too_long_is_refused_with_a_way_out() -> None:
    case = Case.of(numbers(1, 1, 101), numbers(1, 1, 3))
    assert len(figure(case, 303 - MOST_FRAMES + 1, animate=True).frames) == MOST_FRAMES
    with pytest.raises(FigureError, match=r"304 frames: up to 300 .* such as a stamp\."):
        figure(case, animate=True)
    assert len(figure(case, unit="stamp", animate=True).frames) == 102
    long = Case.of(numbers(1, 1, 64, 64), numbers(1, 1, 3, 3))
    with pytest.raises(FigureError, match="36,864 MACs .* within one window"):
        figure(long, animate=True)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cell": (0, 9, 0)}, "no such cell"),
        ({"cell": (0, 0, 0, 0)}, "4 numbers"),
        ({"unit": "window"}, "'window' is not"),
        ({"linked": "nothing"}, "no view 'nothing'"),
        ({"step": 3, "cell": (0, 0, 40)}, "no such cell"),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(options: dict, words: str) -> None:
    with pytest.raises(FigureError, match=words):
        figure(QUESTION, **options)


def test_a_cell_that_is_not_on_screen_at_a_step_is_refused() -> None:
    case = Case.of(numbers(1, 1, 300), numbers(1, 1, 3))
    with pytest.raises(FigureError, match="not on screen at step 3"):
        figure(case, 3, cell=(0, 0, 290))


def test_a_step_outside_is_the_nearest_one() -> None:
    last = figure(QUESTION, 72).layout.annotations[0].text
    assert figure(QUESTION, 1000).layout.annotations[0].text == last
    assert figure(QUESTION, -5).layout.annotations[0].text.startswith("x (1, 4, 3)")

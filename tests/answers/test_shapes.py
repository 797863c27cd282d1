"""The picture of a call that torch refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from convt_trace.answers.refused import explained
from convt_trace.answers.shapes import axis_names, picture
from convt_trace.app.gallery import EXAMPLES
from convt_trace.snippet import SnippetError, read_snippet

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*arguments) -> ET.Element:
    return ET.fromstring(picture(*arguments))


def test_every_size_is_written_and_only_the_offender_is_marked():
    root = drawn(
        {"x": (1, 5, 7), "weight": (4, 2, 3), "bias": None},
        {"stride": (2,)},
        "x",
        "conv_transpose1d",
    )
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert [text for text in texts if text.isdigit()] == ["1", "5", "7", "4", "2", "3"]
    assert texts[-1] == "stride=(2,)"
    strokes = [rect.get("stroke") for rect in root.iter(f"{SVG}rect")]
    assert len(set(strokes[:3])) == 1 and set(strokes[:3]).isdisjoint(strokes[3:])


def test_an_offending_parameter_is_shown_also_at_its_default():
    root = drawn(
        {"x": (4, 3), "weight": (4, 2, 3)}, {"groups": 1, "padding": 0}, "groups", "conv1d"
    )
    assert "".join(list(root.iter(f"{SVG}text"))[-1].itertext()) == "groups=1"


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_tensor_of_a_wrong_number_of_axes_has_no_names(dims):
    assert set(axis_names("x", dims + 4, f"conv{dims}d")) == {""}
    assert len(axis_names("weight", dims + 2, f"conv{dims}d")) == dims + 2


def test_the_gallery_s_error_has_a_picture_of_what_was_read():
    with pytest.raises(SnippetError) as caught:
        read_snippet(EXAMPLES["channels"].source)
    tried, told = caught.value.attempt, explained(caught.value)
    assert tried is not None and told.what in ("x", "weight")
    shapes = {"x": tried.input_shape, "weight": tried.weight_shape}
    label = drawn(shapes, tried.parameters, told.what, tried.op).get("aria-label")
    assert label == f"x {tried.input_shape}, weight {tried.weight_shape}: look at {told.what}"


def test_words_that_are_not_numbers_stay_out():
    assert "<script" not in picture({"x": (1, 2)}, {"padding": "<script>"}, "padding", "conv1d")

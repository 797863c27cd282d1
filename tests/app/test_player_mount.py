"""What the browser tells the page: anything may come from there."""

from __future__ import annotations

import pytest

from convt_trace.app.player_mount import _output_cell


@pytest.mark.parametrize("place", [[0, 1, -2], [0.0, 1.0, -2.0]])
def test_a_clicked_cell_is_read_by_its_numbers(place: list[float]):
    assert _output_cell({"tensor": "output", "place": place}, 1) == (0, 1, -2)


@pytest.mark.parametrize(
    "said",
    [
        None,
        "y[0,1,-2]",
        {},
        {"tensor": "output"},
        {"tensor": "input", "place": [0, 1, 2]},
        {"tensor": "output", "place": "012"},
        {"tensor": "output", "place": [1, 2]},
        {"tensor": "output", "place": [0, 1, None]},
        {"tensor": "output", "place": [0, 1, float("nan")]},
        {"tensor": "output", "place": [0, 1, float("inf")]},
    ],
)
def test_anything_else_is_no_cell(said: object):
    assert _output_cell(said, 1) is None

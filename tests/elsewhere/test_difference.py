"""Two conventions on one canvas, each number held against a loop."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import layers, moderate

from convt_trace import Case
from convt_trace.elsewhere.conventions import Window
from convt_trace.elsewhere.difference import CONVENTIONS, Difference, difference
from convt_trace.elsewhere.errors import RefusedError

NAMES = ("pytorch", *CONVENTIONS)
USUAL = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)


def drawn_difference(drawn, one: str, other: str) -> Difference | None:
    try:
        return difference(drawn.case(), one, other)
    except RefusedError:
        return None


@moderate
@given(layers(), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_the_map_and_the_kept_are_what_a_loop_finds(drawn, one: str, other: str) -> None:
    apart = drawn_difference(drawn, one, other)
    if apart is None:
        return
    first, second = apart.outputs
    for at in np.ndindex(apart.map.shape):
        difference_here = float(second[at] if not apart.case.unbatched else second[at]) - float(
            first[at]
        )
        assert np.isclose(float(apart.map[at]), difference_here, rtol=1e-5, atol=1e-5)
    ranges = [range(low, low + n) for low, n in zip(apart.origin, apart.kept.shape)]
    for at, c in zip(np.ndindex(apart.kept.shape), product(*ranges)):
        expected = 0
        for bit, windows in zip((1, 2), apart.windows):
            keeps = all(
                0 <= p < axis.canvas if w.wraps else w.before <= p < w.before + w.size
                for p, w, axis in zip(c, windows, axes(apart))
            )
            expected += bit * keeps
        assert apart.kept[at] == expected


def axes(apart: Difference):
    from convt_trace.elsewhere.canvas import axes_of

    return axes_of(apart.case)


@moderate
@given(layers())
def test_pytorchs_own_output_is_one_of_the_two(drawn) -> None:
    apart = difference(drawn.case(), "pytorch", "pytorch")
    assert apart.same and not apart.map.any() and apart.sentences == ()
    assert np.allclose(apart.outputs[0], drawn.torch().numpy(), rtol=1e-4, atol=1e-4)


def test_the_usual_layer_is_one_position_apart() -> None:
    apart = difference(USUAL, "pytorch", "keras same")
    assert apart.sides == (("begin",), ("end",))
    assert apart.kept.tolist() == [2, 3, 3, 3, 3, 3, 1]
    assert (apart.outputs[0][..., :-1] == apart.outputs[1][..., 1:]).all()
    assert len(apart.sentences) == 1
    assert difference(USUAL, "pytorch", "onnx SAME_LOWER").same


def test_the_same_number_as_jax_pads_is_another_crop() -> None:
    case = Case.of([[[1, 2, 3]]], [[[1, 10, 100, 1000]]], stride=2, padding=1)
    apart = difference(case, "pytorch", "jax padding")
    assert [output.shape[-1] for output in apart.outputs] == [6, 4]
    assert difference(case, "pytorch", "jax consistent").same


def test_windows_can_be_given() -> None:
    apart = difference(USUAL, [Window(-1, 3)], [Window(0, 9)])
    assert apart.origin == (-1,)
    assert apart.kept.tolist() == [1, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    assert "negative: it adds zeros" in apart.sentences[0]


def test_a_name_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no convention 'tf'.*keras same"):
        difference(USUAL, "tf")

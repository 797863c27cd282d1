"""The overlap of a layer: its map, its phases and its number, against torch and against loops."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import inf, isnan, prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, conv_transpose, layers, loop, moderate

import convt_trace
from convt_trace import Case, Layer, LayerError
from convt_trace.engine.layer import output_length, phases, repeated
from convt_trace.planning.overlap import overlap

WHOLE = (torch.int64,)


def ones_through(drawn: Drawn, weight: torch.Tensor, size=None) -> np.ndarray:
    """What torch makes of one item of ones, (C_out, *L_out), without the bias."""
    size = drawn.x.shape[-drawn.dims :] if size is None else size
    x = torch.ones(1, weight.shape[0], *size, dtype=weight.dtype)
    return conv_transpose(drawn.dims)(x, weight, **drawn.parameters)[0].numpy()


def far_inside(drawn: Drawn, weight: torch.Tensor) -> np.ndarray:
    """The same on an input so large that two repetitions are left after all edge cells are cut off."""
    size, cuts = [], [slice(None)]
    p = drawn.parameters
    for axis, taps in enumerate(weight.shape[2:]):
        stride, pad, dilation = (p[name][axis] for name in ("stride", "padding", "dilation"))
        extra = p["output_padding"][axis]
        reach = dilation * (taps - 1)
        length = (reach + 2 * pad) // stride + 6
        size.append(length)
        start = -(-reach // stride) * stride  # a position of phase 0
        cuts.append(slice(start, start + 2 * stride))
        whole = output_length(length, taps, stride, pad, extra, dilation)
        assert start + 2 * stride <= whole - extra - max(0, reach - pad)
    return ones_through(drawn, weight, size)[tuple(cuts)]


def period_by_shifts(values: np.ndarray, axis: int) -> int:
    """The smallest shift after which two repetitions of a stride look the same."""
    length = values.shape[axis] // 2
    for shift in range(1, length + 1):
        if length % shift == 0 and (np.roll(values, shift, axis) == values).all():
            return shift
    raise AssertionError


# -- the map --------------------------------------------------------------------------------------


@moderate
@given(layers())
def test_the_map_is_what_torch_makes_of_ones(drawn) -> None:
    seen = drawn.case().overlap()
    for channel in ones_through(drawn, torch.ones(drawn.weight.shape, dtype=torch.float64)):
        assert (seen.map() == channel).all()
    assert seen.map().shape == seen.size == drawn.torch().shape[-drawn.dims :]
    assert seen.map().sum() * seen.layer.out_channels == drawn.case().geometry.kept_macs / max(
        len(drawn.batched), 1
    )


@moderate
@given(layers())
def test_the_map_counts_the_macs_of_nested_loops(drawn) -> None:
    seen = drawn.case().overlap()
    landed = Counter((mac.out_channel, mac.o) for mac in loop(drawn) if mac.n == 0 and mac.kept)
    for channel, o in product(range(seen.layer.out_channels), product(*map(range, seen.size))):
        assert seen.map()[o] == seen.at(*o) == landed[channel, o]


@moderate
@given(layers())
def test_an_edge_cell_is_one_that_a_longer_input_would_fill_up(drawn) -> None:
    seen = drawn.case().overlap()
    more = [
        dilation * (taps - 1) + stride
        for dilation, taps, stride in zip(
            seen.layer.dilation, seen.layer.kernel_size, seen.layer.stride
        )
    ]
    weight = torch.ones(drawn.weight.shape, dtype=torch.float64)
    longer = ones_through(
        drawn, weight, [2 * extra + length for extra, length in zip(more, seen.input_size)]
    )[0]
    # Inputs put before the first move every output by a stride each.
    same = tuple(
        slice(extra * stride, extra * stride + length)
        for extra, stride, length in zip(more, seen.layer.stride, seen.size)
    )
    full = longer[same]
    assert (seen.map() == full)[~seen.edges()].all()
    # Where another axis has no tap there is nothing to miss.
    assert (seen.map() < full)[seen.edges() & (full > 0)].all()
    assert seen.edge_cells == seen.edges().sum()


@moderate
@given(layers((torch.float32, torch.float64, torch.int64)))
def test_the_weighted_map_is_what_torch_makes_of_ones_with_the_real_weights(drawn) -> None:
    weight = drawn.weight.to(torch.float64) if drawn.weight.is_floating_point() else drawn.weight
    made = drawn.case().overlap().weighted.map()
    expected = ones_through(drawn, weight)
    assert made.shape == expected.shape
    if drawn.weight.is_floating_point():
        assert np.allclose(made, expected, rtol=1e-12, atol=1e-12)
    else:
        assert made.dtype == np.int64 and (made == expected).all()


def test_infinite_weights_spoil_only_the_cells_that_they_reach() -> None:
    weight = torch.tensor([[[1.0, inf, 2.0]]])
    made = Case.of(torch.ones(1, 1, 3), weight, stride=2).overlap().weighted
    expected = torch.conv_transpose1d(torch.ones(1, 1, 3), weight, stride=2)[0]
    assert np.array_equal(made.map(), expected.numpy())
    assert made.ratio == inf
    spoiled = Case.of(torch.ones(1, 1, 3), weight * 0, stride=2).overlap().weighted
    assert isnan(spoiled.ratio) and "not all numbers" in spoiled.in_words


# -- phases ---------------------------------------------------------------------------------------


@moderate
@given(layers())
def test_the_sub_kernels_put_together_are_the_kernel(drawn) -> None:
    case = drawn.case()
    rebuilt = np.zeros_like(case.weight)
    times_met = np.zeros(case.layer.kernel_size, int)
    for phase in case.overlap().phases():
        slices = tuple(slice(taps.start, taps.stop, taps.step) for taps in phase.taps)
        rebuilt[(slice(None), slice(None), *slices)] = phase.kernel
        times_met[slices] += 1
    assert np.array_equal(rebuilt, case.weight)
    assert (times_met == 1).all()


@moderate
@given(layers(WHOLE))
def test_the_phases_say_what_the_cells_inside_get(drawn) -> None:
    seen = drawn.case().overlap()
    assert sum(1 for _ in seen.phases()) == prod(seen.layer.stride)
    counts = far_inside(drawn, torch.ones_like(drawn.weight))[0]
    sums = far_inside(drawn, drawn.weight)
    for phase in seen.phases():
        assert counts[phase.position] == phase.count
        assert sums[(slice(None), *phase.position)].tolist() == phase.sums.tolist()
        assert seen.phase(
            *(at + 7 * s for at, s in zip(phase.position, seen.layer.stride))
        ).taps == (phase.taps)
    one = tuple(slice(s) for s in seen.layer.stride)
    assert np.array_equal(seen.weighted.sums(), sums[(slice(None), *one)])
    assert np.array_equal(seen.tile(), counts[tuple(slice(q) for q in seen.period)])


@moderate
@given(layers(WHOLE))
def test_phases_of_the_map_that_is_there_are_those_of_the_layer(drawn) -> None:
    seen = drawn.case().overlap()
    inner = ~seen.edges()
    for o in zip(*np.nonzero(inner)):
        phase = seen.phase(*map(int, o))
        assert seen.map()[o] == phase.count
        assert seen.weighted.map()[(slice(None), *o)].tolist() == phase.sums.tolist()


# -- the number -----------------------------------------------------------------------------------


@moderate
@given(layers(WHOLE))
def test_the_number_and_the_period_are_those_of_a_large_input(drawn) -> None:
    seen = drawn.case().overlap()
    inside = far_inside(drawn, torch.ones_like(drawn.weight))
    low, high = int(inside.min()), int(inside.max())
    assert (seen.low, seen.high) == (low, high)
    assert seen.ratio == (high / low if low else inf)
    assert seen.even == (low == high)
    assert seen.gaps == (low == 0)
    assert ("get nothing" in repr(seen)) == (low == 0)
    assert seen.period == tuple(period_by_shifts(inside[0], axis) for axis in range(drawn.dims))


@moderate
@given(layers(WHOLE))
def test_the_weighted_number_and_period_are_those_of_a_large_input(drawn) -> None:
    weighted = drawn.case().overlap().weighted
    inside = far_inside(drawn, drawn.weight)
    for channel, ratio in zip(inside, weighted.ratios):
        low, high = sorted((abs(int(channel.min())), abs(int(channel.max()))))
        if channel.min() == channel.max():
            assert ratio == 1
        elif channel.min() <= 0 <= channel.max():
            assert ratio == inf
        else:
            assert ratio == high / low
    assert weighted.ratio == max(weighted.ratios)
    shifts = tuple(period_by_shifts(inside, axis + 1) for axis in range(drawn.dims))
    assert weighted.period == shifts
    assert weighted.even == all(len(set(channel.ravel().tolist())) == 1 for channel in inside)


@pytest.mark.parametrize(
    ("taps", "stride", "dilation", "pattern", "ratio"),
    [
        (3, 2, 1, [2, 1], 2),
        (4, 2, 1, [2, 2], 1),
        (4, 3, 1, [2, 1, 1], 2),
        (5, 3, 1, [2, 2, 1], 2),
        (5, 2, 1, [3, 2], 1.5),
        (4, 2, 2, [4, 0], inf),
        (3, 2, 3, [2, 1], 2),
        (1, 2, 1, [1, 0], inf),
        (7, 1, 5, [7], 1),
    ],
)
def test_known_layers(taps, stride, dilation, pattern, ratio) -> None:
    for dims in (1, 2, 3):
        seen = overlap(Layer.of(6, 4, taps, stride, groups=2, dilation=dilation, dims=dims))
        assert seen.along[0].pattern == tuple(pattern)
        assert seen.ratio == ratio**dims
        assert (seen.low, seen.high) == (3 * min(pattern) ** dims, 3 * max(pattern) ** dims)
        assert seen.even == (ratio == 1)


def test_padding_moves_the_pattern_and_does_not_change_the_number() -> None:
    patterns = [
        overlap(Layer.of(1, 1, 4, 3, padding, dims=1)).along[0].pattern for padding in range(3)
    ]
    assert patterns == [(2, 1, 1), (1, 1, 2), (1, 2, 1)]


def test_equal_up_to_rounding_is_even() -> None:
    # 0.1 + 0.2 and 0.3 differ in their last bit; a difference that is no rounding does not pass.
    of = [[[0.1, 0.3, 0.2]]]
    x, weight = np.ones((1, 1, 4)), np.array(of)
    assert Case.of(x, weight, stride=2).overlap().weighted.even
    assert Case.of(x, weight, stride=2).overlap().weighted.ratio == 1
    assert not Case.of(x, weight + [0, 1e-12, 0], stride=2).overlap().weighted.even
    half = Case.of(x.astype(np.float16), weight.astype(np.float16), stride=2)
    assert half.overlap().weighted.even


# -- what is not made, what is refused ------------------------------------------------------------


def test_a_large_layer_costs_its_axes() -> None:
    # Its map would have 8e15 cells.
    seen = overlap(Layer.of(4096, 4096, 3, 2, dims=3), 100_000)
    assert (seen.ratio, seen.period) == (8, (2, 2, 2))
    assert seen.size == (200_001,) * 3
    assert seen.edge_cells == 200_001**3 - (200_001 - 2) ** 3
    assert seen.at(2, 2, 2) == 8 * 4096
    assert "edge cells" in str(seen)


def test_large_strides_have_phases_that_nobody_lists() -> None:
    seen = Case.of(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), stride=2**15).overlap()
    assert seen.ratio == inf and seen.weighted.ratio == inf
    assert seen.period == seen.weighted.period == (2**15, 2**15)
    assert "32,768 phases" in seen.to_markdown()
    assert seen.phase(2**15 + 1, 0).count == 1


def test_without_a_size_there_is_a_pattern_and_no_map() -> None:
    seen = overlap(Layer.of(1, 1, 3, 2, dims=2))
    assert seen.ratio == 4 and "edge" not in str(seen)
    for asked in (seen.map, seen.edges, lambda: seen.size, lambda: seen.at(0, 0)):
        with pytest.raises(ValueError, match="give input_size"):
            asked()
    assert seen.weighted is None and seen.phase(0, 0).sums is None


def test_sizes_that_do_not_fit_are_refused() -> None:
    layer = Layer.of(1, 1, 3, 2, 4, dims=2)
    with pytest.raises(LayerError, match="Output size is too small"):
        overlap(layer, 2)
    with pytest.raises(LayerError, match="input_size"):
        overlap(layer, (4, 4, 4))
    with pytest.raises(IndexError, match="2 numbers"):
        overlap(layer).phase(1)


def test_a_case_on_another_size_keeps_its_weights() -> None:
    case = Case.of(np.ones((1, 1, 2)), [[[1.0, 2.0, 3.0]]], stride=2)
    expected = torch.conv_transpose1d(
        torch.ones(1, 1, 9, dtype=torch.float64), torch.tensor(case.weight), stride=2
    )
    assert case.overlap(9).weighted.map().tolist() == expected[0].tolist()


def test_one_line_and_a_table() -> None:
    case = Case.of(np.ones((1, 2, 4, 4)), np.ones((2, 3, 4, 2)), stride=(3, 2))
    seen = convt_trace.overlap(case)
    assert "\n" not in repr(seen) and "max/min 2 = 2 x 1, period 3 x 1" in repr(seen)
    assert str(seen) == seen.to_markdown()
    rows = [line.split(" | ") for line in str(seen).splitlines() if line.startswith("| ")]
    assert [row[4] for row in rows] == ["MACs by phase", "2, 1, 1", "1, 1"]
    assert "With its own weights" in str(seen)
    assert "With its own weights" not in str(overlap(case.layer))


# -- the index rule -------------------------------------------------------------------------------


@moderate
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.integers(1, 5), st.integers(1, 4), st.integers(0, 9), st.integers(1, 3),
)  # fmt: skip
def test_what_repeats_without_an_end_is_what_torch_makes_far_inside(
    pattern, taps, stride, padding, dilation
) -> None:
    many = 30
    x = torch.tensor(pattern * many).reshape(1, 1, -1)
    made = torch.conv_transpose1d(
        x, torch.ones(1, 1, taps, dtype=int), dilation=dilation, stride=stride
    )
    once = stride * len(pattern)
    # Output position 0 is canvas position `padding`; the middle begins some repetitions later.
    start = padding + many // 2 * once
    assert made[0, 0, start : start + once].tolist() == repeated(
        pattern, taps, stride, padding, dilation
    )
    ones = repeated([1], taps, stride, padding, dilation)
    assert [len(taken) for taken in phases(taps, stride, padding, dilation)] == ones


def test_a_notebook_gets_the_map_of_counts_and_of_weights() -> None:
    case = Case.of(np.ones((1, 1, 3, 3)), np.arange(4.0).reshape(1, 1, 2, 2), stride=2)
    html = overlap(case)._repr_html_()
    assert html is not None and html.count('class="heat"') == 2
    assert 'aria-label="MACs per cell, 6 x 6"' in html and html.count("<span") == 2 * 36
    assert overlap(case.layer)._repr_html_() is None
    assert overlap(Layer.of(1, 1, 2, stride=2, dims=2), (600, 600))._repr_html_() is None
    deep = overlap(Layer.of(1, 1, 2, stride=2, dims=3), (2, 3, 40))._repr_html_()
    assert deep is not None and "The slice in the middle of the depth, 2 of 4." in deep
    assert "The first 40 positions of each axis are drawn." in deep
    assert overlap(Layer.of(1, 1, 2, dims=2), (3, 3))._repr_html_().count('class="edge"') == 12

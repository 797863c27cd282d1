"""Stacked layers: the counts after each, against torch run layer after layer with weights of ones."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import conv_transpose, layers, moderate

from convt_trace import Case, Layer, LayerError
from convt_trace.planning.stacked import Stacked, stacked


@dataclass
class Drawn:
    chain: list[Layer]
    size: tuple[int, ...]


@st.composite
def chains(draw: st.DrawFn) -> Drawn:
    """One to four layers that fit each other, each axis with parameters of its own."""
    dims = draw(st.integers(1, 2))
    channels = [draw(st.sampled_from([2, 4])) for _ in range(5)]
    whole = st.integers
    chain = []
    for ins, outs in zip(channels, channels[1 : 1 + draw(whole(1, 4 if dims == 1 else 3))]):
        stride = [draw(whole(1, 3)) for _ in range(dims)]
        chain.append(
            Layer.of(
                ins,
                outs,
                [draw(whole(1, 4)) for _ in range(dims)],
                stride,
                [draw(whole(0, 2)) for _ in range(dims)],
                [draw(whole(0, s - 1)) for s in stride],
                draw(st.sampled_from([1, 2])),
                [draw(whole(1, 2)) for _ in range(dims)],
                dims=dims,
            )
        )
    return Drawn(chain, tuple(draw(whole(1, 4)) for _ in range(dims)))


def by_torch(chain: list[Layer], size) -> list[np.ndarray]:
    """The output of every layer for an input of ones: (C_out, *L_out) each, in whole numbers."""
    y = torch.ones(1, chain[0].in_channels, *size, dtype=torch.int64)
    made = []
    for layer in chain:
        y = conv_transpose(layer.dims)(
            y,
            torch.ones(layer.weight_shape, dtype=torch.int64),
            None,
            layer.stride,
            layer.padding,
            layer.output_padding,
            layer.groups,
            layer.dilation,
        )
        made.append(y[0].numpy())
    return made


def sized(drawn: Drawn) -> Stacked:
    try:
        return stacked(drawn.chain, drawn.size)
    except LayerError:
        assume(False)
        raise


@moderate
@given(chains())
def test_the_maps_are_what_torch_makes_layer_after_layer(drawn) -> None:
    seen = sized(drawn)
    expected = by_torch(drawn.chain, drawn.size)
    assert len(seen.stages) == len(expected)
    for stage, channels in zip(seen.stages, expected):
        for channel in channels:
            assert np.array_equal(stage.map(), channel)
    assert seen.last.map().sum() * drawn.chain[-1].out_channels == expected[-1].sum()


@moderate
@given(chains())
def test_the_number_and_period_are_those_of_a_large_input(drawn) -> None:
    seen = stacked(drawn.chain)
    repeats = [len(along.pattern) for along in seen.last.along]
    # Long enough that, far from both ends, three repetitions are left.
    size = [16 + 4 * once for once in repeats]
    assume(np.prod(seen_size(drawn.chain, size)) < 100_000)
    made = by_torch(drawn.chain, size)[-1][0]
    cuts = []
    for length, once in zip(made.shape, repeats):
        start = length // 2 // once * once - once
        assert start >= 0
        cuts.append(slice(start, start + 2 * once))
    inside = made[tuple(cuts)]
    low, high = int(inside.min()), int(inside.max())
    assert (seen.last.low, seen.last.high) == (low, high)
    assert seen.ratio == (high / low if low else inf)
    for axis, once in enumerate(repeats):
        shifts = [q for q in range(1, once + 1) if once % q == 0]
        same = [q for q in shifts if (np.roll(inside, q, axis) == inside).all()]
        assert seen.period[axis] == same[0]
    # And the edges are where the map differs from what is inside.
    if min(length // 2 for length in made.shape) > 0:
        there = stacked(drawn.chain, size).last
        assert not there.edges()[tuple(cuts)].any()
        tiled = np.tile(there.tile(), [-(-n // q) for n, q in zip(made.shape, there.period)])
        full = tiled[tuple(slice(n) for n in made.shape)]
        assert np.array_equal(made == full, ~there.edges() | (full == 0))


def seen_size(chain, size):
    for layer in chain:
        size = layer.output_size(tuple(size))
    return size


@moderate
@given(layers())
def test_a_stack_of_one_is_the_layers_own_overlap(drawn) -> None:
    case = drawn.case()
    one, seen = stacked([case]), case.overlap()
    assert np.array_equal(one.last.map(), seen.map())
    assert np.array_equal(one.last.edges(), seen.edges())
    assert (one.ratio, one.period, one.last.channels) == (seen.ratio, seen.period, seen.channels)
    assert [along.pattern for along in one.last.along] == [along.pattern for along in seen.along]


def test_even_layers_stay_even_and_uneven_ones_get_worse() -> None:
    def ratios(taps: int, stride: int, padding: int = 0) -> list[float]:
        up = Layer.of(8, 8, taps, stride, padding, dims=2)
        return [stage.ratio for stage in stacked([up] * 4).stages]

    assert ratios(4, 2, 1) == [1, 1, 1, 1]
    uneven = ratios(3, 2)
    assert uneven == sorted(uneven) and uneven[0] == 4 and uneven[1] == 9
    assert ratios(1, 2) == [inf] * 4


def test_a_stride_1_layer_after_an_uneven_one_smooths() -> None:
    up, smooth = Layer.of(1, 1, 3, 2, dims=1), Layer.of(1, 1, 2, dims=1)
    assert [stage.ratio for stage in stacked([up, smooth]).stages] == [2, 1]


def test_counts_beyond_64_bits_are_exact() -> None:
    up = Layer.of(2**15, 2**15, 4, 2, 1, dims=1)
    seen = stacked([up] * 5, 4)
    assert seen.last.high == (2 * 2**15) ** 5 == int(seen.last.map().max())
    assert seen.last.low == seen.last.high


def test_layers_that_do_not_fit_are_refused() -> None:
    up = Layer.of(2, 3, 3, 2, dims=1)
    with pytest.raises(LayerError, match="to have 2 channels, but got 3 channels"):
        stacked([up, up])
    with pytest.raises(LayerError, match="number of dimensions"):
        stacked([up, Layer.of(3, 1, 3, dims=2)])
    with pytest.raises(LayerError, match="too small"):
        stacked([Layer.of(2, 2, 3, 1, 2, dims=1)] * 3, 5)
    with pytest.raises(ValueError, match="no layer"):
        stacked([])
    with pytest.raises(ValueError, match="1,073,741,824 positions"):
        stacked([Layer.of(1, 1, 3, 2**15, dims=1)] * 2)


def test_the_table_has_a_row_per_layer_and_says_where_nothing_lands() -> None:
    case = Case.of(np.ones((1, 1, 4)), np.ones((1, 1, 3)), stride=2)
    told = str(stacked([case, Layer.of(1, 1, 1, 2, dims=1)]))
    assert [line.split(" | ")[3] for line in told.splitlines()[2:]] == [
        "2",
        "some cells get nothing",
    ]
    assert "output" not in str(stacked([case.layer]))
    assert repr(stacked([case.layer])) == "1 stacked layer: max/min 2, period 2"

"""The alternatives: their programs run in torch as they stand, with the sizes and numbers that are said."""

from __future__ import annotations

import contextlib
import io
from math import gcd, inf, prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import layers, moderate
from torch import nn

from convt_trace import Case, Layer, LayerError, alternatives
from convt_trace.engine.text import by
from convt_trace.planning.alternatives import Alternative, as_it_is, even_layer
from convt_trace.planning.overlap import overlap

#: Those whose weights can all be set equal; an "equal start" makes weights of its own.
MAY_BE_EQUAL = {"as it is", "kernel", "nearest", "linear", "sub-pixel"}


def run(code: str) -> tuple[dict, str]:
    names: dict = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return names, printed.getvalue()


def convolution(names: dict) -> nn.Module:
    """The one module of a program that has a weight."""
    modules = [one for one in names.values() if isinstance(one, nn.Module)]
    (found,) = {part for module in modules for part in module.modules() if hasattr(part, "weight")}
    return found


def with_equal_weights(one: Alternative, names: dict) -> None:
    """Set the weights of a program as `Alternative` says it: equal, and 1 in all for a cell."""
    module = convolution(names)
    layer = one.of.layer
    terms = prod(module.weight.shape[1:])
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        terms = layer.in_per_group * prod(module.kernel_size) / prod(module.stride)
    with torch.no_grad():
        module.weight.fill_(1 / terms)
        if module.bias is not None:
            module.bias.zero_()


def all_of(case: Case | Layer, size=None) -> list[Alternative]:
    return [as_it_is(case, size), *alternatives(case, size)]


@moderate
@given(layers())
def test_every_program_runs_and_gives_the_size_that_is_said(drawn) -> None:
    case = drawn.case()
    for one in all_of(case):
        names, printed = run(one.code)
        shape = (len(case.batched), case.layer.out_channels, *one.output_size)
        assert tuple(names["y"].shape) == shape, one
        assert printed.strip() == str(shape) and one.code.endswith(f"# {shape}")
        assert convolution(names).weight.shape == one.weight_shape
        assert (convolution(names).bias is None) == (case.bias is None)
        assert by(one.output_size) in one.sentence
        assert one.same_size == (one.output_size == case.geometry.output_size)
        if one.name != "sub-pixel":
            assert one.same_size
        if one.layer is not None:
            assert str(one.layer)[:-1] in one.code
        if one.name not in ("as it is", "equal start"):
            assert f"{one.weight_shape}, other weights" in one.sentence


@moderate
@given(layers())
def test_with_equal_weights_torch_has_the_map_and_the_result(drawn) -> None:
    case = drawn.case()
    for one in all_of(case):
        if one.name not in MAY_BE_EQUAL:
            continue
        names, _ = run(one.code)
        with_equal_weights(one, names)
        ones = names["model"](torch.ones_like(names["x"]))
        for channel in ones.detach().numpy().reshape(-1, *one.output_size):
            assert np.allclose(channel, one.map(), rtol=1e-5, atol=1e-5), one
        made = names["model"](names["x"]).detach().numpy()
        made = made[0] if case.unbatched else made
        assert one.result().shape == made.shape
        assert np.allclose(one.result(), made, rtol=1e-4, atol=1e-4), one


@moderate
@given(layers())
def test_the_input_of_a_program_is_the_cases_own(drawn) -> None:
    for one in alternatives(drawn.case()):
        names, _ = run(one.code)
        assert names["x"].dtype == torch.float32
        assert torch.equal(names["x"], drawn.batched.float())


@moderate
@given(layers())
def test_the_even_ones_make_a_constant_of_a_constant(drawn) -> None:
    case = drawn.case()
    for one in alternatives(case):
        assert one.ratio == 1, one
        made = one.map()
        if one.layer is not None:
            made = made[~overlap(one.layer, case.geometry.input_size).edges()]
        assert np.allclose(made, 1), one
    mine = as_it_is(case)
    assert mine.ratio == case.overlap().ratio
    scale = case.layer.in_per_group * prod(case.layer.kernel_size) / prod(case.layer.stride)
    assert np.allclose(mine.map() * scale, case.overlap().map())


@moderate
@given(layers())
def test_equal_starts_are_equal_in_every_channel_from_random_numbers(drawn) -> None:
    case = drawn.case()
    found = [one for one in alternatives(case) if one.name == "equal start"]
    assert bool(found) == (not case.overlap().gaps)
    for one in found:
        names, _ = run(one.code)
        module = names["model"]
        weighted = replace_weights(case, module.weight).overlap().weighted
        assert weighted.even, str(weighted.ratio)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        made = module(torch.ones_like(names["x"])).detach().numpy()
        inside = made[..., ~case.overlap().edges()]
        spread = np.abs(module.weight.detach().numpy()).sum()
        if inside.size:
            assert (np.ptp(inside, axis=-1) <= 1e-5 * spread).all()


def replace_weights(case: Case, weight: torch.Tensor) -> Case:
    return Case.of(case.batched.astype(np.float32), weight, **case.parameters)


def test_an_equal_start_begins_as_the_resized_output_of_a_small_conv() -> None:
    # Aitken et al.: with a kernel that is a multiple of the stride, the phases begin the same.
    names, _ = run(
        next(
            one.code
            for one in alternatives(Layer.of(2, 3, 6, 3, dims=2), 4)
            if one.name == "equal start"
        )
    )
    y = names["model"](torch.randn(1, 2, 4, 4))
    blocks = y.unflatten(3, (-1, 3)).unflatten(2, (-1, 3))
    assert torch.allclose(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), atol=1e-6)
    assert y.std() > 0


# -- a kernel that is a multiple of the stride ------------------------------------------------------


@moderate
@given(layers(), st.integers(1, 9))
def test_the_even_layer_is_even_near_and_of_the_same_size(drawn, longer) -> None:
    layer = drawn.case().layer
    even = even_layer(layer)
    assert overlap(even).even
    size = tuple(length + longer for length in drawn.x.shape[-drawn.dims :])
    assert even.output_size(size) == layer.output_size(size)
    assert (even.in_channels, even.out_channels, even.groups, even.stride) == (
        layer.in_channels, layer.out_channels, layer.groups, layer.stride,
    )  # fmt: skip
    for axis in range(layer.dims):
        # Taps that are apart leave gaps near the ends, in the layer as in the even one.
        if layer.output_padding[axis] <= layer.padding[axis] and even.dilation[axis] == 1:
            assert overlap(even, size).along[axis].counts.min() > 0
        taps, stride = layer.kernel_size[axis], layer.stride[axis]
        assert even.kernel_size[axis] % stride == 0
        if overlap(layer).along[axis].ratio == 1:
            assert even.kernel_size[axis] == taps
        elif gcd(layer.dilation[axis], stride) == 1 and taps > stride:
            assert abs(even.kernel_size[axis] - taps) <= stride


def test_known_even_layers() -> None:
    assert str(even_layer(Layer.of(1, 1, 3, 2, 1, 1, dims=2))) == (
        "ConvTranspose2d(1, 1, 4, stride=2, padding=1)"
    )
    even = Layer.of(1, 1, 4, 2, 1, dims=2)
    assert even_layer(even) == even
    assert str(even_layer(Layer.of(1, 1, 4, 2, dilation=2, dims=1))) == (
        "ConvTranspose1d(1, 1, 8, stride=2, padding=1, output_padding=1)"
    )
    # Its output_padding of 3 is for its dilation: with stride 2 and dilation 1 torch takes 1 at most.
    assert str(even_layer(Layer.of(1, 1, 4, 2, 0, 3, dilation=4, dims=1))) == (
        "ConvTranspose1d(1, 1, 16, stride=2)"
    )
    # A kernel of 3 would be nearer, and leave the last cell without a MAC.
    assert str(even_layer(Layer.of(1, 1, 4, 3, dims=1))) == (
        "ConvTranspose1d(1, 1, 6, stride=3, padding=1)"
    )
    # A kernel of 32,768 is nobody's idea.
    assert even_layer(Layer.of(1, 1, 3, 2**15, dims=1)) is None


def test_what_is_offered() -> None:
    def names(layer: Layer) -> list[str]:
        return [one.name for one in alternatives(layer, 4)]

    usual = ["kernel", "nearest", "linear", "sub-pixel", "equal start"]
    assert names(Layer.of(2, 2, 3, 2, dims=3)) == usual
    assert names(Layer.of(2, 2, 4, 2, 1, dims=2)) == usual[1:]
    assert names(Layer.of(2, 2, 1, 2, dims=1)) == usual[:-1]
    assert names(Layer.of(2, 2, 3, 2**10, dims=2)) == ["nearest", "linear"]


@pytest.mark.parametrize("stride", [(2,), (2, 2), (3, 2), (2, 2, 2), (2, 1, 3)])
def test_sub_pixel_convs_interleave_their_phases(stride) -> None:
    dims = len(stride)
    layer = Layer.of(2, 6, 5, stride, groups=2, dims=dims)
    one = next(one for one in alternatives(layer, 3) if one.name == "sub-pixel")
    assert ("nn.PixelShuffle" in one.code) == (stride == (2, 2))
    names, _ = run(one.code)
    y, x = names["y"], names["x"]
    conv = convolution(names)(x)
    for phase, at in enumerate(np.ndindex(*stride)):
        cells = (slice(None), slice(None), *(slice(a, None, s) for a, s in zip(at, stride)))
        assert torch.equal(y[cells], conv[:, phase :: prod(stride)])
    assert not one.same_size and f"not {by(layer.output_size((3,) * dims))}" in one.sentence


def test_upsample_is_told_a_factor_where_there_is_one() -> None:
    def codes(*layer, **options) -> list[str]:
        return [one.code for one in alternatives(Layer.of(*layer, **options), 4)]

    assert 'nn.Upsample(scale_factor=2, mode="bilinear")' in "".join(codes(1, 1, 4, 2, 1, dims=2))
    assert 'nn.Upsample(size=(9, 9), mode="nearest")' in "".join(codes(1, 1, 3, 2, dims=2))
    assert "scale_factor=(2, 4)" in "".join(codes(1, 1, 4, (2, 4), (1, 0), dims=2))


@moderate
@given(st.integers(1, 40), st.integers(1, 90))
def test_resizing_an_axis_is_torchs(length, target) -> None:
    from convt_trace.planning.axiswise import linear, nearest

    x = torch.randn(1, 1, length)
    for mode, mine in (("nearest", nearest), ("linear", linear)):
        made = nn.functional.interpolate(x, size=target, mode=mode)[0, 0].numpy()
        assert np.allclose(mine(x[0, 0].numpy().astype(float), target), made, atol=1e-5), mode


# -- what is refused --------------------------------------------------------------------------------


def test_a_layer_needs_a_size_and_a_result_needs_numbers() -> None:
    layer = Layer.of(1, 1, 3, 2, 3, dims=1)
    with pytest.raises(ValueError, match="give input_size"):
        alternatives(layer)
    with pytest.raises(LayerError, match="too small"):
        alternatives(layer, 1)
    with pytest.raises(ValueError, match="give a case"):
        alternatives(layer, 9)[0].result()
    case = Case.of(np.ones((1, 1, 9)), np.ones((1, 1, 3)), stride=2)
    with pytest.raises(ValueError, match="give a case"):
        alternatives(case, 5)[0].result()


def test_an_empty_batch_has_alternatives_too() -> None:
    case = Case.of(np.ones((0, 2, 4)), np.ones((2, 3, 3)), stride=2)
    for one in all_of(case):
        names, _ = run(one.code)
        assert tuple(names["y"].shape) == one.result().shape == (0, 3, *one.output_size)


def test_a_large_layer_costs_nothing_until_it_is_looked_at() -> None:
    # Its output has 4e12 cells a channel.
    for one in all_of(Layer.of(512, 256, 3, 2, dims=3), 8000):
        assert one.output_size in ((16001,) * 3, (16000,) * 3)
    assert as_it_is(Layer.of(1, 1, 1, 2, dims=1), 3).ratio == inf


def test_whole_numbers_and_halves_are_worked_out() -> None:
    for dtype in (torch.int8, torch.float16, torch.bfloat16):
        case = Case.of(torch.ones(1, 2, 4).to(dtype), torch.ones(2, 1, 3).to(dtype), stride=2)
        near = alternatives(case)[1]
        assert run(near.code)[0]["x"].dtype == torch.float32
        assert near.result().dtype == np.float64
        assert np.allclose(near.result(), 1)

"""Settings: every recipe and text comes back, every bound is torch's own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import moderate
from torch import nn

from convt_trace import LayerError, compare
from convt_trace.links import settings as rules
from convt_trace.links.link import from_link, to_link
from convt_trace.links.settings import (
    MOST_TYPED,
    PER_AXIS,
    PRESETS,
    QUESTION,
    RECIPES,
    Fill,
    Settings,
    SettingsError,
)

SHAPE = (4, 3, 2, 5)


@st.composite
def chosen(draw: st.DrawFn) -> Settings:
    """What the playground's controls can be set to, each bounded by those before it; small."""
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 4))
    axes = [_axis(draw) for _ in range(dims)]
    return Settings(
        batch=draw(st.integers(1, 2)),
        groups=groups,
        in_channels=groups * draw(st.integers(1, 2)),
        out_channels=groups * draw(st.integers(1, 2)),
        bias=draw(st.booleans()),
        x=draw(fills(("bilinear",))),
        weight=draw(fills()),
        offset=draw(fills(("bilinear",))),
        **{name: tuple(axis[name] for axis in axes) for name in PER_AXIS},
    )


def _axis(draw: st.DrawFn) -> dict[str, int]:
    size, kernel = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    extra = draw(st.integers(0, rules.largest_output_padding(stride, dilation)))
    most = rules.largest_padding(size, kernel, stride, dilation, extra)
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "output_padding": extra,
        "padding": draw(st.integers(0, most)),
    }


def fills(without: tuple[str, ...] = ()) -> st.SearchStrategy[Fill]:
    """A tensor's recipe with what belongs to it."""
    numbers = st.lists(st.floats(width=32), min_size=1, max_size=5).map(tuple)
    recipes = [name for name in RECIPES if name not in without]
    return st.builds(Fill, st.sampled_from(recipes), numbers, st.integers(0, rules.MOST_SEED))


# -- recipes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_gives_the_same_tensor_every_time(recipe: str):
    tensor = Fill(recipe, seed=3).tensor(SHAPE)
    assert tensor.shape == SHAPE
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor, Fill(recipe, seed=3).tensor(SHAPE))


@pytest.mark.parametrize("recipe", rules.SEEDED)
def test_another_seed_gives_another_tensor(recipe: str):
    assert not np.array_equal(
        Fill(recipe, seed=1).tensor(SHAPE), Fill(recipe, seed=2).tensor(SHAPE)
    )


def test_recipes_give_what_they_are_called():
    count = math.prod(SHAPE)
    integers = Fill("integers").tensor(SHAPE)
    assert np.array_equal(integers, integers.round())
    assert np.abs(integers).max() <= 5
    assert (Fill("ones").tensor(SHAPE) == 1).all()
    assert Fill("counting").tensor(SHAPE).ravel().tolist() == list(range(1, count + 1))
    impulse = Fill("impulse").tensor(SHAPE)
    assert (impulse.sum(), impulse[2, 1, 1, 2]) == (1, 1)
    typed = Fill("numbers", (1, 1, 2)).tensor(SHAPE).ravel()
    assert typed.tolist() == ([1, 1, 2] * count)[:count]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("scale", [2, 3])
def test_the_bilinear_kernel_interpolates(dims: int, scale: int):
    # Padded so that a constant stays a constant inside: that is what interpolating means.
    kernel = 2 * scale - scale % 2
    upsampled = Settings(
        batch=1,
        in_channels=1,
        out_channels=1,
        groups=1,
        size=(6,) * dims,
        kernel=(kernel,) * dims,
        stride=(scale,) * dims,
        padding=((kernel - 1) // 2,) * dims,
        output_padding=(0,) * dims,
        dilation=(1,) * dims,
        bias=False,
        x=Fill("ones"),
        weight=Fill("bilinear"),
        offset=Fill("ones"),
    )
    output = upsampled.case().trace().output[0, 0]
    inside = output[(slice(scale, -scale),) * dims]
    assert np.allclose(inside, 1)


# -- typed numbers ----------------------------------------------------------------------------------


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_numbers_are_read_back_as_they_were(numbers: list[float]):
    back = rules.read_numbers(rules.write_numbers(numbers), "x")
    assert list(map(repr, back)) == list(map(repr, numbers)), "-0 is not 0"


def test_nan_and_infinity_can_be_typed():
    numbers = rules.read_numbers("nan, inf, -Infinity", "x")
    assert rules.write_numbers(numbers) == "nan, inf, -inf"


@pytest.mark.parametrize(
    "text", ["1,2,3", "1 2 3", "[1, 2, 3]", "[[1], [2, 3]]", "(1;2;3)", " 1,\n2,,3, ", "1\t2\t3"]
)
def test_numbers_may_be_apart_in_any_usual_way(text: str):
    assert rules.read_numbers(text, "x") == (1, 2, 3)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no numbers yet"),
        ("[]", "no numbers yet"),
        ("1, 2, three", "number 3 reads 'three'"),
        ("1, 0x10", "number 2 reads '0x10'"),
        ("1 " * (MOST_TYPED + 1), "at most 4,096"),
        ("9" * 5000 + "x", "number 1 reads"),
    ],
)
def test_a_mistake_is_one_sentence_about_the_tensor(text: str, said: str):
    with pytest.raises(SettingsError) as refusal:
        rules.read_numbers(text, "weight")
    message = str(refusal.value)
    assert said in message
    assert message.startswith("weight")
    assert len(message) < 200
    assert "\n" not in message


# -- bounds -----------------------------------------------------------------------------------------


def torch_size(size: int, kernel: int, **parameters: int) -> int:
    """The length of torch's own output."""
    layer = nn.ConvTranspose1d(1, 1, kernel, **parameters)
    return layer(torch.zeros(1, 1, size)).shape[-1]


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("dilation", range(1, 5))
def test_the_largest_output_padding_is_torchs(stride: int, dilation: int):
    most = rules.largest_output_padding(stride, dilation)
    torch_size(3, 2, stride=stride, dilation=dilation, output_padding=most)
    with pytest.raises(RuntimeError, match="output padding must be smaller"):
        torch_size(3, 2, stride=stride, dilation=dilation, output_padding=most + 1)


@moderate
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.data())
def test_the_largest_padding_is_torchs(
    size: int, kernel: int, stride: int, dilation: int, data: st.DataObject
):
    extra = data.draw(st.integers(0, rules.largest_output_padding(stride, dilation)))
    most = rules.largest_padding(size, kernel, stride, dilation, extra)
    others = {"stride": stride, "dilation": dilation, "output_padding": extra}
    assert torch_size(size, kernel, padding=most, **others) in (1, 2)
    with pytest.raises(RuntimeError, match="too small"):
        torch_size(size, kernel, padding=most + 1, **others)


@pytest.mark.parametrize("groups", range(1, rules.MOST_GROUPS + 1))
def test_channel_choices_are_multiples_of_the_groups(groups: int):
    choices = rules.channel_choices(groups)
    assert choices[0] == groups
    assert choices == sorted(set(choices))
    assert all(choice % groups == 0 and choice <= rules.MOST_CHANNELS for choice in choices)
    assert all(rules.nearest(choice, choices) == choice for choice in choices)


@moderate
@given(chosen(), st.data())
def test_the_nearest_valid_settings_are_valid(settings: Settings, data: st.DataObject):
    wild = replace(
        settings,
        groups=data.draw(st.integers(1, rules.MOST_GROUPS)),
        padding=tuple(data.draw(st.integers(0, 99)) for _ in range(settings.dims)),
        output_padding=tuple(data.draw(st.integers(0, 9)) for _ in range(settings.dims)),
    )
    found = rules.nearest_valid(wild)
    found.case()
    assert rules.nearest_valid(found) == found
    try:
        wild.case()
    except LayerError:
        return
    # What torch takes is moved only onto a channel count that the slider has.
    for name in PER_AXIS:
        assert getattr(found, name) == getattr(wild, name)


# -- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_torch_computes(name: str):
    settings = PRESETS[name].settings
    verdict = compare(settings.case())
    assert verdict.kind == ("rounding" if name == "dcgan" else "equal"), str(verdict)
    assert rules.nearest_valid(settings) == settings


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_set_with_the_controls(name: str):
    settings = PRESETS[name].settings
    assert settings.in_channels in rules.channel_choices(settings.groups)
    assert settings.out_channels in rules.channel_choices(settings.groups)
    for setting in PER_AXIS:
        low, high = rules.axis_range(setting, settings.dims)
        assert all(low <= value <= high for value in getattr(settings, setting)), setting


def test_presets_are_all_different():
    texts = [tuple(rules.written(preset.settings).values()) for preset in PRESETS.values()]
    assert len(set(texts)) == len(PRESETS)
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)


def test_the_presets_outputs_are_those_their_notes_name():
    assert QUESTION.case().trace().output.ravel().tolist() == [8, 8, 10, 10]
    assert PRESETS["pair"].settings.case().trace().output.ravel().tolist() == [12, 9]
    assert PRESETS["upsample"].settings.case().geometry.output_size == (11, 11)
    assert PRESETS["dcgan"].settings.case().geometry.output_size == (32, 32)
    assert PRESETS["bilinear"].settings.case().geometry.output_size == (8, 8)


@moderate
@given(chosen())
def test_settings_come_back_from_the_address(settings: Settings):
    linked = from_link(to_link(settings))
    assert not linked.problems
    assert linked.settings is not None
    # The address has no bias that is switched off; the rest is the same.
    kept = settings if settings.bias else replace(settings, offset=QUESTION.offset)
    assert rules.written(linked.settings) == rules.written(kept)
    assert linked.case == settings.case()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_back_from_the_address(name: str):
    settings = PRESETS[name].settings
    linked = from_link(to_link(settings))
    assert (linked.settings, linked.problems) == (settings, ())


@moderate
@given(chosen())
def test_what_the_controls_hold_is_left_alone(settings: Settings):
    assert rules.settable(settings) == settings


@moderate
@given(chosen(), st.data())
def test_wild_settings_become_what_the_controls_hold(settings: Settings, data: st.DataObject):
    many = st.integers(0, 10**6)
    wild = replace(
        settings,
        **{name: tuple(data.draw(many) for _ in range(settings.dims)) for name in PER_AXIS},
        batch=data.draw(many),
        groups=data.draw(many),
        in_channels=data.draw(many),
        x=rules.Fill("integers", seed=data.draw(many)),
    )
    found = rules.settable(wild)
    found.layer()
    assert rules.settable(found) == found
    assert found.batch <= rules.MOST_BATCH
    assert found.x.seed <= rules.MOST_SEED
    for name in PER_AXIS:
        low, high = rules.axis_range(name, found.dims)
        assert all(low <= value <= high for value in getattr(found, name))


@moderate
@given(chosen(), st.integers(1, 3))
def test_another_number_of_dimensions_keeps_the_first_axis(settings: Settings, dims: int):
    changed = rules.with_dims(settings, dims)
    changed.case()
    assert changed.dims == dims
    assert rules.with_dims(changed, dims) == changed
    if dims == settings.dims:
        assert changed == settings
        return
    for name in PER_AXIS:
        values = getattr(changed, name)
        assert len(set(values)) == 1
        most = rules.axis_range(name, dims)[1]
        if "padding" not in name:
            assert values[0] == min(getattr(settings, name)[0], most)
    for name in ("batch", "groups", "in_channels", "out_channels", "bias", "x", "weight"):
        assert getattr(changed, name) == getattr(settings, name)


def test_per_axis_settings_keep_their_axes_while_the_dimensions_stay():
    uneven = replace(PRESETS["upsample"].settings, stride=(2, 1), kernel=(3, 2), size=(5, 4))
    assert rules.with_dims(uneven, 2) == uneven

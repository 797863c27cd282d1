"""The solver against torch and against trying everything."""

from __future__ import annotations

import json
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import moderate

from convt_trace.__main__ import main
from convt_trace.engine.layer import Axis
from convt_trace.planning.sizes import MOST, Setting, SizesError, partner_of, sizes

small = st.integers(1, 6)


@st.composite
def settings(draw: st.DrawFn) -> Setting:
    """A legal setting that leaves something of its output."""
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    setting = Setting(
        kernel_size=draw(small),
        stride=stride,
        dilation=dilation,
        padding=draw(st.integers(0, 5)),
        output_padding=draw(st.integers(0, max(stride, dilation) - 1)),
        input_size=draw(st.integers(1, 9)),
    )
    return setting if setting.is_legal else Setting(kernel_size=2, input_size=3)


def arguments(setting: Setting) -> dict[str, int]:
    names = ("stride", "padding", "output_padding", "dilation")
    return {name: getattr(setting, name) for name in names}


@moderate
@given(settings())
def test_a_setting_makes_torchs_size(setting: Setting) -> None:
    x = torch.ones(1, 1, setting.input_size)
    made = torch.nn.functional.conv_transpose1d(
        x, torch.ones(1, 1, setting.kernel_size), **arguments(setting)
    )
    assert made.shape[-1] == setting.output_size


@moderate
@given(settings())
def test_its_line_is_the_layer(setting: Setting) -> None:
    layer = eval(setting.line(2, 3, 5), {"nn": torch.nn})
    assert layer(torch.ones(1, 3, *[setting.input_size] * 2)).shape[1:] == (
        5,
        setting.output_size,
        setting.output_size,
    )
    conv = eval(partner_of(setting.layer(1, 3, 5)), {"nn": torch.nn})
    assert (conv.kernel_size, conv.stride, conv.padding) == (
        (setting.kernel_size,), (setting.stride,), (setting.padding,),
    )  # fmt: skip


@moderate
@given(settings())
def test_macs_and_taps_are_the_traces(setting: Setting) -> None:
    axis = Axis(setting.input_size, setting.kernel_size, **arguments(setting))
    assert (setting.macs, setting.kept_macs) == (len(axis.i), axis.kept_pairs)
    # Far from the ends a position has the taps of its phase.
    long = Axis(60, setting.kernel_size, **arguments(setting)).count
    middle = 30 * setting.stride
    inner = [int(long[middle + phase]) for phase in range(setting.stride)]
    assert tuple(inner) == setting.taps_by_phase


@moderate
@given(settings())
def test_the_conv_folds_these_sizes_and_no_others(setting: Setting) -> None:
    found = set()
    for size in range(1, setting.output_size + setting.stride + 12):
        try:
            made = torch.nn.functional.conv1d(
                torch.ones(1, 1, size),
                torch.ones(1, 1, setting.kernel_size),
                stride=setting.stride,
                padding=setting.padding,
                dilation=setting.dilation,
            ).shape[-1]
        except RuntimeError:  # the kernel is larger than the padded input
            continue
        if made == setting.input_size:
            found.add(size)
    assert set(setting.folds) == found
    if setting.output_padding < setting.stride and found:
        assert setting.output_size in found


@moderate
@given(
    st.integers(1, 7), st.integers(1, 16), st.sets(small, min_size=1), st.sets(st.integers(1, 3), min_size=1)
)  # fmt: skip
def test_a_search_finds_everything(size: int, goal: int, kernels: set, dilations: set) -> None:
    """Against going through all settings; strides beyond the output make nothing but a crop."""
    strides = range(1, 9)
    found = {
        tuple(arguments(one).values()) + (one.kernel_size,)
        for one in sizes(size, goal, kernel=kernels, dilation=dilations, stride=strides)
    }
    expected = set()
    for kernel, dilation, stride in product(kernels, dilations, strides):
        for padding, extra in product(
            range(dilation * (kernel - 1) + 1), range(max(stride, dilation))
        ):
            one = Setting(
                kernel_size=kernel, dilation=dilation, stride=stride, padding=padding,
                output_padding=extra, input_size=size,
            )  # fmt: skip
            if one.is_legal and one.output_size == goal:
                expected.add((*arguments(one).values(), kernel))
    assert found == expected


@moderate
@given(st.integers(1, 4), st.integers(1, 9))
def test_a_multiple_holds_for_every_size(times: int, size: int) -> None:
    for one in sizes(size, times=times, kernel=range(1, 6), dilation=(1, 2)):
        for other in (1, 2, 5, 11):
            moved = Setting(kernel_size=one.kernel_size, input_size=other, **arguments(one))
            assert moved.output_size == times * other


def test_27_to_54() -> None:
    found = sizes(27, 54, kernel=range(2, 6))
    lines = [one.line(2, 64, 32) for one in found]
    assert "nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)" in lines[:2]
    assert "nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)" in lines
    assert all(one.output_size == 54 for one in found)
    assert [one.ratio for one in found] == sorted(one.ratio for one in found)
    even = sizes(27, 54, kernel=range(2, 6), even=True)
    assert {one.kernel_size for one in even} == {2, 4}
    table = found.to_markdown(2, 64, 32)
    assert table.count("\n") == len(found) + 1 and "53, 54" in table


def test_what_cannot_be_made_names_what_can() -> None:
    found = sizes(27, 54, kernel=4, output_padding=0, stride=3)
    assert not found and "No setting" in found.to_markdown()
    near = sizes(10, 22, kernel=2, output_padding=0)
    assert not near and near.near == (20, 27)


@pytest.mark.parametrize(
    "call, said",
    [
        ({"given": 0, "wanted": 5}, "The input size is a whole number from 1 on, not 0"),
        ({"given": 5, "wanted": 2.5}, "not 2.5"),
        ({"given": 5}, "either the wanted size or how many times"),
        ({"given": 5, "wanted": 10, "kernel": ()}, "at least one kernel"),
        ({"given": 5, "wanted": 10, "kernel": [0]}, "A kernel is a whole number from 1 on"),
        (
            {"given": 1, "wanted": 50, "kernel": range(1, 400), "dilation": range(1, 60)},
            f"{MOST:,}",
        ),
    ],
)
def test_what_is_not_possible_is_said_in_a_sentence(call: dict, said: str) -> None:
    with pytest.raises(SizesError, match=said):
        sizes(**call)


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sizes", "27", "54", "--kernel", "2:5", "--channels", "64", "32"]) == 0
    table = capsys.readouterr().out
    assert "| `nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)` | 54, 55 |" in table
    assert main(["sizes", "27", "--times", "2", "--kernel", "4", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["padding"], found["output_size"], found["ratio"]) == (1, 54, 1.0)
    assert main(["sizes", "10", "22", "--kernel", "2", "--output-padding", "0"]) == 1
    assert "The nearest sizes that they make: 20, 27." in capsys.readouterr().out
    assert main(["sizes", "0", "22"]) == 2
    assert "not 0" in capsys.readouterr().err

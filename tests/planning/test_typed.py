"""A layer typed as a line, and the command that counts it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from strategies import layers, moderate
from torch import nn

from convt_trace import Layer, LayerError, overlap
from convt_trace.__main__ import main
from convt_trace.planning.alternatives import alternatives
from convt_trace.planning.stacked import stacked
from convt_trace.planning.typed import NotReadError, layer_of


@moderate
@given(layers())
def test_a_line_that_a_case_writes_is_read_as_its_layer(drawn) -> None:
    case = drawn.case()
    assert layer_of(case.line()) == case.layer
    assert layer_of(f"self.up = torch.{case.line()},") == case.layer


@moderate
@given(layers())
def test_what_torch_prints_of_its_module_is_read(drawn) -> None:
    layer = drawn.case().layer
    kind = getattr(nn, f"ConvTranspose{layer.dims}d")
    made = kind(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
        layer.output_padding, layer.groups, False, layer.dilation,
    )  # fmt: skip
    assert layer_of(repr(made)) == layer


def test_arguments_by_position_are_torchs() -> None:
    assert layer_of("nn.ConvTranspose1d(4, 6, 5, 3, 2, 1, 2, True, 2, 'zeros')") == Layer.of(
        4, 6, 5, 3, 2, 1, 2, 2, dims=1
    )
    assert layer_of("ConvTranspose2d(1, 2, [3, 4], device=torch.device('cpu'), dtype=d)") == (
        Layer.of(1, 2, (3, 4), dims=2)
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nn.Conv2d(3, 8, 4)", "nn.Conv2d is no ConvTranspose"),
        ("nn.ConvTranspose2d(3, 8)", "kernel_size is missing"),
        ("nn.ConvTranspose2d(ins, 8, 4)", "in_channels=ins is not a number"),
        ("nn.ConvTranspose2d(3, 8, 2**2)", "kernel_size=2**2 is not a number"),
        ("nn.ConvTranspose2d(3, 8, print(1))", "kernel_size=print(1) is not a number"),
        ("nn.ConvTranspose2d(*a)", "in_channels=*a is not a number"),
        ("nn.ConvTranspose2d(3, 8, 4, **a)", "** is no argument"),
        ("nn.ConvTranspose2d(3, 8, 4, strides=2)", "strides is no argument"),
        ("nn.ConvTranspose2d(3, 8, 4, kernel_size=2)", "kernel_size is given twice"),
        ("nn.ConvTranspose2d(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)", "There are 11 arguments"),
        ("nn.ConvTranspose2d(3, 8, {[]: 1})", "kernel_size={[]: 1} is not a number"),
        ("a = 3", "makes no layer"),
        ("", "not one line"),
        ("a; b", "not one line"),
        ("nn.ConvTranspose2d(3, 8,", "not one line"),
        ("nn.ConvTranspose2d(3, 8, " + "-" * 3000 + "1)", "not"),
        ("a" + ".b" * 5000 + "()", "no"),
        ("(" * 5000, "not one line"),
    ],
)
def test_what_is_no_layer_is_told(line, said) -> None:
    with pytest.raises(NotReadError) as told:
        layer_of(line)
    assert said in str(told.value) and "nn.ConvTranspose2d(3, 8, 4, stride=2" in str(told.value)


def test_what_torch_refuses_is_refused() -> None:
    with pytest.raises(LayerError, match="non-positive stride"):
        layer_of("nn.ConvTranspose2d(3, 8, 4, stride=0)")
    with pytest.raises(TypeError, match="not str"):
        layer_of("nn.ConvTranspose2d(3, 8, '4')")


# -- the command ----------------------------------------------------------------------------------

LINE = "nn.ConvTranspose2d(3, 8, 4, stride=3)"


def test_the_command_prints_the_table_the_map_and_the_programs(capsys) -> None:
    assert main(["overlap", LINE, "5", "4", "--map", "--alternatives"]) == 0
    out = capsys.readouterr().out
    seen = overlap(layer_of(LINE), (5, 4))
    assert str(seen) in out
    rows = [line.strip(" []").split() for line in out.splitlines() if line.startswith("    [")]
    rows += [line.strip(" []").split() for line in out.splitlines() if line.startswith("     [")]
    assert [[int(number) for number in row] for row in rows] == seen.map().tolist()
    for one in alternatives(layer_of(LINE), (5, 4)):
        assert one.sentence in out
        for line in filter(None, one.code.splitlines()):
            assert f"    {line}\n" in out


def test_the_command_takes_layers_in_a_row(capsys) -> None:
    lines = ["nn.ConvTranspose1d(3, 8, 3, 2)", "nn.ConvTranspose1d(8, 1, 3, 2)"]
    assert main(["overlap", *lines, "5", "--map"]) == 0
    out = capsys.readouterr().out
    seen = stacked([layer_of(line) for line in lines], 5)
    assert str(seen) in out
    x = torch.ones(1, 3, 5)
    for line in lines:
        module = eval(line, {"nn": nn})
        nn.init.ones_(module.weight), nn.init.zeros_(module.bias)
        x = module(x)
    assert " ".join(str(int(number)) for number in x.ravel().tolist()) in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([LINE, "--map"], "give input_size"),
        ([LINE, "--alternatives"], "give input_size"),
        ([LINE, "0"], "Only zero batch"),
        ([LINE, "1", "2", "3"], "input_size"),
        (["16", "16"], "no layer"),
        (["nn.Linear(3, 4)"], "no ConvTranspose"),
        ([LINE, LINE], "channels"),
        ([LINE.replace("8", "3")] * 2 + ["4", "--alternatives"], "for one layer"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence_on_standard_error(capsys, arguments, said) -> None:
    assert main(["overlap", *arguments]) == 1
    told = capsys.readouterr()
    assert told.out == "" and said in told.err


def test_a_large_map_is_not_printed(capsys) -> None:
    assert main(["overlap", LINE, "500", "--map"]) == 0
    assert "at most 10,000" in capsys.readouterr().out

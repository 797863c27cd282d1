"""A chain against torch: its sizes, its skips and their mending, and which inputs an output needs."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import moderate
from torch import nn

from convt_trace.planning.chain import Chain
from convt_trace.planning.stage import AxesError, ChainError

UNET = """
self.down = nn.Conv2d(1, 8, 3, padding=1)
nn.ReLU()
save a
nn.MaxPool2d(2)  # halves
nn.Conv2d(8, 16, kernel_size=(3, 3), padding=1)
save b
nn.MaxPool2d(2)
nn.ConvTranspose2d(16, 8, 2, stride=2),
cat b
nn.Conv2d(24, 8, 3, padding=1)
nn.ConvTranspose2d(8, 8, 2, stride=2)
cat a
"""

small = st.integers(1, 4)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A layer of torch, as text."""
    kind = draw(
        st.sampled_from(["Conv", "ConvTranspose", "MaxPool", "AvgPool", "Upsample", "same", "pad"])
    )
    kernel, stride, dilation = draw(small), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = draw(st.integers(0, 2))
    if kind == "same":
        return f"nn.Conv1d(1, 1, {kernel}, padding='same', dilation={dilation})"
    if kind == "pad":
        return f"nn.functional.pad(x, ({padding}, {draw(small)}))"
    if kind == "Conv":
        return f"nn.Conv1d(1, 1, {kernel}, {stride}, {padding}, {dilation})"
    if kind == "ConvTranspose":
        extra = draw(st.integers(0, max(stride, dilation) - 1))
        return (
            f"nn.ConvTranspose1d(1, 1, {kernel}, stride={stride}, padding={padding}, "
            f"output_padding={extra}, dilation={dilation})"
        )
    ceil = draw(st.booleans())
    if kind == "Upsample":
        mode = draw(st.sampled_from(["nearest", "linear"]))
        return f"nn.Upsample(scale_factor={draw(st.sampled_from([1, 2, 3, 1.5]))}, mode='{mode}')"
    half = min(padding, kernel // 2)  # torch's own bound
    return f"nn.{kind}1d({kernel}, stride={stride}, padding={half}, ceil_mode={ceil})"


def run(line: str, x: torch.Tensor) -> torch.Tensor:
    """What torch makes of x by a line of a chain."""
    made = eval(line, {"nn": nn, "x": x, "F": nn.functional})
    return made if isinstance(made, torch.Tensor) else made(x)


@moderate
@given(st.lists(lines(), min_size=1, max_size=5), st.integers(1, 40))
def test_sizes_are_torchs(layers: list[str], size: int) -> None:
    found = Chain.read("\n".join(layers)).sizes(size)
    x = torch.ones(1, 1, size)
    for at, line in enumerate(layers, 1):
        try:
            x = run(line, x)
        except RuntimeError:
            assert len(found) <= at + 1 and found[-1] < 1, line
            return
        assert found[at] == x.shape[-1], line


@moderate
@given(st.lists(lines(), min_size=1, max_size=4))
def test_the_reach_holds_every_input_that_an_output_depends_on(layers: list[str]) -> None:
    chain, size = Chain.read("\n".join(layers)), 240
    if min(chain.sizes(size)) < 24 or any("ceil_mode=True" in line for line in layers):
        return
    x = torch.linspace(1, 2, size).reshape(1, 1, size).requires_grad_()
    y = x
    for line in layers:
        layer = eval(line, {"nn": nn, "x": y})
        if isinstance(layer, nn.Module):
            for parameter in layer.parameters():
                nn.init.ones_(parameter)
            layer = layer(y)
        y = layer
    before, after = chain.reach(size)
    middle = y.shape[-1] // 2
    for output in (middle, middle + 1):
        (gradient,) = torch.autograd.grad(y[0, 0, output], x, retain_graph=True)
        used = gradient[0, 0].nonzero().ravel()
        if not len(used):
            continue
        now = int(output / chain.rate())
        assert now - before <= int(used.min()) and int(used.max()) <= now + after


def test_the_unet_of_an_odd_size_and_what_mends_it() -> None:
    chain = Chain.read(UNET)
    assert chain.passes() == "multiples of 4"
    assert chain.fits(28) and not chain.fits(27)
    first, second = chain.misfits(30)[0], chain.misfits(27)[1:]
    assert first.sentence == "Line 10: b has 15, and here it is 14: 1 too few."
    assert first.crop_or_pad == "x = F.pad(x, (0, 1, 0, 1))"
    line, setting = first.changes[0]
    assert line == 9 and (setting.kernel_size, setting.output_padding) == (2, 1)
    assert [one.sentence for one in second] == ["Line 13: a has 27, and here it is 26: 1 too few."]


@moderate
@given(st.integers(4, 60), st.integers(2, 4), st.integers(0, 1))
def test_every_change_mends_it(size: int, kernel: int, padding: int) -> None:
    text = f"""save a
nn.Conv1d(1, 1, 3, stride=2, padding={padding})
nn.ConvTranspose1d(1, 1, {kernel}, stride=2)
nn.Conv1d(1, 1, 2)
cat a"""
    chain = Chain.read(text)
    for misfit in chain.misfits(size):
        assert misfit.changes, misfit.sentence
        for line, setting in misfit.changes[:5]:
            mended = text.splitlines()
            mended[line - 1] = setting.line()
            assert Chain.read("\n".join(mended)).fits(size)
        x = torch.ones(1, 1, misfit.here)
        names = {"x": x, "F": nn.functional}
        exec(misfit.crop_or_pad, names)
        assert names["x"].shape[-1] == misfit.saved


def test_a_causal_vocoder_trims_on_the_right() -> None:
    chain = Chain.read(
        "nn.ConvTranspose1d(8, 8, 16, stride=8)\nnn.ConvTranspose1d(8, 8, 4, stride=2)"
    )
    assert [(link.line, trim) for link, trim in chain.trims()] == [(1, 8), (2, 2)]
    assert chain.reach(50)[1] == 0 and chain.rate() == 16
    padded = Chain.read("nn.ConvTranspose1d(8, 8, 16, stride=8, padding=4)")
    assert padded.reach(50) == (1, 1)


@pytest.mark.parametrize(
    "text, said",
    [
        ("nn.LSTM(1, 2)", "Line 1: LSTM is not known here"),
        ("for x in y:", "Line 1 is not a layer"),
        ("\nnn.Conv1d(1, 1, k)", "Line 2: write its arguments as numbers"),
        ("nn.Conv2d(1, 1, (3, 5))", "kernel_size differs between axes"),
        ("nn.Conv2d(1, 1, 0)", "kernel_size=0 is not a number from 1 to 10,000"),
        ("nn.Conv2d(1, 1, 3, padding='full')", "padding='full' is not a number"),
        ("nn.Conv2d(1, 1, 3, 2, padding='same')", "padding='same' for a stride of 1 alone"),
        ("nn.Conv2d(1, 1)", "kernel_size is missing"),
        ("nn.Conv2d(1, 1, 3)\nF.pad(x, 1)", "Line 2: write a pad as F.pad(x, (0, 1))"),
        ("nn.Conv1d(1, 1, 3)\nF.pad(x, (0, 1, 2, 3))", "a pad has two numbers"),
        ("nn.Conv1d(1, 1, 3)\nx[..., 1:9:2]", "Line 2: write a cut as x[..., :27]"),
        ("cat a", "Line 1: nothing was saved as a"),
        ("nn.ConvTranspose1d(1, 1, 3, output_padding=1)", "must be below the stride"),
        ("__import__('os').system('true')", "is not known here"),
        ("\n" * 600, "up to 500 lines"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(ChainError, match="(?s).*" + re.escape(said)):
        Chain.read(text)


def test_axes_that_differ_are_followed_one_by_one() -> None:
    text = "nn.MaxPool2d((2, 4))\nx = F.pad(x, (0, 1, 2, 0))\nx = x[..., 1:, :-1]"
    with pytest.raises(AxesError, match="kernel_size differs between axes"):
        Chain.read(text)
    x = torch.ones(1, 1, 20, 24)
    y = nn.functional.pad(nn.MaxPool2d((2, 4))(x), (0, 1, 2, 0))[..., 1:, :-1]
    assert [Chain.read(text, axis).sizes(n)[-1] for axis, n in ((0, 20), (1, 24))] == [*y.shape[2:]]


@pytest.mark.parametrize(
    "line",
    [
        "nn.PixelUnshuffle(3)",
        "nn.PixelShuffle(2)",
        "nn.AdaptiveAvgPool2d(5)",
        "nn.AdaptiveMaxPool2d((4, 4))",
        "nn.Upsample(size=9)",
        "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
    ],
)
@pytest.mark.parametrize("size", [6, 7, 9, 49])
def test_layers_that_resize(line: str, size: int) -> None:
    try:
        expected = run(line, torch.ones(1, 4, size, size)).shape[-1]
    except RuntimeError:
        expected = 0
    assert Chain.read(line).sizes(size)[-1] == expected


@pytest.mark.parametrize(
    "line",
    ["nn.Upsample(size=9)", "nn.Upsample(scale_factor=2, mode='bicubic')", "x = x[..., -9:]"],
)
def test_a_reach_that_depends_on_the_size_is_not_told(line: str) -> None:
    with pytest.raises(ChainError):
        Chain.read(f"nn.Conv1d(1, 1, 3)\n{line}").reach(20)


def test_a_chain_shows_itself_in_a_notebook() -> None:
    chain = Chain.read("nn.MaxPool1d(2)", size=9)
    assert "| 1 | `nn.MaxPool1d(2)` | 4 |" in chain._repr_markdown_()
    assert "9 goes through, and comes out as 4." in chain.to_markdown(9)
    assert "torch stops there" in Chain.read("nn.Conv1d(1, 1, 7)").to_markdown(3)

"""A chain read off a model: the sizes of another input are torch's, skips and all."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from planning.test_chain import lines, run
from strategies import moderate
from torch import nn
from torch.nn import functional as F

from convt_trace import chain
from convt_trace.engine.flow import flow_of
from convt_trace.planning.recorded import recorded
from convt_trace.planning.stage import AxesError, ChainError


def through(model, size: int, dims: int = 1, channels: int = 1) -> int:
    """The size that torch makes of a size; 0 where it refuses."""
    try:
        return model(torch.ones(1, channels, *[size] * dims)).shape[-1]
    except RuntimeError:
        return 0


@moderate
@given(st.lists(lines(), min_size=1, max_size=5), st.integers(1, 40), st.integers(1, 40))
def test_a_path_makes_of_another_size_what_torch_makes_of_it(layers, first: int, other: int):
    def model(x):
        for line in layers:
            x = torch.relu(run(line, x))
        return x

    assume(through(model, first))
    found = chain(model, torch.ones(1, 1, first))
    made = found.sizes(other)
    assert max(0, made[-1]) == through(model, other)
    assert len(found) == len(layers)


class UNet(nn.Module):
    """Two levels; joins by cat and by addition."""

    def __init__(self, kernel: int = 2, pads: bool = False):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 8, kernel, stride=2)
        self.last = nn.ConvTranspose2d(8, 8, kernel, stride=2)
        self.pads = pads

    def forward(self, x):
        one = self.first(x)
        two = self.second(self.pool(one))
        bottom = self.pool(two)
        y = self.up(bottom) + two
        y = self.last(y)
        if self.pads:
            y = F.pad(y, (0, one.shape[-1] - y.shape[-1], 0, one.shape[-2] - y.shape[-2]))
        return torch.cat([one, y], 1)


@pytest.mark.parametrize("size", range(4, 21))
def test_the_skips_of_a_unet_fit_where_torch_says_so(size: int):
    found = chain(UNet(), torch.ones(1, 3, 32, 32))
    assert found.fits(size) == bool(through(UNet(), size, 2, 3))
    assert found.passes() == "multiples of 4"


def test_a_join_that_torch_refused_is_mended_and_the_model_goes_on():
    found = recorded(UNet(), torch.ones(1, 3, 27, 27))
    assert [one.sentence for one in found.chain().misfits(27)] == [
        "Line 8: b has 13, and here it is 12: 1 too few.",
        "Line 10: a has 27, and here it is 26: 1 too few.",
    ]
    # The same lines as of a size that fits, so the mended run is the model's own.
    assert found.text == recorded(UNet(), torch.ones(1, 3, 28, 28)).text
    assert found.size == (27, 27) and found.notes == ()


def test_a_join_that_is_too_large_is_cropped():
    up = nn.ConvTranspose1d(1, 1, 4, stride=2)
    found = recorded(lambda x: F.max_pool1d(x + up(F.max_pool1d(x, 2)), 2), torch.ones(1, 1, 8))
    assert found.chain().misfits(8)[0].sentence == "Line 4: a has 8, and here it is 10: 2 too many."
    assert found.chain().sizes(8)[-1] == 4


def test_a_layer_that_torch_refused_is_the_end():
    model = nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(1, 1, 9), nn.Upsample(scale_factor=2))
    found = recorded(model, torch.ones(1, 1, 8))
    assert found.text == "nn.MaxPool1d(2)  # 0\nnn.Conv1d(1, 1, 9)  # 1"
    assert found.notes == ("torch stops at its end: what the model does behind it is not known",)
    assert found.chain().end(8) == "Line 2 makes -4 of 4: torch stops there."


def test_a_pad_worked_out_from_the_size_is_told():
    found = recorded(UNet(pads=True), torch.ones(1, 3, 30, 28))
    with pytest.raises(AxesError, match="30 x 28"):
        found.chain()
    found = recorded(UNet(pads=True), torch.ones(1, 3, 28, 28))
    assert "`F.pad(x, (0, 0, 0, 0))` stands as it was for this input" in found.notes[0]


class Block(nn.Module):
    """A residual block, as ResNets have it; its shortcut has a stride too."""

    def __init__(self, shortcut: nn.Module):
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, stride=2, padding=1)
        self.two = nn.Conv2d(3, 3, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x):
        return torch.relu(self.two(torch.relu(self.one(x))) + self.shortcut(x))


def test_a_branch_that_always_fits_is_left_out_and_another_is_told():
    found = recorded(Block(nn.Conv2d(3, 3, 1, stride=2)), torch.ones(1, 3, 16, 16))
    assert found.text.splitlines() == [
        "nn.Conv2d(3, 3, 3, stride=2, padding=1)  # one",
        "nn.Conv2d(3, 3, 3, padding=1)  # two",
    ]
    assert found.notes == ()
    # It makes 8 of 16 too, and 7 of 15, where the path makes 8.
    odd = recorded(Block(nn.AvgPool2d(2)), torch.ones(1, 3, 16, 16))
    assert "`nn.AvgPool2d(2)` is joined: its sizes are not followed" in odd.notes[0]


def test_a_gate_that_keeps_its_size_and_one_that_is_broadcast():
    gate, squeeze = nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1)

    def model(x):
        y = nn.functional.max_pool2d(x, 2)
        return y * torch.sigmoid(gate(y)) * torch.sigmoid(squeeze(y))

    found = recorded(model, torch.ones(1, 3, 9, 9))
    assert found.chain().sizes(11)[-1] == 5 and not found.notes


def test_output_size_is_noted_as_worked_out():
    up = nn.ConvTranspose2d(3, 3, 3, stride=2)
    found = recorded(lambda x: up(x, output_size=(10, 10)), torch.ones(1, 3, 4, 4))
    assert found.text == "nn.ConvTranspose2d(3, 3, 3, stride=2, output_padding=1)"
    assert "stands as it was for this input" in found.notes[0]


def test_what_is_behind_a_flattened_tensor_begins_anew():
    model = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 8), nn.Unflatten(1, (2, 4)),
        nn.ConvTranspose1d(2, 2, 4, stride=2), nn.ConvTranspose1d(2, 2, 4, stride=2),
    )  # fmt: skip
    found = recorded(model, torch.ones(1, 1, 8))
    assert found.text.count("\n") == 1 and found.size == (4,)
    assert found.notes == ("it begins behind flatten, which is not followed",)


def test_an_input_of_its_own_is_told():
    found = recorded(
        lambda x, z: torch.cat([F.max_pool1d(x, 2), F.max_pool1d(z, 3)], 1),
        torch.ones(1, 1, 8), torch.ones(1, 1, 12),
    )  # fmt: skip
    assert "an input of its own is joined" in found.notes[0]


def test_no_layer_is_one_sentence():
    with pytest.raises(ChainError, match="No layer ran"):
        chain(torch.relu, torch.ones(1, 1, 4))


def test_another_error_of_the_model_is_its_own():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        flow_of(nn.Sequential(nn.Conv1d(1, 1, 3), nn.Linear(4, 4)), torch.ones(1, 1, 9))


def test_on_the_meta_device_a_model_may_be_of_any_size():
    with torch.device("meta"):
        found = chain(UNet(), torch.ones(1, 3, 4096, 4096))
    assert found.sizes(4096)[-1] == 4096


def test_layers_of_every_kind_are_written_as_torch_reads_them():
    model = nn.Sequential(
        nn.Conv3d(1, 4, (3, 3, 3), stride=(1, 2, 2), padding="valid"),
        nn.AvgPool3d(2, stride=1, padding=1, ceil_mode=True), nn.MaxPool3d(2, dilation=2, stride=1),
        nn.ConvTranspose3d(4, 4, 3, stride=(1, 2, 2), groups=2), nn.ConstantPad3d(1, 0.0),
        nn.Upsample(scale_factor=(1, 2, 2), mode="trilinear"),
    )  # fmt: skip
    x = torch.ones(1, 1, 12, 17, 18)
    found = recorded(model, x)
    written = [line.partition("  #")[0] for line in found.text.splitlines()]
    again = x
    for line in written:
        again = run(line, again)
    assert again.shape[2:] == model(x).shape[2:]
    for axis, size in enumerate(x.shape[2:]):
        assert found.chain(axis).sizes(size)[-1] == model(x).shape[2 + axis]

"""The gradients of a transposed convolution, as the plain convolutions that they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from convt_trace.snippet import Call, read_snippet


def gradients(text: str) -> tuple[list[Call], list[str]]:
    reading = read_snippet("import torch\nimport torch.nn.functional as F\n" + text)
    calls = [call for call in reading.calls if "gradient" in call.origin]
    return calls, [note.text for note in reading.notes]


@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(0, 2), st.integers(0, 1), st.integers(1, 2),
    st.booleans(),
)  # fmt: skip
def test_both_gradients_have_autograds_numbers(
    dims: int, stride: int, padding: int, extra: int, dilation: int, batched: bool
) -> None:
    extra = min(extra, stride - 1)
    shape = (*((2,) if batched else ()), 2, *(3,) * dims)
    given_ = f"stride={stride}, padding={padding}, output_padding={extra}, dilation={dilation}"
    text = (
        f"torch.manual_seed(1)\nx = torch.randint(-4, 5, {shape}).float().requires_grad_()\n"
        f"w = torch.randint(-4, 5, {(2, 3, *(3,) * dims)}).float().requires_grad_()\n"
        f"y = F.conv_transpose{dims}d(x, w, {given_})\n"
        "(y * torch.randint(-3, 4, y.shape)).sum().backward()\nprint(x.grad, w.grad)"
    )
    names: dict[str, torch.Tensor] = {}
    exec("import torch\nimport torch.nn.functional as F\n" + text.rpartition("\n")[0], {}, names)
    (of_x, of_weight), _ = gradients(text)
    assert of_x.op == of_weight.op == f"conv{dims}d"
    np.testing.assert_array_equal(of_x.output, names["x"].grad.numpy())
    np.testing.assert_array_equal(np.swapaxes(of_weight.output, 0, 1), names["w"].grad.numpy())
    assert {of_x.verdict, of_weight.verdict} == {"equal"}


TRAIN = """
up = torch.nn.ConvTranspose1d(1, 1, 2)
for step in range(3):
    up(torch.ones(1, 1, 3)).sum().backward()
"""


def test_a_training_loop_that_looks_at_no_gradient_shows_none() -> None:
    assert gradients(TRAIN)[0] == []
    assert len(gradients(TRAIN + "print(up.weight.grad)")[0]) == 3


def test_the_gradients_that_autograd_grad_is_asked_for() -> None:
    text = (
        "x, w = torch.ones(1, 1, 3, requires_grad=True), torch.ones(1, 1, 2, requires_grad=True)\n"
    )
    calls, _ = gradients(text + "torch.autograd.grad(F.conv_transpose1d(x, w).sum(), w)")
    assert [call.origin for call in calls] == [
        "gradient of conv_transpose1d, of its weight with axes 0 and 1 swapped"
    ]


def test_groups_and_biases_are_told() -> None:
    text = "up = torch.nn.ConvTranspose1d(2, 2, 2, groups=2)\n"
    calls, notes = gradients(text + "up(torch.ones(1, 2, 3)).sum().backward()\nprint(up.bias.grad)")
    assert calls == []
    assert any("one convolution per group" in note for note in notes)
    assert any("summed over each channel" in note for note in notes)


@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 4)])
def test_a_gradient_is_what_the_transposed_convolutions_conv_gives(shape: tuple[int, ...]) -> None:
    text = f"x = torch.ones({shape}).requires_grad_()\nw = torch.tensor([[[1., 2., 4.]]])\n"
    (call,), _ = gradients(
        text + "F.conv_transpose1d(x, w, stride=2).sum().backward()\nprint(x.grad)"
    )
    expected = F.conv1d(torch.ones(*shape[:-1], 9), torch.tensor([[[1.0, 2.0, 4.0]]]), stride=2)
    assert call.output.tolist() == expected.tolist()

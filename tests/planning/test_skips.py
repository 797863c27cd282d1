"""What is said to mend a skip connection is run by torch, and fits."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import moderate
from torch import nn

from convt_trace import Case
from convt_trace.planning.skips import mended
from convt_trace.snippet import SnippetError, read_snippet


@moderate
@given(
    st.integers(2, 9), st.integers(2, 5), st.integers(2, 3), st.integers(-1, 2), st.integers(1, 3)
)
def test_every_change_makes_it_fit(
    size: int, kernel: int, stride: int, off: int, dims: int
) -> None:
    x, weight = np.ones((1, 1, *[size] * dims)), np.ones((1, 1, *[kernel] * dims))
    case = Case.of(x, weight, stride=stride)
    made = case.geometry.output_size[0]
    wanted = made + off
    try:
        torch.cat([torch.ones(1, 1, *[wanted] * dims), torch.ones(1, 1, *[made] * dims)], 1)
    except RuntimeError as error:
        said = mended(str(error), [case])
    else:
        assert off == 0
        return
    assert said is not None and f"makes {made} along" in said and f"{abs(off)} too" in said
    y = torch.ones(1, 1, *case.geometry.output_size)
    for line in re.findall(r"^- `(nn\..*)`$", said, re.M):
        layer = eval(line, {"nn": nn})
        assert layer(torch.ones(1, 1, *[size] * dims)).shape[2:] == (wanted,) * dims, line
    (code,) = re.findall(r"`y = (.*)`$", said, re.M)
    names = {"y": y, "F": nn.functional}
    assert eval(code, names).shape[2:] == (wanted,) * dims


SNIPPET = """
import torch
from torch import nn

x = torch.ones(1, 1, 27, 27)
down = nn.MaxPool2d(2)(x)
up = nn.ConvTranspose2d(1, 4, 2, stride=2)(down)
y = {join}
"""


@pytest.mark.parametrize("join", ["torch.cat([x, up], dim=1)", "x + up"])
def test_a_pasted_unet_is_told_what_is_off(join: str) -> None:
    with pytest.raises(SnippetError) as stopped:
        read_snippet(SNIPPET.format(join=join))
    said = mended(stopped.value.message, stopped.value.reading.cases)
    assert said is not None
    assert "makes 26 along H and W, where 27 is wanted: 1 too few." in said
    assert "- `nn.ConvTranspose2d(1, 4, 2, stride=2, output_padding=1)`" in said
    assert "F.pad(y, (0, 1, 0, 1))" in said


def test_another_message_has_no_mending() -> None:
    case = Case.of(np.ones((1, 1, 3)), np.ones((1, 1, 2)))
    assert mended("mat1 and mat2 shapes cannot be multiplied", [case]) is None
    said = "Sizes of tensors must match except in dimension 1. Expected size 9 but got size 8"
    assert mended(said, [case]) is None

"""The plain convolutions of a text: as they were called, with their own padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import DrawnConv, convs, moderate

from convt_trace.answers.plain import conv_cell_answer, conv_counts, conv_short_answer
from convt_trace.snippet import Call, read_snippet

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


def called(drawn: DrawnConv) -> Call:
    """A call as the recorder tells it: padding in numbers, "same" as its zeros in front."""
    tensors = {
        name: None if tensor is None else tensor.numpy()
        for name, tensor in (("x", drawn.x), ("weight", drawn.weight), ("bias", drawn.bias))
    }
    return Call(
        op=f"conv{drawn.dims}d",
        line=1,
        stack=(1,),
        source="",
        **tensors,
        stride=drawn.parameters["stride"],
        padding=tuple(before for before, _ in drawn.sides),
        output_padding=(0,) * drawn.dims,
        dilation=drawn.parameters["dilation"],
        groups=drawn.parameters["groups"],
        output=drawn.torch().numpy(),
        origin="",
    )


@moderate
@given(convs(dtypes=(torch.int64,)))
def test_a_call_is_the_convolution_that_ran(drawn: DrawnConv):
    call = called(drawn)
    conv = call.conv
    assert conv is not None and call.case is None
    np.testing.assert_array_equal(conv.trace().output, call.output)
    assert conv.layer.sides == tuple(drawn.sides)
    assert len(conv.trace()) == call.macs
    assert f"{call.macs:,} MAC" in conv_counts(conv)


@moderate
@given(convs(dtypes=(torch.int64,)))
def test_the_words_add_up_every_call(drawn: DrawnConv):
    call = called(drawn)
    given_ = (call.x, call.weight, call.bias, call.stride, call.zeros, call.dilation, call.groups)
    assert "not flipped" in conv_short_answer(*given_, output=call.output)
    last = tuple(size - 1 for size in call.output.shape)
    cell = (0, *last) if call.x.ndim == call.dims + 1 else last
    ours, torchs = (conv_cell_answer(*given_, output, *cell) for output in (None, call.output))
    value = int(call.output[last])
    assert f"= {value}`**" in ours and f"torch says {value}." in torchs


def test_a_read_call_has_its_padding_and_its_mode():
    reading = read_snippet(
        HEAD + "x = torch.ones(1, 2, 6)\n"
        "F.conv1d(x, torch.ones(1, 2, 4), padding='same')\n"
        "F.conv1d(x, torch.ones(1, 2, 3), padding='same')\n"
        "nn.Conv1d(2, 1, 3, padding=1, padding_mode='reflect')(x)\n"
        "nn.Conv1d(2, 1, 3, padding=0, padding_mode='reflect')(x)\n"
        "nn.Conv1d(2, 1, 3, padding=1)(x)\n"
        "nn.ConvTranspose1d(2, 1, 3, padding=1)(x)"
    )
    calls = reading.calls
    assert [call.zeros for call in calls[:5]] == ["same", (1,), (0,), (0,), (1,)]
    assert [call.mode for call in calls] == ["", "", "reflect", "", "", ""]
    assert [call.conv is not None for call in calls] == [True] * 5 + [False]
    for call in calls[:5]:
        np.testing.assert_allclose(call.conv.trace().output, call.output, rtol=1e-5, atol=1e-6)

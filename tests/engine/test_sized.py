"""A convolution by its sizes: counted as torch, as nested loops and as the trace count it."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from convt_trace import Geometry, Layer, summary
from convt_trace.answers.summary import counters, rows, totals
from convt_trace.engine.recording import sizes_of
from convt_trace.engine.sized import Sized

small = st.integers(1, 4)


@st.composite
def convolutions(draw: st.DrawFn) -> Sized:
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    transposed, batched = draw(st.booleans()), draw(st.booleans())

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    ins, outs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    weight = (ins, outs // groups) if transposed else (outs, ins // groups)
    stride, dilation = each(1, 3), each(1, 2)
    extra = each(0, 1) if transposed else (0,) * dims
    one = Sized(
        f"conv{'_transpose' * transposed}{dims}d",
        (*((draw(st.integers(1, 2)),) * batched), ins, *each(1, 5)),
        (*weight, *each(1, 3)),
        draw(st.booleans()),
        stride,
        each(0, 2),
        tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation)),
        dilation,
        groups,
    )
    assume(one.fits)
    return one


def run(one: Sized) -> torch.Tensor:
    given_ = {
        "stride": one.stride,
        "padding": one.padding,
        "dilation": one.dilation,
        "groups": one.groups,
    }
    if one.transposed:
        given_["output_padding"] = one.output_padding
    return getattr(F, one.op)(torch.ones(one.x), torch.ones(one.weight), **given_)


@given(convolutions())
def test_the_output_has_torchs_shape_and_its_sum_is_the_number_of_macs_that_land(
    one: Sized,
) -> None:
    output = run(one)
    assert tuple(output.shape) == one.output
    # Of ones alone every MAC that lands adds 1.
    assert output.sum().item() == one.landed


@given(convolutions())
def test_macs_are_those_of_nested_loops(one: Sized) -> None:
    walked = one.x if one.transposed else one.output
    positions = list(product(*map(range, walked[-one.dims :])))
    taps = list(product(*map(range, one.weight[2:])))
    batch = one.x[0] if len(one.x) == one.dims + 2 else 1
    assert one.macs == len(positions) * len(taps) * batch * one.weight[0] * one.weight[1]


@given(convolutions())
def test_transposed_ones_count_as_their_geometry_does(one: Sized) -> None:
    assume(one.transposed)
    layer = Layer.of(
        one.x[-one.dims - 1], one.out_channels, one.weight[2:], one.stride, one.padding,
        one.output_padding, one.groups, one.dilation, dims=one.dims,
    )  # fmt: skip
    batch = one.x[0] if len(one.x) == one.dims + 2 else 1
    geometry = Geometry(layer, batch, one.x[-one.dims :])
    assert (one.macs, one.landed) == (geometry.macs, geometry.kept_macs)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.Conv2d(8, 8, 3, padding="same"))
        self.up = nn.ModuleList([nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=4)])
        self.again = nn.ConvTranspose2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up[0](self.down(x))
        return F.conv_transpose2d(self.again(self.again(y)), torch.ones(4, 1, 2, 2))


def test_a_model_is_summed_up_layer_by_layer() -> None:
    model = Model()
    told = summary(model, torch.ones(2, 3, 8, 8))
    assert [one.module for one in told] == ["down.0", "down.1", "up.0", "again", "again", ""]
    assert [row["layer"] for row in rows(told)][::3] == ["down.0: Conv2d", "again: ConvTranspose2d"]
    assert [row["parameters"] for row in rows(told)][3:5] == [4 * 4 * 9 + 4, 0]
    parameters = sum(one.numel() for one in model.parameters())
    assert f"{parameters + 16:,} parameters" in totals(told)
    assert str(told).count("\n| ") == 6 and told._repr_markdown_() == str(told)


def test_torchs_counter_counts_two_for_each_mac() -> None:
    model, x = Model(), torch.ones(2, 3, 8, 8)
    with FlopCounterMode(display=False) as counted:
        model(x)
    macs = sum(one.macs for one in sizes_of(model, x))
    assert counted.get_total_flops() == 2 * macs
    assert f"FlopCounterMode counts {2 * macs:,} FLOPs" in counters(sizes_of(model, x))


def test_on_the_meta_device_a_model_may_be_of_any_size() -> None:
    with torch.device("meta"):
        model, x = nn.ConvTranspose2d(4096, 4096, 64, 2), torch.ones(8, 4096, 512, 512)
    (one,) = summary(model, x)
    assert one.output == tuple(model(x).shape) and one.macs == 8 * 4096**2 * 64**2 * 512**2


@pytest.mark.parametrize(
    "change",
    [{"x": (1, 3, 5)}, {"x": (5,)}, {"weight": (2, 3)}, {"groups": 0}, {"stride": (0,)},
     {"padding": (9,)}, {"weight": (2, 3, 0)}],
)  # fmt: skip
def test_what_torch_would_not_run_does_not_fit(change: dict[str, tuple[int, ...]]) -> None:
    given_ = {"x": (1, 2, 5), "weight": (2, 3, 4), "bias": True, "stride": (2,), "padding": (1,),
              "output_padding": (0,), "dilation": (1,)}  # fmt: skip
    assert Sized("conv_transpose1d", **given_).fits  # type: ignore[arg-type]
    assert not Sized("conv_transpose1d", **{**given_, **change}).fits  # type: ignore[arg-type]

"""What a model runs in torch is recorded, once and as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convt_trace.engine.recording import record
from convt_trace.engine.reference import compare, torch_output


class UNet(nn.Module):
    """Two steps down, two up, with skips; the ways up differ in every parameter that they may."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up1 = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, groups=2, bias=False)
        self.up2 = nn.ConvTranspose2d(8, 2, (3, 2), stride=2, padding=(1, 0), dilation=1)

    def forward(self, x):
        first = functional.relu(self.down1(x))
        second = functional.relu_(self.down2(first))
        up = self.up1(second, output_size=first.shape[-2:])
        return self.up2(torch.cat([first, functional.relu_(up)], dim=-3), output_size=x.shape[-2:])


def dcgan_generator():
    """The layers of a DCGAN generator, few channels wide."""

    def block(ins, outs, *where):
        return [
            nn.ConvTranspose2d(ins, outs, 4, *where, bias=False),
            nn.BatchNorm2d(outs),
            nn.ReLU(True),
        ]

    return nn.Sequential(
        *block(10, 8, 1, 0),
        *block(8, 4, 2, 1),
        *block(4, 2, 2, 1),
        nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def outputs_of(model: nn.Module) -> list[tuple[nn.Module, torch.Tensor]]:
    """Collect each transposed convolution of a model with what it returns, as the model runs."""
    seen = []
    for module in model.modules():
        if "ConvTranspose" in type(module).__name__:
            module.register_forward_hook(
                lambda module, _, output: seen.append((module, output.detach().clone()))
            )
    return seen


@pytest.mark.parametrize(
    "model, shape",
    [(UNet, (2, 2, 12, 10)), (UNet, (2, 8, 8)), (dcgan_generator, (2, 10, 1, 1))],
    ids=["unet", "unbatched unet", "dcgan"],
)
def test_every_layer_of_a_real_model_is_recorded_and_its_trace_gives_its_output(model, shape):
    torch.manual_seed(0)
    model, x = model().double(), torch.randn(shape, dtype=torch.float64)
    expected = model(x)
    seen = outputs_of(model)
    with record() as calls:
        result = model(x)
    assert len(calls) == len(seen) == sum("ConvT" in type(m).__name__ for m in model.modules())
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        assert torch.equal(result, expected)
    for case, (module, output) in zip(calls, seen):
        assert torch_output(case).tolist() == output.tolist()
        assert compare(case).kind != "different"
        np.testing.assert_allclose(case.trace().output, output, rtol=1e-12, atol=1e-13)
        assert torch.equal(torch.from_numpy(case.weight.copy()), module.weight)
        assert (case.bias is None) == (module.bias is None)
        assert case.layer.kernel_size == module.kernel_size
        assert (case.layer.stride, case.layer.groups) == (module.stride, module.groups)


#: ``stride, padding, dilation, transposed, output_padding, groups`` of `torch.convolution`.
TRANSPOSED = ([2, 3], [1, 0], [1, 2], True, [1, 0], 2)

CALLS = {
    "positional": lambda x, w, b: functional.conv_transpose2d(x, w, b, 2, (1, 0), 1, 2, (1, 2)),
    "keywords": lambda x, w, b: functional.conv_transpose2d(
        input=x, weight=w, bias=b, dilation=2, groups=2, output_padding=1, padding=1, stride=3
    ),
    "torch's": lambda x, w, b: torch.conv_transpose2d(x, w, b, [2, 1], groups=2),
    "both": lambda x, w, b: torch.conv_transpose2d(x, w, None, 2, padding=1, groups=2),
    "defaults": lambda x, w, b: functional.conv_transpose2d(x, w),
    "convolution": lambda x, w, b: torch.convolution(x, w, b, *TRANSPOSED),
    "convolution by keywords": lambda x, w, b: torch.convolution(
        groups=2, output_padding=[1, 1], transposed=True, dilation=[2, 1], padding=[0, 1],
        stride=[3, 2], bias=None, weight=w, input=x,
    ),
    "one number for each dimension": lambda x, w, b: torch.convolution(
        x, w, b, [2], [1], [1], True, [1], 2
    ),
    "_convolution": lambda x, w, b: torch._convolution(
        x, w, b, *TRANSPOSED, False, False, True, True
    ),
    "operator": lambda x, w, b: torch.ops.aten.convolution(x, w, b, *TRANSPOSED),
    "operator's overload": lambda x, w, b: torch.ops.aten.convolution.default(
        x, w, b, *TRANSPOSED
    ),
    "operator of its own": lambda x, w, b: torch.ops.aten.conv_transpose2d(x, w, b, [2, 2], groups=2),
    "overload of its own": lambda x, w, b: torch.ops.aten.conv_transpose2d.input(
        x, w, b, [2, 2], groups=2
    ),
}  # fmt: skip


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_functional_calls_are_recorded_once_in_whatever_form_they_are_made(call, inference):
    x, w, b = (
        torch.randint(-5, 5, (1, 4, 5, 6)),
        torch.randint(-5, 5, (4, 2, 3, 3)),
        torch.arange(4),
    )
    with torch.inference_mode(inference), record() as calls:
        output = CALLS[call](x, w, b)
    (case,) = calls
    np.testing.assert_array_equal(case.trace().output, output.numpy(), strict=True)


def test_a_convolution_that_is_not_transposed_is_not_recorded():
    x, w, b = torch.ones(1, 4, 5), torch.ones(2, 2, 3), torch.ones(2)
    with record() as calls:
        for convolution in (torch.convolution, torch.ops.aten.convolution):
            convolution(x, w, b, [1], [0], [1], False, [0], 2)
            convolution(x, w, b, [1], [0], [1], output_padding=[0], groups=2, transposed=False)
    assert calls == []


def test_an_exported_model_is_recorded_as_the_model_is():
    model = UNet()
    x = torch.randn(2, 2, 12, 10)
    exported = torch.export.export(model, (x,)).module()
    with record() as expected:
        model(x)
    with record() as calls:
        exported(x)
    assert len(calls) == 2 and calls == expected


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_modules_of_every_dimension_are_recorded_in_the_order_of_their_calls(dims):
    kinds = [getattr(nn, f"{lazy}ConvTranspose{dims}d") for lazy in ("", "Lazy")]
    first, second = kinds[0](2, 3, 2, stride=2), kinds[1](1, 3, padding=1)
    with record() as calls, torch.no_grad():
        y = second(first(torch.randn(1, 2, *[3] * dims)))
    assert [case.layer.out_channels for case in calls] == [3, 1]
    assert [case.dims for case in calls] == [dims, dims]
    np.testing.assert_allclose(calls[1].trace().output, y, rtol=1e-5, atol=1e-5)
    assert "1" in calls[0].origin and "2" in calls[1].origin


def test_only_transposed_convolutions_are_recorded_and_only_inside_the_block():
    layer, plain = nn.ConvTranspose1d(1, 1, 2), nn.Conv1d(1, 1, 2)
    x = torch.ones(1, 1, 4)
    layer(x)
    with record() as calls:
        plain(layer(plain(x)))
    layer(x)
    assert len(calls) == 1


def test_recordings_may_be_nested_and_end_when_the_model_fails():
    layer, x = nn.ConvTranspose1d(1, 1, 2), torch.ones(1, 1, 4)
    with record() as outer:
        layer(x)
        with record() as inner:
            layer(x)
    assert (len(outer), len(inner)) == (2, 1)
    with pytest.raises(RuntimeError, match="channels"), record() as failed:
        layer(torch.ones(1, 2, 4))
    layer(x)
    assert failed == []


def test_recording_leaves_gradients_as_they_are():
    layer, x = nn.ConvTranspose1d(2, 2, 3), torch.randn(1, 2, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), x)
    with record():
        (found,) = torch.autograd.grad(layer(x).square().sum(), x)
    assert torch.equal(found, expected)


def test_a_recorded_case_keeps_its_numbers_when_the_model_trains_on():
    layer, x = nn.ConvTranspose1d(1, 1, 2, bias=False), torch.ones(1, 1, 3)
    with record() as calls:
        output = layer(x).detach().clone()
    with torch.no_grad():
        layer.weight.zero_()
        x.zero_()
    assert calls[0].trace().output.tolist() == output.tolist()


def test_under_autocast_a_call_is_recorded_in_the_dtype_that_torch_computes_in():
    torch.manual_seed(0)
    model = nn.Sequential(nn.ConvTranspose1d(2, 3, 3), nn.ConvTranspose1d(3, 1, 2))
    seen = outputs_of(model)
    with torch.autocast("cpu", dtype=torch.bfloat16), record() as calls:
        model(torch.randn(1, 2, 5))
    for case, (_, output) in zip(calls, seen, strict=True):
        assert output.dtype == torch.bfloat16 and case.x.dtype.name == "bfloat16"
        assert torch_output(case).astype(np.float64).tolist() == output.double().tolist()
        assert compare(case).kind != "different"


def test_a_call_says_which_module_made_it():
    model = nn.ModuleDict({"up": nn.ConvTranspose1d(1, 1, 2)})
    whole = nn.Sequential(nn.Sequential(nn.Identity(), model["up"]))
    with record() as calls:
        whole(torch.ones(1, 1, 3))
        nn.functional.conv_transpose1d(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    assert [call.origin for call in calls] == [
        "0.1, call 1 recorded from a model", "call 2 recorded from a model"
    ]  # fmt: skip


def test_a_model_inside_vmap_or_jacrev_runs_as_it_would():
    x, w = torch.ones(5, 2, 6), torch.ones(2, 3, 4)

    def up(one):
        return nn.functional.conv_transpose1d(one[None], w)[0]

    for run in (lambda: torch.func.vmap(up)(x), lambda: torch.func.jacrev(up)(x[0])):
        expected = run()
        with record() as calls:
            y = run()
        assert torch.equal(y, expected)
        assert len(calls) + len(calls.notes) == 1


def test_complex_numbers_are_left_out_with_a_note():
    x = torch.ones(1, 1, 3, dtype=torch.complex64)
    with record() as calls:
        y = nn.functional.conv_transpose1d(x, torch.ones(1, 1, 2, dtype=torch.complex64))
    assert y.shape == (1, 1, 4) and calls == []
    assert len(calls.notes) == 1 and "conv_transpose1d is left out" in calls.notes[0]


def test_the_meta_device_gives_sizes():
    with torch.device("meta"), record() as calls:
        y = nn.ConvTranspose2d(1024, 512, 4, stride=2, padding=1)(torch.ones(1, 1024, 64, 64))
    (one,) = calls
    assert one.output == tuple(y.shape) and one.macs == 34_359_738_368


@pytest.mark.parametrize("ask", ["nn.grad", "backward", "autograd.grad"])
def test_the_gradient_of_a_plain_convolutions_input_is_recorded(ask):
    x = torch.arange(6.0).reshape(1, 1, 6).requires_grad_()
    w, above = torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[1.0, 3.0]]])
    with record() as calls:
        if ask == "nn.grad":
            dx = torch.nn.grad.conv1d_input((1, 1, 6), w, above, stride=2)
        else:
            y = nn.functional.conv1d(x, w, stride=2)
            if ask == "backward":
                y.backward(above)
                dx = x.grad
            else:
                (dx,) = torch.autograd.grad(y, x, above)
    (case,) = calls
    assert case.layer.output_padding == (1,)
    assert case.trace().output.tolist() == dx.tolist()

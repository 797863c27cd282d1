"""torch's own result beside the trace's: the verdict, the recorder, and torch's own test samples."""

from __future__ import annotations

import sys
import types
import unittest
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, Drawn, conv_transpose, layers, loop, moderate, spoil
from torch import nn
from torch.nn import functional

from convt_trace import Case
from convt_trace.engine.reference import compare, record, torch_output


def tampered(case: Case, cell: tuple[int, ...], value: float) -> Case:
    """The case with one number of its trace's output changed."""
    output = case.trace().output.copy()
    output[cell] = value
    case.trace().__dict__["output"] = output
    return case


def any_cell(draw, case: Case) -> tuple[int, ...]:
    shape = case.trace().output.shape
    return np.unravel_index(draw(st.integers(0, int(np.prod(shape)) - 1)), shape)


# -- the verdict --------------------------------------------------------------------------------


@moderate
@given(layers(dtypes=FLOATS + INTEGERS))
def test_the_trace_is_never_different_from_torch(drawn: Drawn):
    verdict = compare(drawn.case())
    assert verdict.kind in ("equal", "rounding")
    assert verdict.agrees.all() and verdict.agrees.shape == drawn.torch().shape
    assert ("equals torch" in str(verdict)) and (", exactly" in str(verdict)) == (
        verdict.kind == "equal"
    )


@moderate
@given(layers(dtypes=FLOATS), st.integers(0, 999))
def test_the_trace_is_never_different_from_torch_with_nan_and_inf_either(drawn: Drawn, seed: int):
    spoil(drawn, seed)
    case = drawn.case()
    verdict = compare(case)
    assert verdict.kind in ("equal", "rounding")
    assert np.isnan(verdict.torch).tolist() == np.isnan(case.trace().output).tolist()


@moderate
@given(layers(dtypes=(torch.float16, torch.float32, torch.float64, *INTEGERS), whole=True))
def test_whole_numbers_are_equal_exactly(drawn: Drawn):
    verdict = compare(drawn.case())
    assert (verdict.kind, verdict.max_difference, verdict.ulps) == ("equal", 0, 0)
    assert f"all {drawn.torch().numel():,} output value" in str(verdict)


@moderate
@given(layers(dtypes=FLOATS + INTEGERS))
def test_torchs_output_is_torchs(drawn: Drawn):
    output, expected = torch_output(drawn.case()), drawn.torch()
    assert f"torch.{output.dtype.name}" == str(expected.dtype)
    assert output.astype(np.float64).tolist() == expected.double().tolist()


@moderate
@given(layers(dtypes=(torch.float32, torch.float64)), st.data())
def test_a_wrong_float_is_called_different_and_only_its_cell_disagrees(drawn: Drawn, data):
    case = drawn.case()
    cell = any_cell(data.draw, case)
    # A number in a thousand, of the largest that any sum of this case could be.
    wrong = case.trace().output[cell] + 1e-3 * max(1, sum(abs(row.product) for row in loop(drawn)))
    verdict = compare(tampered(case, cell, wrong))
    assert verdict.kind == "different"
    assert np.argwhere(~verdict.agrees).tolist() == [list(cell)]
    assert str(verdict).startswith("differs from torch in 1 of") and "a bug in" in str(verdict)
    assert verdict.max_difference >= 1e-4


@moderate
@given(layers(dtypes=INTEGERS), st.data())
def test_an_integer_that_is_off_by_one_is_called_different(drawn: Drawn, data):
    case = drawn.case()
    cell = any_cell(data.draw, case)
    verdict = compare(tampered(case, cell, case.trace().output[cell] ^ 1))
    assert (verdict.kind, verdict.max_difference) == ("different", 1)
    assert np.argwhere(~verdict.agrees).tolist() == [list(cell)]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_nan_or_inf_where_torch_has_a_number_is_different(wrong):
    case = Case.of(np.ones((1, 1, 4)), np.ones((1, 1, 3)))
    assert compare(case).kind == "equal"
    verdict = compare(tampered(case, (0, 0, 2), wrong))
    assert verdict.kind == "different"
    assert verdict.agrees.tolist() == [[[True, True, False, True, True, True]]]


def test_nan_and_inf_that_torch_has_too_are_equal():
    case = Case.of(torch.tensor([[[np.inf, 1, np.nan, -np.inf, 1, 1, 1]]]), torch.ones(1, 1, 2))
    theirs = torch_output(case)
    assert np.isnan(theirs).any() and np.isinf(theirs).any() and np.isfinite(theirs).any()
    assert compare(case).kind == "equal"
    for cell in np.ndindex(theirs.shape):  # nor do they excuse another number in their place
        wrong = compare(tampered(Case.of(case.x, case.weight), cell, 17))
        assert np.argwhere(~wrong.agrees).tolist() == [list(cell)]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_cell_that_no_mac_reaches_is_zero_though_torchs_fast_kernels_may_put_nan_there(dtype):
    x, weight = torch.tensor([[[1.0]], [[2.0]]]), torch.tensor([[[np.inf, 1.0]]])
    case = Case.of(x.to(dtype), weight.to(dtype), stride=2, output_padding=1)
    assert case.trace().output[..., -1].tolist() == [[0], [0]]
    assert compare(case).kind == "equal"


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_one_unit_in_the_last_place_is_rounding_and_is_counted_as_one(dtype):
    x = torch.full((1, 3, 4), 1.5).to(dtype)
    case = Case.of(x, torch.ones(3, 1, 2, dtype=dtype))
    value = torch_output(case)[0, 0, 2]
    info = torch.finfo(dtype)
    assert value == 9
    verdict = compare(tampered(case, (0, 0, 2), 9 + 8 * info.eps))  # 8 <= 9 < 16
    assert (verdict.kind, verdict.ulps) == ("rounding", 1)
    assert verdict.max_difference == 8 * info.eps
    name = str(dtype).removeprefix("torch.")
    assert f"within {name} rounding" in str(verdict) and "1 ulp" in str(verdict)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("terms", [4, 64])
def test_the_bound_allows_what_the_order_of_adding_can_do_and_little_more(dtype, terms):
    eps = torch.finfo(dtype).eps
    case = Case.of(torch.ones(1, terms, 1, dtype=dtype), torch.ones(terms, 1, 1, dtype=dtype))
    assert compare(case).kind == "equal"

    def kind(apart):
        return compare(tampered(case, (0, 0, 0), terms * (1 + apart))).kind

    # In any order, m terms end within (m - 1) * eps/2 of their sum, to the first order; the
    # trace's own sum is in float64, whose eps is 2**-52.
    assert kind((terms - 1) * (eps + 2**-52) / 2) == "rounding"
    assert kind(2 * (terms + 4) * eps) == "different"


def test_cancellation_is_rounding_not_a_bug():
    x = torch.tensor([[[1e8], [1.0], [-1e8], [0.3]]])
    case = Case.of(x, torch.ones(4, 1, 1))
    exact = case.trace().output_sums[0, 0, 0]
    assert abs(exact - 1.3) < 1e-6
    assert all(
        compare(tampered(case, (0, 0, 0), value)).kind != "different" for value in (0.3, 1.3, 0)
    )
    assert compare(tampered(case, (0, 0, 0), 1e4)).kind == "different"


# -- the recorder -------------------------------------------------------------------------------


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
        assert (case.stride, case.groups) == (module.stride, module.groups)


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


# -- torch's own test samples -------------------------------------------------------------------


@pytest.fixture(scope="module")
def operators() -> Iterator[dict[str, object]]:
    """The entries of torch's own operator tests, by name.

    Importing them needs a test helper, expecttest, of which the samples use nothing.
    """
    added = "expecttest" not in sys.modules
    if added:
        helper = types.ModuleType("expecttest")
        helper.TestCase, helper.assert_expected_inline = unittest.TestCase, None
        sys.modules["expecttest"] = helper
    try:
        invocations = pytest.importorskip(
            "torch.testing._internal.common_methods_invocations", exc_type=ImportError
        )
        yield {operator.name: operator for operator in invocations.op_db}
    finally:
        if added:
            del sys.modules["expecttest"]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.int64], ids=str
)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_torchs_own_samples_are_traced_to_torchs_own_results(operators, dims, dtype):
    samples = list(operators[f"nn.functional.conv_transpose{dims}d"].sample_inputs("cpu", dtype))
    assert len(samples) >= 8
    assert {"groups", "stride", "padding", "output_padding", "dilation"} == {
        name for sample in samples for name in sample.kwargs
    }
    for sample in samples:
        expected = conv_transpose(dims)(sample.input, *sample.args, **sample.kwargs)
        case = Case.of(sample.input, *sample.args, **sample.kwargs)
        np.testing.assert_array_equal(torch_output(case), expected.numpy(), strict=True)
        verdict = compare(case)
        assert verdict.kind == "equal" or (verdict.kind == "rounding" and dtype.is_floating_point)
        gathered = case.trace("gather")
        assert gathered.order == "gather" and case.trace().order == "scatter"
        assert gathered.output.tolist() == case.trace().output.tolist()

"""torch's own result beside the trace's: the verdict, and torch's own test samples."""

from __future__ import annotations

import sys
import types
import unittest
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, Drawn, conv_transpose, layers, loop, moderate, spoil

from convt_trace import Case
from convt_trace.engine.reference import compare, torch_output


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


def test_a_sum_of_very_many_terms_does_not_end_the_process():
    x, weight = np.ones((2, 13066, 2), np.float32), np.ones((13066, 2, 59), np.float32)
    case = Case.of(x, weight, stride=4, output_padding=3)
    assert compare(case).kind == "equal"


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
        # Importing them also makes torch's flags read-only, for every test that comes after.
        with patch.object(torch.backends, "disable_global_flags", lambda: None):
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

"""ONNX, which the tests have: its own node tests, its reference evaluator and onnxruntime."""

from __future__ import annotations

import warnings
from random import Random

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from onnx.backend.test.case.node import collect_testcases
from strategies import layers, moderate

import parity
from convt_trace import Case, compare
from convt_trace.elsewhere.port import from_onnx
from convt_trace.elsewhere.ported import Ported
from convt_trace.elsewhere.translate import to_onnx


def node_tests() -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases("ConvTranspose")}


NODE_TESTS = node_tests()


def ported(case, runtime: str) -> tuple[Ported, list[np.ndarray], np.ndarray]:
    """A node test as our formulas read it, with its inputs and the output that it expects."""
    ((inputs, (expected,)),) = case.data_sets
    (node,) = case.model.graph.node
    given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if "auto_pad" in given:
        given["auto_pad"] = given["auto_pad"].decode()
    x, weight = inputs
    given.setdefault("kernel_shape", weight.shape[2:])
    return (
        from_onnx(
            **given,
            input_size=x.shape[2:],
            in_channels=x.shape[1],
            out_channels=expected.shape[1],
            runtime=runtime,
        ),
        inputs,
        expected,
    )


def test_the_node_tests_are_there() -> None:
    kinds = (
        "_1d",
        "_3d",
        "_output_shape",
        "_pad",
        "_pads",
        "_kernel_shape",
        "_dilations",
        "_group_2",
    )
    assert {f"test_convtranspose{kind}" for kind in ("", "_autopad_same", *kinds)} <= set(
        NODE_TESTS
    )


@pytest.mark.parametrize("runtime", ["spec", "reference", "onnxruntime"])
@pytest.mark.parametrize("name", NODE_TESTS)
def test_our_formula_passes_onnx_own_node_test(name: str, runtime: str) -> None:
    layer, inputs, expected = ported(NODE_TESTS[name], runtime)
    output = layer.output(*inputs)
    assert output.shape == expected.shape
    assert (output == expected).all()


@pytest.mark.parametrize("runtime", ["reference", "onnxruntime"])
@pytest.mark.parametrize("name", NODE_TESTS)
def test_the_runtimes_pass_it_too(name: str, runtime: str) -> None:
    case = NODE_TESTS[name]
    ((inputs, (expected,)),) = case.data_sets
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.ir_version = 10  # older than what onnxruntime knows
    feeds = dict(zip((one.name for one in model.graph.input), inputs))
    assert np.allclose(parity.run_model(runtime, model, feeds), expected)


@pytest.mark.parametrize("runtime", ["reference", "onnxruntime"])
def test_our_formula_is_the_runtimes(runtime: str) -> None:
    random, refused = Random(3), 0
    for _ in range(150):
        made = parity.setting(runtime, random)
        theirs = parity.real(runtime, made)
        assert parity.same(theirs, parity.ours(runtime, made)), made
        refused += theirs is None
    assert 0 < refused < 75


@moderate
@given(layers())
def test_a_program_prints_what_torch_prints(drawn) -> None:
    case = drawn.case()
    there = to_onnx(case)
    assume(case.batched.size)
    names: dict = {}
    exec(there.code.replace("print(y)", ""), names)
    verdict = compare(case, names["y"])
    assert names["y"].dtype == case.x.dtype
    assert verdict.kind == "equal" or np.allclose(
        names["y"].astype(float), case.trace().output.astype(float), rtol=1e-4, atol=1e-4
    )


def test_a_window_beyond_the_canvas_holds_zeros_and_the_bias() -> None:
    given = {"dilation": 3, "padding": 1, "output_padding": 2}
    case = Case.of([[[5.0]]], [[[7.0]]], [2.0], **given)
    names: dict = {}
    exec(to_onnx(case).code, names)
    assert names["y"].tolist() == case.trace().output.tolist() == [[[2.0]]]


def test_the_facts_about_onnx_are_so() -> None:
    seen = parity.onnx_facts()
    assert all(seen.values()), seen

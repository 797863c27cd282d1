"""Translated programs: run with Keras, JAX and flax made of plain loops, they print PyTorch's numbers.

That the real ones compute what these loops do is `make parity`'s to show.
"""

from __future__ import annotations

import ast
import contextlib
import io
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brute import plain, same_gradient, scattered
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, layers, moderate

from convt_trace import Case
from convt_trace.elsewhere import facts
from convt_trace.elsewhere.canvas import axes_of, canvas_of
from convt_trace.elsewhere.translate import (
    FRAMEWORKS,
    to_flax,
    to_jax,
    to_keras,
    to_lax_general,
    to_onnx,
    translate,
)
from convt_trace.elsewhere.translation import Translation
from convt_trace.elsewhere.writing import WRITTEN_OUT

TO = {
    "keras": to_keras,
    "jax": to_jax,
    "jax, plain kernel": lambda case: to_jax(case, transpose_kernel=False),
    "flax": to_flax,
    "flax, plain kernel": lambda case: to_flax(case, transpose_kernel=False),
    "general": to_lax_general,
}


# -- the frameworks, made of loops ------------------------------------------------------------------


def batch(x: np.ndarray, one: Any) -> np.ndarray:
    return np.stack([one(item) for item in x])


def every(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


class KerasLayer:
    """Keras' Conv*DTranspose by TensorFlow's definition, channels last."""

    def __init__(
        self, dims: int, filters: int, kernel: Any, strides: Any = 1, padding: str = "valid",
        output_padding: Any = None, dilation_rate: Any = 1, use_bias: bool = True, dtype: str = "float32",
    ):  # fmt: skip
        self.dims, self.filters, self.padding, self.dtype = dims, filters, padding, dtype
        self.kernel = every(kernel, dims)
        self.strides, self.dilation = every(strides, dims), every(dilation_rate, dims)
        assert max(self.strides) == 1 or max(self.dilation) == 1, "Keras refuses both"
        assert max(self.dilation) == 1 or dtype == "float32", "TensorFlow refuses both"
        self.extra = None if output_padding is None else every(output_padding, dims)
        assert self.extra is None or all(e < s for e, s in zip(self.extra, self.strides))
        self.use_bias = use_bias

    def build(self, shape: tuple) -> None:
        self.shape = shape

    def set_weights(self, weights: list) -> None:
        assert len(weights) == 1 + self.use_bias
        assert weights[0].shape == (*self.kernel, self.filters, self.shape[-1])
        self.weight = weights[0]
        self.bias = weights[1] if self.use_bias else np.zeros(self.filters, self.dtype)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        assert x.dtype == self.weight.dtype == self.dtype and x.shape[1:] == self.shape[1:]
        weight = np.moveaxis(self.weight, (-1, -2), (0, 1))
        y = batch(np.moveaxis(x, -1, 1), lambda item: self.one(item, weight))
        return np.moveaxis(y, 1, -1) + self.bias

    def one(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation)]
        lengths = x.shape[1:]
        if self.padding == "valid":
            extra = self.extra or [max(0, s - span) for s, span in zip(self.strides, spans)]
            size = [
                (n - 1) * s + span + e for n, s, span, e in zip(lengths, self.strides, spans, extra)
            ]
            return scattered(x, weight, [0] * self.dims, size, self.strides, self.dilation)
        size = [n * s for n, s in zip(lengths, self.strides)]
        if self.extra is not None:
            size = [
                (n - 1) * s + span % 2 + e
                for n, s, span, e in zip(lengths, self.strides, spans, self.extra)
            ]
        assert all(-(-n // s) == length for n, s, length in zip(size, self.strides, lengths))
        return same_gradient(x, weight, size, self.strides, self.dilation)


def pads_by_name(name: str, shape: tuple, strides: tuple, dilation: tuple) -> list[tuple[int, int]]:
    """The zeros around the stuffed input that give the size that Keras documents."""
    pads = []
    for k, s, d in zip(shape, strides, dilation):
        span = d * (k - 1) + 1
        total = span + s - 2 if name == "SAME" else 2 * (span - 1) + max(s - span, 0)
        low = span - 1 if name == "VALID" or s >= span else -(-total // 2)
        pads.append((low, total - low))
    return pads


def conv_transpose(
    x: np.ndarray, kernel: np.ndarray, strides: tuple, padding: Any, rhs_dilation: Any = None,
    transpose_kernel: bool = False,
) -> np.ndarray:  # fmt: skip
    dims = x.ndim - 2
    dilation = every(rhs_dilation or 1, dims)
    if transpose_kernel:
        kernel = np.flip(kernel, tuple(range(dims))).swapaxes(-1, -2)
    if isinstance(padding, str):
        padding = pads_by_name(padding, kernel.shape[:dims], strides, dilation)
    plain_kernel = np.moveaxis(kernel, (-2, -1), (0, 1))
    y = batch(
        np.moveaxis(x, -1, 1), lambda item: plain(item, plain_kernel, padding, strides, dilation)
    )
    return np.moveaxis(y, 1, -1)


def conv_general_dilated(
    x: np.ndarray, kernel: np.ndarray, window_strides: tuple, padding: Any, lhs_dilation: tuple,
    rhs_dilation: Any = None, feature_group_count: int = 1,
) -> np.ndarray:  # fmt: skip
    assert set(window_strides) == {1} and not isinstance(padding, str)
    dilation = every(rhs_dilation or 1, x.ndim - 2)
    parts = [
        batch(
            inputs,
            lambda item, k=block: plain(item, k, padding, lhs_dilation, dilation),
        )
        for inputs, block in zip(
            np.split(x, feature_group_count, axis=1),
            np.split(kernel.swapaxes(0, 1), feature_group_count, axis=1),
        )
    ]
    return np.concatenate(parts, axis=1)


class FlaxLayer:
    def __init__(
        self, features: int, kernel_size: tuple, strides: Any = None, padding: Any = "SAME",
        kernel_dilation: Any = None, use_bias: bool = True, transpose_kernel: bool = False,
    ):  # fmt: skip
        self.given = (
            every(strides or 1, len(kernel_size)),
            padding,
            kernel_dilation,
            transpose_kernel,
        )
        self.features, self.use_bias, self.kernel_size = features, use_bias, kernel_size

    def apply(self, variables: dict, x: np.ndarray) -> np.ndarray:
        parameters = variables["params"]
        assert set(parameters) == ({"kernel", "bias"} if self.use_bias else {"kernel"})
        assert parameters["kernel"].shape[: len(self.kernel_size)] == self.kernel_size
        y = conv_transpose(x, parameters["kernel"], *self.given)
        assert y.shape[-1] == self.features
        return y + parameters["bias"] if self.use_bias else y


def module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    return made


@contextlib.contextmanager
def frameworks() -> Iterator[None]:
    """Put the loops in the place of Keras, JAX and flax."""
    keras_layers = SimpleNamespace(
        **{
            f"Conv{dims}DTranspose": lambda *given, dims=dims, **more: KerasLayer(
                dims, *given, **more
            )
            for dims in (1, 2, 3)
        }
    )
    lax = module(
        "jax.lax", conv_transpose=conv_transpose, conv_general_dilated=conv_general_dilated
    )
    numpy = module("jax.numpy", asarray=np.asarray)
    linen = module("flax.linen", ConvTranspose=FlaxLayer)
    config = SimpleNamespace(update=lambda name, value: None)
    stand_in = {
        "keras": module(
            "keras", layers=keras_layers, ops=SimpleNamespace(convert_to_numpy=np.asarray)
        ),
        "jax": module("jax", lax=lax, numpy=numpy, config=config),
        "jax.numpy": numpy,
        "jax.lax": lax,
        "flax": module("flax", linen=linen),
        "flax.linen": linen,
    }
    before = {name: sys.modules.get(name) for name in stand_in}
    sys.modules.update(stand_in)
    try:
        yield
    finally:
        for name, was in before.items():
            sys.modules.pop(name)
            if was is not None:
                sys.modules[name] = was


def run(code: str) -> np.ndarray:
    names: dict[str, Any] = {}
    with frameworks(), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names)
    assert printed.getvalue() == f"{names['y']}\n"
    return names["y"]


# -- what is held -----------------------------------------------------------------------------------


@moderate
@given(layers((*FLOATS, *INTEGERS), whole=True), st.sampled_from([*TO]))
def test_a_program_prints_pytorchs_numbers(drawn, name: str) -> None:
    case = drawn.case()
    y, expected = run(TO[name](case).code), drawn.torch()
    assert y.shape == tuple(expected.shape)
    assert (y.astype(float) == expected.double().numpy()).all()


@moderate
@given(layers(), st.sampled_from([*TO, "onnx"]))
def test_the_nearest_output_is_what_its_window_collects(drawn, name: str) -> None:
    case = drawn.case()
    there = {**TO, "onnx": to_onnx}[name](case)
    canvas = canvas_of(case)
    output = there.nearest_output if not case.unbatched else there.nearest_output[None]
    bias = np.zeros(case.layer.out_channels) if case.bias is None else case.bias.astype(float)
    for at in np.ndindex(output.shape):
        c = [o + window.before for o, window in zip(at[2:], there.nearest)]
        inside = all(0 <= p < axis.canvas for p, axis in zip(c, axes_of(case)))
        value = (canvas[(*at[:2], *c)] if inside else 0) + bias[at[1]]
        assert np.isclose(float(output[at]), float(value), rtol=1e-4, atol=1e-4)
    assert (there.nearest == there.windows) >= there.exact


@moderate
@given(layers(whole=True))
def test_keras_nearest_line_gives_the_nearest_output(drawn) -> None:
    case = drawn.case()
    there = to_keras(case)
    if case.layer.groups > 1 or "float64" in there.code:
        return
    x = np.moveaxis(case.batched.astype("float32"), 1, -1)
    with frameworks():
        layer = eval(there.line, {"layers": sys.modules["keras"].layers})
    stuffed = np.zeros((*case.weight.shape[:2], *layer.kernel), "float32")
    steps = every(1, case.dims)
    if layer.kernel != case.layer.kernel_size:
        steps = case.layer.dilation
    stuffed[(..., *(slice(None, None, step) for step in steps))] = case.weight
    layer.build((None, *x.shape[1:]))
    kernel = np.moveaxis(stuffed, (0, 1), (-1, -2))
    layer.set_weights([kernel] if case.bias is None else [kernel, case.bias.astype("float32")])
    y = np.moveaxis(layer(x), -1, 1)
    expected = there.nearest_output[None] if case.unbatched else there.nearest_output
    assert y.shape == expected.shape
    assert (y == expected.astype(float)).all()


def keras_of(**given: Any) -> Translation:
    size = given.pop("size", 3)
    kernel = given.pop("kernel", 3)
    return to_keras(Case.of(np.ones((1, 2, size)), np.ones((2, 1, kernel)), **given))


def test_what_keras_says_exactly() -> None:
    for asked, line in (
        ({"kernel": 4, "stride": 2, "padding": 1}, 'strides=2, padding="same"'),
        ({"kernel": 3, "padding": 1}, 'padding="same"'),
        ({"kernel": 3, "stride": 2, "output_padding": 1}, "strides=2, output_padding=1"),
        ({"kernel": 3, "stride": 2, "padding": 1}, 'strides=2, padding="same", output_padding=0'),
        ({"kernel": 2, "stride": 3, "output_padding": 1}, "strides=3"),
    ):
        there = keras_of(**asked)
        assert there.exact and not there.sentences, asked
        assert f"{asked['kernel']}, {line}, use_bias" in there.line


def test_what_keras_cannot_say_has_a_sentence() -> None:
    shifted = keras_of(stride=2, padding=1, output_padding=1)
    assert "crops 1 at the beginning and 0 at the end" in shifted.sentences[0]
    assert "whole canvas" in shifted.sentences[1]
    grouped = keras_of(groups=2)
    assert "no groups" in grouped.sentences[0] and not grouped.exact
    both = keras_of(stride=2, dilation=2)
    assert (
        "dilation_rate > 1" in both.sentences[0] and "Conv1DTranspose(1, 5, strides=2" in both.line
    )


def test_a_framework_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no framework 'mxnet'.*keras, jax"):
        translate(Case.of([[[1]]], [[[1]]]), "mxnet")
    assert {title.partition(":")[0] for title, _ in FRAMEWORKS.values()} == {
        translate(Case.of([[[1]]], [[[1]]]), name).framework for name in FRAMEWORKS
    }


def test_a_large_stride_is_no_large_search() -> None:
    there = to_keras(Case.of(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 1, 1, 1)), stride=2**15))
    assert "strides=32768" in there.line


def test_whole_numbers_that_no_float_holds_are_told() -> None:
    large = Case.of(np.full((1, 1, 2), 2**30), np.full((1, 1, 2), 2**30))
    assert "too large for float64" in to_keras(large).sentences[-1]
    assert to_jax(large).sentences == ()
    assert 'dtype="int64"' in to_jax(large).code and "jax_enable_x64" in to_jax(large).code
    medium = Case.of(np.full((1, 1, 2), 2**14), np.full((1, 1, 2), 2**14))
    assert "float64" in to_keras(medium).code and not to_keras(medium).sentences
    assert "too large for float32" in to_onnx(medium).sentences[-1]


@pytest.mark.parametrize("name", [*TO, "onnx"])
def test_large_tensors_are_drawn_at_random_and_that_is_said(name: str) -> None:
    case = Case.of(np.ones((1, 1, WRITTEN_OUT + 1), np.float32), np.ones((1, 1, 2), np.float32))
    there = {**TO, "onnx": to_onnx}[name](case)
    assert "np.random.default_rng(0).normal" in there.code and len(there.code) < 2000
    assert "too large to be written out" in there.sentences[-1]


@moderate
@given(layers((*FLOATS, *INTEGERS)), st.sampled_from([*TO, "onnx"]))
def test_every_program_is_python_and_every_sentence_ends(drawn, name: str) -> None:
    there = {**TO, "onnx": to_onnx}[name](drawn.case())
    ast.parse(there.code)
    ast.parse(there.line)
    assert there.code.endswith("print(y)")
    assert all(sentence.endswith(".") for sentence in there.sentences)
    assert there.exact or there.sentences


def test_numbers_that_are_none_are_written() -> None:
    case = Case.of(
        np.array([[[np.nan, -np.inf, -0.0]]], np.float32), np.ones((1, 1, 1), np.float32)
    )
    y = run(to_jax(case).code)
    assert np.isnan(y[0, 0, 0]) and y[0, 0, 1] == -np.inf


@pytest.mark.parametrize("name", [*TO, "onnx"])
def test_an_empty_batch_is_no_error(name: str) -> None:
    case = Case.of(np.ones((0, 2, 3)), np.ones((2, 1, 2)), groups=2, padding=1)
    there = {**TO, "onnx": to_onnx}[name](case)
    assert there.nearest_output.shape[:2] == (0, 2) and there.nearest_output.size == 0
    ast.parse(there.code)


def test_facts_have_keys_of_their_own_and_end() -> None:
    assert len({fact.key for fact in facts.FACTS}) == len(facts.FACTS)
    assert all(fact.sentence.endswith(".") for fact in facts.FACTS)

"""The way back: PyTorch's layer with its crop gives the framework's output, and so does its program."""

from __future__ import annotations

import contextlib
import io
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import moderate

import parity
from convt_trace.elsewhere import layouts
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.port import (
    from_flax,
    from_jax,
    from_keras,
    from_lax_general,
    from_onnx,
)
from convt_trace.elsewhere.ported import Ported

FRAMEWORKS = ("keras-jax", "jax", "general", "flax", "onnxruntime")


def some(framework: str, seed: int) -> tuple[Ported, np.ndarray, np.ndarray]:
    made = parity.setting(framework, Random(seed))
    try:
        return parity.read(framework, made), *parity.tensors(made)
    except RefusedError:
        assume(False)
        raise


def kernel_of(ported: Ported, weight: np.ndarray) -> np.ndarray:
    """PyTorch's weight as the framework has it, with the numpy side of the layouts."""
    return {
        "koi": layouts.keras_kernel,
        "kio": layouts.jax_kernel,
        "oik": lambda weight: layouts.general_kernel(weight, ported.layer.groups),
        "iok": lambda weight: weight,
    }[ported.kernel_axes](weight)


def run(ported: Ported, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Run its program with these numbers in place of random ones."""
    given = {"x": x, "kernel": kernel, "bias": bias}
    names: dict = {name: torch.tensor(np.ascontiguousarray(t, float)) for name, t in given.items()}
    shapes = {}
    kept = []
    for line in ported.code.splitlines():
        name, _, value = line.partition(" = torch.randn")
        if value:
            shapes[name] = (
                torch.randn(*eval(value.partition("#")[0])).shape if "," in value else None
            )
        else:
            kept.append(line)
    # The program's own random numbers have the shapes of these.
    assert shapes["x"] == names["x"].shape and shapes["kernel"] == names["kernel"].shape
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec("\n".join(kept), names)
    assert printed.getvalue() == f"{names['y'].shape}\n"
    return names["y"].detach().numpy()


@moderate
@given(st.sampled_from(FRAMEWORKS), st.integers(0, 2**30), st.booleans())
def test_its_program_gives_the_frameworks_output(framework: str, seed: int, biased: bool) -> None:
    ported, x, weight = some(framework, seed)
    ported = Ported(**{**vars(ported), "bias": biased})
    bias = np.arange(1, ported.layer.out_channels + 1)
    expected = ported.output(x, weight, bias if biased else None)
    y = run(ported, x, kernel_of(ported, weight), bias)
    assert y.shape[2:] == ported.output_size
    assert (y == expected).all()


@moderate
@given(st.sampled_from(FRAMEWORKS), st.integers(0, 2**30))
def test_it_is_exact_where_pytorchs_layer_alone_gives_it(framework: str, seed: int) -> None:
    ported, x, weight = some(framework, seed)
    layer = ported.layer
    alone = getattr(torch.nn.functional, f"conv_transpose{layer.dims}d")(
        torch.tensor(x), torch.tensor(weight), None,
        layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation,
    ).numpy()  # fmt: skip
    if ported.exact:
        assert parity.same(alone, ported.output(x, weight))
    elif not ported.wraps:
        mended = [n + sum(pair) for n, pair in zip(alone.shape[2:], ported.mend)]
        assert tuple(mended) == ported.output_size and any(map(any, ported.mend))
    assert ported.exact == ("y = F.pad" not in ported.code)


def test_small_numbers_by_hand() -> None:
    same = from_keras(1, 3, strides=2, padding="same", input_size=(2,))
    assert same.output([[[1, 2]]], [[[1, 10, 100]]]).tolist() == [[[1, 10, 102, 20]]]
    pads = from_jax((3,), (2,), [(1, 1)], input_size=(2,))
    assert pads.output([[[1, 2]]], [[[1, 10, 100]]]).tolist() == [[[10, 102, 20]]]
    ring = from_flax(1, (3,), (1,), "CIRCULAR", input_size=(3,))
    assert ring.output([[[1, 2, 3]]], [[[1, 10, 100]]]).sum() == 6 * 111


def test_what_cannot_be_said_in_pytorch_has_a_sentence() -> None:
    end = from_keras(1, 3, strides=2, padding="same", input_size=(4, 4))
    assert [sentence.split()[:3] for sentence in end.sentences] == [
        ["Along", "H", "Keras"],
        ["Along", "W", "Keras"],
    ]
    ring = from_flax(1, (3,), padding="CIRCULAR", transpose_kernel=True, input_size=(4,))
    assert "no circular" in ring.sentences[0]
    wide = from_jax((2,), (1,), [(4, 1)], transpose_kernel=True, input_size=(4,))
    assert "adds 3 at the beginning" in wide.sentences[0] and wide.mend == ((3, 0),)


def test_a_window_beside_the_canvas_holds_zeros() -> None:
    outside = from_jax((1,), (1,), [(-1, 3)], transpose_kernel=True, input_size=(1,))
    assert not outside.output([[[5]]], [[[7]]]).any() and outside.output_size == (3,)
    y = run(outside, np.array([[[5]]]), np.array([[[7]]]), np.zeros(1))
    assert y.tolist() == outside.output([[[5]]], [[[7]]]).tolist()


BOTH = "strides > 1 beside dilation_rate > 1"
STEP = "window_strides=2 in a transposed convolution"


@pytest.mark.parametrize(
    ("make", "who", "what"),
    [
        (lambda: from_keras(1, 3, 2, dilation_rate=2, input_size=(4,)), "Keras", BOTH),
        (lambda: from_keras(1, (3, 3), input_size=(4,)), "Keras", "kernel_size=(3, 3)"),
        (lambda: from_keras(1, 0, input_size=(4,)), "Keras", "kernel_size=0"),
        (lambda: from_keras(1, 3, True, input_size=(4,)), "Keras", "strides=True"),
        (lambda: from_keras(0, 3, input_size=(4,)), "PyTorch", "this layer"),
        (lambda: from_keras(1, 3, input_size=(0,)), "Keras", "input_size=(0,)"),
        (lambda: from_flax(1, 3, input_size=(4, 4)), "flax", "kernel_size=3 in 2 dimensions"),
        (lambda: from_flax(1, (3,), padding=[(1, 2, 3)], input_size=(4,)), "flax", "padding=[(1, 2, 3)]"),
        (lambda: from_jax((3,), (2,), 1, input_size=(4,)), "JAX", "padding=1"),
        (lambda: from_lax_general((3,), "SAME", (2,), input_size=(4,)), "JAX", "padding='SAME'"),
        (lambda: from_lax_general(3, [(1, 1)], window_strides=2, input_size=(4,)), "PyTorch", STEP),
        (lambda: from_onnx(3, pads=[1], input_size=(4,)), "ONNX", "pads=[1]"),
        (lambda: from_onnx(3, group=2, input_size=(4,)), "PyTorch", "this layer"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_by_name(make, who: str, what: str) -> None:
    with pytest.raises(RefusedError) as caught:
        make()
    assert (caught.value.framework, caught.value.parameter) == (who, what)

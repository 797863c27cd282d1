"""Every convention against plain loops from the frameworks' definitions, and PyTorch's against torch."""

from __future__ import annotations

import numpy as np
import pytest
from brute import plain, same_gradient, scattered
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import layers, moderate

from convt_trace.elsewhere import layouts
from convt_trace.elsewhere.canvas import axes_of, canvas_of, keep, output_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    cropped,
    flax_window,
    keras_window,
    lax_window,
    odd_side,
    onnx_window,
    torch_window,
)
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.port import (
    from_flax,
    from_jax,
    from_keras,
    from_lax_general,
    from_onnx,
)

numbers = st.integers


@st.composite
def canvases(draw, dims: int | None = None) -> tuple[list[CanvasAxis], np.ndarray, np.ndarray]:
    """Axes, x (in, *L) and weight (in, out, *k) of small whole numbers."""
    dims = dims or draw(numbers(1, 2))
    longest = 5 if dims == 1 else 3
    axes = [
        CanvasAxis(
            draw(numbers(1, longest)), draw(numbers(1, 4)), draw(numbers(1, 4)), draw(numbers(1, 3))
        )
        for _ in range(dims)
    ]
    random = np.random.default_rng(draw(numbers(0, 2**20)))
    ins, outs = draw(numbers(1, 2)), draw(numbers(1, 2))
    return (
        axes,
        random.integers(-4, 5, (ins, *(axis.length for axis in axes))),
        random.integers(-4, 5, (ins, outs, *(axis.taps for axis in axes))),
    )


def each(axes: list[CanvasAxis], name: str) -> tuple[int, ...]:
    return tuple(getattr(axis, name) for axis in axes)


def sizes(axes: list[CanvasAxis], x: np.ndarray) -> dict:
    return {"input_size": each(axes, "length"), "in_channels": len(x)}


def flipped(weight: np.ndarray) -> np.ndarray:
    return np.flip(weight, axis=tuple(range(2, weight.ndim)))


def pairs(axes: list[CanvasAxis], data: st.DataObject) -> list[tuple[int, int]]:
    return [(data.draw(numbers(-2, 5)), data.draw(numbers(-2, 5))) for _ in axes]


@moderate
@given(layers())
def test_pytorchs_window_is_torchs(drawn) -> None:
    case = drawn.case()
    output = output_of(case, windows_of(case))
    expected = drawn.torch().numpy()
    assert output.shape == expected.shape and output.dtype == expected.dtype
    assert np.allclose(output, expected, rtol=1e-4, atol=1e-4)
    if case.x.dtype.kind == "i":
        assert (output == expected).all()


@moderate
@given(canvases(), st.data())
def test_a_window_keeps_what_lands_in_it(canvas, data) -> None:
    axes, x, weight = canvas
    before = [data.draw(numbers(-3, 4)) for _ in axes]
    size = [data.draw(numbers(1, 9)) for _ in axes]
    loops = scattered(x, weight, before, size, each(axes, "stride"), each(axes, "dilation"))
    zero = [0] * len(axes)
    whole = scattered(
        x, weight, zero, each(axes, "canvas"), each(axes, "stride"), each(axes, "dilation")
    )
    assert (keep(whole, list(map(Window, before, size))) == loops).all()


@moderate
@given(layers())
def test_the_canvas_is_the_trace_without_padding(drawn) -> None:
    case = drawn.case()
    canvas = canvas_of(case)
    assert canvas.shape[2:] == tuple(axis.canvas for axis in axes_of(case))
    assert canvas.dtype == (np.int64 if case.x.dtype.kind == "i" else np.float64)
    macs = case.trace()[:]
    sums = np.zeros(canvas.shape, canvas.dtype)
    at = (macs.i * case.layer.stride + macs.k * case.layer.dilation).T
    np.add.at(sums, (macs.n, macs.out_channel, *at), macs.product)
    assert np.allclose(canvas, sums)


@moderate
@given(canvases(), st.booleans(), st.data())
def test_jax_pads_are_those_of_a_plain_convolution_over_the_stuffed_input(
    canvas, flag, data
) -> None:
    axes, x, weight = canvas
    pads = pairs(axes, data)
    stride, dilation = each(axes, "stride"), each(axes, "dilation")
    loops = plain(x, flipped(weight), pads, stride, dilation)
    kernel = each(axes, "taps")
    ask = {**sizes(axes, x), "out_channels": weight.shape[1]}
    if not loops.size:
        with pytest.raises(RefusedError, match="size"):
            from_jax(kernel, stride, pads, dilation, **ask)
        return
    jax = from_jax(kernel, stride, pads, dilation, transpose_kernel=flag, **ask)
    general = from_lax_general(kernel, pads, stride, dilation, **ask)
    flax = from_flax(weight.shape[1], kernel, stride, pads, dilation, flag, **sizes(axes, x))
    for ported in (jax, general, flax):
        assert (ported.output(x[None], weight)[0] == loops).all()


@moderate
@given(canvases(), st.data())
def test_keras_same_is_the_gradient_of_tensorflows_same(canvas, data) -> None:
    axes, x, weight = canvas
    stride = each(axes, "stride")
    dilation = each(axes, "dilation") if max(stride) == 1 else (1,) * len(axes)
    extra = data.draw(st.one_of(st.none(), st.just([data.draw(numbers(0, s - 1)) for s in stride])))
    size = [n * s for n, s in zip(each(axes, "length"), stride)]
    if extra is not None:
        spans = [d * (k - 1) + 1 for k, d in zip(each(axes, "taps"), dilation)]
        size = [
            (n - 1) * s + span % 2 + more
            for n, s, span, more in zip(each(axes, "length"), stride, spans, extra)
        ]
        # TensorFlow refuses a size that its plain convolution would not lead back from.
        assume(
            all(-(-n // s) == length for n, s, length in zip(size, stride, each(axes, "length")))
        )
    ported = from_keras(
        weight.shape[1], each(axes, "taps"), stride, "same", extra, dilation, **sizes(axes, x),
        backend="tensorflow",
    )  # fmt: skip
    assert (
        ported.output(x[None], weight)[0] == same_gradient(x, weight, size, stride, dilation)
    ).all()


@given(canvases(1))
def test_valid_keeps_the_canvas_and_fills_a_stride(canvas) -> None:
    (axis,), _, _ = canvas
    for window in (
        keras_window(axis, "VALID"),
        lax_window(axis, "VALID"),
        flax_window(axis, "VALID"),
    ):
        assert window.before == 0
        assert window.size == (axis.length - 1) * axis.stride + max(axis.span, axis.stride)


@moderate
@given(canvases(), st.booleans())
def test_circular_adds_up_what_meets_on_the_ring(canvas, flag: bool) -> None:
    axes, x, weight = canvas
    ported = from_flax(
        weight.shape[1], each(axes, "taps"), each(axes, "stride"), "CIRCULAR",
        each(axes, "dilation"), flag, **sizes(axes, x),
    )  # fmt: skip
    stride, dilation = each(axes, "stride"), each(axes, "dilation")
    whole = scattered(x, weight, [0] * len(axes), each(axes, "canvas"), stride, dilation)
    ring = [n * s for n, s in zip(each(axes, "length"), stride)]
    expected = np.zeros((weight.shape[1], *ring), np.int64)
    low = [flax_low(axis, flag) for axis in axes]
    for at in np.ndindex(whole.shape[1:]):
        o = tuple((c + a) % n for c, a, n in zip(at, low, ring))
        expected[(slice(None), *o)] += whole[(slice(None), *at)]
    assert ported.wraps and not ported.exact
    assert (ported.output(x[None], weight)[0] == expected).all()


def flax_low(axis: CanvasAxis, flag: bool) -> int:
    """The zeros that flax puts before what "VALID" keeps, so that it is whole rounds of two rings."""
    ring, size = (
        axis.length * axis.stride,
        (axis.length - 1) * axis.stride + max(axis.span, axis.stride),
    )
    missing = next(n for n in range(2 * ring) if (size + n - ring) % (2 * ring) == 0)
    return missing // 2 if flag else missing - missing // 2


@moderate
@given(canvases(), st.data())
def test_onnx_pads_crop_both_ends(canvas, data) -> None:
    axes, x, weight = canvas
    pads = [data.draw(numbers(0, 3)) for _ in range(2 * len(axes))]
    stride, dilation = each(axes, "stride"), each(axes, "dilation")
    extra = [data.draw(numbers(0, max(pair) - 1)) for pair in zip(stride, dilation)]
    size = [
        n + more - a - b
        for n, more, a, b in zip(each(axes, "canvas"), extra, pads, pads[len(axes) :])
    ]
    assume(min(size) > 0)
    ported = from_onnx(
        each(axes, "taps"), pads=pads, output_padding=extra, strides=stride, dilations=dilation,
        out_channels=weight.shape[1], **sizes(axes, x),
    )  # fmt: skip
    loops = scattered(x, weight, pads[: len(axes)], size, stride, dilation)
    assert (ported.output(x[None], weight)[0] == loops).all()


@given(canvases(1), st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))
def test_the_two_same_differ_by_the_odd_position(canvas, name: str) -> None:
    (axis,), _, _ = canvas
    window = onnx_window(axis, name)
    total = axis.canvas - axis.length * axis.stride
    assert window.size == axis.length * axis.stride
    side = {"SAME_UPPER": "end", "SAME_LOWER": "begin"}[name]
    assert odd_side(axis, window) == (side if total % 2 else "")


def test_the_odd_position_of_the_usual_upsampling_layer() -> None:
    """Kernel 3, stride 2, twice the size: PyTorch and Keras keep windows that are one apart."""
    axis = CanvasAxis(4, 3, stride=2)
    torch, keras = torch_window(axis, 1, 1), keras_window(axis, "same")
    assert (torch, keras) == (Window(1, 8), Window(0, 8))
    assert (odd_side(axis, torch), odd_side(axis, keras)) == ("begin", "end")
    assert onnx_window(axis, "SAME_LOWER") == torch and onnx_window(axis, "SAME_UPPER") == keras


@moderate
@given(layers(), st.integers(1, 3))
def test_every_layout_leads_back(drawn, groups: int) -> None:
    weight = drawn.case().weight
    assert (layouts.from_keras_kernel(layouts.keras_kernel(weight)) == weight).all()
    for flag in (False, True):
        assert (layouts.from_jax_kernel(layouts.jax_kernel(weight, flag), flag) == weight).all()
    groups = drawn.parameters["groups"]
    kernel = layouts.general_kernel(weight, groups)
    assert kernel.shape[:2] == (weight.shape[1] * groups, weight.shape[0] // groups)
    assert (layouts.from_general_kernel(kernel, groups) == weight).all()


EVEN, ORT = CanvasAxis(3, 4, stride=2), "onnxruntime"


@pytest.mark.parametrize(
    ("refused", "who", "what"),
    [
        (lambda axis: torch_window(axis, 1, 2), "PyTorch", "output_padding=2"),
        (lambda axis: torch_window(axis, -1), "PyTorch", "padding=-1"),
        (lambda axis: torch_window(axis, 4), "PyTorch", "this padding"),
        (lambda axis: keras_window(axis, "causal"), "Keras", "padding='causal'"),
        (lambda axis: keras_window(axis, "same", 2), "Keras", "output_padding=2"),
        (lambda _: keras_window(EVEN, "same", 0, "tensorflow"), "TensorFlow", "output_padding=0"),
        (lambda axis: lax_window(axis, "same"), "JAX", "padding='same'"),
        (lambda axis: flax_window(axis, "circular"), "flax", "padding='circular'"),
        (lambda axis: lax_window(axis, (-2, -3)), "JAX", "padding=(-2, -3)"),
        (lambda axis: onnx_window(axis, "SAME"), "ONNX", "auto_pad='SAME'"),
        (lambda axis: onnx_window(axis, "VALID", (1, 0)), "ONNX", "pads beside auto_pad='VALID'"),
        (lambda axis: onnx_window(axis, pads=(-1, 0)), "ONNX", "pads=(-1, 0)"),
        (lambda axis: onnx_window(axis, output_padding=2), "ONNX", "output_padding=2"),
        (lambda axis: onnx_window(axis, pads=(4, 4)), "ONNX", "this padding"),
        (lambda axis: onnx_window(axis, output_shape=9, runtime=ORT), ORT, "this output size"),
    ],
)  # fmt: skip
def test_what_a_framework_refuses_is_refused_by_name(refused, who: str, what: str) -> None:
    with pytest.raises(RefusedError) as caught:
        refused(CanvasAxis(3, 3, stride=2))
    assert (caught.value.framework, caught.value.parameter) == (who, what)
    assert str(caught.value).endswith(".")


def test_cropped_and_after_say_the_same() -> None:
    axis = CanvasAxis(4, 3, stride=2)
    assert cropped(axis, 1, -2).after(axis) == -2

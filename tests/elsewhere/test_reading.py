"""A pasted line: what is read of it, what is assumed, what is refused; it is never run."""

from __future__ import annotations

import ast
import inspect
import re

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from strategies import layers, moderate

from convt_trace.elsewhere import reading
from convt_trace.elsewhere.errors import RefusedError, UnreadableError
from convt_trace.elsewhere.port import (
    from_flax,
    from_jax,
    from_keras,
    from_lax_general,
    from_onnx,
)
from convt_trace.elsewhere.reading import LONGEST, read_line
from convt_trace.elsewhere.translate import to_flax, to_jax, to_keras, to_lax_general, to_onnx

SIZE = {1: (4,), 2: (4, 4), 3: (4, 4, 4)}


LINES = [
    (
        'layers.Conv2DTranspose(64, 3, strides=2, padding="same")',
        from_keras(64, 3, 2, "same", input_size=SIZE[2]),
    ),
    (
        "x = keras.layers.Conv1DTranspose(8, kernel_size=4, strides=2)(x)",
        from_keras(8, 4, 2, input_size=SIZE[1]),
    ),
    (
        "tf.keras.layers.Convolution2DTranspose(filters=2, kernel_size=(3, 1), use_bias=False),",
        from_keras(2, (3, 1), input_size=SIZE[2], use_bias=False),
    ),
    ('Conv2DTranspose(2, 3, 2, "same", 0)', from_keras(2, 3, 2, "same", 0, input_size=SIZE[2])),
    (
        'Conv3DTranspose(2, 3, 2, "same", None, 0)',
        from_keras(2, 3, 2, "same", 0, input_size=SIZE[3]),
    ),
    (
        "nn.ConvTranspose(features=64, kernel_size=(3,3), strides=(2,2))",
        from_flax(64, (3, 3), (2, 2), input_size=SIZE[2]),
    ),
    (
        'nn.ConvTranspose(6, (3,), (2,), "CIRCULAR", transpose_kernel=True, name="up")(x)',
        from_flax(6, (3,), (2,), "CIRCULAR", transpose_kernel=True, input_size=SIZE[1]),
    ),
    (
        "nnx.ConvTranspose(1, 5, (3, 3), 2, padding=[1, (0, 2)], rngs=rngs)",
        from_flax(5, (3, 3), 2, [1, (0, 2)], input_size=SIZE[2]),
    ),
    ('lax.conv_transpose(x, w, (2,2), "SAME")', from_jax(3, (2, 2), input_size=SIZE[2])),
    (
        "jax.lax.conv_transpose(x, w, (2,), [(1, 2)], rhs_dilation=(2,), transpose_kernel=True)",
        from_jax(3, (2,), [(1, 2)], (2,), True, input_size=SIZE[1]),
    ),
    (
        "lax.conv_general_dilated(x, w, (1,), [(1, 2)], lhs_dilation=(2,))",
        from_lax_general(3, [(1, 2)], (2,), input_size=SIZE[1]),
    ),
    (
        'onnx.helper.make_node("ConvTranspose", ["X", "W"], ["Y"], strides=[3, 2], '
        "pads=[1, 2, 1, 2], kernel_shape=[3, 3])",
        from_onnx((3, 3), strides=[3, 2], pads=[1, 2, 1, 2], input_size=SIZE[2]),
    ),
    (
        'y = ConvTranspose <auto_pad = "SAME_UPPER", strides: ints = [2]> (x, w)',
        from_onnx(3, auto_pad="SAME_UPPER", strides=[2], input_size=SIZE[1]),
    ),
    (
        "%y = ConvTranspose[group = 2, strides = [2, 2]](%x, %w, %b)",
        from_onnx(
            3, group=2, strides=[2, 2], in_channels=2, out_channels=2, use_bias=True,
            input_size=SIZE[2],
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line for line, _ in LINES])
def test_a_line_is_read_as_its_parameters(line: str, expected) -> None:
    read = read_line(line)
    assert {**vars(read), "assumed": ()} == vars(expected)
    assert any("how large the input" in sentence for sentence in read.assumed)


def test_a_node_is_read_in_every_text_form_of_onnx() -> None:
    node = helper.make_node(
        "ConvTranspose", ["x", "w", "b"], ["y"], name="up", strides=[2, 1], dilations=[1, 2],
        kernel_shape=[3, 2], auto_pad="SAME_LOWER", output_padding=[1, 0], group=1,
    )  # fmt: skip
    expected = from_onnx(
        (3, 2), strides=[2, 1], dilations=[1, 2], auto_pad="SAME_LOWER", output_padding=[1, 0],
        use_bias=True, input_size=SIZE[2],
    )  # fmt: skip
    for text in (str(node), helper.printable_node(node), onnx.printer.to_text(node)):
        assert {**vars(read_line(text)), "assumed": ()} == vars(expected), text


@moderate
@given(layers())
def test_a_translations_own_line_leads_back(drawn) -> None:
    case = drawn.case()
    known = {
        "input_size": case.geometry.input_size,
        "in_channels": case.layer.in_channels,
        "out_channels": case.layer.out_channels,
        "kernel_size": case.layer.kernel_size,
    }
    ungrouped = case.layer.groups == 1
    there = [to_lax_general(case), to_onnx(case)]
    there += [to_jax(case), to_flax(case), to_keras(case)] if ungrouped else []
    for translation in there:
        if translation.framework == "Keras" and max(case.layer.stride) > 1 < max(
            case.layer.dilation
        ):
            continue  # its line has the larger kernel
        read = read_line(translation.line, **known)
        assert read.windows == translation.nearest
        assert read.layer.stride == case.layer.stride
        assert read.layer.dilation == case.layer.dilation


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "1 statement|0 statements"),
        ("layers.Conv2DTranspose(64, 3", "no Python"),
        ("x = 1", "calls nothing"),
        ("a = f(1)\nb = g(2)", "2 statements"),
        ("nn.ConvTranspose2d(8, 64, 3)", "PyTorch's own"),
        ("layers.Conv2D(64, 3)", "none of the layers"),
        ("layers.Conv2DTranspose(64)", "needs kernel_size"),
        ("layers.Conv2DTranspose(64, k, strides=2)", "kernel_size is k"),
        ("layers.Conv2DTranspose(64, 3, stride=2)", "no argument stride"),
        ("layers.Conv2DTranspose(*a)", "starred"),
        ("layers.Conv2DTranspose(64, 3, **more)", "from a dict"),
        ("layers.Conv2DTranspose(64, 3, kernel_size=3)", "kernel_size twice"),
        ("lax.conv_transpose(x, w, s, 'SAME')", "strides is s"),
        ("lax.conv_transpose(x, w, (2,))", "needs padding"),
        ("lax.conv_general_dilated(x, w, (2,), 'SAME')", "plain convolution"),
        ('helper.make_node("Conv", ["x", "w"], ["y"])', "a Conv"),
        ('helper.make_node("ConvTranspose", ["x", "w"], ["y"])', "how many dimensions"),
        ("y = ConvTranspose <strides = twice> (x, w)", "isn't read: strides = twice"),
        ("x" * (LONGEST + 1), "characters"),
        ("(" * 3000, "no Python"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence) as caught:
        read_line(line)
    assert str(caught.value).endswith((".", "twice"))


@pytest.mark.parametrize(
    ("line", "who"),
    [
        ('layers.Conv2DTranspose(64, 3, padding="causal")', "Keras"),
        ("layers.Conv2DTranspose(64, 3, strides=2, dilation_rate=2)", "Keras"),
        ("lax.conv_transpose(x, w, 2, 'SAME')", "JAX"),
        ("nn.ConvTranspose(4, (3,), padding='same')", "flax"),
        ("y = ConvTranspose <strides = [2], pads = [-1, 0]> (x, w)", "ONNX"),
    ],
)
def test_what_the_framework_refuses_is_refused_by_its_name(line: str, who: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_line(line)
    assert caught.value.framework == who


def test_an_input_of_other_dimensions_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="2 dimensions"):
        read_line("layers.Conv2DTranspose(64, 3)", input_size=(4,))


def test_what_is_assumed_is_said() -> None:
    assumed = read_line("layers.Conv1DTranspose(n, 3, activation='relu')").assumed
    assert [sentence.split()[0:3] for sentence in assumed] == [
        ["The", "activation", "(relu)"],
        ["In", "this", "line"],
        ["The", "line", "does"],
        ["In", "this", "line"],
    ]
    assert not read_line("nnx.ConvTranspose(2, 5, (3,), rngs=rngs)", input_size=(7,)).assumed


@given(
    st.text(max_size=200) | st.text("lax.conv_transpose(x,[2]'SAME)=<>ConvTranspose", max_size=80)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_line(text)
    except (UnreadableError, RefusedError) as error:
        assert str(error)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from(["same", "SAME", "CIRCULAR", 1.5]),
    lambda inside: st.lists(inside, max_size=4) | st.lists(inside, max_size=4).map(tuple),
    max_leaves=6,
)
CALLS = [
    *("Conv1DTranspose(2, 3, strides=A, padding=B)", "Conv2DTranspose(A, B, output_padding=C)"),
    *("Conv3DTranspose(2, A, dilation_rate=B, activation=C)", "nn.ConvTranspose(A, B, C)"),
    *(
        "nn.ConvTranspose(2, (3,), padding=A, kernel_dilation=B, strides=C)",
        "nnx.ConvTranspose(A, B, C)",
    ),
    *("lax.conv_transpose(x, w, A, B, rhs_dilation=C)", "lax.conv_transpose(x, w, (2,), A)"),
    "lax.conv_general_dilated(x, w, (1,), A, lhs_dilation=B, feature_group_count=C)",
    'make_node("ConvTranspose", A, [], strides=B, pads=C)',
    'make_node("ConvTranspose", [], [], kernel_shape=[3], group=A, output_shape=B, output_padding=C)',
    'make_node("ConvTranspose", [], [], kernel_shape=A, auto_pad=B, dilations=C)',
]


@given(st.sampled_from(CALLS), ANYTHING, ANYTHING, ANYTHING)
def test_any_arguments_are_read_or_refused(call: str, a: object, b: object, c: object) -> None:
    line = call
    for name, value in (("A", a), ("B", b), ("C", c)):
        line = re.sub(rf"\b{name}\b", lambda _, value=value: repr(value), line)
    try:
        assert min(read_line(line).output_size) > 0
    except (UnreadableError, RefusedError) as error:
        assert str(error)


def test_nothing_is_run() -> None:
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(inspect.getsource(reading)))
        if isinstance(node, ast.Call)
    }
    assert "ast.literal_eval" in calls
    assert not calls & {"eval", "exec", "compile", "__import__", "getattr"}

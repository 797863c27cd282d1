"""A case as an ONNX node, in a program that onnxruntime runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convt_trace.elsewhere.canvas import axes_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    onnx_window,
)
from convt_trace.elsewhere.ported import listed
from convt_trace.elsewhere.translation import Translation, bias_inside, of_numbers
from convt_trace.elsewhere.writing import Program, mending_lines, numbers_of
from convt_trace.engine.case import Case


def to_onnx(case: Case) -> Translation:
    """Return a case as an ONNX node, in a program that onnxruntime runs.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> there = to_onnx(case)
    >>> print(there.line)
    helper.make_node("ConvTranspose", ["x", "weight"], ["y"], strides=[2], pads=[1, 1], output_padding=[1])
    >>> there.exact
    True
    """
    axes, want = axes_of(case), windows_of(case)
    pads, extra = _onnx_padding(case, axes)
    nearest = tuple(
        onnx_window(axis, pads=both, output_padding=more, runtime="onnxruntime")
        for axis, both, more in zip(axes, pads, extra)
    )
    mending = mending_lines(axes, nearest, want)
    numbers = numbers_of(case, "onnxruntime", ("float32",))
    inside = bias_inside(case, mending)
    attributes = _onnx_attributes(case, pads, extra)
    program = Program(
        imports=(
            "import numpy as np",
            "import onnxruntime",
            "from onnx import TensorProto, helper",
        ),
        layer=tuple(_onnx_layer(attributes, bias=inside)),
        mending=tuple(mending),
        numbers=numbers,
        bias=not inside,
    )
    sentences = [_ONNX_BEYOND] if mending else []
    return Translation(
        framework="ONNX",
        case=case,
        line=_onnx_node(attributes, bias=case.bias is not None),
        code=program.text(case),
        exact=nearest == want,
        sentences=(*sentences, *of_numbers(case, numbers.sentence)),
        windows=want,
        nearest=nearest,
    )


_ONNX_BEYOND = (
    "onnxruntime refuses an output_padding of a stride or more, though ONNX allows it below the "
    "dilation: the program puts those zeros beside the output."
)


def _onnx_padding(
    case: Case, axes: Sequence[CanvasAxis]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return pads and output_padding per axis that onnxruntime takes and that keep the most."""
    pads, extra = [], []
    for axis, padding, more in zip(axes, case.layer.padding, case.layer.output_padding):
        if more < axis.stride:
            pads.append((padding, padding))
            extra.append(more)
        else:
            # Pads of its own for the end do what a large output_padding does, as far as they reach.
            beyond = max(0, more - padding)
            # A crop of the whole canvas, to zeros beyond it, is left to the program.
            pads.append((min(padding, axis.canvas - 1), max(0, padding - more)))
            extra.append(min(beyond, axis.stride - 1))
    return pads, extra


def _onnx_attributes(case: Case, pads: list[tuple[int, int]], extra: list[int]) -> list[str]:
    layer, given = case.layer, []
    if max(layer.stride) > 1:
        given.append(f"strides={[*layer.stride]}")
    if any(map(any, pads)):
        given.append(f"pads={[begin for begin, _ in pads] + [end for _, end in pads]}")
    if any(extra):
        given.append(f"output_padding={extra}")
    if max(layer.dilation) > 1:
        given.append(f"dilations={[*layer.dilation]}")
    if layer.groups > 1:
        given.append(f"group={layer.groups}")
    return given


def _onnx_node(attributes: list[str], bias: bool) -> str:
    inputs = '["x", "weight", "bias"]' if bias else '["x", "weight"]'
    given = listed(['"ConvTranspose"', inputs, '["y"]', *attributes])
    return f"helper.make_node({given})"


def _onnx_layer(attributes: list[str], bias: bool) -> Iterator[str]:
    yield f"node = {_onnx_node(attributes, bias)}"
    too = ', "bias": bias' if bias else ""
    yield f'feeds = {{"x": {{part}}, "weight": {{block}}{too}}}'
    yield "graph = helper.make_graph("
    yield "    [node],"
    yield '    "layer",'
    yield (
        "    [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()],"
    )
    yield '    [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],'
    yield ")"
    yield 'opset = [helper.make_opsetid("", 11)]'
    yield "model = helper.make_model(graph, opset_imports=opset, ir_version=10)"
    yield "session = onnxruntime.InferenceSession(model.SerializeToString())"
    yield "y = session.run(None, feeds)[0]"

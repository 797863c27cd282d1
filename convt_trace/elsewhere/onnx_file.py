"""A model in an .onnx file: its transposed convolutions, each as PyTorch has it, and ONNX's own result.

The file is data from a stranger: it is parsed by onnx and nothing of it is run. ONNX's evaluator gets a
model of one node that is made here, out of numbers that have been checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from convt_trace.elsewhere.errors import UnreadableError
from convt_trace.elsewhere.port import from_onnx
from convt_trace.elsewhere.ported import Ported
from convt_trace.engine.case import Case
from convt_trace.engine.extras import require
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import by

if TYPE_CHECKING:
    import onnx

#: Bytes of a file, and transposed convolutions in it, that are read.
LARGEST, MOST = 256 * 2**20, 1000
#: Numbers of one weight, and along one axis of an input.
_MOST_NUMBERS, _MOST_SIZE = 2**26, 2**16
_ATTRIBUTES = {
    "auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides",
}  # fmt: skip
_DTYPES = ("float16", "float32", "float64")


class FileError(UnreadableError):
    """A file that cannot be read; the message is one sentence."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A ConvTranspose node of a file.

    Attributes
    ----------
    name : str
        Its own, or the place in the file where it has none.
    attributes : mapping
        As the file has them.
    weight : ndarray or None
        Shape (C_in, C_out/group, *K); None where the file does not hold it, and ``missing`` says why.
    bias : ndarray or None
    input_size : tuple of (int or None), or None
        The spatial size of its input, where the file says it.
    missing : str
    """

    name: str
    attributes: Mapping[str, Any]
    weight: np.ndarray | None
    bias: np.ndarray | None = None
    input_size: tuple[int | None, ...] | None = None
    missing: str = ""

    @property
    def dims(self) -> int:
        """Spatial dimensions; 0 where the weight is not known."""
        return self.weight.ndim - 2 if self.weight is not None else 0

    def told(self) -> dict[str, str]:
        """Return what the file says of it, as a row of a table."""
        size = self.input_size
        return {
            "node": self.name,
            "attributes": ", ".join(f"{name}={value}" for name, value in self.attributes.items()),
            "weight (in, out/group, k)": self.missing or str(self._known().shape),
            "input size": "" if size is None else by(str(at or "?") for at in size),
        }

    def ported(self, input_size: Ints) -> Ported:
        """Return the node as PyTorch has it, for an input size.

        Raises
        ------
        RefusedError
            If ONNX refuses the attributes for it.
        FileError
            If the weight is not in the file.
        """
        weight = self._known()
        given = {name: value for name, value in self.attributes.items() if name != "kernel_shape"}
        return from_onnx(
            weight.shape[2:],
            **given,
            input_size=input_size,
            in_channels=weight.shape[0],
            out_channels=weight.shape[1] * int(given.get("group", 1)),
            use_bias=self.bias is not None,
        )

    def case(self, x: np.ndarray) -> Case:
        """Return the node on an input, as PyTorch's layer computes it: before what `Ported` mends.

        Parameters
        ----------
        x : ndarray, shape (N, C_in, *L)
        """
        weight = self._known()
        if x.ndim != weight.ndim or x.shape[1] != weight.shape[0]:
            raise FileError(
                f"{self.name} takes an input of shape (N, {weight.shape[0]}, "
                f"{', '.join('L' * self.dims)}), and this one has {x.shape}."
            )
        layer = self.ported(x.shape[2:]).layer
        return Case.of(
            x.astype(weight.dtype),
            weight,
            self.bias,
            stride=layer.stride,
            padding=layer.padding,
            output_padding=layer.output_padding,
            dilation=layer.dilation,
            groups=layer.groups,
            origin=f"ONNX node {self.name}",
        )

    def evaluated(self, x: np.ndarray) -> np.ndarray:
        """Return what ONNX's own reference evaluator makes of an input.

        It runs no node with group above 1 (onnx 1.23), so each group is run alone and the outputs
        are put together.

        Raises
        ------
        FileError
            If the evaluator stops.
        """
        weight, groups = self._known(), int(self.attributes.get("group", 1))
        biases = [None] * groups if self.bias is None else np.split(self.bias, groups)
        parts = zip(np.split(x, groups, axis=1), np.split(weight, groups), biases)
        try:
            return np.concatenate([self._evaluated_group(*part) for part in parts], axis=1)
        except Exception as error:  # whatever its numpy code raises
            raise FileError(f"ONNX's evaluator stops at {self.name}: {error}") from None

    def _evaluated_group(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None
    ) -> np.ndarray:
        from onnx import helper, numpy_helper
        from onnx.reference import ReferenceEvaluator

        tensors = {"W": weight, **({"B": bias} if bias is not None else {})}
        attributes = {**self.attributes, "group": 1}
        node = helper.make_node("ConvTranspose", ["X", *tensors], ["Y"], **attributes)
        kind = helper.np_dtype_to_tensor_dtype(weight.dtype)
        graph = helper.make_graph(
            [node],
            "one node",
            [helper.make_tensor_value_info("X", kind, list(x.shape))],
            [helper.make_tensor_value_info("Y", kind, None)],
            [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
        (result,) = ReferenceEvaluator(model).run(None, {"X": x.astype(weight.dtype)})
        return np.asarray(result)

    def _known(self) -> np.ndarray:
        if self.weight is None:
            raise FileError(f"{self.name}: {self.missing}.")
        return self.weight


@dataclass(frozen=True, eq=False)
class Model:
    """What a file holds.

    Attributes
    ----------
    nodes : tuple of Node
        Its transposed convolutions, in their order.
    others : mapping of str to int
        How many nodes of each other kind there are.
    """

    nodes: tuple[Node, ...]
    others: Mapping[str, int] = field(default_factory=dict)

    def named(self, name: str) -> Node:
        """Return the node of a name.

        Raises
        ------
        FileError
        """
        for node in self.nodes:
            if node.name == name:
                return node
        there = ", ".join(node.name for node in self.nodes[:20])
        raise FileError(f"There is no ConvTranspose named {name!r}. There are: {there or 'none'}.")


def read_onnx(data: bytes) -> Model:
    """Read a file.

    Raises
    ------
    FileError
        If it is no ONNX model, is too large, or has no transposed convolution.
    """
    if len(data) > LARGEST:
        raise FileError(f"The file has {len(data):,} bytes; up to {LARGEST:,} are read.")
    graph = _parsed(data).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            stored.update((node.output[0], value) for value in values[:1])
    sizes = _sizes(graph)
    kinds: dict[str, int] = {}
    found: list[Node] = []
    for at, node in enumerate(graph.node):
        if node.op_type != "ConvTranspose":
            kinds[node.op_type] = kinds.get(node.op_type, 0) + 1
        elif len(found) < MOST:
            found.append(_node(node, at, stored, sizes))
    if not found:
        most = ", ".join(sorted(kinds, key=lambda kind: -kinds[kind])[:5]) or "no nodes"
        raise FileError(f"The model has no ConvTranspose node; it has {most}.")
    return Model(tuple(found), kinds)


def _parsed(data: bytes) -> onnx.ModelProto:
    require("onnx")
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RecursionError):
        raise FileError("This is not an ONNX model, or it is damaged.") from None
    if not model.graph.node:
        raise FileError("This is not an ONNX model, or it has no nodes.")
    return model


def _sizes(graph: onnx.GraphProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes that the file states, by the tensor's name."""
    return {
        info.name: tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
            for dim in info.type.tensor_type.shape.dim
        )
        for info in [*graph.input, *graph.value_info]
        if info.type.tensor_type.HasField("shape")
    }


def _node(
    node: onnx.NodeProto, at: int, stored: Mapping[str, onnx.TensorProto], sizes: Mapping[str, Any]
) -> Node:
    from onnx import helper

    name = node.name[:200] or f"node {at}"
    attributes = {}
    for one in node.attribute:
        if one.name in _ATTRIBUTES:
            value = helper.get_attribute_value(one)
            attributes[one.name] = (
                value.decode("ascii", "replace") if isinstance(value, bytes) else value
            )
            if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
                attributes[one.name] = [*value]
    weight, missing = _tensor(node.input, 1, stored)
    bias, no_bias = _tensor(node.input, 2, stored)
    if weight is not None and weight.ndim not in (3, 4, 5):
        missing = f"its weight has {weight.ndim} axes; 3 to 5 are known here"
    elif bias is None and len(node.input) > 2 and node.input[2]:
        missing = no_bias.replace("weight", "bias")
    weight = None if missing else weight
    shape = sizes.get(node.input[0]) if node.input else None
    return Node(
        name=name,
        attributes=attributes,
        weight=weight,
        bias=bias,
        input_size=_spatial(shape, weight),
        missing=missing,
    )


def _spatial(
    shape: tuple[int | None, ...] | None, weight: np.ndarray | None
) -> tuple[int | None, ...] | None:
    if shape is None or weight is None or len(shape) != weight.ndim:
        return None
    return shape[2:]


def _tensor(
    inputs: Sequence[str], at: int, stored: Mapping[str, onnx.TensorProto]
) -> tuple[np.ndarray | None, str]:
    """Return a stored tensor, or why it is not there."""
    from onnx import TensorProto, numpy_helper

    if len(inputs) <= at or not inputs[at]:
        return None, "it has no weight"
    tensor = stored.get(inputs[at])
    if tensor is None:
        return None, "its weight is worked out in the graph, and not stored"
    if tensor.data_location == TensorProto.EXTERNAL:
        return None, "its weight is in another file"
    if int(np.prod([max(0, size) for size in tensor.dims], dtype=object)) > _MOST_NUMBERS:
        return None, f"its weight has more than {_MOST_NUMBERS:,} numbers"
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        return None, "its weight is damaged"
    if array.dtype.name not in _DTYPES:
        return None, f"its weight is {array.dtype.name}; {', '.join(_DTYPES)} are known here"
    return array, ""


def random_input(node: Node, input_size: Ints, seed: int = 0) -> np.ndarray:
    """Return an input of whole numbers from -4 to 5, drawn from a seed: shape (1, C_in, *L)."""
    weight = node._known()
    if len(input_size) != node.dims or not all(1 <= size <= _MOST_SIZE for size in input_size):
        raise FileError(
            f"{node.name} takes {node.dims} sizes from 1 to {_MOST_SIZE:,}, not {input_size}."
        )
    shape = (1, weight.shape[0], *input_size)
    if np.prod(shape, dtype=object) > _MOST_NUMBERS:
        raise FileError(f"An input of {by(shape)} has more than {_MOST_NUMBERS:,} numbers.")
    return np.random.default_rng(seed).integers(-4, 6, shape).astype(weight.dtype)

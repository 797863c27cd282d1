"""One pasted line of Keras, JAX, flax or ONNX as PyTorch has it. It is parsed, and never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from convt_trace.elsewhere.errors import RefusedError, UnreadableError
from convt_trace.elsewhere.port import (
    from_flax,
    from_jax,
    from_keras,
    from_lax_general,
    from_onnx,
)
from convt_trace.elsewhere.ported import Ported

#: A line is longer than this when it is no line.
LONGEST = 4000
#: The input size and the kernel size that are taken where a line does not say them.
_SIZE, _KERNEL = 4, 3

_KERAS = ("filters", "kernel_size", "strides", "padding", "output_padding", "data_format")
_KERAS_MORE = ("dilation_rate", "activation", "use_bias")
#: Arguments by position. In Keras' 3-D layer two of them are in the other order.
_KERAS_3D = (*_KERAS[:4], "data_format", "output_padding")
_FLAX = (
    *("features", "kernel_size", "strides", "padding", "kernel_dilation", "use_bias", "mask"),
    *("dtype", "param_dtype", "precision", "kernel_init", "bias_init", "transpose_kernel"),
)
_NNX = ("in_features", "out_features", "kernel_size", "strides")
_JAX = (
    *("lhs", "rhs", "strides", "padding", "rhs_dilation", "dimension_numbers"),
    *("transpose_kernel", "precision", "preferred_element_type", "use_consistent_padding"),
)
_GENERAL = (
    *("lhs", "rhs", "window_strides", "padding", "lhs_dilation", "rhs_dilation"),
    *("dimension_numbers", "feature_group_count", "batch_group_count"),
)
_ONNX = ("auto_pad", "pads", "output_shape", "output_padding", "strides", "dilations", "group")


@dataclass(frozen=True)
class _Name:
    """An argument that is no literal: its text."""

    text: str


@dataclass
class _Given:
    """The arguments of a call, and what had to be assumed while reading them."""

    call: str
    arguments: dict[str, Any]
    assumed: list[str]

    def take(self, *names: str) -> dict[str, Any]:
        """Return those of these arguments that are given; each must be a literal."""
        found = {name: self.arguments[name] for name in names if name in self.arguments}
        for name, value in found.items():
            if isinstance(value, _Name):
                raise UnreadableError(
                    f"{name} is {value.text}, which is no number or text: write its value in its place."
                )
        return found

    def needed(self, name: str) -> Any:
        """Return an argument that has to be there."""
        found = self.take(name)
        if name not in found:
            raise UnreadableError(f"{self.call} needs {name}, and the line has none.")
        return found[name]

    def channels(self, name: str, given: int | None) -> int:
        """Return a number of channels: as given, as the line has it, or 1."""
        value = self.arguments.get(name) if given is None else given
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        said = f"{name} is {value.text}" if isinstance(value, _Name) else f"{name} isn't said"
        self.assumed.append(f"In this line {said}: 1 is taken.")
        return 1

    def kernel(self, given: int | Sequence[int] | None, dims: int) -> tuple[int, ...]:
        """Return the size of a kernel that is a tensor of its own, which a line does not say."""
        if given is not None:
            return (given,) * dims if isinstance(given, int) else tuple(given)
        self.assumed.append(f"The line does not say how large the kernel is: {_KERNEL} is taken.")
        return (_KERNEL,) * dims

    def size(self, given: Sequence[int] | None, dims: int) -> tuple[int, ...]:
        """Return the input size: as given, or one that is assumed."""
        if given is None:
            self.assumed.append(
                f"The line does not say how large the input is: {_SIZE} along each axis is taken."
            )
            return (_SIZE,) * dims
        if len(given) != dims:
            raise UnreadableError(
                f"The line has {dims} dimension{'s' if dims > 1 else ''}, and the input size "
                f"{tuple(given)} has {len(given)}."
            )
        return tuple(given)


def read_line(
    text: str,
    *,
    input_size: Sequence[int] | None = None,
    in_channels: int | None = None,
    out_channels: int | None = None,
    kernel_size: int | Sequence[int] | None = None,
) -> Ported:
    """Read one pasted line and return the layer as PyTorch has it.

    Parameters
    ----------
    text : str
        A call of Keras' ``Conv*DTranspose``, flax' ``ConvTranspose``, ``lax.conv_transpose``,
        ``lax.conv_general_dilated``, ``onnx.helper.make_node``, or an ONNX node as text.
    input_size : sequence of int, optional
        The spatial size of the input; 4 along each axis where not given.
    in_channels, out_channels : int, optional
        Where the line does not say them; 1 where not given either.
    kernel_size : int or sequence of int, optional
        Where the kernel is a tensor of its own; 3 where not given.

    Returns
    -------
    Ported
        Its ``assumed`` says what the line did not.

    Raises
    ------
    UnreadableError
        If it cannot be read; the message is one sentence.
    RefusedError
        If the framework refuses what the line says.

    Examples
    --------
    >>> read_line('layers.Conv2DTranspose(64, 3, strides=2, padding="same")', in_channels=8).line
    'nn.ConvTranspose2d(8, 64, 3, stride=2)'
    >>> read_line('lax.conv_transpose(x, w, (2, 2), "SAME")', kernel_size=4).line
    'nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)'
    >>> read_line("nn.ConvTranspose2d(8, 64, 3)")
    Traceback (most recent call last):
    ...
    convt_trace.elsewhere.errors.UnreadableError: ConvTranspose2d is PyTorch's own: nothing to translate.
    """
    if len(text) > LONGEST:
        raise UnreadableError(f"One line is read, of at most {LONGEST:,} characters.")
    asked = _Asked(input_size, in_channels, out_channels, kernel_size)
    if (attributes := _node_text(text)) is not None:
        return _read_onnx(_Given("ConvTranspose", *attributes, []), asked)
    call = _call(text)
    name, prefix = _named(call)
    if name == "make_node":
        return _read_make_node(call, asked)
    if name not in _READERS:
        raise UnreadableError(_unknown(name))
    return _READERS[name](call, prefix, asked)


@dataclass(frozen=True)
class _Asked:
    """What the caller says beside the line."""

    input_size: Sequence[int] | None
    in_channels: int | None
    out_channels: int | None
    kernel_size: int | Sequence[int] | None


def _unknown(name: str) -> str:
    if re.fullmatch(r"(conv_transpose|ConvTranspose|LazyConvTranspose)[123]d", name):
        return f"{name} is PyTorch's own: nothing to translate."
    return (
        f"{name or 'This'} is none of the layers that are read: Conv1DTranspose to Conv3DTranspose, "
        "ConvTranspose, conv_transpose, conv_general_dilated, make_node."
    )


# -- the syntax -------------------------------------------------------------------------------------


def _call(text: str) -> ast.Call:
    try:
        body = ast.parse(text.strip().rstrip(",")).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnreadableError(
            "The line is no Python that can be parsed, nor an ONNX node."
        ) from None
    if len(body) != 1:
        raise UnreadableError(
            f"One line with one call is read, and here are {len(body)} statements."
        )
    value = body[0].value if isinstance(body[0], ast.Expr | ast.Assign | ast.AnnAssign) else None
    # layer(...)(x) makes a layer and calls it.
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Call):
        value = value.func
    if not isinstance(value, ast.Call):
        raise UnreadableError("The line calls nothing: paste the line that makes the layer.")
    return value


def _named(call: ast.Call) -> tuple[str, str]:
    """Return the name of what is called, and what stands before it."""
    name, _, prefix = (part[::-1] for part in ast.unparse(call.func)[::-1].partition("."))
    return name, prefix


def _arguments(call: ast.Call, positions: Sequence[str]) -> dict[str, Any]:
    name, _ = _named(call)
    if any(isinstance(given, ast.Starred) for given in call.args):
        raise UnreadableError("A starred argument isn't read: write the arguments out.")
    if len(call.args) > len(positions):
        raise UnreadableError(
            f"{name} is read with at most {len(positions)} arguments by position, and has {len(call.args)}."
        )
    found = {where: _literal(given) for where, given in zip(positions, call.args)}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise UnreadableError("Arguments from a dict (**) aren't read: write them out.")
        if keyword.arg in found:
            raise UnreadableError(f"{name} is given {keyword.arg} twice.")
        found[keyword.arg] = _literal(keyword.value)
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _Name(ast.unparse(node)[:40])


def _only(given: _Given, known: Sequence[str], ignored: str) -> None:
    """Refuse arguments that the layer does not have: a misspelt one would be lost silently."""
    for name in given.arguments:
        if name not in known and not re.fullmatch(ignored, name):
            raise UnreadableError(f"{given.call} has no argument {name}.")


# -- one reader for each ----------------------------------------------------------------------------


def _read_keras(call: ast.Call, prefix: str, asked: _Asked) -> Ported:
    name, _ = _named(call)
    dims = int(name.removeprefix("Conv").removeprefix("olution")[0])
    positions = (*(_KERAS_3D if dims == 3 else _KERAS), *_KERAS_MORE)
    given = _Given(name, _arguments(call, positions), [])
    _only(given, positions, r"(kernel|bias|activity)_\w+|name|dtype|trainable|input_shape")
    activation = given.arguments.get("activation")
    if activation not in (None, "linear"):
        said = activation.text if isinstance(activation, _Name) else activation
        given.assumed.append(f"The activation ({said}) is left out: it comes after the layer.")
    ported = from_keras(
        given.channels("filters", asked.out_channels),
        given.needed("kernel_size"),
        input_size=given.size(asked.input_size, dims),
        in_channels=given.channels("in_channels", asked.in_channels),
        **given.take("strides", "padding", "output_padding", "dilation_rate", "use_bias"),
    )
    return replace(ported, assumed=tuple(given.assumed))


def _read_flax(call: ast.Call, prefix: str, asked: _Asked) -> Ported:
    names = {keyword.arg for keyword in call.keywords}
    nnx = "nnx" in prefix or not names.isdisjoint(("in_features", "out_features", "rngs"))
    positions = _NNX if nnx else _FLAX
    given = _Given("ConvTranspose", _arguments(call, positions), [])
    _only(given, (*_FLAX, *positions), r"(promote|preferred|kernel|bias)_\w+|name|rngs|parent")
    kernel = given.needed("kernel_size")
    dims = len(kernel) if isinstance(kernel, tuple | list) else 1
    ported = from_flax(
        given.channels("out_features" if nnx else "features", asked.out_channels),
        kernel,
        input_size=given.size(asked.input_size, dims),
        in_channels=given.channels("in_features" if nnx else "in_channels", asked.in_channels),
        **given.take("strides", "padding", "kernel_dilation", "use_bias", "transpose_kernel"),
    )
    return replace(ported, assumed=tuple(given.assumed))


def _read_jax(call: ast.Call, prefix: str, asked: _Asked) -> Ported:
    given = _Given("conv_transpose", _arguments(call, _JAX), [])
    _only(given, _JAX, "")
    strides = given.needed("strides")
    _refuse_number("strides", strides)
    dims = len(strides)
    ported = from_jax(
        given.kernel(asked.kernel_size, dims),
        strides,
        given.needed("padding"),
        input_size=given.size(asked.input_size, dims),
        in_channels=given.channels("in_channels", asked.in_channels),
        out_channels=given.channels("out_channels", asked.out_channels),
        **given.take("rhs_dilation", "transpose_kernel", "use_consistent_padding"),
    )
    return replace(ported, assumed=tuple(given.assumed))


def _read_general(call: ast.Call, prefix: str, asked: _Asked) -> Ported:
    given = _Given("conv_general_dilated", _arguments(call, _GENERAL), [])
    _only(given, _GENERAL, "precision|preferred_element_type")
    strides = given.needed("window_strides")
    _refuse_number("window_strides", strides)
    if "lhs_dilation" not in given.arguments:
        raise UnreadableError(
            "Without lhs_dilation this is a plain convolution, not a transposed one."
        )
    if given.take("batch_group_count").get("batch_group_count", 1) != 1:
        raise UnreadableError("batch_group_count isn't read: PyTorch's layer has no such thing.")
    dims = len(strides)
    ported = from_lax_general(
        given.kernel(asked.kernel_size, dims),
        given.needed("padding"),
        window_strides=strides,
        input_size=given.size(asked.input_size, dims),
        in_channels=given.channels("in_channels", asked.in_channels),
        out_channels=given.channels("out_channels", asked.out_channels),
        **given.take("lhs_dilation", "rhs_dilation", "feature_group_count"),
    )
    return replace(ported, assumed=tuple(given.assumed))


def _refuse_number(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list):
        raise RefusedError("JAX", f"{name}={value}", "it is a tuple with a number for each axis.")


def _read_make_node(call: ast.Call, asked: _Asked) -> Ported:
    given = _Given("make_node", _arguments(call, ("op_type", "inputs", "outputs", "name")), [])
    if (op := given.needed("op_type")) != "ConvTranspose":
        raise UnreadableError(f"The node is a {op}, and ConvTranspose is read.")
    return _read_onnx(given, asked)


def _read_onnx(given: _Given, asked: _Asked) -> Ported:
    _only(given, _ONNX, "kernel_shape|op_type|inputs|outputs|name|doc_string|domain")
    found = given.take(*_ONNX, "kernel_shape")
    dims = _onnx_dims(found, asked)
    kernel = found.pop("kernel_shape", None)
    inputs = given.arguments.get("inputs")
    ported = from_onnx(
        given.kernel(asked.kernel_size, dims) if kernel is None else kernel,
        input_size=given.size(asked.input_size, dims),
        in_channels=given.channels("in_channels", asked.in_channels or found.get("group")),
        out_channels=given.channels("out_channels", asked.out_channels or found.get("group")),
        use_bias=isinstance(inputs, list | tuple) and len(inputs) > 2,
        **found,
    )
    return replace(ported, assumed=tuple(given.assumed))


def _onnx_dims(found: dict[str, Any], asked: _Asked) -> int:
    for name in ("kernel_shape", "strides", "dilations", "output_padding"):
        if isinstance(found.get(name), list | tuple):
            return len(found[name])
    if isinstance(found.get("pads"), list | tuple):
        return len(found["pads"]) // 2
    for given in (asked.input_size, asked.kernel_size):
        if isinstance(given, Sequence):
            return len(given)
    raise UnreadableError(
        "Nothing in the node says how many dimensions it has: add its strides or its kernel_shape."
    )


_READERS: dict[str, Callable[[ast.Call, str, _Asked], Ported]] = {
    **{f"Conv{dims}DTranspose": _read_keras for dims in (1, 2, 3)},
    **{f"Convolution{dims}DTranspose": _read_keras for dims in (1, 2, 3)},
    "ConvTranspose": _read_flax,
    "conv_transpose": _read_jax,
    "conv_general_dilated": _read_general,
}


# -- an ONNX node as text ---------------------------------------------------------------------------

#: y = ConvTranspose <strides = [2]> (x, w), and %y = ConvTranspose[strides = [2]](%x, %w)
_PRINTED = re.compile(r"=\s*ConvTranspose\s*(?:<(.*)>|\[(.*)\])?\s*\(([^()]*)\)\s*$", re.DOTALL)
_ATTRIBUTE = re.compile(
    r"""(\w+)\s*(?::\s*\w+\s*)?=\s*(\[[^\[\]]*\]|"[^"]*"|'[^']*'|-?\d+)\s*(?:,|$)"""
)


def _node_text(text: str) -> tuple[dict[str, Any]] | None:
    """Return the attributes of an ONNX node in one of its text forms; None where it is none."""
    if re.search(r'op_type:\s*"', text):
        return (_protobuf(text),)
    printed = _PRINTED.search(text)
    if not printed or not re.search(r"[<\[%]", text):
        return None
    inside = printed[1] or printed[2] or ""
    left = _ATTRIBUTE.sub("", inside).strip()
    if left:
        raise UnreadableError(f"In the node this isn't read: {left[:60]}")
    found = {name: ast.literal_eval(value) for name, value in _ATTRIBUTE.findall(inside)}
    return ({**found, "inputs": [one for one in printed[3].split(",") if one.strip()]},)


def _protobuf(text: str) -> dict[str, Any]:
    operation = re.search(r'op_type:\s*"(\w*)"', text)
    if not operation or operation[1] != "ConvTranspose":
        raise UnreadableError(
            f"The node is a {operation[1] if operation else 'nothing'}, and ConvTranspose is read."
        )
    found: dict[str, Any] = {"inputs": re.findall(r'(?<!\w)input:\s*"([^"]*)"', text)}
    for body in re.findall(r"attribute\s*\{([^{}]*)\}", text):
        name = re.search(r'name:\s*"(\w+)"', body)
        many = [int(number) for number in re.findall(r"\bints:\s*(-?\d+)", body)]
        one = re.search(r"\bi:\s*(-?\d+)", body)
        word = re.search(r'\bs:\s*"(\w+)"', body)
        if name and (many or one or word):
            found[name[1]] = many or (int(one[1]) if one else word[1] if word else None)
    return found

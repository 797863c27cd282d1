"""What a convolution was asked for that torch refused: its shapes, its parameters, its layer."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from convt_trace.engine.layer import DEFAULTS, MODULE
from convt_trace.snippet.places import FILE

#: torch's convolutions: their name, and whether they are transposed.
FUNCTIONS: dict[Any, str] = {
    getattr(torch, f"{name}{dims}d"): f"{name}{dims}d"
    for name in ("conv", "conv_transpose")
    for dims in (1, 2, 3)
}
#: The order of the arguments of torch's functions, by whether they are transposed.
ORDER = {
    False: ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    True: ("input", "weight", "bias", *DEFAULTS),
}
LAYERS = tuple(
    getattr(torch.nn, f"{name}{dims}d") for name in ("Conv", "ConvTranspose") for dims in (1, 2, 3)
)
_CONV_FILE = sys.modules[_ConvNd.__module__].__file__
_MODULE_FILE = sys.modules[torch.nn.Module.__module__].__file__


def layer_at(frames: Iterable[types.FrameType]) -> Any:
    """Return the convolution layer of torch's that is being called, if one is."""
    for frame in frames:
        if frame.f_code.co_filename == _CONV_FILE and frame.f_code.co_name == "forward":
            return frame.f_locals.get("self")
        if frame.f_code.co_filename == FILE:
            return None
    return None


def arguments(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of torch's function by name."""
    order = ORDER[op.startswith("conv_transpose")]
    none = {"input": None, "weight": None, "bias": None}
    return {**none, **DEFAULTS, **dict(zip(order, args)), **kwargs}


def attempted(frames: list[types.FrameType], op: str = "", given: Any = None) -> dict[str, Any]:
    """Describe the convolution that was running in these frames, the innermost first.

    Of a layer its own numbers are told; of a function what it was given. Empty where none was.
    """
    for frame in frames:
        name, file, held = frame.f_code.co_name, frame.f_code.co_filename, None
        if file == _CONV_FILE and name == "forward":
            held = {k: frame.f_locals.get(k) for k in ("input", "output_size")}
        elif file == _MODULE_FILE and name == "_call_impl":
            held = dict(zip(("input", "output_size"), frame.f_locals.get("args", ())))
            held |= frame.f_locals.get("kwargs") or {}
        elif file == FILE:
            break
        layer = frame.f_locals.get("self") if held is not None else None
        if held is not None and isinstance(layer, _ConvNd):
            return _of_layer(layer, {k: v for k, v in held.items() if v is not None})
    return _attempt(op, given, None) if given is not None else {}


def _of_layer(layer: Any, held: dict[str, Any]) -> dict[str, Any]:
    transposed = isinstance(layer, _ConvTransposeNd)
    # A kernel_size of too many numbers is one of the errors to be told.
    known = [one for one in type(layer).__mro__ if one in LAYERS]
    dims = known[0].__name__[-2] if known else len(layer.kernel_size)
    op = f"conv{'_transpose' * transposed}{dims}d"
    built = {name: _held(layer, name) for name in MODULE}
    if not transposed:
        del built["output_padding"]
    bias = _held(layer, "bias")
    given = held | {"weight": _held(layer, "weight"), "bias": bias}
    given |= {name: built[name] for name in ORDER[transposed] if name in built and name != "bias"}
    return _attempt(op, given, built | {"bias": bias is not None})


def _held(layer: Any, name: str) -> Any:
    """Return what a layer holds; None where that fails: a parametrized weight is worked out when read."""
    try:
        return getattr(layer, name, None)
    except Exception:
        return None


def _attempt(op: str, given: dict[str, Any], layer: dict[str, Any] | None) -> dict[str, Any]:
    """Describe a convolution, whatever its arguments are."""
    tensors = {
        name: value
        for name in ("input", "weight", "bias")
        if isinstance(value := given.get(name), torch.Tensor)
    }
    return {
        "op": op,
        **{f"{name}_shape": list(value.shape) for name, value in tensors.items()},
        "parameters": plain({k: v for k, v in given.items() if k not in tensors}),
        "dtypes": {k: str(v.dtype).removeprefix("torch.") for k, v in tensors.items()},
        "layer": None if layer is None else plain(layer),
    }


#: Longer tuples, words and numbers are not sent: no argument of a convolution is.
_MOST_VALUES, _MOST_CHARS, _MOST_BITS = 8, 80, 64


def plain(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are numbers, words, None, or flat tuples of these."""
    plain = {}
    for name, value in given.items():
        try:
            plain[name] = _argument(value)
        except (TypeError, RuntimeError):
            continue
    return plain


def _argument(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) <= _MOST_VALUES:
        return [_number(one) for one in value]
    return _number(value)


def _number(value: Any) -> Any:
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.dim() == 0):
        value = value.item()
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int) and value.bit_length() <= _MOST_BITS:
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, str) and len(value) <= _MOST_CHARS:
        return value
    raise TypeError

"""A case as a JSON file, for people and for `Case.from_json`. Described in ``docs/case-file.md``.

A file may come from a stranger: it is measured before it is parsed, and its sizes are checked before
any number of it is unpacked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import DEFAULTS, PER_DIMENSION, Ints, Layer, ints, whole
from convt_trace.links.packed import DTYPES, LARGEST_PACKED, Unreadable, check_bounds, pack, unpack

FORMAT = "convt-trace case"
VERSION = 1
#: Characters in a file, and values in it that are not packed.
LARGEST_FILE = 32_000_000
LARGEST_VALUES = 100_000
#: A tensor of up to this many numbers is written out.
WRITTEN_OUT = 4096

_ORIGIN = 200
_BITS = re.compile(r"bits:([0-9a-f]{4,16})")
_WORDS = ("nan", "inf", "-inf")


class FileError(Unreadable):
    """A file that is not a case, or cannot be opened; the message is one sentence."""


def to_json(case: Case) -> str:
    """Return a case as JSON; `from_json` gives an equal one, bit for bit.

    Examples
    --------
    >>> print(to_json(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)))
    {
      "format": "convt-trace case",
      "version": 1,
      "layer": {
        "stride": [1],
        "padding": [2],
        "output_padding": [0],
        "dilation": [1],
        "groups": 1
      },
      "dtype": "int64",
      "x": {
        "shape": [1, 1, 4],
        "numbers": [[[2, 1, 1, 3]]]
      },
      "weight": {
        "shape": [1, 1, 3],
        "numbers": [[[1, 1, 5]]]
      },
      "bias": null,
      "origin": ""
    }
    """
    layer = {name: [*getattr(case.layer, name)] for name in PER_DIMENSION}
    return _indented(
        {
            "format": FORMAT,
            "version": VERSION,
            "layer": {**layer, "groups": case.layer.groups},
            "dtype": case.x.dtype.name,
            "x": _tensor(case.x),
            "weight": _tensor(case.weight),
            "bias": None if case.bias is None else _tensor(case.bias),
            "origin": case.origin[:_ORIGIN],
        }
    )


def from_json(text: str | bytes) -> Case:
    """Return the case of a JSON file.

    Raises
    ------
    FileError
        If it is not one, is too large, or holds a layer that torch refuses.

    Examples
    --------
    >>> from_json('{"format": "convt-trace case", "version": 2}')
    Traceback (most recent call last):
        ...
    convt_trace.links.files.FileError: This file is of version 2; this convt-trace reads version 1.
    """
    try:
        return _case(_parsed(text))
    except FileError:
        raise
    except LayerError as error:
        raise FileError(f"The layer in this file is not possible: {error}") from None
    except Unreadable as error:
        raise FileError(f"This file cannot be opened: {error}.") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise FileError(f"This file cannot be read: {_plainly(error)}") from None


# -- writing --------------------------------------------------------------------------------------


def _tensor(tensor: np.ndarray) -> dict[str, Any]:
    if tensor.size > WRITTEN_OUT:
        return {"shape": [*tensor.shape], "packed": pack(tensor)}
    numbers = [_number(value) for value in tensor.reshape(-1)]
    return {"shape": [*tensor.shape], "numbers": _nested(numbers, tensor.shape)}


def _number(value: Any) -> int | float | str:
    """Return a number as JSON has it: the shortest decimals that give its bits; words for the rest."""
    if value.dtype.kind in "iu":
        return int(value)
    if np.isfinite(value):
        short = float(str(value))
        return short if value.dtype.type(short).tobytes() == value.tobytes() else float(value)
    word = str(float(value))
    if np.array(float(word)).astype(value.dtype).tobytes() == value.tobytes():
        return word
    size = value.dtype.itemsize
    return f"bits:{int(value.view(f'u{size}')):0{2 * size}x}"


def _nested(numbers: Sequence[Any], shape: Ints) -> Any:
    if len(shape) == 1:
        return [*numbers]
    step = len(numbers) // shape[0] if shape[0] else 0
    return [_nested(numbers[at * step : (at + 1) * step], shape[1:]) for at in range(shape[0])]


def _indented(value: Any, margin: str = "") -> str:
    """Return JSON with a line per name, and one per innermost list of nested ones."""
    deeper = f"{margin}  "
    if isinstance(value, dict):
        rows = [
            f"{deeper}{json.dumps(key)}: {_indented(item, deeper)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
    text = json.dumps(value, allow_nan=False)
    if isinstance(value, list) and len(text) > 90 and isinstance(value[0], list):
        return "[\n" + ",\n".join(deeper + _indented(row, deeper) for row in value) + f"\n{margin}]"
    return text


# -- reading --------------------------------------------------------------------------------------


def _parsed(text: str | bytes) -> dict[str, Any]:
    if len(text) > LARGEST_FILE:
        raise FileError(
            f"This file is too large: {len(text):,} characters; {LARGEST_FILE:,} are read."
        )
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    # A value takes up to 60 times its two characters in memory: they are counted first.
    values = sum(map(text.count, "[{,:"))
    if values > LARGEST_VALUES:
        raise FileError(
            f"This file holds too many values: {values:,}; {LARGEST_VALUES:,} are read. "
            "Larger tensors are packed."
        )
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileError(f"This file is not JSON: line {error.lineno} cannot be read.") from None
    except (RecursionError, ValueError):
        raise FileError(
            "This file is not a case: its JSON is nested too deeply, or has too long a number."
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FileError(f'This file is not a case: it does not say "format": "{FORMAT}".')
    version = data.get("version")
    if version != VERSION:
        said = version if isinstance(version, int) and abs(version) < 10**9 else "unknown"
        raise FileError(
            f"This file is of version {said}; this convt-trace reads version {VERSION}."
        )
    return data


def _case(data: dict[str, Any]) -> Case:
    dtype = DTYPES.get(str(data.get("dtype")))
    if dtype is None:
        raise FileError(f'"dtype" in this file is not one of {", ".join(DTYPES)}.')
    parameters = data.get("layer", {})
    if not isinstance(parameters, dict):
        raise FileError('"layer" in this file is not an object.')
    x_shape, weight_shape = _shape(data, "x"), _shape(data, "weight")
    dims = len(weight_shape) - 2
    if dims not in (1, 2, 3) or len(x_shape) not in (dims + 1, dims + 2):
        raise FileError("The shapes in this file are not those of an input and a weight.")
    groups = whole(parameters.get("groups", 1), "groups", dims)
    along = {name: ints(parameters.get(name, DEFAULTS[name]), dims, name) for name in PER_DIMENSION}
    layer = Layer(
        weight_shape[0], weight_shape[1] * groups, weight_shape[2:], **along, groups=groups
    )
    batch = x_shape[0] if len(x_shape) == dims + 2 else None
    check_bounds(batch, layer, x_shape[-dims:])
    return Case.of(
        _numbers(data, "x", x_shape, dtype),
        _numbers(data, "weight", weight_shape, dtype),
        None if data.get("bias") is None else _numbers(data, "bias", _shape(data, "bias"), dtype),
        **along,
        groups=groups,
        origin=str(data.get("origin", ""))[:_ORIGIN],
    )


def _shape(data: dict[str, Any], name: str) -> Ints:
    tensor = data.get(name)
    if not isinstance(tensor, dict) or not isinstance(tensor.get("shape"), list):
        raise FileError(f'"{name}" in this file has no shape.')
    shape = tensor["shape"]
    if len(shape) > 5 or not all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= LARGEST_PACKED
        for size in shape
    ):
        raise FileError(f'The shape of "{name}" in this file is not possible.')
    if prod(shape) > LARGEST_PACKED:
        raise FileError(
            f'"{name}" in this file has {prod(shape):,} numbers; {LARGEST_PACKED:,} are read.'
        )
    return tuple(shape)


def _numbers(data: dict[str, Any], name: str, shape: Ints, dtype: np.dtype) -> np.ndarray:
    tensor = data[name]
    try:
        if isinstance(tensor.get("packed"), str):
            return unpack(tensor["packed"], dtype, prod(shape)).reshape(shape)
        flat = _flat(tensor.get("numbers"), shape)
        return np.array([_value(number, dtype) for number in flat], dtype=dtype).reshape(shape)
    except Unreadable as error:
        raise FileError(f'The numbers of "{name}" in this file cannot be read: {error}.') from None


def _flat(numbers: Any, shape: Ints) -> list[Any]:
    """Return nested lists as one, checked against a shape."""
    if not isinstance(numbers, list) or len(numbers) != shape[0]:
        raise Unreadable("they are not nested as the shape says")
    if len(shape) == 1:
        return numbers
    return [number for row in numbers for number in _flat(row, shape[1:])]


def _value(number: Any, dtype: np.dtype) -> Any:
    """Return a number of the dtype itself: a float on the way would lose the bits of a NaN or int64."""
    if isinstance(number, str) and dtype.kind not in "iu":
        bits = _BITS.fullmatch(number)
        size = dtype.itemsize
        if bits and len(bits[1]) == 2 * size:
            return np.array(int(bits[1], 16), dtype=f"u{size}").view(dtype)[()]
        if number in _WORDS:
            return np.array(float(number)).astype(dtype)[()]
    whole_number = isinstance(number, int) and not isinstance(number, bool)
    if dtype.kind in "iu" and whole_number:
        limits = np.iinfo(dtype)
        if limits.min <= number <= limits.max:
            return dtype.type(number)
        raise Unreadable(f"one of them is too large for {dtype.name}")
    if dtype.kind not in "iu" and (whole_number or isinstance(number, float)):
        with np.errstate(all="ignore"):
            return dtype.type(float(number))
    raise Unreadable(f"one of them is not a number of {dtype.name}")


def _plainly(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__

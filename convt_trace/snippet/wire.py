"""Messages from the box: a length, a JSON header, and an array's raw bytes behind it.

::

    4 bytes   length of the header, big-endian
    header    JSON: ["call", {...}], ["print", "text"], ["array", {"dtype", "shape"}], ...
    bytes     of an array alone: its numbers, little-endian, as many as dtype and shape say

Nothing in a message is code, and the reader of it checks every length before it allocates.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from convt_trace.snippet.weights import Weights

_LENGTH = struct.Struct("!I")
#: Bytes of the longest header, and of all; how many there may be.
MOST_HEADER, MOST_HEADERS, MOST_MESSAGES = 2**22, 2**25, 2**15
MOST_AXES = 8
DTYPES: dict[str, np.dtype[Any]] = {
    **{
        name: np.dtype(name)
        for name in (
            "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
        )
    },
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}  # fmt: skip

Message = tuple[str, Any]
Send = Callable[..., None]
#: Returns so many bytes; None where nothing more comes.
Take = Callable[[int], "bytearray | None"]


class Garbled(ValueError):
    """Bytes that are no message."""


class Sender:
    """Writes messages to a descriptor.

    Parameters
    ----------
    descriptor : int
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def __call__(self, kind: str, content: Any, array: np.ndarray | None = None) -> None:
        """Send one message; ``array`` goes behind it."""
        header = json.dumps([kind, content]).encode()
        self._write(_LENGTH.pack(len(header)) + header)
        if array is not None:
            self._write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            view = view[os.write(self._descriptor, view) :]


def question(asked: dict[str, Any], weights: Weights | None = None) -> Iterator[bytes]:
    """Yield the bytes of what a process is asked: a length, JSON, and a file's bytes behind it."""
    file = None if weights is None else [weights.name, len(weights.data)]
    header = json.dumps({**asked, "weights": file}).encode()
    yield _LENGTH.pack(len(header)) + header
    if weights is not None:
        yield weights.data


def asked_in(take: Take) -> tuple[dict[str, Any], Weights | None]:
    """Return what `question` was given; a process trusts who asks it.

    >>> from io import BytesIO
    >>> sent = BytesIO(b"".join(question({"run": True}, Weights("up.pt", b"abc"))))
    >>> asked_in(lambda length: bytearray(sent.read(length)))
    ({'run': True}, Weights(name='up.pt', data=b'abc'))
    """
    (length,) = _LENGTH.unpack(take(_LENGTH.size) or b"")
    asked = json.loads(bytes(take(length) or b""))
    file = asked.pop("weights")
    return asked, None if file is None else Weights(file[0], bytes(take(file[1]) or b""))


def described(array: np.ndarray) -> dict[str, Any]:
    """Return what an array's header says of it.

    >>> described(np.zeros((2, 3), np.float32))
    {'dtype': 'float32', 'shape': [2, 3]}
    """
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def messages(take: Take, most_bytes: int) -> Iterator[Message]:
    """Yield messages; of an array, the array itself.

    Parameters
    ----------
    take : callable
    most_bytes : int
        Of all arrays in sum; headers have `MOST_HEADERS`.

    Raises
    ------
    Garbled
        At the first byte that is not as documented.
    """
    left, headers, count = most_bytes, MOST_HEADERS, 0
    while (head := take(_LENGTH.size)) is not None:
        (length,) = _LENGTH.unpack(head)
        headers, count = headers - length, count + 1
        if length > MOST_HEADER or headers < 0 or count > MOST_MESSAGES:
            raise Garbled("headers too long, or too many")
        kind, content = _header(take(length))
        if kind == "array":
            dtype, shape = _array(content)
            size = prod(shape) * dtype.itemsize
            left -= size
            if left < 0:
                raise Garbled("too many numbers")
            content = np.frombuffer(take(size) or b"", dtype).reshape(shape)
        yield kind, content


def _header(data: bytearray | None) -> Message:
    try:
        kind, content = json.loads(bytes(data or b""))
    except (ValueError, TypeError, RecursionError):
        raise Garbled("a header that is no JSON") from None
    if not isinstance(kind, str):
        raise Garbled("a message without a kind")
    return kind, content


def _array(content: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if not isinstance(content, dict) or content.get("dtype") not in DTYPES:
        raise Garbled("an array of no known dtype")
    shape = content.get("shape")
    if not isinstance(shape, list) or len(shape) > MOST_AXES:
        raise Garbled("an array without a shape")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise Garbled("an array with an impossible shape")
    return DTYPES[content["dtype"]], tuple(shape)

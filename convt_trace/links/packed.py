"""Numbers as short text, and back: what links and files share.

Both come from strangers, so every size is known and checked before anything is inflated or made.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from math import prod

import ml_dtypes
import numpy as np

from convt_trace.engine.layer import Ints, Layer

#: Numbers in a tensor that is sent number by number.
LARGEST_PACKED = 2**22
#: Numbers in any tensor of a case, its output before the crop included.
LARGEST_TENSOR = 2**24
#: MACs of a layer; float32, and other dtypes, for which torch's kernels are slower.
LARGEST_MACS = 2**31
LARGEST_MACS_OTHERWISE = 2**28
#: (input position, tap) pairs along one axis.
LARGEST_AXIS = 2**20

#: What a case's numbers may be.
DTYPES: dict[str, np.dtype] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    **{
        f"{kind}{bits}": np.dtype(f"{kind}{bits}")
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
}
#: What they may be stored as where that loses no bit, shortest first.
_STORES = ("int8", "int16", "bfloat16", "float16", "int32", "float32")


class Unreadable(ValueError):
    """What a link or a file holds cannot be read; the message says what is wrong in a sentence."""


def pack(array: np.ndarray) -> str:
    """Return an array's numbers, bit for bit, as text that `unpack` reads.

    The text is ``store.method.data``: the dtype that the numbers are stored as (a shorter one where
    not a bit is lost), ``s`` for plain, ``z`` for deflated or ``t`` for deflated byte by byte
    (first all lowest bytes, ...), and base64url of a checksum and the bytes.

    Examples
    --------
    >>> pack(np.array([1.0, 1.0, 2.0]))
    'int8.s.eRSmfgEBAg'
    >>> unpack("int8.s.eRSmfgEBAg", np.dtype(np.float64), 3).tolist()
    [1.0, 1.0, 2.0]
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    store = _shortest_store(flat)
    raw = _to_bytes(flat.astype(DTYPES[store]))
    size = DTYPES[store].itemsize
    ways = {"s": raw, "z": _deflate(raw)}
    if size > 1:
        ways["t"] = _deflate(np.frombuffer(raw, np.uint8).reshape(-1, size).T.tobytes())
    method = min(ways, key=lambda way: len(ways[way]))
    data = _check(store, raw) + ways[method]
    return f"{store}.{method}.{base64.urlsafe_b64encode(data).decode().rstrip('=')}"


def unpack(text: str, dtype: np.dtype, count: int | None, most: int = LARGEST_PACKED) -> np.ndarray:
    """Return the numbers of a text that `pack` made, as a flat array.

    Parameters
    ----------
    text : str
    dtype : dtype
    count : int or None
        How many there must be; None takes as many as there are.
    most : int
        How many there may be. Not a byte more is inflated.

    Raises
    ------
    Unreadable
    """
    store, _, rest = text.partition(".")
    method, _, data = rest.partition(".")
    if store not in DTYPES or method not in ("s", "z", "t"):
        raise Unreadable("its numbers are packed in a way that is not known")
    limit = most if count is None else count
    if limit > most:
        raise Unreadable(f"{limit:,} numbers are more than the {most:,} that can be read")
    size = DTYPES[store].itemsize
    packed = _from_base64(data)
    raw = packed[4:] if method == "s" else _inflate(packed[4:], limit * size)
    if len(raw) % size or len(raw) > limit * size or count not in (None, len(raw) // size):
        raise Unreadable("it does not hold as many numbers as its shape says")
    if method == "t":
        raw = np.frombuffer(raw, np.uint8).reshape(size, -1).T.tobytes()
    if packed[:4] != _check(store, raw):
        raise Unreadable("its checksum is not right, so a number in it has changed")
    with np.errstate(all="ignore"):
        return _from_bytes(raw, DTYPES[store]).astype(dtype)


def _shortest_store(flat: np.ndarray) -> str:
    own = flat.dtype
    with np.errstate(all="ignore"):
        for store in _STORES:
            dtype = DTYPES[store]
            if dtype.itemsize < own.itemsize and _same_bits(flat.astype(dtype).astype(own), flat):
                return store
    return own.name


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == b.tobytes()


def _to_bytes(flat: np.ndarray) -> bytes:
    """Return the numbers little-endian, whatever the machine."""
    size = flat.dtype.itemsize
    return flat.view(f"u{size}").astype(f"<u{size}").tobytes()


def _from_bytes(raw: bytes, dtype: np.dtype) -> np.ndarray:
    size = dtype.itemsize
    return np.frombuffer(raw, f"<u{size}").astype(f"u{size}").view(dtype)


def _check(store: str, raw: bytes) -> bytes:
    return zlib.crc32(raw, zlib.crc32(store.encode())).to_bytes(4, "little")


def _deflate(raw: bytes) -> bytes:
    deflater = zlib.compressobj(9, wbits=-15)
    return deflater.compress(raw) + deflater.flush()


def _inflate(data: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj(-15)
    try:
        raw = inflater.decompress(data, most + 1)
    except zlib.error:
        raise Unreadable("its numbers cannot be unpacked") from None
    if len(raw) <= most and not inflater.eof:
        raise Unreadable("its numbers end too early, so it was cut off")
    return raw


def _from_base64(text: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Unreadable("it holds characters that do not belong there")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise Unreadable("its numbers end too early, so it was cut off") from None
    if len(data) < 4:
        raise Unreadable("its numbers end too early, so it was cut off")
    return data


def check_bounds(batch: int | None, layer: Layer, size: Ints, dtype: np.dtype) -> None:
    """Refuse a case that is too large to be opened for a stranger, before anything of it is made.

    Raises
    ------
    Unreadable

    Examples
    --------
    >>> layer = Layer.of(1, 1, 3, stride=2**15, dims=2)
    >>> check_bounds(1, layer, (32, 32), np.dtype("float32"))
    Traceback (most recent call last):
        ...
    convt_trace.links.packed.Unreadable: the output before its crop would have 1,031,871,987,721 numbers;
    at most 16,777,216 are opened
    """
    items = batch or 1  # an empty batch still has axes
    canvas = [out + 2 * crop for out, crop in zip(layer.output_size(size), layer.padding)]
    counts = {
        "x": items * layer.in_channels * prod(size),
        "the weight": prod(layer.weight_shape),
        "the output before its crop": items * layer.out_channels * prod(canvas),
    }
    for name, count in counts.items():
        if count > LARGEST_TENSOR:
            raise Unreadable(
                f"{name} would have {count:,} numbers; at most {LARGEST_TENSOR:,} are opened"
            )
    macs = counts["x"] * layer.out_per_group * prod(layer.kernel_size)
    most = LARGEST_MACS if dtype == np.float32 else LARGEST_MACS_OTHERWISE
    if macs > most:
        raise Unreadable(
            f"the layer takes {macs:,} MACs; at most {most:,} in {dtype.name} are opened"
        )
    if max(length * taps for length, taps in zip(size, layer.kernel_size)) > LARGEST_AXIS:
        raise Unreadable(
            f"input and kernel are too long: length * kernel_size may be {LARGEST_AXIS:,} per axis"
        )

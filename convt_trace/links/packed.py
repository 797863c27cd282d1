"""Numbers as short text, and back: what links and files share.

Both come from strangers, so every size is known and checked before anything is inflated or made.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import ml_dtypes
import numpy as np

from convt_trace.engine.cost import Cost, refusal
from convt_trace.engine.layer import Ints, Layer

#: Numbers in a tensor that is sent number by number.
LARGEST_PACKED = 2**22

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


#: Numbers, and bytes, that are tried first, before all of a large tensor is worked on.
_FIRST, _AT_ONCE = 2**12, 2**16


class Unreadable(ValueError):
    """What a link or a file holds cannot be read; the message says what is wrong in a sentence."""


class TooLong(ValueError):
    """Packed numbers would take more characters than there is room for."""


def pack(array: np.ndarray, longest: int | None = None) -> str:
    """Return an array's numbers, bit for bit, as text that `unpack` reads.

    The text is ``store.method.data``: the dtype that the numbers are stored as (a shorter one where
    not a bit is lost), ``s`` for plain, ``z`` for deflated or ``t`` for deflated byte by byte
    (first all lowest bytes, ...), and base64url of a checksum and the bytes.

    Parameters
    ----------
    array : ndarray
    longest : int, optional
        Characters that there is room for: packing stops where they are used up.

    Raises
    ------
    TooLong

    Examples
    --------
    >>> pack(np.array([1.0, 1.0, 2.0]))
    'int8.s.eRSmfgEBAg'
    >>> unpack("int8.s.eRSmfgEBAg", np.dtype(np.float64), 3).tolist()
    [1.0, 1.0, 2.0]
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    store = _shortest_store(flat)
    raw = _to_bytes(flat.astype(DTYPES[store], copy=False))
    size = DTYPES[store].itemsize
    most = len(raw) if longest is None else longest * 3 // 4
    ways = {"s": raw, "z": _deflate(raw, most)}
    if size > 1:
        ways["t"] = _deflate(np.frombuffer(raw, np.uint8).reshape(-1, size).T.tobytes(), most)
    fitting = {way: data for way, data in ways.items() if data is not None and len(data) <= most}
    if not fitting:
        raise TooLong(f"{flat.size:,} numbers take more than {longest:,} characters")
    method = min(fitting, key=lambda way: len(fitting[way]))
    data = _check(store, raw) + fitting[method]
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
            if dtype.itemsize < own.itemsize and all(
                same_bits(some.astype(dtype).astype(own), some) for some in (flat[:_FIRST], flat)
            ):
                return store
    return own.name


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays of one dtype are equal bit by bit: NaNs and -0.0 too.

    >>> same_bits(np.array([np.nan]), np.array([np.nan])), same_bits(np.array([0.0]), -np.zeros(1))
    (True, False)
    """
    bits = f"u{a.dtype.itemsize}"
    return np.array_equal(np.ascontiguousarray(a).view(bits), np.ascontiguousarray(b).view(bits))


def _to_bytes(flat: np.ndarray) -> bytes:
    """Return the numbers little-endian, whatever the machine."""
    size = flat.dtype.itemsize
    return flat.view(f"u{size}").astype(f"<u{size}", copy=False).tobytes()


def _from_bytes(raw: bytes, dtype: np.dtype) -> np.ndarray:
    size = dtype.itemsize
    return np.frombuffer(raw, f"<u{size}").astype(f"u{size}", copy=False).view(dtype)


def _check(store: str, raw: bytes) -> bytes:
    return zlib.crc32(raw, zlib.crc32(store.encode())).to_bytes(4, "little")


def _deflate(raw: bytes, most: int) -> bytes | None:
    """Return the bytes deflated; None as soon as they are more than ``most``."""
    deflater = zlib.compressobj(9, wbits=-15)
    parts, length = [], 0
    for start in range(0, len(raw), _AT_ONCE):
        parts.append(deflater.compress(raw[start : start + _AT_ONCE]))
        length += len(parts[-1])
        if length > most:
            return None
    return b"".join([*parts, deflater.flush()])


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


def check_bounds(batch: int | None, layer: Layer, size: Ints) -> None:
    """Refuse a case that is too large to be opened for a stranger, before anything of it is made.

    Raises
    ------
    Unreadable

    Examples
    --------
    >>> layer = Layer.of(1, 1, 3, stride=2**15, dims=2)
    >>> check_bounds(1, layer, (32, 32))
    Traceback (most recent call last):
        ...
    convt_trace.links.packed.Unreadable: it has 1,031,871,987,721 output cells before the crop; at most
    16,777,216 are opened
    """
    too_large = refusal(Cost.of(batch, layer, size))
    if too_large:
        raise Unreadable(too_large)

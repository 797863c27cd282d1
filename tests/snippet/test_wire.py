"""Messages out of the box: what is sent arrives, and what is no message is told from one."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convt_trace.snippet import LIMITS
from convt_trace.snippet.building import Builder
from convt_trace.snippet.wire import DTYPES, Garbled, Sender, described, messages


def taker(data: bytes) -> Callable[[int], bytearray | None]:
    """What takes from bytes that have arrived, as from a socket."""
    place = 0

    def take(length: int) -> bytearray | None:
        nonlocal place
        part = data[place : place + length]
        place += length
        if part and len(part) < length:
            raise EOFError
        return bytearray(part) if len(part) == length else None

    return take


def sent(*given_: tuple[Any, ...]) -> bytes:
    read, write = os.pipe()
    with os.fdopen(write, "wb"):
        send = Sender(write)
        for one in given_:
            send(*one)
    with os.fdopen(read, "rb") as pipe:
        return pipe.read()


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_arrives_bit_by_bit(dtype: str) -> None:
    array = np.arange(6).astype(DTYPES[dtype]).reshape(1, 2, 3)
    ((kind, arrived),) = messages(taker(sent(("array", described(array), array))), 10**6)
    assert kind == "array" and arrived.dtype == array.dtype and arrived.shape == (1, 2, 3)
    assert arrived.tobytes() == array.tobytes()


def test_messages_arrive_in_their_order() -> None:
    data = sent(("print", "a"), ("note", [1, "b"]), ("print", "ü"))
    assert list(messages(taker(data), 0)) == [("print", "a"), ("note", [1, "b"]), ("print", "ü")]


def read_all(data: bytes) -> Builder:
    """Put together what has arrived, as the service does."""
    builder = Builder(["x"], LIMITS)
    try:
        for message in messages(taker(data), 2**20):
            builder.add(message)
    except (Garbled, EOFError):
        builder.ended("garbled", "")
    return builder


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    reading = read_all(data).reading()
    assert reading.calls == () and reading.sizes == ()


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
KINDS = ("array", "call", "print", "show", "note", "written", "left", "random", "error", "size")


@given(st.sampled_from(KINDS), plain)
def test_any_content_is_read_or_told(kind: str, content: Any) -> None:
    header = json.dumps([kind, content]).encode()
    read_all(struct.pack("!I", len(header)) + header).reading()


def call(**changes: Any) -> dict[str, Any]:
    given_ = {
        "op": "conv_transpose1d", "stack": [1], "origin": "", "groups": 1, "ran": [], "x": 0, "weight": 1,
        "bias": None, "output": 2, "stride": [1], "padding": [0], "output_padding": [0], "dilation": [1],
        "module": "", "kind": "", "built": 0,
    }  # fmt: skip
    return {**given_, **changes}


X, W, Y = ([[[1.0, 1.0]]], [[[1.0, 1.0]]], [[[1.0, 2.0, 1.0]]])


def with_call(**changes: Any) -> Builder:
    arrays = [np.array(one, np.float32) for one in (X, W, Y)]
    return read_all(
        sent(*(("array", described(one), one) for one in arrays), ("call", call(**changes)))
    )


def test_a_call_as_documented_is_read() -> None:
    builder = with_call()
    assert builder.error is None and len(builder.reading().calls) == 1


@given(st.sampled_from(list(call())), plain)
def test_a_field_of_any_other_content_is_read_or_told(name: str, content: Any) -> None:
    for one in with_call(**{name: content}).reading().calls:
        assert one.output.tolist() == Y and one.x.tolist() == X


def test_what_is_added_to_a_bfloat16_is_seen() -> None:
    arrays = [np.array(one, ml_dtypes.bfloat16) for one in (X, W, [[[1.0, 2.0, 1.25]]])]
    builder = read_all(sent(*(("array", described(one), one) for one in arrays), ("call", call())))
    reading = builder.reading()
    assert reading.calls == ()
    assert reading.notes[0].text == "one call with other numbers than torch's: not shown"

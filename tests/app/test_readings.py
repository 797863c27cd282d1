"""Readings are cached by text, bounded, and shared by those who ask at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from convt_trace.app import readings as module
from convt_trace.app.explain import State
from convt_trace.app.readings import Asked, Readings, Result
from convt_trace.snippet import Reading, Run, SnippetError, Weights


class Reader:
    """Stands for the worker: counts, and may be held up."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.go = Event()
        self.go.set()
        self.error: SnippetError | None = None

    def __call__(self, asked: Asked, visitor: str, weights: Weights | None) -> Result:
        self.read.append(asked.source)
        assert self.go.wait(10)
        return Result(Reading(printed=asked.source), self.error)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    stand_in = Reader()
    monkeypatch.setattr(module, "_read", stand_in)
    return stand_in


def test_a_text_is_read_once(reader: Reader) -> None:
    cached = Readings()
    assert not cached.has(Asked("a"))
    assert cached.read(Asked("a")) is cached.read(Asked("a"))
    assert cached.has(Asked("a")) and not cached.has(Asked("a", Run("Up")))
    assert reader.read == ["a"]


def test_those_who_ask_together_wait_for_one_reading(reader: Reader) -> None:
    cached, start = Readings(), Barrier(5)
    reader.go.clear()

    def ask(_: int) -> Result:
        start.wait(10)
        return cached.read(Asked("a"))

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        start.wait(10)
        reader.go.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert reader.read == ["a"]


def test_room_is_made_by_what_was_not_asked_for_longest(reader: Reader) -> None:
    cached = Readings(limit=2 * len("abcd") * 2)
    for source in ("aaaa", "bbbb", "aaaa", "cccc"):
        cached.read(Asked(source))
    assert cached.has(Asked("aaaa")) and cached.has(Asked("cccc")) and not cached.has(Asked("bbbb"))
    cached.read(Asked("x" * 1000))
    assert cached.has(Asked("x" * 1000)), "the one that is being shown stays, however large"


def test_a_text_that_ran_out_of_time_can_be_tried_again(reader: Reader) -> None:
    cached = Readings()
    reader.error = SnippetError("Refused", "more than 1.5 seconds of computing")
    assert cached.read(Asked("a")).out_of_time
    reader.error = None
    cached.try_again("a")
    assert not cached.read(Asked("a")).out_of_time
    cached.try_again("a")
    assert cached.has(Asked("a"))


def test_another_file_is_another_reading_and_the_cache_asks_for_its_bytes_once(
    reader: Reader,
) -> None:
    cached, asked_for = Readings(), []

    def give() -> Weights:
        asked_for.append("up.pt")
        return Weights("up.pt", bytes(10**6))

    first = cached.read(Asked("a", weights="up.pt 1"), weights=give)
    assert cached.read(Asked("a", weights="up.pt 1"), weights=give) is first
    assert asked_for == ["up.pt"] and reader.read == ["a"]
    assert cached.read(Asked("a"), weights=lambda: None) is not first
    assert cached.read(Asked("a", weights="up.pt 2"), weights=give) is not first
    # Of a file the cache has its digest alone.
    assert "bytes" not in repr(Asked("a", weights="up.pt 1")) and first.bytes < 1000


def test_the_key_of_a_file_is_its_name_and_what_is_in_it() -> None:
    def state(name: str, data: bytes, file_id: str) -> State:
        record = UploadedFileRec(file_id, name, "", data)
        return State("a", file=UploadedFile(record, FileURLs()))

    keys = [
        state(*one).asked.weights
        for one in (
            ("a.pt", b"1", "x"),
            ("a.pt", b"1", "y"),
            ("a.pt", b"2", "z"),
            ("b.pt", b"1", "w"),
        )
    ]
    assert keys[0] == keys[1] and len(set(keys)) == 3
    shown = state("a.pt", b"1", "x")
    before = shown.asked
    shown.file = state("a.pt", b"2", "z").file
    assert shown.asked != before
    shown.file = None
    assert shown.asked == Asked("a")


def test_a_file_lies_beside_the_next_text_too() -> None:
    shown = State("a", file=UploadedFile(UploadedFileRec("x", "a.pt", "", b"1"), FileURLs()))
    shown.explain("b")
    assert shown.asked.weights.startswith("a.pt ")

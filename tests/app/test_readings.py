"""Readings are cached by text, bounded, and shared by those who ask at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from convt_trace.app import readings as module
from convt_trace.app.readings import Asked, Readings, Result
from convt_trace.snippet import Reading, Run, SnippetError


class Reader:
    """Stands for the worker: counts, and may be held up."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.go = Event()
        self.go.set()
        self.error: SnippetError | None = None

    def __call__(self, asked: Asked, visitor: str) -> Result:
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

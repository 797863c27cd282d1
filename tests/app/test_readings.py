"""Readings are kept by text, bounded, and shared by those who ask at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from convt_trace.app import readings as module
from convt_trace.app.readings import Readings, Result
from convt_trace.snippet import Reading, Run, SnippetError


class Reader:
    """Stands for the worker: counts, and may be held up."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.go = Event()
        self.go.set()
        self.error: SnippetError | None = None

    def __call__(self, source: str, run: Run | None) -> Result:
        self.read.append(source)
        assert self.go.wait(10)
        return Result(Reading(printed=source), self.error)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    stand_in = Reader()
    monkeypatch.setattr(module, "_read", stand_in)
    return stand_in


def test_a_text_is_read_once(reader: Reader) -> None:
    kept = Readings()
    assert not kept.has("a")
    assert kept.read("a") is kept.read("a")
    assert kept.has("a") and not kept.has("a", Run("Up"))
    assert reader.read == ["a"]


def test_those_who_ask_together_wait_for_one_reading(reader: Reader) -> None:
    kept, start = Readings(), Barrier(5)
    reader.go.clear()

    def ask(_: int) -> Result:
        start.wait(10)
        return kept.read("a")

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        start.wait(10)
        reader.go.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert reader.read == ["a"]


def test_room_is_made_by_what_was_not_asked_for_longest(reader: Reader) -> None:
    kept = Readings(limit=2 * len("abcd") * 2)
    for source in ("aaaa", "bbbb", "aaaa", "cccc"):
        kept.read(source)
    assert kept.has("aaaa") and kept.has("cccc") and not kept.has("bbbb")
    kept.read("x" * 1000)
    assert kept.has("x" * 1000), "the one that is being shown stays, however large"


def test_a_text_that_ran_out_of_time_can_be_tried_again(reader: Reader) -> None:
    kept = Readings()
    reader.error = SnippetError("Refused", "more than 1.5 seconds of computing")
    assert kept.read("a").out_of_time
    reader.error = None
    kept.try_again("a")
    assert not kept.read("a").out_of_time
    kept.try_again("a")
    assert kept.has("a")

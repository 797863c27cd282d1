"""What is cached is bounded by its bytes, and worked out once for all who ask together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from convt_trace.engine.memory import Cache


def test_a_result_is_worked_out_once() -> None:
    cache: Cache[str, bytes] = Cache(100, len)
    first = cache.get("a", lambda: b"result")
    assert cache.get("a", lambda: pytest.fail("worked out again")) is first
    assert cache.has("a") and not cache.has("b")


def test_those_who_ask_together_wait_for_one_result() -> None:
    cache: Cache[str, bytes] = Cache(100, len)
    start, go, calls = Barrier(5), Event(), []

    def work_out() -> bytes:
        calls.append(threading.get_ident())
        assert go.wait(10)
        return b"result"

    def ask(_: int) -> bytes:
        start.wait(10)
        return cache.get("a", work_out)

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(4)]
        start.wait(10)
        go.set()
        assert len({id(one.result(10)) for one in asked}) == 1
    assert len(calls) == 1


def test_who_asks_for_another_key_does_not_wait() -> None:
    cache: Cache[str, bytes] = Cache(100, len)
    go, under_way = Event(), Event()

    def slow() -> bytes:
        under_way.set()
        assert go.wait(10)
        return b"slow"

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(cache.get, "slow", slow)
        assert under_way.wait(10)
        assert cache.get("quick", lambda: b"quick") == b"quick"
        assert not cache.has("slow")
        go.set()
        assert asked.result(10) == b"slow"


def test_room_is_made_by_what_was_not_asked_for_longest() -> None:
    cache: Cache[str, bytes] = Cache(8, len)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda: bytes(4))
    assert [key for key in "abc" if cache.has(key)] == ["a", "c"]
    cache.get("large", lambda: bytes(1000))
    assert [key for key in ("a", "c", "large") if cache.has(key)] == ["large"]


def test_many_small_results_are_bounded_too() -> None:
    cache: Cache[int, bytes] = Cache(1000, len, most=3)
    for key in range(10):
        cache.get(key, bytes)
    assert [key for key in range(10) if cache.has(key)] == [7, 8, 9]


def test_a_failure_is_told_to_all_and_not_cached() -> None:
    cache: Cache[str, bytes] = Cache(100, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: bytes(1 // 0))
    assert not cache.has("a")
    assert cache.get("a", lambda: b"result") == b"result"


def test_what_is_forgotten_is_worked_out_again() -> None:
    cache: Cache[str, bytes] = Cache(100, len)
    for key in "ab":
        cache.get(key, key.encode)
    cache.forget(lambda key, value: value == b"a")
    assert not cache.has("a") and cache.has("b")
    cache.forget()
    assert not cache.has("b")

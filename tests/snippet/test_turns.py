"""Visitors take turns: who asks a hundred times waits a hundred times, and the others once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from convt_trace.snippet.service import Turns


class Queue:
    """Puts visitors into a queue one after the other, and tells who is let in."""

    def __init__(self, at_once: int) -> None:
        self.turns, self.at_once, self.order = Turns(at_once), at_once, list[str]()
        self.leave: list[threading.Event] = []
        self._pool = ThreadPoolExecutor(50)

    def come(self, visitor: str) -> None:
        before = self.count()
        leave = threading.Event()

        def wait() -> None:
            with self.turns.turn(visitor):
                self.order.append(visitor)
                self.leave.append(leave)
                assert leave.wait(20)

        self._pool.submit(wait)
        settle(lambda: self.count() == before + 1)

    def count(self) -> int:
        return len(self.order) + sum(map(len, self.turns._waiting.values()))

    def go(self) -> None:
        """Let all of them leave, one after the other: who takes a place is in before the next one leaves."""
        everybody = self.count()
        for place in range(everybody):
            here = min(everybody, place + self.at_once)
            settle(lambda here=here: len(self.leave) >= here)
            self.leave[place].set()
        self._pool.shutdown()


def settle(done) -> None:
    for _ in range(5000):
        if done():
            return
        time.sleep(0.002)
    raise AssertionError("it does not come to rest")


def test_a_flood_slows_the_flooder_alone() -> None:
    queue = Queue(at_once=1)
    for visitor in ["flood"] * 10 + ["a", "b", "a"]:
        queue.come(visitor)
    queue.go()
    assert queue.order == ["flood", "flood", "a", "b", "flood", "a"] + ["flood"] * 7


def test_so_many_at_once_and_no_more() -> None:
    queue = Queue(at_once=2)
    for visitor in "abcde":
        queue.come(visitor)
    assert queue.order == ["a", "b"]
    queue.leave[0].set()
    settle(lambda: len(queue.order) == 3)
    assert queue.order == ["a", "b", "c"]
    queue.go()
    assert queue.order == list("abcde")

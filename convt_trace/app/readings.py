"""Readings of pasted texts, kept so that a rerun does not read a text again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

from convt_trace.snippet import Reading, Run, SnippetError, read_snippet
from convt_trace.snippet import worker as _worker

#: Bytes of tensors that are kept, in all; the largest single reading has half of that.
_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a text.

    Attributes
    ----------
    reading : Reading
        Everything that was read, up to the error if there is one.
    error : SnippetError or None
    """

    reading: Reading
    error: SnippetError | None = None

    @property
    def out_of_time(self) -> bool:
        """Whether it ended at the clock: on a busy server the same text may be read the next time."""
        return self.error is not None and "seconds of computing" in self.error.message

    @property
    def bytes(self) -> int:
        """The size of its tensors, those that calls share counted once."""
        tensors = {
            id(tensor): tensor.nbytes
            for call in self.reading.calls
            for tensor in (call.x, call.weight, call.bias, call.output)
            if tensor is not None
        }
        return sum(tensors.values()) + 2 * len(self.reading.printed)


class Readings:
    """Results by text; who asks for one that is under way waits for it.

    Parameters
    ----------
    limit : int
        Bytes of tensors to keep; the result that was not asked for longest goes first.
    """

    def __init__(self, limit: int = _KEPT_BYTES):
        self._limit = limit
        self._kept: OrderedDict[tuple[str, Run | None], Future[Result]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, source: str, run: Run | None = None) -> Result:
        """Read a text in the worker process, or return what came of it the last time."""
        key = (source, run)
        with self._lock:
            future = self._kept.get(key)
            mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
        if mine:
            try:
                future.set_result(_read(source, run))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)
                future.set_exception(error)
                raise
            self._make_room()
        return future.result()

    def has(self, source: str, run: Run | None = None) -> bool:
        """Whether a result is at hand, so that no time needs to be announced."""
        future = self._kept.get((source, run))
        return future is not None and future.done()

    def try_again(self, source: str) -> None:
        """Forget a text's results that ended at the clock."""
        with self._lock:
            for key, future in list(self._kept.items()):
                if key[0] == source and future.done() and future.result().out_of_time:
                    del self._kept[key]

    def _make_room(self) -> None:
        with self._lock:
            done = {key: one.result().bytes for key, one in self._kept.items() if one.done()}
            room = self._limit - sum(done.values())
            for key, size in list(done.items())[:-1]:
                if room >= 0 and len(self._kept) <= 256:
                    break
                del self._kept[key]
                room += size


def _read(source: str, run: Run | None) -> Result:
    try:
        return Result(read_snippet(source, run, isolated=True))
    except SnippetError as error:
        return Result(error.reading, error)


readings = Readings()
_warming = threading.Lock()
_warm = False


def warm_up() -> None:
    """Start the worker beside the first page, so that the first reader need not wait for torch."""
    global _warm
    with _warming:
        if not _warm:
            _warm = True
            threading.Thread(target=_worker.warm_up, daemon=True).start()

"""Readings of pasted texts, cached so that a rerun does not read a text again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass

from convt_trace.snippet import Reading, Run, SnippetError, read_snippet
from convt_trace.snippet import worker as _worker

#: Bytes of tensors that are cached, in all; the largest single reading has half of that.
_CACHED_BYTES = 256 * 2**20


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
        """Whether its time ran out: on a busy server the same text may be read the next time."""
        return self.error is not None and "seconds of computing" in self.error.message

    @property
    def bytes(self) -> int:
        """Bytes of its tensors; one that several calls share counts once."""
        tensors = {
            id(tensor): tensor.nbytes
            for call in self.reading.calls
            for tensor in (call.x, call.weight, call.bias, call.output)
            if tensor is not None
        }
        return sum(tensors.values()) + 2 * len(self.reading.printed)


class Readings:
    """Results by text; whoever asks for one that is being made waits for it.

    Parameters
    ----------
    limit : int
        Bytes of tensors to cache; the result that was used least recently goes first.
    """

    def __init__(self, limit: int = _CACHED_BYTES):
        self._limit = limit
        self._cached: OrderedDict[tuple[str, Run | None], Future[Result]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, source: str, run: Run | None = None) -> Result:
        """Return the cached result of a text, or read it in the worker process."""
        key = (source, run)
        with self._lock:
            future = self._cached.get(key)
            mine = future is None
            if future is None:
                future = self._cached[key] = Future()
            self._cached.move_to_end(key)
        if mine:
            try:
                future.set_result(_read(source, run))
            except BaseException as error:
                with self._lock:
                    self._cached.pop(key, None)
                future.set_exception(error)
                raise
            self._make_room()
        return future.result()

    def has(self, source: str, run: Run | None = None) -> bool:
        """Whether a result is cached, so that no spinner is needed."""
        future = self._cached.get((source, run))
        return future is not None and future.done()

    def try_again(self, source: str) -> None:
        """Forget the results of a text whose time ran out."""
        with self._lock:
            for key, future in list(self._cached.items()):
                if key[0] == source and future.done() and future.result().out_of_time:
                    del self._cached[key]

    def _make_room(self) -> None:
        with self._lock:
            done = {key: one.result().bytes for key, one in self._cached.items() if one.done()}
            room = self._limit - sum(done.values())
            for key, size in list(done.items())[:-1]:
                if room >= 0 and len(self._cached) <= 256:
                    break
                del self._cached[key]
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
    """Start the worker while the first page is drawn: importing torch takes a while."""
    global _warm
    with _warming:
        if not _warm:
            _warm = True
            threading.Thread(target=_worker.warm_up, daemon=True).start()

"""Readings of pasted texts, cached so that a rerun does not read a text again."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from convt_trace.engine.memory import Cache
from convt_trace.snippet import Reading, Run, SnippetError, read_snippet
from convt_trace.snippet import worker as _worker

#: Bytes of tensors that are cached, in all; a DCGAN at full size has 15 MB.
_CACHED_BYTES = 64 * 2**20


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
        self._cached: Cache[tuple[str, Run | None], Result] = Cache(limit, lambda one: one.bytes)

    def read(self, source: str, run: Run | None = None) -> Result:
        """Return the cached result of a text, or read it in the worker process."""
        return self._cached.get((source, run), lambda: _read(source, run))

    def has(self, source: str, run: Run | None = None) -> bool:
        """Whether a result is cached, so that no spinner is needed."""
        return self._cached.has((source, run))

    def try_again(self, source: str) -> None:
        """Forget the results of a text whose time ran out."""
        self._cached.forget(lambda key, result: key[0] == source and result.out_of_time)


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

"""Readings of pasted texts, cached so that a rerun does not read a text again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from time import monotonic

from convt_trace.app.watched import reads
from convt_trace.engine.memory import Cache
from convt_trace.planning.recorded import Recorded, read_off
from convt_trace.snippet import Reading, Run, SnippetError, Weights, read_snippet
from convt_trace.snippet.service import why_no_box

#: Bytes of tensors that are cached, in all; a DCGAN at full size has 15 MB.
_CACHED_BYTES = 64 * 2**20

Giver = Callable[[], Weights | None]


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
        told = self.error.message if self.error is not None else ""
        return "seconds of computing" in told or "seconds on the clock" in told

    @cached_property
    def along(self) -> Recorded | None:
        """The layers of its longest path, as a chain; None where none changes a size."""
        return read_off(self.reading.made)

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


@dataclass(frozen=True)
class Asked:
    """A text to be read.

    Attributes
    ----------
    source : str
    run : Run or None
        Which of its layers to run.
    unboxed : bool
        Whether the person at this computer has agreed to run it with no lock.
    weights : str
        Name and digest of the file of weights beside it; empty where there is none. The bytes are
        where they were uploaded to: kept here, they would outlast the visit.
    """

    source: str
    run: Run | None = None
    unboxed: bool = False
    weights: str = ""


class Readings:
    """Results by text; whoever asks for one that is being made waits for it.

    Parameters
    ----------
    limit : int
        Bytes of tensors to cache; the result that was used least recently goes first.
    """

    def __init__(self, limit: int = _CACHED_BYTES):
        self._cached: Cache[Asked, Result] = Cache(limit, lambda one: one.bytes)

    def read(self, asked: Asked, visitor: str = "", weights: Giver = lambda: None) -> Result:
        """Return the cached result of a text, or have it read when it is this visitor's turn.

        Parameters
        ----------
        asked : Asked
        visitor : str
        weights : callable
            Gives the file that ``asked`` names; called only where the text is read.
        """
        return self._cached.get(asked, lambda: _read(asked, visitor, weights()))

    def has(self, asked: Asked) -> bool:
        """Whether a result is cached, so that no spinner is needed."""
        return self._cached.has(asked)

    def try_again(self, source: str) -> None:
        """Forget the results of a text whose time ran out."""
        self._cached.forget(lambda key, result: key.source == source and result.out_of_time)


def _read(asked: Asked, visitor: str, weights: Weights | None) -> Result:
    started = monotonic()
    try:
        reading = read_snippet(
            asked.source, asked.run, weights=weights, visitor=visitor, unboxed=asked.unboxed
        )
        result = Result(reading)
    except SnippetError as error:
        result = Result(error.reading, error)
    reads.add(_outcome(result), monotonic() - started)
    return result


def _outcome(result: Result) -> str:
    kind = "" if result.error is None else result.error.type
    return {"": "read", "Refused": "refused", "NoBox": "not run"}.get(kind, "error")


readings = Readings()


@cache
def _starting() -> Future[str]:
    """Start the process that runs texts, once: to import torch takes a while."""
    return ThreadPoolExecutor(1).submit(why_no_box)


def trouble() -> str:
    """Return why texts are not run here, as far as that is known by now; start what runs them."""
    starting = _starting()
    return starting.result() if starting.done() else ""

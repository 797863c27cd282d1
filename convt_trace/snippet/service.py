"""Readings by processes of their own: two at a time, and each visitor in turn."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from convt_trace.snippet import alone
from convt_trace.snippet.building import Builder
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.reading import Run
from convt_trace.snippet.weights import Weights
from convt_trace.snippet.wire import Garbled, Take, messages
from convt_trace.snippet.zygote import NoBox, Zygote

Ask = Callable[[dict[str, Any], Limits], contextlib.AbstractContextManager[Take]]
#: Readings at the same time: each has one thread.
AT_ONCE = 2


class Turns:
    """So many at a time; who waits is let in visitor by visitor, not text by text.

    Parameters
    ----------
    at_once : int
    """

    def __init__(self, at_once: int):
        self._free = at_once
        self._waiting: OrderedDict[str, deque[threading.Event]] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, visitor: str) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        mine = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                mine.set()
            else:
                self._waiting.setdefault(visitor, deque()).append(mine)
        mine.wait()
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            visitor, queue = self._waiting.popitem(last=False)
            queue.popleft().set()
            if queue:
                self._waiting[visitor] = queue  # behind everybody else


_turns = Turns(AT_ONCE)
_starting = threading.Lock()
_zygotes: list[Zygote] = []


def _zygote() -> Zygote:
    with _starting:
        if not _zygotes or not _zygotes[-1].alive:
            _zygotes[:] = [Zygote()]
            atexit.register(_zygotes[-1].close)
        return _zygotes[-1]


def why_no_box() -> str:
    """Return why texts are not run here; empty where they are. Starts the process that runs them."""
    try:
        _zygote()
    except NoBox as error:
        return str(error)
    return ""


def read(
    source: str,
    run: Run | None,
    limits: Limits,
    builder: Builder,
    visitor: str,
    unboxed: bool,
    weights: Weights | None = None,
) -> None:
    """Read a text in a process of its own, and add what it sends to ``builder``.

    Raises
    ------
    NoBox
        Where no process can be locked here; ``builder`` then has what the text writes down.
    """
    request: dict[str, Any] = {"source": source, "seed": 0}
    if run is not None:
        shapes = [list(shape) for shape in run.input_shapes]
        request |= {"target": run.target, "input_shapes": shapes, "init_args": run.init_args}
    with _turns.turn(visitor):
        try:
            to = partial(alone.ask, run=True) if unboxed else _zygote().ask
        except NoBox:
            _attempt(request, limits, builder, partial(alone.ask, run=False))
            raise
        ask = partial(to, weights=weights)
        _attempt(request, limits, builder, ask)
        if builder.out_of_memory:
            _find_sizes(request, limits, builder, ask)
        elif builder.drew:
            _mark_random(request, limits, builder, ask)
        if builder.misfit:
            _look_behind(request, limits, builder, ask)


def _attempt(request: dict[str, Any], limits: Limits, builder: Builder, ask: Ask) -> None:
    """Have a text read once."""
    started = time.monotonic()
    bytes_in_sum = limits.recorded_elements * 8
    try:
        with ask(request, limits) as take:
            for message in messages(take, bytes_in_sum):
                builder.add(message)
    except Garbled as fault:
        builder.error = None
        builder.ended(f"an answer that can't be read ({fault})", "")
    except (OSError, EOFError):
        pass
    spent = time.monotonic() - started
    if not builder.complete:
        if spent > limits.wall_seconds - 0.5:
            what = f"more than {limits.wall_seconds:g} seconds on the clock"
            builder.ended(what, "The computer may be busy: try again.")
        elif spent > limits.seconds + 1:
            what = f"more than {limits.seconds:g} seconds of computing"
            builder.ended(what, "Use smaller tensors or fewer repetitions.")
        else:
            builder.ended(
                "a crash inside torch, or more memory than there is", "Use smaller tensors."
            )


def _find_sizes(request: dict[str, Any], limits: Limits, builder: Builder, ask: Ask) -> None:
    """Read again on the meta device, where tensors have sizes and no numbers."""
    again = Builder([], limits)
    _attempt({**request, "meta": True}, limits, again, ask)
    if len(again.sizes) > len(builder.sizes):
        builder.sizes[:] = again.sizes
        builder.note(0, "its numbers do not fit into the memory of the reader: here are its sizes")


def _look_behind(request: dict[str, Any], limits: Limits, builder: Builder, ask: Ask) -> None:
    """Read again with tensors made to fit: the layers behind a join that torch refused are of interest."""
    again = Builder([], limits)
    _attempt({**request, "mends": True}, limits, again, ask)
    if len(again.made) > len(builder.made):
        builder.made[:] = again.made


def _mark_random(request: dict[str, Any], limits: Limits, builder: Builder, ask: Ask) -> None:
    """Read again with another seed and mark the calls whose numbers change."""
    outputs = builder.outputs
    again = Builder([], limits)
    if outputs:
        _attempt({**request, "seed": 1}, limits, again, ask)
    others = again.outputs
    same_calls = len(others) == len(outputs)
    changed = {at for at, one in enumerate(outputs) if not same_calls or one != others[at]}
    builder.random_calls = changed
    if changed or (not outputs and builder.said_something):
        builder.note(
            0,
            "random numbers without torch.manual_seed differ at each run: what is shown is one "
            "sample, the one after torch.manual_seed(0)",
        )

"""The windows of a trace that a page or a notebook keeps, where there may be nobody to ask for more."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from convt_trace.engine.case import Case
from convt_trace.engine.view import View
from convt_trace.player.linked import with_views
from convt_trace.player.scene import build, read_message
from convt_trace.views import VIEWS

#: Bytes that a window takes beside its own: its element, and its place in the contents.
_AROUND = 100


@dataclass(frozen=True)
class Window:
    """A window of a trace, MACs ``start:stop``, as a message to the player."""

    start: int
    stop: int
    message: bytes

    @cached_property
    def packed(self) -> bytes:
        """The message, gzip'd; without a time stamp the same page has the same bytes."""
        return gzip.compress(self.message, mtime=0)

    def holds(self, number: int) -> bool:
        """Whether a MAC is in it; the window of an empty trace holds its beginning."""
        return self.start <= number < max(self.stop, 1)


def kept(case: Case, view: View, step: int, total: int, room: float) -> list[Window]:
    """Return the windows that fit: those of the step, the beginning and the end, then in order.

    Parameters
    ----------
    case : Case
    view : View
    step, total : int
        The step to open at, and all there are.
    room : float
        Bytes of all windows, packed. That of the step is kept whatever it takes; linked views come last.
    """
    held: dict[int, Window] = {}

    def add(window: Window) -> bool:
        nonlocal room
        if window.start in held:
            return True
        room -= len(window.packed) + _AROUND
        if room < 0 and held:
            return False
        held[window.start] = window
        return True

    for number in (max(step - 1, 0), 0, max(total - 1, 0)):
        if not add(window(case, view, number)):
            return _in_order(held)
    for one in _walk(case, view, total):
        if not add(one):
            break
    for one in list(held.values()):  # the step's first
        with_all = replace(one, message=with_views(one.message, case, view, list(VIEWS)))
        room -= len(with_all.packed) - len(one.packed)
        if room < 0:
            break
        held[one.start] = with_all
    return _in_order(held)


def window(case: Case, view: View, number: int) -> Window:
    """Return the window that has a MAC."""
    # Not `scene`: its cache is for the app's visitors, and a long export would empty it.
    message = build(case, view, number)
    bounds = read_message(message)[0]["window"]
    return Window(bounds["start"], bounds["stop"], message)


def _in_order(held: dict[int, Window]) -> list[Window]:
    return [held[start] for start in sorted(held)]


def _walk(case: Case, view: View, total: int) -> Iterator[Window]:
    at = 0
    while at < total:
        one = window(case, view, at)
        yield one
        at = one.stop

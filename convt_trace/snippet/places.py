"""Where a text is while it runs: its lines and the places of its calls, and what it made where."""

from __future__ import annotations

import sys
import traceback
import types
import weakref
from collections.abc import Iterator
from typing import Any

#: The name under which a text is compiled.
FILE = "<pasted>"

#: Line and column.
Place = tuple[int, int]


def frames(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """Yield frames, the innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def lines_now() -> list[int]:
    """Return the lines of the text that are running, outermost first."""
    running = frames(sys._getframe(1))
    return [one.f_lineno for one in running if one.f_code.co_filename == FILE][::-1]


def lines_of(error: BaseException) -> list[int]:
    """Return the lines of the text in which an error was raised, outermost first."""
    return [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == FILE
    ]


def places_now() -> Iterator[Place]:
    """Yield line and column of every call of the text that is running."""
    for frame in frames(sys._getframe(1)):
        if frame.f_code.co_filename == FILE:
            for at, position in enumerate(frame.f_code.co_positions()):
                if at == frame.f_lasti // 2:
                    line, _, column, _ = position
                    if line is not None and column is not None:
                        yield line, column
                    break


class Beside:
    """Values beside objects, by identity: the objects of a text compare and hash as they like."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def __setitem__(self, one: Any, value: Any) -> None:
        self._held[id(one)] = weakref.ref(one), value

    def get(self, one: Any, otherwise: Any = None) -> Any:
        """Return the value beside an object, or ``otherwise``."""
        reference, value = self._held.get(id(one), (None, None))
        return value if reference is not None and reference() is one else otherwise

    def items(self) -> list[tuple[Any, Any]]:
        """Return the objects that live, and their values."""
        pairs = ((reference(), value) for reference, value in self._held.values())
        return [pair for pair in pairs if pair[0] is not None]

"""The errors of the reader. Only `SnippetError` leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convt_trace.snippet.reading import Attempt, Reading


class SnippetError(Exception):
    """A text that was not read to its end.

    Attributes
    ----------
    type : str
        "SyntaxError", "Refused", "NothingToExplain", or the name of the exception that torch or
        Python would have raised.
    message : str
        What happened; torch's own first line where torch raised it.
    lineno : int or None
        The line of the pasted text.
    stack : tuple of int
        The lines that led there, outermost first, ending with ``lineno``.
    hint : str
        What to do about it; may be empty.
    reading : Reading
        Everything that was read before it.
    pasted : bool
        Whether it is a message that was pasted, and not the end of a run.
    attempt : Attempt or None
        The convolution that did not run, with its shapes and parameters, if that was the end.

    Examples
    --------
    >>> error = SnippetError("Refused", "open is not read", 3, hint="Write the numbers out.")
    >>> print(error)
    line 3: Refused: open is not read
    >>> error.to_json()["error"]["lineno"]
    3
    """

    def __init__(
        self,
        type: str,
        message: str,
        lineno: int | None = None,
        *,
        hint: str = "",
        stack: tuple[int, ...] = (),
        reading: Reading | None = None,
        attempt: Attempt | None = None,
        pasted: bool = False,
    ):
        super().__init__(type, message, lineno)
        if reading is None:
            from convt_trace.snippet.reading import Reading

            reading = Reading()
        self.type, self.message, self.lineno, self.hint = type, message, lineno, hint
        self.stack, self.reading, self.attempt, self.pasted = stack, reading, attempt, pasted

    def __str__(self) -> str:
        where = f"line {self.lineno}: " if self.lineno is not None else ""
        return f"{where}{self.type}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return what was read before the error, and the error, as plain lists and dicts."""
        return {
            **self.reading.to_json(),
            "error": {
                "type": self.type,
                "message": self.message,
                "lineno": self.lineno,
                "hint": self.hint,
            },
        }

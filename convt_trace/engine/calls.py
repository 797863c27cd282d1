"""The calls that a model made, as `record` gives them."""

from __future__ import annotations

from convt_trace.engine.case import Case
from convt_trace.engine.sized import Sized
from convt_trace.engine.text import table


class Recording(list["Case | Sized"]):
    """What `record` has caught, in the order of the calls.

    A notebook shows it as a table; where `anywidget` is, with a player for each call that is opened.

    Attributes
    ----------
    notes : list of str
        What was left out, and why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def to_markdown(self) -> str:
        """Return the calls as a table, and the notes.

        Examples
        --------
        >>> calls = Recording()
        >>> calls.append(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2, origin="up, call 1"))
        >>> print(calls.to_markdown())
        | call | layer | input | output | MACs |
        |---:|---|---|---|---:|
        | 1 | `nn.ConvTranspose1d(1, 1, 3, padding=2, bias=False)` | (1, 1, 4) | (1, 1, 2) | 12 |
        """
        heads = ["call", "layer", "input", "output", "MACs"]
        rows = [[str(number), *_row(call)] for number, call in enumerate(self, 1)]
        parts = [table(heads, rows, "ntttn") if rows else "No transposed convolution ran."]
        return "\n\n".join([*parts, *(f"- {note}" for note in self.notes)])

    _repr_markdown_ = to_markdown


def _row(call: Case | Sized) -> list[str]:
    if isinstance(call, Sized):
        return [
            f"`{call.op}` {call.module}".strip(),
            str(call.x),
            str(call.output),
            f"{call.macs:,}",
        ]
    geometry = call.geometry
    cut = 1 if call.unbatched else 0
    shapes = [str(geometry.input_shape[cut:]), str(geometry.output_shape[cut:])]
    return [f"`{call.line()}`", *shapes, f"{geometry.macs:,}"]

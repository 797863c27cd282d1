"""Pasted PyTorch text, read without being executed.

`read_snippet` walks the syntax tree of a text and returns every convolution that it runs.
"""

from __future__ import annotations

from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import LIMITS, Limits
from convt_trace.snippet.reading import (
    Argument,
    Attempt,
    Call,
    Definition,
    Note,
    Reading,
    Run,
    Shown,
)

__all__ = [
    "LIMITS",
    "Argument",
    "Attempt",
    "Call",
    "Definition",
    "Limits",
    "Note",
    "Reading",
    "Run",
    "Shown",
    "SnippetError",
    "read_snippet",
]


def read_snippet(
    source: str, run: Run | None = None, *, isolated: bool = False, limits: Limits = LIMITS
) -> Reading:
    r"""Read a pasted text and return the convolutions it runs.

    Parameters
    ----------
    source : str
        The text as it was pasted.
    run : Run, optional
        Which of its uncalled classes or layers to run, and on what.
    isolated : bool
        Read in a process of its own under the operating system's limits; texts from strangers
        always are. In this process only the reader's own checks hold.
    limits : Limits

    Raises
    ------
    SnippetError
        Whatever is wrong; its ``reading`` holds everything before it.

    Examples
    --------
    >>> reading = read_snippet('''
    ... import torch
    ... layer = torch.nn.ConvTranspose1d(1, 1, 3, padding=2, bias=False)
    ... layer.weight.data = torch.tensor([[[1., 1., 5.]]])
    ... print(layer(torch.tensor([[[2., 1., 1., 3.]]])).tolist())
    ... ''')
    >>> reading.printed
    '[[[12.0, 9.0]]]\n'
    >>> [(call.op, call.line, call.padding) for call in reading.calls]
    [('conv_transpose1d', 5, (2,))]
    """
    from convt_trace.snippet.recording import Builder

    builder = Builder(source.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    if isolated:
        from convt_trace.snippet.worker import read_apart

        read_apart(source, limits, run, builder)
    else:
        from convt_trace.snippet.session import read

        read(source, limits, run, builder.add)
    reading = builder.reading()
    if builder.error is not None:
        kind, message, line, stack, hint = builder.error
        raise SnippetError(
            kind,
            message,
            line,
            hint=hint,
            stack=tuple(stack),
            reading=reading,
            attempt=builder.attempt,
        )
    return reading

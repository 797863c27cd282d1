"""Pasted PyTorch text, run by Python and torch in a process that can compute and do nothing else.

`read_snippet` returns every convolution that a text runs.
"""

from __future__ import annotations

from convt_trace.engine.extras import require
from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import LIMITS, Limits
from convt_trace.snippet.notebook import code_of
from convt_trace.snippet.reading import (
    Argument,
    Attempt,
    Call,
    Definition,
    Note,
    Reading,
    Run,
    Shown,
    WeightsNote,
)
from convt_trace.snippet.weights import Weights

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
    "Weights",
    "WeightsNote",
    "read_snippet",
]


def read_snippet(
    source: str,
    run: Run | None = None,
    *,
    weights: Weights | None = None,
    limits: Limits = LIMITS,
    visitor: str = "",
    unboxed: bool = False,
) -> Reading:
    r"""Read a pasted text and return the convolutions it runs.

    The text is run by Python and torch in a process that the kernel has locked: it can compute and
    write to one pipe (`docs/security.md`).

    Parameters
    ----------
    source : str
        The text as it was pasted. Of a notebook file its code cells are read.
    run : Run, optional
        Which of its uncalled classes or layers to run, and on what.
    weights : Weights, optional
        A file of trained weights beside the text: what `torch.load` and its like give in it, and
        what the first module takes that it fits. ``reading.weights`` tells what became of it.
    limits : Limits
    visitor : str
        Who asks: two texts are read at a time, and visitors take turns.
    unboxed : bool
        Run the text as ``python`` would, with no lock: only for a text that the person at this
        computer trusts.

    Raises
    ------
    SnippetError
        Whatever is wrong; its ``reading`` holds everything before it. Its type is "NoBox" where
        the text was not run because this computer can lock no process.
    MissingError
        Where torch is not installed.

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
    from convt_trace.snippet import service
    from convt_trace.snippet.building import Builder
    from convt_trace.snippet.clean import lines_of
    from convt_trace.snippet.zygote import NoBox

    require("torch")
    source = code_of(source) or source
    if weights is not None and len(weights.data) > limits.weights_bytes:
        what = (
            f"{weights.name} has more than {limits.weights_bytes >> 20} MB, the most that is read"
        )
        raise SnippetError("Refused", what, hint="Save the state dict of the layers you ask about.")
    builder = Builder(lines_of(source), limits, weights.name if weights is not None else "")
    try:
        service.read(source, run, limits, builder, visitor, unboxed, weights)
    except NoBox as reason:
        builder.not_run(str(reason))
    reading = builder.reading()
    if builder.error is not None:
        kind, message, stack, hint = builder.error
        raise SnippetError(
            kind,
            message,
            stack[-1] if stack else None,
            hint=hint,
            stack=stack,
            reading=reading,
            attempt=builder.attempt,
            pasted=builder.pasted,
        )
    return reading

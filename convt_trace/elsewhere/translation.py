"""A case as a program of another framework: what a translation holds, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convt_trace.elsewhere.canvas import output_of
from convt_trace.elsewhere.conventions import Window
from convt_trace.elsewhere.writing import is_written_out
from convt_trace.engine.case import Case

#: What a program does where a framework's layer has no groups.
PER_GROUP = "the program runs it once per group and puts the outputs side by side."


@dataclass(frozen=True, eq=False, kw_only=True)
class Translation:
    """A case as a program of another framework.

    Attributes
    ----------
    framework : str
        Where it goes.
    case : Case
    line : str
        The framework's own setting that comes nearest, as one line.
    code : str
        A program that runs as it stands and prints PyTorch's output, PyTorch's axes in PyTorch's order.
    exact : bool
        Whether that setting alone, in one call, keeps the same part of the canvas as PyTorch.
    sentences : tuple of str
        What the framework cannot say, and what the program does instead.
    windows, nearest : tuple of Window
        What PyTorch keeps of the canvas, and what that setting does, per axis.

    Examples
    --------
    >>> from convt_trace.elsewhere.in_keras import to_keras
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> there = to_keras(case)
    >>> there.line, there.exact
    ('layers.Conv1DTranspose(1, 3, strides=2, padding="same", use_bias=False)', False)
    >>> case.trace().output.tolist(), there.nearest_output.tolist()
    ([[[10, 102, 20, 203, 30, 300]]], [[[1, 10, 102, 20, 203, 30]]])
    """

    framework: str
    case: Case
    line: str
    code: str
    exact: bool
    sentences: tuple[str, ...]
    windows: tuple[Window, ...]
    nearest: tuple[Window, ...]

    @cached_property
    def nearest_output(self) -> np.ndarray:
        """What the nearest setting gives without any mending, in PyTorch's order of the axes."""
        return output_of(self.case, self.nearest)


def bias_inside(case: Case, mending: Sequence[str], groups: int = 1) -> bool:
    """Tell whether the framework's own layer adds the bias; zeros put beside it would miss theirs."""
    return case.bias is not None and groups == 1 and not any("pad" in line for line in mending)


def of_numbers(case: Case, sentence: str) -> Iterator[str]:
    """Yield what a reader should know of a program's numbers."""
    if sentence:
        yield sentence
    if not is_written_out(case):
        yield "The tensors are too large to be written out: the program draws random ones of their shape."

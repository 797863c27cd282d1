"""Text fields that hold whole numbers: one for every axis, or one for each."""

from __future__ import annotations

import re

from convt_trace.engine.layer import Ints


class FieldError(ValueError):
    """A field that cannot be read; the message is one sentence."""


def whole_numbers(label: str, text: str) -> Ints:
    """Read whole numbers, with commas, blanks or an x between them.

    >>> whole_numbers("input size", "8 x 8"), whole_numbers("stride", "(2, 1)")
    ((8, 8), (2, 1))
    """
    words = re.split(r"[\s,x×]+", text.strip("()[] "))
    if not all(re.fullmatch(r"\d{1,6}", word, re.ASCII) for word in words):
        raise FieldError(f"{label} reads “{text}”: write one whole number, or one for each axis.")
    return tuple(map(int, words))


def per_axis(label: str, text: str, dims: int) -> Ints:
    """Read one whole number, or one for each axis; return one for each.

    >>> per_axis("stride", "2", 2)
    (2, 2)
    """
    numbers = whole_numbers(label, text)
    if len(numbers) not in (1, dims):
        raise FieldError(f"{label} has {len(numbers)} numbers: write one, or {dims} of them.")
    return numbers * dims if len(numbers) == 1 else numbers

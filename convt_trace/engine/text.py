"""How sizes and axes are written, wherever a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

#: What PyTorch calls the spatial axes, by how many there are.
AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


def axes(dims: int) -> str:
    """Return the names of the spatial axes as a shape lists them.

    >>> axes(2)
    'H, W'
    """
    return ", ".join(AXES[dims])


def shortest(value: Any) -> Any:
    """Return a tuple of equal numbers as that number: it stands for every axis.

    >>> shortest((2, 2)), shortest((2, 1)), shortest(2)
    (2, (2, 1), 2)
    """
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def by(size: Iterable[object]) -> str:
    """Return a size as it is said.

    >>> by((16, 16))
    '16 x 16'
    """
    return " x ".join(map(str, size))


def times(name: str, factor: int) -> str:
    """Return a factor as a formula has it.

    >>> times("i", 2), times("i", 1)
    ('i*2', 'i')
    """
    return name if factor == 1 else f"{name}*{factor}"


def count(number: int, thing: str) -> str:
    """Return how many there are of a thing.

    >>> count(1, "output"), count(2, "output")
    ('1 output', '2 outputs')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: str = "") -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    heads : sequence of str
    rows : iterable of sequences of str
    numbers : str
        A letter for each column: "n" for numbers, which stand at the right; others at the left.

    >>> print(table(["axis", "size"], [["H", "27"]], "tn"))
    | axis | size |
    |---|---:|
    | H | 27 |
    """
    kinds = numbers.ljust(len(heads))
    rule = "|".join("---:" if kind == "n" else "---" for _, kind in zip(heads, kinds))
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])

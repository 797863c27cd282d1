"""How sizes and axes are written, wherever a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

#: What PyTorch calls the spatial axes, by how many there are.
AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


def shortest(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """Return a tuple of equal numbers as that number: it stands for every axis.

    >>> shortest((2, 2)), shortest((2, 1)), shortest(2)
    (2, (2, 1), 2)
    """
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def by(size: Iterable[int]) -> str:
    """Return a size as it is said.

    >>> by((16, 16))
    '16 x 16'
    """
    return " x ".join(map(str, size))

"""A number for a cell, which has room for a few characters only."""

from __future__ import annotations

from math import isfinite
from typing import Any

from convt_trace.answers.sums import number


def short(value: Any, room: int) -> str:
    """Return a number in at most ``room`` characters, with fewer digits where need be; "" if none would do.

    ``player/number.js`` has the same rule, and ``tests/numbers.json`` examples for both.

    >>> short(-0.51234, 3), short(1234567, 4), short(7.6, 2)
    ('-.5', '1e6', '≈8')
    """
    full = number(value)
    if len(full) <= room:
        return full
    value = value.item() if hasattr(value, "item") else value
    fewer = [_rounded(float(value), digits) for digits in (4, 3, 2, 1)]
    bare = [
        text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text for text in fewer
    ]
    fits = next((text for text in [*fewer, *bare] if len(text) <= room), None)
    if fits is not None:
        return fits
    if not isfinite(value) or float(value).is_integer():
        return ""
    about = f"≈{_nearest(float(value))}"
    return about if len(about) <= room else ""


def _rounded(value: float, digits: int) -> str:
    """Return a number with fewer digits; a long whole one with its power of ten."""
    if not value.is_integer():  # inf and nan too
        return number(value, digits)
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    bare = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{bare}e{int(power)}"


def _nearest(value: float) -> int:
    """Return the nearest whole number; a half goes up, as in JavaScript."""
    return int(value // 1 + (value % 1 >= 0.5))

"""How a sum is written: numbers, dot products, and cells that hold the same sum as one slice.

What stands between backticks in an answer is arithmetic that Python reads too, with numpy's ``dot``;
only a ``…`` says that something was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import product as every
from math import isfinite
from typing import Any

import numpy as np

from convt_trace.engine.arrays import range_in_words
from convt_trace.engine.layer import Ints

#: Significant digits of a number that is not whole; whole ones below this are written in full.
DIGITS, _WHOLE = 5, 1e15
#: Terms of one cell that are written out.
MOST_TERMS = 24
#: Distinct sums that get a line of their own, and slices named on one line.
MOST_LINES = 8
MOST_SLICES = 4
#: A larger output, or more MACs that land in it, and only some cells are written out.
MOST_CELLS, MOST_MACS = 256, 2**13


def number(value: Any, digits: int = DIGITS) -> str:
    """Return a number as people write it: whole ones in full, others rounded to a few digits.

    A number that is not whole never reads as one. ``player/number.js`` has the same rule, and
    ``tests/numbers.json`` examples for both.

    >>> number(np.float32(8)), number(np.float32(0.1)), number(-1.23456789), number(7.999999)
    ('8', '0.1', '-1.2346', '8.0000')
    >>> number(12345678.0), number(123456.789), number(1.5e-9)
    ('12345678', '123456.8', '1.5e-9')
    """
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, float):
        return str(int(value))
    if not isfinite(value):
        return str(value)
    if value.is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    rounded = Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal_from_float(value)
    exponent = rounded.adjusted()
    if not -4 <= exponent < 15:
        return f"{_without_zeros(rounded.scaleb(-exponent))}e{exponent}"
    last_place = Decimal(1).scaleb(min(-1, exponent + 1 - digits))
    plain = Decimal(value).quantize(last_place, ROUND_HALF_UP)
    bare = _without_zeros(plain)
    return bare if "." in bare else f"{plain:f}"


def _without_zeros(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_exact(value: Any, dtype: np.dtype) -> bool:
    """Tell whether `number` loses nothing of a value of this dtype.

    >>> is_exact(np.float32(0.1), np.dtype("float32")), is_exact(1 / 3, np.dtype("float64"))
    (True, False)
    """
    if dtype.kind in "iu" or not np.isfinite(float(value)):
        return True
    return bool(dtype.type(float(number(value))) == dtype.type(value))


def numbers(values: Iterable[Any]) -> str:
    """Return numbers as a list, long ones with their middle left out.

    >>> numbers([1, 2.5])
    '[1,2.5]'
    """
    texts = [number(value) for value in values]
    if len(texts) > MOST_TERMS:
        texts = [*texts[:8], "…", *texts[-2:]]
    return f"[{','.join(texts)}]"


@dataclass(frozen=True, eq=False)
class Sum:
    """What one output cell adds up.

    Attributes
    ----------
    x, w : ndarray, shape (channels, terms)
        Input values and the weights they meet, a row for each input channel of the group.
    bias : number or None
    total : number
        The cell's value, in torch's dtype.
    dtype : dtype
        The dtype of the tensors.
    """

    x: np.ndarray
    w: np.ndarray
    bias: Any
    total: Any
    dtype: np.dtype

    @property
    def terms(self) -> int:
        """How many products are added."""
        return self.x.size

    @property
    def key(self) -> tuple[bytes, ...]:
        """Equal for cells that add the same terms with the same numbers."""
        bias = b"" if self.bias is None else np.asarray(self.bias).tobytes()
        shape = repr(self.x.shape).encode()
        return shape, self.x.tobytes(), self.w.tobytes(), bias, np.asarray(self.total).tobytes()

    @property
    def exact(self) -> bool:
        """Whether every number is written without rounding it."""
        if self.terms > MOST_TERMS:  # some are left out anyway
            return is_exact(self.total, self.dtype)
        values = [*self.x.flat, *self.w.flat, self.total]
        values += [] if self.bias is None else [self.bias]
        return all(is_exact(value, self.dtype) for value in values)

    @property
    def overflows(self) -> bool:
        """Whether finite numbers make a sum that the dtype has no finite number for."""
        numbers = [*self.x.flat, *self.w.flat, *([] if self.bias is None else [self.bias])]
        return not np.isfinite(float(self.total)) and bool(np.isfinite(numbers).all())

    def equation(self) -> str:
        """Return ``dot(...) + ... = total``; ``≈`` where a number is rounded for reading."""
        return f"{self.expression()} {'=' if self.exact else '≈'} {number(self.total)}"

    def expression(self) -> str:
        """Return the dot products, equal ones counted, and the bias.

        Examples
        --------
        >>> x, w = np.array([[1, 1], [1, 1]]), np.array([[2, 1], [2, 1]])
        >>> Sum(x, w, 5, 11, np.dtype("int64")).expression()
        '2 * dot([1,1], [2,1]) + 5'
        """
        text = self._dots() if self.terms else "0"
        if self.bias is None:
            return text
        bias = number(self.bias)
        return f"{text} - {bias[1:]}" if bias.startswith("-") else f"{text} + {bias}"

    def _dots(self) -> str:
        counted: dict[tuple[bytes, bytes], list[int]] = {}
        for row in range(len(self.x)):
            counted.setdefault((self.x[row].tobytes(), self.w[row].tobytes()), []).append(row)
        shown = list(counted.values())
        most = max(1, MOST_TERMS // self.x.shape[1])
        cut = len(shown) > most
        if cut:
            shown = shown[: max(1, min(most, 2))]
        dots = [self._dot(rows[0], len(rows)) for rows in shown]
        text = " + ".join([dots[0], *(_after_plus(dot) for dot in dots[1:])])
        if cut:
            text += f" + … ({self.terms:,} products over {len(self.x):,} input channels)"
        return text

    def _dot(self, row: int, times: int) -> str:
        x, w = self.x[row], self.w[row]
        if len(x) == 1 and times == 1:
            right = number(w[0])
            return f"{number(x[0])}*{f'({right})' if right.startswith('-') else right}"
        dot = f"dot({numbers(x)}, {numbers(w)})"
        return dot if times == 1 else f"{times} * {dot}"


def _after_plus(text: str) -> str:
    """Return a product so that it reads well after a plus sign: ``(-2)*3``."""
    left, star, right = text.partition("*")
    return f"({left}){star}{right}" if text.startswith("-") else text


def slices(cells: Iterable[Ints]) -> list[str]:
    """Return cells as few index expressions, each a block of neighbours or of equal steps.

    >>> slices([(0, 0, 0), (0, 1, 0)])
    ['0,0:2,0']
    >>> slices([(0,), (2,), (4,), (7,)])
    ['0:5:2', '7']
    """
    left = dict.fromkeys(sorted(cells))
    found = []
    while left:
        block = _block(left)
        for cell in every(*block):
            del left[cell]
        found.append(",".join(_slice(along) for along in block))
    return found


def _block(left: dict[Ints, None]) -> list[range]:
    """Return the block that starts at the first cell, grown along the last axis first."""
    first = next(iter(left))
    block = [range(place, place + 1) for place in first]
    for axis in reversed(range(len(first))):
        for step in _steps(left, first, axis):
            longest, wider = block, _wider(block, axis, step)
            while all(cell in left for cell in every(*wider)):
                longest, wider = wider, _wider(wider, axis, step)
            if len(longest[axis]) >= (2 if step == 1 else 3):
                block = longest
                break
    return block


def _steps(left: dict[Ints, None], first: Ints, axis: int) -> list[int]:
    """Return the steps worth trying along an axis: neighbours, then the next equal cell."""
    beside = (
        cell[axis] - first[axis]
        for cell in left
        if cell[:axis] == first[:axis]
        and cell[axis + 1 :] == first[axis + 1 :]
        and cell[axis] > first[axis]
    )
    step = next(beside, 1)
    return [1] if step == 1 else [step]


def _wider(block: list[range], axis: int, step: int) -> list[range]:
    along = block[axis]
    last = along[-1] + step
    return [*block[:axis], range(along.start, last + 1, step), *block[axis + 1 :]]


def _slice(along: range) -> str:
    if len(along) == 1:
        return str(along.start)
    stop = along[-1] + 1
    return f"{along.start}:{stop}" if along.step == 1 else f"{along.start}:{stop}:{along.step}"


def merged(sums: Iterable[tuple[Ints, Sum]]) -> list[tuple[list[Ints], Sum]]:
    """Return the distinct sums, each with its cells, in the order of their first cells."""
    distinct: dict[tuple[bytes, ...], tuple[list[Ints], Sum]] = {}
    for cell, its_sum in sums:
        distinct.setdefault(its_sum.key, ([], its_sum))[0].append(cell)
    return list(distinct.values())


def line(cells: Sequence[Ints], its_sum: Sum) -> str:
    """Return the line of one distinct sum, as Markdown code.

    >>> x = np.array([[1, 2]])
    >>> line([(0, 0), (0, 3)], Sum(x, x, None, 5, np.dtype("int64")))
    '`y[0,0] = y[0,3] = dot([1,2], [1,2]) = 5`'
    """
    where = slices(cells)
    more = where[MOST_SLICES:]
    names = " = ".join(f"y[{index}]" for index in where[:MOST_SLICES])
    text = f"`{names} = {its_sum.equation()}`"
    if its_sum.overflows:
        text += f" (the sum leaves {range_in_words(its_sum.dtype)})"
    if more:
        text += f" (and {len(more):,} more such slice{'s' if len(more) > 1 else ''})"
    return text

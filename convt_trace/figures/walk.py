"""One window of a trace as a figure reads it: what a step holds, marks and says.

All of it is looked up in the message that the player gets (``docs/scene.md``), as the player does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from convt_trace.answers.sums import MOST_TERMS, number
from convt_trace.figures.panel import Panel, read
from convt_trace.player.scene import COMPLETES, KEPT, LEVEL_SHIFT, read_message

EMPTY, FILLING, DONE = 0, 1, 2
#: The units that a step is part of, the stamp when scattering and the window when gathering.
_PARTS = ("stamp", "window")


@dataclass(frozen=True)
class Term:
    """An input cell, a tap and the output cell that they meet in, as cells of their panels."""

    x: int
    w: int
    y: int


@dataclass(frozen=True)
class Held:
    """What the output cells hold after some steps: numbers, and how far each cell has come."""

    values: np.ndarray
    stage: np.ndarray


class Walk:
    """A scene's message, read.

    Attributes
    ----------
    header : dict
    columns : dict of ndarray
    input, weight, output, torch : Panel
    start, stop, total : int
        The MACs that are here, and how many the picked trace has.
    """

    def __init__(self, message: bytes):
        self.header, self.columns = read_message(message)
        self.dims: int = self.header["dims"]
        self.panels: list[Panel] = [
            read(spec, self.columns, self.dims) for spec in self.header["panels"]
        ]
        if self.header["verdict"]["kind"] == "none":  # torch's numbers are none then
            torch = self.panels[-1]
            self.panels[-1] = replace(torch, there=np.zeros(torch.cells, dtype=bool))
        self.input, self.weight, self.output, self.torch = self.panels
        window = self.header["window"]
        self.start, self.stop, self.total = window["start"], window["stop"], window["total"]
        self.units: list[str] = self.header["units"]
        self.is_gather = self.header["order"] == "gather"

    @cached_property
    def torch_cell(self) -> np.ndarray:
        """Per output cell its cell on torch's panel; -1 where it is cropped."""
        kept = ~self.output.marked("crop")
        return np.where(kept, np.cumsum(kept) - 1, -1)

    # -- steps ----------------------------------------------------------------------------------

    @property
    def levels(self) -> np.ndarray:
        """The largest unit, as a place in `units`, that each row is the first of."""
        return self.columns["flags"] >> LEVEL_SHIFT

    def first_of(self, row: int, level: int) -> int:
        """Return the first row of the unit that ends with ``row``."""
        firsts = np.flatnonzero(self.levels[: row + 1] >= level)
        return int(firsts[-1]) if level and len(firsts) else 0 if level else row

    def steps(self, level: int) -> list[int]:
        """Return the steps of this window at which a unit ends."""
        ends = np.flatnonzero(self.levels[1:] >= level) + 1 + self.start
        last = [self.stop] if self.stop == self.total or level == 0 else []
        return [*ends.tolist(), *last]

    def held(self, step: int | None) -> Held:
        """Return what the output holds after ``step`` MACs; None: when all is done."""
        if step is None:
            return Held(self.output.values, np.full(self.output.cells, DONE))
        y, after = self.columns["y"], self.columns["after"]
        values, stage = self.columns["held"].copy(), self.columns["stage"].copy()
        rows = max(0, step - self.start)
        values[y[:rows]] = after[:rows]  # of several rows of a cell, the last one counts
        stage[y[:rows]] = FILLING
        done = y[:rows][self.columns["flags"][:rows] & COMPLETES > 0]
        values[done], stage[done] = self.output.values[done], DONE
        return Held(values, stage)

    # -- what meets -----------------------------------------------------------------------------

    @cached_property
    def _pairs(self) -> list[list[tuple[int, int, int]]]:
        """Per axis, depth, rows and columns, the places on the tracks that meet."""
        own = [list(zip(axis["x"], axis["w"], axis["y"])) for axis in self.header["axes"]]
        return [[(0, 0, 0)]] * (3 - self.dims) + own

    def terms(self, cell: int) -> list[Term]:
        """Return what lands in an output cell, in order of addition."""
        return self._meet(self.output.place(cell), 2)

    def uses(self, cell: int) -> list[Term]:
        """Return what an input cell takes part in."""
        return self._meet(self.input.place(cell), 0)

    def _meet(self, place: Sequence[int], side: int) -> list[Term]:
        """Return every combination of links and pairs whose x (side 0) or y (side 2) is a place."""
        channel, *at = place
        axes = [
            [pair for pair in pairs if pair[side] == here] for pairs, here in zip(self._pairs, at)
        ]
        blocks = (self.input.numbers, self.weight.numbers, self.output.numbers)
        return [
            Term(*(int(block[one]) for block, one in zip(blocks, zip(link, *along))))
            for link in self.header["links"]
            if link[side] == channel
            for along in product(*axes)
        ]

    def window(self, cell: int, channel: int) -> list[int]:
        """Return the cells of an input channel that the kernel covers at an output cell."""
        _, *at = self.output.place(cell)
        covered: Any = tuple(
            slice(one, one + reach) for one, reach in zip(at, self.header["reach"])
        )
        return [int(one) for one in self.input.numbers[channel][covered].ravel()]

    # -- marks ----------------------------------------------------------------------------------

    def marked(self, first: int, row: int) -> dict[str, list[int]]:
        """Return the cells that the rows ``first`` to ``row`` read and write, by panel."""
        return {
            name: np.unique(self.columns[column][first : row + 1]).tolist()
            for name, column in (("input", "x"), ("weight", "w"), ("output", "y"))
        }

    def reached(self, row: int) -> dict[str, list[int]]:
        """Return what a row is part of, by panel: the stamp on the output, or the window on the input."""
        x, w, y = (int(self.columns[name][row]) for name in "xwy")
        channel = self.weight.place(w)[0]
        met = self.terms(y) if self.is_gather else self.uses(x)
        terms = [term for term in met if self.weight.place(term.w)[0] == channel]
        if self.is_gather:
            around = {"input": self.window(y, self.input.place(x)[0])}
        else:
            around = {"output": [term.y for term in terms]}
        return {**around, "weight": [term.w for term in terms]}

    def made_of(self, cell: int) -> dict[str, list[int]]:
        """Return an output cell and what it is made of, by panel."""
        terms = self.terms(cell)
        there = int(self.torch_cell[cell])
        return {
            "input": sorted({term.x for term in terms}),
            "weight": sorted({term.w for term in terms}),
            "output": [cell],
            "torch": [there] if there >= 0 else [],
        }

    def part_of(self, row: int) -> tuple[int, int]:
        """Return the first and the last row of the stamp, or of the window, that a row belongs to."""
        level = next(self.units.index(part) for part in _PARTS if part in self.units)
        first = self.first_of(row, level)
        later = np.flatnonzero(self.levels[row + 1 :] >= level)
        return first, row + int(later[0]) if len(later) else self.stop - self.start - 1

    def keeps(self, row: int) -> bool:
        """Whether a row's MAC is inside the output, not cropped by padding."""
        return bool(self.columns["flags"][row] & KEPT)

    # -- words ----------------------------------------------------------------------------------

    def equation(self, row: int) -> str:
        """Return a row's MAC as one line."""
        x, w, y = (int(self.columns[name][row]) for name in "xwy")
        product_, before, after = (
            number(self.columns[name][row]) for name in ("product", "before", "after")
        )
        names = f"{self.input.cell_name(x)} * {self.weight.cell_name(w)}"
        numbers = f"{wrapped(self.input.values[x])} * {wrapped(self.weight.values[w])}"
        cell = self.output.cell_name(y)
        if not self.keeps(row):
            return f"{cell} is outside the output: {names} = {numbers} = {product_} is cropped"
        said = f"{cell} += {names} = {numbers} = {product_}:  {before} → {after}"
        return said + (self._ending(y) if self.columns["flags"][row] & COMPLETES else "")

    def _ending(self, cell: int) -> str:
        bias = self.output.channels[self.output.place(cell)[0]]["bias"]
        if bias is None:
            return " (done)"
        return f", + bias {number(float(bias))} = {number(self.output.values[cell])} (done)"

    def sum_of(self, cell: int) -> str:
        """Return an output cell's sum, term by term."""
        name, total = self.output.cell_name(cell), number(self.output.values[cell])
        terms = self.terms(cell)
        if not self.header["all_terms"]:
            return f"{name} = {total}; not all of its terms are shown"
        if not terms:
            return f"{name} = {total}: no MAC lands there"
        few = terms if len(terms) <= MOST_TERMS else [*terms[: MOST_TERMS // 2], *terms[-4:]]
        parts = [
            f"{wrapped(self.input.values[term.x])}*{wrapped(self.weight.values[term.w])}"
            for term in few
        ]
        if len(few) < len(terms):
            parts.insert(MOST_TERMS // 2, "…")
        bias = self.output.channels[self.output.place(cell)[0]]["bias"]
        cropped = self.torch_cell[cell] < 0
        if bias is not None and not cropped:
            parts.append(f"{wrapped(float(bias))} (bias)")
        end = "; cropped by padding" if cropped else ""
        return f"{name} = {' + '.join(parts)} = {total}{end}"


def wrapped(value: float) -> str:
    """Return a number as a factor is written, a negative one in brackets."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text

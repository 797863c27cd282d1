"""Where everything stands: blocks of cells on a sheet, sheets beside each other, in pixels.

The same arithmetic as the player's (``player/layout.js``); nothing here knows a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, isqrt

import numpy as np

from convt_trace.figures.panel import Panel

LABEL = 18  # for a block's name above it
TICKS = 18  # for index numbers below the blocks
LARGEST, SMALLEST = 40, 2
READABLE = 30  # a small tensor's cells grow to this, so that its numbers can be read
BETWEEN = 40  # between sheets: room for the lines that join them
CAPTION = 44  # a sheet's title, two lines
BELOW = 14  # between lines of sheets
NUMBERS_FROM = 20  # smaller cells get no numbers
MOST_NUMBERS = 900  # on one sheet; more cannot be read
SCALE = 52  # for the colour bar of a sheet without numbers
NAME = 7.3  # a character of a name


@dataclass(frozen=True)
class Block:
    """One channel's slice on a sheet, and where its first cell is, in cells."""

    channel: int
    depth: int
    top: int
    left: int


@dataclass(frozen=True, eq=False)
class Sheet:
    """A panel laid out.

    Attributes
    ----------
    panel : Panel
    cell : int
        Pixels of a cell.
    blocks : tuple of Block
    row_places, column_places : tuple of int
        Places on the tracks that are shown.
    rows, columns : int
        Size in cells, gaps included.
    left : int
        Pixels left of the cells, for names or indices.
    """

    panel: Panel
    cell: int
    blocks: tuple[Block, ...]
    row_places: tuple[int, ...]
    column_places: tuple[int, ...]
    rows: int
    columns: int
    left: int

    @property
    def is_numbered(self) -> bool:
        """Whether its cells have their numbers."""
        return self.cell >= NUMBERS_FROM and self.panel.cells <= MOST_NUMBERS

    @property
    def right(self) -> int:
        """Pixels right of the cells, for a colour bar."""
        return 2 if self.is_numbered else SCALE

    @property
    def width(self) -> int:
        """Pixels, with what stands beside the cells."""
        words = max(len(self.panel.title) * 8, len(self.panel.shape) * 7)
        return max(self.left + self.columns * self.cell + self.right, words)

    @property
    def height(self) -> int:
        """Pixels, with the indices below."""
        return self.rows * self.cell + TICKS + 2

    @cached_property
    def grid(self) -> np.ndarray:
        """The cell number at every row and column of the sheet; -1 in gaps."""
        grid = np.full((self.rows, self.columns), -1)
        numbers = self.panel.numbers[:, :, self.row_places][..., self.column_places]
        for block in self.blocks:
            down, along = len(self.row_places), len(self.column_places)
            there = (slice(block.top, block.top + down), slice(block.left, block.left + along))
            grid[there] = numbers[block.channel, block.depth]
        return grid

    @cached_property
    def _spots(self) -> dict[int, tuple[int, int]]:
        rows, columns = np.nonzero(self.grid >= 0)
        cells = self.grid[rows, columns]
        return dict(zip(cells.tolist(), zip(rows.tolist(), columns.tolist())))

    def spot(self, cell: int) -> tuple[int, int] | None:
        """Return a cell's row and column on the sheet; None where it is not shown."""
        return self._spots.get(cell)


def _lines(panel: Panel, across: bool) -> list[list[tuple[int, int]]]:
    """Group a panel's blocks into lines of (channel, depth).

    In 2-D a group is a line of its own, or the groups stand side by side (`across`).
    """
    channels = range(len(panel.channels))
    if panel.dims == 1:
        return [[(channel, 0)] for channel in channels]
    if panel.dims == 3:
        depths = range(len(panel.tracks[0]["label"]))
        return [[(channel, depth) for depth in depths] for channel in channels]
    rows: dict[object, list[tuple[int, int]]] = {}
    for channel in channels:
        rows.setdefault(_line_of(panel, channel, across), []).append((channel, 0))
    return [line for row in rows.values() for line in _folded(row, panel, across)]


def _line_of(panel: Panel, channel: int, across: bool) -> object:
    """Return the line of a 2-D block: a weight's first channels, the others' groups."""
    one = panel.channels[channel]
    if not panel.is_weight:
        return 0 if across else one["group"]
    start = tuple(one["index"][:-1])
    if not across:
        return start
    own = [tuple(other["index"][:-1]) for other in panel.channels if other["group"] == one["group"]]
    return sorted(set(own)).index(start)


def _folded(row: list[tuple[int, int]], panel: Panel, across: bool) -> list[list[tuple[int, int]]]:
    """Fold a line of many blocks into several, near a square."""
    if panel.is_weight or across or len(row) < 3:
        return [row]
    most = isqrt(len(row) - 1) + 1
    return [row[at : at + most] for at in range(0, len(row), most)]


def sheet(panel: Panel, cell: int, across: bool = False) -> Sheet:
    """Lay one panel out with cells of this size."""
    rows, columns = (range(len(track["label"])) for track in panel.tracks[1:])
    gap = max(1, ceil(6 / cell))
    has_names = panel.dims > 1 and not panel.is_one_block
    names = ceil(LABEL / cell) if has_names else 0
    blocks: list[Block] = []
    top = width = 0
    group = None
    for line in _lines(panel, across):
        first = panel.channels[line[0][0]]["group"]
        if top > 0 and (panel.dims > 1 or first != group):
            top += 1 if panel.dims == 1 else gap
        group = first
        top += names
        left = 0
        for channel, depth in line:
            if panel.channels[channel]["group"] != group:
                left += gap  # a wider gap between groups
            group = panel.channels[channel]["group"]
            blocks.append(Block(channel, depth, top, left))
            left += len(columns) + gap
        width = max(width, left - gap)
        top += len(rows)
    return Sheet(panel, cell, tuple(blocks), tuple(rows), tuple(columns), top, width, _left(panel))


def _left(panel: Panel) -> int:
    """Return the pixels left of the cells: for names in 1-D, for indices else."""
    if panel.dims == 1:
        named = max(len(channel["label"]) + 1 for channel in panel.channels)
        return 16 + ceil(named * NAME) if not panel.is_one_block else 4
    ticked = max(len(str("" if at is None else at)) for at in panel.tracks[1]["label"])
    return 14 + ceil(ticked * 7)


def _flow(sheets: Sequence[Sheet], width: int) -> int:
    """Return the height of sheets set side by side and wrapped at a width."""
    return sum(max(one.height for one in line) + CAPTION for line in wrapped(sheets, width))


def wrapped(sheets: Sequence[Sheet], width: int) -> list[list[Sheet]]:
    """Return sheets in lines, as many side by side as there is room for."""
    lines: list[list[Sheet]] = []
    left = 0
    for one in sheets:
        if not lines or left + BETWEEN + one.width > width:
            lines.append([])
            left = -BETWEEN
        left += BETWEEN + one.width
        lines[-1].append(one)
    return lines


def fit(panels: Sequence[Panel], width: int, height: int) -> list[Sheet]:
    """Lay panels out in a box: the arrangement with the largest cells."""
    groups = {channel["group"] for channel in panels[0].channels}
    ways = [False, True] if panels[0].dims == 2 and len(groups) > 1 else [False]

    def lay(across: bool) -> Callable[[int], list[Sheet]]:
        return lambda cell: [sheet(panel, cell, across) for panel in panels]

    found = [(_arranged(lay(across), width, height), lay(across)) for across in ways]
    size, way = max(found, key=lambda one: one[0])
    sheets = way(size)
    if size < READABLE:
        for at in range(len(sheets)):
            sheets[at] = _grown(sheets, at, way, width)
    return sheets


def stack(panels: Sequence[Panel], width: int) -> list[Sheet]:
    """Lay panels out below each other, with the same cells below the same cells."""
    size = _largest(lambda cell: all(one.width <= width for one in _each(panels, cell)))
    sheets = _each(panels, size)
    left = max(one.left for one in sheets)
    return [replace(one, left=left) for one in sheets]


def _each(panels: Sequence[Panel], cell: int) -> list[Sheet]:
    return [sheet(panel, cell) for panel in panels]


def _largest(fits: Callable[[int], bool]) -> int:
    return next((size for size in range(LARGEST, SMALLEST, -1) if fits(size)), SMALLEST)


def _arranged(lay: Callable[[int], list[Sheet]], width: int, height: int) -> int:
    """Return the best size of cells: in one row if numbers can be read so, else where they are largest."""

    def low(sheets: list[Sheet]) -> bool:
        return _flow(sheets, width) <= height and all(one.width <= width for one in sheets)

    in_one_row = _largest(lambda cell: low(lay(cell)) and len(wrapped(lay(cell), width)) == 1)
    in_lines = _largest(lambda cell: low(lay(cell)))
    best = in_one_row >= NUMBERS_FROM or in_one_row * 1.3 >= in_lines
    return in_one_row if best else in_lines


def _grown(
    sheets: Sequence[Sheet], at: int, lay: Callable[[int], list[Sheet]], width: int
) -> Sheet:
    """Let a small panel's cells grow where that costs no height and no line break."""
    tallest, height = max(one.height for one in sheets), _flow(sheets, width)
    best = sheets[at]
    for cell in range(best.cell + 1, READABLE + 1):
        larger = lay(cell)[at]
        others = [larger if place == at else one for place, one in enumerate(sheets)]
        if larger.width > width or larger.height > tallest or _flow(others, width) > height:
            break
        best = larger
    return best

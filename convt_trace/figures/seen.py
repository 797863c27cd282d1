"""A linked view of a window as a figure reads it: its tensors, and the cells that rows light in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.view import View, picked_trace
from convt_trace.figures.errors import FigureError
from convt_trace.figures.panel import Panel, read, track_of
from convt_trace.figures.walk import Walk
from convt_trace.player.linked import linked
from convt_trace.player.scene import read_message
from convt_trace.views import names
from convt_trace.views import view as view_named
from convt_trace.views.tensors import LinkedView

#: Rows, and columns, of a matrix that are shown.
MOST_SIDE = 36

Pair = tuple[tuple[str, int], tuple[str, int]]


@dataclass(frozen=True, eq=False)
class _Tensor:
    """A panel, and the cell of each row of the window; -1 where it is not on screen."""

    panel: Panel
    lit: np.ndarray


class Seen:
    """A linked view's message, read; of a matrix the entries are the scene's own terms."""

    def __init__(
        self, header: dict[str, Any], tensors: Sequence[_Tensor], macs: Any, view: LinkedView
    ):
        self.title: str = header["title"]
        self.proof: dict[str, str] = header["proof"]
        self.arrows: Sequence[str] = header["arrows"]
        self._tensors = {one.panel.name: one for one in tensors}
        self._macs, self._view = macs, view

    @classmethod
    def of(cls, case: Case, view: View, walk: Walk, name: str, row: int | None) -> Seen:
        """Return the view of a window; a large matrix is shown around a row.

        Raises
        ------
        FigureError
            If the case has no view of this name.
        """
        if name not in names(case):
            raise FigureError(f"This case has no view {name!r}. It has: {', '.join(names(case))}.")
        header, columns = read_message(linked(case, view, walk.start, walk.stop, name))
        tensors = [
            _matrix(spec, walk, row or 0)
            if spec.get("joins")
            else _Tensor(read(spec, columns, walk.dims), columns[f"lit.{spec['name']}"])
            for spec in header["panels"]
        ]
        macs = picked_trace(case, view)[walk.start : walk.stop]
        return cls(header, tensors, macs, view_named(case, name))

    @cached_property
    def lines(self) -> list[tuple[str, list[Panel]]]:
        """The panels in lines, each with its heading."""
        lines: list[tuple[str, list[Panel]]] = []
        for one in self._tensors.values():
            if one.panel.line or not lines:
                lines.append((one.panel.line, []))
            lines[-1][1].append(one.panel)
        return lines

    def equation(self, row: int) -> str:
        """Return what holds for a row's MAC."""
        mac = self._macs[row]
        said = self._view.equation_of(mac)
        return said if mac.kept else f"{said}. That output cell is cropped by padding."

    def lit(self, rows: Iterable[int]) -> dict[str, list[int]]:
        """Return the cells that rows light, by panel."""
        some = np.asarray(list(rows), dtype=np.int64)
        return {
            name: [cell for cell in np.unique(one.lit[some]).tolist() if cell >= 0]
            for name, one in self._tensors.items()
        }

    def drawn_arrows(self, row: int | None, most: int) -> tuple[Pair, ...]:
        """Return the arrows of the MACs in the row's channels, the row's own first."""
        if not self.arrows:
            return ()
        tensors = [self._tensors[name] for name in self.arrows]
        cells = np.stack([one.lit for one in tensors], axis=1)
        sizes = [one.panel.cells // max(len(one.panel.channels), 1) for one in tensors]
        channels = cells // sizes
        own = cells[row or 0]
        same = (channels == own // sizes).all(axis=1) & (cells >= 0).all(axis=1)
        pairs = [own.tolist()] if row is not None and (own >= 0).all() else []
        pairs += np.unique(cells[same], axis=0)[:most].tolist()
        one, other = self.arrows
        return tuple(((one, a), (other, b)) for a, b in pairs)


# -- a matrix -------------------------------------------------------------------------------------


class _Side:
    """One side of a matrix: the cells of a panel in a line, and the stretch that is shown."""

    def __init__(self, panel: Panel, cell: int):
        self.panel = panel
        cells = np.flatnonzero(panel.of_kind("real"))
        at = int(np.searchsorted(cells, cell))
        last, half = max(0, len(cells) - MOST_SIDE), MOST_SIDE // 2
        # The same stretch for all cells near each other, as in the player.
        start = 0 if at < MOST_SIDE else min(last, max(0, at // half * half - half // 2))
        self.shown = cells[start : start + MOST_SIDE]
        self.is_whole = len(cells) <= MOST_SIDE

    @cached_property
    def labels(self) -> list[str]:
        dims = self.panel.dims
        return [
            ",".join(map(str, (self.panel.index(int(cell)) or ())[-1 - dims :]))
            for cell in self.shown
        ]

    def track(self) -> dict[str, Any]:
        panel = self.panel
        groups = [panel.channels[panel.place(int(cell))[0]]["group"] for cell in self.shown]
        crop = panel.marked("crop")[self.shown].tolist()
        return track_of({"label": self.labels, "crop": crop, "group": groups})

    def places(self, cells: np.ndarray) -> np.ndarray:
        """Return where cells stand among those that are shown; -1 where they do not."""
        at = np.minimum(np.searchsorted(self.shown, cells), len(self.shown) - 1)
        return np.where(self.shown[at] == cells, at, -1)


def _matrix(spec: dict[str, Any], walk: Walk, row: int) -> _Tensor:
    """Return a matrix whose rows and columns are cells of two panels; its entries are weights."""
    ends = {"input": walk.columns["x"], "output": walk.columns["y"]}
    panels = {"input": walk.input, "output": walk.output}
    down, along = sides = [
        _Side(panels[name], int(ends[name][row]) if len(ends[name]) else 0)
        for name in spec["joins"]
    ]
    size = len(down.shown), len(along.shown)
    values = np.zeros(size, dtype=walk.weight.values.dtype)
    there = np.zeros(size, dtype=bool)
    outputs = sides[list(spec["joins"]).index("output")]
    for cell in outputs.shown:
        for term in walk.terms(int(cell)):
            met = {"input": term.x, "output": term.y}
            at = tuple(
                int(side.places(np.array([met[name]]))[0])
                for side, name in zip(sides, spec["joins"])
            )
            if min(at) >= 0:
                values[at], there[at] = walk.weight.values[term.w], True
    is_whole = all(side.is_whole for side in sides)
    letter = spec["letter"]
    panel = Panel(
        name=spec["name"],
        title=spec["title"],
        shape=spec["shape"] if is_whole else f"{spec['shape']}; around this step",
        dims=2,
        channels=[{"index": (), "label": f"{letter}[", "group": 0}],
        tracks=[track_of({"label": [0]}), down.track(), along.track()],
        values=values.ravel(),
        there=there.ravel(),
        limit=walk.weight.limit,
        line=spec["line"],
        named=lambda cell: (
            f"{letter}[({down.labels[cell // size[1]]}), ({along.labels[cell % size[1]]})]"
        ),
    )
    places = [side.places(ends[name]) for side, name in zip(sides, spec["joins"])]
    lit = np.where(np.minimum(*places) >= 0, places[0] * size[1] + places[1], -1)
    return _Tensor(panel, lit)

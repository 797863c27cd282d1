"""`figure`: a case, a linked view or a map as a figure of plotly's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from convt_trace.answers import transposed as words
from convt_trace.elsewhere.difference import Difference
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.orders import Index, units_of
from convt_trace.engine.text import by
from convt_trace.engine.trace import Trace
from convt_trace.engine.view import POSITIONS, View, picked_trace, view_of
from convt_trace.figures.drawing import Drawing, Shown
from convt_trace.figures.errors import FigureError
from convt_trace.figures.layout import fit, stack
from convt_trace.figures.panel import Panel, plain
from convt_trace.figures.seen import Seen
from convt_trace.figures.walk import DONE, EMPTY, Walk
from convt_trace.planning.counts import Counts
from convt_trace.player.scene import around, build, limit_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Frames of a moving figure, at most.
MOST_FRAMES = 300
#: Pixels of the sheets, side by side and above each other.
WIDTH, HEIGHT = 960, 620
_ARROWS = 300


def figure(
    shown: Case | Trace | Counts | Difference,
    step: int | None = None,
    *,
    order: str | None = None,
    cell: Sequence[int] | None = None,
    unit: str = "MAC",
    linked: str = "",
    view: View | None = None,
    animate: bool = False,
    title: str = "",
    width: int = WIDTH,
    dark: bool = False,
) -> go.Figure:
    """Return a picture of a case as a figure of plotly's: what the player shows, standing still.

    Input, weight, output and torch's own output are heatmaps, with the numbers, names, colours and marks
    of the player. Of a large layer the part is shown that the player shows.

    Parameters
    ----------
    shown : Case, Trace, Overlap or Difference
        Of an overlap its map is drawn; of a difference the two outputs and what they differ by.
    step : int, optional
        MACs done. Without one the output is finished and no MAC is marked.
    order : str, optional
        "scatter" or "gather"; by default that of the trace or the view, else "scatter".
    cell : sequence of int, optional
        An output cell (n, c, *position), which is marked with all that it is made of. It may lie outside
        the output; of an unbatched case, n may be left out.
    unit : str
        What one step spans, such as "stamp": all of it is marked.
    linked : str
        The name of a linked view (`convt_trace.view`), to be drawn instead.
    view : View, optional
        Order, batch item and channels to look at.
    animate : bool
        Whether there is a frame for each step from ``step`` on, with plotly's slider and buttons.
    title : str
        The heading; by default the layer's line.
    width : int
        Pixels that the heatmaps may take, side by side.
    dark : bool
        Whether the ground is dark.

    Raises
    ------
    FigureError
        If a cell is not on screen, or a walk has more than `MOST_FRAMES` steps.
    MissingError
        An ImportError, if plotly is not installed.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> picture = figure(case, 3)
    >>> [trace.name for trace in picture.data if trace.type == "heatmap"]
    ['input', 'weight', 'output', 'torch']
    >>> print(picture.layout.annotations[0].text.partition("<br>")[0])
    MAC 3 of 12: y[0,0,0] += x[0,0,0] * w[0,0,2] = 2 * 5 = 10:  0 → 10
    >>> len(figure(case, animate=True).frames)
    13
    """
    if isinstance(shown, Counts):
        return _map(shown, title, width, dark)
    if isinstance(shown, Difference):
        return _apart(shown, title, width, dark)
    picture = Picture.of(
        shown, step, order=order, cell=cell, unit=unit, linked=linked, view=view,
        title=title, width=width, dark=dark,
    )  # fmt: skip
    return picture.film() if animate else picture.still()


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A case as it is asked for: what `figure` draws, and the frames of a film."""

    case: Case
    view: View
    step: int | None = None
    unit: str = "MAC"
    place: Ints | None = None
    linked: str = ""
    title: str = ""
    width: int = WIDTH
    dark: bool = False

    @classmethod
    def of(
        cls,
        shown: Case | Trace,
        step: int | None = None,
        *,
        order: str | None = None,
        cell: Sequence[int] | None = None,
        view: View | None = None,
        **look: Any,
    ) -> Picture:
        """Return a picture of a case or a trace, with its arguments checked."""
        case = shown.case if isinstance(shown, Trace) else shown
        view = view or (View.of(shown) if isinstance(shown, Trace) else View())
        view = replace(view, order=order or view.order)
        place = None
        if cell is not None:
            place = _full(case, cell)
            if isinstance(shown, Case) and view == View(view.order):
                view = view_of(case, view.order, place)
        if step is not None:
            step = min(max(step, 0), len(picked_trace(case, view)))
        unit = look.get("unit", "MAC")
        if unit not in units_of(view.order, case.dims):
            units = ", ".join(units_of(view.order, case.dims))
            raise FigureError(f"A step of {view.order} is one of {units}: {unit!r} is not.")
        return cls(case=case, view=view, step=step, place=place, **look)

    # -- what is in it --------------------------------------------------------------------------

    @cached_property
    def walk(self) -> Walk:
        """The window of the trace that holds the step, or else the cell."""
        number = max((self.step or 0) - 1, 0)
        if self.step is None and self.place is not None:
            number = self._first_landing()
        return Walk(build(self.case, self.view, number))

    def _first_landing(self) -> int:
        """Return the number of a MAC that lands in the cell; 0 where none does."""
        trace = picked_trace(self.case, self.view)
        macs = self.case.trace().of_output(*(self.place or ()))
        pick, layer = trace.picked, self.case.layer
        local = macs.in_channel % layer.in_per_group
        rows = np.flatnonzero(np.isin(local, pick.in_local))
        if not len(rows):
            return 0
        mac = macs[int(rows[0])]
        places = (
            np.searchsorted(pick.group, [mac.group]),
            np.searchsorted(pick.in_local, [mac.in_channel % layer.in_per_group]),
            np.searchsorted(pick.out_local, [mac.out_channel % layer.out_per_group]),
        )
        along = [tuple(np.array([at]) for at in one) for one in (mac.i, mac.k)]
        index = Index(np.array([0]), *places, *along)
        return int(trace.numbering.encode(index)[0])

    @cached_property
    def seen(self) -> Seen | None:
        """The linked view of the window; None for the walk itself."""
        if not self.linked:
            return None
        row = None if self.step in (None, 0) else (self.step or 0) - 1 - self.walk.start
        return Seen.of(self.case, self.view, self.walk, self.linked, row)

    @cached_property
    def cell(self) -> int | None:
        """The selected output cell, on its panel."""
        if self.place is None:
            return None
        start = self.place[1:] if self.case.unbatched else self.place
        cell = self.walk.output.cell_of(start)
        if cell is None:
            place = ",".join(map(str, self.place))
            raise FigureError(
                f"Output cell {place} is not on screen at step {self.step or 0}: give a step near it."
            )
        return cell

    @property
    def level(self) -> int:
        """The unit, as a place in the order's units."""
        return self.walk.units.index(self.unit)

    # -- drawn ----------------------------------------------------------------------------------

    def still(self) -> go.Figure:
        """Return the figure at its step."""
        shown = self.at(self.step)
        return self._drawing([shown]).figure(shown)

    def film(self, most: int = MOST_FRAMES) -> go.Figure:
        """Return the figure with a frame for every step from its own on."""
        shown = self.steps(most)
        return self._drawing(shown, animated=True).film(shown, 0)

    def stills(self, most: int) -> list[go.Figure]:
        """Return a figure for every step from its own on, all of one size."""
        shown = self.steps(most)
        drawing = self._drawing(shown)
        return [drawing.figure(one) for one in shown]

    def steps(self, most: int) -> list[Shown]:
        """Return what is shown at every step from its own on."""
        walk = replace(self, step=self.step or 0).walk
        first, level = self.step or 0, self.level
        steps = [first, *(at for at in walk.steps(level) if at > first)]
        if walk.stop < walk.total or len(steps) > most:
            rest = f"{walk.total - first:,} MACs from step {first:,} on"
            many = f", in {len(steps):,} frames" if walk.stop == walk.total else ""
            raise FigureError(
                f"That walk has {rest}{many}: up to {most} frames within one window are made. "
                "Start at a later step, or let a step span more, such as a "
                f"{'window' if walk.is_gather else 'stamp'}."
            )
        moving = replace(self, step=first)
        return [moving.at(step) for step in steps]

    def _drawing(self, shown: Sequence[Shown], animated: bool = False) -> Drawing:
        return Drawing(
            self._lines(),
            self.width,
            self.title or self._heading,
            self._legend,
            [one.caption for one in shown],
            dark=self.dark,
            animated=animated,
        )

    @property
    def _heading(self) -> str:
        line = self.case.line()
        return f"{line} · {self.seen.title}" if self.seen else line

    def _lines(self) -> list[tuple[str, Any, bool]]:
        if self.seen is None:
            return [("", fit(self.walk.panels, self.width, HEIGHT), False)]
        lines = []
        for heading, panels in self.seen.lines:
            stacked = any(panel.name in self.seen.arrows for panel in panels)
            sheets = stack(panels, self.width) if stacked else fit(panels, self.width, HEIGHT)
            lines.append((heading, sheets, stacked))
        return lines

    @cached_property
    def _legend(self) -> Mapping[str, str]:
        names = {"crop": "cropped by padding", "extra": "added by output_padding"}
        if self.walk.is_gather or self.linked:
            names["pad"] = "outside: padded zeros"
        if self.step is not None:
            names["now"] = "this step"
            if self.unit == "MAC":
                names["reach"] = "its window" if self.walk.is_gather else "its stamp"
        if self.cell is not None:
            cell = self.walk.output.cell_name(self.cell)
            names["lit"] = f"{cell} and what it is made of"
        return names

    # -- a step ---------------------------------------------------------------------------------

    def at(self, step: int | None) -> Shown:
        """Return what is shown at a step of the window."""
        row = None if not step else step - 1 - self.walk.start
        marks: dict[str, Any] = {}
        lit = self._lit()
        if lit is not None:
            marks["lit"] = lit
        if step is not None:
            marks |= self._now(row)
        held = self.walk.held(step)
        # A view shows its numbers as they are at the end, as the player does.
        changes = {} if self.seen else {"output": held.values}
        return Shown(
            caption=self._caption(step, row),
            values=changes,
            there={} if self.seen else {"output": held.stage != EMPTY},
            ticked=() if self.seen else self._ticked(held.stage),
            marks=marks,
            **self._joins(row),
            label=str(step or 0),
        )

    def _ticked(self, stage: np.ndarray) -> tuple[int, ...]:
        walk = self.walk
        done = walk.torch_cell[(stage == DONE) & (walk.torch_cell >= 0)]
        agrees = walk.columns["agrees"].astype(bool)
        return tuple(int(cell) for cell in done if agrees[cell])

    def _lit(self) -> Mapping[str, Sequence[int]] | None:
        if self.cell is None:
            return None
        if self.seen is None:
            return self.walk.made_of(self.cell)
        return self.seen.lit(np.flatnonzero(self.walk.columns["y"] == self.cell))

    def _now(self, row: int | None) -> dict[str, Any]:
        """Return the marks of a step: its cells, and what they are part of."""
        alone = self.unit == "MAC"
        if row is None:
            return {"now": {}, **({"reach": {}} if alone else {})}
        walk, seen = self.walk, self.seen
        first = walk.first_of(row, self.level)
        if seen is None:
            now, part = walk.marked(first, row), walk.reached(row) if alone else {}
        else:
            begin, end = walk.part_of(row)
            now = seen.lit(np.arange(first, row + 1))
            part = seen.lit(np.arange(begin, end + 1)) if alone else {}
        return {"now": now, **({"reach": part} if alone else {})}

    def _joins(self, row: int | None) -> dict[str, Any]:
        """Return the lines between the cells of a step."""
        if self.seen is not None:
            return {"arrows": self.seen.drawn_arrows(row, _ARROWS)}
        if row is None:
            return {}
        columns = self.walk.columns
        joined = tuple(
            (name, int(columns[column][row]))
            for name, column in (("input", "x"), ("weight", "w"), ("output", "y"))
        )
        return {"joined": joined, "crossed": not self.walk.keeps(row)}

    # -- words ----------------------------------------------------------------------------------

    def _caption(self, step: int | None, row: int | None) -> tuple[str, ...]:
        said = []
        if row is not None and step is not None:
            said.append(self._said(step, row))
        elif self.cell is None:
            said.append(words.counts(self.case))
        if self.cell is not None:
            said.append(self.walk.sum_of(self.cell))
        return (*said, self._verdict)

    def _said(self, step: int, row: int) -> str:
        walk = self.walk
        first = walk.first_of(row, self.level)
        equation = self.seen.equation(row) if self.seen else walk.equation(row)
        at = f"MAC {step:,} of {walk.total:,}"
        if first < row:
            return f"{at}: the last of {row - first + 1:,} in this {self.unit}: {equation}"
        return f"{at}: {equation}"

    @property
    def _verdict(self) -> str:
        said = self.seen.proof if self.seen else self.walk.header["verdict"]
        sign = {"different": "✗ ", "overflow": "! ", "none": ""}.get(said["kind"], "✓ ")
        before = "Worked out this way: " if self.seen else ""
        return f"{sign}{before}{said['text']}"


def _full(case: Case, cell: Sequence[int]) -> Ints:
    """Return an output cell with its batch item, inside the canvas."""
    place = tuple(int(at) for at in cell)
    shape = case.geometry.output_shape
    if case.unbatched and len(place) == len(shape) - 1:
        place = (0, *place)
    if len(place) != len(shape):
        raise FigureError(
            f"Cell {place} has {len(place)} numbers; (n, c, *position) are {len(shape)}."
        )
    try:
        case.trace().of_output(*place)
    except IndexError as outside:
        raise FigureError(f"There is no such cell: {outside}.") from None
    return place


# -- maps -----------------------------------------------------------------------------------------


def _map(counts: Counts, title: str, width: int, dark: bool) -> go.Figure:
    """Return the map of an overlap; edge cells are dashed."""
    try:
        values = counts.map()
    except ValueError as error:
        raise FigureError(str(error)) from None
    told = [f"{counts.in_words}; {counts.edge_cells:,} edge cells of {values.size:,}"]
    edges = [axis.edge for axis in counts.along]
    panel = _cut("counts", values, "MACs that land in each cell", edges)
    heading = title or f"Overlap of {getattr(counts, 'layer', '')}".removesuffix(" of ")
    return _maps([panel], heading, {"extra": "edge cells: the input ends"}, told, width, dark)


def _apart(apart: Difference, title: str, width: int, dark: bool) -> go.Figure:
    """Return two outputs and their difference: the first item's first channel."""
    names = (*apart.titles, "the second less the first")
    dims = apart.case.dims
    planes = [
        values.reshape(-1, *values.shape[values.ndim - dims :])[0]
        for values in (*apart.outputs, apart.map)
    ]
    panels = [
        _cut(letter, np.asarray(values), name)
        for letter, values, name in zip(("y", "z", "d"), planes, names)
    ]
    limit = max(panel.limit for panel in panels[:2])
    panels = [replace(panel, limit=limit) for panel in panels[:2]] + panels[2:]
    told = [*apart.sentences, "The first item and channel."]
    return _maps(panels, title or apart.case.line(), {}, told, width, dark)


def _cut(name: str, values: np.ndarray, title: str, extra: Sequence[np.ndarray] = ()) -> Panel:
    """Return an array as a panel; of a long axis its beginning."""
    shown = [around(0, size, POSITIONS[values.ndim]) for size in values.shape]
    here = values[np.ix_(*shown)].astype(float)
    panel = plain(name, here, title, shape=by(values.shape), limit=limit_of(here))
    marks = [np.array([False])] * (3 - values.ndim) + [
        np.asarray(mark)[: len(one)] for mark, one in zip(extra, shown)
    ]
    if not extra:
        return panel
    tracks = [{**track, "extra": mark.tolist()} for track, mark in zip(panel.tracks, marks)]
    return replace(panel, tracks=tracks)


def _maps(
    panels: Sequence[Panel],
    title: str,
    names: Mapping[str, str],
    told: Sequence[str],
    width: int,
    dark: bool,
) -> go.Figure:
    shown = Shown(caption=tuple(told))
    sheets = fit(panels, width, HEIGHT)
    return Drawing([("", sheets, False)], width, title, names, [shown.caption], dark=dark).figure(
        shown
    )

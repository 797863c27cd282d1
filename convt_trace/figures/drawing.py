"""Sheets as a figure of plotly's: a heatmap for each tensor, with its numbers, names and marks.

It draws what a `Shown` says, and decides none of it. Marks are traces, so that a frame names those that
change; the lines between sheets are shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, hypot
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from convt_trace.answers.sums import number
from convt_trace.engine.extras import require
from convt_trace.figures.colours import DAY, GROUPS, NIGHT
from convt_trace.figures.layout import BELOW, BETWEEN, CAPTION, Sheet, wrapped
from convt_trace.figures.short import short

if TYPE_CHECKING:
    import plotly.graph_objects as go

FONT = "Arial, Helvetica, Liberation Sans, DejaVu Sans, sans-serif"
MONO = "DejaVu Sans Mono, Menlo, Consolas, monospace"
MARGIN, TITLE, HEADING = 22, 34, 26
CONTROLS = 74  # for plotly's slider and buttons
#: Cells of a sheet that tell their name when they are pointed at; more make the figure heavy.
_MOST_NAMED = 2000
#: Cells that are outlined; more are a smear.
_MOST_OUTLINED = 2000
_LINE, _CHARACTER = 18, 7.9  # of the caption
#: Milliseconds of a frame, and of the last one.
FRAME_MS, END_MS = 600, 3000

#: Pixels of a character of the title, and what a figure is wide at least, for its words.
_BOLD, _NARROW, _NARROWEST = 10.4, 560, 400

_AT_LEFT = {
    "xref": "paper", "yref": "paper", "showarrow": False, "align": "left", "x": 0, "xanchor": "left",
    "yanchor": "top", "borderpad": 0,
}  # fmt: skip

_NOTHING = {"type": "path", "path": "M0,0", "xref": "paper", "yref": "paper", "visible": False}

Point = tuple[float, float]
#: A heading, sheets, and whether they stand below each other.
Line = tuple[str, Sequence[Sheet], bool]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a figure shows at one step.

    Attributes
    ----------
    caption : tuple of str
        The equation of the step, and what else is said.
    values : dict
        Numbers of panels that the step changes, by name; NaN-free, see ``there``.
    there : dict
        Which cells of them hold a number.
    ticked : tuple of int
        Cells of torch's panel with which the output agrees.
    marks : dict
        By "now", "reach" and "lit", the cells that are outlined, by panel.
    joined : tuple of (str, int)
        Panels and cells that a line joins, in order; empty for none.
    crossed : bool
        Whether the end of that line is cropped.
    arrows : tuple of ((str, int), (str, int))
        Pairs of cells that an arrow joins; the first one is that of the step.
    label : str
        The step's name on the slider.
    """

    caption: tuple[str, ...] = ()
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    there: Mapping[str, np.ndarray] = field(default_factory=dict)
    ticked: tuple[int, ...] = ()
    marks: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)
    joined: tuple[tuple[str, int], ...] = ()
    crossed: bool = False
    arrows: tuple[tuple[tuple[str, int], tuple[str, int]], ...] = ()
    label: str = ""


@dataclass(frozen=True, eq=False)
class _Placed:
    """A sheet on the figure: where its first cell is, and the number of its axes."""

    sheet: Sheet
    x: float
    y: float
    axis: str

    @property
    def name(self) -> str:
        return self.sheet.panel.name

    def center(self, cell: int) -> Point | None:
        spot = self.sheet.spot(cell)
        if spot is None:
            return None
        row, column = spot
        return self.x + (column + 0.5) * self.sheet.cell, self.y + (row + 0.5) * self.sheet.cell


class Drawing:
    """Sheets in lines, drawn.

    Parameters
    ----------
    lines : sequence of (str, sequence of Sheet, bool)
        Each line's heading, its sheets, and whether they stand below each other.
    width : int
        Pixels that the sheets may take.
    title : str
    names : dict
        What the legend calls the marks "now", "reach", "lit", "crop", "extra", "pad".
    captions : sequence of tuple of str
        Everything that a caption will say: it has room for the longest.
    dark, animated : bool
        Whether the ground is dark; whether there is a slider.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        width: int,
        title: str,
        names: Mapping[str, str],
        captions: Sequence[tuple[str, ...]],
        *,
        dark: bool = False,
        animated: bool = False,
    ):
        self.go = graph_objects()
        self.colours = NIGHT if dark else DAY
        self.names, self.animated = names, animated
        self.headings: list[tuple[str, float]] = []
        self.placed: list[_Placed] = []
        self.height = 0
        content = max(_row_width(line, width) for line in lines)
        self.width = max(content, min(ceil(len(title) * _BOLD), _NARROW), _NARROWEST)
        self.title = wrap(title, int(self.width / _BOLD))
        self._place(lines, width)
        self._legend_y = self.height
        entries = self._entries
        self.caption_y = self.height + (
            _legend_rows(entries, self.width) * 20 + 8 if entries else 0
        )
        rows = max((len(self._wrapped(caption)) for caption in captions), default=0)
        self.height = self.caption_y + rows * _LINE + (CONTROLS if animated else 0)

    def _place(self, lines: Sequence[Line], width: int) -> None:
        """Give every sheet its place, from the top down."""
        top = TITLE + 22 * (len(self.title) - 1)
        for heading, sheets, is_stacked in lines:
            if heading:
                self.headings.append((heading, top))
                top += HEADING
            for line in _in_rows(sheets, is_stacked, width):
                left = 0
                for one in line:
                    number_ = len(self.placed) + 1
                    axis = str(number_) if number_ > 1 else ""
                    self.placed.append(_Placed(one, left + one.left, top + CAPTION, axis))
                    left += one.width + BETWEEN
                top += CAPTION + max(one.height for one in line) + BELOW
        self.height = top

    def _wrapped(self, caption: Iterable[str]) -> list[str]:
        room = int(self.width / _CHARACTER)
        return [part for line in caption for part in wrap(line, room, break_long_words=True)]

    # -- the figure -----------------------------------------------------------------------------

    def figure(self, shown: Shown) -> go.Figure:
        """Return the figure at one step."""
        layout = {
            **self._still,
            "shapes": self._shapes(shown),
            "annotations": [self._caption(shown), *self._words],
        }
        return self.go.Figure([trace for trace, _ in self._traces(shown)], layout)

    def film(self, steps: Sequence[Shown], at: int) -> go.Figure:
        """Return the figure at one of some steps, with a frame for each of them."""
        figure = self.figure(steps[at])
        names = [str(number_) for number_ in range(len(steps))]
        figure.frames = [self.frame(shown, name) for shown, name in zip(steps, names)]
        figure.update_layout(
            sliders=[self._slider([shown.label for shown in steps], names, at)],
            updatemenus=[self._buttons()],
        )
        return figure

    def frame(self, shown: Shown, name: str) -> go.Frame:
        """Return what a step changes."""
        changed = [(at, trace) for at, (trace, moves) in enumerate(self._traces(shown)) if moves]
        return self.go.Frame(
            name=name,
            data=[trace for _, trace in changed],
            traces=[at for at, _ in changed],
            # Those that no step changes stand behind these in the layout, and stay.
            layout={"shapes": self._moving(shown), "annotations": [self._caption(shown)]},
        )

    @cached_property
    def _still(self) -> dict[str, Any]:
        """The layout that no step changes."""
        colours = self.colours
        layout: dict[str, Any] = {
            "width": self.width + 2 * MARGIN,
            "height": self.height + 2 * MARGIN,
            "margin": {"l": MARGIN, "r": MARGIN, "t": MARGIN, "b": MARGIN, "autoexpand": False},
            "paper_bgcolor": colours.paper,
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": colours.ink},
            "hoverlabel": {"font": {"family": MONO, "size": 12}},
            "dragmode": False,
            "showlegend": bool(self._entries),
            "legend": {
                "orientation": "h", "x": 0, "xanchor": "left", "yanchor": "top",
                "y": self._up(self._legend_y), "font": {"size": 12, "color": colours.dim},
                "bgcolor": "rgba(0,0,0,0)", "traceorder": "normal", "itemsizing": "constant",
            },
        }  # fmt: skip
        for placed in self.placed:
            layout |= self._axes(placed)
        return layout

    def _axes(self, placed: _Placed) -> dict[str, Any]:
        """Return the two axes of a sheet: where it is, and the indices beside it."""
        one = placed.sheet
        width, height = one.columns * one.cell, one.rows * one.cell
        still = {
            "showgrid": False, "zeroline": False, "ticks": "", "fixedrange": True,
            "tickfont": {"size": 11, "color": self.colours.dim}, "automargin": False, "ticklabelstandoff": 2,
        }  # fmt: skip
        x, y = _columns_labelled(one), _rows_labelled(one)
        return {
            f"xaxis{placed.axis}": {
                **still, **x, "range": [-0.5, one.columns - 0.5], "anchor": f"y{placed.axis}",
                "domain": [placed.x / self.width, (placed.x + width) / self.width], "tickangle": 0,
            },
            f"yaxis{placed.axis}": {
                **still, **y, "range": [one.rows - 0.5, -0.5], "anchor": f"x{placed.axis}",
                "domain": [self._up(placed.y + height), self._up(placed.y)],
            },
        }  # fmt: skip

    def _up(self, y: float) -> float:
        """Return a distance from the top as plotly counts it, as a share from the bottom."""
        return 1 - y / self.height

    def _caption(self, shown: Shown) -> dict[str, Any]:
        said = "<br>".join(self._wrapped(shown.caption))
        font = {"family": MONO, "size": 13}
        return {**_AT_LEFT, "y": self._up(self.caption_y), "text": said, "font": font}

    @property
    def _words(self) -> list[dict[str, Any]]:
        """The words that no step changes: title, headings, the name of each tensor."""
        dim = self.colours.dim
        return [
            {
                **_AT_LEFT, "y": 1, "font": {"size": 16},
                "text": "<br>".join(f"<b>{line}</b>" for line in self.title),
            },
            *(
                {**_AT_LEFT, "y": self._up(y), "text": heading, "font": {"size": 13, "color": dim}}
                for heading, y in self.headings
            ),
            *(
                {
                    **_AT_LEFT, "x": (placed.x - placed.sheet.left) / self.width,
                    "y": self._up(placed.y - CAPTION + 2), "font": {"size": 14},
                    "text": f"<b>{panel.title}</b><br>"
                    f'<span style="font-size:12px;color:{dim}">{panel.missing or panel.shape}</span>',
                }
                for placed in self.placed
                for panel in [placed.sheet.panel]
            ),
            *(word for placed in self.placed for word in self._row_names(placed)),
        ]  # fmt: skip

    def _row_names(self, placed: _Placed) -> list[dict[str, Any]]:
        """Return the names of a 1-D tensor's rows; a line that joins cells passes behind them."""
        one = placed.sheet
        if one.panel.dims > 1 or one.panel.is_one_block:
            return []
        return [
            {
                **_AT_LEFT, "xanchor": "right", "yanchor": "middle", "text": _block_name(one, at),
                "x": (placed.x - 4) / self.width, "bgcolor": self.colours.paper,
                "y": self._up(placed.y + (block.top + 0.5) * one.cell),
                "font": {"family": MONO, "size": 12},
            }
            for at, block in enumerate(one.blocks)
        ]  # fmt: skip

    # -- traces ---------------------------------------------------------------------------------

    def _traces(self, shown: Shown) -> list[tuple[Any, bool]]:
        """Return every trace, in the same order at every step, and whether steps change it."""
        traces = [pair for placed in self.placed for pair in self._of_sheet(placed, shown)]
        told: set[str] = set()
        for trace, _ in traces:
            if trace.legendgroup:
                trace.showlegend = trace.legendgroup not in told
                told.add(trace.legendgroup)
        return traces

    def _of_sheet(self, placed: _Placed, shown: Shown) -> list[tuple[Any, bool]]:
        one, colours = placed.sheet, self.colours
        panel = one.panel
        moves = panel.name in shown.values
        values = shown.values.get(panel.name, panel.values)
        there = shown.there.get(panel.name, panel.there)
        traces = [(self._heat(placed, values, there), moves)]
        traces += [(trace, False) for trace in self._still_marks(placed)]
        if one.is_numbered:
            traces.append((self._numbers(placed, values, there), moves))
        if panel.name == "torch":
            traces.append((self._ticks(placed, shown.ticked), bool(shown.values)))
        looks = {
            "reach": {"color": colours.ink, "width": 1.2, "dash": "3px,2px"},
            "lit": {"color": colours.lit, "width": 3},
            "now": {"color": colours.ink, "width": 3},
        }
        for mark, line in looks.items():
            if mark in shown.marks:
                cells = shown.marks[mark].get(panel.name, ())
                if mark == "now" and len(cells) > 1:
                    line = {**line, "width": min(2, one.cell / 10)}
                path = outline(one, cells, 3 if mark == "reach" else 1)
                traces.append((self._path(placed, mark, path, line=line), mark != "lit"))
        return traces

    def _heat(self, placed: _Placed, values: np.ndarray, there: np.ndarray) -> Any:
        one, panel = placed.sheet, placed.sheet.panel
        z = _on_grid(one, np.where(there, np.asarray(values, dtype=float), np.nan))
        scale: dict[str, Any] = {"showscale": not one.is_numbered and bool(there.any())}
        if scale["showscale"]:
            scale["colorbar"] = self._bar(placed)
        return self.go.Heatmap(
            name=panel.name,
            z=np.where(np.isfinite(z), z, np.nan),
            zmin=-panel.limit,
            zmax=panel.limit,
            colorscale=self.colours.scale,
            xgap=1 if one.cell > 9 else 0,
            ygap=1 if one.cell > 9 else 0,
            hoverongaps=False,
            **self._hover(one, values, there),
            **_on(placed),
            **scale,
        )

    def _hover(self, one: Sheet, values: np.ndarray, there: np.ndarray) -> dict[str, Any]:
        """Return each cell's name and number, for a sheet that is not large."""
        panel = one.panel
        if panel.cells > _MOST_NAMED:
            return {"hovertemplate": "%{z}<extra></extra>"}
        texts = [
            f"{panel.cell_name(cell)} = {number(values[cell])}" if there[cell] else ""
            for cell in range(panel.cells)
        ]
        return {
            "hovertext": [[texts[at] if at >= 0 else "" for at in row] for row in one.grid],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }

    def _bar(self, placed: _Placed) -> dict[str, Any]:
        """Return the colour bar beside a sheet that has no numbers."""
        one, limit = placed.sheet, placed.sheet.panel.limit
        height = min(one.rows * one.cell, 160)
        return {
            "x": (placed.x + one.columns * one.cell + 6) / self.width, "xanchor": "left", "xpad": 0,
            "y": self._up(placed.y), "yanchor": "top", "ypad": 0, "lenmode": "pixels",
            "len": max(height, 40), "thickness": 8, "outlinewidth": 0,
            "tickvals": [-limit, 0, limit], "ticktext": [short(-limit, 6), "0", short(limit, 6)],
            "tickfont": {"size": 10, "color": self.colours.dim},
        }  # fmt: skip

    def _numbers(self, placed: _Placed, values: np.ndarray, there: np.ndarray) -> Any:
        """Return the numbers, as much of each as fits into its cell."""
        one, panel = placed.sheet, placed.sheet.panel
        font = 15 if one.cell >= 36 else 13 if one.cell >= 28 else 11
        room = int((one.cell - 1) / (font * 0.56))
        hollow = ~panel.of_kind("real") & panel.marked("crop")
        rows, columns = np.nonzero(one.grid >= 0)
        cells = one.grid[rows, columns]
        shown = there[cells] & ~hollow[cells]
        rows, columns, cells = rows[shown], columns[shown], cells[shown]
        known = np.isfinite(np.asarray(values[cells], dtype=float))
        colors = self.colours.on(np.where(known, values[cells], np.nan), panel.limit)
        faint = (panel.marked("crop") | ~panel.of_kind("real"))[cells]
        return self.go.Scatter(
            name=f"{panel.name} numbers",
            mode="text",
            x=columns,
            y=rows,
            text=[short(values[cell], room) for cell in cells],
            textfont={
                "size": font,
                "color": [_faded(color) if dim else color for color, dim in zip(colors, faint)],
            },
            **_unseen(placed),
        )

    def _still_marks(self, placed: _Placed) -> list[Any]:
        """Return what no step changes: the cropped margin, edges of kinds, names and groups."""
        one, colours = placed.sheet, self.colours
        panel, marks = one.panel, []
        cropped = panel.marked("crop")
        if cropped.any():
            pattern = {
                "shape": "/", "fillmode": "overlay", "size": 6, "solidity": 0.22,
                "fgcolor": colours.dim, "fgopacity": 0.7, "bgcolor": colours.veil,
            }  # fmt: skip
            marks.append(
                self._path(
                    placed, "crop", _filled(one, cropped), line={"width": 0},
                    fill="toself", fillpattern=pattern, fillcolor=colours.veil,
                )
            )  # fmt: skip
        if panel.is_stuffed and len(panel.channels):
            real = np.flatnonzero(panel.of_kind("real"))
            thin = {"color": colours.dim, "width": 1}
            marks.append(self._path(placed, "real", outline(one, real), line=thin))
        if panel.of_kind("pad").any():
            dots = {"color": colours.ink, "width": 2, "dash": "2px,3px"}
            marks.append(self._path(placed, "pad", _within_padding(one), line=dots))
        if (panel.marked("extra") & ~cropped).any():
            dashes = {"color": colours.ink, "width": 1.5, "dash": "5px,3px"}
            marks.append(
                self._path(
                    placed, "extra", _filled(one, panel.marked("extra") & ~cropped), line=dashes
                )
            )
        return [*marks, *self._names(placed), *self._groups(placed)]

    def _names(self, placed: _Placed) -> list[Any]:
        """Return the names above the blocks; in 1-D they stand on the axis."""
        one = placed.sheet
        if one.panel.dims == 1 or one.panel.is_one_block:
            return []
        width = len(one.column_places) * one.cell
        names = [_fitting(_block_name(one, at), width) for at in range(len(one.blocks))]
        return [
            self.go.Scatter(
                name=f"{one.panel.name} names",
                mode="text",
                x=[block.left - 0.5 for block in one.blocks],
                y=[block.top - 0.5 - 4 / one.cell for block in one.blocks],
                text=names,
                textposition="top right",
                textfont={"family": MONO, "size": 11, "color": self.colours.ink},
                cliponaxis=False,
                **_unseen(placed),
            )
        ]

    def _groups(self, placed: _Placed) -> list[Any]:
        """Return what the legend says of each group; its bars are shapes."""
        if len(set(self._groups_there)) < 2 or placed.sheet.panel.is_one_block:
            return []
        groups = dict.fromkeys(channel["group"] for channel in placed.sheet.panel.channels)
        return [
            self._path(
                placed,
                f"group {group}",
                [],
                line={"width": 5, "color": GROUPS[group % len(GROUPS)]},
            )
            for group in groups
        ]

    @cached_property
    def _bars(self) -> list[dict[str, Any]]:
        """A bar in its group's colour at each block, where there are several groups."""
        if len(set(self._groups_there)) < 2:
            return []
        bars = []
        for placed in self.placed:
            one, size = placed.sheet, placed.sheet.cell
            for block in () if one.panel.is_one_block else one.blocks:
                left, top = placed.x + block.left * size, placed.y + block.top * size
                box = (placed.x - one.left, top + 1, 5, size - 2)
                if one.panel.dims > 1:
                    box = (left, top - 4, len(one.column_places) * size, 3)
                group = one.panel.channels[block.channel]["group"]
                bars.append(self._filled_box(box, GROUPS[group % len(GROUPS)]))
        return bars

    def _filled_box(self, box: tuple[float, float, float, float], color: str) -> dict[str, Any]:
        x, y, width, height = box
        return {
            "type": "rect", "xref": "paper", "yref": "paper", "line": {"width": 0}, "fillcolor": color,
            "x0": x / self.width, "x1": (x + width) / self.width,
            "y0": self._up(y), "y1": self._up(y + height),
        }  # fmt: skip

    @cached_property
    def _groups_there(self) -> list[int]:
        panels = [placed.sheet.panel for placed in self.placed]
        return [channel["group"] for panel in panels for channel in panel.channels]

    def _ticks(self, placed: _Placed, cells: Sequence[int]) -> Any:
        """Tick torch's cells that the output has reached and agrees with."""
        one = placed.sheet
        px, paths = 1 / one.cell, []
        for cell in cells:
            spot = one.spot(cell)
            if spot is None:
                continue
            x, y = spot[1] + 0.5, spot[0] - 0.5  # the upper right corner
            corner = max(3, one.cell / 4) * px
            if one.cell >= 30:
                dents = [(-10, 6), (-7.5, 9), (-3, 3.5)]
                paths.append([(x + dx * px, y + dy * px) for dx, dy in dents])
            else:
                paths.append([(x - corner, y), (x, y), (x, y + corner), (x - corner, y)])
        large = one.cell >= 30
        look = {"color": self.colours.ink, "width": 1.6 if large else 0}
        fill = {} if large else {"fill": "toself", "fillcolor": self.colours.ink}
        return self._path(placed, "agrees", _joined(paths), line=look, **fill)

    def _path(self, placed: _Placed, mark: str, path: list[Any], **look: Any) -> Any:
        """Return lines through points; a name in the legend where the mark has one."""
        told = self.names.get(mark) or (mark if mark.startswith("group ") else "")
        legend = {"legendgroup": told, "name": told} if told else {"name": mark}
        xs, ys = zip(*path) if path else ((None,), (None,))
        still = {"cliponaxis": False, **_unseen(placed), **look}
        meta = f"{placed.name} {mark}".strip()
        return self.go.Scatter(
            mode="lines", x=list(xs), y=list(ys), meta=meta, **{**still, **legend}
        )

    @property
    def _entries(self) -> list[str]:
        """What the legend will list."""
        marks = [mark for mark in ("now", "reach", "lit") if self.names.get(mark)]
        panels = [placed.sheet.panel for placed in self.placed]
        if any(panel.marked("crop").any() for panel in panels):
            marks.append("crop")
        if any((panel.marked("extra") & ~panel.marked("crop")).any() for panel in panels):
            marks.append("extra")
        if any(panel.of_kind("pad").any() for panel in panels):
            marks.append("pad")
        groups = sorted(set(self._groups_there))
        named = [self.names[mark] for mark in marks if self.names.get(mark)]
        return named + [f"group {group}" for group in groups if len(groups) > 1]

    # -- shapes ---------------------------------------------------------------------------------

    def _shapes(self, shown: Shown) -> list[dict[str, Any]]:
        return [*self._moving(shown), *self._grounds, *self._bars]

    def _moving(self, shown: Shown) -> list[dict[str, Any]]:
        """Return the shapes that steps change: always as many, some of them not seen."""
        return [*self._lines(shown), *self._arrows(shown)]

    @cached_property
    def _grounds(self) -> list[dict[str, Any]]:
        """The ground of every block, seen where a cell holds nothing."""
        look = {"fillcolor": self.colours.soft, "line": {"color": self.colours.line, "width": 1}}
        return [
            {
                "type": "rect", "layer": "below", "xref": f"x{placed.axis}", "yref": f"y{placed.axis}",
                "x0": block.left - 0.5, "x1": block.left + len(placed.sheet.column_places) - 0.5,
                "y0": block.top - 0.5, "y1": block.top + len(placed.sheet.row_places) - 0.5, **look,
            }
            for placed in self.placed
            for block in placed.sheet.blocks
        ]  # fmt: skip

    def _lines(self, shown: Shown) -> list[dict[str, Any]]:
        """Join the input value and the tap to the output cell; cross out what is cropped."""
        by_name = {placed.name: placed for placed in self.placed}
        ends = [(by_name[name], by_name[name].center(cell)) for name, cell in shown.joined]
        if not ends or any(center is None for _, center in ends):
            return [_NOTHING] * 3
        parts = [
            self._curve(join(*center, *after, placed.sheet.cell, other.sheet.cell))
            for (placed, center), (other, after) in zip(ends, ends[1:])
            if center and after
        ]
        colours = self.colours
        dash = {"color": colours.dim, "dash": "5px,4px"} if shown.crossed else {"dash": "solid"}
        path = self._stroke(" ".join(parts), {"color": colours.ink, "width": 1.6, **dash})
        halo = self._stroke(" ".join(parts), {"color": colours.paper, "width": 4})
        cross = _NOTHING
        end = ends[-1][1]
        if shown.crossed and end:
            x, y = end
            both = self._moves([(x - 6, y - 6), (x + 6, y + 6)], [(x + 6, y - 6), (x - 6, y + 6)])
            cross = self._stroke(both, {"color": colours.ink, "width": 3})
        return [{**halo, "opacity": 0.5}, {**path, "opacity": 0.8}, cross]

    def _arrows(self, shown: Shown) -> list[dict[str, Any]]:
        """Draw arrows from below the one tensor to above the other; the step's own is bold."""
        by_name = {placed.name: placed for placed in self.placed}
        paths = []
        for (one, cell), (other, there) in shown.arrows:
            start, end = by_name[one].center(cell), by_name[other].center(there)
            if start is None or end is None:
                continue
            sheet = by_name[one].sheet
            start = (start[0], by_name[one].y + sheet.rows * sheet.cell + 14)
            end = (end[0], by_name[other].y)
            paths.append(self._moves(*_arrow(start, end)))
        ink = self.colours.ink
        thin = self._stroke(" ".join(paths), {"color": self.colours.dim, "width": 0.8})
        bold = self._stroke(paths[0], {"color": ink, "width": 2.2}) if paths else {}
        return [{**thin, "opacity": 0.6}, bold] if paths else [_NOTHING] * 2

    def _stroke(self, path: str, line: dict[str, Any]) -> dict[str, Any]:
        return {**_NOTHING, "path": path, "line": line, "visible": True}

    def _at(self, point: Point) -> str:
        return f"{point[0] / self.width:.5f},{self._up(point[1]):.5f}"

    def _moves(self, *paths: Sequence[Point]) -> str:
        return " ".join(
            f"M{self._at(path[0])} " + " ".join(f"L{self._at(point)}" for point in path[1:])
            for path in paths
        )

    def _curve(self, points: Sequence[Point]) -> str:
        first, *rest = map(self._at, points)
        return f"M{first} C{' '.join(rest)}"

    # -- controls -------------------------------------------------------------------------------

    def _slider(self, labels: Sequence[str], names: Sequence[str], at: int) -> dict[str, Any]:
        still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
        return {
            "active": at, "x": 130 / self.width, "len": 1 - 130 / self.width, "xanchor": "left",
            "y": self._up(self.height - CONTROLS + 8), "yanchor": "top", "pad": {"t": 0, "b": 0},
            "currentvalue": {"prefix": "step ", "font": {"size": 12}, "xanchor": "left", "offset": 6},
            "font": {"size": 1, "color": "rgba(0,0,0,0)"}, "ticklen": 0, "minorticklen": 0,
            "steps": [
                {"label": label, "method": "animate", "value": name,
                 "args": [[name], {**still, "transition": {"duration": 0}}]}
                for label, name in zip(labels, names)
            ],
        }  # fmt: skip

    def _buttons(self) -> dict[str, Any]:
        moving = {"frame": {"duration": FRAME_MS, "redraw": True}, "transition": {"duration": 0}}
        halt = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
        return {
            "type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "showactive": False,
            "y": self._up(self.height - CONTROLS + 22), "yanchor": "top", "pad": {"t": 0, "r": 0},
            "bgcolor": self.colours.paper, "bordercolor": self.colours.line,
            "buttons": [
                {"label": "Play", "method": "animate",
                 "args": [None, {**moving, "fromcurrent": True, "mode": "immediate"}]},
                {"label": "Pause", "method": "animate", "args": [[None], halt]},
            ],
        }  # fmt: skip


def _in_rows(sheets: Sequence[Sheet], is_stacked: bool, width: int) -> list[list[Sheet]]:
    return [[one] for one in sheets] if is_stacked else wrapped(sheets, width)


def _row_width(line: Line, width: int) -> int:
    """Return the pixels of the widest row of a line of sheets."""
    _, sheets, is_stacked = line
    rows = _in_rows(sheets, is_stacked, width)
    return max(sum(one.width for one in row) + BETWEEN * (len(row) - 1) for row in rows)


def _legend_rows(entries: Sequence[str], width: int) -> int:
    """Return how many rows plotly's legend will have: one, or rows of equal columns."""
    wide = [len(entry) * 6.6 + 46 for entry in entries]
    return 1 if sum(wide) <= width else ceil(len(entries) / max(1, width // max(wide)))


def graph_objects() -> Any:
    """Return plotly's module of figures, which is imported when a figure is asked for."""
    return require("plotly.graph_objects")


# -- words beside a sheet -------------------------------------------------------------------------


def _columns_labelled(one: Sheet) -> dict[str, Any]:
    """Return index numbers below every column of blocks, as many as have room."""
    labels = [one.panel.tracks[2]["label"][place] for place in one.column_places]
    longest = max(len(str("" if label is None else label)) for label in labels)
    few = _spread(labels, ceil((longest * 7 + 5) / one.cell))
    # The last one keeps away from the first one of the next block.
    few = [at for at in few if (len(labels) - at) * one.cell > longest * 3.5 or at == 0]
    lefts = sorted({block.left for block in one.blocks})
    return {
        "tickvals": [left + place for left in lefts for place in few],
        "ticktext": [str(labels[place]) for _ in lefts for place in few],
    }


def _rows_labelled(one: Sheet) -> dict[str, Any]:
    """Return index numbers left of the blocks; in 1-D the rows have names instead."""
    if one.panel.dims == 1:
        return {"tickvals": [], "ticktext": []}
    labels = [one.panel.tracks[1]["label"][place] for place in one.row_places]
    few = _spread(labels, ceil(13 / one.cell))
    tops = sorted({block.top for block in one.blocks if block.left == 0})
    return {
        "tickvals": [top + place for top in tops for place in few],
        "ticktext": [str(labels[place]) for _ in tops for place in few],
    }


def _spread(labels: Sequence[Any], every: int) -> list[int]:
    """Return the places that are labelled, at least ``every`` apart; numbers in round steps.

    >>> _spread([-1, 0, 1, 2, 3, 4, 5], 2), _spread(["a", "b", "c"], 2), _spread([0, None, 1], 2)
    ([1, 3, 5], [0, 2], [0, 2])
    """
    real = [at for at, label in enumerate(labels) if label is not None]
    if not real:
        return []
    apart = min((b - a for a, b in zip(real, real[1:])), default=1)
    step = next(one for one in (1, 2, 5, 10, 20, 50, 100, 200) if one * apart >= every)
    if not isinstance(labels[real[0]], int):
        return real[::step]
    return [at for at in real if labels[at] % step == 0]


def _block_name(one: Sheet, at: int) -> str:
    panel, block = one.panel, one.blocks[at]
    label = panel.channels[block.channel]["label"]
    if panel.dims < 3:
        return f"{label}]"
    depth = panel.tracks[0]["label"][block.depth]
    return f"{label},{'·' if depth is None else depth}]"


def _fitting(name: str, width: float) -> str:
    """Return a block's name in the longest form that fits above it."""
    forms = [name, name[name.index("[") :], name[name.index("[") + 1 : -1]]
    return next((form for form in forms if len(form) * 6.7 <= width + 6), forms[2])


# -- paths, in cells ------------------------------------------------------------------------------


def outline(one: Sheet, cells: Iterable[int], inset: float = 0) -> list[Any]:
    """Return squares around cells, as points with gaps; hidden cells are left out."""
    shown = [spot for cell in cells if (spot := one.spot(int(cell))) is not None]
    if len(shown) > _MOST_OUTLINED:
        return []
    inside = min(inset / one.cell, 0.2)
    return _joined(
        _box(column - 0.5 + inside, row - 0.5 + inside, 1 - 2 * inside, 1 - 2 * inside)
        for row, column in shown
    )


def _box(x: float, y: float, width: float, height: float) -> list[Point]:
    right, bottom = x + width, y + height
    return [(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]


def _joined(paths: Iterable[Sequence[Point]]) -> list[Any]:
    """Return paths as one, with a gap between them."""
    points: list[Any] = []
    for path in paths:
        points += [*([(None, None)] if points else []), *path]
    return points


def _filled(one: Sheet, marked: np.ndarray) -> list[Any]:
    """Return marked cells as few boxes: runs in a row, and equal runs of rows below each other."""
    here = np.where(one.grid >= 0, marked[one.grid], False)
    boxes: list[list[int]] = []  # left, right, top, bottom
    last: dict[tuple[int, int], list[int]] = {}
    for row, line in enumerate(here):
        edges = np.flatnonzero(np.diff(np.r_[0, line.astype(np.int8), 0])).reshape(-1, 2)
        now: dict[tuple[int, int], list[int]] = {}
        for left, right in edges.tolist():
            box = last.get((left, right)) or [left, right, row, row]
            box[3] = row + 1
            if box not in boxes:
                boxes.append(box)
            now[left, right] = box
        last = now
    return _joined(
        _box(left - 0.5, top - 0.5, right - left, bottom - top)
        for left, right, top, bottom in boxes
    )


def _within_padding(one: Sheet) -> list[Any]:
    """Return a box in every block around what padding's zeros surround."""
    inside = ~one.panel.of_kind("pad")
    paths = []
    for block in one.blocks:
        down, along = len(one.row_places), len(one.column_places)
        cells = one.grid[block.top : block.top + down, block.left : block.left + along]
        rows, columns = np.nonzero(inside[cells])
        if len(rows):
            left, top = block.left + columns.min(), block.top + rows.min()
            width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
            paths.append(_box(float(left) - 0.5, float(top) - 0.5, float(width), float(height)))
    return _joined(paths)


def join(x1: float, y1: float, x2: float, y2: float, size: float, other: float) -> list[Point]:
    """Return a curve from the corner of one cell to the corner of another.

    It leaves and arrives along the lines between rows, so that neither their numbers nor those beside
    them are struck through.
    """
    far = abs(x2 - x1) > (size + other) / 2
    side = (1 if x2 > x1 else -1) if far else 0
    down = 1 if y2 > y1 else -1
    start = (x1 + side * size / 2, y1 + (down if side else 1) * size / 2)
    end = (x2 - side * other / 2, y2 - (down if side and y1 != y2 else 1) * other / 2)
    bend = side * min(60, abs(end[0] - start[0]) / 2)
    return [start, (start[0] + bend, start[1]), (end[0] - bend, end[1]), end]


def _arrow(start: Point, end: Point) -> list[list[Point]]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    far = hypot(dx, dy) or 1
    ux, uy = dx / far, dy / far
    one, other = (
        (end[0] - 6 * ux - side * 3 * uy, end[1] - 6 * uy + side * 3 * ux) for side in (-1, 1)
    )
    return [[start, end], [one, end, other]]


def _on_grid(one: Sheet, values: np.ndarray) -> np.ndarray:
    return np.where(one.grid >= 0, values[one.grid], np.nan)


def _on(placed: _Placed) -> dict[str, str]:
    return {"xaxis": f"x{placed.axis}", "yaxis": f"y{placed.axis}"}


def _unseen(placed: _Placed) -> dict[str, Any]:
    """Return what makes a trace one that the pointer passes by."""
    return {**_on(placed), "hoverinfo": "skip", "showlegend": False}


def _faded(color: str) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.62)"

"""A map of numbers as HTML: a cell each, coloured as the player colours values."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

#: Rows and columns that are drawn; a larger map is shown from its first corner.
MOST = 40
#: Up to this many columns each cell has its number.
_NUMBERED = 24
_STYLE = """<style>
.heat { display: grid; gap: 1px; width: max-content; max-width: 100%; font-size: 0.72rem;
  font-variant-numeric: tabular-nums; margin: 0.2rem 0 0.6rem; }
.heat span { display: flex; align-items: center; justify-content: center; aspect-ratio: 1;
  min-width: 0; overflow: hidden; }
.heat .edge { outline: 1.5px dashed currentColor; outline-offset: -2px; }
</style>"""
_NEGATIVE, _ZERO, _POSITIVE = (43, 108, 184), (245, 244, 242), (224, 129, 42)


def heat(values: np.ndarray, name: str, edges: np.ndarray | None = None) -> str:
    """Return a map as HTML, with a sentence for those who do not see it.

    Parameters
    ----------
    values : ndarray of 1 or 2 dimensions
    name : str
        What it shows.
    edges : ndarray of bool, optional
        Cells that are drawn with a dashed outline.
    """
    rows = np.atleast_2d(values)[:MOST, :MOST]
    marked = np.zeros(rows.shape, bool) if edges is None else np.atleast_2d(edges)[:MOST, :MOST]
    limit = float(np.abs(rows).max(initial=0)) or 1.0
    columns = rows.shape[1]
    size = max(8, min(34, 640 // max(columns, 1)))
    cells = "".join(
        _cell(float(value), limit, bool(edge), numbered=columns <= _NUMBERED)
        for line, line_edges in zip(rows, marked)
        for value, edge in zip(line, line_edges)
    )
    shape = " x ".join(map(str, np.shape(values)))
    return (
        f'{_STYLE}<div class="heat" role="img" aria-label="{escape(name)}, {shape}" '
        f'style="grid-template-columns: repeat({columns}, minmax(0, {size}px))">{cells}</div>'
    )


def _cell(value: float, limit: float, edge: bool, numbered: bool) -> str:
    end, share = (_NEGATIVE if value < 0 else _POSITIVE), min(1.0, abs(value) / limit)
    red, green, blue = (round(z + (e - z) * share) for z, e in zip(_ZERO, end))
    # The same bound as in the player: where black and white text contrast alike.
    ink = "#fff" if value < 0 and share > 0.75 else "#14161a"
    text = _short(value + 0) if numbered else ""
    kind = ' class="edge"' if edge else ""
    return f'<span{kind} style="background: rgb({red},{green},{blue}); color: {ink}">{text}</span>'


def _short(value: float) -> str:
    text = f"{value:.4g}"
    return text if len(text) <= 4 else f"{value:.2g}"


def cut(values: np.ndarray) -> str:
    """Say which part of a map is drawn; empty where all of it is."""
    if max(np.shape(values)) <= MOST:
        return ""
    return f"The first {MOST} positions of each axis are drawn."


def draw(values: np.ndarray, name: str, edges: np.ndarray | None = None) -> None:
    """Draw a map on the page; of three dimensions the slice in the middle."""
    if values.ndim == 3:
        middle = len(values) // 2
        st.caption(f"The slice in the middle of the depth, {middle} of {len(values)}.")
        values, edges = values[middle], None if edges is None else edges[middle]
    st.html(heat(values, name, edges))
    if said := cut(values):
        st.caption(said)

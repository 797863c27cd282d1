"""A map of numbers as HTML: a cell each, coloured as the player colours values."""

from __future__ import annotations

from html import escape

import numpy as np

from convt_trace.engine.text import by

#: Rows and columns that are drawn; a larger map is shown from its first corner.
MOST = 40
#: Up to this many columns each cell has its number.
_NUMBERED = 24
_STYLE = """<style>
.heat { display: grid; gap: 1px; width: max-content; max-width: 100%; font-size: 0.72rem;
  font-variant-numeric: tabular-nums; margin: 0.2rem 0 0.6rem; }
.heat span { display: flex; align-items: center; justify-content: center; aspect-ratio: 1;
  min-width: 0; overflow: hidden; }
.heat-left-out { margin: 0 0 0.6rem; font-size: 0.85rem; opacity: 0.8; }
.heat .edge { outline: 1.5px dashed currentColor; outline-offset: -2px; }
</style>"""
_NEGATIVE, _ZERO, _POSITIVE = (43, 108, 184), (245, 244, 242), (224, 129, 42)


def heat(values: np.ndarray, name: str, edges: np.ndarray | None = None) -> str:
    """Return a map as HTML, with a sentence for those who do not see it.

    Parameters
    ----------
    values : ndarray of 1 to 3 dimensions
        Of three the slice in the middle is drawn.
    name : str
        What it shows.
    edges : ndarray of bool, optional
        Cells that are drawn with a dashed outline.

    Returns
    -------
    str
        The map, and below it what is left out.

    Examples
    --------
    >>> heat(np.eye(2), "eye").count("<span"), 'aria-label="eye, 2 x 2"' in heat(np.eye(2), "eye")
    (4, True)
    """
    shape, left_out = by(values.shape), []
    if values.ndim == 3:
        middle = len(values) // 2
        left_out.append(f"The slice in the middle of the depth, {middle} of {len(values)}.")
        values, edges = values[middle], None if edges is None else edges[middle]
    if max(values.shape) > MOST:
        left_out.append(f"The first {MOST} positions of each axis are drawn.")
    told = f'<p class="heat-left-out">{" ".join(left_out)}</p>' if left_out else ""
    return (
        f'{_STYLE}<div class="heat" role="img" aria-label="{escape(name)}, {shape}" '
        f'style="{_columns(values)}">{_cells(values, edges)}</div>{told}'
    )


def _columns(values: np.ndarray) -> str:
    columns = min(values.shape[-1], MOST)
    size = max(8, min(34, 640 // max(columns, 1)))
    return f"grid-template-columns: repeat({columns}, minmax(0, {size}px))"


def _cells(values: np.ndarray, edges: np.ndarray | None) -> str:
    rows = np.atleast_2d(values)[:MOST, :MOST]
    marked = np.zeros(rows.shape, bool) if edges is None else np.atleast_2d(edges)[:MOST, :MOST]
    limit = float(np.abs(rows).max(initial=0)) or 1.0
    return "".join(
        _cell(float(value), limit, bool(edge), numbered=rows.shape[1] <= _NUMBERED)
        for line, line_edges in zip(rows, marked)
        for value, edge in zip(line, line_edges)
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
    """Return a number in few characters; one that is not whole never reads as one.

    >>> _short(12.0), _short(-1.98), _short(0.25)
    ('12', '-2.0', '0.25')
    """
    text = f"{value:.4g}"
    return text if len(text) <= 4 else f"{value:#.2g}"

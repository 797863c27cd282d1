"""The output-size formula as a drawing: every term a bar over the uncropped canvas."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from convt_trace.planning.formula import Formula

#: Pixels of a canvas cell, at most; cells of which more than this many are a plain line.
_CELL, _MOST_CELLS = 30, 64
_NAMES = {
    "steps": "(L_in - 1)*stride, from the first stamp to the last",
    "kernel": "dilation*(kernel_size - 1) + 1, the last stamp",
    "crop": "2*padding, cropped at both ends",
    "extra": "output_padding, added at the end",
}
# Streamlit takes SVG out of HTML; boxes stay.
_STYLE = """<style>
.ruler { position: relative; margin: 0.2rem 0 1rem; font-size: 0.85rem; }
.ruler p { margin: 0.3rem 0 0.1rem; overflow-wrap: anywhere; }
.ruler .line { position: relative; height: 1.1rem; max-width: var(--bar); }
.ruler .line div { position: absolute; top: 0; bottom: 0; border-radius: 3px; min-width: 2px; }
.ruler .canvas div { border-radius: 0; box-sizing: border-box; text-align: center; opacity: 0.8;
  border: 1px solid color-mix(in srgb, currentColor 35%, transparent); font-size: 0.7rem; }
.ruler .steps { background: #2b6cb8; } .ruler .kernel { background: #e0812a; }
.ruler .crop { background: repeating-linear-gradient(135deg, #7f7f7f 0 2px, transparent 2px 6px); }
.ruler .extra { background: #b0569a; } .ruler .output { background: #009e73; }
.ruler.beside { display: grid; gap: 0 0.8rem; align-items: center;
  grid-template-columns: minmax(0, max-content) max-content minmax(6rem, var(--bar)); }
</style>"""


def ruler(found: Formula) -> str:
    """Return the formula of one axis as HTML, with a sentence for those who do not see it."""
    rows = [
        _row(_NAMES[term.name].replace("L_in", f"{found.axis}_in"), abs(term.value), term.name,
             term.spans, found.canvas)
        for term in found.terms
        if term.value
    ]  # fmt: skip
    rows.append(_row("output", found.size, "output", (found.output,), found.canvas))
    said = escape(f"Along {found.axis}: {found.numbers}")
    return (
        f'{_STYLE}<div class="ruler" role="img" aria-label="{said}" '
        f'style="--bar: {found.canvas * _CELL}px">{_cells(found)}{"".join(rows)}</div>'
    )


def windows(canvas: int, kept: Sequence[tuple[str, int, int]]) -> str:
    """Return what each convention keeps of a canvas, as bars under each other.

    Parameters
    ----------
    canvas : int
        Positions of the canvas.
    kept : sequence of (str, int, int)
        A name, the first canvas position that is kept, and how many; both may lie outside.
    """
    low = min([0, *(first for _, first, _ in kept)])
    high = max([canvas, *(first + size for _, first, size in kept)])
    whole = high - low
    rows = [("the canvas", 0, canvas, "crop"), *((*one, "output") for one in kept)]
    bars = "".join(
        f'<p>{escape(name)}</p><p><b>{size}</b></p><div class="line">'
        f"{_box(first - low, first + size - low, whole, kind)}</div>"
        for name, first, size, kind in rows
    )
    said = "; ".join(f"{name} keeps {size} from {first} on" for name, first, size in kept)
    return (
        f'{_STYLE}<div class="ruler beside" role="img" aria-label="{escape(said)}" '
        f'style="--bar: {whole * _CELL}px">{bars}</div>'
    )


def _row(name: str, value: int, kind: str, spans: tuple, canvas: int) -> str:
    bars = "".join(_box(start, stop, canvas, kind) for start, stop in spans if stop > start)
    return f'<p>{value}: {escape(name)}</p><div class="line">{bars}</div>'


def _cells(found: Formula) -> str:
    """Return the canvas with the output's own numbers, cell by cell where there is room."""
    if found.canvas > _MOST_CELLS:
        boxes = _box(0, found.canvas, found.canvas, "")
    else:
        every = 1 if found.canvas <= 24 else 4
        boxes = "".join(
            _box(at, at + 1, found.canvas, "", "" if at % every else str(at - found.output[0]))
            for at in range(found.canvas)
        )
    return f'<p>the canvas: {found.canvas} positions</p><div class="line canvas">{boxes}</div>'


def _box(start: int, stop: int, canvas: int, kind: str, text: str = "") -> str:
    left, width = 100 * start / canvas, 100 * (stop - start) / canvas
    return f'<div class="{kind}" style="left: {left:.3f}%; width: {width:.3f}%">{text}</div>'

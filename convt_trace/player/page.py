"""A case as one HTML file that plays it: no server, no network, from a USB stick or in a notebook.

The page holds the player's own files, and the windows of the trace as the app would send them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

from convt_trace.answers import transposed as words
from convt_trace.engine.case import Case
from convt_trace.engine.trace import Trace
from convt_trace.engine.view import Moment, View, picked_trace
from convt_trace.player.modules import FOLDER, IMPORT, sources
from convt_trace.player.scene import Opening, opened
from convt_trace.player.windows import Window, kept

#: Bytes of a page, and of the windows in one that a notebook stores.
LARGEST = 6_000_000
NOTEBOOK = 400_000

_FIRST_MODULE = "standalone.js"

#: The page may run what is in it, and fetch nothing.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data: blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_STYLE = """
:root { color-scheme: light dark; --st-background-color: #ffffff; --st-text-color: #1a1c21;
  --st-secondary-background-color: #f0f2f6; --st-primary-color: #2a6f97; }
@media (prefers-color-scheme: dark) {
  :root { --st-background-color: #0e1117; --st-text-color: #fafafa;
    --st-secondary-background-color: #262730; --st-primary-color: #4a9fcf; }
}
body { margin: 0; padding: 1rem clamp(0.75rem, 3vw, 2.5rem) 2rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--st-text-color); background: var(--st-background-color); }
h1 { font-size: 1.35rem; margin: 0 0 0.3rem; }
header p { margin: 0.3rem 0; }
code { font-size: 1.05rem; overflow-wrap: anywhere; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<script type="importmap">{modules}</script>
</head>
<body>
<header>
<h1>{title}</h1>
<p><code>{line}</code></p>
<p>{counts}</p>
{note}</header>
<main id="player"></main>
<p id="wait">Opening … This page needs JavaScript and a browser of 2023 or later.</p>
{windows}
<script type="application/json" id="contents">{contents}</script>
<script type="module">import "{first}";</script>
</body>
</html>
"""


class ExportError(ValueError):
    """A case that does not fit into a page; the message is one sentence."""


def to_html(
    case: Case | Trace,
    view: View | None = None,
    step: int | None = None,
    *,
    title: str = "",
    largest: int = LARGEST,
    moment: Moment | None = None,
    **at: Any,
) -> str:
    """Return a page that plays a case, in one self-contained file.

    Of a trace that is too long for the page's size, the page holds the window of ``step``, the end,
    and as much of the beginning as fits; it says which MACs it holds.

    Parameters
    ----------
    case : Case or Trace
    view : View, optional
        Order, batch item and channels to look at; by default those of the trace.
    step : int, optional
        The step to open at.
    title : str
        The heading; by default the layer's name.
    largest : int
        Bytes of the page, at most.
    moment : Moment, optional
        Where the page opens; the beginning by default.
    **at
        ``unit``, ``selected``, ``hidden`` or ``views``, instead of the moment's.

    Raises
    ------
    ExportError
        If not even the window of ``step`` fits.

    Examples
    --------
    >>> page = to_html(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]), title="Two stamps")
    >>> page[:15], "<h1>Two stamps</h1>" in page, len(page) < LARGEST
    ('<!doctype html>', True, True)
    """
    case, view = seen(case, view)
    total = len(picked_trace(case, view))
    moment = Moment.of(moment, at if step is None else {**at, "step": step})
    moment = replace(moment, step=min(max(moment.step, 0), total))
    shell = _shell(case, title or f"How {case.line().removeprefix('nn.')} is computed")
    bare = len(shell.encode()) - len("{windows}") + 2000  # what the page says of its windows
    # In base64 four bytes stand for three.
    windows = kept(case, view, moment.step, total, (largest - bare) * 3 / 4)
    page = _filled(shell, windows, Opening.at(moment, key="page"), total)
    if len(page.encode()) > largest:
        raise ExportError(
            f"One window of this trace makes a page of {len(page):,} bytes; {largest:,} are "
            "allowed. Show fewer channels."
        )
    return page


def seen(shown: Case | Trace, view: View | None = None) -> tuple[Case, View]:
    """Return a case and how it is looked at; a trace is looked at as it walks."""
    if isinstance(shown, Trace):
        return shown.case, view or View.of(shown)
    return shown, view or View()


def notebook(shown: Case | Trace, view: View | None = None, moment: Moment | None = None) -> str:
    """Return a case or a trace as a notebook shows it: the page in a frame, about 2 MB.

    Nearly all of that is plotly.js; of a long trace the first and last windows are in it.
    """
    case, view = seen(shown, view)
    shell = len(_shell(case, "").encode())
    page = to_html(case, view, title=case.line(), largest=shell + NOTEBOOK, moment=moment)
    # The sandbox separates the two: no script of the page reaches the notebook.
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="{escape(case.line())}" '
        'style="width: 100%; height: 860px; border: 0"></iframe>'
    )


# -- the page -------------------------------------------------------------------------------------


def _shell(case: Case, title: str) -> str:
    """Return the page without its windows."""
    style = (FOLDER / "player.css").read_text() + _STYLE
    return _PAGE.format(
        policy=_POLICY,
        title=_text(title),
        style=style.replace("</", "<\\/"),
        modules=_json({"imports": _modules()}),
        line=_text(case.line()),
        counts=_text(words.counts(case)),
        first=_bare(_FIRST_MODULE),
        note="{note}",
        windows="{windows}",
        contents="{contents}",
    )


def _filled(shell: str, windows: Sequence[Window], opening: Opening, total: int) -> str:
    first = max(opening.step - 1, 0)
    windows = [
        replace(window, message=opened(window.message, opening)) if window.holds(first) else window
        for window in windows
    ]
    parts = {
        "note": _note(windows, total),
        "windows": "\n".join(
            f'<script type="text/plain" id="window-{at}">{_text_of(window.packed)}</script>'
            for at, window in enumerate(windows)
        ),
        "contents": _json(
            {
                "first": first,
                "windows": [{"start": window.start, "stop": window.stop} for window in windows],
            }
        ),
    }
    # One pass: what is filled in is not searched for further places to fill.
    return re.sub(r"\{(note|windows|contents)\}", lambda place: parts[place[1]], shell)


def _text(text: str) -> str:
    """Return text as HTML shows it, with its braces escaped too: they are not places to fill."""
    return escape(text).replace("{", "&#123;")


def _json(value: object) -> str:
    """Return JSON in which an HTML parser finds no end of the script."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _note(windows: Sequence[Window], total: int) -> str:
    """Say which MACs the page holds, if not all."""
    spans: list[list[int]] = []
    for window in windows:
        if spans and spans[-1][1] == window.start:
            spans[-1][1] = window.stop
        else:
            spans.append([window.start, window.stop])
    if not spans or (len(spans) == 1 and spans[0] == [0, total]):
        return ""
    held = " and ".join(f"{start + 1:,} to {stop:,}" for start, stop in spans)
    return (
        f'<p id="limit">This file holds MACs {held} of {total:,}, and steps over the others. '
        "The app shows all of them.</p>\n"
    )


# -- what is in it --------------------------------------------------------------------------------


def _text_of(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


def _bare(name: str) -> str:
    """Return the name by which the page's modules import each other."""
    return f"convt-trace/{name}"


def _modules() -> dict[str, str]:
    """Return the player's modules by name, each as an address that holds the whole of it.

    A module in an address of its own has no folder, so ``"./layout.js"`` becomes a name that the
    page's import map knows.
    """
    modules = {}
    for name, source in sources(_FIRST_MODULE).items():
        source = IMPORT.sub(lambda found: f'{found[1]}"{_bare(found[2])}"', source)
        modules[_bare(name)] = f"data:text/javascript;base64,{_text_of(source.encode())}"
    return modules

"""A case as one HTML file that plays it: no server, no network, from a USB stick or in a notebook.

The page holds the player's own files, and the windows of the trace as the app would send them.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from convt_trace.answers import transposed as words
from convt_trace.engine.case import Case
from convt_trace.engine.trace import Trace
from convt_trace.engine.view import Moment, View, picked_trace
from convt_trace.player.linked import with_views
from convt_trace.player.scene import Opening, build, opened, read_message
from convt_trace.views import VIEWS

#: Bytes of a page, and of the windows in one that a notebook stores.
LARGEST = 6_000_000
NOTEBOOK = 400_000

_PLAYER = Path(__file__).parent
_FIRST_MODULE = "standalone.js"
_IMPORT = re.compile(r'(\bfrom\s+|\bimport\s+)"\./([\w-]+\.js)"')

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


@dataclass(frozen=True)
class _Window:
    """A window of the trace, MACs ``start:stop``, as it stands in the page."""

    start: int
    stop: int
    message: bytes
    text: str


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
    case, view = _seen(case, view)
    total = len(picked_trace(case, view))
    moment = Moment.of(moment, at if step is None else {**at, "step": step})
    moment = replace(moment, step=min(max(moment.step, 0), total))
    shell = _shell(case, title or f"How {case.line().removeprefix('nn.')} is computed")
    bare = len(shell.encode()) - len("{windows}") + 2000  # what the page says of its windows
    windows = _windows(case, view, moment.step, total, largest - bare)
    page = _filled(shell, windows, Opening.at(moment, key="page"), total)
    if len(page.encode()) > largest:
        raise ExportError(
            f"One window of this trace makes a page of {len(page):,} bytes; {largest:,} are "
            "allowed. Show fewer channels."
        )
    return page


def _seen(shown: Case | Trace, view: View | None = None) -> tuple[Case, View]:
    if isinstance(shown, Trace):
        return shown.case, view or View.of(shown)
    return shown, view or View()


def notebook(shown: Case | Trace) -> str:
    """Return a case or a trace as a notebook shows it: the page in a frame, about 2 MB.

    Nearly all of that is plotly.js; of a long trace the first and last windows are in it.
    """
    case, view = _seen(shown)
    shell = len(_shell(case, "").encode())
    page = to_html(case, view, title=case.line(), largest=shell + NOTEBOOK)
    # The sandbox separates the two: no script of the page reaches the notebook.
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="{escape(case.line())}" '
        'style="width: 100%; height: 860px; border: 0"></iframe>'
    )


# -- the page -------------------------------------------------------------------------------------


def _shell(case: Case, title: str) -> str:
    """Return the page without its windows."""
    style = (_PLAYER / "player.css").read_text() + _STYLE
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


def _filled(shell: str, windows: Sequence[_Window], opening: Opening, total: int) -> str:
    first = max(opening.step - 1, 0)
    windows = [
        replace(window, text=_packed(opened(window.message, opening)))
        if window.start <= first < max(window.stop, 1)
        else window
        for window in windows
    ]
    parts = {
        "note": _note(windows, total),
        "windows": "\n".join(
            f'<script type="text/plain" id="window-{at}">{window.text}</script>'
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


def _note(windows: Sequence[_Window], total: int) -> str:
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


def _windows(case: Case, view: View, step: int, total: int, room: int) -> list[_Window]:
    """Return the windows that fit: those of the step, the beginning and the end, then in order."""
    held: dict[int, _Window] = {}

    def add(window: _Window) -> bool:
        nonlocal room
        if window.start in held:
            return True
        room -= len(window.text) + 100  # its element, and its place in the contents
        if room < 0 and held:
            return False
        held[window.start] = window
        return True

    for number in (max(step - 1, 0), 0, max(total - 1, 0)):
        if not add(_window(case, view, number)):
            return _in_order(held)
    for window in _walk(case, view, total):
        if not add(window):
            break
    for window in list(held.values()):  # the step's first
        with_all = _with_views(case, view, window)
        room -= len(with_all.text) - len(window.text)
        if room < 0:
            break
        held[window.start] = with_all
    return _in_order(held)


def _with_views(case: Case, view: View, window: _Window) -> _Window:
    """Return a window with every linked view of its MACs."""
    message = with_views(window.message, case, view, list(VIEWS))
    return replace(window, message=message, text=_packed(message))


def _in_order(held: dict[int, _Window]) -> list[_Window]:
    return [held[start] for start in sorted(held)]


def _walk(case: Case, view: View, total: int) -> Iterator[_Window]:
    at = 0
    while at < total:
        window = _window(case, view, at)
        yield window
        at = window.stop


def _window(case: Case, view: View, number: int) -> _Window:
    # Not `scene`: its cache is for the app's visitors, and a long export would empty it.
    message = build(case, view, number)
    bounds = read_message(message)[0]["window"]
    return _Window(bounds["start"], bounds["stop"], message, _packed(message))


def _packed(data: bytes) -> str:
    # Without a time stamp the same page has the same bytes.
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _bare(name: str) -> str:
    """Return the name by which the page's modules import each other."""
    return f"convt-trace/{name}"


def _modules() -> dict[str, str]:
    """Return the player's modules by name, each as an address that holds the whole of it.

    A module in an address of its own has no folder, so ``"./layout.js"`` becomes a name that the
    page's import map knows.
    """
    modules: dict[str, str] = {}
    wanted = [_FIRST_MODULE]
    while wanted:
        name = wanted.pop()
        if _bare(name) in modules:
            continue
        source = (_PLAYER / name).read_text()
        wanted += [found[2] for found in _IMPORT.finditer(source)]
        source = _IMPORT.sub(lambda found: f'{found[1]}"{_bare(found[2])}"', source)
        data = base64.b64encode(source.encode()).decode()
        modules[_bare(name)] = f"data:text/javascript;base64,{data}"
    return modules

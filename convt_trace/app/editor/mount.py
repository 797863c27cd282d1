"""Puts the editor on a Streamlit page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st

from convt_trace.app import server

_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let module;
export default function (component) {
  module ??= import(at(%(script)s));
  module.then((editor) => editor.mount(component, { style: at(%(style)s) }));
}
"""


_editor = st.components.v2.component(
    "convt_trace_editor",
    js=_LOADER
    % {
        "script": json.dumps(server.url(f"{server.EDITOR}/editor.js")),
        "style": json.dumps(server.url(f"{server.EDITOR}/editor.css")),
    },
)


@dataclass(frozen=True)
class Mark:
    """A line to be marked.

    Attributes
    ----------
    line : int
        Counted from 1.
    kind : str
        "error" or "call".
    """

    line: int
    kind: str


@dataclass(frozen=True)
class Load:
    """A text for the editor; one whose id it has seen is not loaded again.

    Attributes
    ----------
    id, text : str
    """

    id: str
    text: str


def editor(
    source: str | None,
    run: Callable[[str], None],
    *,
    load: Load | None,
    first: str,
    marks: Sequence[Mark] = (),
    limit: int,
    key: str = "editor",
) -> None:
    """Show the editor.

    What is typed stays in the browser. It is sent to the server to be explained, and at the start of
    a session, when the browser has a text that was explained before.

    Parameters
    ----------
    source : str or None
        The text that the page is about, None when there is none yet.
    run : callable
        Called with the text to explain.
    load : Load or None
        The text that was loaded last.
    first : str
        The text for a browser that remembers none.
    marks : sequence of Mark
        Lines of ``source``; a change of the text removes them.
    limit : int
        The largest number of characters.
    """

    def asked() -> None:
        value = st.session_state[key].get("run")
        text = value.get("text") if isinstance(value, dict) else None
        if isinstance(text, str):
            run(text)

    _editor(
        key=key,
        data={
            "source": source,
            "load": load and asdict(load),
            "first": first,
            "marks": [asdict(mark) for mark in marks],
            "limit": limit,
        },
        on_run_change=asked,
    )

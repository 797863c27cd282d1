"""Puts the editor, and the button that copies, on a Streamlit page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from convt_trace.app import server

_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let module;
export default function (component) {
  module ??= import(at(%(editor)s));
  module.then((editor) => editor.%(mount)s(component, { style: at(%(style)s) }));
}
"""


def _component(name: str, mount: str) -> Any:
    paths = {name: json.dumps(server.url(f"{server.EDITOR}/editor.{end}")) for name, end in _FILES}
    return st.components.v2.component(name, js=_LOADER % {**paths, "mount": mount})


_FILES = (("editor", "js"), ("style", "css"))
_editor = _component("convt_trace_editor", "mountEditor")
_copy = _component("convt_trace_copy", "mountCopy")


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


def copy_button(label: str, text: str, *, key: str) -> None:
    """Show a button that copies a text; the server is not asked."""
    _copy(key=key, width="content", data={"label": label, "text": text})

"""A button that copies a text in the browser, without a trip to the server."""

from __future__ import annotations

import json

import streamlit as st

from convt_trace.app import server

_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let module;
export default function (component) {
  module ??= import(at(%(script)s));
  module.then((button) => button.mount(component, { style: at(%(style)s) }));
}
"""

_copy = st.components.v2.component(
    "convt_trace_copy",
    # A dialog moves the focus itself, and finds nothing in a tree apart.
    isolate_styles=False,
    js=_LOADER
    % {
        "script": json.dumps(server.url(f"{server.COPY_BUTTON}/copy_button.js")),
        "style": json.dumps(server.url(f"{server.COPY_BUTTON}/copy_button.css")),
    },
)


def copy_button(label: str, text: str, *, key: str) -> None:
    """Show a button that copies a text."""
    _copy(key=key, width="content", data={"label": label, "text": text})

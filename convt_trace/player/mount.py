"""Mounts the player on a Streamlit page: the one module of the package that Streamlit draws with."""

from __future__ import annotations

import json

import streamlit as st

from convt_trace import server
from convt_trace.case import Case
from convt_trace.player.scene import View, scene

# The player's files are served once and kept by the browser (`convt_trace.server`); what travels
# with every rerun is this loader and the scene.
_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let player;
export default function (component) {
  player ??= import(at(%(player)s));
  const mounted = player.then((module) =>
    module.mount(component, { plotly: at(%(plotly)s), style: at(%(style)s) })
  );
  return () => mounted.then((leave) => leave());
}
"""

_component = st.components.v2.component(
    "convt_trace_player",
    isolate_styles=False,  # plotly.js writes its own style sheet into the document's head
    js=_LOADER
    % {
        "player": json.dumps(server.url(f"{server.PLAYER}/player.js")),
        "plotly": json.dumps(server.url(server.PLOTLY_URL)),
        "style": json.dumps(server.url(f"{server.PLAYER}/player.css")),
    },
)


def player(case: Case, view: View, *, key: str = "player") -> None:
    """Show a case in the player, at the window that the player last asked for.

    Parameters
    ----------
    case : Case
    view : View
        Order, batch item and channels to look at.
    key : str
        The same key keeps the same player, with its step, from run to run.
    """
    wanted = f"{key}_window"

    def remember() -> None:
        asked = st.session_state[key].get("window")
        st.session_state[wanted] = int(asked) if isinstance(asked, (int, float)) else 0

    number = st.session_state.get(wanted, 0)
    _component(key=key, data=scene(case, view, number), on_window_change=remember)

"""Mounts the player on a Streamlit page: the one module of the package that Streamlit draws with."""

from __future__ import annotations

import plotly
import streamlit as st

from convt_trace.case import Case
from convt_trace.player.scene import View, scene

# The player's files are served once and kept by the browser (`convt_trace.server`); what travels
# with every rerun is this loader and the scene.
_LOADER = """
let player;
export default function (component) {
  const base = new URL(%(base)r, location.origin);
  player ??= import(new URL("player/player.js", base));
  let leave = () => {};
  player.then((module) => {
    leave = module.mount(component, {
      plotly: new URL("vendor/plotly.min.js?v=%(plotly)s", base).href,
      style: new URL("player/player.css", base).href,
    });
  });
  return () => leave();
}
"""


def _base() -> str:
    path = st.get_option("server.baseUrlPath").strip("/")
    return f"/{path}/" if path else "/"


_component = st.components.v2.component(
    "convt_trace_player", js=_LOADER % {"base": _base(), "plotly": plotly.__version__}
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
    _component(
        key=key, data=scene(case, view, number), isolate_styles=False, on_window_change=remember
    )

"""Mounts the player on a Streamlit page: the one module of the package that Streamlit draws with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from convt_trace import server
from convt_trace.case import Case
from convt_trace.layer import Ints
from convt_trace.player.scene import View, scene

# The player's files are served once and kept by the browser (`convt_trace.server`); what travels
# with every rerun is this loader and the scene.
_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let player;
export default function (component) {
  player ??= import(at(%(player)s));
  const mounted = player.then((module) =>
    module.mount(component, { plotly: at(%(plotly)s), style: at(%(style)s), cells: %(cells)s })
  );
  return () => mounted.then((leave) => leave());
}
"""


def _component(name: str, cells: bool) -> Any:
    return st.components.v2.component(
        name,
        isolate_styles=False,  # plotly.js writes its own style sheet into the document's head
        js=_LOADER
        % {
            "player": json.dumps(server.url(f"{server.PLAYER}/player.js")),
            "plotly": json.dumps(server.url(server.PLOTLY_URL)),
            "style": json.dumps(server.url(f"{server.PLAYER}/player.css")),
            "cells": json.dumps(cells),
        },
    )


_player = _component("convt_trace_player", cells=False)
#: Its clicks make a rerun, so it is for pages that say more about a cell.
_asking_player = _component("convt_trace_asking_player", cells=True)


def player(
    case: Case, view: View, *, key: str = "player", asked: Callable[[Ints], None] | None = None
) -> None:
    """Show a case in the player, at the window that the player last asked for.

    Parameters
    ----------
    case : Case
    view : View
        Order, batch item and channels to look at.
    key : str
        The same key keeps the same player, with its step, from run to run.
    asked : callable, optional
        Called with an output cell, as (n, c, *position), when somebody clicks on it.
    """
    wanted = f"{key}_window"

    def remember() -> None:
        number = st.session_state[key].get("window")
        st.session_state[wanted] = int(number) if isinstance(number, (int, float)) else 0

    data = scene(case, view, st.session_state.get(wanted, 0))
    if asked is None:
        _player(key=key, data=data, on_window_change=remember)
        return

    def tell() -> None:
        cell = tuple(map(int, re.findall(r"-?\d+", str(st.session_state[key].get("cell")))))
        if len(cell) == case.dims + 2:
            asked(cell)

    _asking_player(key=key, data=data, on_window_change=remember, on_cell_change=tell)

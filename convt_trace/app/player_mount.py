"""Mounts the player on a Streamlit page: the one module of the package that Streamlit draws with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import streamlit as st

from convt_trace.app import server
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.view import View
from convt_trace.player.scene import Opening, opened, scene

# The player's files are served once and kept by the browser (`convt_trace.app.server`); what travels
# with every rerun is this loader and the scene.
_LOADER = """
const at = (path) => new URL(path, location.origin).href;
let player;
export default function (component) {
  player ??= import(at(%(player)s));
  const mounted = player.then((module) =>
    module.mount(component, { style: at(%(style)s), cells: %(cells)s })
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
            "style": json.dumps(server.url(f"{server.PLAYER}/player.css")),
            "cells": json.dumps(cells),
        },
    )


_player = _component("convt_trace_player", cells=False)
#: Its clicks make a rerun, so it is for pages that say more about a cell.
_asking_player = _component("convt_trace_asking_player", cells=True)


class Shared(NamedTuple):
    """What a player shows at the moment: told when somebody presses Share, never while stepping.

    Attributes
    ----------
    step : int
    unit : str
    cell : str
        The selected cell as links name it, such as "output:0,3,0"; empty for none.
    hide : int or None
        The step from which on the output is hidden.
    """

    step: int
    unit: str
    cell: str
    hide: int | None


def player(
    case: Case,
    view: View,
    opening: Opening | None = None,
    *,
    key: str = "player",
    hidden: Callable[[int | None], None] | None = None,
    asked: Callable[[Ints], None] | None = None,
) -> Shared | None:
    """Show a case in the player, at the window that the player last asked for.

    Parameters
    ----------
    case : Case
    view : View
        Order, batch item and channels to look at.
    opening : Opening, optional
        Where the player opens; with another key it opens anew.
    key : str
        The same key keeps the same player, with its step, from run to run.
    hidden : callable, optional
        Called when somebody hides the output from a step on, or with None, shows it.
    asked : callable, optional
        Called with an output cell, as (n, c, *position), when somebody clicks on it.

    Returns
    -------
    Shared or None
        What is on screen, in the run that a press on Share made.
    """
    opening = opening or Opening()
    wanted, opened_as = f"{key}_window", f"{key}_opened"
    if st.session_state.get(opened_as) != opening.key:
        st.session_state[opened_as] = opening.key
        st.session_state[wanted] = max(opening.step - 1, 0)

    # The session holds these functions, and what they name: a number, rather than the case.
    places = case.dims + 2

    def remember() -> None:
        st.session_state[wanted] = _whole(st.session_state[key].get("window")) or 0

    def tell() -> None:
        said = st.session_state[key].get("hide")
        if hidden and isinstance(said, dict):
            hidden(_whole(said.get("from")))

    def tell_cell() -> None:
        cell = tuple(map(int, re.findall(r"-?\d+", str(st.session_state[key].get("cell")))))
        if asked and len(cell) == places:
            asked(cell)

    result = (_player if asked is None else _asking_player)(
        key=key,
        data=opened(scene(case, view, st.session_state.get(wanted, 0)), opening),
        on_window_change=remember,
        on_hide_change=tell,
        on_share_change=lambda: None,
        on_cell_change=tell_cell,
    )
    return _shared(result.share)


def _shared(said: Any) -> Shared | None:
    """Return what the browser says; it is a stranger too."""
    if not isinstance(said, dict):
        return None
    return Shared(
        _whole(said.get("step")) or 0,
        str(said.get("unit"))[:20],
        str(said.get("cell") or "")[:100],
        _whole(said.get("hide")),
    )


def _whole(said: Any) -> int | None:
    fine = isinstance(said, (int, float)) and 0 <= said <= 2**53
    return int(said) if fine else None

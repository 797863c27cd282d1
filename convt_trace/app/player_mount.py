"""The player as a component of a Streamlit page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from convt_trace.app import server
from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.layer import Ints
from convt_trace.engine.view import Cell, Moment, View
from convt_trace.player.conv_scene import conv_scene
from convt_trace.player.linked import with_views
from convt_trace.player.scene import Opening, opened, scene

# The browser caches the player's files (`convt_trace.app.server`); every rerun sends this loader and
# the scene alone.
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
#: Its clicks make a rerun; for pages that explain the cell.
_asking_player = _component("convt_trace_asking_player", cells=True)


def player(
    case: Case | Conv,
    view: View,
    opening: Opening | None = None,
    *,
    key: str = "player",
    hidden: Callable[[int | None], None] | None = None,
    asked: Callable[[Ints], None] | None = None,
) -> Moment | None:
    """Show a case in the player, at the window that the player last asked for.

    Parameters
    ----------
    case : Case or Conv
    view : View
        Order, batch item and channels to look at.
    opening : Opening, optional
        Where the player opens; with another key it opens again.
    key : str
        The player of the same key stays, with its step, from run to run.
    hidden : callable, optional
        Called with the step from which on the output is hidden; with None when it is shown.
    asked : callable, optional
        Called with the output cell that is clicked, as (n, c, *position).

    Returns
    -------
    Moment or None
        What is on screen, in the run after Share is pressed; else None.
    """
    opening = opening or Opening()
    wanted, beside, opened_as = f"{key}_window", f"{key}_views", f"{key}_opened"
    if st.session_state.get(opened_as) != opening.key:
        st.session_state[opened_as] = opening.key
        st.session_state[wanted] = max(opening.step - 1, 0)
        st.session_state[beside] = opening.views

    # The session holds these functions, and what they name: a number, rather than the case.
    dims = case.dims

    def remember() -> None:
        st.session_state[wanted] = _whole(st.session_state[key].get("window")) or 0

    def open_views() -> None:
        said = st.session_state[key].get("views")
        if isinstance(said, dict):
            st.session_state[beside] = _names(said.get("open"))
            st.session_state[wanted] = _whole(said.get("mac")) or 0

    def tell() -> None:
        said = st.session_state[key].get("hide")
        if hidden and isinstance(said, dict):
            hidden(_whole(said.get("from")))

    def tell_cell() -> None:
        cell = _output_cell(st.session_state[key].get("cell"), dims)
        if asked and cell:
            asked(cell)

    number = st.session_state.get(wanted, 0)
    if isinstance(case, Conv):
        message = conv_scene(case, view, number)
    else:
        views = st.session_state.get(beside, ())
        message = with_views(scene(case, view, number), case, view, views)
    result = (_player if asked is None else _asking_player)(
        key=key,
        data=opened(message, opening),
        on_window_change=remember,
        on_views_change=open_views,
        on_hide_change=tell,
        on_share_change=lambda: None,
        on_cell_change=tell_cell,
    )
    return _shared(result.share)


def _shared(said: Any) -> Moment | None:
    """Return what the browser says, checked: a browser can send anything."""
    if not isinstance(said, dict):
        return None
    return Moment(
        step=_whole(said.get("step")) or 0,
        unit=str(said.get("unit"))[:20],
        selected=Cell.read(str(said.get("cell"))[:100]),
        hidden=_whole(said.get("hide")),
        views=_names(said.get("views")),
    )


def _names(said: Any) -> tuple[str, ...]:
    """Return names of views; those that there are not are passed over where they are looked up."""
    words = said if isinstance(said, list) else []
    return tuple(word for word in words[:16] if re.fullmatch("[a-z]{1,16}", str(word)))


def _output_cell(said: Any, dims: int) -> Ints | None:
    """Return the output cell that was clicked, as (n, c, *position); a cropped one lies outside."""
    place = said.get("place") if isinstance(said, dict) and said.get("tensor") == "output" else None
    if not isinstance(place, list) or len(place) != dims + 2:
        return None
    fine = all(isinstance(at, (int, float)) and abs(at) <= 2**53 for at in place)
    return tuple(map(int, place)) if fine else None


def _whole(said: Any) -> int | None:
    fine = isinstance(said, (int, float)) and 0 <= said <= 2**53
    return int(said) if fine else None

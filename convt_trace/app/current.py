"""What the pages beside the playground are about: the case of their link, or the one that is open."""

from __future__ import annotations

import streamlit as st

from convt_trace.app import address
from convt_trace.app.opened import link_of
from convt_trace.engine.case import Case
from convt_trace.links.link import NAMES, LinkError, from_link
from convt_trace.links.settings import QUESTION, Settings


def current(query: dict[str, str]) -> tuple[Case | Settings, str]:
    """Return the case that an address names, else what the playground has open, else the question.

    The second value is a sentence on what could not be read; empty where all could.
    """
    state = st.session_state
    named = {name: query[name] for name in NAMES if name in query}
    if not named:
        return state.get("own") or state.get("settings") or QUESTION, ""
    try:
        linked = from_link(named)
    except LinkError as error:
        return QUESTION, str(error)
    return linked.settings or linked.case, linked.sentence


def keep_in_address(what: Case | Settings, **more: str) -> None:
    """Write the case's link into the address, with what a page has besides; nothing of too large a case."""
    try:
        query = address.parameters(link_of(what))
    except LinkError:
        query = {}
    wanted = {**query, **{name: value for name, value in more.items() if value}}
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)


def to_playground(what: Case | Settings) -> None:
    """Draw the way to the playground, for another layer; too large a case has no link."""
    try:
        query = address.parameters(link_of(what))
    except LinkError:
        return
    st.page_link(
        "app.py",
        label="Change the layer in the playground",
        icon=":material/tune:",
        query_params=query,
    )

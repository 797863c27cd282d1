"""What the pages beside the playground are about: the case of their link, or the one that is open."""

from __future__ import annotations

import streamlit as st

from convt_trace.app import address, shell
from convt_trace.app.opened import case_of, link_of
from convt_trace.engine.case import Case
from convt_trace.engine.text import by
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


def open_page(title: str, heading: str) -> Case:
    """Set up a page about the current case: its heading, the layer, the way to change it, its link."""
    shell.page(title)
    what, problem = current(st.query_params.to_dict())
    st.markdown(f"#### {heading}")
    with shell.apart():
        if problem:
            st.warning(problem, icon=":material/link_off:")
    case = case_of(what)
    st.markdown(f"`{case.line()}` on {by(case.geometry.input_size)}")
    with shell.apart():
        _link(what)
    return case


def _link(what: Case | Settings) -> None:
    """Write the case's link into the address, and draw the way to change it; too large a case has none."""
    try:
        wanted = address.parameters(link_of(what))
    except LinkError:
        return
    now = st.query_params.to_dict()
    for name in NAMES:
        if name in now and name not in wanted:
            del st.query_params[name]
    if {name: now.get(name) for name in wanted} != wanted:
        st.query_params.update(wanted)
    st.page_link(
        "app.py",
        label="Change the layer in the playground",
        icon=":material/tune:",
        query_params=wanted,
    )

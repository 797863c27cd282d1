"""What the pages beside the playground are about: the case of their link, or the one that is open."""

from __future__ import annotations

import streamlit as st

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

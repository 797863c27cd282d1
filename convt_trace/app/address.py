"""The page's address: a link to what is on screen.

The address follows the controls. The controls follow the address when something else changed it: a
link, a reload, the browser's Back button. What its parameters mean is in `convt_trace.links.link`.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import streamlit as st

_WRITTEN = "address_written"
_CONTROLS = "address_controls"
_OF_PAGES = "addresses"


def changed() -> dict[str, str] | None:
    """Return the address's parameters if this page did not write them; None if it did.

    Call it first in a run, before any widget is made. When controls move quickly, a run may begin
    before the browser has the page's newest address, and bring an older one. Such a run comes with
    a moved control; a link and the Back button move none.
    """
    state = st.session_state
    now = st.query_params.to_dict()
    if now == state.get(_WRITTEN) or (_WRITTEN in state and _moved()):
        return None
    return now


def write(query: str) -> None:
    """Write a query string into the address; the browser can go back to the one before."""
    wanted = parameters(query)
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted
    st.session_state[_CONTROLS] = _controls()


def _moved() -> bool:
    """Tell whether a control has another value than when the address was written."""
    before = st.session_state.get(_CONTROLS, {})
    return any(name in before and before[name] != value for name, value in _controls().items())


def _controls() -> dict[str, object]:
    """Return what the controls hold, by their keys (`controls.key`)."""
    held = st.session_state.to_dict()
    ours = ("generation", "preset")
    return {str(k): v for k, v in held.items() if str(k).startswith("control:") or k in ours}


def remember(page: str) -> None:
    """Remember the address, for a later visit to the page."""
    st.session_state.setdefault(_OF_PAGES, {})[page] = st.query_params.to_dict()


def of(page: str) -> dict[str, str]:
    """Return the parameters that a page was left with."""
    found: dict[str, str] = st.session_state.get(_OF_PAGES, {}).get(page, {})
    return found


def parameters(query: str) -> dict[str, str]:
    """Return a query string's parameters by name."""
    return dict(parse_qsl(query))


def url(query: str, page: str = "") -> str:
    """Return the whole address of a query on this server, as the reader's browser names it."""
    here = (st.context.url or "").partition("?")[0].rstrip("/")
    return f"{here}/{page}?{query}" if query else f"{here}/{page}"

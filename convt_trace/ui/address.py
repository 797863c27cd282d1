"""The page's address: what the controls are set to, as URL parameters.

The address follows the controls, and the controls follow the address when somebody else changed
it: a link, a reload, the browser's way back.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

_WRITTEN = "address_written"


def changed() -> dict[str, str] | None:
    """Return the address' parameters where they are not those that the page wrote last.

    To be asked first in a run, before any widget is made.
    """
    now = st.query_params.to_dict()
    return now if now != st.session_state.get(_WRITTEN) else None


def write(parameters: Mapping[str, str]) -> None:
    """Write the parameters into the address; the browser can go back to the one before."""
    wanted = dict(parameters)
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted

"""A chain read off a pasted model: the text runs in the locked box, and its layers become lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import streamlit as st

from convt_trace.app import uncalled
from convt_trace.app.markdown import plain
from convt_trace.app.readings import Asked, Result, readings
from convt_trace.engine.text import shortest
from convt_trace.planning.recorded import Recorded
from convt_trace.snippet import Run


@dataclass
class State:
    """What this session's chain was read off.

    Attributes
    ----------
    source : str
        The program.
    run : Run or None
        Which of the layers that it never calls to run, and on what.
    is_new : bool
        Whether its lines have yet to be put into the chain.
    visitor : str
        Who asks: visitors take turns.
    """

    source: str = ""
    run: Run | None = None
    is_new: bool = False
    visitor: str = field(default_factory=lambda: uuid4().hex)


def read_off_a_model() -> None:
    """Draw the field for a model; put the lines of the one that was asked for into the chain."""
    state: State = st.session_state.setdefault("read_off", State())
    with st.expander("Read it off a model", icon=":material/content_paste_go:"):
        with st.form("read_off_form", border=False, enter_to_submit=False):
            source = st.text_area(
                "A program that makes a model and calls it", key="read_off_source", height=220,
                placeholder="class UNet(nn.Module): ...\n\nUNet()(torch.zeros(1, 3, 256, 256))",
                help="It runs in the locked box that Explain uses, once, on the input it gives.",
            )  # fmt: skip
            pressed = st.form_submit_button("Read its layers", type="primary")
        if pressed and source.strip():
            state.source, state.run, state.is_new = source, None, True
        if state.source:
            with st.spinner("Running the model …"):
                result = readings.read(Asked(state.source, state.run), state.visitor)
            _tell(state, result)


def _tell(state: State, result: Result) -> None:
    """Say what came of the program, and put its lines into the chain once."""
    found = result.along
    if result.error is not None:
        line = f"**Line {result.error.lineno}.** " if result.error.lineno else ""
        st.warning(f"{line}{plain(result.error.message)}", icon=":material/error:")
    if found is None:
        if result.reading.definitions:
            uncalled.show(result.reading.definitions, state.run, lambda run: _run(state, run))
        elif result.error is None:
            st.info("It ran, and no layer in it changes a size.")
        return
    if state.is_new:
        _put(found)
        state.is_new = False
    for note in found.notes:
        st.caption(f"- {plain(note)}")


def chain_query(found: Recorded) -> dict[str, str]:
    """Return the parameters of the page's address that open a chain."""
    return {"chain": found.text, "of": str(shortest(found.size)).strip("()")}


def _run(state: State, run: Run) -> None:
    state.run, state.is_new = run, True


def _put(found: Recorded) -> None:
    """Fill the fields of the chain, which are drawn below."""
    st.session_state.update(chain_query(found))

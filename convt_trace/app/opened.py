"""What the playground has open: a case, and where its picture opens.

It comes from the address, a file or the controls, and is kept for the session. A case that the
controls cannot hold is shown all the same; they are put away for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import streamlit as st

from convt_trace.app import address, controls
from convt_trace.app.player_mount import Shared
from convt_trace.engine.case import Case
from convt_trace.engine.view import View, chosen
from convt_trace.links.link import NAMES, Cell, Linked, LinkError, from_link, to_link
from convt_trace.links.packed import Unreadable
from convt_trace.links.settings import QUESTION, Settings, written
from convt_trace.player.scene import Opening

#: The pages of links that the playground's own page draws.
PRESENTER = "presenter"


def load() -> None:
    """Open what the address says, where it is not what the page wrote there."""
    state = st.session_state
    query = address.changed()
    # Said once: what a file or a link had wrong is over with the next thing that somebody does.
    state.problem = state.pop("complaint", "")
    if query is None and "linked" in state:
        return
    try:
        ours = any(name in NAMES for name in query or {})
        linked = from_link(query or {}) if ours else Linked(QUESTION.case(), QUESTION)
        state.problem = linked.sentence
    except LinkError as error:
        state.problem = str(error)
        linked = Linked(QUESTION.case(), QUESTION)
    show(linked)


def show(linked: Linked) -> None:
    """Open a picture; to be called from a callback, or before the controls are drawn."""
    state = st.session_state
    state.linked = linked
    state.own = linked.case if linked.settings is None else None
    controls.load(linked.settings or state.get("settings", QUESTION))
    state.order = linked.view.order
    state.opening = Opening(
        linked.step,
        linked.unit,
        cell_text(linked.selected),
        linked.hidden,
        "presenter" if linked.page == PRESENTER else "full",
        key=str(state.generation),
    )
    state.opened_on = None


def show_file(data: bytes) -> None:
    """Open a case file; one that cannot be read leaves everything as it is."""
    try:
        case = Case.from_json(data)
    except (Unreadable, ValueError) as error:
        st.session_state.complaint = f"This file cannot be opened: {error}"
        return
    show(replace(_settled(case), page="playground"))


def _settled(case: Case) -> Linked:
    """Return a case as the controls hold it, where they can: what a link of it opens as."""
    try:
        return from_link(to_link(case))
    except LinkError:
        return Linked(case, None)


def to_controls() -> None:
    """Leave a case that the controls cannot hold, for the settings that they have."""
    settings = controls.drawn()
    show(Linked(settings.case(), settings))


def hide(step: int | None) -> None:
    """Remember from which step on the player hides the output."""
    st.session_state.opening = replace(st.session_state.opening, hide=step)
    st.session_state.hide_changed = True


def opening(case: Case, view: View, share: bool) -> Opening:
    """Return how the player opens on this case; another case starts at its beginning."""
    state = st.session_state
    now = (case.digest, view.order)
    if state.opened_on not in (None, now):
        kept = 0 if state.opening.hide == 0 else None
        state.opening = Opening(hide=kept, look=state.opening.look, key=state.opening.key)
    state.opened_on = now
    return replace(state.opening, share=share)


def is_presented() -> bool:
    """Tell whether the presenter view is open."""
    return bool(st.session_state.opening.look == "presenter")


def query(what: Case | Settings, view: View) -> str:
    """Return the address of what is open; the bare one for the question, or for too large a case."""
    now: Opening = st.session_state.opening
    at_start = (now.step, now.cell, now.hide, now.look) == (0, "", None, "full")
    question = isinstance(what, Settings) and written(what) == written(QUESTION)
    if question and at_start and view == View():
        return ""
    if not _fits(what):
        return ""
    try:
        return link(what, view, Shared(now.step, now.unit, now.cell, now.hide))
    except LinkError:
        return ""


@lru_cache(maxsize=64)
def _fits(what: Case | Settings) -> bool:
    """Tell whether a link takes a case: packing a large one in every run would be felt."""
    try:
        to_link(what)
    except LinkError:
        return False
    return True


def link(what: Case | Settings, view: View, shared: Shared, page: str | None = None) -> str:
    """Return the link of a picture.

    Raises
    ------
    LinkError
        When the case is too large for one.
    """
    return to_link(
        what,
        view=view,
        step=shared.step,
        unit=shared.unit,
        selected=cell(shared.cell),
        hidden=shared.hide,
        page=page or (PRESENTER if is_presented() else "playground"),
    )


def short(case: Case, view: View) -> View:
    """Return a view without the choices that the scene makes by itself."""
    plain = View(view.order, view.n)
    return plain if chosen(case, plain) == chosen(case, view) else view


def cell(text: str) -> Cell | None:
    """Return the cell that a player names, None where it is none."""
    tensor, _, index = text.partition(":")
    try:
        place = tuple(map(int, index.split(",")))
    except ValueError:
        return None
    return Cell(tensor, place)


def cell_text(selected: Cell | None) -> str:
    """Return a cell as players and links name it, empty for none."""
    return f"{selected.tensor}:{','.join(map(str, selected.place))}" if selected else ""

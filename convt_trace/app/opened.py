"""What the playground has open: a case, and where its picture opens.

It comes from the address, a file or the controls, and is remembered for the session. A case that the
controls cannot show has the page without them.
"""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from convt_trace.app import address, controls
from convt_trace.engine.case import Case
from convt_trace.engine.memory import Cache
from convt_trace.engine.view import Moment, View, chosen
from convt_trace.links.files import from_json
from convt_trace.links.link import NAMES, Linked, LinkError, from_link, to_link
from convt_trace.links.packed import Unreadable
from convt_trace.links.settings import QUESTION, Settings, written
from convt_trace.player.scene import Opening

#: The pages of links that the playground's own page draws.
PRESENTER = "presenter"


def load() -> None:
    """Open what the address says, unless the page itself wrote it."""
    state = st.session_state
    query = address.changed()
    # Said once: the next run no longer shows what was wrong with a file or a link.
    state.problem = state.pop("complaint", "")
    if query is None and "opening" in state:
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
    """Open a picture; call it in a callback, or before the controls are drawn."""
    state = st.session_state
    # A case that settings tell is made where it is shown: a session that held it would hold its
    # tensors for as long as the tab is open.
    state.own = linked.case if linked.settings is None else None
    state.view = linked.view
    state.moment = Moment.at(linked)
    controls.load(linked.settings or state.get("settings", QUESTION))
    state.order = linked.view.order
    look = "presenter" if linked.page == PRESENTER else "full"
    state.opening = Opening.at(linked, look=look, key=str(state.generation))
    state.opened_on = None


def show_file(data: bytes) -> None:
    """Open a case file; one that cannot be read changes nothing."""
    try:
        case = from_json(data)
    except (Unreadable, ValueError) as error:
        st.session_state.complaint = f"This file cannot be opened: {error}"
        return
    show(replace(_settled(case), page="playground"))


def _settled(case: Case) -> Linked:
    """Return what a link of the case would open: with settings, where the controls can show it."""
    try:
        return from_link(to_link(case))
    except LinkError:
        return Linked(case, None)


def to_controls() -> None:
    """Close a case that the controls cannot show, and open their own settings."""
    settings = controls.drawn()
    show(Linked(settings.case(), settings))


def hide(step: int | None) -> None:
    """Remember from which step on the player hides the output."""
    st.session_state.opening = replace(st.session_state.opening, hidden=step)
    st.session_state.hide_changed = True


def opening(case: Case, view: View, share: bool) -> Opening:
    """Return how the player opens on this case; another case starts at its beginning."""
    state = st.session_state
    now = (case.digest, view.order)
    if state.opened_on not in (None, now):
        hidden = 0 if state.opening.hidden == 0 else None
        state.opening = Opening(
            hidden=hidden,
            views=state.opening.views,
            look=state.opening.look,
            key=state.opening.key,
        )
    state.opened_on = now
    return replace(state.opening, share=share)


def is_presented() -> bool:
    """Tell whether the presenter view is open."""
    return bool(st.session_state.opening.look == "presenter")


def query(what: Case | Settings, view: View) -> str:
    """Return the query of what is open; an empty one for the question, or for too large a case."""
    now: Opening = st.session_state.opening
    at_start = replace(now, key="") == Opening()
    question = isinstance(what, Settings) and written(what) == written(QUESTION)
    if question and at_start and view == View():
        return ""
    try:
        link_of(what)
        return link(what, view, now)
    except LinkError:
        return ""


_cases: Cache[Settings, Case] = Cache(limit=32 * 2**20, size=lambda case: case.nbytes)


def case_of(what: Case | Settings) -> Case:
    """Return the case of some settings, made once."""
    return what if isinstance(what, Case) else _cases.get(what, what.case)


_links: Cache[str | Settings, str | LinkError] = Cache(
    limit=2**20, size=lambda link: len(str(link))
)


def link_of(what: Case | Settings) -> str:
    """Return the link of a case as it opens; packing a large one in every run would be felt.

    Raises
    ------
    LinkError
        When the case is too large for one.
    """

    def work_out() -> str | LinkError:
        try:
            return to_link(what)
        except LinkError as problem:
            return problem

    link = _links.get(what.digest if isinstance(what, Case) else what, work_out)
    if isinstance(link, LinkError):
        raise LinkError(str(link))
    return link


def link(what: Case | Settings, view: View, moment: Moment, page: str | None = None) -> str:
    """Return the query of a picture's link.

    Raises
    ------
    LinkError
        When the case is too large for one.
    """
    return to_link(
        what,
        view=view,
        moment=moment,
        page=page or (PRESENTER if is_presented() else "playground"),
    )


def short(case: Case, view: View) -> View:
    """Return a view without what the scene would choose anyway, which makes a shorter link."""
    plain = View(view.order, view.n)
    return plain if chosen(case, plain) == chosen(case, view) else view

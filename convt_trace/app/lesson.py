"""The lesson page: a picture, two sentences and a question at a time; every step has its link."""

from __future__ import annotations

import streamlit as st

from convt_trace.app import address, lessons, shell
from convt_trace.app.lessons import LESSON
from convt_trace.app.player_mount import player
from convt_trace.engine.view import chosen
from convt_trace.links.link import to_link
from convt_trace.player.scene import Opening


def page() -> None:
    bare = bool(st.context.is_embedded)
    shell.page("Lesson", bare=bare)
    at = lessons.number(st.query_params.get("lesson"))
    _head(at)
    _picture(at)
    _ways(at, bare)


def _head(at: int) -> None:
    step = LESSON[at - 1]
    minutes = sum(step.minutes for step in LESSON[at - 1 :])
    st.progress(at / len(LESSON), f"Step {at} of {len(LESSON)} · about {minutes} minutes left")
    st.markdown(f"#### {at}. {step.title}")
    st.markdown(step.text)
    st.markdown(f"**{step.ask}** Type your answer below; there are hints.")
    st.markdown(f"`{step.settings.case().line()}`")


@st.fragment
def _picture(at: int) -> None:
    linked = LESSON[at - 1].linked()
    player(
        linked.case,
        chosen(linked.case, linked.view),
        Opening.at(linked, key=f"lesson {at}"),
        key="lesson_player",
    )


def _ways(at: int, bare: bool) -> None:
    """Draw the buttons to the steps before and after, and the link into the playground."""
    linked = LESSON[at - 1].linked()
    back, on, out = st.columns(3)
    with back:
        _way("Previous", at - 1, ":material/arrow_back:", disabled=at == 1)
    with on:
        _way("Next", at + 1, ":material/arrow_forward:", disabled=at == len(LESSON))
    if bare:
        return
    with out:
        st.page_link(
            "app.py",
            label="Open in the playground",
            icon=":material/play_circle:",
            query_params=address.parameters(
                to_link(linked.settings or linked.case, view=linked.view, moment=linked)
            ),
            width="stretch",
        )
    with st.expander("The whole lesson"):
        for place, step in enumerate(LESSON, start=1):
            st.button(
                f"{place}. {step.title}",
                key=f"lesson_{place}",
                type="tertiary",
                disabled=place == at,
                on_click=_go,
                args=(place,),
            )


def _way(label: str, to: int, icon: str, disabled: bool) -> None:
    st.button(
        label, icon=icon, disabled=disabled, on_click=_go, args=(to,), width="stretch", key=label
    )


def _go(to: int) -> None:
    """Go to a step. A link to the page itself would not change the address."""
    st.query_params["lesson"] = str(to)

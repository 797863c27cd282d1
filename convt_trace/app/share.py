"""The share dialog: a picture as a link, a QR code, a frame for course pages, and files."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from functools import lru_cache

import segno
import streamlit as st

from convt_trace.app import address, opened, server
from convt_trace.app.copy_button import copy_button
from convt_trace.app.markdown import printed
from convt_trace.engine.case import Case
from convt_trace.engine.view import Moment, View
from convt_trace.links.files import to_json
from convt_trace.links.link import LinkError
from convt_trace.links.settings import Settings
from convt_trace.player.page import ExportError, to_html

_FRAME = (
    '<iframe src="{src}" width="100%" height="900" style="border: 0" loading="lazy" '
    'title="{title}"></iframe>'
)
#: Lines of a text that are seen at once, beside a code that fills the screen.
_LINES = 5
_NOTHING, _ALL = "nothing", "all of it"
_HERE, _START = "this step", "the beginning"


@st.dialog("Share this picture", width="large")
def dialog(what: Case | Settings, case: Case, view: View, moment: Moment) -> None:
    moment = _choices(moment)
    try:
        _links(what, case, view, moment)
    except LinkError as error:
        st.info(str(error), icon=":material/save:")
    _files(case, view, moment)


def _choices(moment: Moment) -> Moment:
    """Let people choose the step and what is hidden."""
    later = f"from step {moment.hidden or max(moment.step, 1):,} on"
    chosen = _ALL if moment.hidden == 0 else later if moment.hidden else _NOTHING
    with st.container(horizontal=True):
        at = st.segmented_control(
            "Opens at",
            [_HERE, _START],
            default=_HERE,
            required=True,
            format_func=lambda at: f"{at} ({moment.step:,})" if at == _HERE else at,
        )
        hides = st.segmented_control(
            "Hides of the output, to be predicted",
            [_NOTHING, _ALL, later],
            default=chosen,
            required=True,
        )
    hidden = {_NOTHING: None, _ALL: 0}.get(hides, moment.hidden or max(moment.step, 1))
    return replace(moment, step=moment.step if at == _HERE else 0, hidden=hidden)


def _links(what: Case | Settings, case: Case, view: View, moment: Moment) -> None:
    link = address.url(opened.link(what, view, moment, "playground"))
    presenter = address.url(opened.link(what, view, moment, opened.PRESENTER))
    code, texts = st.columns([11, 9])
    with code:
        _code(link)
    with texts:
        _text("Link", "Copy link", link, "copy_link")
        frame = _FRAME.format(src=f"{link}&embed=true".replace("&", "&amp;"), title=case.line())
        _text("In a course page", "Copy frame", frame, "copy_frame")
        if not server.embedders():
            st.caption(
                "Another site's page shows it once this server allows that site: "
                "`make app EMBED=https://course.example`."
            )
        st.link_button(
            "Open the presenter view", presenter, icon=":material/co_present:", width="stretch"
        )


def _text(title: str, label: str, text: str, key: str) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(f"**{title}**", width="content")
        copy_button(label, text, key=key)
    st.html(printed(text, title, _LINES))


def _code(link: str) -> None:
    picture = qr(link)
    if not picture:
        st.caption(f"The link has {len(link):,} characters, too many for a QR code.")
        return
    st.html(
        f'<img src="{picture}" alt="QR code of the link" '
        'style="display: block; width: min(100%, 40rem, 100vh - 17rem); margin: 0 auto">'
    )


@lru_cache(maxsize=64)
def qr(text: str) -> str:
    """Return a QR code as a data URL; empty for a text that does not fit into one."""
    try:
        code = segno.make_qr(text, error="l", boost_error=False)
    except segno.DataOverflowError:
        return ""
    svg = io.BytesIO()
    code.save(svg, kind="svg", scale=8, border=4, light="white", xmldecl=False)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"


def _files(case: Case, view: View, moment: Moment) -> None:
    st.markdown("**As a file**")
    with st.container(horizontal=True):
        st.download_button(
            "Case (JSON)",
            lambda: to_json(case),
            file_name="case.json",
            mime="application/json",
            on_click="ignore",
            icon=":material/data_object:",
            help="The layer and its numbers. Open it in the sidebar, or with convt_trace.from_json.",
        )
        st.download_button(
            "Page that plays it (HTML)",
            lambda: _page(case, view, moment),
            file_name="lesson.html",
            mime="text/html",
            on_click="ignore",
            icon=":material/html:",
            help="One file with the player in it. It needs no network and no server.",
        )


def _page(case: Case, view: View, moment: Moment) -> str:
    try:
        return to_html(case, view, moment=moment)
    except ExportError as error:
        return f"<!doctype html><title>convt-trace</title><p>{error}</p>"

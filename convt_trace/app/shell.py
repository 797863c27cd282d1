"""What every page has: its title, its style, and the links to the other pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from convt_trace.app import address

#: File, label, icon: the pages in the order of the sidebar.
PAGES = (
    ("app.py", "Playground", ":material/play_circle:"),
    ("pages/1_Explain.py", "Explain", ":material/contract:"),
    ("pages/2_Lesson.py", "Lesson", ":material/school:"),
    ("pages/3_Sizes.py", "Sizes", ":material/straighten:"),
    ("pages/4_Overlap.py", "Overlap", ":material/grid_on:"),
    ("pages/5_Elsewhere.py", "Elsewhere", ":material/translate:"),
)

ABOUT_THE_CASE = ("pages/3_Sizes.py", "pages/4_Overlap.py", "pages/5_Elsewhere.py")

#: Streamlit's margins are wide; the pictures need the room.
_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 2.5rem clamp(1rem, 3vw, 2.5rem) 4rem; }
@media (max-width: 640px) { [data-testid="stMainBlockContainer"] { padding-top: 4rem; } }
[data-testid="stSidebarContent"] { padding-top: 0; }
[class*="st-key-answer_"] { border-left: 4px solid #7f79ee; padding-left: 1rem; }
[class*="st-key-answer_"] code { font-size: 1rem; }
</style>"""


#: For a projector or a frame in another page: no sidebar, no header.
_BARE = """<style>
[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"],
[data-testid="stToolbar"] { display: none; }
[data-testid="stMainBlockContainer"] { padding: 0.8rem clamp(0.6rem, 2vw, 2rem) 1rem; }
@media (max-width: 640px) { [data-testid="stMainBlockContainer"] { padding-top: 0.8rem; } }
</style>"""


def page(title: str, sidebar: Literal["auto"] | int = "auto", bare: bool = False) -> None:
    """Set a page up; every page calls this first.

    Parameters
    ----------
    title : str
    sidebar : int, optional
        The width of the sidebar in pixels.
    bare : bool
        No sidebar at all.
    """
    st.set_page_config(
        # A file of ours: Streamlit would fetch an icon by name from the internet.
        page_title=f"{title} · convt-trace",
        page_icon=str(Path(__file__).with_name("icon.png")),
        layout="wide",
        initial_sidebar_state="collapsed" if bare else sidebar,
    )
    st.html(_STYLE + (_BARE if bare else ""))
    if bare:
        return
    with st.sidebar:
        for file, label, icon in PAGES:
            if label == title:
                address.remember(file)
            # These pages are about what the playground has open.
            of = "app.py" if file in ABOUT_THE_CASE else file
            st.page_link(file, label=label, icon=icon, query_params=address.of(of))


def is_at_home() -> bool:
    """Whether the visitor sits at the computer that serves the page, with no proxy in between."""
    return st.context.ip_address is None and asked_from_home(st.context.headers)


def asked_from_home(headers: Mapping[str, str]) -> bool:
    """Whether the headers of a visit say that it came from this computer, with no proxy in between.

    A proxy on the same computer would make every visitor look like one at home. It forwards either
    the host's public name or a header that says for whom it asks.

    Examples
    --------
    >>> asked_from_home({"Host": "localhost:8501", "Origin": "http://localhost:8501"})
    True
    >>> asked_from_home({"Host": "localhost:8501", "Origin": "https://school.example"})
    False
    """
    proxied = any(
        headers.get(name) for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")
    )
    names = (urlsplit(f"//{headers.get('Host', '')}"), urlsplit(headers.get("Origin") or ""))
    return not proxied and all(name.hostname in ("localhost", "127.0.0.1", "::1") for name in names)


def apart() -> DeltaGenerator:
    """Return a container for elements that come and go, so that the others stay in their places.

    Streamlit makes an element anew when its place among its neighbours changes: the player would
    lose its step and the editor its caret, and either would be on the page twice for a moment.
    """
    return st.container()

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
/* The note of every preset has the same room, so that nothing below it moves. */
.st-key-note { min-height: 8.5rem; }
/* Streamlit's captions, its labels of what is disabled, and its code are paler than 4.5:1. */
.stMarkdown [data-testid="stCaptionContainer"], [data-testid="stWidgetLabel"][disabled] {
  color: color-mix(in srgb, currentcolor 76%, transparent); opacity: 1;
}
.stCode pre .token.keyword, .stCode pre .token.function, .stCode pre .token.class-name {
  color: light-dark(#0f5cad, #6bb1f5);
}
.stCode pre .token.string, .stCode pre .token.boolean { color: light-dark(#14713a, #5fd38d); }
.stCode pre .token.number { color: light-dark(#0e6f68, #4fd1c5); }
.stCode pre .token.operator, .stCode pre .token.decorator { color: light-dark(#a34700, #f5a662); }
.stCode pre .token.comment, .stCode pre .token.punctuation { color: light-dark(#5c6070, #a6a9b8); }
.stApp [data-testid^="stBaseButton-primary"] { color: light-dark(#ffffff, #15141d); }
/* Nothing of Streamlit's scrolls in itself, out of a keyboard's reach: long lines are broken. */
.stCode pre, .stCode pre code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
@media (max-width: 640px) { .stCode pre code { font-size: 0.75rem; } }
.stMarkdown .katex-display { margin: 0.3rem 0 0.7rem; text-align: left; }
.stMarkdown .katex-display > .katex { white-space: normal; text-align: left; line-height: 1.6; }
.stMarkdown .katex-display > .katex > .katex-html { margin: 0; width: auto; }
/* What scrolls is `markdown.printed`, which takes the focus. */
.printed {
  margin: 0; padding: 0.8rem 1rem; max-height: var(--highest); overflow: auto; color: inherit;
  font-size: 0.875rem; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere;
  background: color-mix(in srgb, currentcolor 5%, transparent); border-radius: 0.5rem;
}
.printed:focus-visible { outline: 3px solid light-dark(#5252cc, #9a94ff); outline-offset: 2px; }
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

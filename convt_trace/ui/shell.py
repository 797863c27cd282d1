"""The shell of every page: its title, and the way to the other pages."""

from __future__ import annotations

import streamlit as st

from convt_trace import server

#: File, label, icon: the pages in the order of the sidebar.
PAGES = (("app.py", "Playground", ":material/play_circle:"),)


def page(title: str) -> None:
    """Set a page up; the first thing that every page does."""
    server.settle()
    st.set_page_config(
        page_title=f"{title} · convt-trace", page_icon=":material/grid_on:", layout="wide"
    )
    if len(PAGES) > 1:
        with st.sidebar:
            for file, label, icon in PAGES:
                st.page_link(file, label=label, icon=icon)

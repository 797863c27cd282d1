"""The app: ``streamlit run app.py`` finds ``app`` here, and this is also the first page."""

from __future__ import annotations

import streamlit as st

# The other pages too: what is imported here is imported once, before the first visitor.
from convt_trace.app import elsewhere, explain, lesson, overlap, playground, server, sizes  # noqa: F401

app = st.App(
    __file__, routes=server.routes(), middleware=server.middleware(), lifespan=server.lifespan
)

if __name__ == "__main__":
    playground.page()

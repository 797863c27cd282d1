"""The app: ``streamlit run app.py`` finds ``app`` here, and this is also the first page."""

from __future__ import annotations

import streamlit as st

from convt_trace.app import server

app = st.App(
    __file__, routes=server.routes(), middleware=server.middleware(), lifespan=server.lifespan
)

if __name__ == "__main__":
    from convt_trace.app import playground

    playground.page()

"""The app: everything that imports Streamlit, and nothing else does."""

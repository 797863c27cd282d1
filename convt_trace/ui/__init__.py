"""What the Streamlit pages share: the shell around a page, and the controls that make a case."""

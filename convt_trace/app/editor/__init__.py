"""The code editor in the browser: a maintained library, and what puts it on the page."""

"""The code editor in the browser: a maintained library, and the little that puts it on the page."""

"""The code editor in the browser: a kept library, and the little that puts it on the page."""

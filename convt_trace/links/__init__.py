"""A case as text and back: settings, a link, a file."""

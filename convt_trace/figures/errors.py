"""Why there is no figure, in one sentence."""

from __future__ import annotations


class FigureError(ValueError):
    """A case that makes no figure of the kind asked for, or no browser to draw it; one sentence."""

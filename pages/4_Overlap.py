"""The page about overlap: checkerboards, counted."""

from __future__ import annotations

from convt_trace.app import overlap

overlap.page()

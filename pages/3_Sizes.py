"""The page about sizes: the formula drawn, and the settings that make a wanted size."""

from __future__ import annotations

from convt_trace.app import sizes

sizes.page()

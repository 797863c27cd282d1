"""The browser player: a compact scene (Python) and what draws it (``player.js``, ``player.css``)."""

from convt_trace.player.scene import View, scene

__all__ = ["View", "scene"]

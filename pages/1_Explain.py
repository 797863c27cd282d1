"""The page that explains a pasted snippet."""

from __future__ import annotations

from convt_trace.app import explain

explain.page()

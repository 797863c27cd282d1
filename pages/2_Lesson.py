"""The lesson: a guided path, one picture and one question at a time."""

from __future__ import annotations

from convt_trace.app import lesson

lesson.page()

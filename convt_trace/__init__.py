"""Every multiply-accumulate of PyTorch's transposed convolution, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convt_trace.engine.case import Case
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import Geometry, Layer
from convt_trace.engine.trace import Mac, Macs, Trace, trace

if TYPE_CHECKING:
    from convt_trace.engine.reference import Verdict, compare, record, torch_output
    from convt_trace.links.link import from_link, to_link

__all__ = [
    "Case",
    "Geometry",
    "Layer",
    "LayerError",
    "Mac",
    "Macs",
    "Trace",
    "Verdict",
    "compare",
    "from_link",
    "record",
    "to_link",
    "torch_output",
    "trace",
]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for; the engine itself is numpy alone."""
    if name in ("Verdict", "compare", "record", "torch_output"):
        from convt_trace.engine import reference

        return getattr(reference, name)
    if name in ("from_link", "to_link"):
        from convt_trace.links import link

        return getattr(link, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

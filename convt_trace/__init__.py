"""Every multiply-accumulate of PyTorch's transposed convolution, by number."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from convt_trace.engine.calls import Recording
from convt_trace.engine.case import Case, trace
from convt_trace.engine.errors import LayerError
from convt_trace.engine.extras import EXTRAS, MissingError, missing, require
from convt_trace.engine.layer import Geometry, Layer
from convt_trace.engine.trace import Mac, Macs, Trace

if TYPE_CHECKING:
    from convt_trace.answers.summary import summary
    from convt_trace.elsewhere.reading import read_line
    from convt_trace.elsewhere.translate import to_flax, to_jax, to_keras, to_onnx
    from convt_trace.engine.recording import record
    from convt_trace.engine.reference import Verdict, compare, torch_output
    from convt_trace.figures.figure import figure
    from convt_trace.links.files import from_json, to_json
    from convt_trace.links.link import from_link, to_link
    from convt_trace.planning.alternatives import alternatives
    from convt_trace.planning.overlap import overlap
    from convt_trace.planning.recorded import chain
    from convt_trace.planning.sizes import sizes
    from convt_trace.planning.stacked import stacked
    from convt_trace.player.page import to_html
    from convt_trace.player.widget import widget
    from convt_trace.views import view
    from convt_trace.views.collect import as_conv
    from convt_trace.views.gradient import as_gradient
    from convt_trace.views.groups import per_group
    from convt_trace.views.matrix import matrix

__all__ = [
    "Case",
    "Geometry",
    "Layer",
    "LayerError",
    "Mac",
    "Macs",
    "MissingError",
    "Trace",
    "Verdict",
    "alternatives",
    "as_conv",
    "as_gradient",
    "chain",
    "compare",
    "figure",
    "from_json",
    "from_link",
    "matrix",
    "overlap",
    "per_group",
    "read_line",
    "record",
    "sizes",
    "stacked",
    "summary",
    "to_flax",
    "to_html",
    "to_jax",
    "to_json",
    "to_keras",
    "to_link",
    "to_onnx",
    "torch_output",
    "trace",
    "view",
    "widget",
]

#: Names that are imported at their first use: some of them import torch, which `trace` does not need.
_LATER = {
    "Verdict": "engine.reference",
    "alternatives": "planning.alternatives",
    "as_conv": "views.collect",
    "as_gradient": "views.gradient",
    "chain": "planning.recorded",
    "compare": "engine.reference",
    "figure": "figures.figure",
    "from_json": "links.files",
    "from_link": "links.link",
    "matrix": "views.matrix",
    "overlap": "planning.overlap",
    "per_group": "views.groups",
    "read_line": "elsewhere.reading",
    "record": "engine.recording",
    "sizes": "planning.sizes",
    "stacked": "planning.stacked",
    "summary": "answers.summary",
    "to_flax": "elsewhere.translate",
    "to_html": "player.page",
    "to_jax": "elsewhere.translate",
    "to_json": "links.files",
    "to_keras": "elsewhere.translate",
    "to_link": "links.link",
    "to_onnx": "elsewhere.translate",
    "torch_output": "engine.reference",
    "view": "views",
    "widget": "player.widget",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    except ModuleNotFoundError as error:
        # What is known as an extra is told in one sentence.
        if error.name in EXTRAS:
            require(error.name)
        raise


def _method(name: str) -> Callable[..., Any]:
    def method(*arguments: Any, **options: Any) -> Any:
        return __getattr__(name)(*arguments, **options)

    method.__name__ = name
    method.__doc__ = f"See `convt_trace.{name}`."
    return method


def _is_live() -> bool:
    """Whether this is a notebook's kernel, and anywidget is here."""
    if "IPython" not in sys.modules or missing("anywidget"):
        return False
    return getattr(sys.modules["IPython"].get_ipython(), "kernel", None) is not None


def _repr_mimebundle_(shown: Case | Trace, **options: Any) -> Any:
    """Return the live widget where a kernel and anywidget are; else None, and the page is shown."""
    return __getattr__("widget")(shown)._repr_mimebundle_(**options) if _is_live() else None


def _show_recording(calls: Recording) -> None:
    """Show a model's calls as a table and, where that is possible, a player for each."""
    from IPython.display import Markdown, display

    display(Markdown(calls.to_markdown()))
    if _is_live() and any(isinstance(call, Case) for call in calls):
        from convt_trace.player.widget import recording_widget

        display(recording_widget(calls))


def _repr_html_(shown: Case | Trace) -> str:
    """Return what a notebook shows."""
    from convt_trace.player.page import notebook

    return notebook(shown)


# The methods of a case and a trace that need wings above the engine.
for _class, _name, _given in (
    (Case, "to_json", _method("to_json")),
    (Case, "from_json", staticmethod(_method("from_json"))),
    (Case, "to_html", _method("to_html")),
    (Trace, "to_html", _method("to_html")),
    (Case, "figure", _method("figure")),
    (Trace, "figure", _method("figure")),
    *(
        (Case, name, _method(name))
        for name in (
            *("as_conv", "as_gradient", "matrix", "overlap", "per_group", "view"),
            *("to_flax", "to_jax", "to_keras", "to_onnx"),
        )
    ),
    (Case, "widget", _method("widget")),
    (Trace, "widget", _method("widget")),
    (Recording, "_ipython_display_", _show_recording),
    *((shown, "_repr_mimebundle_", _repr_mimebundle_) for shown in (Case, Trace)),
    *((shown, "_repr_html_", _repr_html_) for shown in (Case, Trace)),
):
    setattr(_class, _name, _given)

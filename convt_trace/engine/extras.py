"""Libraries that only parts of the package need: what to install where one is not here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

#: The library, and the extra of this package that brings it.
EXTRAS = {
    "torch": "torch",
    "safetensors": "app",
    "scipy": "scipy",
    "pandas": "pandas",
    "onnx": "onnx",
    "anywidget": "widget",
    "plotly": "plot",
    "kaleido": "plot",
    "PIL": "plot",
    "streamlit": "app",
}


class MissingError(ImportError):
    """A library that is not installed; the message is one sentence with the line that installs it."""


@cache
def missing(library: str) -> str:
    """Return a sentence on a library that is not installed; empty where it is.

    >>> missing("numpy")
    ''
    """
    try:
        if find_spec(library) is not None:
            return ""
    except (ImportError, ValueError):
        pass
    extra = EXTRAS.get(library, library)
    return f"{library} is not installed: pip install 'convt-trace[{extra}]' adds it."


def require(library: str) -> ModuleType:
    """Import a library, or a module of it.

    Raises
    ------
    MissingError
        If it is not installed.

    Examples
    --------
    >>> require("numpy").__name__
    'numpy'
    """
    root = library.partition(".")[0]
    if sentence := missing(root):
        raise MissingError(sentence, name=root)
    return import_module(library)

"""Why there is no figure, in one sentence."""

from __future__ import annotations


class FigureError(ValueError):
    """A case that makes no figure of the kind asked for, or no browser to draw it; one sentence."""


class NotInstalledError(ImportError):
    """A package that figures need and that is not installed; one sentence with what to run."""


def missing(*packages: str) -> NotInstalledError:
    """Return the error for packages that are not installed.

    >>> print(missing("plotly"))
    A figure needs plotly: pip install 'convt-trace[plot]' (or: pip install plotly).
    """
    names = " ".join(packages)
    return NotInstalledError(
        f"A figure needs {' and '.join(packages)}: pip install 'convt-trace[plot]' "
        f"(or: pip install {names})."
    )

"""Linked views: one MAC, seen as part of several equivalent descriptions of the same layer.

A view is a file here and a line in `VIEWS`.
"""

from __future__ import annotations

from collections.abc import Callable

from convt_trace.engine.case import Case
from convt_trace.engine.cost import cost_of, torch_refusal
from convt_trace.engine.extras import MissingError, missing
from convt_trace.engine.reference import Verdict, compare
from convt_trace.views.back import back
from convt_trace.views.beside import beside
from convt_trace.views.collect import collect
from convt_trace.views.gradient import gradient
from convt_trace.views.groups import groups
from convt_trace.views.matrix import matrix_view
from convt_trace.views.stamp import stamp
from convt_trace.views.tensors import LinkedView, NotComputedError, refuse_large
from convt_trace.views.time import time

#: Every view by its name, with its title, in the order in which they are offered.
VIEWS: dict[str, tuple[str, Callable[[Case], LinkedView]]] = {
    "stamp": ("Stamp", stamp),
    "collect": ("Collect", collect),
    "groups": ("Groups", groups),
    "matrix": ("Matrix", matrix_view),
    "gradient": ("Gradient", gradient),
    "beside": ("Conv beside ConvTranspose", beside),
    "back": ("There and back", back),
    "time": ("Time", time),
}


def names(case: Case) -> list[str]:
    """Return the names of the views that a case has: `time` is for one dimension, `back` needs scipy.

    >>> names(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]]))[-1]
    'time'
    """
    without = {"time"} if case.dims > 1 else set()
    without |= {"back"} if missing("scipy") else set()
    return [name for name in VIEWS if name not in without]


def view(case: Case, name: str) -> LinkedView:
    """Return a linked view of a case.

    Parameters
    ----------
    case : Case
    name : str
        One of `names`.

    Raises
    ------
    ValueError
        If the case has no view of this name.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> view(case, "gradient").equation_of(case.trace()[2])
    'u[0,0,0] += z[0,0,0] * w[0,0,2], so y[0,0,0] += x[0,0,0] * w[0,0,2] = 2 * 5 = 10'
    >>> view(case, "matrix").cells_of(case.trace()[2])["M"]
    (0, 0, 0, 0)
    """
    if name not in names(case):
        raise ValueError(f"This case has no view {name!r}. It has: {', '.join(names(case))}.")
    return VIEWS[name][1](case)


def proof(case: Case, seen: LinkedView) -> Verdict | str:
    """Return how a view's own result compares with torch's, or one sentence that says why not."""
    if refusal := torch_refusal(cost_of(case), case.x.dtype):
        return refusal
    try:
        refuse_large(case)
        return compare(case, seen.result())
    except (NotComputedError, MissingError) as error:
        return str(error)

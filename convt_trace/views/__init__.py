"""Linked views: one MAC, seen as part of several equivalent descriptions of the same layer.

A view is a file here and a line in `VIEWS`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from convt_trace.engine.case import Case
from convt_trace.engine.cost import cost_of, torch_refusal
from convt_trace.engine.reference import Verdict, compare
from convt_trace.views.back import back
from convt_trace.views.beside import beside
from convt_trace.views.collect import collect
from convt_trace.views.gradient import gradient
from convt_trace.views.groups import groups
from convt_trace.views.matrix import matrix_view
from convt_trace.views.stamp import stamp
from convt_trace.views.tensors import LinkedView, NotComputedError
from convt_trace.views.time import time

#: Every view by its name, in the order in which they are offered.
VIEWS: dict[str, Callable[[Case], LinkedView]] = {
    "stamp": stamp,
    "collect": collect,
    "groups": groups,
    "matrix": matrix_view,
    "gradient": gradient,
    "beside": beside,
    "back": back,
    "time": time,
}

#: Products that a view's own result may take before it is left out: about a second of work.
MOST_PRODUCTS = 2**25


def names(case: Case) -> list[str]:
    """Return the names of the views that a case has: `time` is for one dimension.

    >>> names(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]]))[-1]
    'time'
    """
    return [name for name in VIEWS if name != "time" or case.dims == 1]


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
    return VIEWS[name](case)


def proof(case: Case, seen: LinkedView) -> Verdict | str:
    """Return how a view's own result compares with torch's, or one sentence that says why not."""
    layer, geometry = case.layer, case.geometry
    products = prod(geometry.output_shape) * layer.in_per_group * prod(layer.kernel_size)
    if products > MOST_PRODUCTS:
        return f"Not compared here: that takes {products:,} products; up to {MOST_PRODUCTS:,} are done."
    if refusal := torch_refusal(cost_of(case), case.x.dtype):
        return refusal
    try:
        return compare(case, seen.result())
    except NotComputedError as error:
        return str(error)

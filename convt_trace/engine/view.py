"""What is looked at: the order of a walk, and the batch item, groups and channels that are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.trace import Trace

#: Channels of a group, and groups, that are shown when nobody picks, by spatial dimensions.
CHANNELS = {1: 8, 2: 4, 3: 2}
GROUPS = {1: 4, 2: 4, 3: 2}
#: Positions of an axis that one panel shows; a longer axis is shown around what is in work.
POSITIONS = {1: 128, 2: 128, 3: 32}


@dataclass(frozen=True)
class View:
    """What a scene looks at.

    Attributes
    ----------
    order : str
        "scatter" or "gather".
    n : int
        Batch item.
    groups, in_local, out_local : tuple of int, or None
        Groups, and channels numbered inside their group; None leaves the choice to the scene: all
        of them where they fit, else the first and the last ones.
    """

    order: str = "scatter"
    n: int = 0
    groups: Ints | None = None
    in_local: Ints | None = None
    out_local: Ints | None = None


def edges(count: int, room: int) -> Ints:
    """Return all of ``range(count)``, or the first and last where there is no room for all.

    The last ones are among them so that the last step shows finished sums.

    >>> edges(3, 4), edges(512, 4)
    ((0, 1, 2), (0, 1, 510, 511))
    """
    if count <= room:
        return tuple(range(count))
    return (*range(room - room // 2), *range(count - room // 2, count))


def chosen(case: Case, view: View) -> View:
    """Return the view with every choice made; what does not exist or has no room is left out."""
    layer = case.layer
    dims = layer.dims

    def valid(picks: Ints | None, count: int, room: int) -> Ints:
        inside = tuple(sorted({pick for pick in picks or () if 0 <= pick < count}))
        return inside[:room] or edges(count, room)

    return View(
        order=view.order,
        n=min(max(view.n, 0), max(case.geometry.batch - 1, 0)),
        groups=valid(view.groups, layer.groups, GROUPS[dims]),
        in_local=valid(view.in_local, layer.in_per_group, CHANNELS[dims]),
        out_local=valid(view.out_local, layer.out_per_group, CHANNELS[dims]),
    )


def view_of(case: Case, order: str, cell: Ints) -> View:
    """Return a view in which an output cell (n, c, *position) is on screen.

    >>> case = Case.of(np.ones((1, 1, 2)), np.ones((1, 20, 2)))
    >>> view_of(case, "scatter", (0, 9, 0)).out_local
    (0, 1, 2, 3, 9, 17, 18, 19)
    """
    n, channel, *_ = cell
    group, local = divmod(channel, case.layer.out_per_group)
    shown = chosen(case, View(order, n))
    return chosen(
        case,
        replace(
            shown,
            groups=_with(group, shown.groups or ()),
            out_local=_with(local, shown.out_local or ()),
        ),
    )


def _with(wanted: int, shown: Ints) -> Ints:
    """Return what is shown with what is wanted: in the place of one in the middle, where it is not."""
    if wanted in shown:
        return shown
    middle = len(shown) // 2
    return (*shown[:middle], wanted, *shown[middle + 1 :])


def picked_trace(case: Case, view: View) -> Trace:
    """Return the trace that a player walks through for this view."""
    view = chosen(case, view)
    items = [view.n][: case.geometry.batch]  # none of an empty batch
    return case.trace(view.order).pick(items, view.groups, view.in_local, view.out_local)

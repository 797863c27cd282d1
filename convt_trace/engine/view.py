"""What a player shows and where it stands: the order, the channels, the step, the selected cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.layer import Ints
from convt_trace.engine.trace import Trace

#: How many channels of a group, and groups, are shown by default, by spatial dimensions.
CHANNELS = {1: 8, 2: 4, 3: 2}
GROUPS = {1: 4, 2: 4, 3: 2}
#: Positions of an axis that one panel shows; a longer axis is shown around what is in work.
POSITIONS = {1: 128, 2: 128, 3: 32}


#: The tensors whose cells can be selected.
TENSORS = ("input", "weight", "output", "torch")
_CELL = re.compile(rf"({'|'.join(TENSORS)}):(-?\d{{1,10}}(?:,-?\d{{1,10}}){{0,4}})", re.ASCII)


class Cell(NamedTuple):
    """A cell of a tensor.

    Attributes
    ----------
    tensor : str
        One of `TENSORS`.
    place : tuple of int
        The tensor's own index; an output cell's may lie outside the output.

    Examples
    --------
    >>> str(Cell("output", (0, 3, 0)))
    'output:0,3,0'
    >>> Cell.read("output:0,3,0")
    Cell(tensor='output', place=(0, 3, 0))
    """

    tensor: str
    place: Ints

    def __str__(self) -> str:
        return f"{self.tensor}:{','.join(map(str, self.place))}"

    @classmethod
    def read(cls, text: str) -> Cell | None:
        """Return the cell that a text names, as links and the player write it; None for any other."""
        found = _CELL.fullmatch(text)
        return cls(found[1], tuple(map(int, found[2].split(",")))) if found else None


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a player stands.

    Attributes
    ----------
    step : int
        MACs done, in the order of the view.
    unit : str
        What one step spans: one of the units of that order.
    selected : Cell or None
    hidden : int or None
        The output is hidden from this step on, to be predicted; 0 hides all of it.
    views : tuple of str
        The linked views that are open beside the picture, by name.
    """

    step: int = 0
    unit: str = "MAC"
    selected: Cell | None = None
    hidden: int | None = None
    views: tuple[str, ...] = ()

    @classmethod
    def at(cls, moment: Moment, **around: Any) -> Self:
        """Return a moment of this kind, the same as another, with what this kind has besides."""
        return cls(**{part.name: getattr(moment, part.name) for part in fields(Moment)}, **around)

    @classmethod
    def of(cls, moment: Moment | None, changes: dict[str, Any]) -> Moment:
        """Return a moment, or the beginning, with some changes; a cell may be a plain tuple.

        >>> Moment.of(None, {"step": 3, "selected": ("output", [0, 1, 2])}).selected.place
        (0, 1, 2)
        """
        selected: Sequence[Any] | None = changes.get("selected")
        if selected is not None:
            changes = {**changes, "selected": Cell(selected[0], tuple(selected[1]))}
        if "views" in changes:
            changes = {**changes, "views": tuple(changes["views"])}
        return replace(moment or cls(), **changes)


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
        Groups, and channels numbered inside their group; None lets the scene choose: all of them if
        they fit, else the first and the last ones.
    """

    order: str = "scatter"
    n: int = 0
    groups: Ints | None = None
    in_local: Ints | None = None
    out_local: Ints | None = None

    @classmethod
    def of(cls, trace: Trace) -> View:
        """Return the view that walks through a trace's MACs; of several batch items, the first.

        >>> View.of(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]).trace("gather")).order
        'gather'
        """
        if trace.is_whole:
            return cls(trace.order)
        picked = trace.picked
        picks = [tuple(pick.tolist()) for pick in (picked.group, picked.in_local, picked.out_local)]
        return cls(trace.order, int(picked.n[0]) if len(picked.n) else 0, *picks)


def edges(count: int, room: int) -> Ints:
    """Return all of ``range(count)``, or the first and last where there is no room for all.

    With the last ones on screen, the last step shows finished sums.

    >>> edges(3, 4), edges(512, 4)
    ((0, 1, 2), (0, 1, 510, 511))
    """
    if count <= room:
        return tuple(range(count))
    return (*range(room - room // 2), *range(count - room // 2, count))


def chosen(case: Case | Conv, view: View) -> View:
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


def view_of(case: Case | Conv, order: str, cell: Ints) -> View:
    """Return a view in which an output cell (n, c, *position) is on screen.

    >>> case = Case.of([[[1.0, 2.0]]], [[[1.0]] * 20])
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
    """Return the shown channels with the wanted one; if it is new, it replaces one in the middle."""
    if wanted in shown:
        return shown
    middle = len(shown) // 2
    return (*shown[:middle], wanted, *shown[middle + 1 :])


def picked_trace(case: Case | Conv, view: View) -> Trace:
    """Return the trace that a player walks through for this view."""
    view = chosen(case, view)
    items = [view.n][: case.geometry.batch]  # none of an empty batch
    return case.trace(view.order).pick(items, view.groups, view.in_local, view.out_local)

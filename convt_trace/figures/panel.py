"""A tensor of a scene as a figure reads it: which cells it has, what each is called, and its marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from convt_trace.engine.layer import Ints
from convt_trace.player.scene import Track

_LETTERS = {"input": "x", "weight": "w"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """A tensor on screen: channels of depth x rows x columns cells, numbered in that order.

    Attributes
    ----------
    name, title, shape : str
        As in the message (``docs/scene.md``).
    dims : int
        How many of its axes are drawn.
    channels : sequence of dict
        Per block how the index of its cells begins, its ``label`` and its ``group``.
    tracks : tuple of dict
        Depth, rows, columns: ``label``, ``kind``, ``crop``, ``extra`` and ``group`` of each place.
    values : ndarray, a number for each cell
    there : ndarray of bool
        Which cells hold a number.
    limit : float
        The magnitude at both ends of the colour scale.
    line : str
        The heading of the line of tensors that it begins.
    missing : str
        Why its numbers are not worked out; empty where they are.
    named : callable or None
        A cell's name, where its index does not make it.

    Examples
    --------
    >>> panel = plain("counts", np.array([[1, 2], [3, 4]]), "counts")
    >>> panel.cells, panel.place(3), panel.cell_name(3), panel.values.tolist()
    (4, (0, 0, 1, 1), 'counts[1,1]', [1, 2, 3, 4])
    """

    name: str
    title: str
    shape: str
    dims: int
    channels: Sequence[Mapping[str, Any]]
    tracks: Sequence[Mapping[str, Any]]
    values: np.ndarray
    there: np.ndarray
    limit: float
    line: str = ""
    missing: str = ""
    named: Callable[[int], str] | None = field(default=None, repr=False)

    @property
    def size(self) -> Ints:
        """Channels, depth, rows, columns."""
        return (len(self.channels), *(len(track["label"]) for track in self.tracks))

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(np.prod(self.size))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The cells' own numbers, an array of shape `size`."""
        return np.arange(self.cells).reshape(self.size)

    def place(self, cell: int) -> Ints:
        """Return the channel, depth, row and column of a cell."""
        return tuple(int(at) for at in np.unravel_index(cell, self.size))

    def marked(self, mark: str) -> np.ndarray:
        """Return which cells any axis gives a mark, "crop" or "extra", flat."""
        found = np.zeros(self.size, dtype=bool)
        for axis, track in enumerate(self.tracks):
            if any(track[mark]):
                found |= _along(np.array(track[mark], dtype=bool), axis)
        return found.ravel()

    def of_kind(self, kind: str) -> np.ndarray:
        """Return which cells are "real", "zero" (stuffed between inputs) or "pad" (around them), flat."""
        pad, zero = np.zeros(self.size, dtype=bool), np.zeros(self.size, dtype=bool)
        for axis, track in enumerate(self.tracks):
            kinds = np.array(track["kind"] or ["real"] * len(track["label"]))
            pad |= _along(kinds == "pad", axis)
            zero |= _along(kinds == "zero", axis)
        return {"pad": pad, "zero": zero & ~pad, "real": ~(pad | zero)}[kind].ravel()

    @property
    def is_stuffed(self) -> bool:
        """Whether some places hold a zero that the tensor does not have."""
        return any(track["kind"] for track in self.tracks)

    @property
    def is_weight(self) -> bool:
        """Whether a block has two channels."""
        return any("in" in channel for channel in self.channels)

    @property
    def is_one_block(self) -> bool:
        """Whether all of it is one block, whose cells have no first index in common."""
        return len(self.channels) == 1 and self.channels[0]["label"].endswith("[")

    def index(self, cell: int) -> Ints | None:
        """Return the cell's index in the tensor; None for a zero that the tensor does not hold."""
        channel, *places = self.place(cell)
        labels = [track["label"][at] for track, at in zip(self.tracks, places)][3 - self.dims :]
        if None in labels:
            return None
        return (*self.channels[channel]["index"], *labels)

    def cell_of(self, index: Sequence[int]) -> int | None:
        """Return the cell with this index in the tensor; None where it is not on screen."""
        start, position = tuple(index[: -self.dims]), index[-self.dims :]
        places = [at for at, one in enumerate(self.channels) if tuple(one["index"]) == start]
        own = self.tracks[3 - self.dims :]
        along = [list(track["label"]) for track in own]
        if not places or any(at not in labels for at, labels in zip(position, along)):
            return None
        at = [labels.index(number) for number, labels in zip(position, along)]
        return int(self.numbers[(places[0], *[0] * (3 - self.dims), *at)])

    def cell_name(self, cell: int) -> str:
        """Return the cell's own name, such as "x[0,1,2]"."""
        if self.named is not None:
            return self.named(cell)
        index = self.index(cell)
        if index is None:
            return "a padded zero" if self.of_kind("pad")[cell] else "a stuffed zero"
        channel = self.channels[self.place(cell)[0]]
        rest = ",".join(map(str, index[len(channel["index"]) :]))
        return f"{channel['label']}{'' if self.is_one_block else ','}{rest}]"


def _along(mask: np.ndarray, axis: int) -> np.ndarray:
    """Return what holds along one of three axes, so that it broadcasts to all cells."""
    shape = [1] * 4
    shape[axis + 1] = len(mask)
    return mask.reshape(shape)


def read(spec: Mapping[str, Any], columns: Mapping[str, np.ndarray], dims: int) -> Panel:
    """Return a panel of a message.

    Parameters
    ----------
    spec : dict
        The panel in the header.
    columns : dict of ndarray
    dims : int
        How many of its axes are drawn.
    """
    name = spec["name"]
    letter = _LETTERS.get(name, "y")
    channels = [
        {"label": f"{letter}[{','.join(map(str, one['index']))}", **one} for one in spec["channels"]
    ]
    tracks = [track_of(track) for track in spec["tracks"]]
    cells = len(channels) * int(np.prod([len(track["label"]) for track in tracks]))
    values = columns.get(f"values.{name}")
    there = columns.get(f"there.{name}")
    if there is None:
        there = np.full(cells, values is not None)
    return Panel(
        name=name,
        title=spec["title"],
        shape=spec["shape"],
        dims=spec.get("dims", dims),
        channels=channels,
        tracks=tracks,
        values=np.zeros(cells) if values is None else values,
        there=there.astype(bool),
        limit=spec["limit"],
        line=spec.get("line", ""),
        missing=spec.get("missing", ""),
    )


def track_of(track: Mapping[str, Any]) -> dict[str, Any]:
    """Return a track of a message with all its lists; one that is left out is empty."""
    return {"kind": [], "crop": [], "extra": [], "group": [], **track}


def plain(name: str, values: np.ndarray, title: str, **more: Any) -> Panel:
    """Return an array of 1 to 3 dimensions as a panel of one block.

    Parameters
    ----------
    name : str
        How the names of its cells begin.
    values : ndarray
    title : str
    **more
        ``limit`` and ``shape``, as of a panel.
    """
    labels = [[0]] * (3 - values.ndim) + [list(range(size)) for size in values.shape]
    return Panel(
        name=name,
        title=title,
        dims=values.ndim,
        channels=[{"index": (), "label": f"{name}[", "group": 0}],
        tracks=[track_of(Track.plain(one).message()) for one in labels],
        values=values.ravel(),
        there=np.isfinite(np.asarray(values, dtype=float)).ravel(),
        **{"limit": 1.0, "shape": " x ".join(map(str, values.shape)), **more},
    )

"""A linked view as a message: its tensors, and where each MAC of a window stands in them.

The message has the form of a scene's (``docs/scene.md``) and is sent when the view is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.memory import Cache
from convt_trace.engine.reference import Verdict
from convt_trace.engine.text import by
from convt_trace.engine.trace import Macs
from convt_trace.engine.view import POSITIONS, View, chosen, picked_trace
from convt_trace.player.scene import (
    Track,
    around,
    joined,
    limit_of,
    read_message,
    shape_text,
    write_message,
)
from convt_trace.views import VIEWS, names, proof
from convt_trace.views import view as view_named
from convt_trace.views.tensors import NotComputedError, Tensor

#: Messages by what they show; a full window has up to 100 kB.
messages: Cache[tuple[str, View, int, str], bytes] = Cache(limit=16 * 2**20, size=len)
_proofs: Cache[tuple[str, str], dict[str, str]] = Cache(
    limit=2**18, size=lambda said: 200 + len(said["text"])
)


def with_views(message: bytes, case: Case, view: View, wanted: Sequence[str]) -> bytes:
    """Return a scene's message with linked views of the same window, those of them that there are.

    >>> from convt_trace.player.scene import build
    >>> case = Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]])
    >>> message = with_views(build(case), case, View(), ["groups", "no such view"])
    >>> list(parts_of(message))
    ['groups']
    """
    there = [name for name in names(case) if name in wanted]
    if not there:
        return message
    window = read_message(message)[0]["window"]
    return joined(
        message,
        {name: linked(case, view, window["start"], window["stop"], name) for name in there},
    )


def parts_of(message: bytes) -> dict[str, bytes]:
    """Return the messages of the linked views that a scene's message carries, by name."""
    sizes = read_message(message)[0].get("parts", {})
    stops = np.cumsum([len(message) - sum(sizes.values()), *sizes.values()]).tolist()
    return {name: message[start:stop] for name, start, stop in zip(sizes, stops, stops[1:])}


def linked(case: Case, view: View, start: int, stop: int, name: str) -> bytes:
    """Return a linked view of the MACs ``start:stop``, worked out once for everybody who asks.

    Parameters
    ----------
    case : Case
    view : View
        Order, batch item and channels to look at.
    start, stop : int
        The window of the scene that it belongs to.
    name : str
        One of `convt_trace.views.names`.
    """

    def work_out() -> bytes:
        builder = _Builder(case, view, start, stop, name)
        return write_message(builder.header(), builder.buffers())

    return messages.get((case.digest, view, start, name), work_out)


class _Builder:
    """Builds one message."""

    def __init__(self, case: Case, view: View, start: int, stop: int, name: str):
        self.case, self.name = case, name
        trace = picked_trace(case, view)
        self.n, self.pick = chosen(case, view).n, trace.picked
        self.seen = view_named(case, name)
        self.lit = self.seen.lit(trace[start:stop])
        self.groups, self.blocks = self._one_of_each_block()
        self.panels = [_Panel(self, tensor) for tensor in self.seen.tensors if not tensor.joins]

    def _one_of_each_block(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return a MAC for each pair of channels on screen: its group, and where it stands."""
        layer, pick = self.case.layer, self.pick
        group, local, out = (
            at.ravel()
            for at in np.meshgrid(pick.group, pick.in_local, pick.out_local, indexing="ij")
        )
        nothing = np.zeros(len(group), dtype=np.int64)
        somewhere = np.zeros((len(group), layer.dims), dtype=np.int64)
        macs = Macs(
            n=nothing + self.n,
            group=group,
            in_channel=group * layer.in_per_group + local,
            out_channel=group * layer.out_per_group + out,
            i=somewhere,
            k=somewhere,
            o=somewhere - np.array(layer.padding),
            kept=nothing.astype(bool),
            **dict.fromkeys(("x", "w", "product", "before", "after"), nothing),
        )
        return group, dict(self.seen.lit(macs))

    def header(self) -> dict[str, Any]:
        seen = self.seen
        panels = {panel.tensor.name: panel.message() for panel in self.panels}
        return {
            "version": 1,
            "case": self.case.digest,
            "view": self.name,
            "title": VIEWS[self.name][0],
            "sentence": seen.sentence,
            "equation": seen.equation,
            "code": seen.code,
            "proof": self._proof(),
            "notes": _notes(seen.notes),
            "arrows": seen.arrows,
            "panels": [
                panels.get(tensor.name) or _joining(self.case, tensor) for tensor in seen.tensors
            ],
        }

    def _proof(self) -> dict[str, str]:
        def work_out() -> dict[str, str]:
            said = proof(self.case, self.seen)
            return {"kind": said.kind if isinstance(said, Verdict) else "none", "text": str(said)}

        return _proofs.get((self.case.digest, self.name), work_out)

    def buffers(self) -> dict[str, np.ndarray]:
        return {name: column for panel in self.panels for name, column in panel.buffers().items()}


class _Panel:
    """A tensor of a view on screen: blocks of cells, and the cell of each row of the window."""

    def __init__(self, builder: _Builder, tensor: Tensor):
        self.tensor, self.builder = tensor, builder
        self.lit = builder.lit[tensor.name]
        probe = builder.blocks[tensor.name]
        self.starts, first = np.unique(probe[:, : tensor.blocks], axis=0, return_index=True)
        self.groups = builder.groups[first]
        self.drawn = range(tensor.blocks, len(tensor.shape))
        self.places = [self._places(axis, probe) for axis in self.drawn]

    def _places(self, axis: int, probe: np.ndarray) -> np.ndarray:
        """Return which places of an axis are on screen: the picked channels, or a stretch."""
        tensor = self.tensor
        if tensor.axes[axis] != "s":
            return np.unique(probe[:, axis])
        before, after = tensor.cropped[tensor.axes[:axis].count("s")] if tensor.cropped else (0, 0)
        size = before + tensor.shape[axis] + after
        first = int(self.lit[0, axis]) + before if len(self.lit) else 0
        shown = around(first, size, POSITIONS[self.builder.case.dims])
        return np.arange(shown.start, shown.stop) - before

    @cached_property
    def index(self) -> list[np.ndarray]:
        """The tensor's own index of every cell on screen, as columns that broadcast."""
        count = len(self.drawn)
        blocks = [
            self.starts[:, axis].reshape(-1, *[1] * count) for axis in range(self.tensor.blocks)
        ]
        return [
            *blocks,
            *(
                places.reshape(-1, *[1] * (count - 1 - at)) if self.tensor.blocks else spread
                for at, (places, spread) in enumerate(zip(self.places, np.ix_(*self.places)))
            ),
        ]

    @cached_property
    def there(self) -> np.ndarray:
        """Which cells hold a number of the tensor, flat."""
        tensor = self.tensor
        inside = np.ones(self._shape, dtype=bool)
        for at, (low, high) in zip(self.index, tensor.bounds):
            inside &= (at >= low) & (at < high)
        if tensor.there is not None:
            inside &= tensor.there(*self.index)
        return inside.ravel()

    @property
    def _shape(self) -> Ints:
        blocks = (len(self.starts),) if self.tensor.blocks else ()
        return (*blocks, *(len(places) for places in self.places))

    @cached_property
    def values(self) -> np.ndarray | None:
        """Every cell's number, 0 where there is none; None where the numbers are not worked out."""
        tensor = self.tensor
        if tensor.values is None or not self.there.any():
            return None
        nearest = [np.clip(at, low, high - 1) for at, (low, high) in zip(self.index, tensor.bounds)]
        values = np.broadcast_to(tensor.values(*nearest), self._shape).ravel()
        return np.where(self.there, values, 0)

    @cached_property
    def missing(self) -> str:
        """Why the tensor's numbers are not worked out; empty where they are."""
        try:
            self.values  # noqa: B018  (worked out here, or refused)
        except NotComputedError as error:
            return str(error)
        return ""

    def message(self) -> dict[str, Any]:
        tensor, values = self.tensor, None if self.missing else self.values
        tracks = [self._track(axis, places) for axis, places in zip(self.drawn, self.places)]
        one = [Track.plain([0])] * (3 - len(tracks))
        return {
            **_words(tensor),
            "shape": shape_text(tensor.shape[tensor.unbatched and tensor.axes[0] == "n" :]),
            "missing": self.missing,
            "dims": len(tracks),
            "tells": tensor.tells,
            "channels": self._channels(),
            "tracks": [
                {**track.message(), **groups}
                for track, groups in zip((*one, *tracks), self._groups_along())
            ],
            "limit": limit_of(values) if values is not None else 1.0,
        }

    def _groups_along(self) -> list[dict[str, list[int]]]:
        """Return the group of every place of an axis of channels, for each of three tracks."""
        probe = self.builder.blocks[self.tensor.name]
        along: list[dict[str, list[int]]] = [{}] * (3 - len(self.drawn))
        for axis, places in zip(self.drawn, self.places):
            first = [int(np.argmax(probe[:, axis] == at)) for at in places]
            is_channel = self.tensor.axes[axis] == "c"
            along.append({"group": self.builder.groups[first].tolist()} if is_channel else {})
        return along

    def _channels(self) -> list[dict[str, Any]]:
        tensor = self.tensor
        if not tensor.blocks:
            return [{"index": (), "label": f"{tensor.letter}[", "group": 0}]
        starts = self.starts.tolist()
        # A weight's lines are the first of its two channels.
        lines = sorted({tuple(start[:-1]) for start in starts})
        is_weight = tensor.axes[: tensor.blocks].endswith("cc")
        return [
            {
                "index": start,
                "label": tensor.name_of(start),
                "group": int(group),
                **({"in": lines.index(tuple(start[:-1]))} if is_weight else {}),
            }
            for start, group in zip(starts, self.groups)
        ]

    def _track(self, axis: int, places: np.ndarray) -> Track:
        tensor, here = self.tensor, places.tolist()
        nothing = (False,) * len(here)
        crop = tuple(not 0 <= at < tensor.shape[axis] for at in here)
        if tensor.axes[axis] != "s" or tensor.place is None:
            return Track(tuple(here), ("real",) * len(here), crop, nothing)
        kinds, labels = zip(*(tensor.place(axis, at) for at in here))
        return Track(labels, kinds, crop, nothing)

    def buffers(self) -> dict[str, np.ndarray]:
        name = self.tensor.name
        parts = {f"lit.{name}": self._cells()}
        if not self.missing and self.values is not None:
            parts[f"values.{name}"] = self.values
            if not self.there.all():
                parts[f"there.{name}"] = self.there.astype(np.uint8)
        return parts

    def _cells(self) -> np.ndarray:
        """Return the cell of every row of the window; -1 where it is not on screen."""
        lit, blocks = self.lit, self.tensor.blocks
        cell = np.zeros(len(lit), dtype=np.int64)
        fine = np.ones(len(lit), dtype=bool)
        if blocks:
            cell, fine = _rank(lit[:, :blocks], self.starts)
        for axis, places in zip(self.drawn, self.places):
            at = np.minimum(np.searchsorted(places, lit[:, axis]), len(places) - 1)
            fine &= places[at] == lit[:, axis]
            cell = cell * len(places) + at
        return np.where(fine, cell, -1).astype(np.int32)


def _rank(rows: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each row stands among sorted rows, and whether it is one of them."""
    at = np.zeros(len(rows), dtype=np.int64)
    fine = np.zeros(len(rows), dtype=bool)
    for place, start in enumerate(among):
        same = (rows == start).all(axis=1)
        at[same], fine = place, fine | same
    return at, fine


def _words(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "title": tensor.title, "line": tensor.line}


def _joining(case: Case, tensor: Tensor) -> dict[str, Any]:
    """Return a matrix as the browser gets it: it makes its entries from the scene's own cells."""
    half = len(tensor.shape) // 2
    sizes = [tensor.shape[:half], tensor.shape[half:]]
    return {
        **_words(tensor),
        "letter": tensor.letter,
        "shape": " rows, ".join(by([int(np.prod(size))]) for size in sizes) + " columns",
        "joins": tensor.joins,
    }


def _notes(notes: Any) -> list[str]:
    try:
        said: list[str] = notes()
    except NotComputedError as error:
        return [str(error)]
    return said

"""A scene: one window of a trace with the tensors around it, as the player in the browser reads it.

Python decides, JavaScript draws. Every index, sum and mark that the player shows is worked out here
and crosses as one message (`scene`, described in ``docs/scene.md``); the player looks rows up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.cost import cost_of, torch_refusal
from convt_trace.engine.layer import Axis, Ints
from convt_trace.engine.memory import Cache
from convt_trace.engine.orders import units_of
from convt_trace.engine.reference import Verdict, compare
from convt_trace.engine.trace import Macs
from convt_trace.engine.view import POSITIONS, Moment, View, chosen, picked_trace
from convt_trace.views import VIEWS, names

#: MACs in a window; at 37 bytes each a full window is 150 kB.
WINDOW = 4096
#: Marks on the scrubber; more would be a smear.
MARKS = 64

KEPT, COMPLETES, LEVEL_SHIFT = 1, 2, 4


@dataclass(frozen=True, kw_only=True)
class Opening(Moment):
    """How a player opens: at a moment, and with this around it.

    Attributes
    ----------
    look : str
        "full", or "presenter" for large type and few controls.
    share : bool
        Whether the player has a Share button; it needs a page that answers it.
    key : str
        A player that has opened by this key stays where it is.
    """

    look: str = "full"
    share: bool = False
    key: str = ""

    def message(self) -> dict[str, Any]:
        """Return what the header's key ``opening`` holds, see ``docs/scene.md``."""
        return {
            "step": self.step,
            "unit": self.unit,
            "cell": str(self.selected or ""),
            "hide": self.hidden,
            "look": self.look,
            "share": self.share,
            "views": self.views,
            "key": self.key,
        }


@dataclass(frozen=True)
class Track:
    """The positions of one axis as a panel lays them out.

    Attributes
    ----------
    label : tuple of int or None
        The tensor's own index at each place; None where the tensor has nothing there (a stuffed or
        padded zero).
    kind : tuple of str
        "real", "zero" (between inputs), or "pad" (around them).
    crop : tuple of bool
        Places that padding crops.
    extra : tuple of bool
        Places that output_padding adds.
    """

    label: tuple[int | None, ...]
    kind: tuple[str, ...]
    crop: tuple[bool, ...]
    extra: tuple[bool, ...]

    @classmethod
    def plain(cls, labels: Sequence[int]) -> Track:
        """Return a track of real positions only."""
        count = len(labels)
        nothing = (False,) * count
        return cls(tuple(labels), ("real",) * count, nothing, nothing)

    def __len__(self) -> int:
        return len(self.label)

    def message(self) -> dict[str, Any]:
        """Return the track as JSON; what is the same all along is left out."""
        short: dict[str, Any] = {"label": self.label}
        if set(self.kind) != {"real"}:
            short["kind"] = self.kind
        if any(self.crop):
            short["crop"] = self.crop
        if any(self.extra):
            short["extra"] = self.extra
        return short


class AxisView:
    """One spatial axis on screen: its tracks, and where each (input, tap) pair stands on them.

    Attributes
    ----------
    input, weight, output, torch : Track
    input_range, canvas_range : range
        The input positions and canvas positions that are shown.
    i, k, c : ndarray
        The pairs on screen.
    at_input, at_weight, at_output : ndarray
        Where on the tracks each pair's input value, tap and output cell stand.
    """

    def __init__(self, axis: Axis, order: str, input_range: range, canvas_range: range):
        self._axis, self._order = axis, order
        self.input_range, self.canvas_range = input_range, canvas_range
        shown = (
            (axis.i >= input_range.start)
            & (axis.i < input_range.stop)
            & (axis.c >= canvas_range.start)
            & (axis.c < canvas_range.stop)
        )
        self.i, self.k, self.c = axis.i[shown], axis.k[shown], axis.c[shown]
        self.at_input = self.input_places(self.i)
        self.at_weight = self.weight_places(self.k)
        self.at_output = self.c - canvas_range.start

    def input_places(self, i: np.ndarray) -> np.ndarray:
        """Return where input positions stand on the input track."""
        if self._order == "scatter":
            return i - self.input_range.start
        return i * self._axis.stride + self._before - self.canvas_range.start

    def weight_places(self, k: np.ndarray) -> np.ndarray:
        """Return where taps stand on the weight track, which is flipped when gathering."""
        return k if self._order == "scatter" else self._axis.taps - 1 - k

    @property
    def reach(self) -> int:
        """How many places the kernel covers, from its first tap to its last."""
        return self._before + 1

    @property
    def _before(self) -> int:
        """Zeros before the first input value that let the flipped kernel reach the whole canvas."""
        return self._axis.dilation * (self._axis.taps - 1)

    @cached_property
    def input(self) -> Track:
        """The input's positions; when gathering, zero-stuffed and padded."""
        axis = self._axis
        if self._order == "scatter":
            return Track.plain(self.input_range)
        # The flipped kernel's window for canvas position c begins at place c of this track.
        places = range(self.canvas_range.start, self.canvas_range.stop + self._before)
        last = (axis.length - 1) * axis.stride
        label: list[int | None] = []
        kind = []
        for place in places:
            stuffed = place - self._before
            on_input = 0 <= stuffed <= last and stuffed % axis.stride == 0
            label.append(stuffed // axis.stride if on_input else None)
            kind.append("real" if on_input else "zero" if 0 <= stuffed <= last else "pad")
        end = axis.inside.stop + self._before
        crop = tuple(not axis.inside.start <= place < end for place in places)
        return Track(tuple(label), tuple(kind), crop, (False,) * len(crop))

    @cached_property
    def weight(self) -> Track:
        """The kernel's taps, last first when gathering."""
        taps = range(self._axis.taps)
        return Track.plain(taps if self._order == "scatter" else taps[::-1])

    @cached_property
    def output(self) -> Track:
        """The canvas, with what is cropped and what output_padding adds."""
        axis = self._axis
        o = [c - axis.padding for c in self.canvas_range]
        return Track(
            label=tuple(o),
            kind=("real",) * len(o),
            crop=tuple(not 0 <= at < axis.outputs for at in o),
            extra=tuple(
                max(0, axis.outputs - axis.output_padding) <= at < axis.outputs for at in o
            ),
        )

    @cached_property
    def torch(self) -> Track:
        """The output's positions."""
        o_of_canvas = [c - self._axis.padding for c in self.canvas_range]
        return Track.plain([o for o, crop in zip(o_of_canvas, self.output.crop) if not crop])


@dataclass(frozen=True, eq=False)
class Panel:
    """A tensor on screen: channels, each a block of depth x rows x columns.

    Cell numbers count channel by channel, then depth, row and column.

    Attributes
    ----------
    name : str
        "input", "weight", "output" or "torch".
    title, shape : str
    channels : tuple of dict
        ``index`` (where the channel is in the tensor, such as ``(0, 1)``), ``group``, and the channel
        numbers.
    tracks : tuple of Track
        Depth, rows, columns.
    values : ndarray of float64 or int64, one per cell
    limit : float
        The magnitude at the ends of the colour scale.
    """

    name: str
    title: str
    shape: str
    channels: tuple[dict[str, Any], ...]
    tracks: tuple[Track, Track, Track]
    values: np.ndarray
    limit: float

    def message(self) -> dict[str, Any]:
        """Return the panel as JSON, without its values."""
        return {
            "name": self.name,
            "title": self.title,
            "shape": self.shape,
            "channels": self.channels,
            "tracks": [track.message() for track in self.tracks],
            "limit": self.limit,
        }


class Builder:
    """Builds one scene; every property is one part of the message."""

    #: Whether padding crops the output.
    crops = True

    def __init__(self, case: Case | Conv, view: View, number: int):
        self.case, self.view = case, chosen(case, view)
        self.geometry, self.layer = case.geometry, case.layer
        self.trace = picked_trace(case, view)
        self.pick = self.trace.picked
        self.without_torch = torch_refusal(cost_of(case), case.x.dtype, self.crops)
        self.verdict = None if self.without_torch else _verdict(case)
        self.start, self.macs, self.axes = self._window(number)

    # -- the window -----------------------------------------------------------------------------

    def _window(self, number: int) -> tuple[int, Macs, list[AxisView]]:
        """Return the window that holds MAC ``number``: where it starts, its MACs, its axes.

        A window ends early where the next MAC would leave the positions on screen. Where that is, is
        told by places alone: sums are worked out for the one window that is asked for.
        """
        number = min(max(number, 0), max(len(self.trace) - 1, 0))
        start = number - number % WINDOW
        stop = min(start + WINDOW, len(self.trace))
        index = self.trace.numbering.decode(np.arange(start, stop))
        places = [
            (i, i * axis.stride + k * axis.dilation)
            for axis, i, k in zip(self.geometry.axes, index.i, index.k)
        ]
        begin = 0
        while True:
            ranges = [
                self._around(axis, i[begin:], c[begin:])
                for axis, (i, c) in zip(self.geometry.axes, places)
            ]
            inside = np.ones(stop - start - begin, dtype=bool)
            for (i, c), (inputs, canvas) in zip(places, ranges):
                inside &= _within(i[begin:], inputs) & _within(c[begin:], canvas)
            end = stop - start if inside.all() else begin + int(np.argmin(inside))
            if number < start + end or end == stop - start:
                break
            begin = end
        macs = self.trace[start + begin : start + end]
        return start + begin, macs, self._axis_views(ranges)

    def _axis_views(self, ranges: list[tuple[range, range]]) -> list[AxisView]:
        """Return the axes on screen, for the positions of each that are shown."""
        return [
            AxisView(axis, self.view.order, *shown)
            for axis, shown in zip(self.geometry.axes, ranges)
        ]

    def _around(self, axis: Axis, i: np.ndarray, c: np.ndarray) -> tuple[range, range]:
        """Return the input and canvas positions on screen for MACs at these, the first above all."""
        most = POSITIONS[self.layer.dims]
        first_i, first_c = (int(i[0]), int(c[0])) if len(i) else (0, axis.padding)
        inputs, canvas = around(first_i, axis.length, most), around(first_c, axis.canvas, most)
        if axis.canvas > most and self.view.order == "gather":
            reach = (canvas.start - axis.dilation * (axis.taps - 1)) // axis.stride
            inputs = range(max(0, reach), min(axis.length, canvas.stop // axis.stride + 1))
        elif axis.canvas > most:
            stamp = around(first_i * axis.stride, axis.canvas, most)
            # A kernel that reaches further than the screen is shown from its tap in work.
            canvas = stamp if first_c in stamp else canvas
        return inputs, canvas

    # -- panels ---------------------------------------------------------------------------------

    @cached_property
    def in_channels(self) -> list[tuple[int, int]]:
        """(group, input channel) of every input block."""
        return [
            (int(group), int(group * self.layer.in_per_group + local))
            for group in self.pick.group
            for local in self.pick.in_local
        ]

    @cached_property
    def out_channels(self) -> list[tuple[int, int]]:
        """(group, output channel) of every output block."""
        return [
            (int(group), int(group * self.layer.out_per_group + local))
            for group in self.pick.group
            for local in self.pick.out_local
        ]

    def tracks(self, name: str) -> tuple[Track, Track, Track]:
        """Return depth, rows and columns of a panel; missing dimensions are one place long."""
        one = Track.plain([0])
        own = [getattr(axis, name) for axis in self.axes]
        depth, rows, columns = [one] * (3 - len(own)) + own
        return depth, rows, columns

    @cached_property
    def panels(self) -> list[Panel]:
        """The four tensors on screen."""
        return [self._input, self._weight, self._output, self._torch]

    @cached_property
    def _input(self) -> Panel:
        x = wide(self.case.batched)
        tracks = self.tracks("input")
        n = self.view.n
        values = np.zeros(
            (len(self.in_channels), *(len(axis.input) for axis in self.axes)), dtype=x.dtype
        )
        spots, labels = [], []
        for axis in self.axes:
            real = [place for place, label in enumerate(axis.input.label) if label is not None]
            spots.append(real)
            labels.append([axis.input.label[place] for place in real])
        channels = [channel for _, channel in self.in_channels]
        if self.geometry.batch:
            values[_grid(range(len(channels)), *spots)] = x[n][_grid(channels, *labels)]
        return Panel(
            name="input",
            title=self._input_title,
            shape=shape_text(self.case.x.shape),
            channels=tuple(
                {"index": self._index(channel), "group": group, "channel": channel}
                for group, channel in self.in_channels
            ),
            tracks=tracks,
            values=values.reshape(-1),
            limit=limit_of(x),
        )

    @property
    def _input_title(self) -> str:
        return "input x, zero-stuffed and padded" if self.view.order == "gather" else "input x"

    @cached_property
    def _weight(self) -> Panel:
        weight = wide(self.case.weight)
        values = np.array([weight[channel["index"]] for channel in self._weight_channels])
        if self._flips:
            values = np.flip(values, axis=tuple(range(1, values.ndim)))
        return Panel(
            name="weight",
            title="weight w, flipped" if self._flips else "weight w",
            shape=shape_text(self.case.weight.shape),
            channels=self._weight_channels,
            tracks=self.tracks("weight"),
            values=values.reshape(-1),
            limit=limit_of(weight),
        )

    @property
    def _flips(self) -> bool:
        return self.view.order == "gather"

    @cached_property
    def _weight_channels(self) -> tuple[dict[str, Any], ...]:
        return tuple(
            {
                "index": (channel, int(local)),
                "group": group,
                "in": channel,
                "out": int(group * self.layer.out_per_group + local),
            }
            for group, channel in self.in_channels
            for local in self.pick.out_local
        )

    def _weight_block(self, group: Any, in_place: Any, out_place: Any) -> Any:
        """Return the place of a weight block by those of its group, and of its channels in the group."""
        ins, outs = len(self.pick.in_local), len(self.pick.out_local)
        return (group * ins + in_place) * outs + out_place

    @cached_property
    def _canvas_cells(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Every output cell on screen as (n, out_channel, canvas position per axis)."""
        places = np.meshgrid(
            [channel for _, channel in self.out_channels],
            *(np.array(axis.canvas_range) for axis in self.axes),
            indexing="ij",
        )
        channel, *canvas = (place.reshape(-1) for place in places)
        return np.full(len(channel), self.view.n), channel, canvas

    @cached_property
    def _sums(self) -> np.ndarray:
        """The finished sums of the cells on screen, cropped ones too, before the bias."""
        if not self.geometry.batch:
            return np.zeros(len(self._canvas_cells[0]))
        return self.trace.sums(*self._canvas_cells)

    @cached_property
    def _finished(self) -> np.ndarray:
        """The cells on screen as they end: uncropped ones with bias and in the output's dtype."""
        _, channel, canvas = self._canvas_cells
        bias = self.case.bias
        total = self._sums if bias is None else self._sums + wide(bias)[channel]
        with np.errstate(over="ignore", invalid="ignore"):
            stored = wide(total.astype(self.case.x.dtype))
        return np.where(self._kept_cells, stored, self._sums)

    @cached_property
    def _kept_cells(self) -> np.ndarray:
        kept = np.ones(len(self._canvas_cells[0]), dtype=bool)
        for axis, cell in zip(self.geometry.axes, self._canvas_cells[2]):
            kept &= (cell >= axis.inside.start) & (cell < axis.inside.stop)
        return kept

    def _out_panel(self, name: str, title: str, values: np.ndarray, limit: float) -> Panel:
        return Panel(
            name=name,
            title=title,
            shape=shape_text(self.geometry.output_shape[self.case.unbatched :]),
            channels=tuple(
                {
                    "index": self._index(channel),
                    "group": group,
                    "channel": channel,
                    "bias": _plain(self.case.bias[channel]) if self.case.bias is not None else None,
                }
                for group, channel in self.out_channels
            ),
            tracks=self.tracks(name),
            values=values,
            limit=limit,
        )

    @cached_property
    def _output(self) -> Panel:
        return self._out_panel("output", "output y", self._finished, self._output_limit)

    @cached_property
    def _torch(self) -> Panel:
        if self.verdict is None:
            blank = np.zeros_like(self._finished[self._kept_cells])
            return self._out_panel("torch", "torch's output, not computed", blank, 1.0)
        return self._out_panel(
            "torch", "torch's output", wide(self._of_torch(self.verdict.torch)), self._output_limit
        )

    @cached_property
    def _output_limit(self) -> float:
        """One scale for both output panels, wide enough for every sum in the window."""
        return max(limit_of(self._finished), limit_of(self.macs.after))

    def _of_torch(self, tensor: np.ndarray) -> np.ndarray:
        """Return the output cells on screen of a tensor in the output's shape, flat."""
        batched = tensor.reshape(self.geometry.output_shape)
        if not self.geometry.batch:
            return np.zeros(0, dtype=tensor.dtype)
        labels = [axis.torch.label for axis in self.axes]
        channels = [channel for _, channel in self.out_channels]
        return batched[self.view.n][_grid(channels, *labels)].reshape(-1)

    def _index(self, channel: int) -> Ints:
        """Return the start of a cell's index: what comes before its position."""
        return (channel,) if self.case.unbatched else (self.view.n, channel)

    # -- rows -----------------------------------------------------------------------------------

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The window as columns: cell numbers, flags and sums."""
        macs = self.macs
        group = np.searchsorted(self.pick.group, macs.group)
        in_local = np.searchsorted(
            self.pick.in_local, macs.in_channel - macs.group * self.layer.in_per_group
        )
        out_local = np.searchsorted(
            self.pick.out_local, macs.out_channel - macs.group * self.layer.out_per_group
        )
        ins, outs = len(self.pick.in_local), len(self.pick.out_local)
        i, k, c = self._track_places()
        return {
            "x": _cells(self._input, group * ins + in_local, i),
            "w": _cells(self._weight, self._weight_block(group, in_local, out_local), k),
            "y": _cells(self._output, group * outs + out_local, c),
            "flags": self._flags(),
            "product": macs.product,
            "before": macs.before,
            "after": macs.after,
        }

    def _track_places(self) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Return where on each axis' tracks the MACs' input values, taps and output cells stand."""
        macs = self.macs
        i = [view.input_places(macs.i[:, at]) for at, view in enumerate(self.axes)]
        k = [view.weight_places(macs.k[:, at]) for at, view in enumerate(self.axes)]
        c = [
            macs.o[:, at] + axis.padding - view.canvas_range.start
            for at, (axis, view) in enumerate(zip(self.geometry.axes, self.axes))
        ]
        return i, k, c

    def _flags(self) -> np.ndarray:
        macs = self.macs
        numbers = np.arange(self.start, self.start + len(macs))
        level = self.trace.numbering.levels(numbers)
        flags = macs.kept.astype(np.uint8) * KEPT + (level << LEVEL_SHIFT)
        last = macs.in_channel % self.layer.in_per_group == self.layer.in_per_group - 1
        for at, axis in enumerate(self.geometry.axes):
            i, k = macs.i[:, at], macs.k[:, at]
            here = i * axis.stride + k * axis.dilation
            last &= axis.slot[i, k] == axis.count[here] - 1
        return flags + last.astype(np.uint8) * COMPLETES

    @cached_property
    def held(self) -> dict[str, np.ndarray]:
        """What the output cells hold before the window's first MAC, and how far each has come.

        ``stage`` is 0 before a cell's first MAC, 1 while it fills, 2 once nothing more will come;
        a cell that no MAC reaches is at 2 from the start, with the bias alone.
        """
        n, channel, canvas = self._canvas_cells
        unreachable = self._unreachable
        if self.start:
            values, reached, done = self.trace.sums_before(self.start, n, channel, canvas)
            # Without its last input channel no sum is ever finished on screen.
            last_shown = self.pick.in_local[-1] == self.layer.in_per_group - 1
            done = unreachable | done if last_shown else unreachable
        else:
            values, reached, done = np.zeros_like(self._finished), unreachable, unreachable
        return {
            "held": np.where(done, self._finished, values),
            "stage": np.where(done, 2, reached).astype(np.uint8),
        }

    @property
    def _unreachable(self) -> np.ndarray:
        """Which of the output cells on screen no MAC reaches."""
        n, _, canvas = self._canvas_cells
        none = np.zeros(len(n), dtype=bool)
        for axis, cell in zip(self.geometry.axes, canvas):
            none |= axis.count[cell] == 0
        return none

    # -- the message ----------------------------------------------------------------------------

    def header(self) -> dict[str, Any]:
        """Return the message's header."""
        layer, trace = self.layer, self.trace
        shown = len(trace)
        return {
            "version": 1,
            "case": self.case.digest,
            "order": self.view.order,
            "dims": layer.dims,
            "layer": self.case.line(),
            "sizes": [
                layer.in_channels,
                layer.out_channels,
                layer.groups,
                *self.geometry.input_size,
            ],
            "window": {"start": self.start, "stop": self.start + len(self.macs), "total": shown},
            "macs": {
                "all": trace.macs,
                "cropped": trace.cropped_macs,
                "hidden": trace.macs - shown,
            },
            "units": list(trace.numbering.units),
            "choices": list(units_of(self.view.order, layer.dims)),
            "reach": [1] * (3 - layer.dims) + [axis.reach for axis in self.axes],
            "marks": self._marks(),
            "views": self._offers(),
            "panels": [panel.message() for panel in self.panels],
            "links": self._links(),
            "axes": [
                {
                    "x": axis.at_input.tolist(),
                    "w": axis.at_weight.tolist(),
                    "y": axis.at_output.tolist(),
                }
                for axis in self.axes
            ],
            "all_terms": self._shows_every_term(),
            "terms": layer.in_per_group,
            "verdict": {"kind": self.verdict.kind, "text": str(self.verdict)}
            if self.verdict is not None
            else {"kind": "none", "text": self.without_torch},
            "dtype": self.case.x.dtype.name,
        }

    def _offers(self) -> list[tuple[str, str]]:
        """Name the linked views, with their titles, that show something else than this walk."""
        if isinstance(self.case, Conv):
            return []
        same = "stamp" if self.view.order == "scatter" else ""
        return [(name, VIEWS[name][0]) for name in names(self.case) if name != same]

    def _shows_every_term(self) -> bool:
        """Tell whether the sums of the cells on screen can be written out in full."""
        all_channels = len(self.pick.in_local) == self.layer.in_per_group
        return all_channels and all(
            len(view.i) == len(axis.i) for view, axis in zip(self.axes, self.geometry.axes)
        )

    def _links(self) -> list[list[int]]:
        """Which input block meets which output block through which weight block."""
        ins, outs = len(self.pick.in_local), len(self.pick.out_local)
        return [
            [group * ins + a, self._weight_block(group, a, b), group * outs + b]
            for group in range(len(self.pick.group))
            for a in range(ins)
            for b in range(outs)
        ]

    def _marks(self) -> list[dict[str, Any]]:
        """Group and channel bounds along the whole picked trace, for the scrubber."""
        per_group = len(self.trace) // max(len(self.pick.group), 1)
        scatter = self.view.order == "scatter"
        channels = self.pick.in_local if scatter else self.pick.out_local
        size = self.layer.in_per_group if scatter else self.layer.out_per_group
        per_channel = per_group // len(channels)
        marks: list[dict[str, Any]] = []
        for at, group in enumerate(self.pick.group):
            for place, local in enumerate(channels):
                bound = "group" if place == 0 else "channel"
                side = "input" if scatter else "output"
                marks.append(
                    {
                        "at": int(at * per_group + place * per_channel),
                        "bound": bound,
                        "label": f"group {group}, {side} channel {group * size + local}",
                    }
                )
        if len(marks) > MARKS:
            marks = [mark for mark in marks if mark["bound"] == "group"][:MARKS]
        return marks

    def buffers(self) -> dict[str, np.ndarray]:
        """Return the message's columns."""
        return {
            **{f"values.{panel.name}": panel.values for panel in self.panels},
            "agrees": self._of_torch(self.verdict.agrees).astype(np.uint8)
            if self.verdict is not None
            else np.zeros(self._torch.values.size, np.uint8),
            **self.columns,
            **self.held,
        }


def build(case: Case, view: View | None = None, number: int = 0) -> bytes:
    """Return the window of a case's trace that holds MAC ``number``, as one message for the player.

    Parameters
    ----------
    case : Case
    view : View, optional
        Order, batch item and channels to look at.
    number : int
        A MAC's number in the trace of that view; outside, the nearest one is taken.

    Returns
    -------
    bytes
        A header in JSON, then columns: see ``docs/scene.md``. `read_message` reads it.

    Examples
    --------
    >>> message = build(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2))
    >>> header, columns = read_message(message)
    >>> header["window"], columns["after"][:3].tolist()
    ({'start': 0, 'stop': 12, 'total': 12}, [2.0, 2.0, 10.0])
    """
    builder = Builder(case, view or View(), number)
    return write_message(builder.header(), builder.buffers())


#: A case of more MACs takes a second and 100 MB to compare with torch: one at a time, so that a class
#: which tries large layers neither fills the memory nor holds up the small ones.
_LARGE = 10_000_000
_one_large_one = Lock()

#: Messages by what they show; a full window with its panels has up to 400 kB.
messages: Cache[tuple[str, View, int], bytes] = Cache(limit=24 * 2**20, size=len)


def scene(case: Case, view: View | None = None, number: int = 0) -> bytes:
    """Return what `build` returns, worked out once for everybody who looks at an equal case."""
    return cached(build, case, view or View(), number)


def cached(build: Callable[..., bytes], case: Any, view: View, number: int) -> bytes:
    """Return what ``build(case, view, number)`` returns, worked out once for equal cases."""

    def work_out() -> bytes:
        with _one_large_one if len(case.trace()) > _LARGE else nullcontext():
            return build(case, view, number)

    # By the case's fingerprint: a cached message holds no tensors.
    return messages.get((case.digest, view, number), work_out)


def write_message(header: dict[str, Any], buffers: dict[str, np.ndarray]) -> bytes:
    """Pack a header and arrays: length of the header (4 bytes, little-endian), header, arrays.

    The header gets ``columns``: for each array its dtype, its offset from the end of the header
    (padded to 8 bytes), and its length in elements.
    """
    offset, columns, parts = 0, {}, []
    for name, array in sorted(buffers.items(), key=lambda item: -item[1].dtype.itemsize):
        columns[name] = [array.dtype.name, offset, array.size]
        data = np.ascontiguousarray(array).tobytes()
        parts.append(data)
        offset += len(data)
    text = json.dumps({**header, "columns": columns}, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def opened(message: bytes, opening: Opening) -> bytes:
    """Return a message that says how the player opens.

    It is put beside the scene, which is worked out once for everybody who looks at the same case.

    >>> message = build(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]))
    >>> read_message(opened(message, Opening(step=3)))[0]["opening"]["step"]
    3
    """
    return _saying(message, {"opening": opening.message()})


def joined(message: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Return a message that carries others behind it; its header has their lengths: ``parts``."""
    sizes = {name: len(part) for name, part in parts.items()}
    return _saying(message, {"parts": sizes}) + b"".join(parts.values())


def _saying(message: bytes, more: dict[str, Any]) -> bytes:
    """Return a message with more in its header; its arrays stay where they are, relative to it."""
    size = int.from_bytes(message[:4], "little")
    says = json.dumps(more, separators=(",", ":")).encode()
    text = says[:-1] + b"," + message[5 : 4 + size]
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join([len(text).to_bytes(4, "little"), text, message[4 + size :]])


def read_message(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a message's header and arrays: what ``player.js`` does, for tests and other readers."""
    size = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + size])
    arrays = {
        name: np.frombuffer(message, dtype=dtype, count=count, offset=4 + size + offset)
        for name, (dtype, offset, count) in header["columns"].items()
    }
    return header, arrays


_verdicts: Cache[str, Verdict] = Cache(
    limit=16 * 2**20, size=lambda one: one.torch.nbytes + one.agrees.nbytes
)


def _verdict(case: Case | Conv) -> Verdict:
    """Return torch's verdict on a case, worked out once for equal cases."""
    return _verdicts.get(case.digest, lambda: compare(case))


def around(first: int, size: int, most: int) -> range:
    """Return the positions to show of an axis, with a few before the first one that matters."""
    if size <= most:
        return range(size)
    start = min(max(0, first - most // 8), size - most)
    return range(start, start + most)


def _within(places: np.ndarray, shown: range) -> np.ndarray:
    return (places >= shown.start) & (places < shown.stop)


def _cells(panel: Panel, channel: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Return the cell numbers of places in a panel's channels."""
    cell = channel
    sizes = [len(track) for track in panel.tracks][3 - len(places) :]
    for size, place in zip(sizes, places):
        cell = cell * size + place
    return cell.astype(np.int32)


def _grid(*places: Sequence[int | None]) -> Any:
    """Return the index of every combination of places; none of them is None."""
    return np.ix_(*(np.array(axis, dtype=np.int64) for axis in places))


def limit_of(values: np.ndarray) -> float:
    """Return the largest finite magnitude, 1 where there is none: the end of a colour scale."""
    finite = np.isfinite(values)
    ends = [function(values, where=finite, initial=0) for function in (np.min, np.max)]
    return max(-float(ends[0]), float(ends[1])) or 1.0


def _plain(value: Any) -> int | float | str:
    """Return a number as JSON can carry it; NaN and Inf as words."""
    number = wide(np.asarray(value)).item()
    return number if np.isfinite(number) else str(number)


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as Python writes it."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"

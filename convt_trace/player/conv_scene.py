"""The scene of a plain convolution: the same message as a transposed one's, see ``docs/scene.md``.

Each output cell collects its window of the padded input; the kernel is not flipped, and nothing is
cropped. What a panel holds and where a MAC stands on it is told here, all else by the scene's builder.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from convt_trace.engine.conv import Conv, ConvGeometry, ConvTrace
from convt_trace.engine.layer import Axis
from convt_trace.engine.view import POSITIONS, View
from convt_trace.player.scene import (
    COMPLETES,
    KEPT,
    LEVEL_SHIFT,
    AxisView,
    Builder,
    Track,
    around,
    cached,
    write_message,
)


class ConvAxisView(AxisView):
    """One spatial axis of a plain convolution on screen.

    The pairs are those of its transposed partner (`convt_trace.engine.conv`), read backwards: the
    partner's input positions are this one's output positions, and its canvas is the padded input.

    Attributes
    ----------
    length, before : int
        Input positions, and zeros before them.
    outputs, places : range
        The output positions, and the places of the padded input, that are shown.
    """

    def __init__(self, axis: Axis, length: int, before: int, outputs: range, places: range):
        super().__init__(axis, "scatter", outputs, places)
        self.length, self.before, self.outputs, self.places = length, before, outputs, places
        by_output = np.lexsort((self.k, self.i))
        self.i, self.k, self.c = self.i[by_output], self.k[by_output], self.c[by_output]
        self.at_output, self.at_weight = self.i - outputs.start, self.k
        self.at_input = self.c - places.start

    @cached_property
    def input(self) -> Track:
        """The padded input."""
        label = [at - self.before for at in self.places]
        real = [0 <= at < self.length for at in label]
        nothing = (False,) * len(label)
        return Track(
            label=tuple(at if there else None for at, there in zip(label, real)),
            kind=tuple("real" if there else "pad" for there in real),
            crop=nothing,
            extra=nothing,
        )

    @cached_property
    def output(self) -> Track:
        """The output's positions."""
        return Track.plain(self.outputs)

    @cached_property
    def torch(self) -> Track:
        """The same."""
        return self.output


class ConvBuilder(Builder):
    """Builds one scene of a plain convolution."""

    case: Conv
    geometry: ConvGeometry
    trace: ConvTrace
    axes: list[ConvAxisView]  # type: ignore[assignment]

    crops = False
    _flips = False

    # -- the window -----------------------------------------------------------------------------

    def _around(self, axis: Axis, i: np.ndarray, c: np.ndarray) -> tuple[range, range]:
        """Return the output positions and places on screen for MACs at these, the first above all."""
        most = POSITIONS[self.layer.dims]
        first_o, first_place = (int(i[0]), int(c[0])) if len(i) else (0, 0)
        places = around(first_o * axis.stride, axis.canvas, most)
        # A window that reaches further than the screen is shown from its tap in work.
        if first_place not in places:
            places = around(first_place, axis.canvas, most)
        return around(first_o, axis.length, most), places

    def _axis_views(self, ranges: list[tuple[range, range]]) -> list[AxisView]:
        sides = self.geometry.layer.sides
        return [
            ConvAxisView(axis, length, before, *shown)
            for axis, length, (before, _), shown in zip(
                self.geometry.axes, self.geometry.input_size, sides, ranges
            )
        ]

    # -- panels ---------------------------------------------------------------------------------

    @property
    def _input_title(self) -> str:
        padded = any(side for sides in self.geometry.layer.sides for side in sides)
        return "input x, padded with zeros" if padded else "input x"

    @cached_property
    def _weight_channels(self) -> tuple[dict[str, Any], ...]:
        first = self.layer.in_per_group
        return tuple(
            {
                "index": (out, int(local)),
                "group": group,
                "in": int(group * first + local),
                "out": out,
            }
            for group, out in self.out_channels
            for local in self.pick.in_local
        )

    def _weight_block(self, group: Any, in_place: Any, out_place: Any) -> Any:
        ins, outs = len(self.pick.in_local), len(self.pick.out_local)
        return (group * outs + out_place) * ins + in_place

    @cached_property
    def _canvas_cells(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Every output cell on screen as (n, out_channel, output position per axis)."""
        channels = [channel for _, channel in self.out_channels]
        places = np.meshgrid(channels, *(view.outputs for view in self.axes), indexing="ij")
        channel, *o = (place.reshape(-1) for place in places)
        return np.full(len(channel), self.view.n), channel, o

    @cached_property
    def _kept_cells(self) -> np.ndarray:
        return np.ones(len(self._canvas_cells[0]), dtype=bool)

    @property
    def _unreachable(self) -> np.ndarray:
        return ~self._kept_cells

    # -- rows -----------------------------------------------------------------------------------

    def _track_places(self) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        macs = self.macs
        i, k, o = ([*column.T] for column in (macs.i, macs.k, macs.o))
        on_input = [at + view.before - view.places.start for at, view in zip(i, self.axes)]
        return on_input, k, [at - view.outputs.start for at, view in zip(o, self.axes)]

    def _flags(self) -> np.ndarray:
        macs, ins = self.macs, self.layer.in_per_group
        numbers = np.arange(self.start, self.start + len(macs))
        last = (macs.in_channel % ins == ins - 1) & (
            macs.k == np.array(self.layer.kernel_size) - 1
        ).all(axis=1)
        level = self.trace.numbering.levels(numbers)
        # Nothing is cropped: what reads a padded zero lands in its cell too.
        return KEPT + (level << LEVEL_SHIFT) + last.astype(np.uint8) * COMPLETES

    # -- the message ----------------------------------------------------------------------------

    def header(self) -> dict[str, Any]:
        """Return the header, with what a plain convolution's has besides."""
        header = super().header()
        padded = self.geometry.padded_macs
        return {**header, "op": "conv", "macs": {**header["macs"], "padded": padded}}


def build_conv(conv: Conv, view: View | None = None, number: int = 0) -> bytes:
    """Return the window of a plain convolution's trace that holds MAC ``number``, as one message.

    Parameters
    ----------
    conv : Conv
    view : View, optional
        Batch item and channels to look at.
    number : int
        A MAC's number in the trace of that view; outside, the nearest one is taken.

    Examples
    --------
    >>> from convt_trace.player.scene import read_message
    >>> message = build_conv(Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]]))
    >>> header, columns = read_message(message)
    >>> header["window"], columns["after"].tolist()
    ({'start': 0, 'stop': 6, 'total': 6}, [2, 3, 8, 1, 2, 17])
    """
    builder = ConvBuilder(conv, view or View("gather"), number)
    return write_message(builder.header(), builder.buffers())


def conv_scene(conv: Conv, view: View | None = None, number: int = 0) -> bytes:
    """Return what `build_conv` returns, worked out once for everybody who looks at an equal one."""
    return cached(build_conv, conv, view or View("gather"), number)

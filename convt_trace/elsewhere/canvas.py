"""The values of the canvas, and of the windows that frameworks keep of it: whole numbers exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from convt_trace.elsewhere.conventions import CanvasAxis, Window, along, torch_window
from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case


def axes_of(case: Case) -> tuple[CanvasAxis, ...]:
    """Return the axes of a case's canvas.

    >>> axes_of(Case.of([[[2, 1, 1]]], [[[1, 5]]], stride=2))
    (CanvasAxis(length=3, taps=2, stride=2, dilation=1),)
    """
    layer = case.layer
    return along(case.geometry.input_size, layer.kernel_size, layer.stride, layer.dilation)


def windows_of(case: Case) -> tuple[Window, ...]:
    """Return what PyTorch keeps of a case's canvas, per axis.

    >>> windows_of(Case.of([[[2, 1, 1]]], [[[1, 5]]], stride=2, padding=1))
    (Window(before=1, size=4, wraps=False),)
    """
    layer = case.layer
    return tuple(map(torch_window, axes_of(case), layer.padding, layer.output_padding))


def canvas_of(case: Case) -> np.ndarray:
    """Return the full output before any crop and without bias: int64 for integers, else float64.

    Returns
    -------
    ndarray, shape (N, C_out, *canvas)

    Examples
    --------
    >>> canvas_of(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)).tolist()
    [[[2, 3, 12, 9, 8, 15]]]
    """
    return spread(wide(case.batched), wide(case.weight), axes_of(case), case.layer.groups)


def spread(
    x: np.ndarray, weight: np.ndarray, axes: Sequence[CanvasAxis], groups: int = 1
) -> np.ndarray:
    """Return the canvas of an input (N, C_in, *L) and a weight (C_in, C_out/groups, *K).

    >>> spread(np.array([[[1, 2]]]), np.array([[[1, 10]]]), [CanvasAxis(2, 2)]).tolist()
    [[[1, 12, 20]]]
    """
    size = [axis.canvas for axis in axes]
    batch, outs = len(x), weight.shape[1]
    canvas = np.zeros((batch, groups, outs, *size), dtype=np.result_type(x, weight))
    ins = len(weight) // groups
    x = x.reshape(batch, groups, ins, *x.shape[2:])
    weight = weight.reshape(groups, ins, *weight.shape[1:])
    for taps in product(*(range(axis.taps) for axis in axes)):
        at = tuple(map(_met, taps, axes))
        here: Any = (..., *at)
        tap: Any = (..., *taps)
        with np.errstate(over="ignore", invalid="ignore"):
            canvas[here] += np.einsum("ngi...,gio->ngo...", x, weight[tap])
    return canvas.reshape(batch, groups * outs, *size)


def _met(tap: int, axis: CanvasAxis) -> slice:
    """Return the canvas positions where a tap meets each input position."""
    begin = tap * axis.dilation
    return slice(begin, begin + (axis.length - 1) * axis.stride + 1, axis.stride)


def keep(canvas: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Return what windows keep of a canvas; one window for each of its last axes.

    Examples
    --------
    >>> canvas = np.array([[[1, 12, 20]]])
    >>> keep(canvas, [Window(before=-1, size=3)]).tolist()
    [[[0, 1, 12]]]
    >>> keep(canvas, [Window(before=1, size=2, wraps=True)]).tolist()
    [[[12, 21]]]
    """
    for axis, window in enumerate(windows, start=canvas.ndim - len(windows)):
        canvas = _keep_axis(canvas, window, axis)
    return canvas


def _keep_axis(canvas: np.ndarray, window: Window, axis: int) -> np.ndarray:
    canvas = np.moveaxis(canvas, axis, 0)
    kept = np.zeros((window.size, *canvas.shape[1:]), dtype=canvas.dtype)
    if window.wraps:
        np.add.at(kept, (np.arange(len(canvas)) - window.before) % window.size, canvas)
    else:
        begin = max(window.before, 0)
        end = max(begin, min(window.before + window.size, len(canvas)))
        kept[begin - window.before : end - window.before] = canvas[begin:end]
    return np.moveaxis(kept, 0, axis)


def output_of(
    case: Case, windows: Sequence[Window], canvas: np.ndarray | None = None
) -> np.ndarray:
    """Return a case's output through other windows, with bias, in its own dtype and shape.

    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> output_of(case, [Window(0, 4)]).tolist(), output_of(case, windows_of(case)).tolist()
    ([[[2, 3, 12, 9]]], [[[12, 9]]])
    """
    canvas = canvas_of(case) if canvas is None else canvas
    return case.finished(keep(canvas, windows))

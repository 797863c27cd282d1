"""One axis of a layer, or of what stands in for it, with weights that are the same in all channels.

Such weights are a product over the axes, so a whole layer is worked out one axis at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from convt_trace.engine.layer import Axis

#: What an axis does to an array: its last axis, of input positions, becomes one of output positions.
Step = Callable[[np.ndarray], np.ndarray]


def through(x: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """Return an array with a step done along each of its last axes.

    >>> double = lambda x: np.repeat(x, 2, axis=-1)
    >>> through(np.array([[1, 2]]), [double, double]).tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    for axis, step in enumerate(steps, start=x.ndim - len(steps)):
        x = np.moveaxis(step(np.moveaxis(x, axis, -1)), -1, axis)
    return x


def spread(x: np.ndarray, axis: Axis, weight: Sequence[float]) -> np.ndarray:
    """Return what one axis of a transposed convolution makes of an array.

    >>> axis = Axis(3, 3, stride=2, padding=0, output_padding=0, dilation=1)
    >>> spread(np.ones(3), axis, [1, 1, 1]).tolist()
    [1.0, 1.0, 2.0, 1.0, 2.0, 1.0, 1.0]
    """
    canvas = np.zeros((*x.shape[:-1], axis.canvas))
    for tap, value in enumerate(weight):
        here = axis.k == tap
        canvas[..., axis.c[here]] += x[..., axis.i[here]] * value
    return canvas[..., axis.inside]


def mean_of_three(x: np.ndarray) -> np.ndarray:
    """Return the mean of each value and its neighbours; beyond an end stands its last value again.

    >>> mean_of_three(np.array([3.0, 0.0, 3.0])).tolist()
    [2.0, 2.0, 2.0]
    """
    padded = np.concatenate([x[..., :1], x, x[..., -1:]], axis=-1)
    return (padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / 3


def nearest(x: np.ndarray, length: int) -> np.ndarray:
    """Return an array resized as ``mode="nearest"`` does it.

    >>> nearest(np.array([1, 2]), 5).tolist()
    [1, 1, 1, 2, 2]
    """
    # torch divides and multiplies in 32 bits, which decides where a product falls short of a whole.
    scale = np.float32(x.shape[-1]) / np.float32(length)
    at = np.floor(np.arange(length, dtype=np.float32) * scale).astype(np.int64)
    return x[..., np.minimum(at, x.shape[-1] - 1)]


def linear(x: np.ndarray, length: int) -> np.ndarray:
    """Return an array resized as ``mode="linear"`` does it, with its ``align_corners=False``.

    >>> linear(np.array([0.0, 4.0]), 4).tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    at = np.maximum((np.arange(length) + 0.5) * x.shape[-1] / length - 0.5, 0)
    before = np.minimum(at.astype(np.int64), x.shape[-1] - 1)
    after, part = np.minimum(before + 1, x.shape[-1] - 1), at - before
    return x[..., before] * (1 - part) + x[..., after] * part

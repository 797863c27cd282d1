"""The frameworks' layers by plain loops, from their definitions: they share no code with the formulas.

JAX' is a plain convolution over the input with zeros between and around it. TensorFlow's is the gradient
of a plain convolution whose output has the input's size. Channels come first, of one batch item.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np


def plain(x: np.ndarray, kernel: np.ndarray, pads: Any, stuffed: Any, dilation: Any) -> np.ndarray:
    """A plain convolution, stride 1: x (in, *L), kernel (in, out, *k), zeros between and around x."""
    dims = x.ndim - 1
    size = [(n - 1) * s + 1 + a + b for n, s, (a, b) in zip(x.shape[1:], stuffed, pads)]
    signal: dict = {}
    for at in product(*map(range, x.shape[1:])):
        place = tuple(i * s + a for i, s, (a, _) in zip(at, stuffed, pads))
        if all(0 <= p < n for p, n in zip(place, size)):
            signal[place] = x[(slice(None), *at)]
    spans = [d * (k - 1) + 1 for k, d in zip(kernel.shape[2:], dilation)]
    out = [max(0, n - span + 1) for n, span in zip(size, spans)]
    y = np.zeros((kernel.shape[1], *out), dtype=np.result_type(x, kernel))
    for o in product(*map(range, out)):
        for k in product(*map(range, kernel.shape[2:])):
            value = signal.get(tuple(o[a] + k[a] * dilation[a] for a in range(dims)))
            if value is not None:
                y[(slice(None), *o)] += value @ kernel[(slice(None), slice(None), *k)]
    return y


def scattered(
    x: np.ndarray, weight: np.ndarray, before: Any, size: Any, stride: Any, dilation: Any
) -> np.ndarray:
    """Every product added where it lands: output o is canvas position before + o."""
    y = np.zeros((weight.shape[1], *size), dtype=np.result_type(x, weight))
    for i in product(*map(range, x.shape[1:])):
        for k in product(*map(range, weight.shape[2:])):
            o = [a * s + b * d - p for a, s, b, d, p in zip(i, stride, k, dilation, before)]
            if all(0 <= at < n for at, n in zip(o, size)):
                y[(slice(None), *o)] += (
                    x[(slice(None), *i)] @ weight[(slice(None), slice(None), *k)]
                )
    return y


def same_gradient(
    x: np.ndarray, weight: np.ndarray, size: Any, stride: Any, dilation: Any
) -> np.ndarray:
    """The gradient of a plain convolution with padding "SAME" over an input of ``size``.

    TensorFlow pads that convolution by max(0, (out-1)*stride + span - size) zeros, half of them, rounded
    down, at the beginning.
    """
    spans = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
    before = [
        max(0, (n - 1) * s + span - length) // 2
        for n, s, span, length in zip(x.shape[1:], stride, spans, size)
    ]
    return scattered(x, weight, before, size, stride, dilation)

"""Where each framework puts a weight's axes, both ways: PyTorch's (in, out/groups, *k) and theirs.

Keras, JAX and flax have no groups in their transposed layer, so their weights are one group's.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def keras_kernel(weight: np.ndarray) -> np.ndarray:
    """Return PyTorch's (in, out, *k) as Keras' (*k, out, in).

    >>> keras_kernel(np.zeros((2, 3, 4, 5))).shape
    (4, 5, 3, 2)
    """
    return np.transpose(weight, (*range(2, weight.ndim), 1, 0))


def from_keras_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return Keras' (*k, out, in) as PyTorch's (in, out, *k).

    >>> from_keras_kernel(np.zeros((4, 5, 3, 2))).shape
    (2, 3, 4, 5)
    """
    return np.transpose(kernel, (kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2)))


def jax_kernel(weight: np.ndarray, transpose_kernel: bool = False) -> np.ndarray:
    """Return PyTorch's (in, out, *k) as ``lax.conv_transpose`` and flax have it.

    With ``transpose_kernel`` that is Keras' (*k, out, in). Without it (*k, in, out), and the taps
    are backwards, because JAX then slides the kernel as a plain convolution does.

    >>> jax_kernel(np.array([[[1, 2, 3]]])).ravel().tolist()
    [3, 2, 1]
    >>> jax_kernel(np.array([[[1, 2, 3]]]), transpose_kernel=True).ravel().tolist()
    [1, 2, 3]
    """
    if transpose_kernel:
        return keras_kernel(weight)
    backwards = np.flip(weight, axis=tuple(range(2, weight.ndim)))
    return np.transpose(backwards, (*range(2, weight.ndim), 0, 1))


def from_jax_kernel(kernel: np.ndarray, transpose_kernel: bool = False) -> np.ndarray:
    """Return a kernel of ``lax.conv_transpose`` or flax as PyTorch's (in, out, *k).

    >>> from_jax_kernel(np.array([3, 2, 1]).reshape(3, 1, 1)).ravel().tolist()
    [1, 2, 3]
    """
    if transpose_kernel:
        return from_keras_kernel(kernel)
    weight = np.transpose(kernel, (kernel.ndim - 2, kernel.ndim - 1, *range(kernel.ndim - 2)))
    return np.flip(weight, axis=tuple(range(2, kernel.ndim)))


def general_kernel(weight: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return PyTorch's (in, out/groups, *k) as ``lax.conv_general_dilated``'s: a plain conv's weight.

    That is (out, in/groups, *k), group by group, with the taps backwards.

    >>> general_kernel(np.zeros((4, 3, 5)), groups=2).shape
    (6, 2, 5)
    """
    return _exchanged(np.flip(weight, axis=tuple(range(2, weight.ndim))), groups)


def from_general_kernel(kernel: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return ``lax.conv_general_dilated``'s (out, in/groups, *k) as PyTorch's (in, out/groups, *k).

    >>> from_general_kernel(np.zeros((6, 2, 5)), groups=2).shape
    (4, 3, 5)
    """
    return _exchanged(np.flip(kernel, axis=tuple(range(2, kernel.ndim))), groups)


def _exchanged(weight: np.ndarray, groups: int) -> np.ndarray:
    """Exchange the two channel axes inside each group's block."""
    blocks = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    return blocks.reshape(-1, *blocks.shape[2:])


def stuffed_kernel(weight: np.ndarray, dilation: tuple[int, ...]) -> np.ndarray:
    """Return a weight with zeros between its taps: dilation written into the kernel.

    >>> stuffed_kernel(np.array([[[1, 2, 3]]]), (2,)).ravel().tolist()
    [1, 0, 2, 0, 3]
    """
    size = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
    stuffed = np.zeros((*weight.shape[:2], *size), dtype=weight.dtype)
    at: Any = (..., *(slice(None, None, d) for d in dilation))
    stuffed[at] = weight
    return stuffed

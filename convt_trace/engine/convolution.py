"""What both kinds of convolution are: a layer, transposed or plain, with its numbers."""

from __future__ import annotations

import hashlib
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np

from convt_trace.engine.arrays import as_array, wide
from convt_trace.engine.layer import Channels, Ints


class _Sized(Protocol):
    @property
    def output_shape(self) -> Ints: ...


class Convolution:
    """A layer with its numbers; `Case` and `Conv` are the two kinds.

    Attributes
    ----------
    layer : Channels
    x : ndarray, shape (N, C_in, *L) or unbatched (C_in, *L)
    weight, bias : ndarray; bias may be None
    """

    layer: Channels
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None

    @property
    def geometry(self) -> _Sized:
        """The layer on this input's size."""
        raise NotImplementedError

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of torch's function."""
        raise NotImplementedError

    @property
    def op(self) -> str:
        """The name of torch's function."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Convolution) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return self.layer.dims

    @property
    def unbatched(self) -> bool:
        """Whether the input came without a batch axis."""
        return self.x.ndim == self.dims + 1

    @property
    def batched(self) -> np.ndarray:
        """The input with a batch axis, shape (N, C_in, *L)."""
        return self.x[None] if self.unbatched else self.x

    def finished(self, sums: np.ndarray) -> np.ndarray:
        """Return the output that sums become: the bias added, then torch's dtype and shape.

        Parameters
        ----------
        sums : ndarray of float64 or int64, shape (N, C_out, *L_out)

        Returns
        -------
        ndarray, shape (N, C_out, *L_out), or (C_out, *L_out) for an unbatched input

        >>> from convt_trace import Case
        >>> case = Case.of(np.ones((1, 1, 2), np.float32), np.ones((1, 1, 1), np.float32), [5.0])
        >>> case.finished(np.array([[[1.0, 2.0]]])).tolist()
        [[[6.0, 7.0]]]
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.bias is not None:
                sums = sums + wide(self.bias).reshape(1, -1, *[1] * self.dims)
            result = sums.astype(self.x.dtype)
        return result[0] if self.unbatched else result

    @property
    def nbytes(self) -> int:
        """The memory of its numbers, with the wide ones that its trace computes with."""
        numbers = self.x.size + self.weight.size + prod(self.geometry.output_shape)
        return numbers * (self.x.itemsize + 8)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of everything that changes the picture, equal for equal convolutions."""
        mark = hashlib.blake2b(f"{self.op}{self.parameters}".encode(), digest_size=12)
        for tensor in (self.x, self.weight, self.bias):
            if tensor is None:
                mark.update(b"None")
            else:
                mark.update(f"{tensor.dtype}{tensor.shape}".encode())
                mark.update(np.ascontiguousarray(tensor).view(np.uint8).data)
        return mark.hexdigest()

    def line(self) -> str:
        """Return the layer as one line of PyTorch."""
        constructor = f"nn.{self.layer}"
        return constructor if self.bias is not None else f"{constructor[:-1]}, bias=False)"


def pair(x: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return input and weight as arrays of one dtype; a nested list takes the other's."""
    typed = hasattr(x, "dtype"), hasattr(weight, "dtype")
    if typed == (False, False):
        x, weight = as_array(x, "x"), as_array(weight, "weight")
        both = np.result_type(x, weight) if x.dtype != weight.dtype else x.dtype
        both = np.dtype(np.float32) if both.kind == "f" else both
        return x.astype(both), weight.astype(both)
    if typed == (False, True):
        weight = as_array(weight, "weight")
        x = as_array(x, "x", like=weight.dtype)
    else:
        x = as_array(x, "x")
        weight = as_array(weight, "weight", like=x.dtype)
    return x, weight

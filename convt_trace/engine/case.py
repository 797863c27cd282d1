"""A case: one layer with its numbers. Whatever starts a picture makes one; whatever shows one takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.engine.layer import Geometry, Ints, Layer, ints
from convt_trace.engine.trace import Trace, trace

#: Larger tensors are written into a snippet as their recipe's shape, not number by number.
_WRITTEN_OUT = 4096


@dataclass(frozen=True, eq=False)
class Case:
    """One transposed convolution with its numbers, valid by construction.

    Attributes
    ----------
    x : ndarray, shape (N, C_in, *L) or unbatched (C_in, *L)
    weight : ndarray, shape (C_in, C_out/groups, *K)
    bias : ndarray, shape (C_out,), or None
    stride, padding, output_padding, dilation : tuple of int, one per spatial dimension
    groups : int
    origin : str
        Where the case came from, in a few words for the reader.

    Raises
    ------
    LayerError, TypeError
        As `convt_trace.trace`.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> case.trace().output.tolist()
    [[[12, 9]]]
    >>> print(case.line())
    nn.ConvTranspose1d(1, 1, 3, padding=2, bias=False)
    """

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    groups: int
    origin: str = ""
    _scatter: Trace | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        x: ArrayLike | Any,
        weight: ArrayLike | Any,
        bias: ArrayLike | Any | None = None,
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        dilation: int | Sequence[int] = 1,
        origin: str = "",
    ) -> Case:
        """Make a case from what `convt_trace.trace` takes."""
        traced = trace(
            x,
            weight,
            bias,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            dilation=dilation,
        )
        layer = traced.geometry.layer
        return cls(
            x=traced.x[0] if traced.unbatched else traced.x,
            weight=traced.weight,
            bias=traced.bias,
            stride=layer.stride,
            padding=layer.padding,
            output_padding=layer.output_padding,
            dilation=layer.dilation,
            groups=ints(groups, 1, "groups")[0],
            origin=origin,
            _scatter=traced,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def trace(self, order: str = "scatter") -> Trace:
        """Return the trace of this case; both orders share their tensors."""
        return self._traced if order == "scatter" else self._traced.in_order(order)

    @cached_property
    def _traced(self) -> Trace:
        return self._scatter or trace(self.x, self.weight, self.bias, **self.parameters)

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of ``torch.nn.functional.conv_transposeNd``."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "groups": self.groups,
            "dilation": self.dilation,
        }

    @property
    def layer(self) -> Layer:
        """The layer's parameters."""
        return self.geometry.layer

    @property
    def geometry(self) -> Geometry:
        """The layer on this input's size."""
        return self._traced.geometry

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return self.weight.ndim - 2

    @property
    def op(self) -> str:
        """The name of torch's function, such as ``conv_transpose1d``."""
        return f"conv_transpose{self.dims}d"

    @property
    def unbatched(self) -> bool:
        """Whether the input came without a batch axis."""
        return self.x.ndim == self.dims + 1

    @property
    def parameter_count(self) -> int:
        """Learned numbers: weight and bias."""
        return self.weight.size + (self.bias.size if self.bias is not None else 0)

    @property
    def nbytes(self) -> int:
        """The memory of its numbers, with the wide ones that its trace computes with."""
        numbers = self.x.size + self.weight.size + prod(self.geometry.output_shape)
        return numbers * (self.x.itemsize + 8)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of everything that changes the picture, equal for equal cases."""
        mark = hashlib.blake2b(repr(self.parameters).encode(), digest_size=12)
        for tensor in (self.x, self.weight, self.bias):
            if tensor is None:
                mark.update(b"None")
            else:
                mark.update(f"{tensor.dtype}{tensor.shape}".encode())
                mark.update(np.ascontiguousarray(tensor).view(np.uint8).data)
        return mark.hexdigest()

    def to_json(self) -> str:
        """Return the case as a JSON file, described in ``docs/case-file.md``."""
        from convt_trace.links.files import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str | bytes) -> Case:
        """Return the case of a JSON file; raises `convt_trace.links.files.FileError` for any other text.

        >>> case = Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]])
        >>> Case.from_json(case.to_json()) == case
        True
        """
        from convt_trace.links.files import from_json

        return from_json(text)

    def to_html(self, **options: Any) -> str:
        """Return a page that plays this case with no server and no network: `export.to_html`."""
        from convt_trace.player.page import to_html

        return to_html(self, **options)

    def _repr_html_(self) -> str | None:
        try:
            from convt_trace.player.page import notebook
        except ImportError:  # the page shows torch's result; the engine does not
            return None
        return notebook(self)

    def line(self) -> str:
        """Return the layer as one line of PyTorch."""
        constructor = f"nn.{self.layer}"
        return constructor if self.bias is not None else f"{constructor[:-1]}, bias=False)"

    def snippet(self) -> str:
        """Return a program that prints this case's output with torch; it needs nothing else.

        Examples
        --------
        >>> print(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]).snippet())
        import torch
        from torch import nn
        <BLANKLINE>
        x = torch.tensor([2, 1], dtype=torch.float32).reshape(1, 1, 2)
        weight = torch.tensor([1, 5], dtype=torch.float32).reshape(1, 1, 2)
        <BLANKLINE>
        layer = nn.ConvTranspose1d(1, 1, 2, bias=False)
        layer.weight = nn.Parameter(weight, requires_grad=False)
        print(layer(x))
        """
        tensors = {"x": self.x, "weight": self.weight}
        if self.bias is not None:
            tensors["bias"] = self.bias
        lines = ["import torch", "from torch import nn", ""]
        lines += [f"{name} = {_written(tensor)}" for name, tensor in tensors.items()]
        lines += ["", f"layer = {self.line()}"]
        lines += [
            f"layer.{name} = nn.Parameter({name}, requires_grad=False)"
            for name in tensors
            if name != "x"
        ]
        return "\n".join([*lines, "print(layer(x))"])


def _written(tensor: np.ndarray) -> str:
    """Return a tensor as a torch expression; a large one as random numbers of its shape."""
    shape = ", ".join(map(str, tensor.shape))
    dtype = f"torch.{tensor.dtype.name}"
    if tensor.size > _WRITTEN_OUT:
        return f"torch.randn({shape}).to({dtype})  # {tensor.size:,} numbers: not written out"
    numbers = ", ".join(_number(value) for value in tensor.reshape(-1).tolist())
    return f"torch.tensor([{numbers}], dtype={dtype}).reshape({shape})"


def _number(value: float) -> str:
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return f'float("{value}")'
        if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
    return repr(value)

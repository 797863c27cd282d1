"""A case: one layer with its numbers. Every input of the app becomes one; every picture is made of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.engine.arrays import as_array, scalar_type
from convt_trace.engine.blocks import add_up
from convt_trace.engine.convolution import Convolution, pair
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import DEFAULTS, Geometry, Layer, whole
from convt_trace.engine.trace import Trace

#: Larger tensors are written into a snippet as random ones of their shape, not number by number.
_WRITTEN_OUT = 4096


@dataclass(frozen=True, eq=False)
class Case(Convolution):
    """One transposed convolution with its numbers, valid by construction.

    Made by `Case.of` from torch's arguments. Drawing, writing and linking it is done by other wings.

    Attributes
    ----------
    layer : Layer
    x : ndarray, shape (N, C_in, *L) or unbatched (C_in, *L)
    weight : ndarray, shape (C_in, C_out/groups, *K)
    bias : ndarray, shape (C_out,), or None
    origin : str
        Where the case came from, in a few words for the reader.

    Raises
    ------
    LayerError
        If the tensors do not fit the layer or each other, or there is no output.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)
    >>> case.trace().output.tolist()
    [[[12, 9]]]
    >>> print(case.line())
    nn.ConvTranspose1d(1, 1, 3, padding=2, bias=False)
    """

    layer: Layer
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None = None
    origin: str = ""

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
        """Make a case from arrays, tensors or nested lists: the arguments are those of `trace`."""
        x, weight = pair(x, weight)
        dims = weight.ndim - 2
        if dims not in (1, 2, 3):
            least = "weight should have at least three dimensions"
            most = f"expected a weight of at most 5 dimensions, but got weight of size {[*weight.shape]}"
            raise LayerError(
                least if dims < 1 else most,
                "A weight is (C_in, C_out/groups, *K) with 1, 2 or 3 kernel sizes.",
            )
        _check_axes(x, weight)
        if whole(groups, "groups", dims) < 1:
            raise LayerError(
                "non-positive groups is not supported", "Use groups=1 for no grouping."
            )
        layer = Layer.of(
            weight.shape[0],
            weight.shape[1] * groups,
            weight.shape[2:],
            stride,
            padding,
            output_padding,
            groups,
            dilation,
            dims=dims,
        )
        if bias is not None:
            bias = as_array(bias, "bias", like=weight.dtype)
        return cls(layer, x, weight, bias, origin)

    def __post_init__(self) -> None:
        layer, x, weight = self.layer, self.x, self.weight
        if weight.shape != layer.weight_shape:
            raise LayerError(
                f"{layer} has a weight of size {[*layer.weight_shape]}, but got weight of size "
                f"{[*weight.shape]}",
                "A weight is (C_in, C_out/groups, *K).",
            )
        _check_axes(x, weight)
        if x.dtype != weight.dtype:
            raise LayerError(
                f"expected scalar type {scalar_type(x.dtype)} but found "
                f"{scalar_type(weight.dtype)}",
                f"x is {x.dtype} and weight is {weight.dtype}: give both the same dtype, "
                "for example with x.float().",
            )
        channels = x.shape[-1 - layer.dims]
        if channels != layer.in_channels:
            raise LayerError(
                f"Given transposed=1, weight of size {[*weight.shape]}, expected "
                f"input{[*x.shape]} to have {layer.in_channels} channels, but got {channels} "
                "channels instead",
                "The weight's first number is in_channels, the input's channels (a Conv's weight "
                "has out_channels first).",
            )
        _ = self.geometry  # refuses an input or an output with nothing in it
        if self.bias is not None:
            _check_bias(self.bias, weight, layer)

    def trace(self, order: str = "scatter") -> Trace:
        """Return the trace of this case, "scatter" or "gather"; the scatter one is cached."""
        return self._scatter if order == "scatter" else Trace(self, order)

    @cached_property
    def _scatter(self) -> Trace:
        return Trace(self)

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of ``torch.nn.functional.conv_transposeNd``."""
        return {name: getattr(self.layer, name) for name in DEFAULTS}

    @cached_property
    def geometry(self) -> Geometry:
        """The layer on this input's size."""
        return Geometry(self.layer, self.batched.shape[0], self.batched.shape[2:])

    @property
    def op(self) -> str:
        """The name of torch's function, such as ``conv_transpose1d``."""
        return f"conv_transpose{self.dims}d"

    def added(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the output's sums of other numbers in these tensors' places, without the bias.

        Parameters
        ----------
        x, weight : ndarray of float64 or int64, in the shapes of `batched` and `weight`

        Returns
        -------
        ndarray, shape (N, C_out, *L_out)

        >>> case = Case.of([[[2, -1]]], [[[1, 5]]])
        >>> case.added(np.abs(case.batched), case.weight).tolist()
        [[[2, 11, 5]]]
        """
        canvas = add_up(self.geometry, x, weight)
        return canvas[(slice(None), slice(None), *(axis.inside for axis in self.geometry.axes))]

    @property
    def most_terms(self) -> int:
        """Terms of the output cell that has the most."""
        return self.layer.in_per_group * prod(axis.most for axis in self.geometry.axes)

    @property
    def parameter_count(self) -> int:
        """Learned numbers: weight and bias."""
        return self.weight.size + (self.bias.size if self.bias is not None else 0)

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
        lines = ["import torch", "from torch import nn", "", self.tensors_as_code()]
        lines += ["", f"layer = {self.line()}"]
        lines += [
            f"layer.{name} = nn.Parameter({name}, requires_grad=False)"
            for name in self._tensors
            if name != "x"
        ]
        return "\n".join([*lines, "print(layer(x))"])

    def tensors_as_code(self) -> str:
        """Return lines of torch that make ``x``, ``weight`` and, if there is one, ``bias``.

        >>> print(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]).tensors_as_code())
        x = torch.tensor([2, 1], dtype=torch.float32).reshape(1, 1, 2)
        weight = torch.tensor([1, 5], dtype=torch.float32).reshape(1, 1, 2)
        """
        return "\n".join(f"{name} = {_written(tensor)}" for name, tensor in self._tensors.items())

    @property
    def _tensors(self) -> dict[str, np.ndarray]:
        bias = {} if self.bias is None else {"bias": self.bias}
        return {"x": self.x, "weight": self.weight, **bias}


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


def trace(
    x: ArrayLike | Any,
    weight: ArrayLike | Any,
    bias: ArrayLike | Any | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    order: str = "scatter",
) -> Trace:
    """Trace one transposed convolution; 1, 2 or 3 spatial dimensions, read off the weight.

    Parameters
    ----------
    x : array_like or torch.Tensor, shape (N, C_in, *L) or unbatched (C_in, *L)
        Input; float16, bfloat16, float32, float64 or an integer dtype.
    weight : array_like or torch.Tensor, shape (C_in, C_out/groups, *K)
    bias : array_like or torch.Tensor, shape (C_out,), optional
    stride, padding, output_padding, dilation : int or sequence of int
        In positions, as in ``torch.nn.functional.conv_transpose2d``.
    groups : int
    order : {"scatter", "gather"}
        Each input value stamps the kernel, or each output cell collects its taps.

    Returns
    -------
    Trace

    Raises
    ------
    LayerError
        If torch refuses the layer; the message is torch's, with what to change.
    TypeError
        For tensors of other dtypes.

    Examples
    --------
    The question this project began with: two groups of two channels.

    >>> weight = np.array([1, 1, 2] * 8, dtype=np.float32).reshape(4, 2, 3)
    >>> x = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2], dtype=np.float32).reshape(1, 4, 3)
    >>> t = trace(x, weight, padding=2, groups=2)
    >>> t.output.ravel().tolist()
    [8.0, 8.0, 10.0, 10.0]
    >>> t.of_output(0, 0, 0).product.tolist()
    [2.0, 1.0, 1.0, 2.0, 1.0, 1.0]
    """
    case = Case.of(
        x,
        weight,
        bias,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    return case.trace(order)


def _check_axes(x: np.ndarray, weight: np.ndarray) -> None:
    dims = weight.ndim - 2
    if x.ndim not in (dims + 1, dims + 2):
        raise LayerError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to "
            f"conv_transpose{dims}d, but got input of size: {[*x.shape]}",
            f"x is (N, C_in, *L) or (C_in, *L), and this weight has {dims} kernel sizes.",
        )


def _check_bias(bias: np.ndarray, weight: np.ndarray, layer: Layer) -> None:
    if bias.shape != (layer.out_channels,):
        raise LayerError(
            f"Given transposed=1, weight of size {[*weight.shape]}, expected bias to be "
            f"1-dimensional with {layer.out_channels} elements, but got bias of size "
            f"{[*bias.shape]} instead",
            f"A bias has one number per output channel: {layer.out_channels}.",
        )
    if bias.dtype != weight.dtype:
        raise LayerError(
            f"expected scalar type {scalar_type(weight.dtype)} but found {scalar_type(bias.dtype)}",
            "Give the bias the weight's dtype.",
        )

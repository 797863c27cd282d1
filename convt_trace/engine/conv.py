"""A plain convolution with its numbers: what a `Case` is to a transposed one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.engine.arrays import as_array, scalar_type
from convt_trace.engine.conv_layer import CONV_DEFAULTS, ConvGeometry, ConvLayer
from convt_trace.engine.conv_trace import ConvTrace
from convt_trace.engine.convolution import Convolution, pair
from convt_trace.engine.layer import Ints, ints, refuse_unless, whole


@dataclass(frozen=True, eq=False)
class Conv(Convolution):
    """One plain convolution with its numbers, valid by construction.

    Made by `Conv.of` from torch's arguments.

    Attributes
    ----------
    layer : ConvLayer
    x : ndarray, shape (N, C_in, *L) or unbatched (C_in, *L)
    weight : ndarray, shape (C_out, C_in/groups, *K)
    bias : ndarray, shape (C_out,), or None
    origin : str
        Where it came from, in a few words for the reader.

    Raises
    ------
    LayerError
        If the tensors do not fit the layer or each other, or there is no output.

    Examples
    --------
    >>> conv = Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]])
    >>> conv.trace().output.tolist()
    [[[8, 17]]]
    >>> print(conv.line())
    nn.Conv1d(1, 1, 3, bias=False)
    """

    layer: ConvLayer
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
        padding: int | str | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        origin: str = "",
    ) -> Conv:
        """Make one from arrays, tensors or nested lists: the arguments are those of ``conv2d``."""
        x, weight = pair(x, weight)
        dims = weight.ndim - 2
        refuse_unless(
            dims in (1, 2, 3),
            f"expected a weight of 3 to 5 dimensions, but got weight of size {[*weight.shape]}",
            "A weight is (C_out, C_in/groups, *K) with 1, 2 or 3 kernel sizes.",
        )
        groups = whole(groups, "groups", dims, "conv")
        padding = 0 if isinstance(padding, str) and padding == "valid" else padding
        layer = ConvLayer(
            weight.shape[1] * groups,
            weight.shape[0],
            weight.shape[2:],
            ints(stride, dims, "stride", "conv"),
            padding if isinstance(padding, str) else ints(padding, dims, "padding", "conv"),
            ints(dilation, dims, "dilation", "conv"),
            groups,
        )
        if bias is not None:
            bias = as_array(bias, "bias", like=weight.dtype)
        return cls(layer, x, weight, bias, origin)

    def __post_init__(self) -> None:
        layer, x, weight = self.layer, self.x, self.weight
        shape = [*weight.shape]
        refuse_unless(
            weight.shape == layer.weight_shape,
            f"{layer} has a weight of size {[*layer.weight_shape]}, but got weight of size {shape}",
            "A weight is (C_out, C_in/groups, *K).",
        )
        dims = layer.dims
        refuse_unless(
            x.ndim in (dims + 1, dims + 2),
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to conv{dims}d, "
            f"but got input of size: {[*x.shape]}",
            f"x is (N, C_in, *L) or (C_in, *L), and this weight has {dims} kernel sizes.",
        )
        refuse_unless(
            x.dtype == weight.dtype,
            f"expected scalar type {scalar_type(x.dtype)} but found {scalar_type(weight.dtype)}",
            f"x is {x.dtype} and weight is {weight.dtype}: give both the same dtype.",
        )
        channels = x.shape[-1 - dims]
        refuse_unless(
            channels == layer.in_channels,
            f"Given groups={layer.groups}, weight of size {shape}, expected input{[*x.shape]} to "
            f"have {layer.in_channels} channels, but got {channels} channels instead",
            "The weight's second number, times groups, is in_channels, the input's channels.",
        )
        _ = self.geometry  # refuses an input or an output with nothing in it
        self._check_bias()

    def _check_bias(self) -> None:
        if self.bias is None:
            return
        count = self.layer.out_channels
        refuse_unless(
            self.bias.shape == (count,),
            f"Given weight of size {[*self.weight.shape]}, expected bias to be 1-dimensional with "
            f"{count} elements, but got bias of size {[*self.bias.shape]} instead",
            f"A bias has one number per output channel: {count}.",
        )
        refuse_unless(
            self.bias.dtype == self.x.dtype,
            f"expected scalar type {scalar_type(self.x.dtype)} but found "
            f"{scalar_type(self.bias.dtype)}",
            "Give the bias the weight's dtype.",
        )

    def trace(self, order: str = "gather") -> ConvTrace:
        """Return the trace; there is one order, in which each output cell collects its window."""
        if order != "gather":
            raise ValueError(f"order={order!r} is not known here. A plain convolution gathers.")
        return self._trace

    @cached_property
    def _trace(self) -> ConvTrace:
        return ConvTrace(self)

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of ``torch.nn.functional.convNd``."""
        return {name: getattr(self.layer, name) for name in CONV_DEFAULTS}

    @cached_property
    def geometry(self) -> ConvGeometry:
        """The layer on this input's size."""
        return ConvGeometry(self.layer, self.batched.shape[0], self.batched.shape[2:])

    @property
    def op(self) -> str:
        """The name of torch's function, such as ``conv1d``."""
        return f"conv{self.dims}d"

    def added(self, x: np.ndarray, weight: np.ndarray, one_by_one: bool = False) -> np.ndarray:
        """Return the output's sums of other numbers in these tensors' places, without the bias.

        Parameters
        ----------
        x, weight : ndarray of float64 or int64, in the shapes of `batched` and `weight`
        one_by_one : bool
            Whether to add in the order of the MACs, to the last bit; else with matrix products.

        Returns
        -------
        ndarray, shape (N, C_out, *L_out)

        >>> conv = Conv.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]])
        >>> conv.added(np.abs(conv.batched), np.ones((1, 1, 3), int)).tolist()
        [[[4, 5]]]
        """
        layer, geometry = self.layer, self.geometry
        groups, ins, outs = layer.groups, layer.in_per_group, layer.out_per_group
        x = x.reshape(len(x), groups, ins, *geometry.input_size)
        weight = weight.reshape(groups, outs, ins, *layer.kernel_size)
        sums = np.zeros((len(x), groups, outs, *geometry.output_size), dtype=x.dtype)
        # One input channel at a time adds in the order of the MACs: channel by channel, tap by tap.
        some = [slice(at, at + 1) for at in range(ins)] if one_by_one else [slice(ins)]
        with np.errstate(all="ignore"):
            for channels in some:
                for k in np.ndindex(*layer.kernel_size):
                    self._add_tap(sums, x[:, :, channels], weight[:, :, channels], k)
        return sums.reshape(geometry.output_shape)

    def _add_tap(self, sums: np.ndarray, x: np.ndarray, weight: np.ndarray, k: Ints) -> None:
        """Add what one tap of some input channels multiplies, padded zeros too."""
        here: Any = (..., *k)
        tap = weight[here]
        put, read = zip(*(self.geometry.meets(axis, at) for axis, at in enumerate(k)))
        window = x[(..., *read)]
        columns = window.reshape(*window.shape[:3], prod(window.shape[3:]))
        made = tap[..., 0, None] * columns if x.shape[2] == 1 else np.matmul(tap, columns)
        sums[(..., *put)] += made.reshape(*sums.shape[:3], *window.shape[3:])
        # 0 times a number changes no sum; 0 times NaN or Inf is NaN.
        zeros = (tap * 0).sum(axis=-1)
        if zeros.dtype.kind == "f" and np.isnan(zeros).any():
            padded = np.ones(sums.shape[3:], dtype=bool)
            padded[put] = False
            sums += np.where(padded, zeros.reshape(*zeros.shape, *[1] * self.dims), 0)

    @property
    def most_terms(self) -> int:
        """Terms of an output cell."""
        return self.layer.in_per_group * prod(self.layer.kernel_size)

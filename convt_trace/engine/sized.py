"""A convolution by its sizes alone: how many multiply-accumulates (MACs) it takes, and how many land."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from convt_trace.engine.layer import Ints, conv_length, output_length


@dataclass(frozen=True)
class Sized:
    """One convolution that a model runs, transposed or plain, without its numbers.

    Attributes
    ----------
    op : str
        torch's function: "conv_transpose2d", "conv1d" and so on.
    x, weight : tuple of int
        Shapes, as torch has them.
    bias : bool
        Whether there is one.
    stride, padding, output_padding, dilation : tuple of int
        One number per spatial dimension.
    groups : int
    module : str
        The path of the module that made the call, such as "decoder.up3"; empty where none did.
    kind : str
        That module's class.
    line, built : int
        The lines that called it and that made the module; 0 where they are not known.
    shared : int
        Equal for convolutions with the same weight: its parameters count once.

    Examples
    --------
    >>> shapes = (1, 512, 16, 16), (512, 256, 4, 4), True
    >>> up = Sized("conv_transpose2d", *shapes, (2, 2), (1, 1), (0, 0), (1, 1))
    >>> up.output, up.macs, up.landed, up.parameters
    ((1, 256, 32, 32), 536870912, 503840768, 2097408)
    """

    op: str
    x: Ints
    weight: Ints
    bias: bool
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    groups: int = 1
    module: str = ""
    kind: str = ""
    line: int = 0
    built: int = 0
    shared: int = 0

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.op.startswith("conv_transpose")

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return int(self.op[-2])

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight[1] * self.groups if self.transposed else self.weight[0]

    @property
    def output(self) -> Ints:
        """The output's shape, with a batch axis if x has one."""
        sizes = zip(
            self.x[-self.dims :], self.weight[2:], self.stride, self.padding, self.output_padding,
            self.dilation,
        )  # fmt: skip
        lengths = [
            output_length(n, k, s, p, e, d) if self.transposed else conv_length(n, k, s, 2 * p, d)
            for n, k, s, p, e, d in sizes
        ]
        return (*self.x[: -self.dims - 1], self.out_channels, *lengths)

    @property
    def fits(self) -> bool:
        """Whether torch would run it: the channels fit, and something is left."""
        channels = self.weight[0] if self.transposed else self.weight[1] * self.groups
        return (
            len(self.x) in (self.dims + 1, self.dims + 2)
            and len(self.weight) == self.dims + 2
            and self.groups > 0
            and min(self.weight, default=0) > 0
            and min(self.stride + self.dilation) > 0
            and self.x[-self.dims - 1] == channels
            and self.weight[0] % self.groups == 0
            and min(self.output[-self.dims :]) > 0
        )

    @property
    def macs(self) -> int:
        """Every MAC: those that padding crops, or that read padding's zeros, too."""
        walked = self.x if self.transposed else self.output
        return self._channel_pairs * prod(walked[-self.dims :]) * prod(self.weight[2:])

    @property
    def landed(self) -> int:
        """The MACs that are in the output; of a plain convolution those that read a value of x."""
        walked, limits = self.x, self.output
        if not self.transposed:
            walked, limits = limits, walked
        axes = zip(
            walked[-self.dims :], limits[-self.dims :], self.weight[2:], self.stride, self.padding,
            self.dilation,
        )  # fmt: skip
        return self._channel_pairs * prod(_pairs(*axis) for axis in axes)

    @property
    def parameters(self) -> int:
        """Numbers in the weight and the bias."""
        return prod(self.weight) + (self.out_channels if self.bias else 0)

    @property
    def _channel_pairs(self) -> int:
        return prod(self.x[: -self.dims - 1]) * self.weight[0] * self.weight[1]


def _pairs(walked: int, limit: int, taps: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many of the pairs (i, k) have ``0 <= i*stride - padding + k*dilation < limit``."""
    count = 0
    for tap in range(taps):
        start = padding - tap * dilation
        first, end = -(-start // stride), -(-(start + limit) // stride)
        count += max(0, min(end, walked) - max(first, 0))
    return count

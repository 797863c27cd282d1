"""The geometry of a plain convolution: its parameters, its sizes, its index maps.

    y[n, co, o]  +=  x[n, ci, o*stride - padding + k*dilation] * w[co, ci - g*C_in/groups, k]

The kernel is not flipped. Read backwards, this is the index rule of a transposed convolution: where
that one puts input position ``i``, this one has output position ``o``, and where that one has canvas
position ``c``, this one reads place ``c`` of the padded input. So the `Axis` of that *partner* holds
every (output position, tap, padded place) in closed form, and nothing is searched here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from convt_trace.engine.layer import (
    Axis,
    Channels,
    Ints,
    Pick,
    check_dilation,
    check_kernel_size,
    check_largest,
    check_stride,
    conv_length,
    refuse_unless,
    span,
)
from convt_trace.engine.text import by, shortest

#: What a plain convolution takes beyond its sizes, and what each is where not given.
CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@dataclass(frozen=True)
class ConvLayer(Channels):
    """The parameters of one ``ConvNd``, checked as torch checks them.

    Attributes
    ----------
    in_channels, out_channels, groups : int
        A group's output channels read that group's input channels only.
    kernel_size, stride, dilation : tuple of int
        One number per spatial dimension (1, 2 or 3 of them).
    padding : tuple of int, or "same"
        Zeros on either side; "same" adds what keeps the size, an odd one at the end.

    Raises
    ------
    LayerError
        For whatever torch refuses, with torch's message and what to change.

    Examples
    --------
    >>> layer = ConvLayer(4, 2, (3,), (1,), (1,), (1,), 2)
    >>> layer.weight_shape
    (2, 2, 3)
    >>> print(layer)
    Conv1d(4, 2, 3, padding=1, groups=2)
    """

    in_channels: int
    out_channels: int
    kernel_size: Ints
    stride: Ints
    padding: Ints | str
    dilation: Ints
    groups: int

    def __post_init__(self) -> None:
        refuse_unless(
            self.groups > 0,
            "non-positive groups is not supported",
            "Use groups=1 for no grouping.",
        )
        self._check_channels()
        self._check_axes()

    def _check_channels(self) -> None:
        weight, groups = [*self.weight_shape], self.groups
        refuse_unless(
            self.out_channels >= groups,
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {weight} instead",
            f"out_channels ({self.out_channels}) must be a positive multiple of groups ({groups}).",
        )
        refuse_unless(
            self.out_channels % groups == 0,
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{weight}] instead",
            f"out_channels ({self.out_channels}) must be a positive multiple of groups ({groups}).",
        )
        refuse_unless(
            self.in_channels > 0 and self.in_channels % groups == 0,
            f"non-empty weight tensor expected, but got: {weight}",
            f"in_channels ({self.in_channels}) must be a positive multiple of groups ({groups}).",
        )

    def _check_axes(self) -> None:
        check_kernel_size(self.kernel_size)
        check_stride(self.stride)
        check_dilation(self.dilation)
        self._check_padding()
        padding = {} if isinstance(self.padding, str) else {"padding": self.padding}
        check_largest(stride=self.stride, **padding, dilation=self.dilation)

    def _check_padding(self) -> None:
        if isinstance(self.padding, str):
            refuse_unless(
                self.padding == "same",
                f"Invalid padding string: '{self.padding}'",
                "Use 'same', 'valid' or numbers.",
            )
            refuse_unless(
                max(self.stride) == 1,
                "padding='same' is not supported for strided convolutions",
                "Use stride=1, or a padding in numbers.",
            )
            return
        refuse_unless(
            all(p >= 0 for p in self.padding),
            "negative padding is not supported",
            f"padding is {self.padding}: use 0 or more.",
        )

    @property
    def weight_shape(self) -> Ints:
        """``(C_out, C_in/groups, *K)``: output channels first, unlike a ``ConvTranspose``'s weight."""
        return (self.out_channels, self.in_per_group, *self.kernel_size)

    @property
    def sides(self) -> tuple[Ints, ...]:
        """The zeros before and after the input, a pair per spatial dimension.

        >>> ConvLayer(1, 1, (4,), (1,), "same", (1,), 1).sides
        ((1, 2),)
        """
        if isinstance(self.padding, str):
            added = [span(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation)]
            return tuple((both // 2, both - both // 2) for both in added)
        return tuple((p, p) for p in self.padding)

    def output_size(self, input_size: Ints) -> Ints:
        """Return the spatial output size; less than 1 where the kernel does not fit.

        >>> ConvLayer(1, 1, (4, 4), (2, 2), (1, 1), (1, 1), 1).output_size((32, 32))
        (16, 16)
        """
        both = map(sum, self.sides)
        return tuple(
            map(conv_length, input_size, self.kernel_size, self.stride, both, self.dilation)
        )

    def __str__(self) -> str:
        arguments = [self.in_channels, self.out_channels, shortest(self.kernel_size)]
        given = {name: shortest(getattr(self, name)) for name in CONV_DEFAULTS}
        keywords = [f"{name}={one!r}" for name, one in given.items() if one != CONV_DEFAULTS[name]]
        return f"Conv{self.dims}d({', '.join([*map(str, arguments), *keywords])})"


@dataclass(frozen=True)
class ConvGeometry:
    """A plain convolution on an input of a certain size: every size and index map, in closed form.

    Attributes
    ----------
    layer : ConvLayer
    batch : int
        Batch items, N.
    input_size : tuple of int
        Spatial input size, L.

    Raises
    ------
    LayerError
        When the input is empty or smaller than the kernel.

    Examples
    --------
    >>> geometry = ConvGeometry(ConvLayer(1, 1, (3,), (2,), (1,), (1,), 1), 1, (5,))
    >>> geometry.output_size, geometry.macs, geometry.padded_macs
    ((3,), 9, 2)
    """

    layer: ConvLayer
    batch: int
    input_size: Ints

    def __post_init__(self) -> None:
        layer = self.layer
        refuse_unless(
            min(self.input_size) > 0,
            "Only zero batch or zero channel inputs are supported, but got input size "
            f"{self.input_size}",
            "Use an input of at least one position in every dimension.",
        )
        spans = [*map(span, layer.kernel_size, layer.dilation)]
        refuse_unless(
            all(one <= room for one, room in zip(spans, self.padded_size)),
            f"Calculated padded input size per channel: ({by(self.padded_size)}). "
            f"Kernel size: ({by(spans)}). Kernel size can't be greater than actual input size",
            "Use more padding, a larger input, or a smaller kernel or dilation.",
        )

    @property
    def padded_size(self) -> Ints:
        """Spatial size of the padded input."""
        return tuple(
            before + length + after
            for length, (before, after) in zip(self.input_size, self.layer.sides)
        )

    @property
    def output_size(self) -> Ints:
        """Spatial output size."""
        return self.layer.output_size(self.input_size)

    @property
    def canvas_size(self) -> Ints:
        """The same: nothing lands outside the output of a plain convolution."""
        return self.output_size

    @property
    def output_shape(self) -> Ints:
        """``(N, C_out, *L_out)``."""
        return (self.batch, self.layer.out_channels, *self.output_size)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The partner's `Axis` per dimension: its input is this output, its canvas the padded input."""
        layer = self.layer
        made = []
        for length, room, k, s, d in zip(
            self.output_size, self.padded_size, layer.kernel_size, layer.stride, layer.dilation
        ):
            unread = room - (
                (length - 1) * s + span(k, d)
            )  # a stride may step over the last places
            made.append(Axis(length, k, s, 0, unread, d))
        return tuple(made)

    def places(self, axis: int, o: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return the input positions that taps read for output positions, along one axis.

        One outside ``0 ... L-1`` is a padded zero.

        >>> geometry = ConvGeometry(ConvLayer(1, 1, (3,), (2,), (1,), (1,), 1), 1, (5,))
        >>> geometry.places(0, np.array([0, 1]), np.array([0, 0])).tolist()
        [-1, 1]
        """
        layer = self.layer
        return o * layer.stride[axis] - layer.sides[axis][0] + k * layer.dilation[axis]

    def meets(self, axis: int, k: int) -> tuple[slice, slice]:
        """Return the output positions where a tap reads the input itself, and the positions it reads.

        >>> geometry = ConvGeometry(ConvLayer(1, 1, (3,), (2,), (1,), (1,), 1), 1, (5,))
        >>> geometry.meets(0, 0)
        (slice(1, 3, None), slice(1, 4, 2))
        """
        stride = self.layer.stride[axis]
        start = k * self.layer.dilation[axis] - self.layer.sides[axis][0]
        first = max(0, -(start // stride))
        end = min(self.output_size[axis], -((start - self.input_size[axis]) // stride))
        end = max(first, end)
        read = slice(start + first * stride, start + (end - 1) * stride + 1, stride)
        return slice(first, end), read if end > first else slice(0, 0, stride)

    @property
    def macs(self) -> int:
        """Every multiply-accumulate, those on padded zeros too."""
        return self._channel_pairs * prod(self.output_size) * prod(self.layer.kernel_size)

    @property
    def kept_macs(self) -> int:
        """The multiply-accumulates that read a value of the input."""
        read = [
            sum(met.stop - met.start for met in (self.meets(axis, k)[0] for k in range(taps)))
            for axis, taps in enumerate(self.layer.kernel_size)
        ]
        return self._channel_pairs * prod(read)

    @property
    def padded_macs(self) -> int:
        """The multiply-accumulates that read a padded zero."""
        return self.macs - self.kept_macs

    @property
    def cropped_macs(self) -> int:
        """None: a plain convolution crops nothing."""
        return 0

    @property
    def _channel_pairs(self) -> int:
        return self.batch * self.layer.out_channels * self.layer.in_per_group

    def everything(self) -> Pick:
        """Return the pick that leaves nothing out."""
        layer = self.layer
        counts = (self.batch, layer.groups, layer.in_per_group, layer.out_per_group)
        return Pick(*map(np.arange, counts))

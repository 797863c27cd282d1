"""The geometry of one transposed convolution: its parameters, its sizes, its index maps.

Nothing here knows a value. A layer is an index rule,

    y[n, co, i*stride - padding + k*dilation]  +=  x[n, ci, i] * w[ci, co - g*C_out/groups, k]

and this module is the only place in the project where that rule, and the sizes that follow from it,
are written down. Positions ``i`` (input), ``k`` (kernel tap) and ``o`` (output) are tuples with one
number per spatial dimension.

The *canvas* is every position that a multiply-accumulate (MAC) can land on. Padding crops it: the
output is the part that is left. Canvas position ``c`` is output position ``o = c - padding``.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd, prod
from typing import Any

import numpy as np

from convt_trace.engine.errors import LayerError
from convt_trace.engine.text import by, shortest

Ints = tuple[int, ...]

#: What a layer takes beyond its sizes, and what each is where not given.
DEFAULTS = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
#: The arguments of ``torch.nn.functional.conv_transposeNd`` and of ``nn.ConvTransposeNd``, in their
#: order. A plain convolution has no output_padding, and in its function dilation before groups.
FUNCTION = ("input", "weight", "bias", *DEFAULTS)
MODULE = (
    *("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding"),
    *("groups", "bias", "dilation", "padding_mode"),
)

#: Larger numbers overflow the 32-bit sizes inside torch's kernels, sometimes without an error.
LARGEST_PARAMETER = 2**15


#: Those of them that have one number per spatial dimension.
PER_DIMENSION = ("stride", "padding", "output_padding", "dilation")


def span(taps: int, dilation: int) -> int:
    """Return how many positions a kernel covers.

    >>> span(3, dilation=2)
    5
    """
    return dilation * (taps - 1) + 1


def reach(length: int, taps: int, stride: int, dilation: int) -> int:
    """Return how many positions the stamps of all inputs cover: the output before any crop.

    >>> reach(3, 3, stride=2, dilation=1)
    7
    """
    return (length - 1) * stride + span(taps, dilation)


def output_length(
    length: int, taps: int, stride: int, padding: int, output_padding: int, dilation: int
) -> int:
    """Return a transposed convolution's output size along one axis.

    >>> output_length(16, 4, stride=2, padding=1, output_padding=0, dilation=1)
    32
    """
    return reach(length, taps, stride, dilation) - 2 * padding + output_padding


def phases(taps: int, stride: int, padding: int, dilation: int) -> list[range]:
    """Return the kernel taps of each phase: those that reach output positions ``o % stride == phase``.

    They are evenly spaced, and an input without an end meets all of them in each such position.

    >>> phases(3, stride=2, padding=0, dilation=1)
    [range(0, 3, 2), range(1, 3, 2)]
    >>> phases(3, stride=2, padding=1, dilation=2)
    [range(0, 0), range(0, 3)]
    """
    apart = stride // gcd(stride, dilation)
    found = [range(0)] * stride
    for tap in range(min(taps, apart)):
        found[(tap * dilation - padding) % stride] = range(tap, taps, apart)
    return found


def repeated(
    pattern: Sequence[int], taps: int, stride: int, padding: int, dilation: int
) -> list[int]:
    """Return what a kernel of ones makes of an input that repeats without an end: one repetition.

    Parameters
    ----------
    pattern : sequence of int
        The input's values at positions 0, 1, ...; they go on as they began, in both directions.

    Returns
    -------
    list of int
        The output's values at positions 0 to ``stride * len(pattern) - 1``, which repeat too.

    >>> repeated([1], 3, stride=2, padding=0, dilation=1)
    [2, 1]
    >>> repeated([2, 1], 3, stride=2, padding=0, dilation=1)
    [3, 2, 3, 1]
    """
    made = [0] * (stride * len(pattern))
    for tap in range(taps):
        for i, value in enumerate(pattern):
            made[(i * stride - padding + tap * dilation) % len(made)] += value
    return made


def conv_length(length: int, taps: int, stride: int, padding: int, dilation: int) -> int:
    """Return a plain convolution's output size along one axis; ``padding`` is that of both ends.

    >>> conv_length(32, 4, stride=2, padding=1 + 1, dilation=1)
    16
    """
    return (length + padding - span(taps, dilation)) // stride + 1


def ints(
    value: int | Iterable[int], dims: int, name: str, function: str = "conv_transpose"
) -> Ints:
    """Return ``value`` as one whole number per spatial dimension, as torch reads it.

    Parameters
    ----------
    value : int or iterable of int
        One number for every dimension, or one for each.
    dims : int
        Spatial dimensions.
    name : str
        The parameter's name, for the error.
    function : str
        The function's, without its dimensions.

    Examples
    --------
    >>> ints(2, 3, "stride")
    (2, 2, 2)
    >>> ints([1, 2], 2, "stride")
    (1, 2)
    """
    # A tensor without dimensions is one number, though its type is iterable.
    given: list[Any] = [value]
    if isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "ndim", True):
        given = list(value)
    for number in given:
        if not _is_whole(number):
            raise TypeError(
                f"{function}{dims}d(): argument '{name}' must be tuple of ints, "
                f"not {type(number).__name__}. Give one whole number, or one for each of the "
                f"{dims} spatial dimensions."
            )
    if len(given) not in (1, dims):
        raise LayerError(
            f"expected {name} to be a single integer value or a list of {dims} values to match "
            f"the convolution dimensions, but got {name}={given}",
            f"Give one whole number, or {dims} of them.",
        )
    numbers = tuple(operator.index(number) for number in given)
    return numbers * dims if len(numbers) == 1 else numbers


def whole(value: int, name: str, dims: int, function: str = "conv_transpose") -> int:
    """Return ``value`` as one whole number, as torch reads ``groups``.

    >>> whole(2, "groups", 1)
    2
    """
    if not _is_whole(value):
        raise TypeError(
            f"{function}{dims}d(): argument '{name}' must be int, "
            f"not {type(value).__name__}. Give one whole number."
        )
    return operator.index(value)


def _is_whole(value: object) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def refuse_unless(fine: bool, message: str, hint: str) -> None:
    """Raise a `LayerError` where something is not fine."""
    if not fine:
        raise LayerError(message, hint)


class Channels:
    """What both kinds of layer have: channels in groups, and a kernel.

    Attributes
    ----------
    in_channels, out_channels, groups : int
    kernel_size : tuple of int
    """

    in_channels: int
    out_channels: int
    kernel_size: Ints
    groups: int

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return len(self.kernel_size)

    @property
    def in_per_group(self) -> int:
        """Input channels in a group."""
        return self.in_channels // self.groups

    @property
    def out_per_group(self) -> int:
        """Output channels in a group."""
        return self.out_channels // self.groups


def check_kernel_size(kernel_size: Ints) -> None:
    """Refuse what torch refuses of a kernel."""
    refuse_unless(
        all(k > 0 for k in kernel_size),
        f"kernel size should be greater than zero, but got kernel_size={kernel_size}",
        "Use a kernel of at least one tap in every dimension.",
    )


def check_stride(stride: Ints) -> None:
    """Refuse what torch refuses of a stride."""
    refuse_unless(
        all(s > 0 for s in stride),
        "non-positive stride is not supported",
        f"stride is {stride}: use 1 or more.",
    )


def check_dilation(dilation: Ints) -> None:
    """Refuse what torch refuses of a dilation."""
    refuse_unless(
        all(d > 0 for d in dilation),
        f"dilation should be greater than zero, but got dilation={dilation}",
        "Use dilation=1 for taps that touch.",
    )


def check_largest(**given: Ints) -> None:
    """Refuse what is so large that torch's own sizes overflow."""
    for name, values in given.items():
        refuse_unless(
            max(values) <= LARGEST_PARAMETER,
            f"{name}={values} is too large",
            f"Use at most {LARGEST_PARAMETER}: beyond it torch's own sizes overflow.",
        )


@dataclass(frozen=True)
class Layer(Channels):
    """The parameters of one ``ConvTransposeNd``, checked as torch checks them.

    Attributes
    ----------
    in_channels, out_channels, groups : int
        A group's output channels read that group's input channels only.
    kernel_size, stride, padding, output_padding, dilation : tuple of int
        One number per spatial dimension (1, 2 or 3 of them).

    Raises
    ------
    LayerError
        For whatever torch refuses, with torch's message and what to change.

    Examples
    --------
    >>> layer = Layer.of(4, 4, 3, dims=1, padding=2, groups=2)
    >>> layer.weight_shape
    (4, 2, 3)
    >>> print(layer)
    ConvTranspose1d(4, 4, 3, padding=2, groups=2)
    """

    in_channels: int
    out_channels: int
    kernel_size: Ints
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    groups: int

    @classmethod
    def of(
        cls,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Iterable[int],
        stride: int | Iterable[int] = 1,
        padding: int | Iterable[int] = 0,
        output_padding: int | Iterable[int] = 0,
        groups: int = 1,
        dilation: int | Iterable[int] = 1,
        *,
        dims: int,
    ) -> Layer:
        """Build a layer from numbers or tuples, in the order of ``nn.ConvTransposeNd``."""
        return cls(
            in_channels=whole(in_channels, "in_channels", dims),
            out_channels=whole(out_channels, "out_channels", dims),
            kernel_size=ints(kernel_size, dims, "kernel_size"),
            stride=ints(stride, dims, "stride"),
            padding=ints(padding, dims, "padding"),
            output_padding=ints(output_padding, dims, "output_padding"),
            dilation=ints(dilation, dims, "dilation"),
            groups=whole(groups, "groups", dims),
        )

    def __post_init__(self) -> None:
        self._check_channels()
        self._check_axes()

    def _check_channels(self) -> None:
        groups, c_in, c_out = self.groups, self.in_channels, self.out_channels
        refuse_unless(
            groups > 0, "non-positive groups is not supported", "Use groups=1 for no grouping."
        )
        refuse_unless(
            c_in >= groups,
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {[*self.weight_shape]} instead",
            f"in_channels ({c_in}) must be a positive multiple of groups ({groups}).",
        )
        refuse_unless(
            c_in % groups == 0,
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {[*self.weight_shape]} instead",
            f"in_channels ({c_in}) must be a positive multiple of groups ({groups}).",
        )
        refuse_unless(
            c_out > 0,
            f"non-empty weight tensor expected, but got: {[*self.weight_shape]}",
            f"out_channels ({c_out}) must be a positive multiple of groups ({groups}).",
        )
        refuse_unless(
            c_out % groups == 0,
            "out_channels must be divisible by groups",
            f"out_channels ({c_out}) must be a positive multiple of groups ({groups}).",
        )

    def _check_axes(self) -> None:
        check_kernel_size(self.kernel_size)
        check_stride(self.stride)
        refuse_unless(
            all(p >= 0 for p in self.padding),
            "negative padding is not supported",
            f"padding is {self.padding}: it crops the output, and 0 crops nothing. "
            "To enlarge the output use output_padding, or torch.nn.functional.pad on the result.",
        )
        refuse_unless(
            all(p >= 0 for p in self.output_padding),
            "negative output_padding is not supported",
            f"output_padding is {self.output_padding}: use 0 or more.",
        )
        check_dilation(self.dilation)
        limits = [max(s, d) for s, d in zip(self.stride, self.dilation)]
        refuse_unless(
            all(extra < limit for extra, limit in zip(self.output_padding, limits)),
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={self.output_padding}, stride={self.stride}, dilation={self.dilation}",
            f"Use an output_padding of at most {tuple(limit - 1 for limit in limits)} here, "
            "or a larger stride.",
        )
        check_largest(stride=self.stride, padding=self.padding, dilation=self.dilation)

    @property
    def weight_shape(self) -> Ints:
        """``(C_in, C_out/groups, *K)``: input channels first, unlike a ``Conv``'s weight."""
        return (self.in_channels, self.out_channels // max(self.groups, 1), *self.kernel_size)

    def output_size(self, input_size: Ints) -> Ints:
        """Return the spatial output size; negative if padding crops more than there is.

        >>> Layer.of(1, 1, 4, stride=2, padding=1, dims=2).output_size((16, 16))
        (32, 32)
        """
        return tuple(
            map(
                output_length,
                input_size,
                self.kernel_size,
                self.stride,
                self.padding,
                self.output_padding,
                self.dilation,
            )
        )

    def arguments(self) -> dict[str, int | Ints]:
        """Return the keyword arguments that differ from torch's defaults, short where they can be.

        >>> Layer.of(2, 2, 3, stride=(2, 1), padding=1, dims=2).arguments()
        {'stride': (2, 1), 'padding': 1}
        """
        given = {name: shortest(getattr(self, name)) for name in DEFAULTS}
        return {name: value for name, value in given.items() if value != DEFAULTS[name]}

    def __str__(self) -> str:
        arguments = [self.in_channels, self.out_channels, shortest(self.kernel_size)]
        keywords = [f"{name}={value}" for name, value in self.arguments().items()]
        return f"ConvTranspose{self.dims}d({', '.join([*map(str, arguments), *keywords])})"


@dataclass(frozen=True)
class Run:
    """Canvas positions a stride apart with the same taps, each with the next input positions.

    Attributes
    ----------
    cells : range
        The canvas positions.
    start, count : int
        Where in the axis' list the first one's pairs begin, and how many each of them has.
    period : int
        How far in that list the pairs of one position are from those of the next.
    """

    cells: range
    start: int
    count: int
    period: int


class Axis:
    """One spatial dimension: which (input position, kernel tap) pairs land where.

    The pairs of an axis are listed by canvas position, then by input position. A layer in more
    dimensions is the product of its axes, so these short lists are all the search that is ever done.

    Attributes
    ----------
    length, taps, outputs : int
        Input positions, kernel taps and output positions along this axis.
    padding : int
        Output position of canvas position ``c`` is ``c - padding``.
    canvas : int
        Canvas positions: what the pairs reach, and what output_padding adds beyond that.
    i, k, c : ndarray of int64, shape (length * taps,)
        The pairs in their order, and the canvas position where each lands.
    start, count : ndarray of int64, shape (canvas,)
        Where in that list each canvas position's pairs begin, and how many there are.

    Examples
    --------
    >>> axis = Axis(length=3, taps=3, stride=1, padding=2, output_padding=0, dilation=1)
    >>> axis.outputs, axis.canvas
    (1, 5)
    >>> axis.count.tolist()
    [1, 2, 3, 2, 1]
    >>> here = axis.pairs(2)
    >>> axis.i[here].tolist(), axis.k[here].tolist()
    ([0, 1, 2], [2, 1, 0])
    """

    def __init__(
        self, length: int, taps: int, stride: int, padding: int, output_padding: int, dilation: int
    ):
        covered = reach(length, taps, stride, dilation)
        self.length, self.taps, self.stride, self.dilation = length, taps, stride, dilation
        self.padding, self.output_padding = padding, output_padding
        self.outputs = covered - 2 * padding + output_padding
        self.canvas = covered + max(0, output_padding - padding)
        i, k = np.divmod(np.arange(length * taps), taps)
        c = i * stride + k * dilation
        in_order = np.argsort(c, kind="stable")
        self.i, self.k, self.c = i[in_order], k[in_order], c[in_order]
        self.count = np.bincount(c, minlength=self.canvas)
        self.start = np.cumsum(self.count) - self.count

    @cached_property
    def slot(self) -> np.ndarray:
        """The place of pair ``(i, k)`` among the pairs of its canvas position, shape (length, taps)."""
        slots = np.empty((self.length, self.taps), dtype=np.int64)
        slots[self.i, self.k] = np.arange(len(self.i)) - self.start[self.c]
        return slots

    @cached_property
    def stretches(self) -> list[range]:
        """The canvas in stretches; inside one, positions a stride apart have the same taps.

        >>> Axis(9, 3, stride=2, padding=0, output_padding=0, dilation=1).stretches
        [range(0, 2, 2), range(2, 18, 2), range(18, 20, 2)]
        """
        # The taps change where one of them meets its first input position, or has met its last.
        met = np.arange(self.taps) * self.dilation // self.stride
        bounds = (np.unique([met, met + self.length]) * self.stride).tolist()
        return [range(*ends, self.stride) for ends in zip(bounds, bounds[1:])]

    @cached_property
    def runs(self) -> list[Run]:
        """Every canvas position that has pairs, in as few runs as there are.

        >>> axis = Axis(length=4, taps=3, stride=2, padding=0, output_padding=0, dilation=1)
        >>> for run in axis.runs:
        ...     print(list(run.cells), run.count)
        [0] 1
        [1] 1
        [2, 4, 6] 2
        [3, 5, 7] 1
        [8] 1
        """
        runs = []
        for stretch in self.stretches:
            here = slice(stretch.start, stretch.start + self.stride)
            counts = self.count[here]
            for offset in np.flatnonzero(counts).tolist():
                cells = range(stretch.start + offset, stretch.stop, self.stride)
                start, count = int(self.start[cells[0]]), int(counts[offset])
                runs.append(Run(cells, start, count, period=int(counts.sum())))
        return runs

    def is_inside(self, c: np.ndarray) -> np.ndarray:
        """Tell which canvas positions are output positions.

        >>> Axis(3, 3, stride=1, padding=2, output_padding=0, dilation=1).is_inside(np.arange(5))
        array([False, False,  True, False, False])
        """
        return np.asarray((c >= self.inside.start) & (c < self.inside.stop))

    @cached_property
    def most(self) -> int:
        """The largest number of pairs on one canvas position."""
        return int(self.count.max())

    @property
    def kept_pairs(self) -> int:
        """How many pairs land inside the output, counted."""
        return int(self.count[self.inside].sum())

    @property
    def inside(self) -> slice:
        """The canvas positions that are output positions."""
        return slice(self.padding, self.padding + self.outputs)

    def pairs(self, c: int) -> slice:
        """Return where in ``i`` and ``k`` the pairs of canvas position ``c`` stand."""
        return slice(int(self.start[c]), int(self.start[c] + self.count[c]))


@dataclass(frozen=True)
class Geometry:
    """A layer on an input of a certain size: every size and every index map, in closed form.

    Attributes
    ----------
    layer : Layer
    batch : int
        Batch items, N.
    input_size : tuple of int
        Spatial input size, L.

    Raises
    ------
    LayerError
        When the input is empty or padding leaves no output.

    Examples
    --------
    >>> dcgan = Layer.of(512, 256, 4, stride=2, padding=1, dims=2)
    >>> geometry = Geometry(dcgan, batch=1, input_size=(16, 16))
    >>> geometry.output_size, geometry.macs, geometry.kept_macs
    ((32, 32), 536870912, 503840768)
    """

    layer: Layer
    batch: int
    input_size: Ints

    def __post_init__(self) -> None:
        refuse_unless(
            min(self.input_size) > 0,
            "Only zero batch or zero channel inputs are supported, but got input size "
            f"{self.input_size}",
            "Use an input of at least one position in every dimension.",
        )
        output_size = self.layer.output_size(self.input_size)
        refuse_unless(
            min(output_size) > 0,
            f"Given input size per channel: ({by(self.input_size)}). Calculated output size per "
            f"channel: ({by(output_size)}). Output size is too small",
            f"padding={shortest(self.layer.padding)} crops more than there is: use less padding, "
            "or a larger input, kernel or stride.",
        )

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """One `Axis` per spatial dimension."""
        layer = self.layer
        return tuple(
            map(
                Axis,
                self.input_size,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.output_padding,
                layer.dilation,
            )
        )

    @property
    def output_size(self) -> Ints:
        """Spatial output size."""
        return self.layer.output_size(self.input_size)

    @property
    def canvas_size(self) -> Ints:
        """Spatial size of the canvas: the output before padding crops it."""
        return tuple(axis.canvas for axis in self.axes)

    @property
    def input_shape(self) -> Ints:
        """``(N, C_in, *L)``."""
        return (self.batch, self.layer.in_channels, *self.input_size)

    @property
    def output_shape(self) -> Ints:
        """``(N, C_out, *L_out)``."""
        return (self.batch, self.layer.out_channels, *self.output_size)

    @property
    def macs(self) -> int:
        """Every multiply-accumulate, the cropped ones too."""
        return self._channel_pairs * prod(len(axis.i) for axis in self.axes)

    @property
    def kept_macs(self) -> int:
        """The multiply-accumulates that land inside the output, counted axis by axis."""
        return self._channel_pairs * prod(axis.kept_pairs for axis in self.axes)

    @property
    def cropped_macs(self) -> int:
        """The multiply-accumulates that padding throws away."""
        return self.macs - self.kept_macs

    @property
    def _channel_pairs(self) -> int:
        return self.batch * self.layer.in_channels * self.layer.out_per_group

    def everything(self) -> Pick:
        """Return the pick that leaves nothing out."""
        layer = self.layer
        return Pick(
            np.arange(self.batch),
            np.arange(layer.groups),
            np.arange(layer.in_per_group),
            np.arange(layer.out_per_group),
        )


@dataclass(frozen=True, eq=False)
class Pick:
    """Which batch items, groups and channels (numbered inside their group) to walk through.

    Attributes
    ----------
    n, group, in_local, out_local : ndarray of int64, each of one dimension
    """

    n: np.ndarray
    group: np.ndarray
    in_local: np.ndarray
    out_local: np.ndarray

    @property
    def channel_pairs(self) -> int:
        """How many (n, in_channel, out_channel) triples take part."""
        return len(self.n) * len(self.group) * len(self.in_local) * len(self.out_local)


def channel_ranges(layer: Layer) -> Iterator[tuple[range, range]]:
    """Yield each group's input channels and output channels.

    >>> list(channel_ranges(Layer.of(4, 2, 3, groups=2, dims=1)))
    [(range(0, 2), range(0, 1)), (range(2, 4), range(1, 2))]
    """
    ins, outs = layer.in_per_group, layer.out_per_group
    for group in range(layer.groups):
        yield (
            range(group * ins, (group + 1) * ins),
            range(group * outs, (group + 1) * outs),
        )

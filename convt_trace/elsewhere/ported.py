"""From elsewhere to PyTorch: another framework's parameters as a ``ConvTranspose`` and a crop or a pad."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convt_trace.elsewhere.canvas import keep, spread
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    along,
    flax_window,
    in_words,
    keras_window,
    lax_general_window,
    lax_window,
    onnx_window,
)
from convt_trace.elsewhere.errors import RefusedError, refuse_unless
from convt_trace.engine.arrays import as_array, wide
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import Ints, Layer
from convt_trace.engine.text import AXES, shortest

#: A padding as JAX and flax write it: a name, or zeros before and after each axis.
Padding = str | int | Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Ported:
    """A layer of another framework as PyTorch has it.

    Attributes
    ----------
    framework : str
        Where it comes from.
    layer : Layer
        PyTorch's layer.
    input_size : tuple of int
        The spatial input size that it was worked out for.
    windows : tuple of Window
        What the framework keeps of the canvas, per axis.
    mend : tuple of (int, int)
        Zeros to put before and after PyTorch's output, per axis; a negative number crops.
    kernel : str
        The framework's kernel as a torch expression that makes PyTorch's weight of it.
    kernel_axes : str
        The framework's order of the kernel's axes, in letters: "k" all taps, "i" in, "o" out.
    bias : bool
        Whether the layer has one.
    sentences : tuple of str
        What is different, for a reader.
    assumed : tuple of str
        What the pasted line did not say, and what was taken instead.

    Examples
    --------
    >>> ported = from_keras(64, 3, strides=2, padding="same", input_size=(8, 8), in_channels=16)
    >>> ported.line
    'nn.ConvTranspose2d(16, 64, 3, stride=2)'
    >>> ported.mend, ported.output_size, ported.exact
    (((0, -1), (0, -1)), (16, 16), False)
    """

    framework: str
    layer: Layer
    input_size: Ints
    windows: tuple[Window, ...]
    mend: tuple[tuple[int, int], ...]
    kernel: str
    kernel_axes: str
    bias: bool = True
    sentences: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return self.layer.dims

    @property
    def axes(self) -> tuple[CanvasAxis, ...]:
        """The axes of the canvas."""
        layer = self.layer
        return along(self.input_size, layer.kernel_size, layer.stride, layer.dilation)

    @property
    def output_size(self) -> Ints:
        """The framework's spatial output size."""
        return tuple(window.size for window in self.windows)

    @property
    def wraps(self) -> bool:
        """Whether the output is wound around a ring, as flax' "CIRCULAR" does."""
        return any(window.wraps for window in self.windows)

    @property
    def exact(self) -> bool:
        """Whether PyTorch's layer alone gives the framework's output."""
        return not self.wraps and not any(map(any, self.mend))

    @property
    def line(self) -> str:
        """PyTorch's layer as one line."""
        constructor = f"nn.{self.layer}"
        # Zeros that are put beside the output have to get the bias too, so it is added after them.
        return constructor if self._biased_inside else f"{constructor[:-1]}, bias=False)"

    @property
    def _biased_inside(self) -> bool:
        return self.bias and not self.wraps and max(max(pair) for pair in self.mend) <= 0

    def output(self, x: Any, weight: Any, bias: Any = None) -> np.ndarray:
        """Return the framework's output, channels first: whole numbers exactly, floats in float64.

        Parameters
        ----------
        x : array_like, shape (N, C_in, *L)
        weight : array_like, shape (C_in, C_out/groups, *K)
            In PyTorch's layout.
        bias : array_like, shape (C_out,), optional

        Examples
        --------
        >>> ported = from_keras(1, 3, strides=2, padding="same", input_size=(3,))
        >>> ported.output([[[1, 2, 3]]], [[[1, 10, 100]]]).tolist()
        [[[1, 10, 102, 20, 203, 30]]]
        """
        inputs, taps_ = wide(as_array(x, "x")), wide(as_array(weight, "weight"))
        y = keep(spread(inputs, taps_, self.axes, self.layer.groups), self.windows)
        if bias is not None:
            y = y + wide(as_array(bias, "bias")).reshape(-1, *[1] * self.dims)
        return y

    @property
    def code(self) -> str:
        """A program in PyTorch that needs nothing else and prints the output's shape.

        >>> print(from_keras(1, 3, strides=2, padding="same", input_size=(3,), use_bias=False).code)
        import torch
        from torch import nn
        from torch.nn import functional as F
        <BLANKLINE>
        x = torch.randn(1, 1, 3)  # channels first
        kernel = torch.randn(3, 1, 1)  # as Keras has it: (k, out, in)
        <BLANKLINE>
        layer = nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False)
        layer.weight = nn.Parameter(kernel.permute(2, 1, 0))  # (in, out, k)
        y = layer(x)
        y = F.pad(y, (0, -1))  # negative: crops
        print(y.shape)
        """
        layer = self.layer
        lines = ["import torch", "from torch import nn", "from torch.nn import functional as F", ""]
        lines.append(
            f"x = torch.randn(1, {layer.in_channels}, {listed(self.input_size)})  # channels first"
        )
        lines.append(self._kernel_line())
        if self.bias:
            lines.append(f"bias = torch.randn({layer.out_channels})")
        torchs = f"(in, out{'/groups' if layer.groups > 1 else ''}, {listed(taps(self.dims))})"
        lines += ["", f"layer = {self.line}"]
        lines.append(f"layer.weight = nn.Parameter({self.kernel})  # {torchs}")
        if self._biased_inside:
            lines.append("layer.bias = nn.Parameter(bias)")
        lines += ["y = layer(x)", *self._mending()]
        if self.bias and not self._biased_inside:
            lines.append(f"y = y + bias.reshape({listed((-1, *[1] * self.dims))})")
        return "\n".join([*lines, "print(y.shape)"])

    def _kernel_line(self) -> str:
        layer, groups = self.layer, "/groups" if self.layer.groups > 1 else ""
        out_first = self.kernel_axes == "oik"
        sizes: dict[str, Iterable[Any]] = {
            "k": layer.kernel_size,
            "i": [layer.in_per_group if out_first else layer.in_channels],
            "o": [layer.out_channels if out_first else layer.out_per_group],
        }
        names: dict[str, Iterable[str]] = {
            "k": taps(self.dims),
            "i": ["in" + (groups if out_first else "")],
            "o": ["out" + ("" if out_first else groups)],
        }
        shape = listed(number for axis in self.kernel_axes for number in sizes[axis])
        order = listed(name for axis in self.kernel_axes for name in names[axis])
        return f"kernel = torch.randn({shape})  # as {self.framework} has it: ({order})"

    def _mending(self) -> list[str]:
        if self.wraps:
            return self._winding()
        if self.exact:
            return []
        # Zeros first: a window may begin where the canvas has ended.
        return [
            f"y = F.pad(y, ({listed(sides)}))  # {why}"
            for sides, why in (
                (self._sides(0, None), "zeros beside the output"),
                (self._sides(None, 0), "negative: crops"),
            )
            if any(sides)
        ]

    def _sides(self, least: int | None, most: int | None) -> list[int]:
        """Return what is put beside the output, the last axis first as torch wants it."""
        pads = [side for pair in reversed(self.mend) for side in pair]
        return np.clip(pads, least, most).tolist()

    def _winding(self) -> list[str]:
        """Return lines that pad the canvas to whole rounds of the ring, and add up the rounds."""
        pads = []
        for axis, window in zip(self.axes, self.windows):
            low = -window.before % window.size
            pads.append((low, -(low + axis.canvas) % window.size))
        sides = listed(side for pair in reversed(pads) for side in pair)
        lines = [f"y = F.pad(y, ({sides}))  # to whole rounds"]
        for dim, size in zip(range(-self.dims, 0), self.output_size):
            lines.append(
                f"y = y.unflatten({dim}, (-1, {size})).sum({dim - 1})  # the rounds, added up"
            )
        return lines


def taps(dims: int) -> tuple[str, ...]:
    """Return the names of a kernel's spatial axes.

    >>> taps(1), taps(2)
    (('k',), ('kH', 'kW'))
    """
    return ("k",) if dims == 1 else tuple(f"k{axis}" for axis in AXES[dims])


def listed(values: Iterable[Any]) -> str:
    """Return values with commas between them.

    >>> listed((1, 2))
    '1, 2'
    """
    return ", ".join(map(str, values))


# -- from each framework ----------------------------------------------------------------------------


def from_keras(
    filters: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    *,
    input_size: Sequence[int],
    in_channels: int = 1,
    use_bias: bool = True,
    backend: str = "",
) -> Ported:
    """Return Keras' ``Conv*DTranspose`` as PyTorch has it; ``input_size`` says how many dimensions.

    Examples
    --------
    >>> ported = from_keras(8, 4, strides=2, padding="same", input_size=(5, 5), in_channels=3)
    >>> ported.line, ported.exact
    ('nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1)', True)
    """
    each = partial(per_axis, dims=len(input_size), framework="Keras")
    strides, dilation = each(strides, "strides"), each(dilation_rate, "dilation_rate")
    refuse_unless(
        max(strides) == 1 or max(dilation) == 1,
        "Keras",
        "strides > 1 beside dilation_rate > 1",
        "give one of the two, or write the zeros between the taps into the kernel.",
    )
    axes = _axes("Keras", input_size, each(kernel_size, "kernel_size"), strides, dilation)
    extra: Any = [None] * len(axes)
    if output_padding is not None:
        extra = each(output_padding, "output_padding", least=0)
    windows = tuple(keras_window(axis, padding, more, backend) for axis, more in zip(axes, extra))
    return _ported("Keras", axes, windows, in_channels, filters, bias=use_bias, kernel_axes="koi")


def from_jax(
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int],
    padding: Padding = "SAME",
    rhs_dilation: int | Sequence[int] | None = None,
    transpose_kernel: bool = False,
    use_consistent_padding: bool = False,
    *,
    input_size: Sequence[int],
    in_channels: int = 1,
    out_channels: int = 1,
) -> Ported:
    """Return ``lax.conv_transpose`` as PyTorch has it.

    Examples
    --------
    >>> from_jax((4,), (2,), "SAME", input_size=(5,)).line
    'nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1, bias=False)'
    >>> from_jax((4,), (2,), [(1, 1)], input_size=(5,)).line
    'nn.ConvTranspose1d(1, 1, 4, stride=2, padding=2, bias=False)'
    """
    each = partial(per_axis, dims=len(input_size), framework="JAX")
    axes = _axes(
        "JAX",
        input_size,
        each(kernel_size, "the kernel's size"),
        each(strides, "strides"),
        each(1 if rhs_dilation is None else rhs_dilation, "rhs_dilation"),
    )
    pads = pads_of(padding, len(axes), "JAX", pairs_alone=True)
    windows = tuple(lax_window(*both, use_consistent_padding) for both in zip(axes, pads))
    return _ported(
        "JAX", axes, windows, in_channels, out_channels,
        bias=False, kernel_axes="koi" if transpose_kernel else "kio",
    )  # fmt: skip


def from_lax_general(
    kernel_size: int | Sequence[int],
    padding: Padding,
    lhs_dilation: int | Sequence[int] | None = None,
    rhs_dilation: int | Sequence[int] | None = None,
    feature_group_count: int = 1,
    *,
    window_strides: int | Sequence[int] = 1,
    input_size: Sequence[int],
    in_channels: int = 1,
    out_channels: int = 1,
) -> Ported:
    """Return ``lax.conv_general_dilated`` over a stuffed input (``lhs_dilation``) as PyTorch has it.

    Its layout is taken to be JAX's default one, which is channels first as PyTorch's.

    Examples
    --------
    >>> from_lax_general((3,), [(1, 2)], lhs_dilation=(2,), input_size=(5,)).line
    'nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False)'
    """
    each = partial(per_axis, dims=len(input_size), framework="JAX")
    step = each(window_strides, "window_strides")
    refuse_unless(
        max(step) == 1,
        "PyTorch",
        f"window_strides={shortest(step)} in a transposed convolution",
        "it has none: use 1, and slice the output with a step.",
    )
    axes = _axes(
        "JAX",
        input_size,
        each(kernel_size, "the kernel's size"),
        each(1 if lhs_dilation is None else lhs_dilation, "lhs_dilation"),
        each(1 if rhs_dilation is None else rhs_dilation, "rhs_dilation"),
    )
    pads = pads_of(padding, len(axes), "JAX", pairs_alone=True)
    windows = tuple(map(lax_general_window, axes, pads))
    return _ported(
        "JAX", axes, windows, in_channels, out_channels,
        groups=feature_group_count, bias=False, kernel_axes="oik",
    )  # fmt: skip


def from_flax(
    features: int,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] | None = None,
    transpose_kernel: bool = False,
    *,
    input_size: Sequence[int],
    in_channels: int = 1,
    use_bias: bool = True,
) -> Ported:
    """Return ``flax.linen.ConvTranspose`` as PyTorch has it.

    Examples
    --------
    >>> ported = from_flax(64, (3, 3), strides=(2, 2), input_size=(8, 8), in_channels=32)
    >>> ported.line, ported.mend
    ('nn.ConvTranspose2d(32, 64, 3, stride=2)', ((0, -1), (0, -1)))
    """
    dims = len(input_size)
    each = partial(per_axis, dims=dims, framework="flax")
    refuse_unless(
        dims == 1 or not isinstance(kernel_size, int),
        "flax",
        f"kernel_size={kernel_size} in {dims} dimensions",
        f"one number means one dimension there: give {dims} of them.",
    )
    axes = _axes(
        "flax",
        input_size,
        each(kernel_size, "kernel_size"),
        each(1 if strides is None else strides, "strides"),
        each(1 if kernel_dilation is None else kernel_dilation, "kernel_dilation"),
    )
    pads = pads_of(padding, dims, "flax", pairs_alone=False)
    windows = tuple(flax_window(*both, transpose_kernel) for both in zip(axes, pads))
    return _ported(
        "flax", axes, windows, in_channels, features,
        bias=use_bias, kernel_axes="koi" if transpose_kernel else "kio",
    )  # fmt: skip


def from_onnx(
    kernel_shape: int | Sequence[int],
    *,
    auto_pad: str = "NOTSET",
    pads: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    output_padding: int | Sequence[int] | None = None,
    strides: int | Sequence[int] | None = None,
    dilations: int | Sequence[int] | None = None,
    group: int = 1,
    input_size: Sequence[int],
    in_channels: int = 1,
    out_channels: int = 1,
    use_bias: bool = False,
    runtime: str = "spec",
) -> Ported:
    """Return ONNX' ``ConvTranspose`` as PyTorch has it; the keywords are the node's attributes.

    Examples
    --------
    >>> ported = from_onnx((3,), strides=[2], pads=[0, 1], input_size=(4,))
    >>> ported.line, ported.mend
    ('nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False)', ((0, -1),))
    """
    dims = len(input_size)
    each = partial(per_axis, dims=dims, framework="ONNX")
    axes = _axes(
        "ONNX",
        input_size,
        each(kernel_shape, "kernel_shape"),
        each(1 if strides is None else strides, "strides"),
        each(1 if dilations is None else dilations, "dilations"),
    )
    sides: Any = [0] * (2 * dims) if pads is None else pads
    refuse_unless(
        _are_whole(sides, 2 * dims),
        "ONNX",
        f"pads={sides}",
        f"it has a begin for each of the {dims} axes, then an end for each.",
    )
    extra = each(0 if output_padding is None else output_padding, "output_padding", least=0)
    sizes: Any = [None] * dims
    if output_shape is not None:
        # Some write the batch and the channels in front.
        refuse_unless(
            _are_whole(output_shape, dims) or _are_whole(output_shape, dims + 2),
            "ONNX",
            f"output_shape={output_shape}",
            f"it has a size for each of the {dims} axes.",
        )
        sizes = output_shape[-dims:]
    windows = tuple(
        onnx_window(axis, auto_pad, both, size, more, runtime)
        for axis, both, size, more in zip(axes, zip(sides, sides[dims:]), sizes, extra)
    )
    return _ported(
        "ONNX", axes, windows, in_channels, out_channels,
        groups=group, bias=use_bias, kernel_axes="iok",
    )  # fmt: skip


# -- the same for all -------------------------------------------------------------------------------


def per_axis(
    value: int | Sequence[int], name: str, *, dims: int, framework: str, least: int = 1
) -> Ints:
    """Return a parameter as one whole number per axis.

    >>> per_axis(2, "strides", dims=2, framework="Keras")
    (2, 2)
    """
    given = (value,) * dims if isinstance(value, int) else value
    refuse_unless(
        _are_whole(given, dims) and min(given, default=least) >= least,
        framework,
        f"{name}={value}",
        f"in {dims} dimension{'s' if dims > 1 else ''} it is {dims} whole "
        f"number{'s' if dims > 1 else ''} of at least {least}.",
    )
    return tuple(int(number) for number in given)


def _are_whole(given: Any, count: int) -> bool:
    """Tell whether these are so many whole numbers; what is pasted may be anything."""
    several = isinstance(given, Sequence) and not isinstance(given, str) and len(given) == count
    return several and all(
        isinstance(number, int | np.integer) and not isinstance(number, bool) for number in given
    )


def pads_of(
    padding: Padding, dims: int, framework: str, *, pairs_alone: bool
) -> tuple[str | tuple[int, int], ...]:
    """Return a padding of JAX or flax as a name or a pair for each axis.

    flax takes a number for all axes, or a number for an axis; JAX takes pairs alone.

    >>> pads_of([1, (2, 3)], 2, "flax", pairs_alone=False)
    ((1, 1), (2, 3))
    """
    if isinstance(padding, str):
        return (padding,) * dims
    given: Any = padding
    if not pairs_alone:
        given = [padding] * dims if isinstance(padding, int) else padding
        if isinstance(given, Sequence):
            given = [(side, side) if isinstance(side, int) else side for side in given]
    refuse_unless(
        isinstance(given, Sequence)
        and len(given) == dims
        and all(_are_whole(pair, 2) for pair in given),
        framework,
        f"padding={padding}",
        f"it is a name, or a pair of numbers for each of the {dims} axes.",
    )
    return tuple((low, high) for low, high in given)


def _axes(
    framework: str, input_size: Sequence[int], kernel: Ints, stride: Ints, dilation: Ints
) -> tuple[CanvasAxis, ...]:
    refuse_unless(
        1 <= len(input_size) <= 3 and min(input_size) > 0,
        framework,
        f"input_size={tuple(input_size)}",
        "give one size of at least 1 for each of 1, 2 or 3 dimensions.",
    )
    return along(input_size, kernel, stride, dilation)


def _as_weight(kernel_axes: str, dims: int, groups: int) -> str:
    """Return a torch expression that makes PyTorch's weight of a kernel with axes in this order."""
    at = listed(range(dims))
    if kernel_axes == "iok":
        return "kernel"
    if kernel_axes == "koi":
        return f"kernel.permute({dims + 1}, {dims}, {at})"
    backwards = listed(range(2, 2 + dims))
    if kernel_axes == "kio":
        return f"kernel.permute({dims}, {dims + 1}, {at}).flip({backwards})"
    if groups == 1:
        return f"kernel.transpose(0, 1).flip({backwards})"
    return f"kernel.unflatten(0, ({groups}, -1)).transpose(1, 2).flatten(0, 1).flip({backwards})"


def _ported(
    framework: str,
    axes: tuple[CanvasAxis, ...],
    windows: tuple[Window, ...],
    in_channels: int,
    out_channels: int,
    *,
    groups: int = 1,
    bias: bool,
    kernel_axes: str,
) -> Ported:
    settings = [_torch_setting(axis, window) for axis, window in zip(axes, windows)]
    try:
        layer = Layer.of(
            in_channels,
            out_channels,
            tuple(axis.taps for axis in axes),
            tuple(axis.stride for axis in axes),
            tuple(padding for padding, _, _ in settings),
            tuple(extra for _, extra, _ in settings),
            groups,
            tuple(axis.dilation for axis in axes),
            dims=len(axes),
        )
    except (LayerError, TypeError) as error:
        raise RefusedError("PyTorch", "this layer", str(error)) from None
    return Ported(
        framework=framework,
        layer=layer,
        input_size=tuple(axis.length for axis in axes),
        windows=windows,
        mend=tuple(mend for _, _, mend in settings),
        kernel=_as_weight(kernel_axes, len(axes), groups),
        kernel_axes=kernel_axes,
        bias=bias,
        sentences=tuple(_differences(framework, axes, windows, kernel_axes)),
    )


def _torch_setting(axis: CanvasAxis, window: Window) -> tuple[int, int, tuple[int, int]]:
    """Return padding, output_padding and what has to be mended, so that together they keep a window.

    >>> _torch_setting(CanvasAxis(3, 3, stride=2), Window(1, 6)), _torch_setting(
    ...     CanvasAxis(3, 3, stride=2), Window(0, 6)
    ... )
    ((1, 1, (0, 0)), (0, 0, (0, -1)))
    """
    if window.wraps:
        return 0, 0, (0, 0)
    before, after = window.before, window.after(axis)
    extra = before - after
    if before >= 0 and 0 <= extra < max(axis.stride, axis.dilation):
        return before, extra, (0, 0)
    padding = max(0, min(before, after))
    return padding, 0, (padding - before, padding - after)


def _differences(
    framework: str, axes: tuple[CanvasAxis, ...], windows: tuple[Window, ...], kernel_axes: str
) -> list[str]:
    sentences = []
    if any(window.wraps for window in windows):
        sentences.append(
            'PyTorch has no circular transposed convolution: "CIRCULAR" winds the whole canvas around a '
            "ring of length*stride positions and adds up what meets."
        )
    for name, axis, window in zip(AXES[len(axes)], axes, windows):
        if any(_torch_setting(axis, window)[2]):
            sentences.append(
                f"Along {name} {framework} {in_words(axis, window)}. PyTorch's padding crops both ends "
                "alike, and its output_padding gives back at the end, less than a stride or dilation: "
                "the rest is done after the layer."
            )
    if kernel_axes in ("kio", "oik"):
        sentences.append(
            f"{framework} slides this kernel as a plain convolution does, so PyTorch's weight has the "
            "taps backwards."
        )
    return sentences

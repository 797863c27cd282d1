"""From elsewhere to PyTorch: each framework's parameters, by its own names, as a `Ported` layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    along,
    flax_window,
    keras_window,
    lax_general_window,
    lax_window,
    onnx_window,
)
from convt_trace.elsewhere.errors import refuse_unless
from convt_trace.elsewhere.ported import Ported, ported
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import shortest

#: A padding as JAX and flax write it: a name, or zeros before and after each axis.
Padding = str | int | Sequence[Any]


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
    return ported("Keras", axes, windows, in_channels, filters, bias=use_bias, kernel_axes="koi")


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
    return ported(
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
    return ported(
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
    return ported(
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
    return ported(
        "ONNX", axes, windows, in_channels, out_channels,
        groups=group, bias=use_bias, kernel_axes="iok",
    )  # fmt: skip


# -- what is given, checked --------------------------------------------------------------------------


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

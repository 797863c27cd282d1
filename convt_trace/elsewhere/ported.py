"""A layer of another framework as PyTorch has it: a ``ConvTranspose`` and a crop or a pad."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convt_trace.elsewhere.canvas import keep, spread
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    along,
    in_words,
)
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.engine.arrays import as_array, wide
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import Ints, Layer
from convt_trace.engine.text import AXES


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
    >>> from convt_trace.elsewhere.port import from_keras
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
        >>> from convt_trace.elsewhere.port import from_keras
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

        >>> from convt_trace.elsewhere.port import from_keras
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


# -- making one ------------------------------------------------------------------------------------


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


def ported(
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
    """Return what keeps these windows in PyTorch.

    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> ported("Keras", (axis,), (Window(0, 6),), 1, 1, bias=False, kernel_axes="koi").mend
    ((0, -1),)
    """
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

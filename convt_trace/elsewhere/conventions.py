"""Which part of the canvas each framework keeps: every convention, written once, for one axis.

All frameworks compute the same *canvas*, the full output before any crop, whose position

    c = i*stride + k*dilation

collects input position ``i`` times kernel tap ``k``. They differ in the `Window` of it that they keep,
and in where the odd position goes when the crop of both sides isn't even. Nothing here knows a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convt_trace.elsewhere.errors import refuse_unless
from convt_trace.engine.layer import reach, span

#: Keras' backends, as it names them.
BACKENDS = ("jax", "tensorflow", "torch")
AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
#: What computes an ONNX model: the text of the standard, its evaluator in Python, onnxruntime.
RUNTIMES = ("spec", "reference", "onnxruntime")


@dataclass(frozen=True)
class CanvasAxis:
    """One axis before anything is cropped.

    Attributes
    ----------
    length, taps, stride, dilation : int
        Input positions, kernel taps, and how far apart the canvas positions of two neighbours are.

    Examples
    --------
    >>> axis = CanvasAxis(length=3, taps=3, stride=2, dilation=1)
    >>> axis.span, axis.canvas
    (3, 7)
    """

    length: int
    taps: int
    stride: int = 1
    dilation: int = 1

    @property
    def span(self) -> int:
        """Canvas positions from a kernel's first tap to its last: the size of the dilated kernel."""
        return span(self.taps, self.dilation)

    @property
    def canvas(self) -> int:
        """Canvas positions that taps can reach."""
        return reach(self.length, self.taps, self.stride, self.dilation)


@dataclass(frozen=True)
class Window:
    """What is kept of one axis of the canvas: output position ``o`` is canvas position ``before + o``.

    Outside the canvas there are zeros, so ``before`` may be negative and the window may end late.

    Attributes
    ----------
    before : int
        Canvas positions cropped at the beginning; negative: zeros put there.
    size : int
        Output positions.
    wraps : bool
        Whether the canvas is wound around a ring of ``size`` positions, so that output position ``o``
        adds up every canvas position that is ``before + o`` modulo ``size``.

    Examples
    --------
    >>> window = Window(before=1, size=6)
    >>> window.after(CanvasAxis(3, 3, stride=2))
    0
    """

    before: int
    size: int
    wraps: bool = False

    def after(self, axis: CanvasAxis) -> int:
        """Return how many canvas positions are cropped at the end; negative: zeros put there."""
        return axis.canvas - self.before - self.size

    def covers(self, other: Window, axis: CanvasAxis) -> bool:
        """Tell whether it keeps every canvas position that the other one keeps.

        >>> Window(0, 6).covers(Window(1, 6), CanvasAxis(3, 3, stride=2))
        False
        """
        begin, end = max(other.before, 0), min(other.before + other.size, axis.canvas)
        return begin >= end or (self.before <= begin and end <= self.before + self.size)


def cropped(axis: CanvasAxis, before: int, after: int) -> Window:
    """Return the window that is left when so many positions are cropped at each end.

    >>> cropped(CanvasAxis(3, 3, stride=2), before=1, after=0)
    Window(before=1, size=6, wraps=False)
    """
    return Window(before, axis.canvas - before - after)


def odd_side(axis: CanvasAxis, window: Window) -> str:
    """Return the side where more is cropped: "begin", "end", or "" where both are equal.

    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> odd_side(axis, torch_window(axis, padding=1, output_padding=1))
    'begin'
    >>> odd_side(axis, keras_window(axis, "same"))
    'end'
    """
    more = window.before - window.after(axis)
    return "" if more == 0 or window.wraps else "begin" if more > 0 else "end"


def in_words(axis: CanvasAxis, window: Window) -> str:
    """Return what a window does to an axis.

    >>> in_words(CanvasAxis(3, 3, stride=2), Window(1, 6))
    'crops 1 at the beginning and 0 at the end'
    >>> in_words(CanvasAxis(3, 3), Window(0, 6))
    'crops 0 at the beginning and adds 1 at the end'
    """
    before, after = window.before, window.after(axis)
    first, second = ("crops" if count >= 0 else "adds" for count in (before, after))
    verb = "" if first == second else f"{second} "
    return f"{first} {abs(before)} at the beginning and {verb}{abs(after)} at the end"


# -- PyTorch ----------------------------------------------------------------------------------------


def torch_window(axis: CanvasAxis, padding: int = 0, output_padding: int = 0) -> Window:
    """Return what PyTorch keeps: ``padding`` crops both ends, ``output_padding`` gives back at the end.

    >>> torch_window(CanvasAxis(3, 3, stride=2), padding=1, output_padding=1)
    Window(before=1, size=6, wraps=False)
    """
    limit = max(axis.stride, axis.dilation)
    refuse_unless(
        0 <= output_padding < limit,
        "PyTorch",
        f"output_padding={output_padding}",
        f"it must be 0 or more, and less than stride or dilation ({limit}).",
    )
    refuse_unless(padding >= 0, "PyTorch", f"padding={padding}", "give 0 or more.")
    return _something(cropped(axis, padding, padding - output_padding), "PyTorch", "this padding")


# -- Keras ------------------------------------------------------------------------------------------


def keras_window(
    axis: CanvasAxis, padding: str = "valid", output_padding: int | None = None, backend: str = ""
) -> Window:
    """Return what Keras' ``Conv*DTranspose`` keeps, on all of its backends.

    With ``output_padding=None`` "valid" keeps the whole canvas (and zeros, where the stride is larger
    than the kernel), and "same" keeps ``length*stride`` positions. An ``output_padding`` sets the size
    instead. "same" crops half at each end, the odd position at the end.

    Parameters
    ----------
    axis : CanvasAxis
    padding : {"valid", "same"}
    output_padding : int, optional
        Not torch's: "same" crops ``kernel - kernel % 2 - output_padding`` positions in all.
    backend : {"", "jax", "tensorflow", "torch"}
        With "tensorflow", what TensorFlow alone refuses is refused too.

    Examples
    --------
    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> keras_window(axis, "valid"), keras_window(axis, "same")
    (Window(before=0, size=7, wraps=False), Window(before=0, size=6, wraps=False))
    >>> keras_window(axis, "same", output_padding=0)
    Window(before=1, size=5, wraps=False)
    """
    padding = padding.lower() if isinstance(padding, str) else padding
    refuse_unless(
        backend in ("", *BACKENDS),
        "Keras",
        f"backend={backend!r}",
        f"it is one of {', '.join(BACKENDS)}.",
    )
    refuse_unless(
        padding in ("valid", "same"),
        "Keras",
        f"padding={padding!r}",
        'a transposed layer knows "valid" and "same" alone.',
    )
    refuse_unless(
        output_padding is None or 0 <= output_padding < axis.stride,
        "Keras",
        f"output_padding={output_padding}",
        f"it must be 0 or more, and less than strides ({axis.stride}).",
    )
    if padding == "valid":
        extra = max(0, axis.stride - axis.span) if output_padding is None else output_padding
        return cropped(axis, 0, -extra)
    less = axis.stride if output_padding is None else axis.span % 2 + output_padding
    total = axis.span - less
    before = max(0, total // 2)
    window = _something(cropped(axis, before, total - before), "Keras", "this output_padding")
    if backend == "tensorflow":
        refuse_unless(
            -(-window.size // axis.stride) == axis.length,
            "TensorFlow",
            f"output_padding={output_padding}",
            f'with padding="same" an output of {window.size} does not come from an input of '
            f"{axis.length} with strides {axis.stride}.",
        )
    return window


# -- JAX --------------------------------------------------------------------------------------------


def lax_pads_window(axis: CanvasAxis, low: int, high: int) -> Window:
    """Return what a plain convolution over the stuffed input keeps, with these zeros around it.

    It is the meaning of explicit pads in ``lax.conv_transpose``, ``lax.conv_general_dilated`` and
    flax: not a crop of the output, but ``dilation*(kernel-1) - crop`` zeros around the input.

    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> lax_pads_window(axis, 2, 2), lax_pads_window(axis, 1, 1)
    (Window(before=0, size=7, wraps=False), Window(before=1, size=5, wraps=False))
    """
    border = axis.span - 1
    return cropped(axis, border - low, border - high)


def lax_window(
    axis: CanvasAxis,
    padding: str | tuple[int, int] = "SAME",
    use_consistent_padding: bool = False,
    framework: str = "JAX",
) -> Window:
    """Return what ``lax.conv_transpose`` keeps.

    Parameters
    ----------
    axis : CanvasAxis
    padding : {"SAME", "VALID"} or (int, int)
        The names mean the same as Keras'. Numbers are zeros around the input, see `lax_pads_window`.
    use_consistent_padding : bool
        Numbers are the crop of the output instead, as in PyTorch.
    framework : str
        Who refuses, in an error.

    Examples
    --------
    >>> axis = CanvasAxis(3, 4, stride=2)
    >>> lax_window(axis, "SAME"), lax_window(axis, (1, 1))
    (Window(before=1, size=6, wraps=False), Window(before=2, size=4, wraps=False))
    >>> lax_window(axis, (1, 1), use_consistent_padding=True)
    Window(before=1, size=6, wraps=False)
    """
    if isinstance(padding, str):
        refuse_unless(
            padding in ("SAME", "VALID"),
            framework,
            f"padding={padding!r}",
            'a transposed convolution knows "SAME" and "VALID" in capitals, and pairs of numbers.',
        )
        return keras_window(axis, padding.lower())
    low, high = padding
    window = (
        cropped(axis, low, high) if use_consistent_padding else lax_pads_window(axis, low, high)
    )
    return _something(window, framework, f"padding={padding}")


def lax_general_window(axis: CanvasAxis, padding: str | tuple[int, int]) -> Window:
    """Return what ``lax.conv_general_dilated`` with this ``lhs_dilation`` and window stride 1 keeps.

    >>> lax_general_window(CanvasAxis(3, 3, stride=2), (1, 2))
    Window(before=1, size=6, wraps=False)
    """
    refuse_unless(
        not isinstance(padding, str),
        "JAX",
        f"padding={padding!r}",
        "with lhs_dilation conv_general_dilated takes pairs of numbers alone.",
    )
    return lax_window(axis, padding)


# -- flax -------------------------------------------------------------------------------------------


def flax_window(
    axis: CanvasAxis, padding: str | tuple[int, int] = "SAME", transpose_kernel: bool = False
) -> Window:
    """Return what ``flax.linen.ConvTranspose`` keeps: JAX's, and "CIRCULAR", which wraps.

    "CIRCULAR" winds the canvas around a ring of ``length*stride`` positions, about in the middle of
    it. ``transpose_kernel`` says where the odd position goes.

    Examples
    --------
    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> flax_window(axis, "CIRCULAR")
    Window(before=0, size=6, wraps=True)
    >>> flax_window(axis, "CIRCULAR", transpose_kernel=True)
    Window(before=1, size=6, wraps=True)
    """
    if padding != "CIRCULAR":
        return lax_window(axis, padding, framework="flax")
    ring = axis.length * axis.stride
    # flax pads what "VALID" keeps to twice the ring or a multiple of it, then adds the rounds up.
    missing = -(keras_window(axis, "valid").size - ring) % (2 * ring)
    low = missing // 2 if transpose_kernel else (missing + 1) // 2
    return Window(-low % ring, ring, wraps=True)


# -- ONNX -------------------------------------------------------------------------------------------


def onnx_window(
    axis: CanvasAxis,
    auto_pad: str = "NOTSET",
    pads: tuple[int, int] = (0, 0),
    output_shape: int | None = None,
    output_padding: int = 0,
    runtime: str = "spec",
) -> Window:
    """Return what ONNX' ``ConvTranspose`` keeps.

    Parameters
    ----------
    axis : CanvasAxis
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        The two SAME keep ``length*stride`` positions; the odd one is cropped at the end (UPPER) or at
        the beginning (LOWER).
    pads : (int, int)
        The crop at the beginning and at the end.
    output_shape : int, optional
        The output size; pads are then made from it, the odd one at the beginning except for SAME_UPPER.
    output_padding : int
        Positions added at the end, as in PyTorch.
    runtime : {"spec", "reference", "onnxruntime"}
        By the standard's own equations, or by what a runtime makes of them where it differs.

    Examples
    --------
    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> onnx_window(axis, "SAME_UPPER"), onnx_window(axis, "SAME_LOWER")
    (Window(before=0, size=6, wraps=False), Window(before=1, size=6, wraps=False))
    >>> onnx_window(axis, pads=(0, 2)), onnx_window(axis, output_shape=6)
    (Window(before=0, size=5, wraps=False), Window(before=1, size=6, wraps=False))
    """
    _check_onnx(axis, auto_pad, pads, output_padding)
    refuse_unless(
        runtime in RUNTIMES, "ONNX", f"runtime={runtime!r}", f"it is one of {', '.join(RUNTIMES)}."
    )
    full = axis.canvas + output_padding
    same = auto_pad in ("SAME_UPPER", "SAME_LOWER")
    if output_shape is None and not same:
        window = Window(pads[0], full - sum(pads))
    else:
        size = axis.length * axis.stride if output_shape is None else output_shape
        total = full - size
        window = Window(total // 2 if auto_pad == "SAME_UPPER" else total - total // 2, size)
        if runtime == "onnxruntime" and total < 0:
            # It crops nothing then, and without an output_shape it keeps all that there is.
            window = Window(0, full if output_shape is None else size)
        if runtime == "reference" and not same:
            window = Window(pads[0], size)  # it makes no pads of an output_shape
    _something(window, "ONNX", "this padding")
    if runtime == "onnxruntime":
        _check_beyond(axis, max(full, window.size), "onnxruntime")
    if runtime == "reference":
        _check_beyond(axis, full if same else window.size + sum(pads), "ONNX' reference evaluator")
    return window


def _check_onnx(
    axis: CanvasAxis, auto_pad: str, pads: tuple[int, int], output_padding: int
) -> None:
    refuse_unless(
        auto_pad in AUTO_PADS,
        "ONNX",
        f"auto_pad={auto_pad!r}",
        f"it is one of {', '.join(AUTO_PADS)}.",
    )
    refuse_unless(
        auto_pad == "NOTSET" or pads == (0, 0),
        "ONNX",
        f"pads beside auto_pad={auto_pad!r}",
        "give one of the two.",
    )
    refuse_unless(
        min(pads) >= 0,
        "ONNX",
        f"pads={pads}",
        "give 0 or more; output_padding enlarges the output.",
    )
    limit = max(axis.stride, axis.dilation)
    refuse_unless(
        0 <= output_padding < limit,
        "ONNX",
        f"output_padding={output_padding}",
        f"it must be 0 or more, and less than stride or dilation ({limit}).",
    )


def _check_beyond(axis: CanvasAxis, uncropped: int, runtime: str) -> None:
    """Refuse an output, before its crop, from which a plain convolution would not lead back."""
    beyond = uncropped - axis.canvas
    refuse_unless(
        0 <= beyond < axis.stride,
        runtime,
        "this output size",
        f"before the crop it has to be the canvas and less than a stride more, and has {beyond} more.",
    )


def _something(window: Window, framework: str, parameter: str) -> Window:
    refuse_unless(
        window.size > 0,
        framework,
        parameter,
        f"an output of size {window.size} is left of the axis.",
    )
    return window


def along(
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[CanvasAxis, ...]:
    """Return the axes of a layer.

    >>> along((3, 4), (2, 3), (1, 2), (1, 1))[1]
    CanvasAxis(length=4, taps=3, stride=2, dilation=1)
    """
    numbers: Any = zip(input_size, kernel_size, stride, dilation)
    return tuple(CanvasAxis(*axis) for axis in numbers)

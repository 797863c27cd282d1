"""What to take in place of a layer whose overlap is uneven: each as a program, with its size and number.

Sources: Odena, Dumoulin and Olah, *Deconvolution and Checkerboard Artifacts* (Distill 2016), for a kernel
that is a multiple of the stride and for resizing before a convolution; Shi et al., *Real-Time Single Image
and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network* (CVPR 2016); Aitken
et al., *Checkerboard artifact free sub-pixel convolution* (arXiv 1707.02937, 2017), for equal starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import gcd, prod

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Axis, Geometry, Ints, Layer, output_length, phases
from convt_trace.engine.text import by, shortest
from convt_trace.planning.axiswise import Step, linear, mean_of_three, nearest, spread, through
from convt_trace.planning.counts import ratio_of
from convt_trace.planning.overlap import Overlap, overlap

#: A kernel is not made longer than this, nor than twice what it is, to be a multiple of the stride.
_LONGEST_KERNEL = 64
#: Phases up to which a sub-pixel convolution is offered: it has a channel for each.
_MOST_PHASES = 1024
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_TRAINED = "other weights than the layer's, to be trained anew"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Alternative:
    """A layer, or some, that take the same input as a transposed convolution.

    Its weights are other ones, so its numbers can't be the layer's. To be looked at, all its weights are
    equal and add up to 1 in a cell (or start so, for "equal start"): then an even one gives the mean of
    what it reads.

    Attributes
    ----------
    name : str
        "as it is", "kernel", "nearest", "linear", "sub-pixel" or "equal start".
    sentence : str
        What it is, what size it gives, whose idea it is.
    code : str
        A program in torch that runs as it stands: it makes ``x``, ``model`` and ``y``.
    output_size : tuple of int
        Spatial output size.
    weight_shape : tuple of int
        The shape of its weight.
    ratio : float
        The number: the largest by the smallest that a constant input gives so, edges left out.
    layer : Layer or None
        Where it is one transposed convolution.
    steps : tuple of callables
        What it does along each axis.
    of : Overlap
        The overlap of the layer that it stands in for.

    Examples
    --------
    >>> layer = Layer.of(1, 1, 3, stride=2, dims=1)
    >>> kernel, near, *_ = alternatives(layer, 3)
    >>> kernel
    kernel: ConvTranspose1d(1, 1, 4, stride=2, padding=1, output_padding=1), output 7, even
    >>> near.map().round(3).tolist(), as_it_is(layer, 3).map().round(3).tolist()
    ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [0.667, 0.667, 1.333, 0.667, 1.333, 0.667, 0.667])
    >>> print(near.code)
    import torch
    from torch import nn
    <BLANKLINE>
    x = torch.ones(1, 1, 3)
    model = nn.Sequential(
        nn.Upsample(size=(7,), mode="nearest"),
        nn.Conv1d(1, 1, 3, padding=1, padding_mode="replicate"),
    )
    y = model(x)
    print(tuple(y.shape))  # (1, 1, 7)
    """

    name: str
    sentence: str
    code: str
    output_size: Ints
    weight_shape: Ints
    ratio: float
    steps: tuple[Step, ...]
    of: Overlap
    layer: Layer | None = None
    made_of: str = ""

    @property
    def same_size(self) -> bool:
        """Whether its output has the layer's own size."""
        return self.output_size == _output_size(self.of)

    def map(self) -> np.ndarray:
        """Return what an input of ones gives, edges and all: one number per output cell, float64."""
        ends = [step(np.ones(length)) for step, length in zip(self.steps, _input_size(self.of))]
        return reduce(np.multiply.outer, ends)

    def result(self) -> np.ndarray:
        """Return what the case's own input gives, without the bias: float64, (N, C_out, *output_size).

        Output channels of a group are equal, as their weights are. An unbatched input has no batch axis.

        Raises
        ------
        ValueError
            For a layer without numbers.
        """
        case = self.of.case
        if case is None or case.geometry.input_size != self.of.input_size:
            raise ValueError("There is no input of this size to work out: give a case of it.")
        layer, x = case.layer, wide(case.batched)
        with np.errstate(invalid="ignore", over="ignore"):
            groups = x.reshape(len(x), layer.groups, layer.in_per_group, *x.shape[2:])
            made = through(groups.mean(axis=2), self.steps)
        made = np.repeat(made, layer.out_per_group, axis=1)
        return made[0] if case.unbatched else made

    def __repr__(self) -> str:
        told = "even" if self.ratio == 1 else f"max/min {self.ratio:.4g}"
        return f"{self.name}: {self.made_of}, output {by(self.output_size)}, {told}"


def alternatives(
    case_or_layer: Case | Layer, input_size: int | Iterable[int] | None = None
) -> tuple[Alternative, ...]:
    """Return what can stand in for a layer, so that a constant input comes out without a pattern.

    A kernel that is a multiple of the stride is left out where the layer is even already, and an equal
    start where some cells get nothing, which no weights change.

    Parameters
    ----------
    case_or_layer : Case or Layer
    input_size : int or iterable of int, optional
        Spatial input size; a case's own where not given. A layer needs one.

    Raises
    ------
    LayerError
        If the size does not fit the layer, or padding leaves no output.
    ValueError
        For a layer without an input size.

    Examples
    --------
    >>> for one in alternatives(Layer.of(3, 8, 3, 2, 1, 1, dims=2), (16, 16)):
    ...     print(one)
    kernel: ConvTranspose2d(3, 8, 4, stride=2, padding=1), output 32 x 32, even
    nearest: Upsample, Conv2d(3, 8, 3), output 32 x 32, even
    linear: Upsample, Conv2d(3, 8, 3), output 32 x 32, even
    sub-pixel: Conv2d(3, 32, 3), PixelShuffle(2), output 32 x 32, even
    equal start: ConvTranspose2d(3, 8, 3, stride=2, padding=1, output_padding=1), output 32 x 32, even
    """
    seen = overlap(case_or_layer, input_size)
    _input_size(seen)  # refuses a layer without one
    makers: tuple[Callable[[Overlap], Alternative | None], ...] = (
        _kernel, partial(_resized, mode="nearest"), partial(_resized, mode="linear"),
        _sub_pixel, _equal_start,
    )  # fmt: skip
    return tuple(one for make in makers if (one := make(seen)) is not None)


def as_it_is(
    case_or_layer: Case | Layer, input_size: int | Iterable[int] | None = None
) -> Alternative:
    """Return the layer itself with equal weights, to be set beside its alternatives.

    >>> as_it_is(Layer.of(3, 8, 3, 2, 1, 1, dims=2), (16, 16)).ratio
    4.0
    """
    seen = overlap(case_or_layer, input_size)
    size = by(_output_size(seen))
    return _transposed(
        seen,
        seen.layer,
        _averaging(seen.layer),
        seen.ratio,
        name="as it is",
        sentence=f"The layer itself, with weights that are all equal. Its output is {size}.",
        lines=[f"model = {_constructor(seen, str(seen.layer))}"],
    )


# -- a kernel that is a multiple of the stride ------------------------------------------------------


def even_layer(layer: Layer) -> Layer | None:
    """Return the nearest layer whose kernel is a multiple of the stride, with the same output size.

    Of two kernels as near the larger is taken, per axis, and of those that leave cells at the end of the
    output without a MAC none, unless the layer has such cells. A dilation that shares a factor with the
    stride becomes 1: with it some cells get nothing, whatever the kernel.

    Returns
    -------
    Layer or None
        The layer itself if it is even; None where the kernel would become very large.

    Examples
    --------
    >>> print(even_layer(Layer.of(3, 8, 3, stride=2, dims=2)))
    ConvTranspose2d(3, 8, 4, stride=2, padding=1, output_padding=1)
    >>> print(even_layer(Layer.of(3, 8, 4, stride=3, padding=1, dims=1)))
    ConvTranspose1d(3, 8, 3, stride=3, padding=1, output_padding=1)
    """
    found = []
    for axis in zip(
        layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation
    ):
        even = _even_axis(*axis)
        if even is None:
            return None
        found.append(even)
    kernel, padding, output_padding, dilation = map(tuple, zip(*found))
    return replace(
        layer,
        kernel_size=kernel,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )


def _even_axis(
    taps: int, stride: int, padding: int, output_padding: int, dilation: int
) -> tuple[int, int, int, int] | None:
    """Return kernel size, padding, output_padding and dilation of an even axis of the same length."""
    if len(set(map(len, phases(taps, stride, padding, dilation)))) == 1:
        return taps, padding, output_padding, dilation
    apart = dilation if gcd(stride, dilation) == 1 else 1
    longest = max(_LONGEST_KERNEL, 2 * taps)
    for kernel in sorted(
        range(stride, longest + 1, stride), key=lambda size: (abs(size - taps), -size)
    ):
        # What is too much of the output has to be cropped: twice the padding, less output_padding.
        uncropped = output_length(1, kernel, stride, 0, 0, apart)
        crop = uncropped - output_length(1, taps, stride, padding, output_padding, dilation)
        half = max(0, -(-crop // 2))
        # No cells at the end that nothing reaches, unless the layer has them too.
        if -crop <= max(0, output_padding - padding) and 2 * half - crop < max(stride, apart):
            return kernel, half, 2 * half - crop, apart
    return None


def _kernel(seen: Overlap) -> Alternative | None:
    layer = even_layer(seen.layer)
    if layer is None or seen.even:
        return None
    closer = "" if layer.dilation == seen.layer.dilation else f", dilation {_size(layer.dilation)}"
    return _transposed(
        seen,
        layer,
        _averaging(layer),
        overlap(layer).ratio,
        name="kernel",
        sentence=(
            f"A kernel of {_size(layer.kernel_size)} with stride {_size(layer.stride)}{closer}: in every "
            f"phase as many taps. The output stays {by(_output_size(seen))}; its weight is "
            f"{layer.weight_shape}, {_TRAINED}. Weights may still learn a pattern (Odena et al. 2016)."
        ),
        lines=[f"model = {_constructor(seen, str(layer))}"],
    )


# -- the same layer with other weights to start from ------------------------------------------------


def _equal_start(seen: Overlap) -> Alternative | None:
    if seen.gaps:
        return None
    layer = seen.layer
    starts = [_start(*axis) for axis in zip(layer.kernel_size, layer.stride)]
    weights = [
        [part / (taken[-1] + 1) for part in parts] for taken, parts in starts
    ]  # of equal starting taps: all phases add up to 1
    shape = ", ".join(map(str, [*layer.weight_shape[:2], *(taken[-1] + 1 for taken, _ in starts)]))
    lines = [
        f"model = {_constructor(seen, str(layer))}",
        f"start = nn.init.kaiming_uniform_(torch.empty({shape}))",
    ]
    for axis, (taken, parts) in enumerate(starts, start=2):
        if taken != list(range(len(taken))):
            lines.append(f"start = start.index_select({axis}, torch.tensor({taken}))")
        if set(parts) != {1.0}:
            ones = ", 1" * (layer.dims + 1 - axis)
            lines.append(f"start = start * torch.tensor({parts}).reshape(-1{ones})")
    lines.append("model.weight = nn.Parameter(start)  # every phase adds up to the same")
    return _transposed(
        seen,
        layer,
        weights,
        prod(_ratio(parts, axis) for (_, parts), axis in zip(starts, seen.taps)),
        name="equal start",
        sentence=(
            "The same layer, which starts from weights whose phases all add up to the same, so that it "
            f"begins without a pattern; training may bring one. The output stays {by(_output_size(seen))}, "
            "and so do the MACs of each cell. Aitken et al. (2017) start a sub-pixel conv so (ICNR)."
        ),
        lines=lines,
    )


def _start(taps: int, stride: int) -> tuple[list[int], list[float]]:
    """Return which starting tap each tap of an axis takes, and how much of it.

    Any ``stride`` taps in a row are one of each phase, so they take the same one. Where some phases have
    a tap more than others, two taps of theirs share the last.

    >>> _start(4, 2), _start(3, 2)
    (([0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0]), ([0, 0, 0], [0.5, 1.0, 0.5]))
    """
    last = taps // stride - 1
    taken = [min(tap // stride, last) for tap in range(taps)]
    more = taps % stride
    parts = [0.5 if tap >= last * stride and tap % stride < more else 1.0 for tap in range(taps)]
    return taken, parts


# -- resize, then convolve --------------------------------------------------------------------------


def _resized(seen: Overlap, mode: str) -> Alternative:
    layer, size = seen.layer, _output_size(seen)
    resize = {"nearest": nearest, "linear": linear}[mode]
    torchs = mode if mode == "nearest" else _LINEAR[layer.dims]
    conv, shape = _conv(seen, layer.out_channels)
    does = "repeating each value" if mode == "nearest" else "interpolating between values"
    return Alternative(
        name=mode,
        made_of=f"Upsample, Conv{layer.dims}d({layer.in_channels}, {layer.out_channels}, 3)",
        sentence=(
            f"Resized to {by(size)} by {does} ({torchs}), then a Conv with stride 1, which reads the same "
            f"number of values in every cell. The output is {by(size)}, as the layer's; the Conv's weight "
            f"is {shape}, {_TRAINED}. Odena et al. (2016) advise it."
        ),
        code=_program(
            seen,
            [
                "model = nn.Sequential(",
                f"    nn.Upsample({_target(seen)}, mode={_quoted(torchs)}),",
                f"    {conv},",
                ")",
            ],
            size,
        ),
        output_size=size,
        weight_shape=shape,
        ratio=1.0,  # a resized constant is one, and a Conv with stride 1 has one phase
        steps=tuple(partial(_resize_and_mean, resize=resize, length=length) for length in size),
        of=seen,
    )


def _resize_and_mean(
    x: np.ndarray, resize: Callable[[np.ndarray, int], np.ndarray], length: int
) -> np.ndarray:
    return mean_of_three(resize(x, length))


def _target(seen: Overlap) -> str:
    """Return the argument of ``nn.Upsample`` that gives the layer's output size."""
    size, stride = _output_size(seen), seen.layer.stride
    if size == _enlarged(seen):
        return f"scale_factor={shortest(stride)}"
    return f"size={size}"


# -- sub-pixel convolution --------------------------------------------------------------------------


def _sub_pixel(seen: Overlap) -> Alternative | None:
    layer, stride = seen.layer, seen.layer.stride
    if prod(stride) > _MOST_PHASES:
        return None
    conv, shape = _conv(seen, layer.out_channels * prod(stride))
    size = _enlarged(seen)
    shuffles = layer.dims == 2 and len(set(stride)) == 1
    shuffle = f"PixelShuffle({stride[0]})" if shuffles else "phases side by side"
    fits = ", as the layer's" if size == _output_size(seen) else f", not {by(_output_size(seen))}"
    lines = _shuffling(layer, conv)
    if shuffles:
        lines = ["model = nn.Sequential(", f"    {conv},", f"    nn.{shuffle},", ")"]
    return Alternative(
        name="sub-pixel",
        made_of=f"Conv{layer.dims}d({layer.in_channels}, {shape[0]}, 3), {shuffle}",
        sentence=(
            f"A Conv with {prod(stride)} channels for each output channel, one per phase, which are put "
            f"side by side: all phases have as many taps. The output is {by(size)}{fits}; the Conv's "
            f"weight is {shape}, {_TRAINED}. Shi et al. (2016). From random weights it starts with a "
            "pattern, unless the phases start equal (Aitken et al. 2017)."
        ),
        code=_program(seen, lines, size),
        output_size=size,
        weight_shape=shape,
        ratio=1.0,  # each phase is a Conv with stride 1 of the same size
        steps=tuple(partial(_mean_and_repeat, stride=s) for s in stride),
        of=seen,
    )


def _mean_and_repeat(x: np.ndarray, stride: int) -> np.ndarray:
    return np.repeat(mean_of_three(x), stride, axis=-1)


def _shuffling(layer: Layer, conv: str) -> list[str]:
    """Return lines of torch that put the phases side by side, where there is no PixelShuffle for it."""
    dims = layer.dims
    apart = ", ".join(map(str, (layer.out_channels, *layer.stride)))
    order = [0, 1, *(at for axis in range(2, 2 + dims) for at in (axis + dims, axis))]
    joined = "".join(f".flatten({axis}, {axis + 1})" for axis in range(2, 2 + dims))
    return [
        f"conv = {conv}",
        "",
        "",
        "def model(x):",
        f"    y = conv(x).unflatten(1, ({apart}))  # the phases, apart from the channels",
        f"    return y.permute({', '.join(map(str, order))}){joined}",
        "",
        "",
    ]


# -- what they share --------------------------------------------------------------------------------


def _transposed(
    seen: Overlap,
    layer: Layer,
    weights: Sequence[Sequence[float]],
    ratio: float,
    *,
    name: str,
    sentence: str,
    lines: list[str],
) -> Alternative:
    """Return an alternative that is one transposed convolution, with a weight for each tap of an axis."""
    axes = Geometry(layer, 1, _input_size(seen)).axes
    size = layer.output_size(_input_size(seen))
    return Alternative(
        name=name,
        made_of=str(layer),
        sentence=sentence,
        code=_program(seen, lines, size),
        output_size=size,
        weight_shape=layer.weight_shape,
        ratio=ratio,
        steps=tuple(_spreading(axis, weight) for axis, weight in zip(axes, weights)),
        of=seen,
        layer=layer,
    )


def _spreading(axis: Axis, weight: Sequence[float]) -> Step:
    return partial(spread, axis=axis, weight=weight)


def _ratio(weight: Sequence[float], taps: Sequence[range]) -> float:
    """Return the largest by the smallest sum of a phase."""
    sums = [sum(weight[tap] for tap in phase) for phase in taps]
    return ratio_of(min(sums), max(sums))


def _averaging(layer: Layer) -> list[list[float]]:
    """Return equal weights per axis that give a constant's own brightness, on average over the phases."""
    return [[s / k] * k for k, s in zip(layer.kernel_size, layer.stride)]


def _input_size(seen: Overlap) -> Ints:
    if seen.input_size is None:
        raise ValueError("Without an input size there is no output: give input_size.")
    return seen.input_size


def _output_size(seen: Overlap) -> Ints:
    return seen.layer.output_size(_input_size(seen))


def _enlarged(seen: Overlap) -> Ints:
    return tuple(length * s for length, s in zip(_input_size(seen), seen.layer.stride))


def _size(value: Ints) -> str:
    """Return one number per axis, or one for all."""
    return by(value) if len(set(value)) > 1 else str(value[0])


def _quoted(text: str) -> str:
    return f'"{text}"'


def _constructor(seen: Overlap, layer: str) -> str:
    """Return a layer as torch makes it, without a bias where the case has none."""
    bare = seen.case is not None and seen.case.bias is None
    return f"nn.{layer[:-1]}, bias=False)" if bare else f"nn.{layer}"


def _conv(seen: Overlap, out_channels: int) -> tuple[str, Ints]:
    """Return a plain Conv of 3 taps an axis as torch makes it, and the shape of its weight."""
    layer = seen.layer
    shape = (out_channels, layer.in_per_group, *[3] * layer.dims)
    # Zeros around the input would make the cells at the edge darker than the rest.
    given = (
        f"{layer.in_channels}, {out_channels}, 3, padding=1, padding_mode={_quoted('replicate')}"
    )
    groups = f", groups={layer.groups}" if layer.groups > 1 else ""
    return _constructor(seen, f"Conv{layer.dims}d({given}{groups})"), shape


def _program(seen: Overlap, lines: Sequence[str], size: Ints) -> str:
    items = 1 if seen.case is None else len(seen.case.batched)
    shape = (items, seen.layer.out_channels, *size)
    head = ["import torch", "from torch import nn", "", _input_as_code(seen)]
    return "\n".join([*head, *lines, "y = model(x)", f"print(tuple(y.shape))  # {shape}"])


def _input_as_code(seen: Overlap) -> str:
    """Return a line of torch that makes the input, with a batch axis, in torch's usual dtype."""
    case, size = seen.case, _input_size(seen)
    if case is None or case.geometry.input_size != size:
        return f"x = torch.ones({', '.join(map(str, (1, seen.layer.in_channels, *size)))})"
    with np.errstate(over="ignore", invalid="ignore"):
        x, weight = case.batched.astype(np.float32), case.weight.astype(np.float32)
    return replace(case, x=x, weight=weight, bias=None).tensors_as_code().partition("\n")[0]

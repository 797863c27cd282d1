"""Settings: a layer and its numbers as a few small choices, and the presets to start from.

A `Settings` is what sliders, links and presets have in common. It is always turned into a `Case`
the same way, so a tensor travels as its recipe and comes out the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.layer import DEFAULTS, Ints, Layer

#: What a control of the playground may be set to: enough for a real layer.
MOST_CHANNELS = 1024
MOST_BATCH = 8
MOST_GROUPS = 16
MOST_SIZE = {1: 64, 2: 32, 3: 8}
MOST_KERNEL = {1: 16, 2: 9, 3: 5}
MOST_STRIDE = 8
MOST_SEED = 9999
MOST_DILATION = 6
#: Numbers that may be typed for one tensor.
MOST_TYPED = 4096

#: The ways to fill a tensor, with what each is called.
RECIPES = {
    "numbers": "those you type, repeated until the tensor is full",
    "integers": "small integers, drawn from a seed",
    "ones": "1 everywhere",
    "counting": "1, 2, 3 and so on",
    "impulse": "a single 1 in the middle, 0 elsewhere",
    "normal": "normally distributed, drawn from a seed",
    "bilinear": "the kernel that interpolates linearly",
}

#: The recipes that draw, each from a seed.
SEEDED = ("integers", "normal")


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one sentence for the person who made it."""


@dataclass(frozen=True)
class Fill:
    """How a tensor gets its numbers.

    Attributes
    ----------
    recipe : str
        A key of `RECIPES`.
    numbers : tuple of float
        For the recipe "numbers": repeated in order until the tensor is full.
    seed : int
        For the recipes that draw.

    Examples
    --------
    >>> Fill("numbers", (1, 1, 2)).tensor((2, 3)).tolist()
    [[1.0, 1.0, 2.0], [1.0, 1.0, 2.0]]
    >>> Fill("impulse").tensor((1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """

    recipe: str = "ones"
    numbers: tuple[float, ...] = (1.0,)
    seed: int = 0

    def tensor(self, shape: Ints) -> np.ndarray:
        """Return the tensor, float32, of this shape; the last axes are spatial for "bilinear"."""
        count = prod(shape)
        values: np.ndarray
        if self.recipe == "numbers":
            # np.resize joins its copies one by one: half a second for two numbers in eight million.
            numbers = np.asarray(self.numbers, dtype=np.float64)
            values = np.tile(numbers, -(-count // len(numbers)))[:count]
        elif self.recipe == "integers":
            values = np.random.default_rng(self.seed).integers(-4, 6, count)
        elif self.recipe == "counting":
            values = np.arange(1, count + 1)
        elif self.recipe == "impulse":
            values = np.zeros(count)
            values[np.ravel_multi_index([size // 2 for size in shape], shape) if count else []] = 1
        elif self.recipe == "normal":
            values = np.random.default_rng(self.seed).standard_normal(count, dtype=np.float32)
        elif self.recipe == "bilinear":
            values = np.broadcast_to(_bilinear(shape[2:]), shape)
        else:
            values = np.ones(count)
        return np.asarray(values, dtype=np.float32).reshape(shape)


def _bilinear(kernel_size: Ints) -> np.ndarray:
    """Return the kernel that interpolates linearly along every axis, as FCN's upsampling uses it.

    Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, 2015.
    """
    kernel = np.ones(())
    for size in kernel_size:
        factor = (size + 1) // 2
        center = factor - 1 if size % 2 else factor - 0.5
        kernel = np.multiply.outer(kernel, 1 - np.abs(np.arange(size) - center) / factor)
    return kernel


def read_numbers(text: str, name: str) -> tuple[float, ...]:
    """Return the numbers in a text, separated by commas, spaces or brackets.

    Raises
    ------
    SettingsError
        If there are none, too many, or something that is not a number.

    Examples
    --------
    >>> read_numbers("[1, 1,  2.5]", "weight")
    (1.0, 1.0, 2.5)
    """
    words = [word for word in re.split(r"[\s,;\[\]()]+", text) if word]
    if not words:
        raise SettingsError(f"{name} has no numbers yet: type some, such as 1, 1, 2.")
    if len(words) > MOST_TYPED:
        raise SettingsError(
            f"{name} has {len(words):,} numbers; at most {MOST_TYPED:,} can be typed. "
            "Use a recipe for a larger tensor."
        )
    for place, word in enumerate(words, start=1):
        try:
            float(word)
        except ValueError:
            raise SettingsError(
                f"{name}: number {place} reads {word[:20]!r}, which is not a number. "
                "Use digits, such as -1.5; nan and inf are fine too."
            ) from None
    return tuple(float(word) for word in words)


def write_numbers(numbers: Sequence[float]) -> str:
    """Return numbers as a text that `read_numbers` reads back to the same numbers.

    >>> write_numbers((1.0, -2.5))
    '1, -2.5'
    """
    return ", ".join(
        f"{number:.0f}" if number.is_integer() and abs(number) < 2**53 else repr(number)
        for number in map(float, numbers)
    )


@dataclass(frozen=True)
class Settings:
    """A layer on an input, with recipes for its numbers.

    Attributes
    ----------
    batch, in_channels, out_channels, groups : int
    size, kernel, stride, padding, output_padding, dilation : tuple of int
        One number per spatial dimension.
    bias : bool
    x, weight, offset : Fill
        How the input, the weight and the bias get their numbers.

    Examples
    --------
    >>> print(QUESTION.case().line())
    nn.ConvTranspose1d(4, 4, 3, padding=2, groups=2, bias=False)
    >>> QUESTION.case().trace().output.ravel().tolist()
    [8.0, 8.0, 10.0, 10.0]
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    size: Ints
    kernel: Ints
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    bias: bool
    x: Fill
    weight: Fill
    offset: Fill

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return len(self.size)

    def layer(self) -> Layer:
        """Return the layer's parameters, checked."""
        return Layer(
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            kernel_size=self.kernel,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def case(self, origin: str = "playground") -> Case:
        """Return the case; equal settings give equal numbers."""
        layer = self.layer()
        return Case.of(
            self.x.tensor((self.batch, self.in_channels, *self.size)),
            self.weight.tensor(layer.weight_shape),
            self.offset.tensor((self.out_channels,)) if self.bias else None,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
            dilation=self.dilation,
            origin=origin,
        )


def largest_output_padding(stride: int, dilation: int) -> int:
    """Return the largest output_padding that torch takes with this stride and dilation.

    >>> largest_output_padding(stride=2, dilation=1)
    1
    """
    return max(stride, dilation) - 1


def largest_padding(size: int, kernel: int, stride: int, dilation: int, output_padding: int) -> int:
    """Return the largest padding that leaves an output of at least one position.

    >>> largest_padding(size=3, kernel=3, stride=1, dilation=1, output_padding=0)
    2
    """
    uncropped = Layer.of(1, 1, kernel, stride, 0, 0, 1, dilation, dims=1).output_size((size,))[0]
    return (uncropped + output_padding - 1) // 2


def channel_choices(groups: int) -> list[int]:
    """Return the channel counts that these groups divide: few, and up to a real layer's.

    >>> channel_choices(2)[:5], channel_choices(2)[-1]
    ([2, 4, 6, 8, 10], 1024)
    """
    counts = [*range(1, 9), *(2**power for power in range(4, 11))]
    return sorted({groups * count for count in counts if groups * count <= MOST_CHANNELS})


def nearest(value: int, choices: Sequence[int]) -> int:
    """Return the choice nearest to a value, the larger of two.

    >>> nearest(5, [2, 4, 6])
    6
    """
    return min(choices, key=lambda choice: (abs(choice - value), -choice))


def layer_settings(
    dims: int, channels: tuple[int, int], size: int, kernel: int, **others: object
) -> Settings:
    """Return settings, by default torch's; one number is for every axis."""
    given: dict[str, object] = {
        "batch": 1,
        "groups": 1,
        "stride": 1,
        "padding": 0,
        "output_padding": 0,
        "dilation": 1,
        "bias": False,
        "x": Fill("integers", seed=1),
        "weight": Fill("integers", seed=2),
        "offset": Fill("counting"),
        **others,
        "in_channels": channels[0],
        "out_channels": channels[1],
        "size": size,
        "kernel": kernel,
    }
    for name in ("size", "kernel", "stride", "padding", "output_padding", "dilation"):
        value = given[name]
        given[name] = (value,) * dims if isinstance(value, int) else value
    return Settings(**given)  # type: ignore[arg-type]


#: The question this project began with, and its first picture.
QUESTION = layer_settings(
    1,
    (4, 4),
    size=3,
    kernel=3,
    padding=2,
    groups=2,
    x=Fill("numbers", (1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2)),
    weight=Fill("numbers", (1, 1, 2)),
)


@dataclass(frozen=True)
class Preset:
    """Settings worth starting from.

    Attributes
    ----------
    title : str
    note : str
        What to look at, in a sentence or two of Markdown.
    settings : Settings
    """

    title: str
    note: str
    settings: Settings


PRESETS: dict[str, Preset] = {
    "question": Preset(
        "The question: two groups",
        "“My layer printed [[8.],[8.],[10.],[10.]]; how was that calculated?” Two input channels "
        "meet each output channel of their group, with the kernel [1, 1, 2] flipped.",
        QUESTION,
    ),
    "pair": Preset(
        "conv1d and conv_transpose1d",
        "The same signal and kernel, plain and transposed. A plain convolution does not flip the "
        "kernel; seen from an output cell, the transposed one does. padding=2 crops its output to the "
        "same length.",
        layer_settings(
            1,
            (1, 1),
            size=4,
            kernel=3,
            padding=2,
            x=Fill("numbers", (2, 1, 1, 3)),
            weight=Fill("numbers", (1, 1, 5)),
        ),
    ),
    "upsample": Preset(
        "Stride 2: upsampling in 2-D",
        "With stride=2 the stamps begin two cells apart, so 5 x 5 becomes 11 x 11. Where stamps "
        "overlap, more products are added: this makes the checkerboard pattern.",
        layer_settings(2, (1, 1), size=5, kernel=3, stride=2),
    ),
    "dcgan": Preset(
        "A DCGAN layer at full size",
        "537 million MACs. The first and last channels are shown; the sums include all of them.",
        layer_settings(
            2,
            (512, 256),
            size=16,
            kernel=4,
            stride=2,
            padding=1,
            x=Fill("normal", seed=1),
            weight=Fill("normal", seed=2),
        ),
    ),
    "bilinear": Preset(
        "Depthwise bilinear upsampling",
        "groups = in_channels: every channel is computed on its own. The kernel is a tent, so the "
        "output is the input interpolated to twice its size.",
        layer_settings(
            2,
            (3, 3),
            size=4,
            kernel=4,
            stride=2,
            padding=1,
            groups=3,
            weight=Fill("bilinear"),
        ),
    ),
    "dilation": Preset(
        "Dilation: taps spread apart",
        "dilation=3 leaves two empty cells between taps: a kernel of 3 covers 7 cells.",
        layer_settings(1, (1, 1), size=5, kernel=3, dilation=3),
    ),
    "output_padding": Preset(
        "output_padding: one more row",
        "The row that output_padding adds is not filled with zeros: one row less is cropped, and real "
        "sums land there.",
        layer_settings(
            2, (1, 1), size=3, kernel=3, stride=2, padding=1, output_padding=1, bias=True
        ),
    ),
    "volume": Preset(
        "3-D, slice by slice",
        "ConvTranspose3d: every channel is drawn as its depth slices, from left to right.",
        layer_settings(3, (2, 1), size=2, kernel=2, stride=2),
    ),
}


_WHOLE = ("batch", "groups", "in_channels", "out_channels")
PER_AXIS = ("size", "kernel", "stride", "dilation", "output_padding", "padding")
_FILLS = ("x", "weight", "offset")


def written(settings: Settings) -> dict[str, str]:
    """Return every setting as a short text; equal texts are equal settings.

    >>> written(QUESTION)["x"]
    'numbers:1,1,1,1,1,1,1,1,2,1,1,2'
    """
    texts = {"dims": f"{settings.dims}d"}
    texts |= {name: str(getattr(settings, name)) for name in _WHOLE}
    for name in PER_AXIS:
        values = getattr(settings, name)
        texts[name] = ",".join(map(str, values[:1] if len(set(values)) == 1 else values))
    texts["bias"] = "yes" if settings.bias else "no"
    return texts | {name: write_fill(getattr(settings, name)) for name in _FILLS}


def write_fill(fill: Fill) -> str:
    """Return a fill as a short text, such as ``integers:7`` or ``numbers:1,1,2``.

    >>> write_fill(Fill("numbers", (1, 1, 2))), write_fill(Fill("ones"))
    ('numbers:1,1,2', 'ones')
    """
    if fill.recipe == "numbers":
        return "numbers:" + write_numbers(fill.numbers).replace(" ", "")
    return f"{fill.recipe}:{fill.seed}" if fill.recipe in SEEDED else fill.recipe


def settable(settings: Settings) -> Settings:
    """Return settings that the controls can show: what is out of range becomes the question's.

    >>> settable(replace(QUESTION, stride=(99,), padding=(9,))).stride
    (1,)
    """
    found: dict[str, Any] = {}
    for name in PER_AXIS:
        low, high = axis_range(name, settings.dims)
        default = getattr(QUESTION, name)[0]
        found[name] = tuple(
            value if low <= value <= high else default for value in getattr(settings, name)
        )
    most = {"batch": MOST_BATCH, "groups": MOST_GROUPS}
    for name in _WHOLE:
        fits = 1 <= getattr(settings, name) <= most.get(name, MOST_CHANNELS)
        found[name] = getattr(settings if fits else QUESTION, name)
    for name in _FILLS:
        fill: Fill = getattr(settings, name)
        found[name] = fill if 0 <= fill.seed <= MOST_SEED else replace(fill, seed=0)
    return nearest_valid(replace(settings, **found))


def axis_range(name: str, dims: int) -> tuple[int, int]:
    """Return the smallest and largest value of a per-axis setting, whatever the others are.

    >>> axis_range("kernel", 2)
    (1, 9)
    """
    most = {
        "size": MOST_SIZE[dims],
        "kernel": MOST_KERNEL[dims],
        "stride": MOST_STRIDE,
        "dilation": MOST_DILATION,
        "output_padding": max(MOST_STRIDE, MOST_DILATION) - 1,
    }
    return (DEFAULTS.get(name, 1), most.get(name, 999))


def nearest_valid(settings: Settings) -> Settings:
    """Return the nearest settings that torch accepts.

    >>> nearest_valid(replace(QUESTION, padding=(9,), groups=3)).padding
    (2,)
    """
    choices = channel_choices(settings.groups)
    extras, paddings = [], []
    for size, kernel, stride, dilation, extra, padding in zip(
        *(getattr(settings, name) for name in PER_AXIS)
    ):
        extras.append(min(extra, largest_output_padding(stride, dilation)))
        paddings.append(min(padding, largest_padding(size, kernel, stride, dilation, extras[-1])))
    return replace(
        settings,
        in_channels=nearest(settings.in_channels, choices),
        out_channels=nearest(settings.out_channels, choices),
        output_padding=tuple(extras),
        padding=tuple(paddings),
    )


def with_dims(settings: Settings, dims: int) -> Settings:
    """Return settings in another number of spatial dimensions: all axes become like the first.

    >>> with_dims(QUESTION, 2).kernel
    (3, 3)
    """
    if dims == settings.dims:
        return settings
    axes: dict[str, Any] = {
        name: (min(getattr(settings, name)[0], axis_range(name, dims)[1]),) * dims
        for name in PER_AXIS
    }
    return nearest_valid(replace(settings, **axes))

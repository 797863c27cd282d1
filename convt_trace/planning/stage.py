"""One stage of a chain along one axis: a layer as a line of torch, or the ends of a skip connection."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from convt_trace.engine.layer import conv_length, span
from convt_trace.planning.sizes import Setting
from convt_trace.planning.typed import NotReadError, call_of

#: The arguments of each kind of layer, in torch's order, channels left out.
_ARGUMENTS = {
    "Conv": ("kernel_size", "stride", "padding", "dilation", "groups"),
    "ConvTranspose": ("kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation"),
    "MaxPool": ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"),
    "AvgPool": ("kernel_size", "stride", "padding", "ceil_mode"),
    "AdaptiveAvgPool": ("output_size",),
    "AdaptiveMaxPool": ("output_size",),
    "Upsample": ("size", "scale_factor", "mode", "align_corners"),
    "PixelShuffle": ("upscale_factor",),
    "PixelUnshuffle": ("downscale_factor",),
}  # fmt: skip
_CHANNELS = {"Conv": 2, "ConvTranspose": 2}
#: Kinds whose windows slide over what is there.
_SLIDING = ("Conv", "MaxPool", "AvgPool")
#: Layers that leave the size as it is.
_SAME = {
    "ReLU", "LeakyReLU", "GELU", "SiLU", "ELU", "PReLU", "Sigmoid", "Tanh", "Softmax", "Identity",
    "Dropout", "BatchNorm", "InstanceNorm", "GroupNorm",
}  # fmt: skip
_LARGEST = 10_000


class ChainError(ValueError):
    """A chain that cannot be read; the message is one sentence that names the line."""


class AxesError(ChainError):
    """A chain whose axes differ, so that one has to be chosen."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One line of a chain.

    Attributes
    ----------
    line : int
        Its number, from 1.
    text : str
    kind : str
        "Conv", "ConvTranspose", "MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool",
        "Upsample", "PixelShuffle", "PixelUnshuffle", "pad", "cut", "same", "save" or "cat".
    name : str
        What a skip connection is called.
    kernel_size, stride, padding, output_padding, dilation : int
        Of a pad, ``padding`` is what it adds in front.
    behind : int
        What is padded behind, beyond ``padding``: of a pad, and of ``padding="same"``.
    ceil_mode : bool
    scale : float
        Output positions for each input position, of what resizes; 0 where ``size`` is given.
    size : int
    mode : str
        How an Upsample reads between positions.
    cut : slice
    """

    line: int
    text: str
    kind: str
    name: str = ""
    kernel_size: int = 1
    stride: int = 1
    padding: int = 0
    behind: int = 0
    output_padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False
    scale: float = 0
    size: int = 0
    mode: str = "nearest"
    cut: slice = field(default_factory=lambda: slice(None))

    def out(self, size: int) -> int:
        """Return what the stage makes of a size; 0 or less where torch refuses it."""
        if self.kind == "ConvTranspose":
            return self.setting(size).output_size
        if self.kind in _SLIDING:
            return self._slid(size)
        if self.kind == "PixelUnshuffle":
            return 0 if size % self.stride else size // self.stride
        if self.size or self.scale:
            return self.size or math.floor(size * self.scale)
        if self.kind == "pad":
            return size + self.padding + self.behind
        return len(range(size)[self.cut])

    def _slid(self, size: int) -> int:
        """Return how many windows fit."""
        padding, reach = 2 * self.padding + self.behind, span(self.kernel_size, self.dilation)
        fit = conv_length(size, self.kernel_size, self.stride, padding, self.dilation)
        if not self.ceil_mode or (size + padding - reach) % self.stride == 0:
            return fit
        # A last window that hangs over, unless it would begin in the padding behind.
        return fit + (fit * self.stride < size + self.padding)

    def setting(self, size: int) -> Setting:
        """Return a transposed convolution's setting on a size."""
        names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
        return Setting(input_size=size, **{name: getattr(self, name) for name in names})

    @property
    def rate(self) -> float:
        """Output positions for each input position; 0 where that depends on the input's size."""
        if self.kind in (*_SLIDING, "PixelUnshuffle"):
            return 1 / self.stride
        if self.kind == "ConvTranspose":
            return self.stride
        return self.scale if self.scale or self.size else 1.0

    def needs(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last position that a stretch of the stage's output is made of.

        Raises
        ------
        ChainError
            Where that depends on the input's size.
        """
        reach = self.dilation * (self.kernel_size - 1)
        if self.kind == "ConvTranspose":
            # i*stride - padding + k*dilation = o, for some tap k
            return -((reach - first - self.padding) // self.stride), (
                last + self.padding
            ) // self.stride
        if self.kind in _SLIDING:
            return first * self.stride - self.padding, last * self.stride - self.padding + reach
        if self.kind == "PixelUnshuffle":
            return first * self.stride, (last + 1) * self.stride - 1
        if self.size or self.mode not in _READS:
            raise ChainError(
                f"Line {self.line}: what an output reads depends on the size of the input here."
            )
        if self.scale:
            return _READS[self.mode](first, self.scale)[0], _READS[self.mode](last, self.scale)[1]
        moved = (self.cut.start or 0) - self.padding if self.kind in ("pad", "cut") else 0
        if self.kind == "cut" and moved < 0:
            raise ChainError(
                f"Line {self.line}: a cut that counts from the end has no fixed start."
            )
        return first + moved, last + moved


def _nearest(at: int, scale: float) -> tuple[int, int]:
    return (math.floor(at / scale),) * 2


def _linear(at: int, scale: float) -> tuple[int, int]:
    between = (at + 0.5) / scale - 0.5
    return math.floor(between), math.ceil(between)


#: Which positions an Upsample reads for one of its output.
_READS: Mapping[str, Callable[[int, float], tuple[int, int]]] = {
    "nearest": _nearest,
    "linear": _linear,
    "bilinear": _linear,
    "trilinear": _linear,
}


# -- reading ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where a stage stands: its line, and the axis that is followed (None: all are alike)."""

    number: int
    dims: int
    axis: int | None

    def error(self, what: str) -> ChainError:
        return ChainError(f"Line {self.number}{what}")

    def along(self, name: str, values: Any) -> Any:
        """Return what an argument is along the axis."""
        if not isinstance(values, (tuple, list)):
            return values
        if len(values) == 1 or len(set(map(str, values))) == 1:
            return values[0]
        if self.axis is None:
            raise AxesError(f"Line {self.number}: {name} differs between axes; choose one.")
        if self.axis >= len(values):
            raise self.error(f": {name} has {len(values)} numbers.")
        return values[self.axis]


def stage_of(line: str, number: int = 1, dims: int = 1, axis: int | None = None) -> Stage | None:
    """Read one line: a layer of torch, a pad, a cut, ``save`` or ``cat``. Nothing of it is run.

    Parameters
    ----------
    line : str
        What stands behind a # is left out.
    number : int
        Its number, for messages.
    dims : int
        Spatial axes that a pad or a cut speaks of.
    axis : int, optional
        The one that is followed; without it all have to be alike.

    Returns
    -------
    Stage or None
        None for an empty line.

    Raises
    ------
    ChainError
        On a line that is none of these.
    AxesError
        Where an axis has to be chosen.

    Examples
    --------
    >>> stage_of("nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)").out(16)
    32
    >>> stage_of("x = F.pad(x, (0, 1))").out(26), stage_of("x = x[..., :26]").out(27)
    (27, 26)
    """
    text = line.split("#")[0].strip().rstrip(",")
    place = _Place(number, dims, axis)
    if not text:
        return None
    words = text.split()
    if words[0] in ("save", "cat") and len(words) == 2 and words[1].isidentifier():
        return Stage(line=number, text=text, kind=words[0], name=words[1])
    if (cut := _cut(text, place)) is not None:
        return Stage(line=number, text=text, kind="cut", cut=cut)
    try:
        return _of_call(call_of(text), place, text)
    except NotReadError:
        raise place.error(f" is not a layer: {text[:60]}") from None


_CUT = re.compile(r"(?:\w+\s*=\s*)?\w+\[([\d\s:,.-]+)\]")


def _cut(text: str, place: _Place) -> slice | None:
    """Return what a line such as ``x = x[..., :27]`` keeps along the axis; None where it is another."""
    found = _CUT.fullmatch(text)
    if not found:
        return None
    parts = [part.strip() for part in found[1].split(",")]
    parts = parts[1:] if parts[0] == "..." else parts[2:]
    cuts = [":"] * (place.dims - len(parts)) + parts
    kept = place.along("the cut", cuts) if cuts else ":"
    ends = re.fullmatch(r"(-?\d+)?\s*:\s*(-?\d+)?", kept)
    if not ends or not parts or len(cuts) > place.dims:
        raise place.error(f": write a cut as x[..., :27], with an axis for each of {place.dims}.")
    return slice(*(None if end is None else int(end) for end in ends.groups()))


def _of_call(call: ast.Call, place: _Place, text: str) -> Stage:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    kind = name.removesuffix("d").rstrip("123")
    line: dict[str, Any] = {"line": place.number, "text": text}
    if name == "pad":
        front, behind = _padded(call, place)
        return Stage(**line, kind="pad", padding=front, behind=behind)
    if kind in _SAME:
        return Stage(**line, kind="same")
    if kind not in _ARGUMENTS:
        known = ", ".join([*_ARGUMENTS, "F.pad", "cuts", "activations and norms"])
        raise place.error(f": {name or text[:40]} is not known here; {known} are.")
    return Stage(**line, kind=kind, **_fields(kind, _arguments(call, kind, place), place))


def _padded(call: ast.Call, place: _Place) -> tuple[int, int]:
    """Return what ``F.pad(x, (left, right, ...))`` adds in front and behind, the last axis first."""
    try:
        (ends,) = [ast.literal_eval(value) for value in call.args[1:2]]
        numbers = [int(end) for end in ends]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise place.error(": write a pad as F.pad(x, (0, 1)).") from None
    if len(numbers) % 2 or len(numbers) > 2 * place.dims or max(map(abs, numbers)) >= _LARGEST:
        raise place.error(f": a pad has two numbers for each of up to {place.dims} axes.")
    pairs = [*zip(numbers[::2], numbers[1::2])]
    pairs += [(0, 0)] * (place.dims - len(pairs))
    front, behind = place.along("the pad", pairs[::-1])
    return front, behind


def _arguments(call: ast.Call, kind: str, place: _Place) -> dict[str, Any]:
    try:
        values = [ast.literal_eval(value) for value in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise place.error(": write its arguments as numbers.") from None
    names = _ARGUMENTS[kind]
    if kind in _CHANNELS and "in_channels" not in named:
        values = values[_CHANNELS[kind] :]
    given = {**dict(zip(names, values)), **named}
    return {name: place.along(name, value) for name, value in given.items()}


def _fields(kind: str, given: dict[str, Any], place: _Place) -> dict[str, Any]:
    def one(name: str, usual: int | None) -> Any:
        value, least = given.get(name, usual), 0 if usual == 0 else 1e-9
        if value is None:
            raise place.error(f": {name} is missing.")
        if isinstance(value, (str, bool)) or not least <= value < _LARGEST:
            raise place.error(
                f": {name}={value!r} is not a number from {least and 1} to {_LARGEST:,}."
            )
        if value != int(value) and name != "scale_factor":
            raise place.error(f": {name}={value!r} is not a whole number.")
        return value

    if kind not in (*_SLIDING, "ConvTranspose"):
        return _resized(kind, given, one)
    kernel = one("kernel_size", None)
    stride_is_kernel = kind in ("MaxPool", "AvgPool") and given.get("stride") is None
    fields = {
        "kernel_size": kernel,
        "stride": kernel if stride_is_kernel else one("stride", 1),
        "output_padding": one("output_padding", 0),
        "dilation": one("dilation", 1),
        "ceil_mode": bool(given.get("ceil_mode", False)),
    }
    if kind == "Conv" and given.get("padding") in ("same", "valid"):
        if given["padding"] == "same" and fields["stride"] > 1:
            raise place.error(": torch has padding='same' for a stride of 1 alone.")
        both = (kernel - 1) * fields["dilation"] if given["padding"] == "same" else 0
        return fields | {"padding": both // 2, "behind": both % 2}
    fields["padding"] = one("padding", 0)
    extra, limit = fields["output_padding"], max(fields["stride"], fields["dilation"])
    if extra >= limit:
        raise place.error(
            f": output_padding={extra} must be below the stride or the dilation, {limit}."
        )
    return fields


def _resized(kind: str, given: dict[str, Any], one: Callable[..., Any]) -> dict[str, Any]:
    if kind == "PixelUnshuffle":
        return {"stride": one("downscale_factor", None)}
    if kind == "PixelShuffle":
        return {"scale": one("upscale_factor", None)}
    mode = f"{given.get('mode', 'nearest')}{', aligned' * bool(given.get('align_corners'))}"
    if kind.startswith("Adaptive"):
        return {"size": one("output_size", None)}
    if given.get("size") is not None:
        return {"size": one("size", None), "mode": mode}
    return {"scale": one("scale_factor", None), "mode": mode}

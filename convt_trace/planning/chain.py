"""A chain of layers along one axis: its sizes, the skip connections that do not fit, and what mends them.

A chain is written as lines of torch, one layer a line. ``save a`` keeps the size at that place, and
``cat a`` joins it again: a skip connection.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convt_trace.engine.layer import conv_length, span
from convt_trace.planning.sizes import Setting, sizes
from convt_trace.planning.typed import NotReadError, call_of

#: Input sizes that are tried to tell which ones pass.
TRIED = 512
#: Lines of a chain.
MOST = 200
#: How far from its own a kernel may be that mends a skip connection.
_KERNELS = 2
#: How far from its own a size may be.
_NEAR = 32

#: The arguments of each kind of layer, in torch's order, channels left out.
_ARGUMENTS = {
    "Conv": ("kernel_size", "stride", "padding", "dilation"),
    "ConvTranspose": ("kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation"),
    "MaxPool": ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"),
    "AvgPool": ("kernel_size", "stride", "padding", "ceil_mode"),
    "Upsample": ("size", "scale_factor"),
    "PixelShuffle": ("upscale_factor",),
}  # fmt: skip
_CHANNELS = {"Conv": 2, "ConvTranspose": 2}
#: Layers that leave the size as it is.
_SAME = {
    "ReLU", "LeakyReLU", "GELU", "SiLU", "ELU", "PReLU", "Sigmoid", "Tanh", "Softmax", "Identity",
    "Dropout", "BatchNorm", "InstanceNorm", "GroupNorm",
}  # fmt: skip


class ChainError(ValueError):
    """A chain that cannot be read; the message is one sentence that names the line."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One line of a chain.

    Attributes
    ----------
    line : int
        Its number, from 1.
    text : str
    kind : str
        "Conv", "ConvTranspose", "MaxPool", "AvgPool", "Upsample", "PixelShuffle", "same", "save" or
        "cat".
    name : str
        What a skip connection is called.
    kernel_size, stride, padding, output_padding, dilation : int
    ceil_mode : bool
    scale : float
        Of an Upsample or a PixelShuffle; 0 where ``size`` is given.
    size : int
    """

    line: int
    text: str
    kind: str
    name: str = ""
    kernel_size: int = 1
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False
    scale: float = 0
    size: int = 0

    def out(self, size: int) -> int:
        """Return what the layer makes of a size; 0 or less where torch refuses it."""
        if self.kind == "ConvTranspose":
            return self.setting(size).output_size
        if self.kind in ("Conv", "MaxPool", "AvgPool"):
            return self._slid(size)
        if self.kind in ("Upsample", "PixelShuffle"):
            return self.size or math.floor(size * self.scale)
        return size

    def _slid(self, size: int) -> int:
        """Return how many windows fit."""
        padding, reach = 2 * self.padding, span(self.kernel_size, self.dilation)
        fit = conv_length(size, self.kernel_size, self.stride, padding, self.dilation)
        if not self.ceil_mode or (size + padding - reach) % self.stride == 0:
            return fit
        # A last window that hangs over, unless it would begin in the padding behind.
        return fit + (fit * self.stride < size + self.padding)

    def setting(self, size: int) -> Setting:
        """Return a transposed convolution's setting on a size."""
        names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
        return Setting(input_size=size, **{name: getattr(self, name) for name in names})

    def needs(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last position that a stretch of the layer's output is made of."""
        reach = self.dilation * (self.kernel_size - 1)
        if self.kind == "ConvTranspose":
            # i*stride - padding + k*dilation = o, for some tap k
            return -((reach - first - self.padding) // self.stride), (
                last + self.padding
            ) // self.stride
        if self.kind in ("Conv", "MaxPool", "AvgPool"):
            return first * self.stride - self.padding, last * self.stride - self.padding + reach
        if self.scale:
            return math.floor(first / self.scale), math.floor(last / self.scale)
        return first, last


@dataclass(frozen=True)
class Misfit:
    """A skip connection that does not fit.

    Attributes
    ----------
    link : Link
        The ``cat``.
    here, saved : int
        The size at that place, and the one that was saved.
    changes : tuple of (int, Setting)
        Changes of a transposed convolution before it that mend it, the smallest first: the line, and
        its new setting.
    crop_or_pad : str
        The line of torch that mends it at that place, for one axis.
    """

    link: Link
    here: int
    saved: int
    changes: tuple[tuple[int, Setting], ...]
    crop_or_pad: str

    @property
    def sentence(self) -> str:
        """What does not fit, and by how much."""
        by = self.here - self.saved
        return (
            f"Line {self.link.line}: {self.link.name} has {self.saved}, and here it is {self.here}: "
            f"{abs(by)} too {'many' if by > 0 else 'few'}."
        )


class Chain(Sequence[Link]):
    """Layers one behind the other, along one axis.

    Examples
    --------
    >>> unet = Chain.read('''
    ... save a
    ... nn.MaxPool2d(2)
    ... nn.ConvTranspose2d(16, 8, 2, stride=2)
    ... cat a
    ... ''')
    >>> unet.sizes(27), unet.misfits(27)[0].sentence
    ([27, 27, 13, 26, 27], 'Line 5: a has 27, and here it is 26: 1 too few.')
    >>> unet.passes()
    'even sizes'
    """

    def __init__(self, links: Sequence[Link]):
        self._links = tuple(links)

    @classmethod
    def read(cls, text: str) -> Chain:
        """Read lines of torch; nothing of them is run.

        Raises
        ------
        ChainError
            On a line that is no layer of those that are known, or a skip that was not saved.
        """
        lines = text.splitlines()
        if len(lines) > MOST:
            raise ChainError(f"A chain has up to {MOST} lines; this text has {len(lines):,}.")
        links = [link for at, line in enumerate(lines, 1) if (link := _read(line, at))]
        saved = set()
        for link in links:
            if link.kind == "save":
                saved.add(link.name)
            elif link.kind == "cat" and link.name not in saved:
                raise ChainError(f"Line {link.line}: nothing was saved as {link.name} before it.")
        return cls(links)

    def __len__(self) -> int:
        return len(self._links)

    def __getitem__(self, at: Any) -> Any:
        return self._links[at]

    # -- sizes ------------------------------------------------------------------------------------

    def sizes(self, size: int) -> list[int]:
        """Return the size before the first link and after each.

        Behind a ``cat`` the saved size goes on, as if a misfit were mended. The list ends where torch
        would stop.
        """
        found, saved = [size], {}
        for link in self:
            if link.kind == "save":
                saved[link.name] = found[-1]
            found.append(saved[link.name] if link.kind == "cat" else link.out(found[-1]))
            if found[-1] < 1:
                break
        return found

    def misfits(self, size: int) -> list[Misfit]:
        """Return the skip connections that do not fit."""
        found = self.sizes(size)
        return [
            self._misfit(at, found)
            for at, (here, after) in enumerate(zip(found, found[1:]))
            if self[at].kind == "cat" and here != after
        ]

    def _misfit(self, at: int, found: list[int]) -> Misfit:
        here, saved = found[at], found[at + 1]
        code = f"x = F.pad(x, (0, {saved - here}))" if saved > here else f"x = x[..., :{saved}]"
        return Misfit(self[at], here, saved, tuple(self._changes(at, found)), code)

    def _changes(self, at: int, found: list[int]) -> list[tuple[int, Setting]]:
        """Return the settings of the last transposed convolution before a place that make it fit."""
        place = next((p for p in range(at - 1, -1, -1) if self[p].kind == "ConvTranspose"), None)
        if place is None:
            return []
        old, wanted = self[place], found[at + 1]
        low = max(1, old.kernel_size - _KERNELS)
        settings: list[Setting] = []
        # What stands between the two may change the size again, so the sizes around are tried.
        around = range(max(1, found[place + 1] - _NEAR), found[place + 1] + _NEAR + 1)
        for goal in around:
            if self._from(place + 1, at, goal) == wanted:
                settings += sizes(
                    found[place],
                    goal,
                    kernel=range(low, old.kernel_size + _KERNELS + 1),
                    dilation=old.dilation,
                    stride=old.stride,
                )
        return [(old.line, one) for one in sorted(settings, key=lambda one: change(old, one))]

    def _from(self, start: int, stop: int, size: int) -> int:
        for link in self[start:stop]:
            size = link.out(size) if size > 0 else size
        return size

    def fits(self, size: int) -> bool:
        """Tell whether an input size goes through: every layer runs, every skip fits."""
        found = self.sizes(size)
        return len(found) == len(self) + 1 and min(found) > 0 and not self.misfits(size)

    def passing(self, most: int = TRIED) -> list[int]:
        """Return the input sizes up to ``most`` that go through."""
        return [size for size in range(1, most + 1) if self.fits(size)]

    def passes(self) -> str:
        """Say which input sizes go through."""
        sizes = self.passing()
        if not sizes:
            return f"no size up to {TRIED}"
        least = sizes[0]
        if sizes == list(range(least, TRIED + 1)):
            return "all sizes" if least == 1 else f"all sizes from {least} on"
        steps = {two - one for one, two in zip(sizes, sizes[1:])}
        if len(steps) == 1:
            step = steps.pop()
            if least % step == 0:
                named = "even sizes" if step == 2 else f"multiples of {step}"
                return named if least == step else f"{named} from {least} on"
            return f"{least % step} more than a multiple of {step}, from {least} on"
        shown = ", ".join(map(str, sizes[:12]))
        return f"{shown}{', …' if len(sizes) > 12 else ''}"

    # -- along time -------------------------------------------------------------------------------

    def reach(self, size: int) -> tuple[int, int]:
        """Return which inputs an output in the middle is made of, relative to its own time.

        Returns
        -------
        (int, int)
            How many input positions before its own time the earliest one lies, and how many after it
            the latest one: over all outputs that begin in one period of the chain. A causal chain has
            0 after.

        Examples
        --------
        >>> Chain.read("nn.Conv1d(1, 1, 3, padding=1)").reach(20)
        (1, 1)
        >>> Chain.read("nn.ConvTranspose1d(1, 1, 4, stride=2)").reach(20)
        (1, 0)
        """
        outputs = self.sizes(size)[-1]
        rate = self.rate()
        before = after = 0
        middle = outputs // 2
        for output in range(middle, middle + max(1, math.ceil(rate)) * 2):
            first = last = output
            for link in reversed(self._links):
                first, last = link.needs(first, last)
            now = math.floor(output / rate)
            before, after = max(before, now - first), max(after, last - now)
        return before, after

    def receptive_field(self, size: int) -> int:
        """Return how many input positions the outputs of one time reach back and ahead, its own included."""
        return sum(self.reach(size)) + 1

    def rate(self) -> float:
        """Return how many output positions there are for each input position."""
        rate = 1.0
        for link in self:
            if link.kind in ("Conv", "MaxPool", "AvgPool"):
                rate /= link.stride
            elif link.kind == "ConvTranspose":
                rate *= link.stride
            elif link.scale:
                rate *= link.scale
        return rate

    def trims(self) -> list[tuple[Link, int]]:
        """Return what each transposed convolution of a causal chain trims on the right, none on the left."""
        return [
            (link, max(0, span(link.kernel_size, link.dilation) - link.stride))
            for link in self
            if link.kind == "ConvTranspose"
        ]


def change(old: Link | Setting, new: Setting) -> tuple[int, ...]:
    """Return how large a change is: how many settings, then which ones, then by how much."""
    names = ("kernel_size", "padding", "output_padding")
    by = [abs(getattr(new, name) - getattr(old, name)) for name in names]
    return (sum(map(bool, by)), bool(by[0]), bool(by[1]), sum(by))


# -- reading ----------------------------------------------------------------------------------------


def _read(line: str, number: int) -> Link | None:
    text = line.split("#")[0].strip().rstrip(",")
    if not text:
        return None
    words = text.split()
    if words[0] in ("save", "cat") and len(words) == 2 and words[1].isidentifier():
        return Link(line=number, text=text, kind=words[0], name=words[1])
    try:
        return _of_call(call_of(text), number, text)
    except NotReadError:
        raise ChainError(f"Line {number} is not a layer: {text[:60]}") from None


def _of_call(call: ast.Call, number: int, text: str) -> Link:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    kind = name.removesuffix("d").rstrip("123")
    if kind in _SAME:
        return Link(line=number, text=text, kind="same")
    if kind not in _ARGUMENTS:
        known = ", ".join([*_ARGUMENTS, "activations and norms"])
        raise ChainError(f"Line {number}: {name or text[:40]} is not known here; {known} are.")
    given = _arguments(call, kind, number)
    return Link(line=number, text=text, kind=kind, **_fields(kind, given, number))


def _arguments(call: ast.Call, kind: str, number: int) -> dict[str, Any]:
    try:
        values = [ast.literal_eval(value) for value in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ChainError(f"Line {number}: write its arguments as numbers.") from None
    names = _ARGUMENTS[kind]
    if kind in _CHANNELS and "in_channels" not in named:
        values = values[_CHANNELS[kind] :]
    return {**dict(zip(names, values)), **named}


def _fields(kind: str, given: dict[str, Any], number: int) -> dict[str, Any]:
    def one(name: str, usual: int | None) -> int:
        value = given.get(name, usual)
        value = value[0] if isinstance(value, (tuple, list)) and len(set(value)) == 1 else value
        if isinstance(value, (tuple, list)):
            raise ChainError(f"Line {number}: {name} differs between axes; write one axis.")
        if value is None or isinstance(value, (str, bool)) or not 0 <= value < 10_000:
            raise ChainError(f"Line {number}: {name}={value!r} is not a number that is known here.")
        if value != int(value) and name != "scale_factor":
            raise ChainError(f"Line {number}: {name}={value!r} is not a whole number.")
        return value

    if kind in ("Upsample", "PixelShuffle"):
        if given.get("size") is not None:
            return {"size": one("size", None)}
        return {"scale": one("scale_factor" if kind == "Upsample" else "upscale_factor", None)}
    kernel = one("kernel_size", None)
    stride_is_kernel = kind in ("MaxPool", "AvgPool") and given.get("stride") is None
    fields = {
        "kernel_size": kernel,
        "stride": kernel if stride_is_kernel else one("stride", 1),
        "padding": one("padding", 0),
        "output_padding": one("output_padding", 0),
        "dilation": one("dilation", 1),
        "ceil_mode": bool(given.get("ceil_mode", False)),
    }
    if min(fields["kernel_size"], fields["stride"], fields["dilation"]) < 1:
        raise ChainError(f"Line {number}: kernel_size, stride and dilation are 1 or more.")
    extra, limit = fields["output_padding"], max(fields["stride"], fields["dilation"])
    if extra >= limit:
        raise ChainError(
            f"Line {number}: output_padding={extra} must be below the stride or the dilation, {limit}."
        )
    return fields

"""From a wanted size to the settings that make it: kernel, stride, padding, output_padding, dilation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

from convt_trace.engine.layer import Layer, conv_length, output_length, phases, span
from convt_trace.engine.text import table

#: Settings that a search may find; more cannot be looked through.
MOST = 5_000
#: Strides that are tried where the size does not tell one: a single input value has no next.
STRIDES = range(1, 9)
#: How far from a wanted size that nothing makes others are looked for.
NEAR = 16

Range = int | Iterable[int]


class SizesError(ValueError):
    """A search that cannot be made; the message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A transposed convolution along one axis, and the sizes that it joins.

    Attributes
    ----------
    kernel_size, stride, padding, output_padding, dilation : int
    input_size, output_size : int

    Examples
    --------
    >>> setting = Setting(kernel_size=3, stride=2, padding=1, output_padding=1, input_size=27)
    >>> setting.output_size, setting.folds, setting.ratio
    (54, range(53, 55), 2.0)
    """

    kernel_size: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    dilation: int = 1
    input_size: int

    @property
    def output_size(self) -> int:
        """What the layer makes of the input size."""
        return output_length(
            self.input_size,
            self.kernel_size,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
        )

    @property
    def is_legal(self) -> bool:
        """Whether torch runs it."""
        return self.output_padding < max(self.stride, self.dilation) and self.output_size > 0

    # -- its partner, the plain convolution -----------------------------------------------------

    @property
    def folds(self) -> range:
        """The input sizes of which the plain conv with these settings makes this input size.

        A stride of 2 cannot tell two sizes apart. On the way back output_padding chooses among them,
        the first being 0; that is why it stays below the stride (or the dilation, which torch allows
        too, and which then leaves this range).
        """
        first = self.output_size - self.output_padding
        sizes = range(max(first, 1), first + self.stride)
        return range(
            next(
                (size for size in sizes if self.partner_size(size) == self.input_size), sizes.stop
            ),
            sizes.stop,
        )

    def partner_size(self, size: int) -> int:
        """Return what the plain conv with these settings makes of a size; 0 or less where it cannot."""
        return conv_length(size, self.kernel_size, self.stride, 2 * self.padding, self.dilation)

    # -- its cost and its pattern -----------------------------------------------------------------

    @property
    def macs(self) -> int:
        """MACs for each pair of an input and an output channel, along this axis."""
        return self.input_size * self.kernel_size

    @cached_property
    def kept_macs(self) -> int:
        """Those that land in the output.

        >>> Setting(kernel_size=3, padding=2, input_size=3).kept_macs
        3
        """
        kept = 0
        for tap in range(self.kernel_size):
            # The first and last input position whose product with this tap is not cropped.
            first = -((tap * self.dilation - self.padding) // self.stride)
            last = (self.padding + self.output_size - 1 - tap * self.dilation) // self.stride
            kept += max(0, min(last, self.input_size - 1) - max(first, 0) + 1)
        return kept

    @property
    def cropped_macs(self) -> int:
        """Those that padding crops."""
        return self.macs - self.kept_macs

    @cached_property
    def taps_by_phase(self) -> tuple[int, ...]:
        """How many taps reach an output position, by its place between two stamps.

        >>> Setting(kernel_size=3, stride=2, input_size=4).taps_by_phase
        (2, 1)
        """
        found = phases(self.kernel_size, self.stride, padding=0, dilation=self.dilation)
        return tuple(map(len, found))

    @property
    def ratio(self) -> float:
        """The most taps that reach a position over the fewest: 1 is even, inf leaves holes."""
        most, fewest = max(self.taps_by_phase), min(self.taps_by_phase)
        return most / fewest if fewest else inf

    def layer(
        self, dims: int = 1, in_channels: int = 1, out_channels: int = 1, groups: int = 1
    ) -> Layer:
        """Return the layer that has this setting along every axis."""
        return layer_of([self] * dims, in_channels, out_channels, groups)

    def line(self, dims: int = 1, in_channels: int = 1, out_channels: int = 1) -> str:
        """Return that layer as a line of PyTorch.

        >>> Setting(kernel_size=4, stride=2, padding=1, input_size=27).line(2, 64, 32)
        'nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)'
        """
        return f"nn.{self.layer(dims, in_channels, out_channels)}"

    @property
    def sentence(self) -> str:
        """What the plain conv with these settings makes this input size of, and what that means.

        >>> Setting(kernel_size=3, stride=2, padding=1, output_padding=1, input_size=27).sentence
        'A conv with these settings makes 27 of 53 and 54; output_padding=1 chooses 54.'
        """
        sizes = [str(size) for size in self.folds]
        if not sizes:
            return f"A conv with these settings makes {self.input_size} of no size."
        said = " and ".join(filter(None, [", ".join(sizes[:-1]), sizes[-1]]))
        start = f"A conv with these settings makes {self.input_size} of {said}"
        if self.output_size not in self.folds:
            return (
                f"{start}, and not of {self.output_size}: output_padding is not below the stride."
            )
        if len(sizes) == 1:
            return f"{start} alone."
        return f"{start}; output_padding={self.output_padding} chooses {self.output_size}."

    def to_dict(self) -> dict[str, Any]:
        """Return the setting as JSON can carry it."""
        return {
            **asdict(self),
            "output_size": self.output_size,
            "conv_sizes": list(self.folds),
            "kept_macs": self.kept_macs,
            "cropped_macs": self.cropped_macs,
            "ratio": self.ratio if self.ratio != inf else None,
        }


def layer_of(
    settings: Sequence[Setting], in_channels: int = 1, out_channels: int = 1, groups: int = 1
) -> Layer:
    """Return the layer that has one of these settings along each axis.

    >>> across = Setting(kernel_size=4, stride=2, padding=1, input_size=27)
    >>> print(layer_of([across, Setting(kernel_size=3, padding=1, input_size=27)]))
    ConvTranspose2d(1, 1, (4, 3), stride=(2, 1), padding=1)
    """
    along = {
        name: tuple(getattr(setting, name) for setting in settings)
        for name in ("kernel_size", "stride", "padding", "output_padding", "dilation")
    }
    return Layer(in_channels=in_channels, out_channels=out_channels, groups=groups, **along)


def partner_of(layer: Layer) -> str:
    """Return the plain conv with the same weight and settings, as a line of PyTorch.

    >>> partner_of(Layer.of(64, 32, 3, stride=2, padding=1, output_padding=1, dims=2))
    'nn.Conv2d(32, 64, 3, stride=2, padding=1)'
    """
    back = replace(
        layer,
        in_channels=layer.out_channels,
        out_channels=layer.in_channels,
        output_padding=(0,) * layer.dims,
    )
    return f"nn.{back}".replace("ConvTranspose", "Conv")


class Sizes(Sequence[Setting]):
    """Settings that make a wanted size, the even and plain ones first.

    Attributes
    ----------
    near : tuple of int
        Where there is none: the nearest sizes that the same ranges make.
    """

    def __init__(self, settings: Iterable[Setting], wanted: str, near: Sequence[int] = ()):
        self._settings = sorted(settings, key=_first_the_plain)
        self.wanted, self.near = wanted, tuple(near)

    def __len__(self) -> int:
        return len(self._settings)

    def __getitem__(self, at: Any) -> Any:
        return self._settings[at]

    def __repr__(self) -> str:
        return f"<{len(self)} settings for {self.wanted}>"

    def to_markdown(self, dims: int = 1, in_channels: int = 1, out_channels: int = 1) -> str:
        """Return the settings as a table."""
        if not self:
            return self.nothing
        head = ("layer", "its conv also takes", "kept MACs", "cropped", "taps per position")
        rows = [
            (
                f"`{setting.line(dims, in_channels, out_channels)}`",
                ", ".join(map(str, setting.folds)) or "no size",
                f"{setting.kept_macs**dims:,}" if dims > 1 else f"{setting.kept_macs:,}",
                f"{setting.macs**dims - setting.kept_macs**dims:,}",
                evenness(setting),
            )
            for setting in self
        ]
        return table(head, rows)

    @property
    def nothing(self) -> str:
        """What is said where there is no setting."""
        near = f" The nearest sizes that they make: {', '.join(map(str, self.near))}."
        return f"No setting in these ranges makes {self.wanted}." + (near if self.near else "")


def evenness(setting: Setting) -> str:
    """Say how evenly the taps of a setting are spread.

    >>> evenness(Setting(kernel_size=4, stride=2, input_size=4))
    'even: 2'
    >>> evenness(Setting(kernel_size=3, stride=2, input_size=4))
    'uneven: 2, 1'
    """
    taps = setting.taps_by_phase
    if setting.ratio == 1:
        return f"even: {taps[0]}"
    return f"{'holes' if not min(taps) else 'uneven'}: {', '.join(map(str, taps))}"


def sizes(
    given: int,
    wanted: int | None = None,
    *,
    times: int | None = None,
    kernel: Range = range(1, 8),
    stride: Range | None = None,
    padding: Range | None = None,
    output_padding: Range | None = None,
    dilation: Range = 1,
    even: bool = False,
) -> Sizes:
    """Return all settings that make a wanted size of a given one, along one axis.

    A padding beyond ``dilation*(kernel-1)`` would crop whole input values, and is left out.

    Parameters
    ----------
    given : int
        The input size.
    wanted : int
        The output size.
    times : int, optional
        Instead of ``wanted``: the output is this many times the input, for every input size.
    kernel, dilation : int or iterable of int
        What may be chosen.
    stride, padding, output_padding : int or iterable of int, optional
        What may be chosen; by default whatever torch takes.
    even : bool
        Only settings in which every output position is reached by equally many taps.

    Raises
    ------
    SizesError
        If a number is not possible, or more than `MOST` settings are found.

    Examples
    --------
    >>> found = sizes(27, 54, kernel=range(2, 6))
    >>> [setting.line() for setting in found][:2]
    ['nn.ConvTranspose1d(1, 1, 2, stride=2)', 'nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1)']
    >>> sizes(27, 54, kernel=3)[0].line()
    'nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)'
    >>> sizes(7, times=2, kernel=4)[0].line()
    'nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1)'
    >>> sizes(27, 54, kernel=4, stride=2, output_padding=1).nothing
    'No setting in these ranges makes 54 of 27. The nearest sizes that they make: 53, 55.'
    """
    if (wanted is None) == (times is None):
        raise SizesError("Say either the wanted size or how many times the input it is.")
    ranges = {
        "kernel": _numbers("kernel", kernel, 1),
        "dilation": _numbers("dilation", dilation, 1),
        "stride": _numbers("stride", stride, 1),
        "padding": _numbers("padding", padding, 0),
        "output_padding": _numbers("output_padding", output_padding, 0),
    }
    _at_least("The input size", given, 1)
    goal = given * times if times is not None else wanted
    assert goal is not None
    _at_least("The output size", goal, 1)

    def find(size: int) -> list[Setting]:
        found: list[Setting] = []
        for setting in _settings(given, size, ranges, times):
            if not even or setting.ratio == 1:
                found.append(setting)
            if len(found) > MOST:
                raise SizesError(
                    f"There are more than {MOST:,} settings. Narrow the kernel, the dilation or "
                    "the stride."
                )
        return found

    found = find(goal)
    said = f"{times} times every size" if times is not None else f"{goal} of {given}"
    near = [] if found or times is not None else _nearest(goal, find)
    return Sizes(found, said, near)


def _nearest(goal: int, find: Any) -> list[int]:
    """Return the nearest sizes below and above that can be made."""
    below = next((size for size in range(goal - 1, max(0, goal - NEAR - 1), -1) if find(size)), 0)
    above = next((size for size in range(goal + 1, goal + NEAR + 1) if find(size)), 0)
    return [size for size in (below, above) if size]


def _settings(
    given: int, goal: int, ranges: dict[str, Sequence[int] | None], times: int | None
) -> Iterator[Setting]:
    """Go through every setting; the padding follows from the others and the size."""
    for kernel in ranges["kernel"] or ():
        for dilation in ranges["dilation"] or ():
            reach = span(kernel, dilation)
            for stride in _strides(given, goal, reach, ranges["stride"], times):
                allowed = ranges["output_padding"]
                for extra in range(max(stride, dilation)):
                    # goal = (given - 1)*stride - 2*padding + reach + extra
                    twice = (given - 1) * stride + reach + extra - goal
                    fits = twice >= 0 and twice % 2 == 0 and twice // 2 <= reach - 1
                    if not fits or (allowed is not None and extra not in allowed):
                        continue
                    if ranges["padding"] is not None and twice // 2 not in ranges["padding"]:
                        continue
                    yield Setting(
                        kernel_size=kernel,
                        stride=stride,
                        padding=twice // 2,
                        output_padding=extra,
                        dilation=dilation,
                        input_size=given,
                    )


def _strides(
    given: int, goal: int, reach: int, allowed: Sequence[int] | None, times: int | None
) -> Iterable[int]:
    """Return the strides with which the size can be met."""
    if times is not None:
        candidates: Iterable[int] = [times]
    elif given == 1:
        candidates = allowed or STRIDES
    else:
        # With padding from 0 to reach - 1, and output_padding below the stride or the dilation.
        candidates = range(1, (goal + reach) // (given - 1) + 1)
    return [stride for stride in candidates if allowed is None or stride in allowed]


def _numbers(name: str, given: Range | None, least: int) -> Sequence[int] | None:
    if given is None:
        return None
    numbers = (given,) if isinstance(given, int) else tuple(given)
    for number in numbers:
        _at_least(f"A {name}", number, least)
    if not numbers:
        raise SizesError(f"Give at least one {name} to choose from.")
    return numbers


def _at_least(what: str, number: object, least: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number < 2**31:
        raise SizesError(f"{what} is a whole number from {least} on, not {number!r}.")


def _first_the_plain(setting: Setting) -> tuple[float, ...]:
    return (
        setting.ratio,
        setting.dilation,
        setting.output_padding,
        setting.kernel_size,
        setting.stride,
        setting.padding,
    )

"""A chain of layers along one axis: its sizes, the skip connections that do not fit, and what mends them.

A chain is written as lines of torch, one layer a line. ``save a`` keeps the size at that place, and
``cat a`` joins it again: a skip connection.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convt_trace.engine.layer import span
from convt_trace.engine.text import AXES, table
from convt_trace.planning.sizes import Setting, sizes
from convt_trace.planning.stage import ChainError, Stage, stage_of

#: Input sizes that are tried to tell which ones pass.
TRIED = 512
#: Lines of a chain.
MOST = 500
#: How far from its own a kernel may be that mends a skip connection.
_KERNELS = 2
#: Changes that are told.
_SHOWN = 3
#: How far from its own a size may be.
_NEAR = 32


@dataclass(frozen=True)
class Misfit:
    """A skip connection that does not fit.

    Attributes
    ----------
    stage : Stage
        The ``cat``.
    here, saved : int
        The size at that place, and the one that was saved.
    changes : tuple of (int, Setting)
        Changes of a transposed convolution before it that mend it, the smallest first: the line, and
        its new setting.
    crop_or_pad : str
        The line of torch that mends it at that place, for the chain's axis or all of them.
    """

    stage: Stage
    here: int
    saved: int
    changes: tuple[tuple[int, Setting], ...]
    crop_or_pad: str

    @property
    def sentence(self) -> str:
        """What does not fit, and by how much."""
        by = self.here - self.saved
        return (
            f"Line {self.stage.line}: {self.stage.name} has {self.saved}, and here it is {self.here}: "
            f"{abs(by)} too {'many' if by > 0 else 'few'}."
        )

    @property
    def mending(self) -> str:
        """What mends it, the smallest change first, as a list in Markdown."""
        changes = [
            f"- line {line}: kernel_size={setting.kernel_size}, padding={setting.padding}, "
            f"output_padding={setting.output_padding}"
            for line, setting in self.changes[:_SHOWN]
        ]
        code = f"- or, before line {self.stage.line}: `{self.crop_or_pad}`"
        return "\n".join(["What mends it, the smallest change first:\n", *changes, code])


class Chain(Sequence[Stage]):
    """Layers one behind the other, along one axis.

    Attributes
    ----------
    dims : int
        Spatial dimensions of its layers.
    axis : int or None
        The one that is followed; None where all are alike.
    text : str
        Its lines.
    size : int or None
        The input size that its own table is about.

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

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        dims: int = 1,
        axis: int | None = None,
        text: str = "",
        size: int | None = None,
    ):
        self._stages = tuple(stages)
        self.dims, self.axis, self.text, self.size = dims, axis, text, size

    @classmethod
    def read(cls, text: str, axis: int | None = None, size: int | None = None) -> Chain:
        """Read lines of torch; nothing of them is run.

        Parameters
        ----------
        text : str
        axis : int, optional
            The spatial axis that is followed; without one all of them have to be alike.
        size : int, optional
            The input size that its own table is about.

        Raises
        ------
        ChainError
            On a line that is no layer of those that are known, or a skip that was not saved.
        AxesError
            Where the axes differ and none is chosen.

        Examples
        --------
        >>> Chain.read("nn.MaxPool2d((2, 4))", axis=1).sizes(64)
        [64, 16]
        """
        lines = text.splitlines()
        if len(lines) > MOST:
            raise ChainError(f"A chain has up to {MOST} lines; this text has {len(lines):,}.")
        dims = dims_of(text)
        made = (stage_of(line, at, dims, axis) for at, line in enumerate(lines, 1))
        stages = [stage for stage in made if stage]
        saved = set()
        for stage in stages:
            if stage.kind == "save":
                saved.add(stage.name)
            elif stage.kind == "cat" and stage.name not in saved:
                raise ChainError(f"Line {stage.line}: nothing was saved as {stage.name} before it.")
        return cls(stages, dims=dims, axis=axis, text=text, size=size)

    def __len__(self) -> int:
        return len(self._stages)

    def __getitem__(self, at: Any) -> Any:
        return self._stages[at]

    # -- sizes ------------------------------------------------------------------------------------

    def sizes(self, size: int) -> list[int]:
        """Return the size before the first stage and after each.

        Behind a ``cat`` the saved size goes on, as if a misfit were mended. The list ends where torch
        would stop.
        """
        found, saved = [size], {}
        for stage in self:
            if stage.kind == "save":
                saved[stage.name] = found[-1]
            found.append(saved[stage.name] if stage.kind == "cat" else stage.out(found[-1]))
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
        changes = tuple(self._changes(at, found))
        return Misfit(self[at], here, saved, changes, self._crop_or_pad(here, saved))

    def _crop_or_pad(self, here: int, saved: int) -> str:
        """Return the line that makes a size another, along the chain's axis or all of them."""
        meant = [self.axis in (None, at) for at in range(self.dims)]
        if saved < here:
            cuts = [f":{saved}" if one else ":" for one in meant]
            return f"x = x[..., {', '.join(cuts)}]"
        ends = [f"0, {saved - here}" if one else "0, 0" for one in reversed(meant)]
        return f"x = F.pad(x, ({', '.join(ends)}))"

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
        for stage in self[start:stop]:
            size = stage.out(size) if size > 0 else size
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
            if step == 2:
                return f"odd sizes from {least} on"
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

        Raises
        ------
        ChainError
            Where that depends on the size of the input.

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
        if not rate:
            raise ChainError(
                "A layer of this chain makes one size of every input: it has no reach."
            )
        middle = outputs // 2
        for output in range(middle, middle + max(1, math.ceil(rate)) * 2):
            first = last = output
            for stage in reversed(self._stages):
                first, last = stage.needs(first, last)
            now = math.floor(output / rate)
            before, after = max(before, now - first), max(after, last - now)
        return before, after

    def receptive_field(self, size: int) -> int:
        """Return how many input positions the outputs of one time reach back and ahead, its own included."""
        return sum(self.reach(size)) + 1

    def rate(self) -> float:
        """Return how many output positions there are for each input position."""
        return math.prod(stage.rate for stage in self)

    def trims(self) -> list[tuple[Stage, int]]:
        """Return what each transposed convolution of a causal chain trims on the right, none on the left."""
        return [
            (stage, max(0, span(stage.kernel_size, stage.dilation) - stage.stride))
            for stage in self
            if stage.kind == "ConvTranspose"
        ]

    # -- as a text --------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Chain of {len(self)} lines"

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```" if self.size is None else self.to_markdown(self.size)

    def to_markdown(self, size: int) -> str:
        """Return a table of the sizes along the chain, what does not fit and what mends it.

        Examples
        --------
        >>> print(Chain.read("nn.MaxPool2d(2)").to_markdown(27))
        | line | layer | size |
        |---:|---|---:|
        |  | input | 27 |
        | 1 | `nn.MaxPool2d(2)` | 13 |
        <BLANKLINE>
        27 goes through, and comes out as 13.
        <BLANKLINE>
        Input sizes that go through: all sizes from 2 on.
        """
        found = self.sizes(size)
        rows = [["", "input", str(found[0])]]
        rows += [
            [str(stage.line), f"`{stage.text}`", str(after)]
            for stage, after in zip(self, found[1:])
        ]
        through = f"Input sizes that go through: {self.passes()}."
        return "\n\n".join(
            [table(["line", "layer", "size"], rows, "ntn"), *self.told(size), through]
        )

    def told(self, size: int) -> list[str]:
        """Say what comes of an input size: what does not fit and what mends it, and how it ends."""
        told = [f"{one.sentence} {one.mending}" for one in self.misfits(size)]
        return [*told, end] if (end := self.end(size)) else told

    def end(self, size: int) -> str:
        """Say what an input size comes out as, or where torch stops; empty where a skip does not fit."""
        found = self.sizes(size)
        if found[-1] < 1:
            line = self[len(found) - 2].line
            return f"Line {line} makes {found[-1]} of {found[-2]}: torch stops there."
        if self.misfits(size):
            return ""
        along = "" if self.axis is None else f" along {AXES[self.dims][self.axis]}"
        return f"{size} goes through{along}, and comes out as {found[-1]}."


def dims_of(text: str) -> int:
    """Return how many spatial dimensions the layers of a chain have; 1 where none tells.

    >>> dims_of("nn.MaxPool2d(2)")
    2
    """
    named = re.search(r"(?:Conv|ConvTranspose|Pool|Norm)([123])d\b", text)
    return int(named[1]) if named else 1


def change(old: Stage | Setting, new: Setting) -> tuple[int, ...]:
    """Return how large a change is: how many settings, then which ones, then by how much."""
    names = ("kernel_size", "padding", "output_padding")
    by = [abs(getattr(new, name) - getattr(old, name)) for name in names]
    return (sum(map(bool, by)), bool(by[0]), bool(by[1]), sum(by))

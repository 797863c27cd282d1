"""Every limit of the reader, in one place, and the counters that hold a text to them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from convt_trace.snippet.errors import Refused


@dataclass(frozen=True)
class Limits:
    """What one text may use. Sums are over the whole text, not per line.

    Attributes
    ----------
    source_chars : int
        Length of the text, checked before it is parsed.
    nesting : int
        Depth of brackets, and of the syntax tree.
    steps : int
        Syntax-tree nodes evaluated.
    call_depth : int
        Calls of the text's own functions inside one another.
    int_bits : int
        Size of a whole number.
    text_chars : int
        Characters printed or shown, in sum, and in one string.
    items, items_in_sum : int
        Elements of one list, tuple, dict or string product; and of all that are made.
    tensor_elements, elements_in_sum : int
        Elements of one tensor; and of all that are made.
    live_bytes : int
        Memory in tensors at one time.
    macs : int
        Multiply-accumulates in sum; those of layers of one to three channels count more, as torch
        is slower at them.
    parameter : int
        The largest kernel size, stride, padding or dilation.
    calls, recorded_elements : int
        Convolutions that are kept, and the elements in their tensors.
    seconds : float
        Wall time; checked between steps.
    hard_seconds, hard_bytes : float, int
        Where the operating system ends the worker process, should all else fail.

    Examples
    --------
    >>> LIMITS.source_chars
    20000
    """

    source_chars: int = 20_000
    nesting: int = 80
    steps: int = 1_000_000
    call_depth: int = 60
    int_bits: int = 4096
    text_chars: int = 100_000
    items: int = 200_000
    items_in_sum: int = 4_000_000
    tensor_elements: int = 2**24
    elements_in_sum: int = 2**28
    live_bytes: int = 160 * 2**20
    macs: int = 10**10
    parameter: int = 2**15
    calls: int = 256
    recorded_elements: int = 2**25
    seconds: float = 1.4
    hard_seconds: float = 1.85
    hard_bytes: int = 320 * 2**20


LIMITS = Limits()

_PAGE_BYTES = 4096


def data_bytes() -> int:
    """Return the private memory this process has asked for, written to or not; 0 where unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


@dataclass
class Budget:
    """The counters of one reading.

    Examples
    --------
    >>> budget = Budget(LIMITS)
    >>> budget.tensor(1000)
    >>> budget.tensor(10**9)
    Traceback (most recent call last):
    convt_trace.snippet.errors.Refused: a tensor of 1,000,000,000 elements ...
    """

    limits: Limits
    steps: int = 0
    items: int = 0
    elements: int = 0
    macs: int = 0
    text: int = 0
    recorded: int = 0
    calls: int = 0
    started: float = field(default_factory=time.monotonic)
    baseline: int = field(default_factory=data_bytes)

    def step(self) -> None:
        """Count one node; look at the clock now and then."""
        self.steps += 1
        if self.steps > self.limits.steps:
            raise Refused(
                f"more than {self.limits.steps:,} steps",
                "Shorten the loops: the reader is for examples, not for training runs.",
            )
        if not self.steps & 127:
            self.clock()

    @property
    def seconds(self) -> float:
        """Wall time since the reading began."""
        return time.monotonic() - self.started

    def clock(self) -> None:
        """Refuse a text that has used its time."""
        if self.seconds > self.limits.seconds:
            raise Refused(
                f"more than {self.limits.seconds} seconds of computing",
                "Use smaller tensors or fewer repetitions.",
            )

    def made(self, items: int) -> None:
        """Count the elements of a new list, dict or string before it is made."""
        if items > self.limits.items:
            raise Refused(
                f"{_written(items)} elements in one list or string (the limit is "
                f"{self.limits.items:,})",
                "Use fewer elements.",
            )
        self.items += items
        if self.items > self.limits.items_in_sum:
            raise Refused(
                f"more than {self.limits.items_in_sum:,} list elements in sum",
                "Use fewer elements.",
            )

    def tensor(self, elements: int, itemsize: int = 4) -> None:
        """Count a tensor before it is made."""
        if elements > self.limits.tensor_elements:
            raise Refused(
                f"a tensor of {_written(elements)} elements (the limit is "
                f"{self.limits.tensor_elements:,})",
                "Use a smaller size: the arithmetic of a transposed convolution is the same.",
            )
        self.elements += elements
        if self.elements > self.limits.elements_in_sum:
            raise Refused(
                f"more than {self.limits.elements_in_sum:,} tensor elements in sum",
                "Use smaller tensors or fewer of them.",
            )
        if elements > 2**15:
            self.room_for(elements * itemsize)
            self.clock()

    def room_for(self, more: int) -> None:
        """Refuse to hold that many more bytes at one time."""
        held = data_bytes() - self.baseline
        if held + more > self.limits.live_bytes:
            raise Refused(
                f"more than {self.limits.live_bytes >> 20} MB in tensors at one time",
                "Use smaller tensors.",
            )

    def multiply(self, macs: int) -> None:
        """Count multiply-accumulates before they are done."""
        self.macs += macs
        if self.macs > self.limits.macs:
            raise Refused(
                f"{_written(self.macs)} multiply-accumulates (the limit is {self.limits.macs:,})",
                "Use fewer channels, a smaller batch or a smaller input.",
            )

    def size(self, sizes: Iterable[int], itemsize: int = 4) -> None:
        """Count a tensor given by its sizes."""
        self.tensor(abs(prod(sizes)), itemsize)

    def printed(self, chars: int) -> None:
        """Count text before it is kept."""
        self.text += chars
        if self.text > self.limits.text_chars:
            raise Refused(
                f"more than {self.limits.text_chars:,} characters of printed text",
                "Print less, or print shapes.",
            )

    def whole(self, bits: int) -> None:
        """Refuse a whole number that would grow too long, before it is computed."""
        if bits > self.limits.int_bits:
            raise Refused(
                f"a whole number of more than {self.limits.int_bits:,} bits",
                "Use smaller numbers.",
            )


def _written(number: int) -> str:
    """Return a whole number as text that stays short, however large it is."""
    return f"{number:,}" if number < 10**18 else f"2**{number.bit_length() - 1} or more"

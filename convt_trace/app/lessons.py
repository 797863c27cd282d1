"""The lesson: a class of 45 minutes, from one stamp to checkerboards. Content as data.

Each step is a picture in the player, two sentences, and one cell to predict. The numbers that a
sentence states are in ``claims``, and a test compares each with torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convt_trace.engine.layer import Ints
from convt_trace.engine.view import Cell, View
from convt_trace.links.link import Linked
from convt_trace.links.settings import QUESTION, Fill, Settings, layer_settings


@dataclass(frozen=True)
class Step:
    """One step of the lesson.

    Attributes
    ----------
    title : str
    text : str
        Two sentences of Markdown.
    ask : str
        The question; its answer is the output at ``cell``.
    cell : tuple of int
        The output cell to predict, as (n, channel, *position).
    minutes : int
    settings : Settings
    order : str
    step : int
        Where the picture opens.
    hidden : int
        From which step on the output is hidden.
    views : tuple of str
        The linked views beside the picture.
    claims : mapping of str to tuple of int
        Output values that the text states: the number as written, and the index of such a cell.
    """

    title: str
    text: str
    ask: str
    cell: Ints
    minutes: int
    settings: Settings
    order: str = "scatter"
    step: int = 0
    hidden: int = 0
    views: tuple[str, ...] = ()
    claims: Mapping[str, Ints] = field(default_factory=dict)

    def linked(self) -> Linked:
        """Return the step's picture as a link holds it."""
        return Linked(
            self.settings.case(),
            self.settings,
            View(self.order),
            step=self.step,
            selected=Cell("output", self.cell),
            hidden=self.hidden,
            views=self.views,
        )


def _line(*numbers: float) -> Fill:
    return Fill("numbers", tuple(map(float, numbers)))


def _one(size: int, kernel: int, x: Fill, weight: Fill, **others: object) -> Settings:
    """Return a layer of one channel on a line."""
    return layer_settings(1, (1, 1), size=size, kernel=kernel, x=x, weight=weight, **others)


_X, _W = _line(2, 1, 3), _line(1, 4, 2)

LESSON: tuple[Step, ...] = (
    Step(
        "One value stamps the kernel",
        "A transposed convolution reads one input value at a time and multiplies the whole kernel by "
        "it. The products land side by side on the output: a stamp, as large as the kernel.",
        "The only input value is 2 and the kernel is 1, 4, 2. What will the middle cell be?",
        (0, 0, 1),
        4,
        _one(1, 3, _line(2), _W),
    ),
    Step(
        "Stamps overlap and add up",
        "The next input value stamps one cell further on. Where stamps overlap, their products are "
        "added. That is the whole rule.",
        "Three stamps meet in the middle cell. What do they add up to?",
        (0, 0, 2),
        5,
        _one(3, 3, _X, _W),
    ),
    Step(
        "Stride sets the stamps apart",
        "With `stride=2` each stamp begins two cells after the one before, so the output grows: the "
        "step is made on the output, not on the input. Two neighbouring stamps of three cells share "
        "only one cell.",
        "Which number is in the cell that the first two stamps share?",
        (0, 0, 2),
        5,
        _one(3, 3, _X, _W, stride=2),
    ),
    Step(
        "Padding crops",
        "`padding=1` adds nothing here: it crops one cell at both ends of the output. The hatched "
        "cells are computed and thrown away.",
        "The first cell is cropped. What is in the first one that is left?",
        (0, 0, 0),
        4,
        _one(3, 3, _X, _W, stride=2, padding=1),
    ),
    Step(
        "output_padding adds one cell",
        "A plain convolution can turn two input lengths into the same output length, so the way back "
        "has two possible results: `output_padding=1` chooses the longer one, with one more cell at "
        "the end. That cell is not filled with 0: it holds whatever lands there.",
        "What is in the cell that was added?",
        (0, 0, 5),
        4,
        _one(3, 3, _X, _W, stride=2, padding=1, output_padding=1),
    ),
    Step(
        "Dilation spreads the taps",
        "`dilation=2` leaves a gap of one cell between the taps of the kernel. Every stamp is wider, "
        "with gaps that other stamps can fill.",
        "Two taps reach the third cell. What do they add up to?",
        (0, 0, 2),
        4,
        _one(3, 3, _X, _W, dilation=2),
    ),
    Step(
        "Groups are computed apart",
        "With `groups=2` the first two input channels make the first two output channels, and the "
        "last two make the last two. Inside a group every input channel stamps onto every output "
        "channel, each time with another kernel.",
        "Channels 2 and 3 have larger numbers. What will output channel 2 be?",
        (0, 2, 0),
        5,
        QUESTION,
        views=("groups",),
    ),
    Step(
        "The kernel is flipped",
        "Start from an output cell and ask which inputs reach it: the first input through the last "
        "tap, the last input through the first. That is a plain convolution with the kernel flipped, "
        "over the input with zeros around it.",
        "Add up the products of the third cell: which number is it?",
        (0, 0, 2),
        5,
        _one(4, 3, _line(2, 1, 1, 3), _line(1, 1, 5)),
        order="gather",
        views=("collect",),
    ),
    Step(
        "It is the gradient of a convolution",
        "In a plain convolution with this kernel, each output is a weighted sum of inputs; its gradient "
        "goes back to those inputs with the same weights. So the gradient with respect to the input of "
        "`conv1d` is `conv_transpose1d` of the gradient at its output, which is x here.",
        "Which gradient reaches input 2 of the convolution?",
        (0, 0, 2),
        5,
        _one(4, 3, _line(1, 0, 2, 1), _line(1, 1, 5)),
        views=("gradient",),
    ),
    Step(
        "Checkerboards",
        "All inputs and all weights are 1 here, so a cell counts the stamps that reach it. With "
        "`stride=2` and a kernel of 3 some get 1, some 2 and some 4: such layers leave this pattern in "
        "images. A kernel size divisible by the stride avoids it.",
        "How many stamps reach cell (2, 2)?",
        (0, 0, 2, 2),
        4,
        layer_settings(2, (1, 1), size=3, kernel=3, stride=2, x=Fill("ones"), weight=Fill("ones")),
        claims={"1": (0, 0, 1, 1), "2": (0, 0, 1, 2), "4": (0, 0, 4, 4)},
    ),
)


def number(text: str | None) -> int:
    """Return the step that an address names, counted from 1; the nearest there is.

    >>> number("3"), number("99") == len(LESSON), number("x"), number(None)
    (3, True, 1, 1)
    """
    said = int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else 1
    return min(max(said, 1), len(LESSON))

"""“I got something else”: the wrong reading of a layer that gives the numbers a person has.

A reading is a small change to a `Plan`, the few choices by which a transposed convolution is computed.
The plausible mistakes are a table of such changes (`READINGS`), so that two of them combine, their
sizes are known before anything is computed, and the engine does the computing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from convt_trace.answers.sums import number
from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case, trace
from convt_trace.engine.layer import Ints, reach, span
from convt_trace.engine.reference import torch_output

#: Pairs of readings are tried up to this many MACs.
_MOST_MACS_IN_PAIRS = 2**20
#: How many of the numbers are looked at for how far they were rounded when printed.
_LOOKED_AT = 1000


@dataclass(frozen=True)
class Plan:
    """How an output is computed, in the choices that people get wrong.

    Attributes
    ----------
    stride, dilation : tuple of int
    groups : int
    before, after : tuple of int
        What is cropped off each axis of the canvas; a negative number adds zeros.
    flipped : bool
        The kernel is turned round in every axis before it stamps.
    weight : str
        How the weight's memory is read: "own", "conv" (C_out, C_in/groups) or "swapped"
        (C_out/groups, C_in).
    dealt_in, dealt_out : bool
        Channels are dealt to the groups one by one, not in blocks.
    one_channel : bool
        Only the first input channel of each group is read.
    step : tuple of int
        Every how many positions one is kept, after cropping.
    zeros : tuple of int
        Cells at the end that are zeros (no sum and no bias).
    biases : int
        How often the bias is added.
    """

    stride: Ints
    dilation: Ints
    groups: int
    before: Ints
    after: Ints
    flipped: bool = False
    weight: str = "own"
    dealt_in: bool = False
    dealt_out: bool = False
    one_channel: bool = False
    step: Ints = ()
    zeros: Ints = ()
    biases: int = 1

    @classmethod
    def right(cls, case: Case) -> Plan:
        """Return the plan that torch follows."""
        after = tuple(p - extra for p, extra in zip(case.layer.padding, case.layer.output_padding))
        return cls(
            case.layer.stride, case.layer.dilation, case.layer.groups, case.layer.padding, after
        )


def _reach(case: Case, plan: Plan) -> Ints:
    """Return how many cells one stamp spans, less one, along each axis."""
    return tuple(span(k, d) - 1 for d, k in zip(plan.dilation, case.weight.shape[2:]))


# -- the readings -------------------------------------------------------------------------------
# Each takes a case and a plan and returns the plan changed, or None where it makes no difference.


def kernel_not_flipped(case: Case, plan: Plan) -> Plan | None:
    """Slide the kernel unflipped over the input, or flip it before the call.

    Met in hand-written loops that copy a Conv's, and after scipy, whose convolve flips by itself.
    """
    return replace(plan, flipped=not plan.flipped)


def padding_added_to_input(case: Case, plan: Plan) -> Plan | None:
    """Put ``padding`` zeros around the input and crop nothing, as a Conv's padding does."""
    widened = tuple(p * s for p, s in zip(case.layer.padding, plan.stride))
    return replace(
        plan,
        before=tuple(-n for n in widened),
        after=tuple(-n - extra for n, extra in zip(widened, case.layer.output_padding)),
    )


def padding_as_border(case: Case, plan: Plan) -> Plan | None:
    """Slide the kernel over the zero-stuffed input with ``padding`` zeros around it.

    Met in drawings: the border there is ``dilation*(kernel-1) - padding``, not padding itself.
    """
    crop = tuple(r - p for r, p in zip(_reach(case, plan), case.layer.padding))
    after = tuple(n - extra for n, extra in zip(crop, case.layer.output_padding))
    return replace(plan, before=crop, after=after)


def padding_around_output(case: Case, plan: Plan) -> Plan | None:
    """Put ``padding`` zeros around the output; the word suggests that it makes things larger."""
    after = tuple(-p - extra for p, extra in zip(case.layer.padding, case.layer.output_padding))
    return replace(plan, before=tuple(-p for p in case.layer.padding), after=after)


def padding_ignored(case: Case, plan: Plan) -> Plan | None:
    """Crop nothing. Met where a layer was rebuilt by hand with only its kernel and stride."""
    return replace(
        plan, before=(0,) * case.dims, after=tuple(-extra for extra in case.layer.output_padding)
    )


def output_padding_zeros(case: Case, plan: Plan) -> Plan | None:
    """Append zeros for output_padding, as its name suggests; in truth sums land there."""
    return (
        replace(plan, zeros=case.layer.output_padding) if any(case.layer.output_padding) else None
    )


def output_padding_ignored(case: Case, plan: Plan) -> Plan | None:
    """Leave output_padding out. Met in size formulas that forget the term."""
    return replace(plan, before=case.layer.padding, after=case.layer.padding)


def cropped_on_other_side(case: Case, plan: Plan) -> Plan | None:
    """Crop less in front and more at the end: output_padding on the wrong side."""
    return replace(plan, before=plan.after, after=plan.before)


def trimmed_at_end(case: Case, plan: Plan) -> Plan | None:
    """Crop everything at the end. Met in causal 1-D layers of vocoders and codecs."""
    total = tuple(a + b for a, b in zip(plan.before, plan.after))
    return replace(plan, before=(0,) * case.dims, after=total)


def trimmed_in_front(case: Case, plan: Plan) -> Plan | None:
    """Crop everything in front. Met where causal trimming took the wrong end."""
    total = tuple(a + b for a, b in zip(plan.before, plan.after))
    return replace(plan, before=total, after=(0,) * case.dims)


def tensorflow_same(case: Case, plan: Plan) -> Plan | None:
    """Crop as TensorFlow's and Keras' padding="same" does: to input * stride, the smaller half in front."""
    total = [r + 1 - s for r, s in zip(_reach(case, plan), plan.stride)]
    before = tuple(max(crop, 0) // 2 for crop in total)
    return replace(plan, before=before, after=tuple(t - b for t, b in zip(total, before)))


def conv_layout(case: Case, plan: Plan) -> Plan | None:
    """Read the weight as a Conv's (C_out, C_in/groups, *K). Met when weights are carried over."""
    return replace(plan, weight="conv")


def weight_out_first(case: Case, plan: Plan) -> Plan | None:
    """Read the weight's blocks output channels first: (C_out/groups, C_in, *K)."""
    return replace(plan, weight="swapped")


def groups_dealt_out(case: Case, plan: Plan) -> Plan | None:
    """Give output channel c to group ``c % groups``: the blocks read out-first, or a channel shuffle."""
    return replace(plan, dealt_out=True)


def groups_dealt_in(case: Case, plan: Plan) -> Plan | None:
    """Give input channel c to group ``c % groups``. Met with interleaved channels."""
    return replace(plan, dealt_in=True)


def groups_and_dilation_swapped(case: Case, plan: Plan) -> Plan | None:
    """Take groups for dilation and the other way round: their order differs between the functions."""
    dilation = set(plan.dilation)
    if len(dilation) > 1:
        return None
    return replace(plan, groups=dilation.pop(), dilation=(plan.groups,) * case.dims)


def dilation_ignored(case: Case, plan: Plan) -> Plan | None:
    """Let the taps touch. Met in hand-written loops."""
    return replace(plan, dilation=(1,) * case.dims)


def one_input_channel(case: Case, plan: Plan) -> Plan | None:
    """Read one input channel per group, and forget that the others are added to it."""
    return replace(plan, one_channel=True)


def bias_forgotten(case: Case, plan: Plan) -> Plan | None:
    """Leave the bias out. ``bias=True`` is the default, with random numbers in it."""
    return replace(plan, biases=0)


def bias_doubled(case: Case, plan: Plan) -> Plan | None:
    """Add the bias twice: in the layer, and by hand once more."""
    return replace(plan, biases=2)


def stride_as_step(case: Case, plan: Plan) -> Plan | None:
    """Compute a strided Conv: the kernel walks over the input in steps of ``stride``."""
    border = tuple(r - p for r, p in zip(_reach(case, plan), case.layer.padding))
    return replace(
        plan,
        stride=(1,) * case.dims,
        before=border,
        after=border,
        step=plan.stride,
        flipped=not plan.flipped,
    )


def stride_subsamples(case: Case, plan: Plan) -> Plan | None:
    """Compute with stride 1 and keep every ``stride``-th cell, as if stride were taken afterwards."""
    return replace(plan, stride=(1,) * case.dims, step=plan.stride)


def stride_ignored(case: Case, plan: Plan) -> Plan | None:
    """Put the stamps side by side, without the gaps that stride makes."""
    return replace(plan, stride=(1,) * case.dims)


@dataclass(frozen=True)
class Reading:
    """A plausible wrong reading.

    Attributes
    ----------
    name : str
        As a sentence names it.
    about : str
        What it concerns; two readings about the same do not combine.
    apply : callable
        (Case, Plan) -> Plan or None.
    change : str
        What to change, in a sentence.
    """

    name: str
    about: str
    apply: Callable[[Case, Plan], Plan | None]
    change: str


#: Every reading that is tried, the commonest of each kind first.
READINGS: tuple[Reading, ...] = (
    Reading(
        "the kernel not flipped", "kernel", kernel_not_flipped,
        "Stamp the kernel as it is on the output, or slide it flipped over the input; flip it once, not "
        "twice or never: torch.flip(weight, dims) of the spatial axes goes from one to the other.",
    ),
    Reading(
        "padding added to the input", "padding", padding_added_to_input,
        "Here padding crops the output at both ends; nothing is added to the input.",
    ),
    Reading(
        "padding taken for the border of the zero-stuffed input", "padding", padding_as_border,
        "The border of that view is dilation*(kernel-1) - padding zeros on each side.",
    ),
    Reading(
        "padding added around the output", "padding", padding_around_output,
        "Here padding crops the output at both ends; to enlarge it use output_padding or F.pad.",
    ),
    Reading(
        "padding ignored", "padding", padding_ignored,
        "Crop padding cells off each end of every axis.",
    ),
    Reading(
        "output_padding filled with zeros", "output_padding", output_padding_zeros,
        "output_padding widens the window at the end: sums and the bias land there too.",
    ),
    Reading(
        "output_padding ignored", "output_padding", output_padding_ignored,
        "Keep output_padding more cells at the end of every axis.",
    ),
    Reading(
        "cropped on the other side", "side", cropped_on_other_side,
        "Crop padding cells in front and padding - output_padding at the end.",
    ),
    Reading(
        "everything cropped at the end", "padding", trimmed_at_end,
        "torch crops padding cells at both ends; for a causal layer use padding=0 and trim the result.",
    ),
    Reading(
        "everything cropped in front", "padding", trimmed_in_front,
        "torch crops padding cells at both ends; for a causal layer use padding=0 and trim the result.",
    ),
    Reading(
        'the "same" crop of TensorFlow and Keras', "padding", tensorflow_same,
        "For those numbers use padding=0 and cut the result to input * stride, the smaller half of the "
        "rest in front; for torch's, crop padding at both ends.",
    ),
    Reading(
        "the weight read in a Conv's layout (C_out, C_in/groups)", "weight", conv_layout,
        "The weight is (C_in, C_out/groups, *K): swap the first two axes, inside each group.",
    ),
    Reading(
        "the weight read output channels first (C_out/groups, C_in)", "weight", weight_out_first,
        "The weight is (C_in, C_out/groups, *K): swap its first two axes.",
    ),
    Reading(
        "output channels dealt to the groups one by one", "groups out", groups_dealt_out,
        "Group g has the block of output channels g*C_out/groups up to (g+1)*C_out/groups.",
    ),
    Reading(
        "input channels dealt to the groups one by one", "groups in", groups_dealt_in,
        "Group g reads the block of input channels g*C_in/groups up to (g+1)*C_in/groups.",
    ),
    Reading(
        "groups and dilation swapped", "swap", groups_and_dilation_swapped,
        "Name them: F.conv_transposeNd takes (..., output_padding, groups, dilation), F.convNd "
        "(..., dilation, groups).",
    ),
    Reading(
        "dilation ignored", "dilation", dilation_ignored,
        "Put dilation cells between neighbouring taps: tap k lands at i*stride - padding + k*dilation.",
    ),
    Reading(
        "only one input channel of each group read", "channels", one_input_channel,
        "Add the sums of all input channels of the group.",
    ),
    Reading(
        "the bias forgotten", "bias", bias_forgotten,
        "Add bias[c] once to every cell of channel c, or build the layer with bias=False.",
    ),
    Reading(
        "the bias added twice", "bias", bias_doubled, "Add the bias once: the layer does it already.",
    ),
    Reading(
        "stride read as a step: a strided Conv", "stride", stride_as_step,
        "Here stride is the distance between the stamps of neighbouring inputs; the output grows by it.",
    ),
    Reading(
        "stride read as a step: every stride-th cell taken", "stride", stride_subsamples,
        "Here stride is the distance between the stamps of neighbouring inputs; no cell is left out.",
    ),
    Reading(
        "stride ignored", "stride", stride_ignored,
        "Put the stamps of neighbouring inputs stride cells apart.",
    ),
)  # fmt: skip


# -- computing a plan ---------------------------------------------------------------------------


class _Computed:
    """Outputs of plans for one case; a canvas that two plans share is added up once."""

    def __init__(self, case: Case):
        self.case = case
        self._x = wide(case.batched)
        self._weight = wide(case.weight)
        self._canvases: dict[Any, np.ndarray] = {}

    def shape(self, plan: Plan) -> Ints | None:
        """Return the output's shape (N, C_out, *L), or None where the plan makes no sense."""
        case = self.case
        ins, outs, *kernel = case.weight.shape
        channels_out = self._channels_out(plan)
        if ins % plan.groups or (case.bias is not None and len(case.bias) != channels_out):
            return None
        if plan.biases != 1 and case.bias is None:
            return None
        sizes = []
        for length, k, s, d, before, after, step, zero in zip(
            self._x.shape[2:], kernel, plan.stride, plan.dilation, plan.before, plan.after,
            plan.step or (1,) * case.dims, plan.zeros or (0,) * case.dims,
        ):  # fmt: skip
            size = reach(length, k, s, d) - before - after
            if size < 1 or zero > size:
                return None
            sizes.append(-(-size // step))
        return (len(self._x), channels_out, *sizes)

    def _channels_out(self, plan: Plan) -> int:
        return self.case.weight.shape[1] * plan.groups

    def output(self, plan: Plan) -> np.ndarray:
        """Return a plan's output, wide, (N, C_out, *L); its shape has been found to make sense."""
        case, dims = self.case, self.case.dims
        cut = self._canvas(plan)
        for axis, (before, after) in enumerate(zip(plan.before, plan.after), start=2):
            widths = [(0, 0)] * cut.ndim
            widths[axis] = (max(0, -before), max(0, -after))
            start = max(0, before)
            stop = cut.shape[axis] - max(0, after)
            cut = np.pad(cut[(slice(None),) * axis + (slice(start, stop),)], widths)
        cut = cut[(slice(None), slice(None), *(slice(None, None, s) for s in plan.step or ()))]
        if case.bias is not None:
            cut = cut + plan.biases * wide(case.bias).reshape(1, -1, *[1] * dims)
        result = np.array(cut)
        for axis, zeros in enumerate(plan.zeros, start=2):
            if zeros:
                result[(slice(None),) * axis + (slice(-zeros, None),)] = 0
        return result

    def _canvas(self, plan: Plan) -> np.ndarray:
        key = (
            plan.stride, plan.dilation, plan.groups, plan.flipped, plan.weight, plan.dealt_in,
            plan.dealt_out, plan.one_channel,
        )  # fmt: skip
        if key not in self._canvases:
            self._canvases[key] = self._added(plan)
        return self._canvases[key]

    def _added(self, plan: Plan) -> np.ndarray:
        x, weight = self._x, self._weight_of(plan)
        ins = len(weight) // plan.groups
        if plan.dealt_in:
            x = x[:, np.arange(len(weight)).reshape(ins, plan.groups).T.reshape(-1)]
        if plan.one_channel:
            x = x * (np.arange(len(weight)) % ins == 0).reshape(1, -1, *[1] * self.case.dims)
        with np.errstate(all="ignore"):
            canvas = trace(
                x, weight, stride=plan.stride, dilation=plan.dilation, groups=plan.groups
            ).output
        if plan.dealt_out:
            channels = canvas.shape[1]
            canvas = canvas[:, np.arange(channels).reshape(plan.groups, -1).T.reshape(-1)]
        return canvas

    def _weight_of(self, plan: Plan) -> np.ndarray:
        weight, groups = self._weight, self.case.layer.groups
        ins, outs, *kernel = weight.shape
        if plan.weight == "conv":
            blocks = weight.reshape(groups, outs, ins // groups, *kernel)
            weight = blocks.swapaxes(1, 2).reshape(ins, outs, *kernel)
        elif plan.weight == "swapped":
            weight = weight.reshape(outs, ins, *kernel).swapaxes(0, 1)
        if plan.flipped:
            weight = np.flip(weight, tuple(range(2, weight.ndim)))
        return weight

    def size_of_terms(self) -> float:
        """Return the largest sum of the terms' magnitudes in any cell: what rounding goes by."""
        finite = [np.where(np.isfinite(t), np.abs(t), 0) for t in (self._x, self._weight)]
        case = self.case
        largest = trace(
            *finite,
            stride=case.layer.stride,
            dilation=case.layer.dilation,
            groups=case.layer.groups,
        ).output
        bias = 0 if case.bias is None else 2 * np.abs(wide(case.bias)).max(initial=0)
        return float(largest.max(initial=0)) + float(bias)


# -- the diagnosis ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Match:
    """A reading, or two at once, and what it gives.

    Attributes
    ----------
    readings : tuple of Reading
    result : ndarray
        In the shape it has with torch's conventions, without a batch axis where x has none.
    """

    readings: tuple[Reading, ...]
    result: np.ndarray

    @property
    def name(self) -> str:
        """The readings' names, joined."""
        return " and ".join(reading.name for reading in self.readings)

    @property
    def change(self) -> str:
        """What to change, in a sentence for each reading."""
        return " ".join(reading.change for reading in self.readings)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a person's numbers are, beside torch's.

    Attributes
    ----------
    kind : str
        "equal" (to torch), "rearranged" (torch's numbers in another order or shape), "misread" (one or
        more readings match) or "unknown".
    yours, torch : ndarray
        The person's numbers and torch's.
    matches : tuple of Match
        The readings that give the person's numbers within rounding.
    closest : Match or None
        For "unknown": the reading whose shape, and then whose numbers, come nearest.
    difference : ndarray or None
        Yours minus torch's, where there are as many.
    text : str
        All of it, as Markdown.
    """

    kind: str
    yours: np.ndarray
    torch: np.ndarray
    matches: tuple[Match, ...]
    closest: Match | None
    difference: np.ndarray | None
    text: str

    def __str__(self) -> str:
        return self.text


def misread(case: Case, numbers: ArrayLike) -> Diagnosis:
    """Return which wrong reading of a case gives these numbers.

    Parameters
    ----------
    case : Case
    numbers : array_like
        What the person got or expected, in any shape.

    Examples
    --------
    >>> case = Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)
    >>> print(misread(case, [12, 9]).kind)
    equal
    >>> found = misread(case, [8, 17])
    >>> found.kind, found.matches[0].name
    ('misread', 'the kernel not flipped')
    >>> print(found)
    Your numbers are those of **the kernel not flipped**. Stamp the kernel as it is on the output, or
    slide it flipped over the input; flip it once, not twice or never: torch.flip(weight, dims) of the
    spatial axes goes from one to the other.
    <BLANKLINE>
    ```
    yours       [8, 17]
    torch       [12, 9]
    difference  [-4, 8]
    ```
    """
    yours = np.asarray(numbers)
    theirs = torch_output(case)
    looking = _Looking(case, yours)
    difference = _difference(yours, theirs)
    if difference is not None and looking.like(theirs):
        same = _squeezed(yours.shape) == _squeezed(theirs.shape)
        kind = "equal" if same or yours.ndim <= 1 else "rearranged"
        order = "row by row, in another shape" if kind == "rearranged" else None
        return _said(kind, yours, theirs, difference, order=order)
    turned = looking.turned(theirs)
    if turned is not None:
        return _said(
            "rearranged", yours, theirs, difference, order=f"with its axes in the order {turned}"
        )
    matches = looking.singles() or looking.pairs()
    if matches:
        return _said("misread", yours, theirs, difference, matches)
    return _said("unknown", yours, theirs, difference, closest=looking.closest())


class _Looking:
    """The search for the readings that give certain numbers."""

    def __init__(self, case: Case, yours: np.ndarray):
        self._case = case
        self._yours = yours
        self._wide = yours.astype(np.float64)
        self._computed = _Computed(case)
        self._right = Plan.right(case)
        self._printed = _resolution(yours)
        self._rounding = self._rounding_of_sums()

    def _rounding_of_sums(self) -> float:
        """Return how far sums of this layer may lie apart when added in another order."""
        if self._case.x.dtype.kind in "iu" and self._yours.dtype.kind in "iu":
            return 0.0
        dtypes = [array.dtype for array in (self._case.x, self._yours)]
        eps = max(_epsilon(dtype) for dtype in dtypes)
        axes = self._case.geometry.axes
        terms = self._case.layer.in_per_group * prod(axis.most for axis in axes)
        return eps * (4 + 2 * terms**0.5) * self._computed.size_of_terms()

    def like(self, result: np.ndarray) -> bool:
        """Tell whether a result holds these numbers, within how they were printed and added."""
        if result.size != self._yours.size:
            return False
        mine, its = self._wide.reshape(-1), result.reshape(-1).astype(np.float64)
        with np.errstate(all="ignore"):
            near = np.abs(mine - its) <= self._printed.reshape(-1) + self._rounding
        return bool(np.all(near | (mine == its) | (np.isnan(mine) & np.isnan(its))))

    def turned(self, theirs: np.ndarray) -> tuple[int, ...] | None:
        """Return the order of axes in which torch's numbers are these, if there is one."""
        for order in permutations(range(theirs.ndim)):
            moved = theirs.transpose(order)
            if _squeezed(moved.shape) == _squeezed(self._yours.shape) and self.like(moved):
                return order
        return None

    def singles(self) -> tuple[Match, ...]:
        """Return every single reading that matches."""
        return self._matching((reading,) for reading in READINGS)

    def pairs(self) -> tuple[Match, ...]:
        """Return every pair of readings that matches; not for a large layer."""
        if self._case.geometry.macs > _MOST_MACS_IN_PAIRS:
            return ()
        return self._matching(
            (one, other) for one, other in combinations(READINGS, 2) if one.about != other.about
        )

    def _matching(self, tried: Iterator[tuple[Reading, ...]]) -> tuple[Match, ...]:
        matches = []
        for readings in tried:
            plan = self._plan(readings)
            if plan is None or not self._fits(self._computed.shape(plan)):
                continue
            result = self._computed.output(plan)
            if self.like(result):
                matches.append(Match(readings, self._in_shape(result)))
        return tuple(matches)

    def _plan(self, readings: tuple[Reading, ...]) -> Plan | None:
        plan: Plan | None = self._right
        for reading in readings:
            changed = reading.apply(self._case, plan) if plan is not None else None
            plan = changed if changed != plan else None
        return None if plan == self._right else plan

    def _fits(self, shape: Ints | None) -> bool:
        """Tell whether numbers of this shape could be the person's: the same, or as a flat list."""
        if shape is None or prod(shape) != self._yours.size:
            return False
        return self._yours.ndim <= 1 or _squeezed(shape) == _squeezed(self._yours.shape)

    def _in_shape(self, result: np.ndarray) -> np.ndarray:
        return result[0] if self._case.unbatched else result

    def closest(self) -> Match | None:
        """Return the reading whose shape is nearest, and of those the one whose numbers are.

        Readings that change nothing here are skipped.
        """
        ranked = []
        for reading in READINGS:
            plan = self._plan((reading,))
            shape = self._computed.shape(plan) if plan is not None else None
            if plan is not None and shape is not None:
                ranked.append((self._apart(shape), reading, plan))
        if not ranked:
            return None
        nearest = min(apart for apart, _, _ in ranked)
        candidates = [(reading, plan) for apart, reading, plan in ranked if apart == nearest]
        if nearest != (0, 0):
            reading, plan = candidates[0]
            return Match((reading,), self._in_shape(self._computed.output(plan)))
        right = self._computed.output(self._right)
        results = [(reading, self._computed.output(plan)) for reading, plan in candidates]
        results = [(reading, r) for reading, r in results if not np.array_equal(r, right, True)]
        if not results:
            return None
        with np.errstate(all="ignore"):
            off = [np.nansum(np.abs(r.reshape(-1) - self._wide.reshape(-1))) for _, r in results]
        reading, result = results[int(np.argmin(off))]
        return Match((reading,), self._in_shape(result))

    def _apart(self, shape: Ints) -> tuple[int, int]:
        """Return how far a shape is from the person's: their sizes first, then the counts."""
        if self._fits(shape):
            return (0, 0)
        mine, its = _squeezed(self._yours.shape), _squeezed(shape)
        if len(mine) == len(its):
            return (1, sum(abs(a - b) for a, b in zip(mine, its)))
        return (2, abs(prod(shape) - self._yours.size))


def _epsilon(dtype: np.dtype) -> float:
    if dtype.kind in "iu":
        return 0.0
    return {2: 2.0**-7 if dtype.name == "bfloat16" else 2.0**-10, 4: 2.0**-23}.get(
        dtype.itemsize, 2.0**-52
    )


def _resolution(yours: np.ndarray) -> np.ndarray:
    """Return half a unit of the last printed digit, for each number; 0 where all are whole.

    torch prints four digits after the point, or four after the first in scientific notation.
    """
    some = [v for v in yours.reshape(-1)[:_LOOKED_AT].tolist() if np.isfinite(v)]
    if all(float(value).is_integer() for value in some):
        return np.zeros(yours.shape)
    short = yours.dtype.type if yours.dtype.kind == "f" else float
    digits = [np.format_float_scientific(short(value), trim="-").partition("e") for value in some]
    written = [(len(m.lstrip("-").replace(".", "")), int(e)) for m, _, e in digits]
    longest = max(count for count, _ in written)
    decimals = max(count - 1 - exponent for count, exponent in written)
    with np.errstate(all="ignore"):
        exponents = np.floor(np.log10(np.maximum(np.abs(yours.astype(np.float64)), 1e-300)))
    unit = np.maximum(10.0**-decimals, 10.0 ** (exponents - longest + 1))
    return np.asarray(0.5001 * np.nan_to_num(unit))


def _squeezed(shape: Ints) -> Ints:
    return tuple(size for size in shape if size != 1)


def _difference(yours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    if yours.size != theirs.size:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(wide(yours).reshape(theirs.shape) - wide(theirs))


def _said(
    kind: str,
    yours: np.ndarray,
    theirs: np.ndarray,
    difference: np.ndarray | None,
    matches: tuple[Match, ...] = (),
    closest: Match | None = None,
    order: str | None = None,
) -> Diagnosis:
    """Return the diagnosis with its text."""
    table = _beside(yours, theirs, difference)
    if kind == "equal":
        text = "Your numbers equal torch's, within rounding: nothing was misread."
    elif kind == "rearranged":
        text = (
            f"Your numbers are torch's, {order}: yours have shape {yours.shape}, torch's {theirs.shape}. "
            "A reshape or a transpose came in between; the layer was read correctly."
        )
    elif kind == "misread":
        text = " ".join(
            f"{'Your numbers are those of' if not place else 'So are those of'} **{match.name}**. "
            f"{match.change}"
            for place, match in enumerate(matches[:3])
        )
        text += f"\n\n{table}"
    else:
        text = _nothing_found(yours, theirs, closest) + f"\n\n{table}"
    return Diagnosis(kind, yours, theirs, matches, closest, difference, text)


def _nothing_found(yours: np.ndarray, theirs: np.ndarray, closest: Match | None) -> str:
    text = "None of the known wrong readings gives these numbers."
    if yours.size != theirs.size:
        text += f" They have shape {yours.shape}; torch's have {theirs.shape}."
    if closest is not None:
        near = _listed(closest.result)
        text += f" The closest by shape is **{closest.name}**, {closest.result.shape}: `{near}`."
    return text


def _beside(yours: np.ndarray, theirs: np.ndarray, difference: np.ndarray | None) -> str:
    rows = [("yours", yours), ("torch", theirs)]
    rows += [] if difference is None else [("difference", difference)]
    return "```\n" + "\n".join(f"{name:<11} {_listed(array)}" for name, array in rows) + "\n```"


def _listed(array: np.ndarray) -> str:
    """Return the first numbers of an array, in one line."""
    flat = array.reshape(-1)
    texts = [number(value) for value in flat[:16]]
    more = f", … {flat.size - 16:,} more" if flat.size > 16 else ""
    return f"[{', '.join(texts)}{more}]"

"""torch's refusals in plain words: what is wrong, and the smallest changes that make the call run.

What a call was given comes from whoever saw it fail; nothing is read out of a text. torch is not
imported: an error is known by its message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from math import gcd, prod
from typing import Any, Protocol

from convt_trace.answers.advice import padding_word_warning, same_padding
from convt_trace.answers.alone import explained_alone
from convt_trace.answers.refusal import (
    Attempted,
    Explanation,
    Refusal,
    listed,
    text,
    use,
    whole,
)
from convt_trace.engine.layer import FUNCTION, MODULE, Ints, output_length, span
from convt_trace.engine.text import axes, by, count

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Failed(Protocol):
    """An error, and the convolution that it came from, if it came from one."""

    @property
    def message(self) -> str: ...

    @property
    def attempt(self) -> Attempted | None: ...

    @property
    def pasted(self) -> bool: ...


def explained(failed: _Failed) -> Explanation | None:
    """Return an error of torch in plain words; None for what is no refusal of a convolution.

    Parameters
    ----------
    failed : object with a message and an attempt
        Such as a ``SnippetError``. The attempt is what the convolution, or its layer's constructor,
        was given: ``op``, the shapes, the dtypes, ``parameters`` and ``layer``. Where the message was
        ``pasted`` alone, what stands in it is all that is known.

    Examples
    --------
    >>> from convt_trace.snippet import SnippetError, read_snippet
    >>> try:
    ...     read_snippet("from torch import nn; nn.ConvTranspose2d(4, 6, 3, groups=4)")
    ... except SnippetError as error:
    ...     told = explained(error)
    >>> print(told.plain, told.fix)
    groups=4 cuts in_channels=4 and out_channels=6 into 4 equal blocks each, and 6 is not a multiple
    of 4. Use out_channels=4 or 8, or groups=2.
    >>> told.code
    'layer = nn.ConvTranspose2d(4, 6, 3, groups=2)'
    """
    after = re.search(_CAT, failed.message)
    if after:
        return _cat(after[1], after[2])
    if failed.attempt is None:
        return explained_alone(failed.message) if failed.pasted else None
    call = Refusal.of(failed.attempt)
    for pattern, tell in _REFUSALS:
        match = re.search(pattern, failed.message)
        if match:
            told = tell(call, match)
            return told or (explained_alone(failed.message) if failed.pasted else None)
    return None


def _nearest(values: Iterable[int], to: int, most: int = 2) -> list[int]:
    """Return the values that are closest to a number, in order."""
    return sorted(sorted(values, key=lambda value: (abs(value - to), value))[:most])


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


# -- channels, groups, bias -----------------------------------------------------------------------


def _channels(call: Refusal, match: re.Match[str]) -> Explanation | None:
    if not call.has_axes or call.x is None or call.weight is None or call.groups < 1:
        return None
    x, dims, wanted = call.x, call.dims, call.channels
    has = x[-dims - 1]
    plain = f"{_taker(call)} {count(wanted, 'input channel')}, and x of shape {x} has {has}."
    if len(x) == dims + 1 and wanted == 1 and has > 1:
        plain += f" Without a batch axis x is read as (C, {axes(dims)})."
        return Explanation(
            plain, "x", "Give it a channel axis: x.unsqueeze(1).", "x = x.unsqueeze(1)"
        )
    if _fits_the_other_kind(call):
        other, mine = _layouts(not call.transposed), _layouts(call.transposed)
        kind = "Conv" if call.transposed else "ConvTranspose"
        plain += f" The weight has the order of a {kind}, {other}; here it is {mine}."
        inside = " inside each group" if call.groups > 1 else ""
        return Explanation(
            plain, "weight", f"Swap the weight's first two axes{inside}.", _swapped(call)
        )
    if x[-1] == wanted and len(set(x[-dims:])) > 1 - (dims == 1):
        axis = len(x) - dims - 1
        plain += f" x looks like channels last; torch wants the channels in axis {axis}."
        code = f"x = x.movedim(-1, {axis})"
        return Explanation(plain, "x", f"Move the channels: x.movedim(-1, {axis}).", code)
    if call.layer:
        plain += " After a torch.cat, or a layer that changed the channels, count them again."
    return Explanation(plain, "x", *use(call, *_other_channels(call, has)))


def _taker(call: Refusal) -> str:
    """Return who takes so many channels, with the number that says it."""
    if call.layer:
        return f"This {call.name} takes"
    place = "first" if call.transposed else "second"
    times = "" if call.transposed or call.groups == 1 else f", times groups={call.groups}"
    return f"The weight of shape {call.weight} takes (by its {place} number{times})"


def _layouts(transposed: bool) -> str:
    channels = ("in_channels", "out_channels") if transposed else ("out_channels", "in_channels")
    return f"({channels[0]}, {channels[1]}/groups, *kernel)"


def _fits_the_other_kind(call: Refusal) -> bool:
    """Whether a function was given the weight that the other kind of convolution would take."""
    assert call.weight is not None and call.x is not None
    first, second = call.weight[0], call.weight[1] * call.groups
    ins, outs = (second, first) if call.transposed else (first, second)
    fits = ins == call.x[-call.dims - 1] and call.bias in (None, (outs,))
    return not call.layer and fits and first % call.groups == 0


def _swapped(call: Refusal) -> str:
    assert call.weight is not None
    (first, second, *kernel), groups = call.weight, call.groups
    if groups == 1:
        return "weight = weight.transpose(0, 1)"
    split = (groups, first // groups, second, *kernel)
    joined = (groups * second, first // groups, *kernel)
    return f"weight = weight.reshape{split}.transpose(1, 2).reshape{joined}"


def _other_channels(call: Refusal, has: int) -> list[dict[str, Any]]:
    """Return the changes by which the layer, or the weight, takes x, or x fits it."""
    assert call.x is not None
    x = list(call.x)
    x[-call.dims - 1] = call.channels
    changes: list[dict[str, Any]] = [{"x": tuple(x)}]
    if not has:
        return changes
    groups = gcd(has, call.outputs, call.groups)
    outs = call.outputs if call.layer or call.bias is None else prod(call.bias)
    groups = gcd(groups, outs)
    first: dict[str, Any] = {"in_channels": has}
    if not call.layer:
        first = {"weight": call.shape(has, outs, groups)}
    return [{**first, **({"groups": groups} if groups != call.groups else {})}, *changes]


def _weight_groups(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain a weight whose first number groups does not divide."""
    if not call.has_axes or call.x is None or call.weight is None or call.groups < 1:
        return None
    groups, first = call.groups, call.weight[0]
    if call.layer or not first:
        return _no_channels(call, match)
    which = "input" if call.transposed else "output"
    plain = (
        f"groups={groups} cuts the {count(first, f'{which} channel')} (the weight's first number) into "
        f"{groups} equal blocks, and {first} is not a multiple of {groups}."
    )
    fitting = [n for n in _divisors(first) if _fits(call, n)]
    if fitting:
        return Explanation(
            plain, "groups", *use(call, *({"groups": n} for n in _nearest(fitting, groups)))
        )
    ins = call.x[-call.dims - 1]
    outs = prod(call.bias) if call.bias else call.outputs
    less = gcd(groups, ins, outs)
    change: dict[str, Any] = {"weight": call.shape(ins, outs, less)}
    change |= {"groups": less} if less != groups else {}
    return Explanation(plain, "groups", *use(call, change))


def _fits(call: Refusal, groups: int) -> bool:
    """Whether x, weight and bias go together with other groups."""
    assert call.x is not None
    other = replace(call, given={**call.given, "groups": groups})
    return other.channels == call.x[-call.dims - 1] and call.bias in (None, (other.outputs,))


def _layer_groups(call: Refusal, match: re.Match[str]) -> Explanation | None:
    groups = call.groups
    ins, outs = call.given.get("in_channels"), call.given.get("out_channels")
    if groups < 1 or not isinstance(ins, int) or not isinstance(outs, int):
        return None
    wrong = [name for name in ("in_channels", "out_channels") if call.given[name] % groups]
    if not wrong:
        return None
    numbers = " and ".join(str(call.given[name]) for name in wrong)
    plain = (
        f"groups={groups} cuts in_channels={ins} and out_channels={outs} into {groups} equal blocks "
        f"each, and {numbers} {'is not a multiple' if len(wrong) == 1 else 'are not multiples'} of {groups}."
    )
    around = {name: _multiples(call.given[name], groups) for name in wrong}
    changes: list[dict[str, Any]] = [
        {"groups": n} for n in _nearest(_divisors(gcd(ins, outs)), groups, 1)
    ]
    code = call.code(changes[0])
    if len(wrong) == 1:
        changes = [*({wrong[0]: n} for n in around[wrong[0]]), *changes]
    else:
        changes = [{name: near[-1] for name, near in around.items()}, *changes]
    return Explanation(plain, "groups", use(call, *changes)[0], code)


def _multiples(number: int, of: int) -> list[int]:
    """Return the multiples next to a number, without 0."""
    below = max(number, 0) // of * of
    return [n for n in (below, below + of) if n > 0]


def _no_groups(call: Refusal, match: re.Match[str]) -> Explanation:
    plain = (
        f"groups counts the blocks that the channels are cut into, so it cannot be {call.groups}."
    )
    fitting = [1]
    if call.has_axes and call.weight and not call.layer:
        fitting = [n for n in _divisors(call.weight[0]) if _fits(call, n)][:1] or fitting
    return Explanation(plain, "groups", *use(call, {"groups": fitting[0]}))


def _no_channels(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain a layer of no channels, or of fewer than none, and a weight like that."""
    if not call.layer:
        if call.weight is None or not call.has_axes:
            return None
        shape = tuple(
            max(size, call.groups if place == 0 else 1) for place, size in enumerate(call.weight)
        )
        return Explanation(
            f"A weight of shape {call.weight} is empty.", "weight", *use(call, {"weight": shape})
        )
    sizes = {name: call.given.get(name, 1) for name in MODULE[:3]}
    wrong = {
        name: value
        for name, value in sizes.items()
        if all(isinstance(one, int) for one in listed(value)) and min(listed(value), default=1) < 1
    }
    if not wrong:
        return None
    said = " and ".join(f"{name}={text(value)}" for name, value in wrong.items())
    change: dict[str, Any] = {}
    for name, value in wrong.items():
        least = call.groups if "channels" in name else 1
        more = tuple(abs(one) if one < 0 else max(one, least) for one in listed(value))
        change[name] = more if isinstance(value, tuple) else more[0]
    if call.has_axes and call.x and "in_channels" in wrong:
        place = len(call.x) - call.dims - 1
        change["x"] = (*call.x[:place], change["in_channels"], *call.x[place + 1 :])
    return Explanation(
        f"{said} makes an empty layer: sizes are 1 or more.", [*wrong][0], *use(call, change)
    )


def _bias(call: Refusal, match: re.Match[str]) -> Explanation | None:
    if not call.has_axes or call.bias is None or call.weight is None:
        return None
    channels, bias = call.outputs, call.bias
    where = "first" if not call.transposed else "second"
    times = f", times groups={call.groups}" if call.transposed and call.groups > 1 else ""
    plain = (
        f"A bias has one number per output channel, {channels} here (by the weight's {where} number"
        f"{times}), and this one has shape {bias}."
    )
    if call.layer:
        code = f"layer.bias = nn.Parameter(torch.zeros({channels}))"
        return Explanation(plain, "bias", f"Use a bias of {count(channels, 'number')}.", code)
    if prod(bias) == channels:
        return Explanation(plain, "bias", "Flatten it: bias.flatten().", "bias = bias.flatten()")
    if len(bias) == 1 and bias[0] > channels:
        return Explanation(
            plain, "bias", f"Take {channels} of its numbers.", f"bias = bias[:{channels}]"
        )
    return Explanation(plain, "bias", *use(call, {"bias": channels}))


# -- numbers per axis -----------------------------------------------------------------------------


def _output_padding(call: Refusal, match: re.Match[str]) -> Explanation:
    given, strides, dilations = map(call.each, ("output_padding", "stride", "dilation"))
    most = tuple(max(s, d) - 1 for s, d in zip(strides, dilations))
    grown = tuple(
        s if extra < max(s, d) else extra + 1 for extra, s, d in zip(given, strides, dilations)
    )
    plain = (
        "output_padding picks one of the sizes that a strided Conv maps to the same input size. There are "
        f"as many as the stride (or dilation), so output_padding can be {text(most)} at most here, not "
        f"{text(given)}."
    )
    changes = {"output_padding": tuple(map(min, given, most))}, {"stride": grown}
    return Explanation(plain, "output_padding", *use(call, *changes))


def _too_small(call: Refusal, match: re.Match[str]) -> Explanation:
    """Explain an output that padding crops away. What is left grows by 2 with every step less."""
    left = tuple(map(int, re.findall(r"-?\d+", match[1])))[-call.dims :]
    fitting = tuple(p - max(0, -(-(1 - size) // 2)) for p, size in zip(call.each("padding"), left))
    plain = (
        f"padding crops the output from both ends, and of this input ({by(call.size)}) more is cropped "
        f"than there is: {by(left)} would be left. padding can be {text(fitting)} at most here."
    )
    return Explanation(plain, "padding", *use(call, {"padding": fitting}))


def _too_large(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain a plain convolution whose kernel is larger than its input."""
    padding, dilation = call.each("padding"), call.each("dilation")
    if not call.has_axes or call.x is None or call.weight is None or min(dilation) < 1:
        return None
    reach = tuple(map(span, call.kernel, dilation))
    padded = tuple(size + 2 * p for size, p in zip(call.size, padding))
    if min(call.size) == 0:
        return _empty(call, match)
    plain = (
        f"The kernel covers {by(reach)} cells (dilation*(kernel_size-1) + 1), and x with its padding has "
        f"only {by(padded)}."
    )
    wider = tuple(p + max(0, -(-(r - size) // 2)) for p, r, size in zip(padding, reach, padded))
    kernel = tuple(min(k, (size - 1) // d + 1) for k, d, size in zip(call.kernel, dilation, padded))
    smaller: dict[str, Any] = {"kernel_size": kernel}
    if not call.layer:
        smaller = {"weight": (*call.weight[:2], *kernel)}
    return Explanation(plain, "x", *use(call, {"padding": wider}, smaller))


def _number_of_values(call: Refusal, match: re.Match[str]) -> Explanation | None:
    if call.weight is not None and len(call.weight) != call.dims + 2:
        return _kernel_axes(call, match)
    name = match[1]
    plain = _values_and_dimensions(call, name)
    return Explanation(plain, name, *use(call, {name: call.each(name)}))


def _values_and_dimensions(call: Refusal, name: str) -> str:
    values = count(len(listed(call.given.get(name, ()))), "number")
    return f"{name} has {values}, and {call.name} has {count(call.dims, 'spatial dimension')}."


#: The least value that each parameter takes, and what a smaller one was probably meant to do.
_LEAST = {
    ("padding", True): (
        0,
        "padding crops the output; a negative one, to enlarge it, does not exist. For more cells at the "
        "end there is output_padding, for zeros all around F.pad on the result.",
    ),
    ("padding", False): (
        0,
        "padding puts zeros around x; a negative one, to crop it, does not exist. To crop take a slice "
        "of x.",
    ),
    ("output_padding", True): (
        0,
        "output_padding adds cells at the end, 0 or more. To crop use padding.",
    ),
    ("stride", True): (
        1,
        "stride is the distance between the stamps of neighbouring input values: 1 or more.",
    ),
    ("stride", False): (
        1,
        "stride is the distance between the places where the kernel is laid on x: 1 or more.",
    ),
    ("dilation", True): (1, "dilation is the distance between taps: 1 when they touch."),
    ("dilation", False): (1, "dilation is the distance between taps: 1 when they touch."),
}


def _least(name: str) -> Callable[[Refusal, re.Match[str]], Explanation | None]:
    def tell(call: Refusal, match: re.Match[str]) -> Explanation | None:
        if (name, call.transposed) not in _LEAST:
            return None
        least, meaning = _LEAST[name, call.transposed]
        given = call.each(name)
        fitting = tuple(max(least, value) for value in given)
        plain = f"{name}={text(given)} is below {least}. {meaning}"
        return Explanation(plain, name, *use(call, {name: fitting}))

    return tell


def _no_taps(call: Refusal, match: re.Match[str]) -> Explanation:
    kernel = tuple(max(1, size) for size in call.kernel)
    plain = f"A kernel of {by(call.kernel)} has no taps, and computes nothing."
    change = {"kernel_size": kernel}
    if not call.layer:
        change = {"weight": (*(call.weight or (1, 1))[:2], *kernel)}
    return Explanation(plain, "kernel_size" if call.layer else "weight", *use(call, change))


def _output_size(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain an output_size that has too many numbers or too few, or that can't be had."""
    if not call.has_axes or "output_size" not in call.given:
        return None if call.has_axes else _input_axes(call, match)
    given, dims = call.given["output_size"], call.dims
    least, most = _sizes(call)
    asked = [whole(value, 0) for value in listed(given)]
    wanted = asked[-dims:] if len(asked) >= dims else [*asked, *least[len(asked) :]]
    if not isinstance(given, tuple):
        plain = (
            f"output_size is a list of {count(dims, 'number')}, and {given} is one number alone."
        )
        wanted = asked * dims
    elif len(given) not in (dims, len(call.x or ())):
        plain = (
            f"output_size is the spatial size ({axes(dims)}), or the whole shape "
            f"({'N, ' if len(call.x or ()) > dims + 1 else ''}C, {axes(dims)}); "
            f"{count(len(given), 'number')} {'is' if len(given) == 1 else 'are'} neither."
        )
    else:
        plain = (
            "output_size only picks an output_padding from 0 to stride - 1, so the sizes from "
            f"{by(least)} to {by(most)} can be had, and {by(wanted)} cannot."
        )
    fitting = tuple(max(low, min(high, want)) for want, low, high in zip(wanted, least, most))
    return Explanation(plain, "output_size", *use(call, {"output_size": fitting}))


def _sizes(call: Refusal) -> tuple[Ints, Ints]:
    """Return the smallest and the largest output that output_padding can pick."""
    numbers = zip(call.size, call.kernel, *map(call.each, ("stride", "padding", "dilation")))
    least = tuple(output_length(size, k, s, p, 0, d) for size, k, s, p, d in numbers)
    return least, tuple(size + s - 1 for size, s in zip(least, call.each("stride")))


# -- axes -----------------------------------------------------------------------------------------


def _input_axes(call: Refusal, match: re.Match[str]) -> Explanation | None:
    x, dims = call.x, call.dims
    if x is None or len(x) in (dims + 1, dims + 2):
        return None
    known = call.weight is not None and len(call.weight) == dims + 2
    ins = call.channels if known else None
    plain = (
        f"x of shape {x} has {len(x)} ax{'is' if len(x) == 1 else 'es'}; {call.name} takes "
        f"(N, C, {axes(dims)}) or, without a batch, (C, {axes(dims)})."
    )
    told = _more_axes(x, dims, ins) if len(x) < dims + 1 else _fewer_axes(x, dims, ins)
    return Explanation(plain, "x", *told)


def _more_axes(x: Ints, dims: int, ins: int | None) -> tuple[str, str]:
    if len(x) == 2 and x[1] == ins:
        index = ", ".join([":", ":", *["None"] * dims])
        return f"Give each of the {x[0]} vectors a position: x[{index}].", f"x = x[{index}]"
    if len(x) == dims and ins in (1, None):
        return "Give it a batch and a channel axis: x[None, None].", "x = x[None, None]"
    return f"Reshape x to (N, {ins or 'C'}, {axes(dims)}).", ""


def _fewer_axes(x: Ints, dims: int, ins: int | None) -> tuple[str, str]:
    if ins is None or x[-dims - 1] == ins:
        last = len(x) - dims - 2
        return "Take its leading axes as one batch.", f"x = x.flatten(0, {last})"
    single = next(
        (axis for axis, size in enumerate(x) if size == 1 and len(x) == dims + 3
         and [*x[:axis], *x[axis + 1 :]][1] == ins),
        None,
    )  # fmt: skip
    if single is not None:
        return f"Drop its axis {single}, of length 1.", f"x = x.squeeze({single})"
    return f"Reshape x to (N, {ins}, {axes(dims)}).", ""


def _kernel_axes(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain a weight, or a kernel_size, of another number of axes than the function's."""
    weight, dims = call.weight, call.dims
    if weight is None or len(weight) == dims + 2:
        return None
    if call.layer:
        plain = _values_and_dimensions(call, "kernel_size")
        return Explanation(
            plain, "kernel_size", *use(call, {"kernel_size": call.each("kernel_size")})
        )
    plain = (
        f"A weight of {call.op} has {dims + 2} axes, {_layouts(call.transposed)}, and this one, of shape "
        f"{weight}, has {len(weight)}."
    )
    return Explanation(plain, "weight", *_reshaped(call, weight))


def _reshaped(call: Refusal, weight: Ints) -> tuple[str, str]:
    """Return how to give a weight its axes, where that goes with x."""
    dims, missing = call.dims, call.dims + 2 - len(weight)
    if missing == 2:
        return "Give it two channel axes: weight[None, None].", "weight = weight[None, None]"
    ways = []
    if missing == 1:
        ways = [
            ((*weight[:at], 1, *weight[at:]), f"unsqueeze({at})")
            for at in (1, 0, 2)[: len(weight) + 1]
        ]
    elif missing == -1:
        single = [at for at, size in enumerate(weight) if size == 1 and at > 1]
        ways = [((*weight[:at], *weight[at + 1 :]), f"squeeze({at})") for at in reversed(single)]
    for shape, how in ways:
        other = replace(call, weight=shape)
        if other.has_axes and _fits(other, call.groups):
            which = "Give it an axis" if missing == 1 else "Drop its axis"
            return f"{which} of length 1: weight.{how}.", f"weight = weight.{how}"
    instead = call.op.replace(f"{dims}d", f"{len(weight) - 2}d")
    other_op = f", or use {instead}" if 3 <= len(weight) <= 5 else ""
    return f"Give it {count(dims, 'kernel size')}{other_op}.", ""


def _empty(call: Refusal, match: re.Match[str]) -> Explanation | None:
    if not call.has_axes or call.x is None:
        return None
    least = [1] * call.dims
    if not call.transposed:
        numbers = zip(call.kernel, *map(call.each, ("padding", "dilation")))
        least = [max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in numbers]
    x = (*call.x[: -call.dims], *map(max, call.size, least))
    return Explanation(f"x of shape {call.x} has no positions.", "x", *use(call, {"x": x}))


# -- dtypes ---------------------------------------------------------------------------------------

#: torch's method for a dtype, and the name that its messages give it.
_METHODS = {
    "float32": "float", "float64": "double", "float16": "half", "bfloat16": "bfloat16",
}  # fmt: skip
_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16",
    "int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte",
    "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip


def _dtypes(call: Refusal, match: re.Match[str]) -> Explanation | None:
    held = call.dtypes
    if len(set(held.values())) < 2:
        return None
    said = [f"{'x' if name == 'x' else f'the {name}'} {'holds ' if not place else ''}{dtype}"
            for place, (name, dtype) in enumerate(held.items())]  # fmt: skip
    plain = f"{', '.join(said[:-1])} and {said[-1]}, and torch multiplies only equal dtypes."
    other = next(dtype for dtype in held.values() if dtype != held.get("x"))
    if (
        match[0]
        == f"expected scalar type {_NAMES.get(held.get('x', ''))} but found {_NAMES.get(other)}"
    ):
        plain += (
            ' (Its message reads the other way round: what it "expected" is x\'s dtype, what it "found" '
            "is the other's.)"
        )
    return _converted(call, plain)


def _no_kernel(call: Refusal, match: re.Match[str]) -> Explanation | None:
    kind = "transposed convolution" if call.transposed else "convolution"
    dtype = next((dtype for dtype, name in _NAMES.items() if name == match[1]), match[1])
    return _converted(call, f"torch has no {kind} of {dtype} numbers on the CPU.")


def _converted(call: Refusal, plain: str) -> Explanation | None:
    """Return the advice to convert what has another dtype than the weight, or x, or float32."""
    held = call.dtypes
    wide = [dtype for name in ("weight", "x", "bias") if (dtype := held.get(name, "")) in _METHODS]
    target = next(
        (dtype for dtype in held.values() if dtype.startswith("complex")), (*wide, "float32")[0]
    )
    wrong = [name for name, dtype in held.items() if dtype != target]
    if not wrong:
        return None
    method = f"{_METHODS[target]}()" if target in _METHODS else f"to(torch.{target})"
    names = [*wrong]
    if call.layer and set(wrong) & {"weight", "bias"}:
        names = [*(["x"] if "x" in wrong else []), "layer"]
    fix = f"Convert {' and '.join(names)}: {', '.join(f'{name}.{method}' for name in names)}."
    return Explanation(
        plain, wrong[0], fix, "\n".join(f"{name} = {name}.{method}" for name in names)
    )


# -- kinds of arguments ---------------------------------------------------------------------------

_TENSORS = ("x", "weight", "bias")


def _kinds(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain the first argument that is not of its kind: a tensor, or whole numbers."""
    if not call.layer or call.x is not None or call.weight is not None:
        found = _not_a_tensor(call, match.string)
        if found:
            return found
    strange = [name for name in call.given if name not in (*FUNCTION, *MODULE, "output_size", "x")]
    if strange:
        return _no_such_argument(call, strange[0])
    for name in (*MODULE[:3], *FUNCTION[3:]):
        if name in call.given and not _is_whole(call, name):
            return _not_whole(call, name)
    return _too_many(call) if "invalid combination" in match.string else None


def _is_whole(call: Refusal, name: str) -> bool:
    value = call.given[name]
    if name == "padding" and isinstance(value, str):
        return not call.transposed
    single = name in ("groups", "in_channels", "out_channels")
    if single and isinstance(value, tuple):
        return False
    return all(isinstance(one, int) for one in listed(value))


def _not_a_tensor(call: Refusal, message: str) -> Explanation | None:
    """Explain an x, weight or bias that is not a tensor, by the kinds that the message names."""
    got = re.search(r"got \((.*?)\), but", message)
    kinds: dict[str, str] = {}
    if got:
        kinds = dict(zip(_TENSORS, (kind for kind in got[1].split(", ") if "=" not in kind)))
        kinds |= dict(re.findall(r"(weight|bias)=([\w.]+)", got[1]))
    named = re.search(r"argument '(input|weight|bias)'.* must be Tensor, not ([\w.]+)", message)
    if named:
        kinds = {named[1].replace("input", "x"): named[2]}
    fine = ("Tensor", "Parameter", *(["NoneType"] if "bias" in kinds else []))
    for name, kind in kinds.items():
        if getattr(call, name) is not None or kind in fine and name == "bias":
            continue
        return _as_tensor(call, name, kind)
    if got and "weight" not in kinds:
        return _no_weight(call)
    return None


def _as_tensor(call: Refusal, name: str, kind: str) -> Explanation:
    plain = f"{name} has to be a tensor, and this one is of type {kind}."
    if kind in ("list", "tuple", "numpy.ndarray"):
        make = "from_numpy" if kind == "numpy.ndarray" else "tensor"
        return Explanation(
            plain, name, f"Make it one: torch.{make}({name}).", f"{name} = torch.{make}({name})"
        )
    if name == "bias":
        return Explanation(
            f"{plain} It has one number per output channel.",
            "bias",
            *use(call, {"bias": call.outputs}),
        )
    return Explanation(plain, name, "Give it a tensor.")


def _no_weight(call: Refusal) -> Explanation:
    return Explanation(
        f"{call.op} takes x and a weight, {_layouts(call.transposed)}, and got x alone.",
        "weight",
        "Give it a weight, or build a layer, which makes its own.",
    )


def _not_whole(call: Refusal, name: str) -> Explanation:
    value = call.given[name]
    if name == "padding" and isinstance(value, str):
        return _word(call)
    single = name in ("groups", "in_channels", "out_channels")
    kind = "a whole number" if single else "made of whole numbers"
    plain = f"{name}={text(value)} is not {kind}, and torch takes nothing else."
    least = 0 if "padding" in name else 1
    numbers = tuple(max(least, number) for number in call.each(name))
    change = {name: numbers[0] if single else numbers}
    return Explanation(plain, name, *use(call, change))


def _word(call: Refusal) -> Explanation:
    """Explain a transposed convolution's padding that is a word."""
    plain = "padding is a word, and a transposed convolution takes numbers only."
    sizes = (call.kernel, call.each("stride"), call.each("dilation"))
    word = call.given["padding"]
    advice = padding_word_warning(word, kernel_size=sizes[0], stride=sizes[1], dilation=sizes[2])
    padding, extra, _ = same_padding(*sizes)
    if word != "same" or any(e >= max(s, d) for e, s, d in zip(extra, sizes[1], sizes[2])):
        padding, extra = (0,) * call.dims, (0,) * call.dims
    return Explanation(
        plain, "padding", advice or "", call.code({"padding": padding, "output_padding": extra})
    )


def _same_strided(call: Refusal, match: re.Match[str]) -> Explanation:
    half = tuple((d * (k - 1) + 1) // 2 for d, k in zip(call.each("dilation"), call.kernel))
    plain = (
        'padding="same" gives the output the size of x, and a stride above 1 makes it smaller: torch does '
        "not do both."
    )
    return Explanation(plain, "padding", *use(call, {"padding": half}, {"stride": 1}))


def _other_word(call: Refusal, match: re.Match[str]) -> Explanation:
    plain = (
        f"padding={text(call.given['padding'])} is not a word that torch knows. "
        '"valid" is 0, and "same" gives the output the size of x.'
    )
    words = ["valid", *(["same"] if set(call.each("stride")) == {1} else [])]
    return Explanation(plain, "padding", *use(call, *({"padding": word} for word in words)))


def _mode(call: Refusal, match: re.Match[str]) -> Explanation:
    """Explain a transposed layer's padding_mode."""
    mode = call.given.get("padding_mode", "")
    plain = (
        'Only padding_mode="zeros" exists here: the kernel reads nothing beyond the border of x.'
    )
    change: dict[str, Any] = {"padding_mode": "zeros"}
    if mode not in _MODES:
        return Explanation(plain, "padding_mode", "Leave it out.", call.code(change))
    names = ("kernel_size", "stride", "dilation", "output_padding")
    sizes = {name: call.each(name) for name in names}
    advice = padding_word_warning(call.each("padding"), mode, **sizes) or ""
    padded = re.search(r"(x = F\.pad\(.*?\)) and padding=(.*)\.$", advice)
    if not padded:
        return Explanation(
            plain, "padding_mode", advice.partition(". ")[2] or "Leave it out.", call.code(change)
        )
    crop = tuple(map(int, re.findall(r"\d+", padded[2])))
    code = call.code({**change, "padding": crop})
    return Explanation(plain, "padding_mode", advice.partition(". ")[2], f"{padded[1]}\n{code}")


def _no_mode(call: Refusal, match: re.Match[str]) -> Explanation:
    plain = f"padding_mode={text(call.given.get('padding_mode', ''))} is no way of padding that torch knows."
    return Explanation(
        plain, "padding_mode", *use(call, *({"padding_mode": mode} for mode in _MODES))
    )


def _beyond_the_input(call: Refusal, match: re.Match[str]) -> Explanation | None:
    """Explain a padding_mode that would need more of x than there is."""
    mode = call.given.get("padding_mode")
    if mode not in ("reflect", "circular") or not call.has_axes:
        return None
    less = 1 if mode == "reflect" else 0
    most = tuple(max(0, size - less) for size in call.size)
    why = "leaves the border value out" if less else "goes round x once"
    plain = (
        f'padding_mode="{mode}" {why}, so padding can be {text(most)} at most for x of size '
        f"{by(call.size)}, not {text(call.each('padding'))}."
    )
    fitting = tuple(map(min, call.each("padding"), most))
    return Explanation(
        plain, "padding", *use(call, {"padding": fitting}, {"padding_mode": "zeros"})
    )


# -- which arguments there are --------------------------------------------------------------------


def _unexpected(call: Refusal, match: re.Match[str]) -> Explanation:
    return _no_such_argument(call, match[1])


def _no_such_argument(call: Refusal, name: str) -> Explanation:
    plain = f"{call.name} has no argument {name}."
    if name == "output_size" and call.transposed and call.has_axes:
        return _size_of_a_function(call, plain)
    if name == "output_padding":
        return Explanation(
            f"{plain} Only a ConvTranspose has one.",
            name,
            "Leave it out.",
            call.code({"stride": call.given["stride"]}),
        )
    order = _arguments(call)
    meant = get_close_matches(name, order, 1)
    if not meant or name not in call.given:
        return Explanation(plain, name, f"Leave it out. The arguments are {', '.join(order)}.")
    return Explanation(plain, name, *use(call, {meant[0]: call.given[name]}))


def _arguments(call: Refusal) -> list[str]:
    order = MODULE if call.layer else FUNCTION
    return [name for name in order if call.transposed or name != "output_padding"]


def _size_of_a_function(call: Refusal, plain: str) -> Explanation:
    """Return which output_padding picks the output_size that a function was given."""
    least, most = _sizes(call)
    asked = [whole(value, 0) for value in listed(call.given.get("output_size", ()))]
    wanted = [*asked * call.dims][-call.dims :] or list(least)
    extra = tuple(max(low, min(high, want)) - low for want, low, high in zip(wanted, least, most))
    plain += " Only a layer's call takes it; here output_padding picks the size."
    return Explanation(plain, "output_size", *use(call, {"output_padding": extra}))


def _missing(call: Refusal, match: re.Match[str]) -> Explanation | None:
    if not call.layer:
        return _no_weight(call)
    missing = [name for name in MODULE[:3] if name not in call.given]
    if not missing:
        return None  # something inside the layer lacks an argument, such as a parametrization
    return Explanation(
        f"{call.name} takes in_channels, out_channels and kernel_size, and got no "
        f"{' and no '.join(missing)}.",
        [*missing, "kernel_size"][0],
        f"Give it {' and '.join(missing)}.",
    )


def _too_many(call: Refusal) -> Explanation:
    names = _arguments(call)
    return Explanation(
        f"{call.op} takes {len(names)} arguments: {', '.join(names)}.", "", "Leave the others out."
    )


def _too_many_by_position(call: Refusal, match: re.Match[str]) -> Explanation | None:
    return None if call.layer else _too_many(call)


# -- after the layer ------------------------------------------------------------------------------

_CAT = (
    r"Sizes of tensors must match except in dimension \d+\. Expected size (\d+) but got size (\d+)"
)


def _cat(one: str, other: str) -> Explanation:
    return Explanation(
        f"This is a torch.cat: one tensor is {one} long there, the other {other}. A Conv of stride 2 maps "
        "an odd size and an even one to the same size, and going up gives the even one back.",
        "output_padding",
        "Give the up step the skip's size, layer(x, output_size=skip.shape[2:]), or pad or crop with F.pad.",
    )


_REFUSALS: tuple[tuple[str, Callable[[Refusal, re.Match[str]], Explanation | None]], ...] = (
    (r"expected input.* to have \d+ channels, but got \d+", _channels),
    (r"output padding must be smaller than", _output_padding),
    (r"expected scalar type \w+ but found \w+|Input type .* should be the same", _dtypes),
    (r"not implemented for '(\w+)'", _no_kernel),
    (r"expected weight to be (?:divisible by|at least) \d+ at dimension 0", _weight_groups),
    (r"(?:in_channels|out_channels) must be divisible by groups", _layer_groups),
    (r"non-positive groups is not supported|groups must be a positive integer", _no_groups),
    (r"Calculated output size per channel: \((.*?)\)\. Output size is too small", _too_small),
    (r"Kernel size can't be greater than actual input size", _too_large),
    (r"Expected \dD \(unbatched\) or \dD \(batched\) input", _input_axes),
    (r"weight should have at least three dimensions", _kernel_axes),
    (r"-dimensional input for \d-dimensional weight", _kernel_axes),
    (r"expected (\w+) to be a single integer value or a list of \d values", _number_of_values),
    (r"expected bias to be 1-dimensional", _bias),
    (r"requested an output size of|output_size must have|object of type '\w+' has no len|"
     r"Dimension out of range", _output_size),
    (r"negative padding is not supported", _least("padding")),
    (r"negative output_padding is not supported", _least("output_padding")),
    (r"non-positive stride is not supported", _least("stride")),
    (r"dilation should be greater than zero", _least("dilation")),
    (r"argument '\w+'.* must be|received an invalid combination of arguments", _kinds),
    (r"padding='same' is not supported for strided", _same_strided),
    (r"Invalid padding string", _other_word),
    (r'Only "zeros" padding mode is supported', _mode),
    (r"padding_mode must be one of", _no_mode),
    (r"Padding size should be less than|causes wrapping around more than once", _beyond_the_input),
    (r"kernel size should be greater than zero", _no_taps),
    (r"non-empty .*weight|negative dimension", _no_channels),
    (r"Only zero batch or zero channel inputs are supported", _empty),
    (r"unexpected keyword argument '(\w+)'", _unexpected),
    (r"missing \d required positional argument", _missing),
    (r"takes from \d to \d positional arguments but", _too_many_by_position),
)  # fmt: skip

"""Sentences that save an hour: arguments that are easily mistaken, and torch's errors in plain words.

Small pure functions: each takes what it needs and returns a sentence, or None where there is nothing
to say. torch is not imported; an error is known by its message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from convt_trace.engine.layer import Ints, Layer

_AXES = {1: "L", 2: "H, W", 3: "D, H, W"}
_SPATIAL = ("stride", "padding", "output_padding", "dilation")
_FUNCTION = (
    "input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation",
)  # fmt: skip
_MODULE = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups",
    "bias", "dilation", "padding_mode",
)  # fmt: skip


# -- arguments that are easily mistaken ---------------------------------------------------------


def positional_warning(op: str, positional: Sequence[Any]) -> str | None:
    """Return a warning about arguments given by position whose order differs from a conv's.

    Parameters
    ----------
    op : str
        ``conv_transpose2d`` (the function) or ``ConvTranspose2d`` (the layer).
    positional : sequence
        All arguments given by position, the first one included.

    Examples
    --------
    >>> print(positional_warning("conv_transpose1d", ["x", "w", None, 1, 0, 0, 2, 1]))
    By position this call means groups=2, dilation=1: conv_transpose1d takes (..., output_padding,
    groups, dilation), while conv1d takes (..., padding, dilation, groups). Name them, and no order
    can go wrong: groups=2, dilation=1.
    >>> positional_warning("conv_transpose1d", ["x", "w", None, 2, 1])
    """
    dims = op[-2:]
    order: tuple[str, ...]
    if op.startswith("ConvTranspose"):
        order, conv = _MODULE, f"nn.Conv{dims} takes (..., padding, dilation, groups, bias)"
        here = f"nn.{op} takes (..., output_padding, groups, bias, dilation)"
    else:
        order, conv = _FUNCTION, f"conv{dims} takes (..., padding, dilation, groups)"
        here = f"{op} takes (..., output_padding, groups, dilation)"
    first = order.index("groups")
    given = [f"{name}={value!r}" for name, value in zip(order[first:], positional[first:])]
    if not given:
        return None
    return (
        f"By position this call means {', '.join(given)}: {here}, while {conv}. Name them, and no "
        f"order can go wrong: {', '.join(given)}."
    )


def padding_word_warning(
    padding: Any = 0,
    padding_mode: str = "zeros",
    *,
    kernel_size: Ints,
    stride: Ints,
    dilation: Ints,
    output_padding: Ints | None = None,
) -> str | None:
    """Return what to write instead of ``padding="same"``, ``"valid"`` or another padding_mode.

    Examples
    --------
    >>> print(padding_word_warning("same", kernel_size=(3,), stride=(2,), dilation=(1,)))
    padding="same" does not exist for a transposed convolution. For an output of input * stride, as
    TensorFlow gives it, crop 1 in all: padding=1, output_padding=1 has that size, but its one-cell
    remainder is cropped in front. For TensorFlow's numbers use padding=0 and keep y[..., 0:0 + 2*L].
    >>> print(padding_word_warning("valid", kernel_size=(3,), stride=(2,), dilation=(1,)))
    padding="valid" does not exist for a transposed convolution: padding=0 is the same.
    """
    if padding_mode != "zeros":
        zero = (0,) * len(stride)
        numbers = zero if isinstance(padding, str) else _each(padding, len(stride))
        return _other_mode(
            padding_mode, kernel_size, stride, dilation, numbers, output_padding or zero
        )
    if padding == "valid":
        return 'padding="valid" does not exist for a transposed convolution: padding=0 is the same.'
    if not isinstance(padding, str):
        return None
    if padding != "same":
        return f"padding={padding!r} is not a number: use 0, or what is to be cropped at each end."
    return _same(kernel_size, stride, dilation)


def same_padding(kernel_size: Ints, stride: Ints, dilation: Ints) -> tuple[Ints, Ints, Ints]:
    """Return padding and output_padding for an output of input * stride, and what "same" crops in all.

    TensorFlow's "same" crops ``max(dilation*(kernel-1) + 1 - stride, 0)`` in all, the smaller half in
    front. An odd total can't be had from padding alone: with the numbers here the larger half is.

    >>> same_padding((4, 3), (2, 2), (1, 1))
    ((1, 1), (0, 1), (2, 1))
    """
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    total = tuple(max(reach - s, 0) for reach, s in zip(reaches, stride))
    padding = tuple(-(-crop // 2) for crop in total)
    extra = tuple(s - reach + 2 * p for s, reach, p in zip(stride, reaches, padding))
    return padding, extra, total


def _same(kernel_size: Ints, stride: Ints, dilation: Ints) -> str:
    padding, extra, total = same_padding(kernel_size, stride, dilation)
    start = 'padding="same" does not exist for a transposed convolution. For an output of input * '
    start += f"stride, as TensorFlow gives it, crop {_short(total)} in all: "
    keywords = f"padding={_short(padding)}"
    keywords += f", output_padding={_short(extra)}" if any(extra) else ""
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        return f"{start}use padding=0 and keep {_kept(total, stride)}."
    if not any(crop % 2 for crop in total):
        return f"{start}{keywords} is exactly that."
    return (
        f"{start}{keywords} has that size, but its one-cell remainder is cropped in front. For "
        f"TensorFlow's numbers use padding=0 and keep {_kept(total, stride)}."
    )


def _kept(total: Ints, stride: Ints) -> str:
    names = _AXES[len(stride)].split(", ")
    parts = [f"{t // 2}:{t // 2} + {s}*{name}" for t, s, name in zip(total, stride, names)]
    return f"y[..., {', '.join(parts)}]"


def mode_padding(
    kernel_size: Ints, stride: Ints, dilation: Ints, padding: Ints, output_padding: Ints
) -> tuple[Ints, Ints]:
    """Return how far to pad the input for another padding_mode, and the padding that crops it again.

    Input values beyond the border reach the output when the kernel is longer than what padding crops.

    >>> mode_padding((4,), (2,), (1,), (1,), (0,))
    ((1,), (3,))
    """
    wide = tuple(
        max(0, (d * (k - 1) - p + extra) // s)
        for k, s, d, p, extra in zip(kernel_size, stride, dilation, padding, output_padding)
    )
    return wide, tuple(p + n * s for p, n, s in zip(padding, wide, stride))


def _other_mode(
    mode: str, kernel_size: Ints, stride: Ints, dilation: Ints, padding: Ints, extra: Ints
) -> str:
    start = (
        f'padding_mode="{mode}" does not exist for a transposed convolution; only "zeros" does. '
    )
    wide, crop = mode_padding(kernel_size, stride, dilation, padding, extra)
    if not any(wide):
        return f"{start}Leave it out: with these sizes nothing beyond the border is ever read."
    sides = tuple(n for along in reversed(wide) for n in (along, along))
    return (
        f'{start}Pad the input yourself, then crop that much more: x = F.pad(x, {sides}, mode="{mode}") '
        f"and padding={_short(crop)}."
    )


def unbatched_warning(x_shape: Sequence[int], dims: int) -> str | None:
    """Return how an input without a batch axis is read.

    Examples
    --------
    >>> print(unbatched_warning((8, 28, 28), 2))
    This input has 3 axes, so it is read as one unbatched item (C, H, W): 8 channels of 28 x 28. If
    they are 8 one-channel items, use x.unsqueeze(1), of shape (8, 1, 28, 28).
    >>> unbatched_warning((1, 8, 28, 28), 2)
    """
    if len(x_shape) != dims + 1:
        return None
    channels, *size = x_shape
    by = " x ".join(map(str, size))
    first = (
        f"This input has {dims + 1} axes, so it is read as one unbatched item (C, {_AXES[dims]}): "
        f"{channels} channel{'s' if channels != 1 else ''} of {by}."
    )
    shape = (channels, 1, *size)
    if channels == 1:
        return f"{first} With a batch axis it is x.unsqueeze(0), of shape {(1, *x_shape)}."
    return (
        f"{first} If they are {channels} one-channel items, use x.unsqueeze(1), of shape {shape}."
    )


def _short(values: Ints) -> str:
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))


def _each(value: Any, dims: int) -> Ints:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return tuple(map(int, given * dims if len(given) == 1 else given))


# -- torch's errors in plain words --------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """What is known of a call that torch refused; leave out what is not.

    Attributes
    ----------
    dims : int
        Spatial dimensions of the function or layer that was called.
    x, weight, bias : tuple of int
        Shapes.
    stride, padding, output_padding, dilation, groups
        As they were given.
    kernel_size, in_channels, out_channels
        Of a layer, as they were given to its constructor.
    output_size : sequence of int
        As it was given to a layer's forward.
    layer : bool
        Whether an ``nn.ConvTransposeNd`` was called, or built, and not the function.

    Examples
    --------
    >>> Call(x=(1, 3, 8), weight=(4, 2, 3)).known_dims
    1
    """

    dims: int | None = None
    x: Sequence[int] | None = None
    weight: Sequence[int] | None = None
    bias: Sequence[int] | None = None
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    kernel_size: Any = None
    in_channels: int | None = None
    out_channels: int | None = None
    output_size: Sequence[int] | None = None
    layer: bool = False

    @property
    def known_dims(self) -> int | None:
        """Spatial dimensions: those given, or those of the weight or the kernel."""
        if self.dims:
            return self.dims
        if self.weight is not None and len(self.weight) > 2:
            return len(self.weight) - 2
        return len(self.kernel_size) if isinstance(self.kernel_size, (tuple, list)) else None

    def each(self, name: str, dims: int) -> Ints:
        """Return a parameter as one number per dimension."""
        return _each(getattr(self, name), dims)

    def constructor(self, **changed: Any) -> str | None:
        """Return the line that builds the layer with some arguments changed, if enough is known."""
        dims = self.known_dims
        kernel = changed.get("kernel_size", self.kernel_size)
        if kernel is None and self.weight is not None and len(self.weight) > 2:
            kernel = tuple(self.weight[2:])
        ins = changed.get("in_channels", self.in_channels)
        if ins is None and self.weight is not None and len(self.weight) > 0:
            ins = self.weight[0]
        outs = changed.get("out_channels", self.out_channels)
        if outs is None and self.weight is not None and len(self.weight) > 1:
            outs = self.weight[1] * self.groups
        if dims is None or kernel is None or ins is None or outs is None:
            return None
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
        keywords = {name: changed.get(name, getattr(self, name)) for name in defaults}
        given = [f"{name}={value}" for name, value in keywords.items() if value != defaults[name]]
        if self.bias is None and self.weight is not None:
            given.append("bias=False")
        return f"layer = nn.ConvTranspose{dims}d({', '.join([str(ins), str(outs), str(kernel), *given])})"


@dataclass(frozen=True)
class Explanation:
    """An error of torch in plain words.

    Attributes
    ----------
    torch_message : str
        As torch raised it.
    plain : str
        What is wrong, in a sentence or two.
    what : str
        The tensor or parameter that offends: "x", "weight", "groups" and so on; "" where unknown.
    fix : str
        The smallest change that makes it run, in words.
    code : str
        The same as Python, in terms of x, weight, bias, the parameters' names and layer; "" where
        it takes more than is known of the call.
    """

    torch_message: str
    plain: str
    what: str
    fix: str
    code: str = ""

    def __str__(self) -> str:
        """Return the explanation as Markdown."""
        code = f"\n\n```python\n{self.code}\n```" if self.code else ""
        return f"> {self.torch_message}\n\n{self.plain} {self.fix}".rstrip() + code


#: plain, what, fix, code
_Told = tuple[str, str, str, str]


def explain_error(message: str, call: Call | None = None) -> Explanation:
    """Return an error of torch in plain words, with the smallest change that makes the call run.

    Parameters
    ----------
    message : str
        torch's message.
    call : Call, optional
        Shapes and parameters of the call; what the message holds itself need not be given.

    Examples
    --------
    >>> told = explain_error("expected scalar type Long but found Float")
    >>> told.what, told.code
    ('x', 'x = x.float()')
    >>> print(told.plain)
    x holds Long and the weight Float, and torch multiplies only equal dtypes. (Its message reads the
    other way round: what it "expected" is x's dtype, what it "found" is the weight's.)
    """
    for pattern, tell in _ERRORS:
        match = re.search(pattern, message, re.DOTALL)
        if match:
            return Explanation(message, *tell(match, call or Call()))
    return Explanation(
        message, "torch refused this call; its message is all there is to say here.", "", ""
    )


def _numbers(text: str) -> list[int]:
    return [int(word) for word in re.findall(r"-?\d+", text)]


def _channels(match: re.Match[str], call: Call) -> _Told:
    weight, shown, ins, given = (
        _numbers(match[1]), _numbers(match[2]), int(match[3]), int(match[4]),
    )  # fmt: skip
    x, dims, groups = list(call.x or shown), len(weight) - 2, call.groups
    first = (
        f"The layer takes {ins} input channel{'s' if ins != 1 else ''} (the weight's first number)"
    )
    plain = f"{first}, and x of shape {tuple(x)} has {given}."
    if len(x) == dims + 1 and ins == 1:
        plain += f" Without a batch axis x is read as (C, {_AXES[dims]})."
        return plain, "x", "Give it a channel axis: x.unsqueeze(1).", "x = x.unsqueeze(1)"
    outs = weight[0]
    fits = call.bias is None or list(call.bias) == [outs]
    if not call.layer and weight[1] * groups == given and outs % groups == 0 and fits:
        return (
            f"{plain} The weight fits a Conv: (out_channels, in_channels/groups, ...). Here it is "
            "(in_channels, out_channels/groups, ...).",
            "weight",
            "Swap the weight's first two axes" + (" inside each group." if groups > 1 else "."),
            _swapped(weight, groups),
        )
    if len(x) == dims + 2 and x[-1] == ins and (dims == 1 or x[-1] != x[-2]):
        plain += " x looks like channels last; torch wants the channels in axis 1."
        return plain, "x", "Move the channels to axis 1.", "x = x.movedim(-1, 1)"
    plain += (
        " After a torch.cat, or a layer before this one that changed its width, count them again."
    )
    return _rebuilt(plain, weight, given, call)


def _swapped(weight: list[int], groups: int) -> str:
    if groups == 1:
        return "weight = weight.transpose(0, 1)"
    split = (groups, weight[0] // groups, *weight[1:])
    joined = (groups * weight[1], weight[0] // groups, *weight[2:])
    return f"weight = weight.reshape{split}.transpose(1, 2).reshape{joined}"


def _rebuilt(plain: str, weight: list[int], given: int, call: Call) -> _Told:
    """Return the advice to make the layer, or the weight, for as many channels as x has."""
    groups = gcd(given, call.groups)
    outs = weight[1] * call.groups
    less = f" and groups={groups}, which divides it" if groups != call.groups else ""
    changed: dict[str, Any] = {"in_channels": given, "out_channels": outs, "groups": groups}
    code = call.constructor(**changed) if call.layer else None
    if code:
        return plain, "x", f"Build the layer with in_channels={given}{less}.", code
    shape = (given, outs // groups, *weight[2:])
    code = f"weight = torch.randn{shape}" + (f"\ngroups = {groups}" if less else "")
    return (
        plain,
        "x",
        f"Use a weight of shape {shape}{less}, or an x of {weight[0]} channels.",
        code,
    )


def _output_padding(match: re.Match[str], call: Call) -> _Told:
    found: dict[str, list[int]] = {}
    for name, value in re.findall(r"(\w+)_(?:depth|height|width): (\d+)", match[0]):
        found.setdefault(name, []).append(int(value))
    return _less_output_padding(found, call)


def _output_padding_here(match: re.Match[str], call: Call) -> _Told:
    """Explain this project's own wording, which has a tuple for each parameter."""
    names = ("output_padding", "stride", "dilation")
    return _less_output_padding({name: _numbers(match[n]) for n, name in enumerate(names, 1)}, call)


def _less_output_padding(found: dict[str, list[int]], call: Call) -> _Told:
    # torch speaks of a 1-D layer as of one row, so only the last axes are the layer's.
    last = -(call.known_dims or len(found["stride"]))
    strides, dilations = found["stride"][last:], found["dilation"][last:]
    given = tuple(found["output_padding"][last:])
    most = tuple(max(s, d) - 1 for s, d in zip(strides, dilations))
    fitting = tuple(map(min, given, most))
    return (
        "output_padding picks one of the sizes that a strided Conv folds onto the same input size; "
        f"there are as many as the stride (or dilation), so it can be {_short(most)} at most here, "
        f"not {_short(given)}.",
        "output_padding",
        f"Use output_padding={_short(fitting)}, or a larger stride.",
        f"output_padding = {fitting}",
    )


_METHODS = {
    "Float": "float", "Double": "double", "Half": "half", "BFloat16": "bfloat16", "Long": "long",
}  # fmt: skip


def _dtypes(match: re.Match[str], call: Call) -> _Told:
    x, weight = match[1], match[2]
    who, to = ("x", weight) if weight in ("Float", "Double", "Half", "BFloat16") else ("weight", x)
    inverted = (
        ' (Its message reads the other way round: what it "expected" is x\'s dtype, what it "found" is '
        "the weight's.)"
        if match[0].startswith("expected")
        else ""
    )
    method = _METHODS.get(to, "float")
    return (
        f"x holds {x} and the weight {weight}, and torch multiplies only equal dtypes.{inverted}",
        who,
        f"Convert {'x' if who == 'x' else 'the weight'}: {who}.{method}().",
        f"{who} = {who}.{method}()",
    )


def _no_kernel(match: re.Match[str], call: Call) -> _Told:
    return (
        f"torch has no transposed convolution for {match[1]} numbers on the CPU.",
        "x",
        "Convert x and the weight to float.",
        "x = x.float()\nweight = weight.float()",
    )


def _groups(match: re.Match[str], call: Call) -> _Told:
    groups, weight = int(match[1]), _numbers(match[2])
    fitting = gcd(weight[0], groups)
    return (
        f"groups={groups} cuts the {weight[0]} input channels (the weight's first number) into "
        f"{groups} equal blocks, and {weight[0]} is not a multiple of {groups}.",
        "groups",
        f"Use groups={fitting}, or a number of input channels that {groups} divides.",
        f"groups = {fitting}",
    )


def _layer_groups(match: re.Match[str], call: Call) -> _Told:
    which, groups = match[1], call.groups
    plain = f"groups={groups} cuts in_channels and out_channels into {groups} equal blocks each"
    count = getattr(call, which)
    if count is None or call.in_channels is None or call.out_channels is None:
        return (
            f"{plain}; {which} is no multiple of it.",
            "groups",
            f"Make {which} a multiple of groups.",
            "",
        )
    fitting = gcd(groups, call.in_channels, call.out_channels)
    return (
        f"{plain}; {which}={count} is no multiple of it.",
        "groups",
        f"Use groups={fitting}, or make {which} a multiple of {groups}.",
        call.constructor(groups=fitting) or "",
    )


def _no_groups(match: re.Match[str], call: Call) -> _Told:
    plain = (
        f"groups={call.groups} is no number of blocks."
        if call.groups < 1
        else "groups starts at 1."
    )
    code = call.constructor(groups=1) if call.layer else "groups = 1"
    return plain, "groups", "Use groups=1 for no grouping.", code or "groups = 1"


def _too_small(match: re.Match[str], call: Call) -> _Told:
    dims = call.known_dims
    size, result = _numbers(match[1]), _numbers(match[2])
    size, result = size[-(dims or 0) :], result[-(dims or 0) :]
    plain = (
        f"padding crops the output from both ends, and of this input ({_by(size)}) more is cropped than "
        f"there is: {_by(result)} would be left."
    )
    if dims is None or call.weight is None:
        return plain, "padding", "Use less padding, or a larger input, kernel or stride.", ""
    # What is left grows by 2 with every step less of padding.
    padding = call.each("padding", dims)
    fitting = tuple(p - max(0, -(-(1 - left) // 2)) for p, left in zip(padding, result))
    return plain, "padding", f"Use padding={_short(fitting)} or less.", f"padding = {fitting}"


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _input_dims(match: re.Match[str], call: Call) -> _Told:
    dims, x = int(match[1]), _numbers(match[2])
    ins = call.in_channels or (call.weight[0] if call.weight else None)
    plain = (
        f"x of shape {tuple(x)} has {len(x)} axes; conv_transpose{dims}d takes (N, C, {_AXES[dims]}) or, "
        f"without a batch, (C, {_AXES[dims]})."
    )
    told = _more_axes(x, dims, ins) if len(x) < dims + 1 else _fewer_axes(x, dims, ins)
    return (plain, "x", *told)


def _more_axes(x: list[int], dims: int, ins: int | None) -> tuple[str, str]:
    if len(x) == 2 and ins is not None and x[1] == ins:
        index = ", ".join([":", ":", *["None"] * dims])
        return f"Give each of the {x[0]} vectors a position: x[{index}].", f"x = x[{index}]"
    if len(x) == dims and ins in (1, None):
        return "Give it a batch and a channel axis: x[None, None].", "x = x[None, None]"
    return f"Reshape x to (N, {ins or 'C'}, {_AXES[dims]}).", ""


def _fewer_axes(x: list[int], dims: int, ins: int | None) -> tuple[str, str]:
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
    return f"Reshape x to (N, {ins}, {_AXES[dims]}).", ""


def _weight_axes(match: re.Match[str], call: Call) -> _Told:
    plain = "A weight is (in_channels, out_channels/groups, *kernel): three axes at least."
    weight, dims = call.weight, call.known_dims
    if weight is None:
        return plain, "weight", "Reshape the weight.", ""
    dims = dims or (len(call.x) - 2 if call.x and len(call.x) > 2 else 1)
    missing = dims + 2 - len(weight)
    fixes = {
        1: ("Give it an axis of one output channel.", "weight = weight.unsqueeze(1)"),
        2: ("Give it two channel axes.", "weight = weight[None, None]"),
    }
    fix, code = fixes.get(missing, ("Reshape the weight.", ""))
    return f"{plain} This one has {len(weight)}.", "weight", fix, code


def _other_rank(match: re.Match[str], call: Call) -> _Told:
    weight, x = _numbers(match[2]), _numbers(match[3])
    dims = call.dims or len(x) - 2
    kernel = weight[2:]
    plain = (
        f"The weight {tuple(weight)} has {len(kernel)} kernel sizes and x {tuple(x)} "
        f"{len(x) - 2} spatial ax{'es' if len(x) != 3 else 'is'}."
    )
    if call.layer:
        size = kernel[0] if len(set(kernel)) == 1 else tuple(kernel[:dims])
        code = call.constructor(kernel_size=size) or ""
        return plain, "kernel_size", f"A ConvTranspose{dims}d takes kernel_size={size}.", code
    spare = next((axis for axis, size in enumerate(weight) if axis > 1 and size == 1), None)
    if len(kernel) == dims + 1 and spare is not None:
        return (
            plain,
            "weight",
            "Drop the weight's axis of length 1.",
            f"weight = weight.squeeze({spare})",
        )
    return (
        plain,
        "weight",
        f"Use a weight with {dims} kernel sizes, or conv_transpose{len(kernel)}d.",
        "",
    )


def _list_length(match: re.Match[str], call: Call) -> _Told:
    name, dims, given = match[1], int(match[2]), _numbers(match[3])
    if call.dims and call.dims != dims and call.weight is not None:
        missing = call.dims + 2 - len(call.weight)
        plain = f"The weight {tuple(call.weight)} has {dims} kernel size{'s' if dims > 1 else ''}; "
        plain += f"conv_transpose{call.dims}d takes {call.dims}."
        code = f"weight = weight.unsqueeze({len(call.weight) - dims})" if missing == 1 else ""
        return plain, "weight", "Give the weight an axis per kernel size.", code
    fitting = tuple(given[:dims]) if len(given) >= dims else (given[0],) * dims
    return (
        f"{name} has {len(given)} numbers and the layer {dims} spatial dimension"
        f"{'s' if dims > 1 else ''}.",
        name,
        f"Use one number, or {dims}: {name}={_short(fitting)}.",
        _assign(name, fitting if dims > 1 else fitting[0], call),
    )


def _assign(name: str, value: Any, call: Call) -> str:
    line = call.constructor(**{name: value}) if call.layer else None
    return line or f"{name} = {value}"


def _bias(match: re.Match[str], call: Call) -> _Told:
    weight, channels, bias = _numbers(match[1]), int(match[2]), _numbers(match[3])
    plain = (
        f"A bias has one number per output channel, {channels} here (the weight's second number, "
        f"{weight[1]}, times groups), and this one has shape {tuple(bias)}."
    )
    if prod(bias) == channels:
        return plain, "bias", "Flatten it.", "bias = bias.flatten()"
    if len(bias) == 1 and bias[0] > channels:
        return plain, "bias", f"Use {channels} of its numbers.", f"bias = bias[:{channels}]"
    return plain, "bias", f"Use a bias of {channels} numbers.", f"bias = torch.zeros({channels})"


def _range(match: re.Match[str], call: Call) -> _Told:
    asked, least, most = (_numbers(match[place]) for place in (1, 2, 3))
    fitting = tuple(
        max(low, min(high, want)) for want, low, high in zip(asked[-len(least) :], least, most)
    )
    return (
        f"output_size only picks an output_padding from 0 to stride - 1, so the sizes from {_by(least)} to "
        f"{_by(most)} can be had, and {_by(asked)} can't.",
        "output_size",
        f"Ask for {fitting}, the nearest; for another size change stride or kernel_size, or use "
        "F.interpolate or F.pad on the result.",
        f"output_size = {fitting}",
    )


def _range_length(match: re.Match[str], call: Call) -> _Told:
    dims = int(match[1])
    plain = (
        f"output_size is the spatial size ({_AXES[dims]}), or the whole shape (N, C, {_AXES[dims]}); "
        f"{match[2]} numbers are neither."
    )
    given = call.output_size
    if not given or call.x is None or (call.kernel_size or call.weight) is None:
        return plain, "output_size", f"Give {dims} numbers.", ""
    kernel = call.each("kernel_size", dims) if call.kernel_size else tuple(call.weight or ())[2:]
    least = Layer.of(
        1, 1, kernel, call.stride, call.padding, 0, 1, call.dilation, dims=dims
    ).output_size(tuple(call.x)[-dims:])
    most = [low + s - 1 for low, s in zip(least, call.each("stride", dims))]
    wanted = [*given, *least][-dims:] if len(given) > dims else [*given, *least[len(given) :]]
    fitting = tuple(max(a, min(b, want)) for want, a, b in zip(wanted, least, most))
    return plain, "output_size", f"Give {dims} numbers: {fitting}.", f"output_size = {fitting}"


#: The least value that each parameter takes, and what a smaller one was probably meant to do.
_LEAST = {
    "padding": (
        0,
        "padding crops the output; a negative one, to enlarge it, does not exist. For more cells at the "
        "end there is output_padding, for zeros all around F.pad on the result.",
    ),
    "output_padding": (0, "output_padding adds cells at the end, 0 or more. To crop use padding."),
    "stride": (
        1,
        "stride is the distance between the stamps of neighbouring input values: 1 or more.",
    ),
    "dilation": (1, "dilation is the distance between taps: 1 when they touch."),
}


def _least(name: str) -> Callable[[re.Match[str], Call], _Told]:
    least, plain = _LEAST[name]

    def tell(match: re.Match[str], call: Call) -> _Told:
        dims = call.known_dims or 1
        given = call.each(name, dims)
        fitting: Any = tuple(max(least, value) for value in given)
        fitting = fitting[0] if len(set(fitting)) == 1 else fitting
        return plain, name, f"Use {name}={fitting}.", _assign(name, fitting, call)

    return tell


def _not_whole(match: re.Match[str], call: Call) -> _Told:
    name, kind = match[1], match[2]
    if kind == "str" and name == "padding":
        return _word(call)
    value = getattr(call, name, None)
    plain = f"{name} is of type {kind}, and torch takes whole numbers only."
    if not isinstance(value, float):
        return plain, name, "Use a whole number.", ""
    return plain, name, f"Use {name}={int(value)}.", _assign(name, int(value), call)


def _word(call: Call) -> _Told:
    plain = "padding is a word, and a transposed convolution takes numbers only."
    dims = call.known_dims
    kernel = call.kernel_size or (call.weight[2:] if call.weight else None)
    if dims is None or kernel is None:
        return plain, "padding", "Use what is to be cropped at each end.", ""
    sizes = (_each(kernel, dims), call.each("stride", dims), call.each("dilation", dims))
    # The constructor spreads a word over its letters, so only the first says which one it was.
    word = call.padding if isinstance(call.padding, str) else "".join(call.padding or "")
    advice = padding_word_warning(
        word or "same", kernel_size=sizes[0], stride=sizes[1], dilation=sizes[2]
    )
    padding, extra, _ = same_padding(*sizes)
    if word == "valid" or any(e >= max(s, d) for e, s, d in zip(extra, sizes[1], sizes[2])):
        padding, extra = (0,) * dims, (0,) * dims
    if call.layer:
        code = call.constructor(padding=padding, output_padding=extra)
    else:
        code = f"padding = {padding}\noutput_padding = {extra}"
    return plain, "padding", advice or "", code or ""


def _mode(match: re.Match[str], call: Call) -> _Told:
    return (
        'Only padding_mode="zeros" exists here: the kernel reads nothing beyond the border.',
        "padding_mode",
        "Leave it out; for another border pad the input with F.pad first and crop with padding.",
        call.constructor() or 'padding_mode = "zeros"',
    )


def _kernel(match: re.Match[str], call: Call) -> _Told:
    return (
        "A kernel without taps computes nothing.",
        "kernel_size",
        "Use a kernel of at least one tap in every dimension.",
        call.constructor(kernel_size=1) or "" if call.layer else "",
    )


def _empty(match: re.Match[str], call: Call) -> _Told:
    shape = tuple(_numbers(match[1]))
    return (
        f"x of shape {shape} has no positions.",
        "x",
        "Use an x of at least one position per axis.",
        "",
    )


def _cat(match: re.Match[str], call: Call) -> _Told:
    one, other = match[1], match[2]
    return (
        f"This is the torch.cat after the layer: one tensor is {one} long there, the other {other}. A "
        "stride-2 Conv folds an odd and an even size onto one, and going up gives the even one back.",
        "output_padding",
        "Give the up step the skip's size, layer(x, output_size=skip.shape[2:]), or pad or crop with F.pad.",
        "",
    )


_SIZE = r"(\[[\d, \-]*\])"
_ERRORS: tuple[tuple[str, Callable[[re.Match[str], Call], _Told]], ...] = (
    (
        rf"weight of size {_SIZE}, expected input{_SIZE} to have (\d+) channels, but got (\d+)",
        _channels,
    ),
    (r"output padding must be smaller than.* dilation_width: \d+", _output_padding),
    (r"output padding must be smaller than.*=\((.*?)\), stride=\((.*?)\), dilation=\((.*?)\)",
     _output_padding_here),
    (r"expected scalar type (\w+) but found (\w+)", _dtypes),
    (r"Input type \((?:CPU|torch\.)(\w+?)(?:Type|Tensor)\) and weight type \(torch\.(\w+?)Tensor\)", _dtypes),
    (r"not implemented for '(\w+)'", _no_kernel),
    (r"groups=(\d+), expected weight to be .* but got weight of size \[?(\[[\d, ]*\])", _groups),
    (r"(in_channels|out_channels) must be divisible by groups", _layer_groups),
    (r"non-positive groups is not supported|groups must be a positive integer", _no_groups),
    (r"per channel: (\([^)]*\))\. Calculated output size per channel: (\([^)]*\))", _too_small),
    (rf"input to conv_transpose(\d)d, but got input of size: {_SIZE}", _input_dims),
    (r"weight should have at least three dimensions", _weight_axes),
    (rf"input for (\d)-dimensional weight {_SIZE}, but got \d-dimensional input of size {_SIZE}",
     _other_rank),
    (rf"expected (\w+) to be a single integer value or a list of (\d) values.*got \w+={_SIZE}",
     _list_length),
    (rf"weight of size {_SIZE}, expected bias .* with (\d+) elements, but got bias of size {_SIZE}",
     _bias),
    (r"requested an output size of (.*?), but valid sizes range from (\[.*?\]) to (\[.*?\])", _range),
    (r"ConvTranspose(\d)[Dd]: for \d+D input, output_size must have .*got (\d+)", _range_length),
    (r"negative padding is not supported", _least("padding")),
    (r"negative output_padding is not supported", _least("output_padding")),
    (r"non-positive stride is not supported", _least("stride")),
    (r"dilation should be greater than zero", _least("dilation")),
    (r"argument '(\w+)'.* must be tuple of ints, (?:not|but found element of type) (\w+)", _not_whole),
    (r'Only "zeros" padding mode is supported', _mode),
    (r"kernel size should be greater than zero", _kernel),
    (r"Only zero batch or zero channel inputs are supported, but got input (?:shape|size):? (.*)", _empty),
    (r"Sizes of tensors must match except in dimension \d+\. Expected size (\d+) but got size (\d+)", _cat),
)  # fmt: skip

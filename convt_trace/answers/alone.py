"""An error message of torch's that came without its code: what it says, from its own numbers alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from convt_trace.answers.refusal import Explanation
from convt_trace.engine.layer import FUNCTION, MODULE
from convt_trace.engine.text import by

Match = re.Match[str]
Told = tuple[str, str, str, str]


def explained_alone(message: str) -> Explanation | None:
    """Return what a message means; None for one that is not about a convolution.

    Examples
    --------
    >>> told = explained_alone(
    ...     "output padding must be smaller than either stride or dilation, but got "
    ...     "output_padding_height: 1 output_padding_width: 1 stride_height: 1 stride_width: 1 "
    ...     "dilation_height: 1 dilation_width: 1")
    >>> print(told.plain, told.fix)
    output_padding=1 x 1 with stride=1 x 1 and dilation=1 x 1: it picks one of the sizes that a
    larger stride (or dilation) leaves open, so along each axis it is smaller than one of them. Use
    output_padding=0, or a stride of 2 or more.
    """
    for pattern, tell in _KNOWN:
        if match := re.search(pattern, message):
            plain, what, fix, code = tell(match)
            return Explanation(plain, what, fix, code)
    return None


def _numbers(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"-?\d+", text)]


# -- sizes --------------------------------------------------------------------------------------------


def _output_padding(match: Match) -> Told:
    sizes = {
        name: by(_numbers(" ".join(re.findall(rf"\b{name}_\w+: (\d+)", match.string))))
        for name in ("output_padding", "stride", "dilation")
    }
    given = (
        f"output_padding={sizes['output_padding']} with stride={sizes['stride']} and "
        f"dilation={sizes['dilation']}"
    )
    given = given if all(sizes.values()) else "output_padding is too large"
    plain = (
        f"{given}: it picks one of the sizes that a larger stride (or dilation) leaves open, so along each "
        "axis it is smaller than one of them."
    )
    fix = "Use output_padding=0, or a stride of 2 or more."
    return plain, "output_padding", fix, "output_padding = 0"


def _too_small(match: Match) -> Told:
    x, y = by(_numbers(match[1])), by(_numbers(match[2]))
    plain = (
        f"Of an input of {x} an output of {y} would be left: padding crops the output of a transposed "
        "convolution at both ends, and takes more than there is."
    )
    return plain, "padding", "Use less padding, or a larger kernel, stride or input.", ""


def _too_large(match: Match) -> Told:
    x, kernel = by(_numbers(match[1])), by(_numbers(match[2]))
    plain = f"The kernel reaches over {kernel} values, and the input, padded, has {x}."
    return plain, "kernel_size", "Use a smaller kernel, more padding, or a larger input.", ""


def _output_size(match: Match) -> Told:
    asked, least, most, size = (by(_numbers(match[at])) for at in (1, 2, 3, 4))
    plain = (
        f"An output of {asked} can't come from an input of {size}: this layer makes {least} to {most}, and "
        "output_size picks among these."
    )
    sizes = tuple(_numbers(match[3]))
    return plain, "output_size", f"Use an output_size up to {most}.", f"output_size = {sizes}"


def _elements(match: Match) -> Told:
    plain = (
        f"output_size has one number per spatial axis, or the whole shape with batch and "
        f"channels, not {match[1]}."
    )
    return (
        plain,
        "output_size",
        "Give it skip.shape[2:], or skip.shape.",
        "output_size = skip.shape[2:]",
    )


def _apart(match: Match) -> Told:
    plain = (
        f"Two tensors that are put together are {match[1]} and {match[2]} long along an axis. "
        f"A Conv of stride 2 "
        "maps an odd size and an even one to the same size, and going up gives the even one back."
    )
    fix = "Give the up step the skip's size, layer(x, output_size=skip.shape[2:]), or pad or crop with F.pad."
    return plain, "output_padding", fix, "y = layer(x, output_size=skip.shape[2:])"


def _empty(match: Match) -> Told:
    plain = "One of x's axes has length 0: only the batch or the channels may."
    return (
        plain,
        "x",
        "Print x.shape before the layer, and look where the 0 comes from.",
        "print(x.shape)",
    )


def _border(match: Match) -> Told:
    plain = (
        "padding_mode reads more of x than there is: reflect takes up to length-1 "
        "values, circular up to the length."
    )
    return plain, "padding", 'Use less padding, or padding_mode="zeros".', 'padding_mode = "zeros"'


# -- channels, groups, axes -----------------------------------------------------------------------------


def _channels(match: Match) -> Told:
    plain = f"The layer takes {match[1]} channels, and x has {match[2]}."
    return (
        plain,
        "x",
        f"Use in_channels={match[2]}, or an x of {match[1]} channels.",
        f"in_channels = {match[2]}",
    )


def _weight_groups(match: Match) -> Told:
    plain = (
        f"groups={match[1]} cuts the weight's first axis into {match[1]} equal blocks, and the "
        f"weight has shape "
        f"{tuple(_numbers(match[2]))}. In a transposed convolution that axis is in_channels, in a plain one "
        "out_channels."
    )
    return plain, "groups", "Use a groups that divides it, such as 1.", "groups = 1"


def _channel_groups(match: Match) -> Told:
    plain = (
        f"groups cuts in_channels and out_channels into equal blocks each, and it does "
        f"not divide {match[1]}."
    )
    return plain, "groups", "Use a groups that divides both, such as 1.", "groups = 1"


def _no_groups(match: Match) -> Told:
    plain = "groups is the number of blocks that the channels are cut into: 1 or more."
    return plain, "groups", "Use groups=1.", "groups = 1"


def _bias(match: Match) -> Told:
    plain = f"A bias has one number per output channel: {match[1]}, not {match[2]}."
    return plain, "bias", f"Use a bias of {match[1]} numbers.", ""


def _axes(match: Match) -> Told:
    fewer, more = int(match[1]), int(match[2])
    names = ", ".join(("D", "H", "W")[3 - (fewer - 1) :]) if fewer > 2 else "L"
    plain = (
        f"x has {len(_numbers(match[3]))} axes; this layer takes {more}, (N, C, {names}), or without a batch "
        f"{fewer}, (C, {names})."
    )
    return plain, "x", "Add the axes that are missing: x.unsqueeze(0), x.view(N, C, ...).", ""


def _weight_axes(match: Match) -> Told:
    plain = (
        "x and the weight don't have as many axes: the weight is (in_channels, "
        "out_channels/groups, *kernel) for a "
        "transposed convolution, and x (N, C, *size)."
    )
    return plain, "weight", "Give the kernel one size per spatial axis of x.", ""


# -- kinds of values ------------------------------------------------------------------------------------

_LEAST = {"stride": 1, "dilation": 1, "kernel size": 1, "padding": 0, "output_padding": 0}


def _least(match: Match) -> Told:
    name = match[1] or match[2]
    least = _LEAST[name]
    name = name.replace(" ", "_")
    plain = f"{name} is {least} or more along every axis."
    return plain, name, f"Use {name}={least}, or what you meant.", f"{name} = {least}"


def _count(match: Match) -> Told:
    name, dims, given = match[1], match[2], match[3]
    axes = "axis" if dims == "1" else "axes"
    plain = (
        f"{name} has one number for all {dims} spatial {axes}, or one for each, and got [{given}]."
    )
    return plain, name, f"Give it a single number, or {dims}.", ""


def _kind(match: Match) -> Told:
    name, wanted, got = match[1], match[2], match[3]
    if name == "padding" and "str" in got:
        plain = (
            'padding is a word, and a transposed convolution takes numbers only: "same" and '
            '"valid" are for Conv.'
        )
        fix = (
            '"valid" is padding=0. For "same" pick padding and output_padding so that the '
            "size is input * stride."
        )
        return plain, name, fix, "padding = 0"
    plain = f"{name} has to be {wanted}, and is a {got}."
    made = {"numpy.ndarray": f"torch.from_numpy({name})", "list": f"torch.tensor({name})"}.get(
        got, ""
    )
    whole = "int" in wanted
    fix = f"Make it one: {made}." if made else f"Give it {'whole numbers' if whole else wanted}."
    return plain, name, fix, f"{name} = {made}" if made else ""


def _combination(match: Match) -> Told:
    plain = f"torch knows no {match[1]} that takes these kinds: ({match[2]})."
    fix = "x, weight and bias are tensors, the others whole numbers or tuples of them; padding may be a word."
    return plain, "", fix, ""


def _numbers_of_layer(match: Match) -> Told:
    plain = "in_channels, out_channels and kernel_size are whole numbers, and one of them is not."
    return plain, "kernel_size", "Use // in place of / where they are worked out.", ""


def _types(match: Match) -> Told:
    first, second = match[1], match[2]
    if ("cuda" in first) != ("cuda" in second):
        here, there = ("GPU", "CPU") if "cuda" in first else ("CPU", "GPU")
        plain = f"x is on the {here}, and the layer's numbers are on the {there}."
        return plain, "x", "Put both on the same device.", "x = x.to(layer.weight.device)"
    plain = f"x is {first}, and the layer's numbers are {second}."
    return plain, "x", "Give x the layer's dtype.", "x = x.to(layer.weight.dtype)"


def _scalar_types(match: Match) -> Told:
    plain = f"x and weight have two dtypes, {match[1]} and {match[2]}."
    return plain, "x", "Give x the weight's dtype.", "x = x.to(layer.weight.dtype)"


def _no_kernel(match: Match) -> Told:
    plain = f"torch's convolution has no kernel for {match[1]} numbers on this device."
    return plain, "x", "Use floats.", "x = x.float()"


# -- arguments ------------------------------------------------------------------------------------------


def _unexpected(match: Match) -> Told:
    name, argument = match[1], match[2]
    if argument == "output_size":
        plain = (
            f"{name} has no argument output_size: only a layer's call takes it, layer(x, "
            f"output_size=...)."
        )
        return plain, argument, "Here output_padding picks the size.", ""
    known = MODULE if name[0].isupper() else FUNCTION
    order = [one for one in known if "ranspose" in name or one != "output_padding"]
    meant = get_close_matches(argument, order, 1)
    fix = f"Use {meant[0]}." if meant else f"Leave it out. The arguments are {', '.join(order)}."
    return f"{name} has no argument {argument}.", argument, fix, ""


def _missing(match: Match) -> Told:
    return f"{match[1]} needs {match[2]}, too.", match[2], f"Give it {match[2]}.", ""


def _too_many(match: Match) -> Told:
    return f"{match[1]} takes {match[2]} arguments by position at most.", "", "Name the others.", ""


def _zeros_only(match: Match) -> Told:
    plain = (
        'A transposed layer knows padding_mode="zeros" alone: the kernel reads nothing '
        "beyond the border of x."
    )
    return plain, "padding_mode", "Leave it out.", 'padding_mode = "zeros"'


def _no_mode(match: Match) -> Told:
    plain = "padding_mode is no way of padding that torch knows."
    return (
        plain,
        "padding_mode",
        'Use "zeros", "reflect", "replicate" or "circular".',
        'padding_mode = "zeros"',
    )


def _word(match: Match) -> Told:
    plain = 'padding is a word that torch does not know: "valid" is 0, and "same" keeps the size.'
    return plain, "padding", 'Use "valid", "same" or a number.', 'padding = "valid"'


def _same_strided(match: Match) -> Told:
    plain = 'padding="same" keeps the size, and a stride above 1 makes it smaller: torch does not do both.'
    return plain, "padding", "Use a number, such as kernel_size // 2.", "padding = kernel_size // 2"


def _negative(match: Match) -> Told:
    plain = f"A size is negative: {match[1]} in [{match[2]}]."
    return plain, "", "Look at how in_channels, out_channels and kernel_size are worked out.", ""


def _no_length(match: Match) -> Told:
    plain = "output_size is a list of sizes, one per spatial axis, and got one number."
    return plain, "output_size", "Use a tuple.", "output_size = (size,)"


_KNOWN: tuple[tuple[str, Callable[[Match], Told]], ...] = (
    (r"Expected size (\d+) but got size (\d+)", _apart),
    (r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", _apart),
    (r"output padding must be smaller than", _output_padding),
    (r"input size per channel: \(([-\dx ]+)\)\. "
     r"Calculated output size per channel: \(([-\dx ]+)\)", _too_small),
    (r"padded input size per channel: \(([-\dx ]+)\)\. Kernel size: \(([-\dx ]+)\)", _too_large),
    (r"requested an output size of (.*?), but valid sizes range from (\[.*?\]) to (\[.*?\]) "
     r"\(for an input of (.*)\)", _output_size),
    (r"output_size must have .*\(got (\d+)\)", _elements),
    (r"to have (\d+) channels, but got (\d+)", _channels),
    (r"Given groups=(\d+), expected weight to be .*got weight of size (.*) instead", _weight_groups),
    (r"((?:in|out)_channels) must be divisible by groups", _channel_groups),
    (r"non-positive groups|groups must be a positive", _no_groups),
    (r"expected bias to be 1-dimensional with (\d+) elements, but got bias of size (\[.*?\])", _bias),
    (r"Expected (\d)D \(unbatched\) or (\d)D \(batched\) input.* of size: (.*)", _axes),
    (r"at least three dimensions|-dimensional input for", _weight_axes),
    (r"(?:non-positive|negative) (stride|padding|output_padding|dilation) is not supported|"
     r"(stride|dilation|kernel size) should be greater than zero", _least),
    (r"expected (\w+) to be a single integer value or a list of (\d) values.*but got \w+=\[(.*?)\]", _count),
    (r"argument 'size'.*(?:must be|failed to unpack)", _numbers_of_layer),
    (r"argument '(\w+)'.* must be ([\w ]+?),? (?:not|but found element of type) ([\w.]+)", _kind),
    (r"(\w+)\(\) received an invalid combination of arguments - got \((.*?)\)", _combination),
    (r"Input type \((.*?)\) and (?:weight|bias) type \((.*?)\)", _types),
    (r"expected scalar type (\w+) but found (\w+)", _scalar_types),
    (r"not implemented for '(\w+)'", _no_kernel),
    (r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'", _unexpected),
    (r"(\w+)(?:\.__init__)?\(\) missing \d required positional arguments?: ['\"](\w+)", _missing),
    (r"(\w+)\(\) takes from \d to (\d) positional arguments", _too_many),
    (r'Only "zeros" padding mode', _zeros_only),
    (r"padding_mode must be one of", _no_mode),
    (r"Invalid padding string", _word),
    (r"padding='same' is not supported for strided", _same_strided),
    (r"negative dimension (-\d+): \[(.*?)\]", _negative),
    (r"zero batch or zero channel|non-empty .*weight", _empty),
    (r"Padding size should be less than|wrapping around more than once", _border),
    (r"has no len\(\)|Dimension out of range", _no_length),
)  # fmt: skip

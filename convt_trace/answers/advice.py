"""Sentences that save an hour: arguments that are easily mistaken.

Small pure functions: each takes what it needs and returns a sentence, or None where there is nothing
to say. torch is not imported. What torch refuses is explained in `convt_trace.answers.refused`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convt_trace.engine.layer import DEFAULTS, FUNCTION, MODULE, Ints, output_length
from convt_trace.engine.text import AXES, axes, by, shortest

# -- groups and dilation by position ------------------------------------------------------------

_NAME = re.compile(r"conv_transpose[123]d|ConvTranspose[123]d")
#: A call that goes on over more lines than this, or is longer, is not looked at.
_MOST_LINES, _MOST_CHARS, _MOST_CALLS = 12, 2000, 8


class _Written:
    """An argument as it is written."""

    def __init__(self, node: ast.expr):
        self._text = " ".join(ast.unparse(node).split())[:40]

    def __repr__(self) -> str:
        return self._text


def warnings_of(source: str) -> list[tuple[int, str]]:
    """Return the lines that hold such a call, each with what the call means.

    Only the calls themselves are parsed, a few short lines at a time: the text is a stranger's.

    Examples
    --------
    >>> found = warnings_of("y = F.conv_transpose1d(x, w, None, 1, 0, 0, 2, 1)")
    >>> found[0][0], found[0][1].partition(":")[0]
    (1, 'By position this call means groups=2, dilation=1')
    >>> warnings_of("y = F.conv_transpose1d(x, w, None, 2, groups=2)")
    []
    """
    found: list[tuple[int, str]] = []
    lines = source.splitlines()
    for number, line in enumerate(lines, start=1):
        for match in _NAME.finditer(line):
            arguments = _arguments(lines[number - 1 : number - 1 + _MOST_LINES], match.start())
            warning = positional_warning(match[0], [_Written(one) for one in arguments])
            if warning and (number, warning) not in found:
                found.append((number, warning))
        if len(found) >= _MOST_CALLS:
            break
    return found


def _arguments(lines: list[str], start: int) -> list[ast.expr]:
    """Return the positional arguments of the call that begins there, none where it is not one."""
    for text in _growing(lines, start):
        try:
            node = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        if isinstance(node, ast.Call) and not any(isinstance(a, ast.Starred) for a in node.args):
            return node.args
        return []
    return []


def _growing(lines: list[str], start: int) -> Iterator[str]:
    """Yield the text from its name to each closing bracket, the nearest first."""
    text = "\n".join([lines[0][start:], *lines[1:]])[:_MOST_CHARS]
    for match in list(re.finditer(r"\)", text))[:20]:
        yield text[: match.end()]


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

    An argument whose name says something else than its place is among them:

    >>> written = warnings_of("nn.ConvTranspose2d(c_in, c_out, 3, 2, pad, dilation, groups)")
    >>> written[0][1].partition(":")[0], written[0][1].rpartition(": ")[2]
    ('By position this call means output_padding=dilation, groups=groups',
     'dilation=dilation, groups=groups.')
    """
    dims = op[-2:]
    order: tuple[str, ...]
    if op.startswith("ConvTranspose"):
        order, conv = MODULE, f"nn.Conv{dims} takes (..., padding, dilation, groups, bias)"
        here = f"nn.{op} takes (..., output_padding, groups, bias, dilation)"
    else:
        order, conv = FUNCTION, f"conv{dims} takes (..., padding, dilation, groups)"
        here = f"{op} takes (..., output_padding, groups, dilation)"
    groups = order.index("groups")
    given = dict(zip(order, positional))
    own = {name: repr(value).rpartition(".")[2] for name, value in given.items()}
    # An argument that is named for another one is told too; one at its own place needs no word.
    told = [name for name in order[groups:] if name in given]
    if own.get("output_padding", "output_padding") in set(order) - {"output_padding"}:
        told.insert(0, "output_padding")
    if all(own[name] == name for name in told):
        return None
    means = ", ".join(f"{name}={given[name]!r}" for name in told)
    better = ", ".join(
        f"{own[name] if own[name] in order else name}={given[name]!r}" for name in told
    )
    return (
        f"By position this call means {means}: {here}, while {conv}. Name them, and no "
        f"order can go wrong: {better}."
    )


# -- padding and the batch axis -------------------------------------------------------------------


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
    TensorFlow gives it, crop 1 in all: padding=1, output_padding=1 has that size, but its odd cell
    is cropped in front. For TensorFlow's numbers use padding=0 and keep y[..., 0:0 + 2*L].
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
        return f'padding="{padding}" is not a number: use 0, or how many cells to crop at each end.'
    return _same(kernel_size, stride, dilation)


def layer_warning(op: str, arguments: Mapping[str, Any]) -> str | None:
    """Return `padding_word_warning` of a layer that is written down, whether or not it is called.

    Parameters
    ----------
    op : str
        ``conv_transpose2d``, say.
    arguments : mapping
        Arguments of the constructor, those that are known.

    Examples
    --------
    >>> told = layer_warning("conv_transpose1d", {"kernel_size": 3, "stride": 2, "padding": "same"})
    >>> print(told.partition(". ")[0])
    padding="same" does not exist for a transposed convolution
    >>> layer_warning("conv_transpose1d", {"kernel_size": 3, "padding": 1})
    """
    dims = int(op[-2])
    padding, mode = arguments.get("padding", 0), arguments.get("padding_mode", "zeros")
    names = ("kernel_size", "stride", "dilation")
    try:
        sizes = {name: _each(arguments.get(name, 1), dims) for name in names}
        return padding_word_warning(padding, str(mode), **sizes)
    except (TypeError, ValueError):
        return None


def size_rule(op: str, arguments: Mapping[str, Any], unknown: Sequence[str] = ()) -> str | None:
    """Return what a transposed layer makes of any size; None where that is not known.

    Parameters
    ----------
    op : str
    arguments : mapping
        Arguments of the constructor that are known; what is not among them has torch's default.
    unknown : sequence of str
        Arguments that are given, and not known.

    Examples
    --------
    >>> size_rule("conv_transpose2d", {"kernel_size": 4, "stride": 2, "padding": 1})
    '2*H x 2*W of H x W'
    >>> size_rule("conv_transpose1d", {"kernel_size": 3})
    'L + 2 of L'
    >>> size_rule("conv_transpose2d", {"kernel_size": (4, 1)})
    '(H + 3) x W of H x W'
    """
    dims = int(op[-2])
    names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
    if "kernel_size" not in arguments or set(unknown) & set(names):
        return None
    try:
        sizes = [_each(arguments.get(name, DEFAULTS.get(name)), dims) for name in names]
        rules = [
            _rule(axis, s, output_length(0, k, s, p, e, d))
            for axis, k, s, p, e, d in zip(AXES[dims], *sizes, strict=True)
        ]
    except (TypeError, ValueError):
        return None
    apart = [f"({one})" if " " in one and dims > 1 else one for one in rules]
    return f"{' x '.join(apart)} of {' x '.join(AXES[dims])}"


def _rule(axis: str, stride: int, rest: int) -> str:
    times = axis if stride == 1 else f"{stride}*{axis}"
    if rest == 0:
        return times
    return f"{times} {'+' if rest > 0 else '-'} {abs(rest)}"


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
    start += f"stride, as TensorFlow gives it, crop {shortest(total)} in all: "
    keywords = f"padding={shortest(padding)}"
    keywords += f", output_padding={shortest(extra)}" if any(extra) else ""
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        return f"{start}use padding=0 and keep {_kept(total, stride)}."
    if not any(crop % 2 for crop in total):
        return f"{start}{keywords} is exactly that."
    return (
        f"{start}{keywords} has that size, but its odd cell is cropped in front. For "
        f"TensorFlow's numbers use padding=0 and keep {_kept(total, stride)}."
    )


def _kept(total: Ints, stride: Ints) -> str:
    names = AXES[len(stride)]
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
        f"and padding={shortest(crop)}."
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
    first = (
        f"This input has {dims + 1} axes, so it is read as one unbatched item (C, {axes(dims)}): "
        f"{channels} channel{'s' if channels != 1 else ''} of {by(size)}."
    )
    shape = (channels, 1, *size)
    if channels == 1:
        return f"{first} With a batch axis it is x.unsqueeze(0), of shape {(1, *x_shape)}."
    return (
        f"{first} If they are {channels} one-channel items, use x.unsqueeze(1), of shape {shape}."
    )


def _each(value: Any, dims: int) -> Ints:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return tuple(map(int, given * dims if len(given) == 1 else given))

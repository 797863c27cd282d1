"""An error message that was pasted without its code: torch's words, and the shapes that stand in them."""

from __future__ import annotations

import re
from typing import Any

_TYPED = re.compile(r"^[\s>E|]*(?:[\w.]*\.)?(\w*(?:Error|Exception|Warning)): *(\S.*)$")
#: What torch says around a convolution, and what does not fit after one.
_KNOWN = re.compile(
    r"expected input.*to have \d+ channels|expected weight to be|expected bias to be 1-dimensional"
    r"|groups|\(unbatched\) or|at least three dimensions|-dimensional (?:input|weight)"
    r"|stride|[pP]adding|dilation|[kK]ernel[ _]size|output[ _]size|conv|Conv"
    r"|expected scalar type|Input type .* should be the same|not implemented for"
    r"|Sizes of tensors must match|size of tensor a|negative dimension|non-empty|zero batch or zero channel"
    r"|argument 'size'|has no len|Dimension out of range|expected input \d+D"
)
_SHAPE = r"\[?\[?([\d, ]*)\]?\]?"


def pasted_error(text: str) -> tuple[str, str, int, dict[str, Any] | None] | None:
    """Return the last error in a text: its type, message, line, and the attempt that it tells of.

    Examples
    --------
    >>> kind, message, line, attempt = pasted_error(
    ...     "RuntimeError: Given transposed=1, weight of size [8, 4, 2, 2], expected input[1, 4, 5, 5] "
    ...     "to have 8 channels, but got 4 channels instead")
    >>> kind, line, attempt["op"], attempt["input_shape"], attempt["weight_shape"]
    ('RuntimeError', 1, 'conv_transpose2d', [1, 4, 5, 5], [8, 4, 2, 2])
    """
    lines = text.split("\n")
    for number in range(len(lines), 0, -1):
        match = _TYPED.match(lines[number - 1])
        kind, message = match.groups() if match else ("RuntimeError", lines[number - 1].strip())
        if not match and not message.startswith(("Given ", "Expected ", "Sizes of", "The size of")):
            continue
        message = " ".join([message, *_rest(lines[number:])])[:2000]
        if _KNOWN.search(message):
            return kind, message, number, _attempt(message)
    return None


def _rest(lines: list[str]) -> list[str]:
    """Return the lines that go on with a message which a terminal has broken."""
    rest: list[str] = []
    for line in lines[:4]:
        if not line.strip() or not line[0].islower() and not line[0].isdigit():
            break
        rest.append(line.strip())
    return rest


def _attempt(message: str) -> dict[str, Any] | None:
    """Return the convolution that a message tells the shapes of."""
    found = re.search(
        rf"Given (transposed|groups)=(\d+), weight(?: of size)? ?{_SHAPE}, (?:so )?expected input"
        rf"(?: of size)? ?{_SHAPE} to have",
        message,
    )
    if found:
        return _channels(found[1] == "transposed", int(found[2]), *map(_ints, found.groups()[2:]))
    found = re.search(
        rf"weight of size {_SHAPE}, expected bias .* but got bias of size {_SHAPE}", message
    )
    if found and len(weight := _ints(found[1])) > 2:
        op = f"conv{'_transpose' * ('transposed=1' in message)}{len(weight) - 2}d"
        return _told(op, weight_shape=weight, bias_shape=_ints(found[2]))
    found = re.search(
        rf"input to (conv(?:_transpose)?[123]d), but got input of size: {_SHAPE}", message
    )
    if found:
        return _told(found[1], input_shape=_ints(found[2]))
    return None


def _channels(
    transposed: bool, groups: int, weight: list[int], x: list[int]
) -> dict[str, Any] | None:
    dims = len(weight) - 2
    if dims not in (1, 2, 3):
        return None
    groups = 1 if transposed else groups  # a transposed one does not tell them
    ins, outs = (weight[0], weight[1]) if transposed else (weight[1] * groups, weight[0])
    layer = {"in_channels": ins, "out_channels": outs, "kernel_size": weight[2:], "groups": groups}
    op = f"conv{'_transpose' * transposed}{dims}d"
    return _told(op, input_shape=x, weight_shape=weight, layer=layer)


def _told(op: str, layer: dict[str, Any] | None = None, **shapes: list[int]) -> dict[str, Any]:
    return {"op": op, **shapes, "parameters": {}, "dtypes": {}, "layer": layer}


def _ints(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"\d+", text)][:8]

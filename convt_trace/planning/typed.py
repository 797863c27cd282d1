"""A layer typed as a line of torch, read from its syntax alone: nothing is run."""

from __future__ import annotations

import ast
import re
from typing import Any

from convt_trace.engine.layer import MODULE, Layer

_NAME = re.compile(r"(?:[A-Za-z_]\w*\.)*ConvTranspose([123])d")
#: Arguments that change no count.
_IGNORED = ("bias", "padding_mode", "device", "dtype")
_SAY = "Type a line such as nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1)."


class NotReadError(ValueError):
    """A line that is no layer with numbers for arguments; the message says what to type."""


def layer_of(line: str) -> Layer:
    """Return the layer of a line that makes one.

    Parameters
    ----------
    line : str
        A call of ``ConvTransposeNd`` whose arguments are numbers, tuples or lists; ``name = `` may
        stand before it.

    Raises
    ------
    NotReadError
        If it is something else.
    LayerError
        If torch refuses the layer.

    Examples
    --------
    >>> print(layer_of("up = nn.ConvTranspose2d(3, 8, (4, 2), stride=2, bias=False)"))
    ConvTranspose2d(3, 8, (4, 2), stride=2)
    """
    line = line.strip().rstrip(",")
    call = call_of(line)
    func = _written(line, call.func)
    name = _NAME.fullmatch(func)
    if name is None:
        raise NotReadError(f"{func} is no ConvTranspose layer of torch. {_SAY}")
    given = {
        argument: _value(line, argument, node)
        for argument, node in _arguments(call).items()
        if argument not in _IGNORED
    }
    if missing := [argument for argument in MODULE[:3] if argument not in given]:
        raise NotReadError(f"{', '.join(missing)} is missing. {_SAY}")
    return Layer.of(**given, dims=int(name[1]))


def call_of(line: str) -> ast.Call:
    """Return the call on a line; ``name = `` may stand before it.

    Raises
    ------
    NotReadError
        If there is none.

    Examples
    --------
    >>> call_of("self.up = nn.Conv2d(1, 2, 3)").func.attr
    'Conv2d'
    """
    try:
        (statement,) = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotReadError(f"{line!r} is not one line of Python. {_SAY}") from None
    made = statement.value if isinstance(statement, (ast.Expr, ast.Assign)) else None
    if not isinstance(made, ast.Call):
        raise NotReadError(f"{line!r} makes no layer. {_SAY}")
    return made


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    """Return a call's arguments by torch's names."""
    if len(call.args) > len(MODULE):
        raise NotReadError(f"There are {len(call.args)} arguments, more than a layer takes. {_SAY}")
    given = dict(zip(MODULE, call.args))
    for keyword in call.keywords:
        name = keyword.arg or "**"
        if name not in (*MODULE, *_IGNORED):
            raise NotReadError(f"{name} is no argument of a layer. {_SAY}")
        if name in given:
            raise NotReadError(f"{name} is given twice. {_SAY}")
        given[name] = keyword.value
    return given


def _value(line: str, name: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise NotReadError(
            f"{name}={_written(line, node)} is not a number: put its value there. {_SAY}"
        ) from None


def _written(line: str, node: ast.expr) -> str:
    return ast.get_source_segment(line, node) or ""

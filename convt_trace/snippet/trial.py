"""How a class or a layer that nothing calls can be run, to begin with: a guess that its author can change.

The numbers are small, so that every one can be looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from convt_trace.snippet.constants import Constants, Owners, Unknown
from convt_trace.snippet.reading import Argument, Run

#: What stands for an argument without a default; the size of an input, and of one that a model makes smaller.
GUESS, _SMALL, _LARGE = 4, 4, 32
_LAYER = re.compile(r"(?:Lazy)?(Conv|ConvTranspose|Linear)([123]d)?")


def trial(
    target: str | int,
    init: Sequence[Argument],
    forward: Sequence[Argument],
    owners: Owners,
    node: ast.expr,
    guess: Constants,
) -> Run:
    """Return a run of a definition.

    Parameters
    ----------
    target : str or int
        As in `Run`.
    init, forward : sequence of Argument
        What the owner's constructor and its ``forward`` take.
    owners : tuple of nodes
        What the layer stands in, outermost first.
    node : expression
        Where the layer is made.
    guess : Constants
        The values of names, with `GUESS` for arguments that have no default.
    """
    needed = [
        one.name for one in init if one.default is None and one.name not in ("args", "kwargs")
    ]
    dims, channels, smaller = _first_layer(owners, node, guess)
    size = _LARGE if smaller else _SMALL
    inputs = [one for one in forward if one.default is None] or [Argument("input")]
    shape = (1, channels, *(size,) * dims)
    return Run(
        target, (shape,) * len(inputs), ", ".join(f"{name}={GUESS}" for name in needed) or None
    )


def _first_layer(owners: Owners, node: ast.expr, guess: Constants) -> tuple[int, int, bool]:
    """Return dimensions and channels of what takes the input, and whether the input is made smaller."""
    layers = list(_layers(owners[0], owners[:1], guess)) if owners else []
    layers = layers or list(_layers(node, owners, guess)) or [("ConvTranspose", 2, GUESS)]
    kind, dims, channels = layers[0]
    return dims, channels, kind == "Conv" and len(layers) > 1


def _layers(node: ast.AST, owners: Owners, guess: Constants) -> Iterator[tuple[str, int, int]]:
    """Yield the layers that are made inside, in their order: kind, dimensions, channels of the input."""
    todo: list[tuple[ast.AST, Owners]] = [(node, owners)]
    while todo:
        node, owners = todo.pop()
        if isinstance(node, ast.Call) and (match := _LAYER.fullmatch(_name(node.func))):
            dims = int(match[2][0]) if match[2] else 0
            yield match[1], dims, _channels(node, owners, guess)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node not in owners:
            owners = (*owners, node)
        todo.extend((child, owners) for child in reversed(list(ast.iter_child_nodes(node))))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _channels(node: ast.Call, owners: Owners, guess: Constants) -> int:
    given = {one.arg: one.value for one in node.keywords}
    first = node.args[0] if node.args else given.get("in_channels", given.get("in_features"))
    try:
        held = guess.value(first, owners) if first is not None else GUESS
    except Unknown:
        return GUESS
    return held if type(held) is int and 0 < held < 10_000 else GUESS

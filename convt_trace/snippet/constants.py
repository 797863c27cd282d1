"""The value of an expression, as far as the syntax of a text alone tells it.

Constants, names that are bound once, defaults of arguments, attributes that are set once, and what is
worked out from these. Nothing is run: a text of which not a line was executed is read this way too.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

Owners = tuple[ast.AST, ...]
Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_DEEPEST = 30
_LARGEST = 2**63
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Div: operator.truediv, ast.Mod: operator.mod,
}  # fmt: skip


class Unknown(Exception):
    """The syntax does not tell."""


class Constants:
    r"""What the names of a text stand for.

    Parameters
    ----------
    tree : ast.Module
    otherwise : int, optional
        What stands for an argument of a function that has no default.

    Examples
    --------
    >>> tree = ast.parse("nz = 100\ndef up(ngf=64):\n    return nn.ConvTranspose2d(nz, ngf * 8, 4)")
    >>> function = tree.body[1]
    >>> [Constants(tree).value(one, (function,)) for one in function.body[0].value.args]
    [100, 512, 4]
    """

    def __init__(self, tree: ast.Module, otherwise: int | None = None):
        self._tree = tree
        self._otherwise = None if otherwise is None else ast.Constant(otherwise)
        self._bound: dict[int, dict[str, ast.expr | None]] = {}

    def value(self, node: ast.expr, owners: Owners, depth: int = 0) -> Any:
        """Return a number, a word, True, False, None, or a tuple of these.

        Raises
        ------
        Unknown
        """
        if depth > _DEEPEST:
            raise Unknown
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str, type(None))):
            return _small(node.value)
        if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) <= 64:
            return tuple(self.value(one, owners, depth + 1) for one in node.elts)
        if isinstance(node, ast.Name):
            return self._name(node.id, owners, depth + 1)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, owners, depth + 1)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
            held = self.value(node.operand, owners, depth + 1)
            return not held if isinstance(node.op, ast.Not) else _small(-_number(held))
        if isinstance(node, ast.BinOp):
            pair = (self.value(part, owners, depth + 1) for part in (node.left, node.right))
            return _worked_out(node.op, *map(_number, pair))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int":
            (held,) = node.args if len(node.args) == 1 else [None]
            if held is not None:
                return int(_number(self.value(held, owners, depth + 1)))
        if isinstance(node, ast.Subscript):
            held = self.value(node.value, owners, depth + 1)
            place = self.value(node.slice, owners, depth + 1)
            if isinstance(held, tuple) and type(place) is int and -len(held) <= place < len(held):
                return held[place]
        raise Unknown

    def _name(self, name: str, owners: Owners, depth: int) -> Any:
        scopes: list[ast.AST] = [one for one in owners if isinstance(one, Function)]
        # What stands directly in a class sees its names; a method does not.
        if owners and isinstance(owners[-1], ast.ClassDef):
            scopes.append(owners[-1])
        for scope in reversed([self._tree, *scopes]):
            bound = self._names_of(scope)
            if name in bound:
                around = owners[: owners.index(scope) + 1] if scope in owners else ()
                value = bound[name]
                if value is None:
                    raise Unknown
                return self.value(value, around, depth)
        raise Unknown

    def _attribute(self, node: ast.Attribute, owners: Owners, depth: int) -> Any:
        """Return what ``self.name`` was set to, where it was set once."""
        classes = [one for one in owners if isinstance(one, ast.ClassDef)]
        if not (isinstance(node.value, ast.Name) and node.value.id == "self" and classes):
            raise Unknown
        found = self._attributes.get((id(classes[-1]), node.attr), [])
        if len(found) == 1:
            value, function = found[0]
            place = owners.index(classes[-1])
            return self.value(value, (*owners[: place + 1], function), depth)
        own = self._names_of(classes[-1]).get(node.attr) if not found else None
        if own is None:
            raise Unknown
        return self.value(own, (), depth)

    @cached_property
    def _attributes(self) -> dict[tuple[int, str], list[tuple[ast.expr, ast.AST]]]:
        """Return what is assigned to ``self.name``, by class and name, and in which method."""
        found: dict[tuple[int, str], list[tuple[ast.expr, ast.AST]]] = {}
        for cls in ast.walk(self._tree):
            if isinstance(cls, ast.ClassDef):
                for method in cls.body:
                    for node in ast.walk(method) if isinstance(method, ast.FunctionDef) else ():
                        for target, value in _assigned(node):
                            if isinstance(target, ast.Attribute):
                                found.setdefault((id(cls), target.attr), []).append((value, method))
        return found

    def _names_of(self, scope: ast.AST) -> dict[str, ast.expr | None]:
        """Return the names that a scope binds, and their values; None where they are several."""
        if id(scope) in self._bound:
            return self._bound[id(scope)]
        bound: dict[str, ast.expr | None] = {}
        told: set[int] = set()  # targets that have a value of their own

        def bind(name: str, value: ast.expr | None) -> None:
            bound[name] = None if name in bound else value

        if isinstance(scope, Function):
            for name, default in defaults(scope.args):
                bind(name, default or self._otherwise)
        for node in _inside(scope):
            for target, value in _assigned(node):
                if isinstance(target, ast.Name):
                    bind(target.id, value)
                    told.add(id(target))
            other = isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
            if other and id(node) not in told:
                bind(node.id, None)  # type: ignore[attr-defined]
        self._bound[id(scope)] = bound
        return bound


def defaults(spec: ast.arguments) -> list[tuple[str, ast.expr | None]]:
    """Return the arguments of a function, and their defaults."""
    names = [*spec.posonlyargs, *spec.args]
    last: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults))
    last += spec.defaults
    pairs = [*zip(names, last), *zip(spec.kwonlyargs, spec.kw_defaults)]
    return [(name.arg, default) for name, default in pairs]


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the targets of an assignment, each with its own value."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        both = isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, ast.Tuple)
        if both and len(target.elts) == len(node.value.elts):  # type: ignore[attr-defined]
            yield from zip(target.elts, node.value.elts)  # type: ignore[attr-defined]
        else:
            yield target, node.value


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, in their order, without those of the scopes inside it."""
    todo = [*reversed(list(ast.iter_child_nodes(scope)))]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (*Function, ast.ClassDef)):
            todo.extend(reversed(list(ast.iter_child_nodes(node))))


def _number(value: Any) -> Any:
    if not isinstance(value, (int, float)):
        raise Unknown
    return value


def _small(value: Any) -> Any:
    if isinstance(value, (int, float)) and not -_LARGEST < value < _LARGEST:
        raise Unknown
    if isinstance(value, str) and len(value) > 80:
        raise Unknown
    return value


def _worked_out(kind: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(kind, ast.Pow) and 0 <= right <= 62 and abs(left) <= 1024:
        return _small(left**right)
    if type(kind) not in _BINARY:
        raise Unknown
    try:
        return _small(_BINARY[type(kind)](left, right))
    except (ZeroDivisionError, OverflowError):
        raise Unknown from None

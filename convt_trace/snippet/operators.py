"""Arithmetic and comparison, each bounded before it is done."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet import values
from convt_trace.snippet.bounds import (
    broadcast,
    comparable_size,
    itemsize_of,
    matmul,
    shape_of,
    size_of,
)
from convt_trace.snippet.errors import Refused

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

_PLAIN: dict[type, tuple[str, Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    ast.Add: ("add", operator.add, operator.iadd),
    ast.Sub: ("sub", operator.sub, operator.isub),
    ast.Mult: ("mul", operator.mul, operator.imul),
    ast.Div: ("truediv", operator.truediv, operator.itruediv),
    ast.FloorDiv: ("floordiv", operator.floordiv, operator.ifloordiv),
    ast.Mod: ("mod", operator.mod, operator.imod),
    ast.Pow: ("pow", operator.pow, operator.ipow),
    ast.MatMult: ("matmul", operator.matmul, operator.imatmul),
    ast.BitAnd: ("and", operator.and_, operator.iand),
    ast.BitOr: ("or", operator.or_, operator.ior),
    ast.BitXor: ("xor", operator.xor, operator.ixor),
    ast.LShift: ("lshift", operator.lshift, operator.ilshift),
    ast.RShift: ("rshift", operator.rshift, operator.irshift),
}

ARRAYS = (torch.Tensor, np.ndarray)
NUMBERS = (int, float, complex, np.generic)
_OPERANDS: tuple[type, ...] = (
    *ARRAYS,
    *NUMBERS,
    str,
    bytes,
    list,
    tuple,
    dict,
    set,
    frozenset,
    type({}.keys()),
)


def binary(reader: Reader, op: type, left: Any, right: Any) -> Any:
    """Return ``left op right``."""
    return _operate(reader, op, left, right, in_place=False)


def in_place(reader: Reader, op: type, left: Any, right: Any) -> Any:
    """Return what ``left op= right`` leaves in ``left``."""
    return _operate(reader, op, left, right, in_place=True)


def _operate(reader: Reader, op: type, left: Any, right: Any, in_place: bool) -> Any:
    name, plain, own = _PLAIN[op]
    found = _special(reader, name, left, right)
    if found is not None:
        return found[0]
    if isinstance(left, str) and op is ast.Mod:
        from convt_trace.snippet.formatting import percent

        return percent(reader, left, right)
    number_like(reader, left, _unsupported(reader, op, left, right))
    number_like(reader, right, _unsupported(reader, op, left, right))
    _bound(reader, op, left, right)
    return own(left, right) if in_place else plain(left, right)


def _unsupported(reader: Reader, op: type, left: Any, right: Any) -> str:
    sign = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Mod": "%", "Pow": "** or pow()"}
    return (
        f"unsupported operand type(s) for {sign.get(op.__name__, op.__name__)}: "
        f"'{reader.type_name(left)}' and '{reader.type_name(right)}'"
    )


def number_like(reader: Reader, value: Any, message: str) -> None:
    """Refuse to compute with what is not a number, a tensor or a plain container."""
    if isinstance(value, values.Missing):
        raise Refused(f"arithmetic with {value.path}", "Write its value into the text.")
    if not isinstance(value, _OPERANDS):
        raise TypeError(message)


def _special(reader: Reader, name: str, left: Any, right: Any) -> tuple[Any] | None:
    """Use ``__add__`` and its like where the text's own class defines them."""
    found = reader.special(left, f"__{name}__")
    if found is not None:
        return (reader.call(found, (right,), {}),)
    found = reader.special(right, f"__r{name}__")
    return (reader.call(found, (left,), {}),) if found is not None else None


def _bound(reader: Reader, op: type, left: Any, right: Any) -> None:
    if isinstance(left, ARRAYS) or isinstance(right, ARRAYS):
        if op is ast.MatMult:
            matmul(reader, left, right)
        else:
            size = broadcast([shape_of(left), shape_of(right)])
            reader.budget.tensor(size, itemsize_of(left, right))
    elif isinstance(left, int) and isinstance(right, int):
        _bound_whole(reader, op, int(left), int(right))
    elif op is ast.Mult:
        _bound_repeat(reader, left, right)
    elif op is ast.Add and isinstance(left, (str, list, tuple)) and isinstance(right, type(left)):
        weight = 8 if isinstance(left, str) else 1
        reader.budget.made((len(left) + len(right)) // weight)
    elif isinstance(left, (set, frozenset, dict)):
        reader.budget.made(len(left))


def _bound_whole(reader: Reader, op: type, left: int, right: int) -> None:
    if op is ast.Pow and right > 0:
        reader.budget.whole(left.bit_length() * right if abs(left) > 1 else 1)
    elif op is ast.LShift:
        reader.budget.whole(left.bit_length() + max(right, 0) if left else 1)
    elif op is ast.Mult:
        reader.budget.whole(left.bit_length() + right.bit_length())
    elif op in (ast.Add, ast.Sub):
        reader.budget.whole(max(left.bit_length(), right.bit_length()) + 1)


def _bound_repeat(reader: Reader, left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (str, bytes, list, tuple)) and isinstance(other, int):
            reader.budget.made(len(one) * max(int(other), 0))


def comparable(reader: Reader, compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return a comparison; those of tensors are element by element."""
    found = _special(reader, compare.__name__.strip("_"), left, right)
    if found is None and compare in (operator.eq, operator.ne):
        found = _same_fields(reader, compare, left, right)
    if found is not None:
        return found[0]
    if isinstance(left, ARRAYS) or isinstance(right, ARRAYS):
        if isinstance(left, (values.Own, torch.nn.Module)) or isinstance(
            right, (values.Own, torch.nn.Module)
        ):
            return compare is operator.ne
        reader.budget.tensor(broadcast([shape_of(left), shape_of(right)]), 1)
        return compare(left, right)
    for value in (left, right):
        if isinstance(value, values.Missing):
            raise Refused(f"a comparison with {value.path}", "Write its value into the text.")
    if _same_type(left, right):
        return compare is operator.eq
    comparable_size(reader, left, right)
    return compare(left, right)


def _same_fields(
    reader: Reader, compare: Callable[[Any, Any], Any], left: Any, right: Any
) -> tuple[bool] | None:
    from convt_trace.snippet.classes import same

    found = same(reader, left, right)
    return found if found is None or compare is operator.eq else (not found[0],)


def _same_type(left: Any, right: Any) -> bool:
    """Whether both are one type of the table (``type(m) == nn.Conv2d``)."""
    return (
        isinstance(left, values.Type)
        and isinstance(right, values.Type)
        and left.types == right.types
    )


def contains(reader: Reader, container: Any, item: Any) -> bool:
    """Return ``item in container``."""
    found = reader.special(container, "__contains__")
    if found is not None:
        return reader.truth(reader.call(found, (item,), {}))
    if isinstance(container, str):
        if not isinstance(item, str):
            raise TypeError(
                f"'in <string>' requires string as left operand, not {reader.type_name(item)}"
            )
        return item in container
    if isinstance(container, (dict, set, frozenset)):
        return reader.hashable(item) in container
    if isinstance(container, ARRAYS):
        reader.budget.tensor(size_of(container))
        return bool(item in container)
    if isinstance(container, torch.nn.ModuleDict):
        return isinstance(item, str) and item in container
    if isinstance(container, range) and isinstance(item, int):
        return item in container
    return any(
        one is item or reader.truth(comparable(reader, operator.eq, one, item))
        for one in reader.iterate(container)
    )

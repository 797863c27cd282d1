"""How large a result will be, from shapes alone, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet.errors import Refused

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

Shape = tuple[int, ...]
_DEEPEST = 40

#: Scalars that may be handed to torch and numpy.
SCALARS = (
    bool, int, float, complex, str, type(None), type(...), slice, range, np.generic, np.dtype,
    torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Generator, torch.Size,
    np.random.Generator,
)  # fmt: skip


def leaves(value: Any, _seen: dict[int, int] | None = None, _depth: int = 0) -> int:
    """Return how many elements a nested list holds; a list that stands in it twice counts twice.

    >>> row = [0] * 1000
    >>> leaves([row] * 1000)
    1000000
    """
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return size_of(value)
    if isinstance(value, (range, str)):
        return max(len(value), 1) if isinstance(value, range) else 1
    if not isinstance(value, (list, tuple, set, frozenset, dict)):
        return 1
    if _depth > _DEEPEST:
        raise Refused("a list nested too deeply", "Use fewer levels of brackets.")
    seen = {} if _seen is None else _seen
    if id(value) not in seen:
        items: Iterable[Any] = value
        if isinstance(value, dict):
            items = [*value, *value.values()]
        seen[id(value)] = max(1, sum(leaves(one, seen, _depth + 1) for one in items))
    return seen[id(value)]


def comparable_size(reader: Reader, *values: Any) -> None:
    """Refuse to compare, hash or search containers that would take for ever."""
    for value in values:
        if isinstance(value, (list, tuple, set, frozenset, dict)):
            count = leaves(value)
            if count > reader.budget.limits.items:
                reader.budget.made(count)


def size_of(value: torch.Tensor | np.ndarray) -> int:
    """Return the number of elements."""
    return value.numel() if isinstance(value, torch.Tensor) else value.size


def shape_of(value: Any) -> Shape:
    """Return the shape of a tensor, array, nested list or number."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return tuple(value.shape)
    shape: list[int] = []
    while isinstance(value, (list, tuple)) and len(shape) < _DEEPEST:
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if isinstance(value, (torch.Tensor, np.ndarray)):
        shape.extend(value.shape)
    return tuple(shape)


def itemsize_of(*values: Any) -> int:
    """Return the widest element among tensors and arrays, in bytes."""
    sizes = [4]
    for value in values:
        if isinstance(value, torch.Tensor):
            sizes.append(value.element_size())
        elif isinstance(value, np.ndarray):
            sizes.append(value.itemsize)
    return max(sizes)


def broadcast(shapes: Iterable[Shape]) -> int:
    """Return how many elements the shapes have together, broadcast or not.

    >>> broadcast([(4, 1), (1, 5)])
    20
    """
    sizes: list[int] = []
    for shape in shapes:
        for place, size in enumerate(reversed(shape)):
            if place == len(sizes):
                sizes.append(size)
            else:
                sizes[place] = max(sizes[place], size)
    return prod(sizes)


def tensors_in(values: Iterable[Any]) -> list[Any]:
    """Return the tensors and arrays among arguments, those in lists included."""
    found = []
    for value in values:
        if isinstance(value, (torch.Tensor, np.ndarray)):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(one for one in value if isinstance(one, (torch.Tensor, np.ndarray)))
    return found


def matmul(reader: Reader, left: Any, right: Any) -> None:
    """Count a matrix product."""
    a, b = shape_of(left), shape_of(right)
    if not a or not b:
        return
    inner = a[-1]
    rows, columns = (a[-2] if len(a) > 1 else 1), (b[-1] if len(b) > 1 else 1)
    batch = broadcast([a[:-2], b[:-2]])
    reader.budget.tensor(batch * rows * columns, itemsize_of(left, right))
    slow = 8 if not _is_float(left) else 1
    reader.budget.multiply(batch * rows * columns * inner * slow)


def _is_float(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def handed(reader: Reader, value: Any, _seen: dict[int, Any] | None = None, _depth: int = 0) -> Any:
    """Return an argument that torch or numpy may see: numbers, tensors and lists of them.

    The reader's own objects are refused here, and a GPU is replaced by the CPU.
    """
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value
    if isinstance(value, str):
        if value.startswith(("cuda", "mps")) and len(value) < 8:
            reader.note(f'"{value}" is read as the CPU')
            return "cpu"
        if value == "meta":
            raise Refused('the device "meta"', "Values are needed here: use the CPU.")
        return value
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return _handed_list(reader, value, {} if _seen is None else _seen, _depth)
    from convt_trace.snippet import values

    if isinstance(value, values.Type) and len(value.types) == 1:
        if value.types[0] in (int, float, bool, complex):
            return value.types[0]
        if issubclass(value.types[0], np.generic):
            return value.types[0]
    raise TypeError(f"expected a number, a tensor or a list, not {reader.type_name(value)}")


def _handed_list(
    reader: Reader, value: Sequence[Any], seen: dict[int, Any], depth: int
) -> Sequence[Any]:
    if type(value).__module__ == "torch.return_types":
        return tuple(value)
    if depth > _DEEPEST:
        raise Refused("a list nested too deeply", "Use fewer levels of brackets.")
    if id(value) in seen:
        return seen[id(value)]
    if all(type(one) in (int, float, bool) for one in value):
        result: Any = value
    else:
        result = [handed(reader, one, seen, depth + 1) for one in value]
        result = tuple(result) if isinstance(value, tuple) else result
    seen[id(value)] = result
    return result

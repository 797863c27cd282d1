"""Attributes and items: what ``value.name`` and ``value[place]`` mean, type by type.

An attribute is looked up in a table by the value's type. There is no ``getattr`` on a host object
with a name from the text.
"""

from __future__ import annotations

import collections
import collections.abc
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet import values
from convt_trace.snippet.bounds import (
    broadcast,
    comparable_size,
    handed,
    itemsize_of,
    shape_of,
    size_of,
)
from convt_trace.snippet.errors import Refused

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: Fields of the named tuples that torch returns.
_RETURNED = {
    "values": 0, "indices": 1, "U": 0, "S": 1, "V": 2, "Q": 0, "R": 1, "eigenvalues": 0,
    "eigenvectors": 1, "sign": 0, "logabsdet": 1, "output": 0, "inverse_indices": 1,
}  # fmt: skip


def get(reader: Reader, owner: Any, name: str) -> Any:
    """Return ``owner.name``."""
    if isinstance(owner, values.Namespace):
        from convt_trace.snippet.names import member

        return member(reader, owner.path, name)
    if isinstance(owner, values.Missing):
        return owner.child(name)
    if isinstance(owner, (values.UserClass, values.Type, values.Super)):
        from convt_trace.snippet.classes import class_attribute

        return class_attribute(reader, owner, name)
    if isinstance(owner, torch.nn.Module):
        from convt_trace.snippet.layers import module_attribute

        return module_attribute(reader, owner, name)
    if isinstance(owner, values.Instance):
        from convt_trace.snippet.classes import instance_attribute

        return instance_attribute(reader, owner, name)
    if isinstance(owner, values.TextError):
        from convt_trace.snippet.classes import error_attribute

        return error_attribute(reader, owner, name)
    if isinstance(owner, values.UserFunction):
        if name in ("__name__", "__qualname__"):
            return owner.name
        if name in owner.attributes:
            return owner.attributes[name]
        raise AttributeError(f"'function' object has no attribute '{name}'")
    if isinstance(owner, values.Function) and name == "__name__":
        return owner.name.rsplit(".", 1)[-1]
    if isinstance(owner, values.Bound):
        return get(reader, owner.function, name)
    if isinstance(owner, values.Decorated) and owner.kind == "property" and name == "setter":
        return values.Function("setter", lambda r, a, k: replace(owner, setter=a[0]))
    return _host(reader, owner, name)


def _host(reader: Reader, owner: Any, name: str) -> Any:
    """Return an attribute of a number, string, list, tensor, ... from the table of its type."""
    from convt_trace.snippet.names import PROPERTIES, methods_of, type_of

    if name == "__class__":
        return type_of(reader, owner)
    for kind, table in PROPERTIES:
        if isinstance(owner, kind) and name in table:
            return table[name](owner)
    action = methods_of(owner).get(name)
    if action is not None:
        return values.Method(owner, name, action)
    if (
        isinstance(owner, tuple)
        and type(owner).__module__ == "torch.return_types"
        and _RETURNED.get(name, len(owner)) < len(owner)
    ):
        return owner[_RETURNED[name]]
    fields = getattr(type(owner), "_fields", ())
    if isinstance(owner, tuple) and fields:
        if name in fields:
            return owner[fields.index(name)]
        if name == "_fields":
            return fields
        if name in ("_asdict", "_replace"):
            return values.Method(owner, name, _of_named_tuple)
    if isinstance(owner, (torch.Tensor, np.ndarray)):
        raise Refused(
            f"{reader.type_name(owner)}.{name[:60]} is not on the reader's list",
            "Use indexing, reshape, permute and arithmetic instead.",
        )
    if isinstance(owner, collections.abc.Generator):
        raise Refused(f"a generator's {name[:60]}", "Use next() or a for loop.")
    if name.startswith("__"):
        raise Refused(f"the attribute {name[:60]}", "Leave it out.")
    raise AttributeError(f"'{reader.type_name(owner)}' object has no attribute '{name[:60]}'")


def _of_named_tuple(reader: Reader, args: values.Args, kwargs: values.Kwargs) -> Any:
    """``_asdict()``, and ``_replace(name=value)``."""
    owner: Any = args[0]
    held = dict(zip(type(owner)._fields, owner))
    if not kwargs:
        return held
    for name in kwargs:
        if name not in held:
            raise ValueError(f"Got unexpected field names: ['{name}']")
    return type(owner)((held | kwargs).values())


def put(reader: Reader, owner: Any, name: str, value: Any) -> None:
    """Do ``owner.name = value``."""
    if name.startswith("__") and name.endswith("__"):
        raise Refused(f"assigning the attribute {name[:60]}", "Leave it out.")
    if isinstance(owner, torch.nn.Module):
        from convt_trace.snippet.layers import put_attribute

        put_attribute(reader, owner, name, value)
    elif isinstance(owner, (values.Instance, values.UserClass)):
        from convt_trace.snippet.classes import put_attribute as put_own

        put_own(reader, owner, name, value)
    elif isinstance(owner, torch.Tensor):
        _put_tensor(owner, name, value)
    elif isinstance(owner, values.UserFunction):
        owner.attributes[name] = value
    elif isinstance(owner, values.TextError):
        owner.names[name] = value
    elif isinstance(owner, np.ndarray) and name == "shape":
        owner.shape = handed(reader, value)
    elif (
        isinstance(owner, values.Namespace)
        and owner.path.startswith("torch.backends")
        or isinstance(owner, values.Missing)
        and owner.harmless
    ):
        reader.note(f"{owner.path}.{name} is passed over")
    elif isinstance(owner, (values.Namespace, values.Missing)):
        raise Refused(f"assigning {owner.path}.{name[:60]}", "Libraries stay as they are here.")
    else:
        raise AttributeError(f"'{reader.type_name(owner)}' object has no attribute '{name[:60]}'")


def _put_tensor(owner: torch.Tensor, name: str, value: Any) -> None:
    if name == "data" and isinstance(value, torch.Tensor):
        owner.data = value
    elif name == "grad" and (value is None or isinstance(value, torch.Tensor)):
        owner.grad = value
    elif name == "requires_grad" and isinstance(value, bool):
        owner.requires_grad = value
    elif name in ("data", "grad", "requires_grad"):
        raise TypeError(f"cannot assign '{type(value).__name__}' object to {name}")
    else:
        raise Refused(f"assigning Tensor.{name[:60]}", "Use a variable of its own.")


def delete(reader: Reader, owner: Any, name: str) -> None:
    """Do ``del owner.name``."""
    if isinstance(owner, values.Instance) and name in owner.names:
        del owner.names[name]
    elif isinstance(owner, torch.nn.Module):
        from convt_trace.snippet.layers import delete_attribute

        delete_attribute(owner, name)
    else:
        raise Refused(f"del .{name[:60]}", "Leave it out.")


# -- items ----------------------------------------------------------------------------------------


def get_item(reader: Reader, owner: Any, place: Any) -> Any:
    """Return ``owner[place]``."""
    if isinstance(owner, (torch.Tensor, np.ndarray)):
        place = _indices(reader, place)
        _bound_index(reader, owner, place)
        return owner[place]
    if isinstance(owner, dict):
        return _from_dict(reader, owner, place)
    if isinstance(owner, (list, tuple, str, range, bytes)):
        if isinstance(place, slice):
            reader.budget.made(len(owner) if isinstance(owner, (list, tuple)) else len(owner) // 8)
        return owner[_place(reader, owner, place)]
    if isinstance(owner, torch.nn.Module):
        return _from_module(reader, owner, place)
    if isinstance(owner, values.Instance):
        found = reader.special(owner, "__getitem__")
        if found is not None:
            return reader.call(found, (place,), {})
    if isinstance(owner, values.Missing):
        return owner.child("item")
    if isinstance(owner, collections.deque):
        return owner[_place(reader, owner, place)]
    if isinstance(owner, values.Type):
        return owner  # list[int], a type hint
    if isinstance(owner, values.Indexed):
        return owner.at(reader, place)  # np.ogrid
    raise TypeError(f"'{reader.type_name(owner)}' object is not subscriptable")


def _from_dict(reader: Reader, owner: dict[Any, Any], place: Any) -> Any:
    comparable_size(reader, place)
    if isinstance(owner, collections.defaultdict) and place not in owner:
        if owner.default_factory is None:
            raise KeyError(place)
        made = reader.call(owner.default_factory, (), {})
        owner[reader.hashable(place)] = made
    return owner[reader.hashable(place)]


def _from_module(reader: Reader, owner: torch.nn.Module, place: Any) -> Any:
    found = reader.special(owner, "__getitem__")
    if found is not None:
        return reader.call(found, (place,), {})
    if isinstance(owner, torch.nn.ModuleDict) and isinstance(place, str):
        return owner[place]
    if isinstance(
        owner, (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ParameterList)
    ) and isinstance(place, (int, slice)):
        if isinstance(place, slice) and getattr(owner, "user_class", None) is not None:
            raise Refused("a slice of a class of the text", "Use an index.")
        return owner[place]
    raise TypeError(f"'{reader.type_name(owner)}' object is not subscriptable")


def _place(reader: Reader, owner: Any, place: Any) -> Any:
    if isinstance(place, torch.Tensor) and place.numel() == 1 and not place.is_floating_point():
        return int(place)
    if isinstance(place, slice):
        parts = (place.start, place.stop, place.step)
        if all(part is None or isinstance(part, (int, np.integer, torch.Tensor)) for part in parts):
            return place
    elif isinstance(place, (int, np.integer)):
        return place
    raise TypeError(
        f"{type(owner).__name__} indices must be integers or slices, not {reader.type_name(place)}"
    )


def _indices(reader: Reader, place: Any) -> Any:
    """Return an index that torch and numpy may see."""
    if isinstance(place, tuple):
        return tuple(_indices(reader, one) for one in place)
    if isinstance(place, slice):
        parts = (place.start, place.stop, place.step)
        return slice(*(handed(reader, part) for part in parts))
    return handed(reader, place)


def _bound_index(reader: Reader, owner: Any, place: Any) -> None:
    """Count the result of an index; slices are views, tensors and lists copy."""
    parts = place if isinstance(place, tuple) else (place,)
    lists = [one for one in parts if isinstance(one, (torch.Tensor, np.ndarray, list, range))]
    if not lists:
        return
    shapes: list[tuple[int, ...]] = []
    used = 0
    for one in lists:
        is_mask = str(getattr(one, "dtype", "")).endswith("bool")
        if is_mask:
            shapes.append((prod(shape_of(one)),))
            used += len(shape_of(one))
        else:
            shapes.append(shape_of(one) if not isinstance(one, range) else (len(one),))
            used += 1
    others = sorted(shape_of(owner))[used:]
    reader.budget.tensor(broadcast(shapes) * prod(others), itemsize_of(owner))


def put_item(reader: Reader, owner: Any, place: Any, value: Any) -> None:
    """Do ``owner[place] = value``."""
    if isinstance(owner, (torch.Tensor, np.ndarray)):
        place = _indices(reader, place)
        _bound_index(reader, owner, place)
        reader.budget.tensor(min(size_of(owner), reader.budget.limits.tensor_elements))
        owner[place] = handed(reader, value)
    elif isinstance(owner, dict):
        comparable_size(reader, place)
        reader.budget.made(1)
        owner[reader.hashable(place)] = value
    elif isinstance(owner, list):
        if isinstance(place, slice):
            value = reader.collected(reader.iterate(value))
        owner[_place(reader, owner, place)] = value
    elif isinstance(owner, torch.nn.Module):
        _put_module(reader, owner, place, value)
    elif isinstance(owner, values.Instance) and reader.special(owner, "__setitem__"):
        reader.call(reader.special(owner, "__setitem__"), (place, value), {})
    elif isinstance(owner, values.Missing) and owner.path == "os.environ":
        reader.note("os.environ is passed over")
    else:
        raise TypeError(f"'{reader.type_name(owner)}' object does not support item assignment")


def _put_module(reader: Reader, owner: torch.nn.Module, place: Any, value: Any) -> None:
    if not isinstance(value, torch.nn.Module):
        raise TypeError(f"{reader.type_name(value)} is not a Module subclass")
    if isinstance(owner, torch.nn.ModuleDict) and isinstance(place, str):
        owner[place] = value
    elif isinstance(owner, (torch.nn.Sequential, torch.nn.ModuleList)) and isinstance(place, int):
        names = list(owner._modules)
        owner._modules[names[place]] = value
    else:
        raise TypeError(f"'{reader.type_name(owner)}' object does not support item assignment")


def delete_item(reader: Reader, owner: Any, place: Any) -> None:
    """Do ``del owner[place]``."""
    if (
        isinstance(owner, (list, dict))
        or isinstance(owner, (torch.nn.Sequential, torch.nn.ModuleList))
        and isinstance(place, int)
    ):
        del owner[place]
    else:
        raise TypeError(f"'{reader.type_name(owner)}' object doesn't support item deletion")

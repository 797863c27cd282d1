"""Classes of the text: made, instantiated and looked into by the reader alone."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

import torch

from convt_trace.snippet import values
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Action, Args, Instance, Kwargs, Scope, Type, UserClass

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader


_INSTEAD = {
    **dict.fromkeys(("dict", "list", "tuple", "str", "int", "float"), "Use a plain one instead."),
    "enum.Enum": "Use plain names for the constants.",
    "torch.autograd.Function": "Write its forward as a plain function: autograd finds the gradient.",
}


def _named_tuple(reader: Reader, node: ast.ClassDef, scope: Scope) -> Type:
    """Read ``class Point(NamedTuple)``: its fields, with their defaults."""
    from convt_trace.snippet.python_names import named_tuple

    names: dict[str, Any] = {}
    reader.block(node.body, Scope(names, parent=scope, of_class=True))
    fields = names.pop("__fields__", [])
    if set(names) - set(fields):
        raise Refused("a NamedTuple with methods", "Use a dataclass.")
    return named_tuple(reader, node.name, fields, defaults=names)


def make_class(reader: Reader, node: ast.ClassDef, scope: Scope) -> UserClass | Type:
    """Read a class statement."""
    if node.keywords:
        raise Refused("a class with keywords", "Leave metaclass= and its like out.")
    bases = []
    for one in node.bases:
        base = reader.value(one, scope)
        if isinstance(base, values.Missing) and base.path == "typing.NamedTuple":
            return _named_tuple(reader, node, scope)
        if isinstance(base, values.Missing) and base.harmless:
            continue
        if not isinstance(base, (UserClass, Type)):
            name = base.path if isinstance(base, values.Missing) else reader.type_name(base)
            raise Refused(
                f"a class that inherits from {name}", _INSTEAD.get(name, "Inherit from nn.Module.")
            )
        bases.append(base)
    cls = UserClass(node.name, tuple(bases), {}, node.lineno)
    cls.module, cls.error = _host_base(bases, torch.nn.Module), _host_base(bases, Exception)
    if cls.module is None and cls.error is None:
        odd = [one.name for one in bases if isinstance(one, Type) and one.name != "object"]
        if odd:
            hint = _INSTEAD.get(odd[0], "Inherit from nn.Module.")
            raise Refused(f"a class that inherits from {odd[0]}", hint)
    body = Scope(cls.names, parent=scope, of_class=True)
    reader.block(node.body, body)
    for one in cls.names.values():
        function = one.function if isinstance(one, values.Decorated) else one
        if isinstance(function, values.UserFunction) and function.owner is None:
            function.owner = cls
    reader.classes.append(cls)
    return cls


def _host_base(bases: list[Any], kind: type) -> type | None:
    """Return the torch module (or exception) class that the bases lead to."""
    for base in bases:
        if isinstance(base, UserClass):
            found = base.module if kind is torch.nn.Module else base.error
            if found is not None:
                return found
        elif base.types and issubclass(base.types[0], kind):
            return base.types[0]
    return None


def instantiate(reader: Reader, cls: UserClass, args: Args, kwargs: Kwargs) -> Any:
    """Make an object of a class of the text."""
    if cls.error is not None:
        error = values.TextError(cls, _texts(reader, args))
        init = cls.find("__init__")
        if init is not None and isinstance(init[0], values.UserFunction):
            reader.call(values.Bound(init[0], error), args, kwargs)
        return error
    if cls.module is not None:
        from convt_trace.snippet.layers import new_shell

        made: Any = new_shell(cls)
    else:
        made = Instance(cls)
    init = cls.find("__init__")
    if init is not None and isinstance(init[0], values.UserFunction):
        reader.call(values.Bound(init[0], made), args, kwargs)
    elif isinstance(made, Instance):
        _fill_fields(reader, made, args, kwargs)
    else:
        from convt_trace.snippet.layers import init_base

        init_base(reader, made, args, kwargs)
    return made


def _texts(reader: Reader, args: Args) -> Args:
    """Return an exception's arguments as numbers and texts."""
    from convt_trace.snippet.formatting import to_str

    plain = (int, float, type(None))
    return tuple(one if isinstance(one, plain) else to_str(reader, one) for one in args)


def _fill_fields(reader: Reader, made: Instance, args: Args, kwargs: Kwargs) -> None:
    """Initialise a dataclass; a class without fields takes no arguments."""
    fields = made.cls.fields or []
    if (args or kwargs) and not fields:
        raise TypeError(f"{made.cls.name}() takes no arguments")
    given = {**dict(zip((name for name, _ in fields), args)), **kwargs}
    for name, default in fields:
        if name in given:
            made.names[name] = given.pop(name)
        elif default is not ...:
            is_factory = isinstance(default, _Factory)
            made.names[name] = reader.call(default.make, (), {}) if is_factory else default
        else:
            raise TypeError(f"{made.cls.name}.__init__() missing 1 required argument: '{name}'")
    if given:
        raise TypeError(
            f"{made.cls.name}.__init__() got an unexpected keyword argument '{next(iter(given))}'"
        )
    after = made.cls.find("__post_init__")
    if after is not None:
        reader.call(values.Bound(after[0], made), (), {})


class _Factory(values.Own):
    """``dataclasses.field(default_factory=...)``."""

    def __init__(self, make: Any):
        self.make = make


def dataclass(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``@dataclass``, with or without brackets."""
    if not args:
        return values.Function("dataclass", dataclass)
    cls = args[0]
    names = cls.names.get("__fields__", [])
    inherited = [
        one for base in cls.bases if isinstance(base, UserClass) for one in base.fields or []
    ]
    cls.fields = [*inherited, *((name, cls.names.get(name, ...)) for name in names)]
    return cls


def field(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``dataclasses.field``."""
    if "default_factory" in kwargs:
        return _Factory(kwargs["default_factory"])
    return kwargs.get("default", ...)


def _of_fields(reader: Reader, value: Any, make: Action) -> Any:
    """Return what a dataclass becomes, and those in its fields' lists and dicts."""
    reader.budget.step()
    if isinstance(value, Instance) and value.cls.fields is not None:
        names = [name for name, _ in value.cls.fields]
        inside = [_of_fields(reader, value.names.get(name), make) for name in names]
        return make(reader, (names, inside), {})
    if isinstance(value, (list, tuple)):
        parts = [_of_fields(reader, one, make) for one in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, dict):
        return {name: _of_fields(reader, one, make) for name, one in value.items()}
    return value


def as_dict(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``dataclasses.asdict``."""
    _fields_of(args[0])  # refuses what is no dataclass
    return _of_fields(reader, args[0], lambda reader, pair, _: dict(zip(*pair)))


def as_tuple(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``dataclasses.astuple``."""
    _fields_of(args[0])  # refuses what is no dataclass
    return _of_fields(reader, args[0], lambda reader, pair, _: tuple(pair[1]))


def _fields_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, Instance) or value.cls.fields is None:
        raise TypeError("this should be called on dataclass instances")
    return {name: value.names.get(name) for name, _ in value.cls.fields}


def replaced(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``dataclasses.replace``."""
    return instantiate(reader, args[0].cls, (), {**_fields_of(args[0]), **kwargs})


def fields(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``dataclasses.fields``: what has a name each."""
    cls = args[0].cls if isinstance(args[0], Instance) else args[0]
    if not isinstance(cls, UserClass) or cls.fields is None:
        raise TypeError("must be called with a dataclass type or instance")
    kind = UserClass("Field", (), {}, 0)
    return tuple(Instance(kind, {"name": name, "default": value}) for name, value in cls.fields)


def same(reader: Reader, left: Any, right: Any) -> tuple[bool] | None:
    """Return whether two objects of one dataclass are equal; None for other objects."""
    one = isinstance(left, Instance) and isinstance(right, Instance) and left.cls is right.cls
    if not one or left.cls.fields is None:
        return None
    from convt_trace.snippet.operators import comparable

    pairs = zip(_fields_of(left).values(), _fields_of(right).values())
    return (all(a is b or reader.truth(comparable(reader, operator.eq, a, b)) for a, b in pairs),)


# -- attributes -----------------------------------------------------------------------------------


def error_attribute(reader: Reader, owner: values.TextError, name: str) -> Any:
    """Return an attribute of an exception whose class the text defines."""
    if name in owner.names:
        return owner.names[name]
    if name == "args":
        return owner.args
    if name == "__class__":
        return owner.cls
    found = owner.cls.find(name)
    if found is None or name == "__fields__":
        raise AttributeError(f"'{owner.cls.name}' object has no attribute '{name}'")
    return bound(reader, found[0], owner)


def instance_attribute(reader: Reader, owner: Instance, name: str) -> Any:
    """Return an attribute of an object of the text."""
    found = owner.cls.find(name)
    if found is not None and isinstance(found[0], values.Decorated) and found[0].kind == "property":
        return bound(reader, found[0], owner)
    if name in owner.names:
        return owner.names[name]
    if found is not None and name != "__fields__":
        return bound(reader, found[0], owner)
    if name == "__class__":
        return owner.cls
    if name == "__dict__":
        return owner.names
    raise AttributeError(f"'{owner.cls.name}' object has no attribute '{name}'")


def bound(reader: Reader, value: Any, owner: Any) -> Any:
    """Return a class attribute as an object sees it."""
    if isinstance(value, values.UserFunction):
        return values.Bound(value, owner)
    if isinstance(value, values.Decorated):
        if value.kind == "property":
            return reader.call(value.function, (owner,), {})
        if value.kind == "classmethod":
            return values.Bound(value.function, _class_of(owner))
        return value.function
    return value


def set_property(
    reader: Reader, held: values.Decorated, owner: Any, cls: str, name: str, value: Any
) -> None:
    """Do ``owner.name = value`` where the name is a property."""
    if held.setter is None:
        raise AttributeError(f"property '{name}' of '{cls}' object has no setter")
    reader.call(held.setter, (owner, value), {})


def _class_of(owner: Any) -> Any:
    if isinstance(owner, (Instance, values.TextError)):
        return owner.cls
    return getattr(owner, "user_class", owner) if isinstance(owner, torch.nn.Module) else owner


def class_attribute(reader: Reader, owner: UserClass | Type | values.Super, name: str) -> Any:
    """Return an attribute of a class, a type of the table or ``super()``."""
    if isinstance(owner, values.Super):
        return _super_attribute(reader, owner, name)
    if name in ("__name__", "__qualname__"):
        return owner.name.rsplit(".", 1)[-1]
    if isinstance(owner, UserClass):
        found = owner.find(name)
        if found is not None and name != "__fields__":
            value = found[0]
            if isinstance(value, values.Decorated) and value.kind != "property":
                return bound(reader, value, owner)
            return value
        if name == "__init__" and owner.module is not None:
            return values.Function("__init__", _explicit_init)
        raise AttributeError(f"type object '{owner.name}' has no attribute '{name}'")
    if name == "__init__" and owner.types and issubclass(owner.types[0], torch.nn.Module):
        return values.Function("__init__", _explicit_init)
    if name == "fromkeys" and owner.types == (dict,):
        raise Refused("dict.fromkeys", "Use a dict comprehension.")
    from convt_trace.snippet.names import member, methods_of_type

    action = methods_of_type(owner.types[0]).get(name) if owner.types else None
    if action is not None:
        return values.Function(name, action)
    return member(reader, owner.name, name)


def _explicit_init(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``nn.Module.__init__(self)``."""
    from convt_trace.snippet.layers import init_base

    init_base(reader, args[0], args[1:], kwargs)


def _super_attribute(reader: Reader, owner: values.Super, name: str) -> Any:
    cls = _class_of(owner.owner)
    order = cls.order() if isinstance(cls, UserClass) else []
    rest = order[order.index(owner.start) + 1 :] if owner.start in order else []
    for one in rest:
        if name in one.names:
            return bound(reader, one.names[name], owner.owner)
    if isinstance(owner.owner, torch.nn.Module):
        from convt_trace.snippet.layers import base_attribute

        return base_attribute(reader, owner.owner, name)
    if name == "__init__":
        return values.Function("__init__", lambda reader, args, kwargs: _init_error(owner, args))
    if name == "__str__" and isinstance(owner.owner, values.TextError):
        return values.Function("__str__", lambda reader, args, kwargs: str(owner.owner))
    raise AttributeError(f"'super' object has no attribute '{name}'")


def _init_error(owner: values.Super, args: Args) -> None:
    """``super().__init__(message)`` of an exception; of other objects it does nothing."""
    if isinstance(owner.owner, values.TextError):
        owner.owner.args = args


def put_attribute(reader: Reader, owner: Instance | UserClass, name: str, value: Any) -> None:
    """Do ``self.name = value`` on an object (or class) of the text."""
    cls = owner.cls if isinstance(owner, Instance) else owner
    found = cls.find(name)
    if (
        isinstance(owner, Instance)
        and found is not None
        and isinstance(found[0], values.Decorated)
        and found[0].kind == "property"
    ):
        set_property(reader, found[0], owner, cls.name, name, value)
        return
    owner.names[name] = value

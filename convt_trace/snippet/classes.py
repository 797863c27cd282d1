"""Classes of the text: made, instantiated and looked into by the reader alone."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import torch

from convt_trace.snippet import values
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Args, Instance, Kwargs, Scope, Type, UserClass

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader


_INSTEAD = {
    "torch.autograd.Function": "Write its forward as a plain function: autograd finds the gradient.",
}


def make_class(reader: Reader, node: ast.ClassDef, scope: Scope) -> UserClass:
    """Read a class statement."""
    if node.keywords:
        raise Refused("a class with keywords", "Leave metaclass= and its like out.")
    bases = []
    for one in node.bases:
        base = reader.value(one, scope)
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
            raise Refused(f"a class that inherits from {odd[0]}", "Inherit from nn.Module.")
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
        from convt_trace.snippet.formatting import to_str

        return values.TextError(cls, tuple(to_str(reader, one) for one in args))
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


# -- attributes -----------------------------------------------------------------------------------


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


def _class_of(owner: Any) -> Any:
    if isinstance(owner, Instance):
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
        return values.Function("__init__", lambda reader, args, kwargs: None)
    raise AttributeError(f"'super' object has no attribute '{name}'")


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
        raise AttributeError(f"property '{name}' of '{cls.name}' object has no setter")
    owner.names[name] = value

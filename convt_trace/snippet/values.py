"""The reader's own objects: what names of a text may stand for besides numbers and tensors.

None of them is ever handed to torch or numpy, and none leads to a host object by attribute.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
#: What a table entry is: it gets the reader, the positional and the keyword arguments.
Action = Callable[["Reader", Args, Kwargs], Any]


def names_in(text: str) -> list[str]:
    """Return the names that stand in a text with blanks between them: how the long tables are written.

    >>> names_in("zeros ones")
    ['zeros', 'ones']
    """
    return text.split()


class Own:
    """Base of the reader's own objects; copies of a text's values share them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Own:
        return self


class Indexed(Own):
    """Base of those that a text only ever writes brackets after, as ``np.ogrid[0:3]``."""

    def at(self, reader: Reader, place: Any) -> Any:
        """Return what stands at a place, which may be a slice or a tuple of them."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Namespace(Own):
    """A module of the table, such as ``torch.nn``; its members are looked up by dotted name."""

    path: str


@dataclass(frozen=True, eq=False)
class Missing(Own):
    """Something from a package that is not read; it may be imported, and at most passed over.

    Attributes
    ----------
    path : str
        The dotted name.
    harmless : bool
        Plots, progress bars, warnings, type hints: calls are passed over.
    """

    path: str
    harmless: bool = False

    def child(self, name: str) -> Missing:
        """Return what stands for an attribute of it."""
        return Missing(f"{self.path}.{name}"[:120], self.harmless)


@dataclass(frozen=True, eq=False)
class Function(Own):
    """A function of the table."""

    name: str
    action: Action


@dataclass(frozen=True, eq=False)
class Type(Function):
    """A type of the table: callable, and good for ``isinstance``.

    Attributes
    ----------
    types : tuple of type
        The host types whose objects are instances of it.
    shown : str
        Its repr.
    """

    types: tuple[type, ...] = ()
    shown: str = ""


@dataclass(frozen=True, eq=False)
class Method(Own):
    """A method of the table, bound to a value."""

    owner: Any
    name: str
    action: Action


@dataclass(eq=False)
class Scope(Own):
    """Names of one function call, class body or comprehension."""

    names: dict[str, Any] = field(default_factory=dict)
    parent: Scope | None = None
    outside: dict[str, Scope] = field(default_factory=dict)  # names declared global or nonlocal
    of_class: bool = False

    def find(self, name: str) -> Scope | None:
        """Return the innermost scope that holds a name; class bodies are seen only from inside."""
        if name in self.outside:
            return self.outside[name] if name in self.outside[name].names else None
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not scope.of_class):
                return scope
            scope = scope.parent
        return None


@dataclass(eq=False)
class UserFunction(Own):
    """A function or lambda of the text."""

    name: str
    arguments: ast.arguments
    body: list[ast.stmt] | ast.expr
    scope: Scope
    defaults: list[Any]
    keyword_defaults: dict[str, Any]
    line: int
    owner: UserClass | None = None  # the class whose body holds it, for super()
    wrappers: tuple[Any, ...] = ()  # context managers used as decorators
    attributes: dict[str, Any] = field(default_factory=dict)
    yields: bool = False  # calling it makes a generator


@dataclass(eq=False)
class UserClass(Own):
    """A class of the text.

    Attributes
    ----------
    bases : tuple
        `UserClass` or `Type` objects.
    module : type or None
        The torch module class at the end of its bases, if it is a module.
    """

    name: str
    bases: tuple[Any, ...]
    names: dict[str, Any]
    line: int
    module: type | None = None
    error: type | None = None
    fields: list[tuple[str, Any]] | None = None  # of a dataclass

    def find(self, name: str) -> tuple[Any, UserClass] | None:
        """Return an attribute and the class of the text that holds it."""
        for cls in self.order():
            if name in cls.names:
                return cls.names[name], cls
        return None

    def order(self) -> list[UserClass]:
        """Return the classes of the text it inherits from, itself first, each once."""
        found: list[UserClass] = [self]
        for base in self.bases:
            if isinstance(base, UserClass):
                found.extend(cls for cls in base.order() if cls not in found)
        return found

    def is_a(self, other: Any) -> bool:
        """Whether it is, or inherits from, a class of the text or a type of the table."""
        if self is other:
            return True
        return any(
            base.is_a(other)
            if isinstance(base, UserClass)
            else base is other or (isinstance(other, Type) and _below(base, other))
            for base in self.bases
        )


def _below(base: Any, other: Type) -> bool:
    return isinstance(base, Type) and any(
        issubclass(one, two) for one in base.types for two in other.types
    )


@dataclass(eq=False)
class Instance(Own):
    """An object of a class of the text that is not a torch module."""

    cls: UserClass
    names: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Bound(Own):
    """A function of the text bound to an object."""

    function: UserFunction
    owner: Any


@dataclass(frozen=True, eq=False)
class Super(Own):
    """What ``super()`` gives: the classes after ``start`` in an object's order."""

    start: UserClass
    owner: Any


@dataclass(frozen=True, eq=False)
class Decorated(Own):
    """A method under ``@property``, ``@staticmethod`` or ``@classmethod``."""

    kind: str
    function: Any
    setter: Any = None


@dataclass(frozen=True, eq=False)
class Partial(Own):
    """``functools.partial`` of something callable."""

    function: Any
    args: Args
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Context(Own):
    """A context manager of the table; usable as a decorator where torch's is.

    Attributes
    ----------
    enter : callable
        Called on entering; what it returns is handed to ``leave``.
    leave : callable
    """

    name: str
    enter: Callable[[], Any]
    leave: Callable[[Any], None]


class TextError(Exception):
    """An exception object whose class the text defines."""

    def __init__(self, cls: UserClass, args: Args):
        super().__init__(*args)
        self.cls = cls
        self.names: dict[str, Any] = {}


def error_class(error: BaseException) -> type:
    """Return the class of the host's that an exception is of, or that the text's class inherits."""
    if isinstance(error, TextError) and error.cls.error is not None:
        return error.cls.error
    return type(error)


#: Names that a text may not bind: they stand for the tables.
RESERVED = frozenset({"torch", "nn", "np", "numpy"})

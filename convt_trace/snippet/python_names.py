"""Python's builtins and the few standard modules that texts use, as functions of our own."""

from __future__ import annotations

import ast
import collections
import copy
import functools
import itertools
import math
import operator
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet import values
from convt_trace.snippet.bounds import comparable_size, leaves, size_of
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Action, Args, Kwargs, names_in

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader


def plain(function: Callable[..., Any]) -> Action:
    """Return a table entry for a function of our own that takes the reader first."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        return function(reader, *args, **kwargs)

    return act


# -- builtins -------------------------------------------------------------------------------------


def _print(
    reader: Reader,
    *args: Any,
    sep: Any = " ",
    end: Any = "\n",
    file: Any = None,
    flush: Any = False,
) -> None:
    from convt_trace.snippet.formatting import to_str

    if isinstance(file, values.Missing) and file.path == "sys.stderr":
        return
    if file is not None and not (isinstance(file, values.Missing) and file.path == "sys.stdout"):
        raise Refused("print to a file", "Leave file= out.")
    sep, end = " " if sep is None else sep, "\n" if end is None else end
    for name, one in (("sep", sep), ("end", end)):
        if not isinstance(one, str):
            raise TypeError(f"{name} must be None or a string, not {reader.type_name(one)}")
    for place, one in enumerate(args):
        reader.recorder.write((sep if place else "") + to_str(reader, one))
    reader.recorder.write(end)


def _len(reader: Reader, value: Any) -> int:
    found = reader.special(value, "__len__")
    if found is not None:
        return reader.call(found, (), {})
    if isinstance(value, torch.nn.Module):
        if isinstance(value, _MODULE_LISTS):
            return len(value)
    elif (
        isinstance(value, torch.Tensor)
        or not isinstance(value, values.Own)
        and hasattr(value, "__len__")
    ):
        return len(value)
    raise TypeError(f"object of type '{reader.type_name(value)}' has no len()")


_MODULE_LISTS = (
    torch.nn.Sequential,
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
    torch.nn.ParameterList,
)


def _range(reader: Reader, *args: Any) -> range:
    return range(*(_index(reader, one) for one in args))


def _index(reader: Reader, value: Any) -> int:
    if isinstance(value, (int, np.integer)) or (
        isinstance(value, torch.Tensor) and value.dim() == 0 and not value.is_floating_point()
    ):
        return operator.index(value)
    raise TypeError(f"'{reader.type_name(value)}' object cannot be interpreted as an integer")


def _int(reader: Reader, value: Any = 0, base: Any = None) -> int:
    if isinstance(value, str):
        if len(value) > 300:
            raise Refused("a whole number of that many digits", "Use smaller numbers.")
        return int(value, base) if base is not None else int(value)
    if isinstance(value, (int, float, np.generic, np.ndarray, torch.Tensor)):
        return int(value)
    raise TypeError(
        "int() argument must be a string, a bytes-like object or a real number, "
        f"not '{reader.type_name(value)}'"
    )


def _float(reader: Reader, value: Any = 0.0) -> float:
    if isinstance(value, (str, int, float, np.generic, np.ndarray, torch.Tensor)):
        return float(value)
    raise TypeError(
        f"float() argument must be a string or a real number, not '{reader.type_name(value)}'"
    )


def _complex(reader: Reader, real: Any = 0, imag: Any = 0) -> complex:
    return complex(_float(reader, real), _float(reader, imag))


def _bool(reader: Reader, value: Any = False) -> bool:
    return reader.truth(value)


def _str(reader: Reader, value: Any = "") -> str:
    from convt_trace.snippet.formatting import to_str

    return to_str(reader, value)


def _repr(reader: Reader, value: Any) -> str:
    from convt_trace.snippet.formatting import to_repr

    return to_repr(reader, value)


def _format(reader: Reader, value: Any, spec: str = "") -> str:
    from convt_trace.snippet.formatting import format_value

    return format_value(reader, value, spec)


def _list(reader: Reader, value: Any = ()) -> list[Any]:
    return reader.collected(reader.iterate(value))


def _tuple(reader: Reader, value: Any = ()) -> tuple[Any, ...]:
    return tuple(_list(reader, value))


def _set(reader: Reader, value: Any = ()) -> set[Any]:
    return set(map(reader.hashable, _list(reader, value)))


def _dict(reader: Reader, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return _filled(reader, {}, *args, **kwargs)


def _ordered_dict(reader: Reader, *args: Any, **kwargs: Any) -> Any:
    return _filled(reader, collections.OrderedDict(), *args, **kwargs)


def _filled(reader: Reader, result: Any, *args: Any, **kwargs: Any) -> Any:
    if args and isinstance(args[0], dict):
        result.update(args[0])
    elif args and isinstance(args[0], torch.nn.ModuleDict):
        result.update(args[0].items())
    else:
        for pair in reader.iterate(args[0]) if args else ():
            key, value = reader.iterate(pair)
            result[reader.hashable(key)] = value
    result.update(kwargs)
    reader.budget.made(len(result))
    return result


def _default_dict(reader: Reader, factory: Any = None, *args: Any) -> Any:
    made: Any = collections.defaultdict()
    made.default_factory = factory  # set later, as it need not be callable: the reader calls it
    return _filled(reader, made, *args)


def _enumerate(reader: Reader, value: Any, start: Any = 0) -> Iterator[Any]:
    return enumerate(reader.iterate(value), _index(reader, start))


def _zip(reader: Reader, *args: Any, strict: bool = False) -> Iterator[Any]:
    return zip(*(reader.iterate(one) for one in args), strict=bool(strict))


def _map(reader: Reader, function: Any, *args: Any) -> Iterator[Any]:
    rows = zip(*(reader.iterate(one) for one in args))
    return (reader.call(function, row, {}) for row in rows)


def _filter(reader: Reader, function: Any, value: Any) -> Iterator[Any]:
    def wanted(one: Any) -> bool:
        return reader.truth(one if function is None else reader.call(function, (one,), {}))

    return (one for one in reader.iterate(value) if wanted(one))


def _sum(reader: Reader, value: Any, start: Any = 0) -> Any:
    from convt_trace.snippet.operators import binary

    if isinstance(start, str):
        raise TypeError("sum() can't sum strings [use ''.join(seq) instead]")
    for one in reader.iterate(value):
        start = binary(reader, ast.Add, start, one)
    return start


def _extreme(compare: Callable[[Any, Any], Any], name: str) -> Callable[..., Any]:
    def find(reader: Reader, *args: Any, key: Any = None, default: Any = ...) -> Any:
        from convt_trace.snippet.operators import comparable

        items = list(reader.iterate(args[0] if len(args) == 1 else args))
        if not items:
            if default is ...:
                raise ValueError(f"{name}() arg is an empty sequence")
            return default
        best = items[0]
        best_key = best if key is None else reader.call(key, (best,), {})
        for one in items[1:]:
            one_key = one if key is None else reader.call(key, (one,), {})
            if reader.truth(comparable(reader, compare, one_key, best_key)):
                best, best_key = one, one_key
        return best

    return find


def _sorted(reader: Reader, value: Any, *, key: Any = None, reverse: Any = False) -> list[Any]:
    items = _list(reader, value)
    keys = items if key is None else [reader.call(key, (one,), {}) for one in items]
    comparable_size(reader, keys)
    if any(reader.special(one, "__lt__") for one in keys):
        return [items[place] for place in _by_own_order(reader, keys, bool(reverse))]
    for one in keys:
        if not isinstance(one, (int, float, str, tuple, list, np.generic, torch.Tensor)):
            raise TypeError(f"'<' not supported between instances of '{reader.type_name(one)}'")
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))
    return [items[place] for place in order]


def _by_own_order(reader: Reader, keys: list[Any], reverse: bool) -> list[int]:
    """Return the order of keys whose class says which is less."""
    from convt_trace.snippet.operators import comparable

    def compare(left: int, right: int) -> int:
        def less(a: int, b: int) -> bool:
            return reader.truth(comparable(reader, operator.lt, keys[a], keys[b]))

        return -1 if less(left, right) else int(less(right, left))

    return sorted(range(len(keys)), key=functools.cmp_to_key(compare), reverse=reverse)


def _reversed(reader: Reader, value: Any) -> Iterator[Any]:
    return iter(_list(reader, value)[::-1])


def _any(reader: Reader, value: Any) -> bool:
    return any(reader.truth(one) for one in reader.iterate(value))


def _all(reader: Reader, value: Any) -> bool:
    return all(reader.truth(one) for one in reader.iterate(value))


def _abs(reader: Reader, value: Any) -> Any:
    from convt_trace.snippet.operators import number_like

    number_like(reader, value, f"bad operand type for abs(): '{reader.type_name(value)}'")
    return abs(value)


def _round(reader: Reader, value: Any, digits: Any = None) -> Any:
    from convt_trace.snippet.operators import number_like

    number_like(reader, value, "round() takes a number")
    if digits is not None and abs(_index(reader, digits)) > 400:
        raise Refused("rounding to that many digits", "Use fewer digits.")
    if isinstance(value, torch.Tensor):
        return torch.round(value) if digits is None else torch.round(value, decimals=int(digits))
    return round(value) if digits is None else round(value, digits)


def _pow(reader: Reader, base: Any, exponent: Any, modulus: Any = None) -> Any:
    from convt_trace.snippet.operators import binary

    if modulus is not None:
        raise Refused("pow with a modulus", "Use % on smaller numbers.")
    return binary(reader, ast.Pow, base, exponent)


def _divmod(reader: Reader, left: Any, right: Any) -> Any:
    from convt_trace.snippet.operators import binary

    return binary(reader, ast.FloorDiv, left, right), binary(reader, ast.Mod, left, right)


def _iter(reader: Reader, value: Any, *last: Any) -> Iterator[Any]:
    if last:
        raise Refused("iter() with two arguments", "Use a while loop.")
    return reader.iterate(value)


def _next(reader: Reader, value: Any, *default: Any) -> Any:
    found = reader.special(value, "__next__")
    if found is not None:
        try:
            return reader.call(found, (), {})
        except StopIteration:
            if default:
                return default[0]
            raise
    if not isinstance(value, Iterator):
        raise TypeError(f"'{reader.type_name(value)}' object is not an iterator")
    return next(value, *default)


def _isinstance(reader: Reader, value: Any, kinds: Any) -> bool:
    if isinstance(kinds, (tuple, list)):
        return any(_isinstance(reader, value, kind) for kind in kinds)
    if isinstance(kinds, values.UserClass):
        cls = (
            value.cls if isinstance(value, values.Instance) else getattr(value, "user_class", None)
        )
        return isinstance(cls, values.UserClass) and cls.is_a(kinds)
    if isinstance(kinds, values.Type) and isinstance(value, values.TextError):
        return issubclass(values.error_class(value), kinds.types)
    if isinstance(kinds, values.Type):
        own = isinstance(value, values.Own) and not isinstance(value, values.Partial)
        return isinstance(value, kinds.types) and not own
    if isinstance(kinds, values.Missing):
        return False
    raise TypeError("isinstance() arg 2 must be a type or a tuple of types")


def _issubclass(reader: Reader, cls: Any, kinds: Any) -> bool:
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if isinstance(cls, values.UserClass) and cls.is_a(kind):
            return True
        if (
            isinstance(cls, values.Type)
            and isinstance(kind, values.Type)
            and cls.types
            and issubclass(cls.types[0], kind.types)
        ):
            return True
    return False


def _type(reader: Reader, value: Any, *rest: Any) -> Any:
    from convt_trace.snippet.names import type_of

    if rest:
        raise Refused("type() with three arguments", "Write a class statement.")
    return type_of(reader, value)


def _getattr(reader: Reader, value: Any, name: Any, *default: Any) -> Any:
    from convt_trace.snippet import attributes

    if not isinstance(name, str):
        raise TypeError("attribute name must be string")
    try:
        return attributes.get(reader, value, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def _hasattr(reader: Reader, value: Any, name: Any) -> bool:
    try:
        _getattr(reader, value, name)
    except AttributeError:
        return False
    except Refused:
        if isinstance(value, (torch.Tensor, np.ndarray)):
            return False
        raise
    return True


def _setattr(reader: Reader, value: Any, name: Any, new: Any) -> None:
    from convt_trace.snippet import attributes

    if not isinstance(name, str):
        raise TypeError("attribute name must be string")
    attributes.put(reader, value, name, new)


def _vars(reader: Reader, value: Any) -> dict[str, Any]:
    if not isinstance(value, values.Instance):
        raise Refused("vars() of that", "Use the attributes.")
    return value.names


def _callable(reader: Reader, value: Any) -> bool:
    if isinstance(value, values.Instance):
        return reader.special(value, "__call__") is not None
    return isinstance(value, (values.Own, torch.nn.Module)) and not isinstance(
        value, (values.Namespace, values.Missing, values.Scope)
    )


def _id(reader: Reader, value: Any) -> int:
    raise Refused("id()", "Use is to ask whether two names mean one object.")


def _slice(reader: Reader, *args: Any) -> slice:
    return slice(*args)


def _super(reader: Reader, cls: Any = None, owner: Any = None) -> Any:
    if not isinstance(cls, values.UserClass):
        raise RuntimeError("super(): no arguments")
    return values.Super(cls, owner)


def _chr(reader: Reader, value: Any) -> str:
    return chr(_index(reader, value))


def _ord(reader: Reader, value: Any) -> int:
    return ord(value)


def _decorator(kind: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        return values.Decorated(kind, args[0])

    return act


def _base(prefix: Callable[[int], str]) -> Callable[..., str]:
    return lambda reader, value: prefix(_index(reader, value))


_TYPES: dict[str, tuple[Callable[..., Any], tuple[type, ...]]] = {
    "int": (_int, (int,)),
    "float": (_float, (float,)),
    "complex": (_complex, (complex,)),
    "bool": (_bool, (bool,)),
    "str": (_str, (str,)),
    "list": (_list, (list,)),
    "tuple": (_tuple, (tuple,)),
    "dict": (_dict, (dict,)),
    "set": (_set, (set,)),
    "frozenset": (lambda reader, value=(): frozenset(_set(reader, value)), (frozenset,)),
    "range": (_range, (range,)),
    "slice": (_slice, (slice,)),
    "type": (_type, (type,)),
    "object": (lambda reader: object(), (object,)),
    "enumerate": (_enumerate, (enumerate,)),
    "zip": (_zip, (zip,)),
    "map": (_map, (map,)),
    "reversed": (_reversed, (reversed,)),
    "bytes": (lambda reader, *args: _refused("bytes"), (bytes,)),
}


def _refused(name: str) -> Any:
    raise Refused(f"{name} is not read", "Leave it out.")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "print": _print, "len": _len, "repr": _repr, "ascii": lambda r, v: ascii(_repr(r, v)),
    "format": _format, "filter": _filter, "sum": _sum, "min": _extreme(operator.lt, "min"),
    "max": _extreme(operator.gt, "max"), "sorted": _sorted, "any": _any, "all": _all, "abs": _abs,
    "round": _round, "pow": _pow, "divmod": _divmod, "iter": _iter, "next": _next,
    "isinstance": _isinstance, "issubclass": _issubclass, "getattr": _getattr, "hasattr": _hasattr,
    "setattr": _setattr, "callable": _callable, "id": _id, "super": _super, "chr": _chr,
    "ord": _ord,
    "bin": _base(bin), "hex": _base(hex), "oct": _base(oct),
    "exit": lambda r, *a: _refused("exit"), "quit": lambda r, *a: _refused("quit"),
}  # fmt: skip

#: Builtins that texts ask for and never get, with what to say.
NEVER = {
    "eval": "Write the expression itself.", "exec": "Write the statements themselves.",
    "compile": "Write the code itself.", "open": "Write the numbers into the text.",
    "input": "Write the value into the text.", "__import__": "Leave it out.",
    "globals": "Use the names.", "locals": "Use the names.",
    "dir": "Leave it out.", "breakpoint": "Leave it out.", "help": "Leave it out.",
    "memoryview": "Use a tensor.", "bytearray": "Use a tensor.", "delattr": "Use del.",
    "hash": "Compare with ==.", "__builtins__": "Leave it out.",
    "__file__": "Files are out of reach.",
    "classmethod_": "",
}  # fmt: skip

ERRORS = (
    Exception, BaseException, RuntimeError, ValueError, TypeError, IndexError, KeyError,
    AttributeError, NameError, AssertionError, NotImplementedError, ZeroDivisionError,
    StopIteration,
    OverflowError, ArithmeticError, LookupError, ImportError, ModuleNotFoundError, OSError, IOError,
    FileNotFoundError, KeyboardInterrupt, SystemExit, UserWarning, DeprecationWarning, Warning,
    RuntimeWarning, MemoryError, TimeoutError, EOFError, UnboundLocalError, FloatingPointError,
)  # fmt: skip


def error_type(cls: type[BaseException]) -> values.Type:
    """Return a table entry for an exception class; it makes exceptions with plain texts."""

    def make(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        from convt_trace.snippet.formatting import to_str

        if not issubclass(cls, Exception) or issubclass(cls, MemoryError):
            raise Refused(f"{cls.__name__} is not read", "Raise another exception.")
        return cls(*(one if isinstance(one, (int, float)) else to_str(reader, one) for one in args))

    return values.Type(cls.__name__, make, types=(cls,), shown=f"<class '{cls.__name__}'>")


# -- modules --------------------------------------------------------------------------------------

_MATH = names_in("""ceil floor sqrt exp log log2 log10 log1p expm1 sin cos tan asin acos atan atan2 sinh cosh
tanh fabs fmod hypot isnan isinf isfinite copysign radians degrees trunc erf erfc gamma lgamma
isclose
modf""")


def _math(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(reader: Reader, *args: Any, **kwargs: Any) -> Any:
        for one in args:
            if not isinstance(one, (int, float, np.generic, torch.Tensor, np.ndarray)):
                raise TypeError(f"must be real number, not {reader.type_name(one)}")
        return function(*args, **kwargs)

    return call


def _whole(function: Callable[..., int], most: int) -> Callable[..., Any]:
    """Wrap a function of whole numbers whose result grows fast."""

    def call(reader: Reader, *args: Any) -> int:
        numbers = [_index(reader, one) for one in args]
        if any(abs(one) > most for one in numbers):
            raise Refused("a whole number that large", "Use smaller numbers.")
        return function(*numbers)

    return call


def _prod(reader: Reader, value: Any, *, start: Any = 1) -> Any:
    from convt_trace.snippet.operators import binary

    for one in reader.iterate(value):
        start = binary(reader, ast.Mult, start, one)
    return start


def _partial(reader: Reader, function: Any, *args: Any, **kwargs: Any) -> Any:
    return values.Partial(function, args, kwargs)


def _reduce(reader: Reader, function: Any, value: Any, *start: Any) -> Any:
    return functools.reduce(
        lambda a, b: reader.call(function, (a, b), {}), reader.iterate(value), *start
    )


def _product(reader: Reader, *args: Any, repeat: Any = 1) -> Iterator[Any]:
    pools = [_list(reader, one) for one in args] * min(_index(reader, repeat), 16)
    reader.budget.made(math.prod(map(len, pools)))
    return itertools.product(*pools)


def _chain(reader: Reader, *args: Any) -> Iterator[Any]:
    return (one for part in args for one in reader.iterate(part))


def _deepcopy(reader: Reader, value: Any) -> Any:
    if isinstance(value, torch.nn.Module):
        for parameter in [*value.parameters(), *value.buffers()]:
            reader.budget.tensor(parameter.numel(), parameter.element_size())
        made = copy.deepcopy(value)
        reader.recorder.copied(value, made)
        return made
    if isinstance(value, (torch.Tensor, np.ndarray)):
        reader.budget.tensor(size_of(value), 8)
    else:
        reader.budget.made(leaves(value))
    return copy.deepcopy(value)


def _copy(reader: Reader, value: Any) -> Any:
    if isinstance(value, (list, dict, set)):
        reader.budget.made(len(value))
    return copy.copy(value) if not isinstance(value, values.Own) else value


def named_tuple(reader: Reader, name: Any, fields: Any, defaults: Any = ()) -> values.Type:
    """``collections.namedtuple``; the defaults by name, or those of the last fields."""
    names = fields.replace(",", " ").split() if isinstance(fields, str) else _list(reader, fields)
    if len(names) > 50 or not all(str(one).isidentifier() for one in [name, *names]):
        raise Refused("a namedtuple of such names", "Use a class.")
    for one in names:
        if one.startswith("_"):
            raise ValueError(f"Field names cannot start with an underscore: {one!r}")
    # Not collections.namedtuple: it compiles a text that it puts together from the names.
    last = dict(zip(names[::-1], list(defaults)[::-1]))
    start = dict(defaults) if isinstance(defaults, dict) else last
    made = type(str(name), (tuple,), {"_fields": tuple(names), "__module__": "__main__"})

    def make(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        given = dict(zip(names, args))
        for one in kwargs:
            if one not in names or one in given:
                raise TypeError(f"{name}.__new__() got an unexpected keyword argument '{one}'")
        given = {**start, **given, **kwargs}
        missing = [one for one in names if one not in given]
        if missing or len(args) > len(names):
            count = f"{len(names) + 1} positional arguments but {len(args) + 1} were given"
            raise TypeError(f"{name}.__new__() takes {count}")
        return made(given[one] for one in names)

    return values.Type(str(name), make, (made,), f"<class '__main__.{name}'>")


def _time(reader: Reader) -> float:
    reader.note("times are the reader's own")
    return time.perf_counter()


def _counter(reader: Reader, value: Any = ()) -> Any:
    return collections.Counter(map(reader.hashable, _list(reader, value)))


def _deque(reader: Reader, value: Any = (), maxlen: Any = None) -> Any:
    return collections.deque(_list(reader, value), maxlen)


def _wraps(reader: Reader, function: Any) -> Any:
    return values.Function("wraps", lambda reader, args, kwargs: args[0])


def python_table() -> dict[str, Any]:
    """Return builtins (under ``builtins.``) and standard-library names by their dotted names."""
    table: dict[str, Any] = {}
    for name, (function, types) in _TYPES.items():
        table[f"builtins.{name}"] = values.Type(
            name, plain(function), types=types, shown=f"<class '{name}'>"
        )
    for name, function in _FUNCTIONS.items():
        table[f"builtins.{name}"] = values.Function(name, plain(function))
    for kind in ("property", "staticmethod", "classmethod"):
        table[f"builtins.{kind}"] = values.Function(kind, _decorator(kind))
    for cls in ERRORS:
        table[f"builtins.{cls.__name__}"] = error_type(cls)
    table["builtins.NotImplemented"] = NotImplemented
    table.update({"builtins.Ellipsis": ..., "builtins.__debug__": True, "builtins.__doc__": None})
    own: dict[str, Callable[..., Any]] = {
        **{f"math.{name}": _math(getattr(math, name)) for name in _MATH},
        "math.pow": lambda r, a, b: math.pow(a, b),
        "math.prod": _prod,
        "math.factorial": _whole(math.factorial, 400), "math.comb": _whole(math.comb, 1000),
        "math.perm": _whole(math.perm, 400), "math.gcd": _whole(math.gcd, 2**63),
        "math.lcm": _whole(math.lcm, 2**63), "math.isqrt": _whole(math.isqrt, 2**63),
        "functools.reduce": _reduce, "functools.wraps": _wraps,
        "itertools.product": _product, "itertools.chain": _chain, "builtins.vars": _vars,
        "collections.OrderedDict": _ordered_dict, "collections.defaultdict": _default_dict,
        "collections.namedtuple": named_tuple, "collections.Counter": _counter,
        "collections.deque": _deque,
        "copy.deepcopy": _deepcopy, "copy.copy": _copy,
        "time.time": _time, "time.perf_counter": _time, "time.monotonic": _time,
        "random.seed": _seed_random,
        **{f"random.{name}": _drawn(name) for name in
           ("random", "uniform", "gauss", "randint", "choice", "normalvariate")},
        "random.shuffle": _shuffle,
    }  # fmt: skip
    table.update((name, values.Function(name, plain(function))) for name, function in own.items())
    table["functools.partial"] = values.Type(
        "functools.partial", plain(_partial), (values.Partial,), "<class 'functools.partial'>"
    )
    for name in ("pi", "e", "inf", "nan", "tau"):
        table[f"math.{name}"] = getattr(math, name)
    for name, types in {
        "collections.OrderedDict": (collections.OrderedDict,),
        "collections.deque": (collections.deque,),
        "itertools.chain": (),
    }.items():
        table[name] = values.Type(name, table[name].action, types, f"<class '{name}'>")
    return table


def _seed_random(reader: Reader, seed: Any = None) -> None:
    reader.random.python.seed(seed if isinstance(seed, (int, float, str)) else None)
    reader.random.seeded.add("random")


def _drawn(name: str) -> Callable[..., Any]:
    def draw(reader: Reader, *args: Any) -> Any:
        reader.random.drew("random")
        if name == "choice":
            return reader.random.python.choice(_list(reader, *args))
        table: dict[str, Callable[..., Any]] = {
            "random": reader.random.python.random, "uniform": reader.random.python.uniform,
            "gauss": reader.random.python.gauss, "randint": reader.random.python.randint,
            "normalvariate": reader.random.python.normalvariate,
        }  # fmt: skip
        return table[name](*args)

    return draw


def _shuffle(reader: Reader, value: Any) -> None:
    reader.random.drew("random")
    if isinstance(value, list):
        reader.random.python.shuffle(value)


# -- methods of plain values ----------------------------------------------------------------------


def _checked(function: Callable[..., Any], growth: Callable[..., int] | None = None) -> Action:
    """Return a method entry whose arguments are plain values and whose result is counted."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        owner = args[0]
        comparable_size(reader, *args)
        if growth is not None:
            reader.budget.made(growth(*args))
        elif isinstance(owner, (str, bytes)):
            reader.budget.made(len(owner) // 8)
            if not all(isinstance(one, (str, int, tuple, type(None))) for one in args[1:]):
                raise TypeError(f"{reader.type_name(args[1])} is not an argument of this method")
        else:
            reader.budget.made(1)
        return function(*args, **kwargs)

    return act


_STR = names_in("""upper lower title capitalize strip lstrip rstrip split rsplit splitlines startswith
endswith find rfind index count isdigit isalpha isalnum isnumeric islower isupper isspace swapcase
partition rpartition removeprefix removesuffix casefold isidentifier""")


def _join(reader: Reader, args: Args, kwargs: Kwargs) -> str:
    parts: list[str] = []
    total = 0
    for one in reader.iterate(args[1]):
        if not isinstance(one, str):
            raise TypeError(
                f"sequence item {len(parts)}: expected str instance, {reader.type_name(one)} found"
            )
        total += len(one) + len(args[0])
        reader.budget.made(0 if total <= reader.budget.limits.items else total)
        parts.append(one)
    return args[0].join(parts)


def _format_method(reader: Reader, args: Args, kwargs: Kwargs) -> str:
    from convt_trace.snippet.formatting import format_text

    return format_text(reader, args[0], args[1:], kwargs)


def _replaced(text: str, old: Any, new: Any, count: int = -1) -> int:
    if not isinstance(old, str) or not isinstance(new, str):
        raise TypeError("replace() argument must be str")
    return len(text) + (text.count(old) if old else len(text) + 1) * len(new)


def _widened(text: str, width: Any, *rest: Any) -> int:
    return max(len(text), width if isinstance(width, int) else 0)


def _extend(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    more = reader.collected(reader.iterate(args[1]))
    reader.budget.made(len(args[0]) + len(more) if len(args[0]) > 1000 else len(more))
    args[0].extend(more)


def _append(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    reader.budget.made(1)
    if len(args[0]) >= reader.budget.limits.items:
        reader.budget.made(len(args[0]) + 1)
    args[0].append(args[1])


def _sort(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    args[0][:] = _sorted(reader, args[0], **kwargs)


def _update(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    if isinstance(args[0], dict):
        _filled(reader, args[0], *args[1:], **kwargs)
    else:
        args[0].update(_set(reader, args[1]))


def _get(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    comparable_size(reader, *args[1:2])
    return dict.get(args[0], reader.hashable(args[1]), *args[2:])


def _search(name: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        from convt_trace.snippet.operators import comparable

        places = [
            place
            for place, one in enumerate(reader.iterate(args[0]))
            if one is args[1] or reader.truth(comparable(reader, operator.eq, one, args[1]))
        ]
        if name == "count":
            return len(places)
        if not places:
            raise ValueError(f"{_repr(reader, args[1])} is not in list")
        if name == "remove":
            del args[0][places[0]]
            return None
        return places[0]

    return act


def method_tables() -> list[tuple[type | tuple[type, ...], dict[str, Action]]]:
    """Return the methods of strings, lists, dicts and numbers, by type."""
    text: dict[str, Action] = {name: _checked(getattr(str, name)) for name in _STR}
    text.update(
        join=_join, format=_format_method, replace=_checked(str.replace, _replaced),
        zfill=_checked(str.zfill, _widened), ljust=_checked(str.ljust, _widened),
        rjust=_checked(str.rjust, _widened), center=_checked(str.center, _widened),
        __len__=_checked(str.__len__),
    )  # fmt: skip
    tables: dict[str, Action] = {
        "append": _append, "extend": _extend, "insert": _checked(list.insert),
        "pop": _checked(list.pop),
        "clear": _checked(list.clear), "reverse": _checked(list.reverse), "sort": _sort,
        "copy": _checked(list.copy, len), "index": _search("index"), "count": _search("count"),
        "remove": _search("remove"), "__len__": _checked(list.__len__),
    }  # fmt: skip
    mapping: dict[str, Action] = {
        "keys": _checked(lambda owner: owner.keys()),
        "values": _checked(lambda owner: owner.values()),
        "items": _checked(lambda owner: owner.items()), "get": _get,
        "pop": _checked(lambda owner, *rest: owner.pop(*rest)),
        "setdefault": _checked(lambda owner, *rest: owner.setdefault(*rest)),
        "update": _update, "copy": _checked(lambda owner: owner.copy(), len),
        "clear": _checked(lambda owner: owner.clear()),
        "popitem": _checked(lambda owner: owner.popitem()),
    }  # fmt: skip
    unique = {
        name: _checked(getattr(set, name))
        for name in names_in("""add remove discard union intersection difference issubset issuperset
        pop""")
    }
    deque = {
        name: _checked(getattr(collections.deque, name))
        for name in names_in("append appendleft pop popleft clear")
    }
    return [
        (str, text),
        (list, tables),
        (tuple, {"index": _search("index"), "count": _search("count")}),
        (
            collections.Counter,
            {"most_common": _checked(collections.Counter.most_common), **mapping},
        ),
        (dict, mapping),
        (set, {**unique, "update": _update}),
        (collections.deque, deque),
        (range, {"index": _search("index"), "count": _search("count")}),
        (bool, {}),
        (int, {"bit_length": _checked(int.bit_length)}),
        (float, {"is_integer": _checked(float.is_integer)}),
        (complex, {"conjugate": _checked(complex.conjugate)}),
    ]

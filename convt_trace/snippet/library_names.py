"""Functions of ``itertools``, ``functools``, ``operator``, ``textwrap`` and ``argparse`` for texts.

Iterators are the host's own; each step of what they go through is counted.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from convt_trace.snippet import values
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.python_names import plain
from convt_trace.snippet.values import Action, Args, Kwargs

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: Longest text that is wrapped, and most words of a command line: both are searched by patterns.
_LONGEST, _MOST_WORDS, _MOST_TAKEN = 5000, 16, 100


# -- itertools ------------------------------------------------------------------------------------


def _count(reader: Reader, start: Any = 0, step: Any = 1) -> Iterator[Any]:
    if not all(isinstance(one, (int, float)) for one in (start, step)):
        raise TypeError("a number is required")
    return itertools.count(start, step)


def _cycle(reader: Reader, items: Any) -> Iterator[Any]:
    kept = []
    for one in reader.iterate(items):
        kept.append(one)
        reader.budget.made(1)
        yield one
    while kept:
        yield from kept


def _repeat(reader: Reader, value: Any, *times: Any) -> Iterator[Any]:
    return itertools.repeat(value, *times)


def _islice(reader: Reader, items: Any, *bounds: Any) -> Iterator[Any]:
    return itertools.islice(reader.iterate(items), *bounds)


def _accumulate(
    reader: Reader, items: Any, func: Any = None, *, initial: Any = None
) -> Iterator[Any]:
    from convt_trace.snippet.operators import binary

    def together(left: Any, right: Any) -> Any:
        if func is None:
            return binary(reader, ast.Add, left, right)
        return reader.call(func, (left, right), {})

    return itertools.accumulate(reader.iterate(items), together, initial=initial)


def _chosen(choose: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    def pick(reader: Reader, items: Any, r: Any = None) -> Iterator[Any]:
        pool = reader.collected(reader.iterate(items))
        if choose is not itertools.permutations and not isinstance(r, int):
            raise TypeError("r must be a whole number")
        count = len(pool) if r is None else min(r, len(pool) + 1)
        reader.budget.made(max(count, 0))
        return _counted(reader, choose(pool, count))

    return pick


def _counted(reader: Reader, rows: Iterator[Any]) -> Iterator[Any]:
    for row in rows:
        reader.budget.made(len(row))
        yield row


def _from_iterable(reader: Reader, items: Any) -> Iterator[Any]:
    return (one for part in reader.iterate(items) for one in reader.iterate(part))


def _zip_longest(reader: Reader, *items: Any, fillvalue: Any = None) -> Iterator[Any]:
    return itertools.zip_longest(*map(reader.iterate, items), fillvalue=fillvalue)


def _pairwise(reader: Reader, items: Any) -> Iterator[Any]:
    return itertools.pairwise(reader.iterate(items))


def _starmap(reader: Reader, function: Any, items: Any) -> Iterator[Any]:
    return (reader.call(function, tuple(reader.iterate(row)), {}) for row in reader.iterate(items))


def _groupby(reader: Reader, items: Any, key: Any = None) -> Iterator[Any]:
    from convt_trace.snippet.operators import comparable

    group: list[Any] = []
    last: Any = None
    for one in reader.iterate(items):
        mark = one if key is None else reader.call(key, (one,), {})
        if group and not reader.truth(comparable(reader, _equal, mark, last)):
            yield last, iter(group)
            group = []
        group.append(one)
        last = mark
    if group:
        yield last, iter(group)


def _equal(left: Any, right: Any) -> Any:
    return left == right


_equal.__name__ = "eq"  # a text's own __eq__ is found by it


# -- functools and operator -----------------------------------------------------------------------


def _cached(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``lru_cache``, with or without brackets, and ``cache``."""
    if not args or not isinstance(args[0], values.Own):
        return values.Function("lru_cache", _cached)
    function, kept = args[0], {}

    def call(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        key = reader.hashable((args, tuple(sorted(kwargs.items()))))
        if key not in kept:
            kept[key] = reader.call(function, args, kwargs)
            reader.budget.made(1)
        return kept[key]

    return values.Function(getattr(function, "name", "cached"), call)


def _property(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    return values.Decorated("property", args[0])


_OPERATORS: dict[str, type] = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "truediv": ast.Div, "floordiv": ast.FloorDiv,
    "mod": ast.Mod, "pow": ast.Pow, "matmul": ast.MatMult,
}  # fmt: skip


def _operator(kind: type) -> Callable[..., Any]:
    def act(reader: Reader, left: Any, right: Any) -> Any:
        from convt_trace.snippet.operators import binary

        return binary(reader, kind, left, right)

    return act


def _getter(get: str) -> Callable[..., Any]:
    """``operator.itemgetter`` and ``attrgetter`` of one place."""

    def make(reader: Reader, *places: Any) -> Any:
        from convt_trace.snippet import attributes

        if len(places) != 1 or get == "get" and not isinstance(places[0], str):
            raise Refused(f"operator.{get} of several places", "Use a lambda.")
        look = attributes.get_item if get == "get_item" else attributes.get
        return values.Function(get, plain(lambda reader, owner: look(reader, owner, places[0])))

    return make


# -- textwrap -------------------------------------------------------------------------------------


def _wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    def act(reader: Reader, text: Any, *args: Any, **kwargs: Any) -> Any:
        given = [text, *args, *kwargs.values()]
        if not all(isinstance(one, (str, int)) and len(str(one)) <= _LONGEST for one in given):
            raise Refused("textwrap of that", "Use it on short texts.")
        lines = text.count("\n") + 1
        reader.budget.made(
            len(text) + lines * sum(len(one) for one in given if isinstance(one, str))
        )
        return function(text, *args, **kwargs)

    return act


# -- argparse -------------------------------------------------------------------------------------


class Parser(values.Own):
    """``argparse.ArgumentParser``: the command line of a text is empty, or the list it gives."""

    def __init__(self) -> None:
        self.parser = _Quiet(prog="text", add_help=False)


class _Quiet(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        """Refuse instead of ending the process."""
        raise Refused(f"a command line that is not there: {message}", "Give it a default.")


def _parser(reader: Reader, *args: Any, **kwargs: Any) -> Parser:
    return Parser()


_KEPT = {"default", "type", "action", "nargs", "dest", "choices", "required", "const"}
_ACTIONS = ("store", "store_true", "store_false", "store_const", "append", "count")


def _add_argument(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    owner, *names = args
    given = {name: value for name, value in kwargs.items() if name in _KEPT}
    if given.get("action", "store") not in _ACTIONS:
        raise Refused("an argument with an action of that kind", "Leave action= out.")
    nargs = given.get("nargs")
    if nargs is not None and nargs not in ("?", "*", "+") and not isinstance(nargs, int):
        raise Refused("an argument with nargs of that kind", "Use a whole number, ?, * or +.")
    if isinstance(nargs, int) and not 0 <= nargs <= _MOST_TAKEN:
        raise Refused(f"an argument of more than {_MOST_TAKEN} words", "Use fewer.")
    if not all(isinstance(name, str) for name in [*names, given.get("dest", "")]):
        raise TypeError("the name of an argument must be a string")
    if "type" in given:
        convert = given["type"]
        given["type"] = lambda word: reader.call(convert, (word,), {})
    if "choices" in given:
        given["choices"] = reader.collected(reader.iterate(given["choices"]))
    reader.budget.made(1)
    owner.parser.add_argument(*names, **given)


def _group(reader: Reader, args: Args, kwargs: Kwargs) -> Parser:
    return args[0]


def _set_defaults(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    args[0].parser.set_defaults(**kwargs)


def _parsed(known: bool) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        given = args[1] if len(args) > 1 else kwargs.get("args")
        words = [] if given is None else reader.collected(reader.iterate(given))
        if len(words) > _MOST_WORDS or not all(isinstance(one, str) for one in words):
            raise Refused("a command line of that kind", f"Use at most {_MOST_WORDS} words.")
        if given is None:
            reader.note("the command line is read as empty: every argument has its default")
        found, rest = args[0].parser.parse_known_args(words)
        if rest and not known:
            raise Refused(
                f"the argument {rest[0][:60]} of a command line", "Add it, or leave it out."
            )
        names = dict(found.__dict__)
        made = values.Instance(values.UserClass("Namespace", (), {}, 0), names)
        made.cls.fields = [(name, ...) for name in names]
        return (made, rest) if known else made

    return act


PARSER_METHODS: dict[str, Action] = {
    "add_argument": _add_argument,
    "add_argument_group": _group,
    "add_mutually_exclusive_group": _group,
    "set_defaults": _set_defaults,
    "parse_args": _parsed(False),
    "parse_known_args": _parsed(True),
}


def library_table() -> dict[str, Any]:
    """Return these names by their dotted names."""
    own: dict[str, Callable[..., Any]] = {
        "itertools.count": _count, "itertools.cycle": _cycle, "itertools.repeat": _repeat,
        "itertools.islice": _islice, "itertools.accumulate": _accumulate,
        "itertools.combinations": _chosen(itertools.combinations),
        "itertools.permutations": _chosen(itertools.permutations),
        "itertools.combinations_with_replacement":
            _chosen(itertools.combinations_with_replacement),
        "itertools.chain.from_iterable": _from_iterable, "itertools.zip_longest": _zip_longest,
        "itertools.pairwise": _pairwise, "itertools.starmap": _starmap,
        "itertools.groupby": _groupby,
        **{f"operator.{name}": _operator(kind) for name, kind in _OPERATORS.items()},
        "operator.itemgetter": _getter("get_item"), "operator.attrgetter": _getter("get"),
        "textwrap.dedent": _wrapped(textwrap.dedent), "textwrap.indent": _wrapped(textwrap.indent),
        "textwrap.fill": _wrapped(textwrap.fill), "textwrap.wrap": _wrapped(textwrap.wrap),
        "argparse.ArgumentParser": _parser,
    }  # fmt: skip
    table: dict[str, Any] = {
        name: values.Function(name, plain(function)) for name, function in own.items()
    }
    table["typing.TYPE_CHECKING"] = False
    for name in ("lru_cache", "cache"):
        table[f"functools.{name}"] = values.Function(f"functools.{name}", _cached)
    table["functools.cached_property"] = values.Function("functools.cached_property", _property)
    for name in ("ArgumentDefaultsHelpFormatter", "RawTextHelpFormatter"):
        table[f"argparse.{name}"] = None  # how a help text looks: nobody sees it here
    return table

"""The transposed convolutions that a text writes down, found from its syntax alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from itertools import takewhile
from typing import Any

from convt_trace.engine.layer import MODULE
from convt_trace.snippet.clean import parse
from convt_trace.snippet.constants import Constants, Function, Owners, Unknown, defaults
from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.messages import pasted_error
from convt_trace.snippet.reading import Argument, Definition
from convt_trace.snippet.trial import GUESS, trial
from convt_trace.snippet.wire import Send

#: Where something is written: line and column.
Place = tuple[int, int]

_NAMES = re.compile(r"(?:Lazy)?ConvTranspose([123])d|conv_transpose([123])d")
_MOST_CHARS = 300


def written_in(
    source: str, limits: Limits, send: Send
) -> tuple[ast.Module, str, list[tuple[Place, Definition]]] | None:
    """Parse a text and send what it writes down, and what was cleaned.

    Returns
    -------
    tree, text, definitions
        The text as it was parsed, and `definitions`; None where it can't be parsed, which is sent.
    """
    told = pasted_error(source) if len(source) <= limits.source_chars else None
    try:
        tree, text, notes = parse(source, limits)
        if told is not None and all(map(_is_message, tree.body)):
            raise SnippetError("SyntaxError", "no code")
    except SnippetError as error:
        if told is not None and error.type == "SyntaxError":
            kind, message, line, attempt = told
            send_error(send, kind, message, [line], "", attempt, pasted=True)
            return None
        send_error(
            send, error.type, error.message, [error.lineno] if error.lineno else [], error.hint
        )
        return None
    for line, note in notes:
        send("note", [line, note])
    written = definitions(tree, text)
    send("written", [_as_sent(one) for _, one in written])
    return tree, text, written


def _is_message(node: ast.stmt) -> bool:
    """Whether Python reads an error message as an annotated name: ``ValueError: padding``."""
    name = node.target if isinstance(node, ast.AnnAssign) and node.value is None else None
    return isinstance(name, ast.Name) and name.id.endswith(("Error", "Exception"))


def send_error(
    send: Send,
    kind: str,
    message: str,
    stack: list[int],
    hint: str,
    attempt: Any = None,
    pasted: bool = False,
) -> None:
    """Send what ended a text, or an error message that a text is."""
    error = {"type": kind, "message": message, "stack": stack, "hint": hint}
    send("error", {**error, "attempt": attempt, "pasted": pasted})


def _as_sent(one: Definition) -> dict[str, Any]:
    fields = asdict(one)
    for name in ("init_arguments", "forward_arguments"):
        fields[name] = [[part["name"], part["default"]] for part in fields[name]]
    return fields


def definitions(tree: ast.Module, source: str) -> list[tuple[Place, Definition]]:
    r"""Return every transposed convolution of a text, and line and column of the call that makes it.

    A call counts when its name is one of torch's, an alias of one (``Up = nn.ConvTranspose2d``,
    ``partial(...)``, a choice between two), or a class that inherits from one. A constructor that is
    handed over without a call, as in a dict of layers, counts where it stands.

    >>> text = "from torch import nn\nUp = nn.ConvTranspose2d\nlayer = Up(8, 4, 2)"
    >>> [(at, one.text) for at, one in definitions(ast.parse(text), text)]
    [((3, 8), 'Up(8, 4, 2)')]
    """
    names, constants, guess = _Aliases(tree), Constants(tree), Constants(tree, GUESS)
    lines = source.split("\n")
    found: list[tuple[ast.expr, Owners, str]] = []
    handed_over: list[tuple[ast.expr, Owners, str]] = []
    called: set[int] = set()
    for node, owners in _walk(tree, ()):
        if isinstance(node, ast.Call) and (op := _op(node.func, names)):
            called |= {id(node.func), *names.sources.get(_key(node.func), ())}
            found.append((node, owners, op))
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            match = _NAMES.fullmatch(_last(node))
            if match and not _last(node).startswith("conv"):
                handed_over.append((node, owners, f"conv_transpose{match[1]}d"))
    # What has a name whose calls are listed needs no line of its own.
    found += [one for one in handed_over if id(one[0]) not in called]
    made = [
        (
            (node.lineno, node.col_offset),
            _definition(
                node, owners, op, lines, _values(node, owners, constants, names.own), guess
            ),
        )
        for node, owners, op in found
    ]
    return sorted(made, key=lambda one: one[0])


class _Aliases(dict[str, str]):
    """Names that stand for a transposed convolution.

    Attributes
    ----------
    sources : dict
        The expressions that gave each.
    own : set of str
        Names of which an argument by position may be another one than torch's layer has there.
    """

    def __init__(self, tree: ast.Module):
        super().__init__()
        self.sources: dict[str, set[int]] = {}
        self.own: set[str] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            self._imports(node)
            if isinstance(node, Function):
                for name, default in defaults(node.args):
                    self._learn([name], default)
        for _ in range(4):  # an alias of an alias, a class of a class
            before = len(self)
            for node in nodes:
                if isinstance(node, ast.Assign):
                    self._learn([_dotted(target) for target in node.targets], node.value)
                elif isinstance(node, ast.ClassDef):
                    self._class(node)
            if len(self) == before:
                break

    def _imports(self, node: ast.AST) -> None:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if alias.asname and (match := _NAMES.fullmatch(alias.name)):
                self[alias.asname] = f"conv_transpose{match[1] or match[2]}d"

    def _class(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            self._learn([node.name], base)
        methods = [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
        if node.name in self and "__init__" in methods:
            self.own.add(node.name)
        for one in node.body:
            if isinstance(one, ast.Assign):
                self._learn([f"self.{_dotted(target)}" for target in one.targets], one.value)

    def _learn(self, targets: list[str], value: ast.expr | None) -> None:
        for part in _choices(value) if value is not None else ():
            if op := _constructor(part, self):
                for target in filter(None, targets):
                    self.setdefault(target, op)
                    given = self.sources.setdefault(target, set())
                    given |= {id(part), *self.sources.get(_dotted(part), ())}
                    if isinstance(value, ast.Call) or _dotted(part) in self.own:
                        self.own.add(target)


def _choices(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions that one may evaluate to, of those that hold a constructor."""
    if isinstance(node, ast.IfExp):
        yield from _choices(node.body)
        yield from _choices(node.orelse)
    elif isinstance(node, ast.Call) and _last(node.func) == "partial" and node.args:
        yield node.args[0]
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _choices(value)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for value in node.elts:
            yield from _choices(value)
    elif isinstance(node, ast.Subscript):
        yield from _choices(node.value)
    else:
        yield node


def _constructor(node: ast.expr, names: _Aliases) -> str:
    """Return the function of the layer that a name stands for; empty for anything else."""
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return ""
    match = _NAMES.fullmatch(_last(node))
    if match:
        return f"conv_transpose{match[1] or match[2]}d"
    return names.get(_dotted(node), "")


def _key(node: ast.expr) -> str:
    """Return the name that is called; of ``layers["up"]`` the name of the layers."""
    return _dotted(node.value if isinstance(node, ast.Subscript) else node)


def _op(node: ast.expr, names: _Aliases) -> str:
    if isinstance(node, ast.Subscript):
        return _constructor(node.value, names)
    if isinstance(node, ast.Call) and _last(node.func) == "getattr" and len(node.args) > 1:
        match = re.search(r"ConvTranspose.*?([123])?d?['\"]$", ast.unparse(node.args[1]))
        return f"conv_transpose{match[1] or 2}d" if match else ""
    return _constructor(node, names)


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    """Return a name, or a name and an attribute: `up` is another one than `self.up`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _walk(node: ast.AST, owners: Owners) -> Iterator[tuple[ast.AST, Owners]]:
    """Yield every node and the classes and functions around it, on a stack of our own."""
    todo = [(node, owners)]
    while todo:
        node, owners = todo.pop()
        yield node, owners
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            owners = (*owners, node)
        todo.extend((child, owners) for child in ast.iter_child_nodes(node))


def _definition(
    node: ast.expr,
    owners: Owners,
    op: str,
    lines: list[str],
    values: dict[str, Any],
    guess: Constants,
) -> Definition:
    named = [one for one in owners if isinstance(one, (ast.ClassDef, ast.FunctionDef))]
    classes = [one for one in named if isinstance(one, ast.ClassDef)]
    owner: Any = next(iter(classes or named), None)
    init: tuple[Argument, ...] = ()
    forward: tuple[Argument, ...] = ()
    if isinstance(owner, ast.ClassDef):
        methods = {one.name: one for one in owner.body if isinstance(one, ast.FunctionDef)}
        if "__init__" in methods:
            init = _arguments(methods["__init__"].args, skip=1)
        if "forward" in methods:
            forward = _arguments(methods["forward"].args, skip=1)
    elif owner is not None:
        init = _arguments(owner.args, skip=0)
    return Definition(
        line=node.lineno,
        text=_text(node, lines)[:_MOST_CHARS],
        op=op,
        owner=owner.name if owner is not None else None,
        owner_line=owner.lineno if owner is not None else None,
        init_arguments=init,
        forward_arguments=forward,
        arguments={name: value for name, value in values.items() if value is not _UNKNOWN},
        unknown=tuple(name for name, value in values.items() if value is _UNKNOWN),
        trial=trial(
            owner.name if owner is not None else node.lineno, init, forward, owners, node, guess
        ),
    )


def _text(node: ast.expr, lines: list[str]) -> str:
    """Return an expression as it is written, on one line (`ast` cuts the whole text for each)."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    cut = [line.encode() for line in lines[first : last + 1]]
    if not cut:
        return ast.unparse(node)
    cut[-1] = cut[-1][: node.end_col_offset]
    cut[0] = cut[0][node.col_offset :]
    return " ".join(b" ".join(cut).decode(errors="replace").split())


def _arguments(spec: ast.arguments, skip: int) -> tuple[Argument, ...]:
    return tuple(
        Argument(name, ast.unparse(default)[:80] if default is not None else None)
        for name, default in defaults(spec)[skip:]
    )


_UNKNOWN = object()


def _values(node: ast.expr, owners: Owners, constants: Constants, own: set[str]) -> dict[str, Any]:
    """Return the arguments of the call that makes a layer; `_UNKNOWN` what the syntax does not tell."""
    name = _last(node.func) if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call) or name.startswith("conv_"):
        return {}
    order = MODULE[1:] if name.startswith("Lazy") else MODULE
    plain = [*takewhile(lambda one: not isinstance(one, ast.Starred), node.args)]
    plain = [] if _dotted(node.func) in own else plain
    given = dict(zip(order, plain)) | {one.arg: one.value for one in node.keywords if one.arg}
    held = {}
    for argument in order:
        if argument in given:
            try:
                held[argument] = _flat(constants.value(given[argument], owners))
            except Unknown:
                held[argument] = _UNKNOWN
    open_ended = len(plain) < len(node.args) or any(one.arg is None for one in node.keywords)
    if open_ended or _dotted(node.func) in own:
        held |= dict.fromkeys(set(order) - set(held), _UNKNOWN)
    return held


def _flat(value: Any) -> Any:
    """Return a value that is one of a layer's arguments by its kind."""
    if isinstance(value, tuple) and (
        len(value) > 8 or any(isinstance(one, tuple) for one in value)
    ):
        raise Unknown
    return value


# -- what else the syntax tells -----------------------------------------------------------------------


def guarded_imports(tree: ast.Module) -> set[int]:
    """Return the lines of imports whose failing the text itself catches."""
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(map(_catches_imports, node.handlers)):
            for one in (one for part in node.body for one in ast.walk(part)):
                if isinstance(one, (ast.Import, ast.ImportFrom)):
                    lines |= set(range(one.lineno, (one.end_lineno or one.lineno) + 1))
    return lines


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if any(isinstance(node, ast.Raise) for part in handler.body for node in ast.walk(part)):
        return False  # it only says so in other words
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    known = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return any(_last(kind) in known for kind in kinds)


def reads_gradients(tree: ast.Module) -> bool:
    """Whether a text looks at a tensor's ``.grad``."""
    functions = ("torch", "autograd", "nn")
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "grad"
        and _last(node.value) not in functions
        for node in ast.walk(tree)
    )


_NAMING = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def imports_all(tree: ast.Module) -> bool:
    """Whether some names may come from a ``from ... import *``."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(alias.name == "*" for node in imports for alias in node.names)


def unmade_names(tree: ast.Module) -> dict[str, int]:
    """Return the names that a text uses and nowhere makes by name, and where it uses them first."""
    made: set[str] = set()
    used: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                used[node.id] = min(node.lineno, used.get(node.id, node.lineno))
            else:
                made.add(node.id)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            made.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, _NAMING) and node.name:
            made.add(node.name)
    return {name: line for name, line in used.items() if name not in made}

"""The transposed convolutions that a text writes down, found from its syntax alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from convt_trace.snippet.clean import parse
from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.reading import Argument, Definition
from convt_trace.snippet.wire import Send

#: Where something is written: line and column.
Place = tuple[int, int]

_NAMES = re.compile(r"(?:Lazy)?ConvTranspose([123])d|conv_transpose([123])d")
_MOST_CHARS = 300

Owners = tuple[ast.AST, ...]


def written_in(
    source: str, limits: Limits, send: Send
) -> tuple[ast.Module, str, list[tuple[Place, Definition]]] | None:
    """Parse a text and send what it writes down, and what was cleaned.

    Returns
    -------
    tree, text, definitions
        The text as it was parsed, and `definitions`; None where it can't be parsed, which is sent.
    """
    try:
        tree, text, notes = parse(source, limits)
    except SnippetError as error:
        send_error(
            send, error.type, error.message, [error.lineno] if error.lineno else [], error.hint
        )
        return None
    for line, note in notes:
        send("note", [line, note])
    written = definitions(tree, text)
    send("written", [_as_sent(one) for _, one in written])
    return tree, text, written


def send_error(
    send: Send, kind: str, message: str, stack: list[int], hint: str, attempt: Any = None
) -> None:
    """Send what ended a text."""
    error = {"type": kind, "message": message, "stack": stack, "hint": hint, "attempt": attempt}
    send("error", error)


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
    names = _aliases(tree)
    lines = source.split("\n")
    found: list[tuple[ast.expr, Owners, str]] = []
    called: set[int] = set()
    handed_over: list[tuple[ast.expr, Owners, str]] = []
    for node, owners in _walk(tree, ()):
        if isinstance(node, ast.Call):
            op = _op(node.func, names)
            if op:
                called.add(id(node.func))
                found.append((node, owners, op))
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            match = _NAMES.fullmatch(_last(node))
            if match and not _last(node).startswith("conv"):
                handed_over.append((node, owners, f"conv_transpose{match[1]}d"))
    used = {op for _, _, op in found}
    for node, owners, op in handed_over:
        # An alias whose calls are listed needs no line of its own.
        if id(node) not in called and not (op in used and id(node) in names.sources):
            found.append((node, owners, op))
    made = [
        ((node.lineno, node.col_offset), _definition(node, owners, op, lines))
        for node, owners, op in found
    ]
    return sorted(made, key=lambda one: one[0])


class _Aliases(dict[str, str]):
    """Names that stand for a transposed convolution, and the expressions that gave them."""

    sources: set[int]


def _aliases(tree: ast.Module) -> _Aliases:
    """Return the names and attributes that stand for a constructor."""
    names = _Aliases()
    names.sources = set()
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    imported = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    for alias in (alias for node in imported for alias in node.names if alias.asname):
        if match := _NAMES.fullmatch(alias.name):
            names[str(alias.asname)] = f"conv_transpose{match[1] or match[2]}d"
    for _ in range(4):  # an alias of an alias, a class of a class
        before = len(names)
        for cls in classes:
            for base in cls.bases:
                if op := _constructor(base, names):
                    names.setdefault(cls.name, op)
                    names.sources.add(id(base))
        for node in assigned:
            for part in _choices(node.value):
                if op := _constructor(part, names):
                    names.sources.add(id(part))
                    for target in node.targets:
                        if isinstance(target, (ast.Name, ast.Attribute)):
                            names.setdefault(_last(target), op)
        if len(names) == before:
            break
    return names


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


def _constructor(node: ast.expr, names: dict[str, str]) -> str:
    """Return the function of the layer that a name stands for; empty for anything else."""
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return ""
    match = _NAMES.fullmatch(_last(node))
    if match:
        return f"conv_transpose{match[1] or match[2]}d"
    return names.get(_last(node), "")


def _op(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Subscript):  # layers["up"](...)
        return _constructor(node.value, names)
    if isinstance(node, ast.Call) and _last(node.func) == "getattr" and len(node.args) > 1:
        match = re.search(r"ConvTranspose.*?([123])?d?['\"]$", ast.unparse(node.args[1]))
        return f"conv_transpose{match[1] or 2}d" if match else ""
    return _constructor(node, names)


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
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


def _definition(node: ast.expr, owners: Owners, op: str, lines: list[str]) -> Definition:
    classes = [one for one in owners if isinstance(one, ast.ClassDef)]
    functions = [one for one in owners if isinstance(one, ast.FunctionDef)]
    owner: Any = classes[0] if classes else (functions[0] if functions else None)
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
        in_channels=_in_channels(node),
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
    names = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults)) + [*spec.defaults]
    pairs = [*zip(names, defaults)][skip:] + [*zip(spec.kwonlyargs, spec.kw_defaults)]
    return tuple(
        Argument(name.arg, ast.unparse(default)[:80] if default is not None else None)
        for name, default in pairs
    )


def _in_channels(node: ast.expr) -> int | None:
    if not isinstance(node, ast.Call):
        return None
    first = node.args[0] if node.args else None
    for keyword in node.keywords:
        if keyword.arg == "in_channels":
            first = keyword.value
    if isinstance(first, ast.Constant) and type(first.value) is int and first.value < 2**31:
        return first.value
    return None


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
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    known = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return any(_last(kind) in known for kind in kinds)


_NAMING = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def unmade_names(tree: ast.Module) -> dict[str, int]:
    """Return the names that a text uses and nowhere makes, and where it uses them first."""
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
            if any(alias.name == "*" for alias in node.names):
                return {}
        elif isinstance(node, _NAMING) and node.name:
            made.add(node.name)
    return {name: line for name, line in used.items() if name not in made}

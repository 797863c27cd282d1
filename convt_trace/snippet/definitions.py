"""Transposed convolutions that a text writes down and never calls, and how to run them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from convt_trace.snippet import values
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.reading import Argument, Definition, Run

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

_NAMES = re.compile(r"(?:Lazy)?ConvTranspose([123])d|conv_transpose([123])d")


def definitions(
    reader: Reader, tree: ast.Module, source: str, ended: tuple[int, ...] = ()
) -> tuple[Definition, ...]:
    """Return the transposed convolutions of a text that nothing in it calls.

    Parameters
    ----------
    reader : Reader
    tree : ast.Module
    source : str
    ended : tuple of int
        The lines in which the reading ended with an error. What stands around them was being
        called: the text is not to blame for what it did not reach.
    """
    found = []
    for node, owners in _calls(tree, ()):
        match = _NAMES.fullmatch(_last_name(node.func))
        if match is None or _ran(reader, node, layer=match[1] is not None):
            continue
        if any(_holds(one, line) for one in (node, *owners) for line in ended):
            continue
        found.append(_definition(node, owners, match, source))
    return tuple(found)


def _calls(
    node: ast.AST, owners: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    inside = owners
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        inside = (*owners, node)
    if isinstance(node, ast.Call):
        yield node, owners
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, inside)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _ran(reader: Reader, node: ast.Call, layer: bool) -> bool:
    recorder, place = reader.recorder, (node.lineno, node.col_offset)
    if not layer:
        return place in recorder.begun
    # A layer whose constructor failed is none: nothing could call it.
    failed = place in recorder.begun and place not in recorder.constructed_at.values()
    return failed or place in recorder.ran


def _holds(node: Any, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _definition(
    node: ast.Call, owners: tuple[ast.AST, ...], match: re.Match[str], source: str
) -> Definition:
    text = " ".join((ast.get_source_segment(source, node) or "").split())
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
        text=text[:300],
        op=f"conv_transpose{match[1] or match[2]}d",
        owner=owner.name if owner is not None else None,
        owner_line=owner.lineno if owner is not None else None,
        init_arguments=init,
        forward_arguments=forward,
        in_channels=_in_channels(node) if match[1] else None,
    )


def _arguments(spec: ast.arguments, skip: int) -> tuple[Argument, ...]:
    names = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(spec.defaults)) + [*spec.defaults]
    pairs = [*zip(names, defaults)][skip:] + [*zip(spec.kwonlyargs, spec.kw_defaults)]
    return tuple(
        Argument(name.arg, ast.unparse(default)[:80] if default is not None else None)
        for name, default in pairs
    )


def _in_channels(node: ast.Call) -> int | None:
    first = node.args[0] if node.args else None
    for keyword in node.keywords:
        if keyword.arg == "in_channels":
            first = keyword.value
    if isinstance(first, ast.Constant) and isinstance(first.value, int):
        return first.value
    return None


# -- running --------------------------------------------------------------------------------------


def run_definition(reader: Reader, found: tuple[Definition, ...], run: Run) -> None:
    """Make an object of the class that was asked for and call it."""
    target = _target(reader, found, run)
    reader.stack = [target.line if isinstance(target, values.UserClass) else _line_of(found, run)]
    if isinstance(target, torch.nn.Module):
        module: Any = target
    else:
        module = reader.call(target, *_init_arguments(reader, run))
    if isinstance(target, values.UserFunction):
        return
    inputs: Any = tuple(_random_input(reader, shape) for shape in run.input_shapes)
    if not inputs:
        inputs = _given(reader, "get_inputs")
    if not inputs:
        raise Refused("a run without an input shape", "Give the shape of the input.")
    reader.call(module, tuple(inputs), {})


def run_by_itself(reader: Reader, found: tuple[Definition, ...]) -> bool:
    """Run ``Model(*get_init_inputs())(*get_inputs())`` where a text has these functions."""
    if reader.top.find("get_inputs") is None:
        return False
    owners = {one.owner for one in found}
    classes = [one for one in reader.classes if one.module is not None]
    wanted = [one for one in classes if one.name in ("Model", "ModelNew")] or [
        one for one in classes if one.name in owners
    ]
    if not wanted:
        return False
    run_definition(reader, found, Run(wanted[0].name))
    reader.note("run with its own get_init_inputs() and get_inputs()", wanted[0].line)
    return True


def _target(reader: Reader, found: tuple[Definition, ...], run: Run) -> Any:
    if isinstance(run.target, str):
        for cls in reader.classes:
            if cls.name == run.target:
                return cls
        held = reader.top.names.get(run.target)
        if isinstance(held, (torch.nn.Module, values.UserFunction)):
            return held
        raise Refused(f"no class named {run.target[:60]}", "Name a class of the text.")
    for one in found:
        if run.target in (one.line, one.owner_line):
            if one.owner is not None:
                return _target(reader, found, replace(run, target=one.owner))
            for module in reader.recorder.alive:
                if reader.recorder.constructed_at[id(module)][0] == one.line:
                    return module
    for cls in reader.classes:
        if cls.line == run.target:
            return cls
    raise Refused(f"no layer to run on line {run.target}", "Name a line that defines one.")


def _line_of(found: tuple[Definition, ...], run: Run) -> int:
    return run.target if isinstance(run.target, int) else next((one.line for one in found), 0)


def _init_arguments(reader: Reader, run: Run) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if run.init_args is not None:
        return _written_arguments(reader, run.init_args)
    given = _given(reader, "get_init_inputs")
    if isinstance(given, dict):
        return (), given
    return tuple(given or ()), {}


def _written_arguments(reader: Reader, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Read ``64, 32, bilinear=True`` with the reader itself."""
    from convt_trace.snippet.clean import parse

    tree, _ = parse(f"dict_of_arguments({text}\n)", reader.budget.limits)
    call = (
        tree.body[0].value if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) else None
    )
    if not isinstance(call, ast.Call):
        raise Refused("constructor arguments of that form", "Write them as in a call: 64, 32.")
    args = tuple(reader.value(one, reader.top) for one in call.args)
    return args, {one.arg: reader.value(one.value, reader.top) for one in call.keywords if one.arg}


def _given(reader: Reader, name: str) -> Any:
    function = reader.top.names.get(name)
    if not isinstance(function, values.UserFunction):
        return None
    result = reader.call(function, (), {})
    return result if isinstance(result, dict) else list(reader.iterate(result))


def _random_input(reader: Reader, shape: tuple[int, ...]) -> torch.Tensor:
    reader.budget.size(abs(int(one)) for one in shape)
    reader.random.drew("torch")
    return torch.randn(*map(int, shape))

"""The ladder of modules holds: each imports only what stands above it, and the engine is numpy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import convt_trace

PACKAGE = Path(convt_trace.__file__).parent

#: Top to bottom. Only the last needs torch.
LADDER = ("errors", "layer", "arrays", "blocks", "trace", "case", "reference")
#: What a method may import when it is called: the way from a case to a file or a page of it.
DOORS = {"trace": {"export"}, "case": {"files", "export"}}
#: What is said about a case: above the pages, beside the drawings, and knowing neither.
WORDS = ("sums", "advice", "pasted", "words", "words_conv", "misread")
LIBRARIES = {"numpy", "ml_dtypes"}


def imports(module: str, everywhere: bool = True) -> set[str]:
    """The full names that a module imports; not ``everywhere``, only those that run at its import."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    nodes = list(ast.walk(tree)) if everywhere else list(_at_import(tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the ladder is read off absolute imports"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _at_import(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _at_import(child)


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", LADDER)
def test_a_module_imports_only_those_above_it(module: str):
    below = {f"convt_trace.{other}" for other in LADDER[LADDER.index(module) :]}
    assert not imports(module) & below
    ours = {name.split(".")[1] for name in imports(module) if name.startswith("convt_trace.")}
    assert ours <= {*LADDER, *DOORS.get(module, ())}
    at_import = {name.split(".")[1] for name in imports(module, False) if "convt_trace." in name}
    assert at_import <= set(LADDER)


@pytest.mark.parametrize("module", LADDER[:-1])
def test_the_engine_needs_numpy_and_ml_dtypes_alone(module: str):
    others = roots(imports(module, everywhere=False)) - sys.stdlib_module_names - {"convt_trace"}
    assert others <= LIBRARIES
    assert not roots(imports(module)) & {"torch", "streamlit"}


@pytest.mark.parametrize("module", WORDS)
def test_words_know_neither_pages_nor_drawings(module: str):
    names = imports(module)
    assert not roots(names) & {"streamlit"}
    ours = {name.split(".")[1] for name in names if name.startswith("convt_trace.")}
    assert ours <= {*LADDER, *WORDS}


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_tracing_loads_neither_torch_nor_a_page():
    loaded = loaded_after(
        "import convt_trace\n"
        "case = convt_trace.Case.of([[[1, 2]]], [[[3, 4]]])\n"
        "case.trace()[0], case.trace('gather')[:], case.trace().output"
    )
    assert "numpy" in loaded
    assert not loaded & {"torch", "streamlit", "pandas"}


def test_comparing_with_torch_loads_torch_and_no_page():
    loaded = loaded_after("import convt_trace\nconvt_trace.compare")
    assert "torch" in loaded
    assert not loaded & {"streamlit"}

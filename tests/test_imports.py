"""The ladder of wings holds: each imports only what stands below it, imports inside functions counted."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import convt_trace

PACKAGE = Path(convt_trace.__file__).parent

#: The wings from the ground up; each may import those on the floors below its own, and itself.
FLOORS = (
    ("engine",),
    ("answers", "elsewhere", "links", "planning", "snippet", "views"),
    ("player",),
    ("figures",),
    ("app", "__main__"),
)
#: The engine from the ground up; only the last two need torch.
ENGINE = (
    "errors", "extras", "text", "memory", "layer", "orders", "arrays", "blocks", "trace",
    "convolution", "case", "conv_layer", "conv_trace", "conv", "view", "cost", "sized", "made", "calls",
    "reference", "modules",
    "gradients", "recording", "flow",
)  # fmt: skip
LIBRARIES = {"numpy", "ml_dtypes"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports(module: str) -> set[str]:
    """The full names that a module imports, wherever in it; for types alone they do not count."""
    names = set()
    for node in walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the ladder is read off absolute imports"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` is an import of the module, not of the package.
            names |= {name if name in MODULES else node.module for name in full}
    return names


def walk(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from walk(child)


def wing(module: str) -> str:
    """The wing that a module stands in; the package's own front door stands in none."""
    return (module.split(".") + [""])[1]


OURS = {module: imports(module) & set(MODULES) - {module} for module in MODULES}


@pytest.mark.parametrize("module", [module for module in MODULES if wing(module)])
def test_a_module_imports_only_from_its_own_floor_and_below(module: str):
    floor = next(at for at, wings in enumerate(FLOORS) if wing(module) in wings)
    below = {wing for wings in FLOORS[:floor] for wing in wings} | {wing(module)}
    assert {other for other in OURS[module] if wing(other) not in below} == set()


def test_no_modules_import_each_other_in_a_circle():
    # What is left when all are taken away that import nothing left is a circle, or leads into one.
    left = {module: set(others) for module, others in OURS.items()}
    while free := [module for module, others in left.items() if not others & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


@pytest.mark.parametrize("module", [module for module in MODULES if wing(module) != "app"])
def test_streamlit_stays_in_the_app(module: str):
    assert not {name.partition(".")[0] for name in imports(module)} & {"streamlit", "starlette"}


@pytest.mark.parametrize("place", range(len(ENGINE)))
def test_the_engine_is_a_ladder_too(place: int):
    module = f"convt_trace.engine.{ENGINE[place]}"
    assert OURS[module] <= {f"convt_trace.engine.{below}" for below in ENGINE[:place]}


def test_every_module_of_the_engine_is_on_its_ladder():
    assert {path.stem for path in (PACKAGE / "engine").glob("*.py")} == {*ENGINE, "__init__"}


@pytest.mark.parametrize("module", ENGINE[: ENGINE.index("reference")])
def test_the_engine_needs_numpy_and_ml_dtypes_alone(module: str):
    roots = {name.partition(".")[0] for name in imports(f"convt_trace.engine.{module}")}
    assert roots - sys.stdlib_module_names - {"convt_trace"} <= {*LIBRARIES, "pandas"}


@pytest.mark.parametrize("module", [module for module in MODULES if wing(module) == "elsewhere"])
def test_translating_needs_numpy_alone(module: str):
    roots = {name.partition(".")[0] for name in imports(module)}
    file = {"onnx", "google"} if module.endswith(".onnx_file") else set()
    assert roots - sys.stdlib_module_names - {"convt_trace"} <= {"numpy"} | file


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
    assert not loaded & {"torch", "streamlit", "pandas", "plotly"}


def test_comparing_with_torch_loads_torch_and_no_page():
    loaded = loaded_after("import convt_trace\nconvt_trace.compare")
    assert "torch" in loaded
    assert not loaded & {"streamlit", "plotly"}

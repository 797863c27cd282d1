"""The documentation is tied to the code: its programs run, and what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
from test_imports import ENGINE, FLOORS

import convt_trace

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "convt_trace"
README = (ROOT / "README.md").read_text()
HOW = (ROOT / "docs" / "how-it-works.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: What is not ours: bundles of other people's JavaScript, each beside its licence.
BUNDLES = [path.with_suffix(".js") for path in PACKAGE.rglob("*.LICENSE")]
SOURCES = [
    path
    for folder in (PACKAGE, ROOT / "scripts", ROOT / "bench", ROOT / "pages")
    for path in sorted(folder.rglob("*"))
    if path.suffix in (".py", ".js", ".css") and path not in BUNDLES
]

#: A file named with its folder, a file or a folder between backticks, a dotted name of the package.
WITH_FOLDER = re.compile(
    r'(?<![\w/.:<>*"-])(?:[\w.-]+/)+[\w-]+\.(?:py|m?js|md|css|toml|png|webp)\b'
)
QUOTED = re.compile(r"`((?:[\w-]+/)+|[\w-]+\.(?:py|m?js|md|css|toml))`")
DOTTED = re.compile(r"(?<![\w./])convt_trace(?:\.[A-Za-z_]\w*)+")


def programs(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(programs(README))))
def test_readme_programs_print_what_their_comments_say(number: int) -> None:
    program = programs(README)[number]
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    for said in re.findall(r"print\(.*\)\s+# (.*)", program):
        said = said.removesuffix(" ...").removesuffix(", the cropped ones included")
        assert said in run.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_readme_opens_with_a_moving_picture_and_both_commands() -> None:
    first_screen = README.splitlines()[:15]
    assert re.search(r"!\[[^]]*\]\(docs/images/\w+\.webp\)", "\n".join(first_screen))
    assert any(line.strip().startswith("make app") for line in first_screen)
    assert any(line.strip().startswith("make test") for line in first_screen)


def test_make_commands_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for command in re.findall(r"`make ([a-z]+)", page.read_text()):
            assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE), command


@pytest.mark.parametrize("text", [README, HOW], ids=["README", "how-it-works"])
def test_the_ladder_of_the_wings_is_the_tested_one(text: str) -> None:
    assert f"\n    {'  <-  '.join(', '.join(wings) for wings in FLOORS)}\n" in text


def test_the_ladder_of_the_engine_is_the_tested_one() -> None:
    assert f"\n    {'  <-  '.join(ENGINE)}\n" in HOW


def test_every_module_has_its_place_in_how_it_works() -> None:
    ours = [path for path in SOURCES if PACKAGE in path.parents and path.stem != "__init__"]
    names = {path.relative_to(PACKAGE).as_posix() for path in ours}
    named = set(re.findall(r"`([\w/]+\.\w+)`", HOW))
    assert names - named == set()


def test_every_wing_is_in_the_readme() -> None:
    for wing in (wing for wings in FLOORS for wing in wings):
        assert f"`convt_trace/{wing}" in README, wing


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda path: path.name)
def test_what_a_text_names_exists(file: Path) -> None:
    text = file.read_text()
    named = {*WITH_FOLDER.findall(text), *(QUOTED.findall(text) if file.suffix == ".md" else ())}
    assert {name for name in named if not exists(name, beside=file)} == set()
    for dotted in {*DOTTED.findall(text)}:
        resolve_name(dotted)


def exists(name: str, beside: Path) -> bool:
    """Whether there is a file or folder of this name; one without a folder may be anywhere."""
    if "/" in name:
        return any((at / name).exists() for at in (ROOT, PACKAGE, beside.parent))
    return (ROOT / name).exists() or any(path.name == name for path in [*SOURCES, *PAGES])


def test_every_public_name_is_documented() -> None:
    for name in convt_trace.__all__:
        assert (getattr(convt_trace, name).__doc__ or "").strip(), name

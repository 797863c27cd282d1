"""The documentation is tied to the code: its programs run, and what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import convt_trace

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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


def test_readme_names_both_commands_early() -> None:
    first_screen = README.splitlines()[:15]
    assert any(line.strip().startswith("make app") for line in first_screen)
    assert any(line.strip().startswith("make test") for line in first_screen)


def test_make_commands_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for command in re.findall(r"`make ([a-z]+)", page.read_text()):
            assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE), command


def test_every_module_is_mentioned() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    for module in (ROOT / "convt_trace").glob("*.py"):
        if not module.name.startswith("__"):
            assert module.name in text, module.name


def test_every_public_name_is_documented() -> None:
    for name in convt_trace.__all__:
        assert (getattr(convt_trace, name).__doc__ or "").strip(), name

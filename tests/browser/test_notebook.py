"""The widget where people work: docs/notebook.ipynb in JupyterLab, docs/notebook_marimo.py in marimo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from live_app import ROOT, free_port

SLOW = 60_000


@contextmanager
def serving(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Run a server of notebooks while the block runs; yield its address."""
    homes = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "XDG_CONFIG_HOME")
    env = {**os.environ, **{name: str(folder / name) for name in homes}}
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=log, stderr=log, env=env, cwd=folder
        )
    try:
        for _ in range(240):
            if server.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        assert server.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab with the example notebook; it asks nobody for news."""
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    shutil.copy(ROOT / "docs" / "notebook.ipynb", folder)
    command = [
        "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
        "--IdentityProvider.token=", "--ServerApp.password=", "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    with serving(command, port, folder) as url:
        yield url


@pytest.fixture(scope="module")
def notebook(lab: str, browser: Browser) -> Iterator[Page]:
    """The example notebook in JupyterLab, each of its cells run."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(f"{lab}/lab/tree/notebook.ipynb?reset")
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=SLOW)
    kernel = page.locator(".jp-Toolbar-kernelName")
    expect(kernel).to_have_text("Python 3 (ipykernel)", timeout=SLOW)
    page.get_by_role("menuitem", name="Run").first.click()
    page.get_by_role("menuitem", name="Run All Cells").first.click()
    # The last cell has run: its output is the map of an overlap.
    expect(page.locator(".jp-OutputArea .heat").first).to_be_visible(timeout=SLOW)
    yield page
    context.close()


def player(page: Page, number: int) -> Locator:
    return page.locator(".ct-widget").nth(number)


def run_again(page: Page, text: str) -> None:
    """Run the code cell with this text."""
    page.locator(".jp-CodeCell", has_text=text).locator(".cm-content").click()
    page.keyboard.press("Control+Enter")


def test_python_moves_the_player_and_hears_it(notebook: Page) -> None:
    shown = player(notebook, 1)
    # The cell below it has set the step and the cell.
    expect(shown.locator(".ct-readout")).to_have_text("MAC 5 of 12", timeout=SLOW)
    expect(shown.locator(".ct-player")).to_have_class(re.compile("ct-pinned"))
    shown.get_by_role("button", name="Step forward").click()
    expect(shown.locator(".ct-readout")).to_have_text("MAC 6 of 12")
    run_again(notebook, "print(player.step")
    expect(notebook.get_by_text(re.compile(r"^6 \(0, 0, 1\) \[5, 6\]"))).to_be_visible()


def test_keys_belong_to_the_player_that_has_the_focus(notebook: Page) -> None:
    first, second = player(notebook, 0), player(notebook, 1)
    expect(second.locator(".ct-readout")).to_have_text(re.compile("of 12"), timeout=SLOW)
    there = second.locator(".ct-readout").inner_text()
    first.locator(".ct-sentence").click()
    notebook.keyboard.press("ArrowRight")
    notebook.keyboard.press("ArrowRight")
    expect(first.locator(".ct-readout")).to_have_text("MAC 2 of 12")
    expect(second.locator(".ct-readout")).to_have_text(there)
    # A key that JupyterLab has a meaning for in a cell: B would add one below.
    cells = notebook.locator(".jp-Notebook .jp-Cell").count()
    notebook.keyboard.press("b")
    expect(notebook.locator(".jp-Notebook .jp-Cell")).to_have_count(cells)


def test_another_order_and_a_linked_view_come_from_the_kernel(notebook: Page) -> None:
    shown = player(notebook, 1)
    order = shown.get_by_label("Order of the MACs")
    expect(order).to_be_visible(timeout=SLOW)
    order.select_option("gather")
    expect(shown.get_by_label("Unit of a step")).to_contain_text("window")
    run_again(notebook, "player.step = 5")
    expect(shown.locator(".ct-readout")).to_have_text("MAC 5 of 12")
    shown.get_by_role("button", name="Matrix").click()
    expect(shown.locator("section[data-view=matrix] .ct-equation")).to_contain_text("=")


def test_the_calls_of_a_model_have_a_player_each(notebook: Page) -> None:
    expect(notebook.get_by_role("cell", name="(1, 4, 3, 3)")).to_be_visible()
    before = notebook.locator(".ct-widget").count()
    notebook.get_by_text("2. nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1)").click()
    expect(notebook.locator(".ct-widget")).to_have_count(before + 1)
    expect(notebook.locator(".ct-widget").last.locator(".ct-verdict")).to_contain_text("torch")


def test_the_dark_theme_is_the_players_too(notebook: Page) -> None:
    notebook.get_by_role("menuitem", name="Settings").first.click()
    notebook.locator(".lm-Menu-item", has_text=re.compile("^Theme")).first.hover()
    notebook.locator(".lm-Menu-item", has_text="JupyterLab Dark").first.click()
    expect(player(notebook, 0).locator(".ct-player")).to_have_class(re.compile("ct-night"))


def test_marimo_shows_the_same_player(tmp_path: Path, browser: Browser) -> None:
    port = free_port()
    shutil.copy(ROOT / "docs" / "notebook_marimo.py", tmp_path)
    command = ["marimo", "run", "notebook_marimo.py", "--headless", "--no-token", f"--port={port}"]
    with serving(command, port, tmp_path) as url:
        page = browser.new_page()
        page.goto(url)
        expect(page.locator(".ct-readout")).to_have_text("MAC 3 of 12", timeout=SLOW)
        page.get_by_role("button", name="Step forward").click()
        expect(page.get_by_text("The player stands at step 4.")).to_be_visible(timeout=SLOW)
        page.close()

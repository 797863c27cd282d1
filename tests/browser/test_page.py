"""The exported page, opened from disk with the network off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from convt_trace import Case
from convt_trace.engine.view import View
from convt_trace.links.settings import QUESTION
from convt_trace.player.page import notebook, to_html
from convt_trace.player.scene import WINDOW

Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Return a function that writes a page to disk and opens it, offline and watched."""
    complaints: list[str] = []
    contexts = []

    def watched(route: Route) -> None:
        if route.request.url.startswith(("http:", "https:", "ws:")):
            complaints.append(f"asked for {route.request.url}")
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    def open_html(html: str, **options: Any) -> Page:
        file = tmp_path / f"lesson-{len(contexts)}.html"
        file.write_text(html)
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_offline(True)
        context.route("**/*", watched)
        context.set_default_timeout(15_000)
        context.on("console", lambda m: m.type == "error" and complaints.append(m.text))
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri())
        return page

    yield open_html
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


def numbers(page: Page | Any, panel: str = "output") -> list[str]:
    """The numbers in a panel's cells that are not cropped."""
    cells: Locator = page.locator(f'figure[data-panel="{panel}"] .ct-number:not(.ct-faint)')
    return cells.all_text_contents()


def readout(page: Page | Any) -> Locator:
    return page.locator(".ct-readout")


def test_the_question_plays_to_its_end_from_disk(opened: Opened) -> None:
    page = opened(to_html(QUESTION.case(), title="How was that calculated?"))
    play = page.get_by_role("button", name="Play", exact=True)
    expect(play).to_be_visible()
    expect(page.get_by_role("heading", name="How was that calculated?")).to_be_visible()
    expect(page.locator(".js-plotly-plot .heatmaplayer image").first).to_be_attached()
    expect(page.locator("#wait")).to_be_hidden()
    assert numbers(page) == [""] * 4
    page.get_by_label("Speed").select_option("60")
    play.click()
    total = len(QUESTION.case().trace())
    expect(readout(page)).to_have_text(f"MAC {total} of {total}", timeout=30_000)
    assert numbers(page) == ["8", "8", "10", "10"]
    assert numbers(page, "torch") == ["8", "8", "10", "10"]
    expect(page.locator(".ct-verdict")).to_have_text("equals torch: all 4 output values, exactly")


def test_it_opens_at_its_step_in_its_order(opened: Opened) -> None:
    page = opened(to_html(QUESTION.case(), View("gather"), step=15))
    expect(readout(page)).to_have_text("MAC 15 of 72")
    expect(page.locator('figure[data-panel="weight"]')).to_contain_text("flipped")
    page.keyboard.press("ArrowRight")
    expect(readout(page)).to_have_text("MAC 16 of 72")


def long_case() -> Case:
    """Ten windows and a bit."""
    rng = np.random.default_rng(0)
    return Case.of(
        rng.normal(size=(1, 1, 64, 72)).astype(np.float32), np.ones((1, 1, 3, 3), np.float32)
    )


def test_a_long_trace_is_held_to_its_end(opened: Opened) -> None:
    case = long_case()
    page = opened(to_html(case))
    total = len(case.trace())
    expect(readout(page)).to_have_text(f"MAC 0 of {total:,}")
    expect(page.locator("#limit")).to_have_count(0)
    slider = page.get_by_role("slider", name="Step")
    for step in (5 * WINDOW + 7, 2 * WINDOW, 2 * WINDOW + 1, total):
        slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input')); }", step)
        expect(readout(page)).to_have_text(f"MAC {step:,} of {total:,}")


def test_what_a_page_leaves_out_is_said_and_stepped_over(opened: Opened) -> None:
    case = long_case()
    total, last = len(case.trace()), len(case.trace()) // WINDOW * WINDOW
    html = to_html(case, largest=2_900_000)
    held = html.count('id="window-') - 1
    assert 2 <= held < last // WINDOW
    page = opened(html)
    expect(page.locator("#limit")).to_contain_text(
        f"MACs 1 to {held * WINDOW:,} and {last + 1:,} to"
    )
    slider = page.get_by_role("slider", name="Step")

    def seek(step: int) -> None:
        slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input')); }", step)

    edge = held * WINDOW
    expect(readout(page)).to_have_text(f"MAC 0 of {total:,}")
    seek(edge)
    expect(readout(page)).to_have_text(f"MAC {edge:,} of {total:,}")
    page.keyboard.press("ArrowRight")
    expect(readout(page)).to_have_text(f"MAC {last + 1:,} of {total:,}")
    seek(last - 5)
    expect(readout(page)).to_have_text(f"MAC {edge:,} of {total:,}")
    page.get_by_label("Speed").select_option("60")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(readout(page)).to_have_text(f"MAC {total:,} of {total:,}", timeout=60_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_wears_the_readers_theme_and_follows_it(opened: Opened, scheme: Any) -> None:
    page = opened(to_html(QUESTION.case()), color_scheme=scheme)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    night = page.locator(".ct-player.ct-night")
    expect(night).to_have_count(int(scheme == "dark"))
    page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    expect(night).to_have_count(int(scheme == "light"))


def test_a_title_is_text(opened: Opened) -> None:
    title = "</title><script>alert(1)</script><img src=x onerror=alert(2)> {windows} &amp;"
    page = opened(to_html(QUESTION.case(), title=title))
    expect(page.get_by_role("heading")).to_have_text(title)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert page.title() == title


def test_it_plays_in_a_notebooks_frame(opened: Opened) -> None:
    page = opened(f"<!doctype html><body>{notebook(QUESTION.case())}</body>")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Last step").click()
    expect(readout(frame)).to_have_text("MAC 72 of 72")
    assert numbers(frame) == ["8", "8", "10", "10"]


def test_it_fits_a_phone(opened: Opened) -> None:
    page = opened(to_html(QUESTION.case()), viewport={"width": 390, "height": 844})
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

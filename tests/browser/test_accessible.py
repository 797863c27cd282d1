"""axe-core finds no serious or critical violation: every page, light and dark, desktop and phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import test_elsewhere, test_explain, test_overlap, test_sizes
from player_page import FIRST, PlayerPage
from playwright.sync_api import Page, expect

from convt_trace.links.link import to_link
from convt_trace.links.settings import QUESTION
from convt_trace.player.page import to_html
from live_app import ROOT

from .conftest import DESKTOP, PHONE, OpenPage

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

#: What axe says of the page as it stands: rule, selector and summary of each violation.
_VIOLATIONS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
      `${id}: ${target.flat().join(" ")}\\n    ${failureSummary.replace(/\\s+/g, " ")}`));
}"""

#: Whether the page's ground is that of a theme.
_WEARS = """(scheme) => {
  const ground = document.querySelector(".stApp") ?? document.body;
  const [red] = getComputedStyle(ground).backgroundColor.match(/\\d+/g);
  return (red > 127 ? "light" : "dark") === scheme;
}"""


def found(page: Page) -> list[str]:
    """Return what axe finds serious or critical, in the theme that the page wears."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    return page.evaluate(_VIOLATIONS)


def passes(page: Page) -> None:
    """Expect that axe finds nothing in the light and in the dark theme."""
    complaints = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        wears(page, scheme)
        complaints += [f"{scheme}: {complaint}" for complaint in found(page)]
    assert not complaints, "\n".join(complaints)


def wears(page: Page, scheme: Any) -> None:
    """Wait until the page, and the player in it, have the theme's colours, all of them."""
    page.wait_for_function(_WEARS, arg=scheme)
    if page.locator(".ct-player").count():
        night = page.locator(".ct-player.ct-night")
        expect(night).to_have_count(int(scheme == "dark"))
    # Colours fade into each other.
    page.wait_for_function("document.getAnimations().every((one) => one.playState !== 'running')")


def unfold(page: Page) -> None:
    """Open all that is folded up on the page, and not covered by a dialog."""
    if page.get_by_role("dialog").count():
        return
    closed = (
        page.get_by_test_id("stMain").locator("details:not([open]) > summary").filter(visible=True)
    )
    while closed.count():
        closed.first.click()


# -- the pages --------------------------------------------------------------------------------------


def playground(page: Page) -> None:
    """The player midway, with a cell selected and views open."""
    link = to_link(
        QUESTION, step=30, selected=("output", (0, 2, 0)), views=["matrix", "gradient", "groups"]
    )
    player = PlayerPage(page, f"/?{link}")
    player.is_at(30)
    expect(page.locator("section[data-view]").first).to_be_visible(timeout=FIRST)


def code(page: Page) -> None:
    PlayerPage(page)
    page.get_by_role("tab", name="PyTorch code").click()
    expect(page.locator(".stCode code")).to_be_visible()


def table(page: Page) -> None:
    PlayerPage(page)
    page.get_by_role("tab", name="Trace table").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def numbers(page: Page) -> None:
    PlayerPage(page)
    page.get_by_role("tab", name="Edit the numbers").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def predicting(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, hidden=0, step=4)}")
    player.is_at(4)
    page.get_by_role("button", name="Hint 1 of 3").click()
    answer = page.get_by_label(re.compile("^What will"))
    answer.fill("77777")
    answer.press("Enter")
    expect(page.get_by_text("is not right")).to_be_visible()


def sharing(page: Page) -> None:
    PlayerPage(page).button("Share").click()
    expect(page.get_by_alt_text("QR code of the link")).to_be_visible()


def explained(page: Page) -> None:
    test_explain.open_at(page, "/Explain?example=answer")
    expect(page.get_by_text("x[0,0,0] * w[0,0,2] = 2 * 5 = 10")).to_be_visible()
    expect(page.locator(".ct-player")).to_be_visible(timeout=FIRST)


def refused(page: Page) -> None:
    test_explain.open_at(page)
    test_explain.explain(page, "import torch\ntorch.zeros(60000, 60000)")
    expect(page.get_by_text("the reader has 640 MB")).to_be_visible()


def lesson(page: Page) -> None:
    page.goto("/Lesson?lesson=3")
    expect(page.locator(".ct-player")).to_be_visible(timeout=FIRST)


def sizes(page: Page) -> None:
    test_sizes.open_at(page, f"{test_sizes.SEARCH}&wanted=54")


def chain(page: Page) -> None:
    test_sizes.open_chain(page)


def overlap(page: Page) -> None:
    test_overlap.open_at(page, f"/Overlap?{test_overlap.LAYER}")


def elsewhere(page: Page) -> None:
    test_elsewhere.open_at(page)


def embedded(page: Page) -> None:
    PlayerPage(page, f"/?{to_link(QUESTION, step=9)}&embed=true").is_at(9)


def presented(page: Page) -> None:
    PlayerPage(page, f"/?{to_link(QUESTION, step=9, page='presenter')}").is_at(9)


PAGES: dict[str, Callable[[Page], None]] = {
    show.__name__: show
    for show in (
        playground, code, table, numbers, predicting, sharing, explained, refused, lesson,
        sizes, chain, overlap, elsewhere, embedded, presented,
    )
}  # fmt: skip

DEVICES = {"desktop": DESKTOP, "phone": PHONE}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on(open_page: OpenPage, name: str, device: str) -> None:
    page = open_page(**DEVICES[device], reduced_motion="reduce")
    PAGES[name](page)
    unfold(page)
    passes(page)


@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_on_the_page_from_a_stick(
    open_page: OpenPage, device: str, tmp_path: Path
) -> None:
    file = tmp_path / "lesson.html"
    file.write_text(to_html(QUESTION.case(), step=30, views=["matrix"]))
    # The page's own policy lets nobody look at it, Playwright's way of waiting included.
    page = open_page(**DEVICES[device], bypass_csp=True)
    page.goto(file.as_uri())
    expect(page.locator(".ct-readout")).to_have_text("MAC 30 of 72", timeout=FIRST)
    passes(page)


def test_axe_sees_what_it_is_there_for(page: Page) -> None:
    page.set_content(
        "<html lang=en><title>t</title><button></button><p style='color:#ccc'>pale</p>"
    )
    rules = [violation.split(":")[0] for violation in found(page)]
    assert sorted(rules) == ["button-name", "color-contrast"]

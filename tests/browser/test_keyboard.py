"""Everything by keyboard alone: no test here points at anything, and focus moves by keys only."""

from __future__ import annotations

import re

import pytest
from browser.test_classroom import predict
from browser.test_explain import answer, editor, open_at, settled
from player_page import FIRST, PlayerPage
from playwright.sync_api import Locator, Page, expect

from convt_trace.app.gallery import EXAMPLES
from convt_trace.app.lessons import LESSON
from convt_trace.engine.reference import compare

from .conftest import OpenPage

#: More presses than any page has stops; Tab goes round.
MOST_STOPS = 150


def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press Tab until a control has the focus; where it is ours, expect that this is seen."""
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        if target.count() and target.evaluate("element => element.matches(':focus')"):
            break
    expect(target).to_be_focused()
    if target.evaluate("element => Boolean(element.closest('.ct-player, .ce-bar, .printed'))"):
        expect(target).to_be_in_viewport()
        expect(target).to_have_css("outline-style", "solid")


def said(page: Page) -> Locator:
    """What a screen reader is told of the cell that the keys are at."""
    return page.locator(".ct-player > .ct-unseen[aria-live=polite]")


def cells(page: Page, panel: str) -> Locator:
    return page.get_by_role("application", name=f"cells of {panel}").first


def test_the_whole_playground(page: Page) -> None:
    player = PlayerPage(page)
    # A setting.
    tab_to(page, page.get_by_role("slider", name=re.compile("^stride")))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("stride=2"))
    player.settled()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"/$"))
    player.settled()
    # Steps: by the buttons, and by the keys that they name.
    forward = player.button("Step forward")
    tab_to(page, forward)
    page.keyboard.press("Enter")
    player.is_at(1, 72)
    page.keyboard.press("ArrowRight")
    player.is_at(2, 72)
    expect(forward).to_have_attribute("aria-keyshortcuts", "ArrowRight")
    expect(player.status).to_have_attribute("aria-live", "polite")
    # Playing: a screen reader is not told each step, and is told where it ended.
    tab_to(page, player.button("Play"), "Shift+Tab")
    page.keyboard.press("Space")
    expect(player.button("Pause")).to_be_focused()
    expect(player.status).to_have_attribute("aria-live", "off")
    page.keyboard.press("Space")
    expect(player.button("Play")).to_be_focused()
    expect(player.status).to_have_attribute("aria-live", "polite")
    # The slider, the unit, the speed.
    tab_to(page, player.slider)
    page.keyboard.press("End")
    player.is_at(72, 72)
    tab_to(page, page.get_by_label("Unit of a step"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Unit of a step")).not_to_have_value("MAC")
    # A cell: walked to, told, selected, let go.
    tab_to(page, cells(page, "output y"))
    here = said(page).text_content() or ""
    assert re.match(r"y\[0,\d,-?\d\] ", here)
    page.keyboard.press("ArrowUp")
    expect(said(page)).not_to_have_text(here)
    expect(player.detail).to_have_attribute("aria-live", "off")
    name = (said(page).text_content() or "").split(" ")[0]
    page.keyboard.press("Enter")
    expect(player.detail).to_contain_text(name)
    expect(player.detail).to_have_attribute("aria-live", "polite")
    expect(page.locator(".ct-player.ct-pinned")).to_have_count(1)
    player.is_at(72, 72)
    page.keyboard.press("Escape")
    expect(page.locator(".ct-player.ct-pinned")).to_have_count(0)
    # A view: opened, a MAC chosen in it, its program opened, closed; the focus is not lost.
    tab_to(page, player.chip("matrix"))
    page.keyboard.press("Space")
    expect(player.view("matrix")).to_be_visible()
    expect(player.chip("matrix")).to_be_focused()
    tab_to(page, player.view("matrix").get_by_role("application").first)
    page.keyboard.press("Enter")
    expect(player.slider).not_to_have_value("72")
    summary = player.view("matrix").locator("summary")
    tab_to(page, summary)
    step = player.slider.input_value()
    page.keyboard.press("Space")
    expect(player.view("matrix").locator("pre")).to_be_visible()
    expect(player.slider).to_have_value(step)
    tab_to(page, page.get_by_role("button", name=re.compile("^Close ")), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(player.view("matrix")).to_have_count(0)
    expect(player.chip("matrix")).to_be_focused()
    # What stands below.
    tab_to(page, page.get_by_role("tab", name="Output size"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tabpanel", name="PyTorch code").locator("code")).to_be_visible()


def test_explain(page: Page) -> None:
    open_at(page)
    tab_to(page, editor(page))
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(EXAMPLES["answer"].source)
    # Tab indents in the editor; Escape leads out of it, to the button that runs the text.
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("dot([2,1,1], [5,1,1]) = 12")
    settled(page)
    # What scrolls has its own keys.
    tab_to(page, page.get_by_role("region", name="What it prints"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    expect(page.locator(".ct-readout")).to_have_text("MAC 0 of 12")
    tab_to(page, page.get_by_role("tab", selected=True))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(answer(page)).to_contain_text("The kernel is not flipped here")
    settled(page)
    expect(page.get_by_role("tab", name="line 7: conv1d")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("x[0,0,0] * w[0,0,2] = 2 * 5 = 10").first).to_be_visible()
    settled(page)
    # A cell.
    tab_to(page, cells(page, "torch's output"))
    expect(said(page)).to_have_text("y[0,0,0] = 12")
    page.keyboard.press("ArrowRight")
    expect(said(page)).to_have_text("y[0,0,1] = 9")
    page.keyboard.press("Enter")
    expect(page.get_by_text("x[0,0,1] * w[0,0,2] = 1 * 5 = 5").first).to_be_visible()


def test_share(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    player = PlayerPage(page)
    tab_to(page, player.button("Step forward"))
    page.keyboard.press("Enter")
    tab_to(page, player.button("Share"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share this picture")
    expect(dialog.get_by_alt_text("QR code of the link")).to_be_visible()
    settled(page)
    # A dialog keeps the focus in it; its keys are not the player's.
    page.keyboard.press("ArrowRight")
    tab_to(page, dialog.get_by_role("region", name="Link", exact=True))
    tab_to(page, dialog.get_by_role("button", name="Copy link"), "Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("navigator.clipboard.readText().then(text => text.includes('step=1&'))")
    tab_to(page, dialog.get_by_role("link", name="Open the presenter view"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    player.is_at(1, 72)


def test_predict(page: Page) -> None:
    player = PlayerPage(page)
    tab_to(page, page.get_by_label("Hide the output, to predict it"))
    page.keyboard.press("ArrowDown")
    asked = predict(page)
    expect(asked.get_by_role("textbox", name="What will y[0,0,0] be?")).to_be_focused()
    player.settled()
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("7 is not right")
    tab_to(page, asked.get_by_role("button", name="Hint 1 of 3"))
    page.keyboard.press("Space")
    expect(asked.get_by_role("list", name="Hints")).to_contain_text("These inputs reach y[0,0,0]")
    tab_to(page, asked.get_by_role("textbox"), "Shift+Tab")
    page.keyboard.type("8")
    page.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("Right: y[0,0,0] = 8.")
    # A hidden cell tells nothing; Enter on it asks for it.
    tab_to(page, cells(page, "torch's output"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(said(page)).to_have_text("y[0,2,0] is hidden")
    page.keyboard.press("Enter")
    expect(asked.get_by_role("textbox", name="What will y[0,2,0] be?")).to_be_visible()
    tab_to(page, asked.get_by_role("button", name="Show the output"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(asked).to_be_hidden()


def test_lesson(page: Page) -> None:
    page.goto("/Lesson")
    step = LESSON[0]
    expect(page.get_by_role("heading", name=step.title)).to_be_visible(timeout=FIRST)
    expect(page.locator(".ct-player")).to_be_visible(timeout=FIRST)
    settled(page)
    tab_to(page, predict(page).get_by_role("textbox"))
    page.keyboard.type(f"{compare(step.settings.case()).torch[step.cell]:.0f}")
    page.keyboard.press("Enter")
    expect(predict(page).get_by_role("status")).to_contain_text("Right")
    tab_to(page, page.get_by_role("button", name="Next", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=LESSON[1].title)).to_be_visible()
    settled(page)
    tab_to(page, page.get_by_role("button", name="Previous", exact=True))
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", name=step.title)).to_be_visible()


@pytest.mark.parametrize("touches", [False, True], ids=["mouse", "finger"])
def test_the_first_sentence_speaks_of_what_people_hold(open_page: OpenPage, touches: bool) -> None:
    page = open_page(has_touch=touches, is_mobile=touches)
    player = PlayerPage(page)
    expect(player.status).to_contain_text("Tap Play" if touches else "Press Play")
    expect(player.detail).to_contain_text("Tap an output cell" if touches else "Point at an output")

"""A class: one link and the same picture for everybody, predictions, and the views for a room."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from player_page import FIRST, PlayerPage
from playwright.sync_api import Browser, Locator, Page, expect

from convt_trace import Case
from convt_trace.app.lessons import LESSON
from convt_trace.engine.reference import compare
from convt_trace.engine.view import View
from convt_trace.links.link import to_link
from convt_trace.links.settings import PRESETS, QUESTION
from convt_trace.player.page import to_html

from .conftest import PHONE, OpenPage

#: Outputs 77, 190, 236 and 153, which no step, count or input is.
TELLING = Case.of([[[7.0, 9.0]]], [[[11.0, 13.0, 17.0]]])
ANSWERS = ("77", "190", "236", "153")

#: Every number on screen with its place, as it stands.
_NUMBERS = """() => [...document.querySelectorAll(".ct-stage [data-cell]")].map((text) => {
  const { left, top } = text.ownerSVGElement.getBoundingClientRect();
  return [text.closest("figure").dataset.panel, text.dataset.cell, text.textContent,
    left + Number(text.getAttribute("x")), top + Number(text.getAttribute("y"))];
})"""
#: Everything that a reader, a screen reader or a pointer could find in the player.
_ALL_TEXT = """() => {
  const player = document.querySelector(".ct-player");
  const said = [...player.querySelectorAll("*")].flatMap((element) =>
    ["aria-label", "title", "aria-valuetext", "value", "alt"].map((name) => element.getAttribute(name)));
  return player.textContent + " " + said.join(" ");
}"""
_COLOURS = """() => ["output", "torch"].flatMap((name) =>
  document.querySelector(`figure[data-panel=${name}] .js-plotly-plot`).data[0].z.flat())"""


def link(what: Any = QUESTION, **state: Any) -> str:
    return f"/?{to_link(what, **state)}"


def predict(page: Page) -> Locator:
    return page.get_by_role("region", name="Predict the output")


def drawn(page: Page) -> None:
    expect(page.locator(".ct-stage .js-plotly-plot")).to_have_count(4, timeout=FIRST)


# -- one link ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["scatter", "gather"])
def test_two_browsers_open_the_same_picture_at_the_same_step(
    open_page: OpenPage, order: str
) -> None:
    selected = ("output", (0, 2, 0))
    address = link(view=View(order), step=31, unit="group", selected=selected)
    players = [PlayerPage(open_page(), address) for _ in range(2)]
    pictures = []
    for player in players:
        player.is_at(31, 72)
        drawn(player.page)
        expect(player.page.get_by_label("Unit of a step")).to_have_value("group")
        expect(player.detail).to_contain_text("y[0,2,0]")
        pictures.append(player.page.evaluate(_NUMBERS))
    assert len(pictures[0]) > 40
    assert pictures[0] == pictures[1]
    expect(players[0].page.get_by_role("alert")).to_have_count(0)


def test_what_is_shared_opens_where_it_was(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    player = PlayerPage(page)
    player.seek(20)
    player.choose("Unit of a step", "stamp")
    player.click("output", 12)
    sent = len(player.sent)
    player.press("ArrowRight", "ArrowLeft")
    assert len(player.sent) == sent, "stepping sends nothing"
    here = player.page.locator(".ct-readout").text_content() or ""
    player.button("Share").click()
    dialog = page.get_by_role("dialog", name="Share this picture")
    expect(dialog.get_by_alt_text("QR code of the link")).to_be_visible()
    expect(dialog.get_by_role("link", name="Open the presenter view")).to_be_visible()
    # The code fits the screen, so that it can be held up to a camera.
    expect(dialog.get_by_alt_text("QR code of the link")).to_be_in_viewport(ratio=1)
    dialog.get_by_role("button", name="Copy frame").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith('<iframe src="http')
    dialog.get_by_role("button", name="Copy link").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.startsWith('http'))")
    address = page.evaluate("navigator.clipboard.readText()")
    expect(dialog.get_by_text("http").first).to_have_text(address)
    other = PlayerPage(open_page(), address)
    expect(other.page.locator(".ct-readout")).to_have_text(here)
    expect(other.page.get_by_label("Unit of a step")).to_have_value("stamp")
    expect(other.detail).to_contain_text("y[0,2,0]")


def test_numbers_of_ones_own_travel_and_the_controls_step_aside(page: Page) -> None:
    rng = np.random.default_rng(5)
    case = Case.of(rng.normal(size=(2, 3)), rng.normal(size=(2, 1, 2)), stride=2)
    player = PlayerPage(page, link(case, step=4))
    player.is_at(4, len(case.trace()))
    expect(page.get_by_text("the controls cannot show it")).to_be_visible()
    expect(page.get_by_text("equals torch").or_(page.get_by_text("rounding"))).to_be_visible()
    page.get_by_role("button", name="Back to the controls").click()
    expect(page.get_by_role("slider", name="stride")).to_be_visible()
    player.is_at(0, 72)


def test_a_case_too_large_for_a_link_is_a_file(page: Page, tmp_path: Path) -> None:
    case = Case.of(np.random.default_rng(1).normal(size=(1, 1, 60, 60)), np.ones((1, 1, 2, 2)))
    file = tmp_path / "case.json"
    file.write_text(case.to_json())
    player = PlayerPage(page)
    page.get_by_text("Open a case file").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    player.is_at(0, len(case.trace()))
    player.button("Share").click()
    dialog = page.get_by_role("dialog", name="Share this picture")
    expect(dialog.get_by_text("Save it as a file instead")).to_be_visible()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Case (JSON)").click()
    assert Case.from_json(download.value.path().read_bytes()) == case


def test_a_file_that_is_none_leaves_the_picture(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text("{}")
    player = PlayerPage(page)
    page.get_by_text("Open a case file").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_role("alert")).to_contain_text("cannot be opened")
    player.is_at(0, 72)


def mutated(seed: int) -> str:
    """A link with a few characters changed, left out or cut off."""
    chance = random.Random(seed)
    text = to_link(chance.choice([QUESTION, TELLING, PRESETS["upsample"].settings]), step=7)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        new = chance.choice(["", chance.choice("0129-.,:=&_~%<>é"), text[at] * 3])
        text = text[:at] + new + text[at + 1 :]
    return text[: chance.choice([len(text), chance.randrange(len(text))])]


def test_a_damaged_link_opens_with_a_sentence_and_no_traceback(page: Page) -> None:
    for text in [*map(mutated, range(8)), "v=9&page=playground&step=1", "v=1&x=" + "1," * 2000]:
        player = PlayerPage(page, f"/?{text.replace('%', '%25')}")
        expect(player.button("Play")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert page.get_by_role("alert").count() <= 1


# -- predicting -------------------------------------------------------------------------------------


def test_predicting_from_the_first_try_to_the_last(page: Page) -> None:
    player = PlayerPage(page, link(TELLING, hidden=0))
    asked = predict(page)
    answer = asked.get_by_role("textbox", name="What will y[0,0,0] be?")
    score = asked.get_by_label("Score")
    said = asked.get_by_role("status")
    sent = len(player.sent)
    expect(score).to_have_text("0 of 4 cells right · 0 on the first try · 0 answers · 0 hints")
    answer.fill("78")
    answer.press("Enter")
    expect(said).to_contain_text("78 is not right")
    for level, hint in enumerate(
        ["These inputs reach y[0,0,0]: x[0,0,0].", "x[0,0,0]*w[0,0,0].", "The products: 7*11."], 1
    ):
        asked.get_by_role("button", name=f"Hint {level} of 3").click()
        expect(asked.get_by_role("listitem").nth(level - 1)).to_contain_text(hint)
    expect(asked.get_by_role("button", name="No more hints")).to_be_disabled()
    player.has_outlined("input", "asked", 1)
    player.has_outlined("weight", "asked", 1)
    answer.fill("77")
    asked.get_by_role("button", name="Check").click()
    expect(said).to_have_text("Right: y[0,0,0] = 77.")
    expect(player.cell("output", 0)).to_have_text("77")
    expect(player.cell("torch", 0)).to_have_text("77")
    expect(player.cell("output", 1)).to_have_text("?")
    for value in ANSWERS[1:]:
        asked.get_by_role("textbox").fill(value)
        page.keyboard.press("Enter")
    expect(said).to_contain_text("That was the last one")
    expect(score).to_have_text("4 of 4 cells right · 3 on the first try · 5 answers · 3 hints")
    expect(page.locator(".ct-verdict")).to_contain_text("equals torch")
    assert player.numbers("output") == list(ANSWERS)
    assert len(player.sent) == sent, "answers stay in the browser"


@pytest.mark.parametrize("order", ["scatter", "gather"])
def test_what_is_hidden_is_nowhere(page: Page, order: str) -> None:
    player = PlayerPage(page, link(TELLING, view=View(order), hidden=0))
    drawn(page)
    asked = predict(page)
    for _ in range(3):
        asked.get_by_role("button", name="Hint").click()
    answers = re.compile(rf"(?<![\d.])({'|'.join(ANSWERS)})(?![\d.])")
    for step in range(7):
        player.is_at(step, 6)
        for cell in range(4):
            player.hover("output", cell)
            player.hover("torch", cell)
            expect(player.detail).to_contain_text("is hidden")
            assert not answers.search(page.evaluate(_ALL_TEXT))
        assert set(player.numbers("output")) == set(player.numbers("torch")) == {"?"}
        assert set(page.evaluate(_COLOURS)) == {None}
        player.button("Step forward").click()
    expect(page.get_by_role("tab", name="Trace table")).to_have_count(0)
    asked.get_by_role("button", name="Show the output").click()
    expect(asked).to_have_count(0)
    assert player.numbers("torch") == list(ANSWERS)
    expect(page.get_by_role("tab", name="Trace table")).to_be_visible()


def test_no_note_beside_the_player_tells_what_is_hidden(page: Page) -> None:
    player = PlayerPage(page)
    expect(page.get_by_text("My layer printed")).to_be_visible()
    player.press("h")
    expect(predict(page)).to_be_visible()
    expect(page.get_by_text("My layer printed")).to_have_count(0)
    page.goto(link(PRESETS["pair"].settings, hidden=0))
    player.settled(FIRST)
    assert set(player.numbers("torch")) == {"?"}
    expect(page.get_by_test_id("stMain")).not_to_contain_text(re.compile(r"\b12\b.*\b9\b"))


def test_from_a_step_on_only_what_is_not_done_is_hidden(page: Page) -> None:
    player = PlayerPage(page)
    player.seek(36)  # the first group is done
    player.choose("Hide the output, to predict it", "on")
    expect(predict(page).get_by_role("textbox", name="What will y[0,2,0] be?")).to_be_focused()
    player.button("Last step").click()
    player.is_at(72, 72)
    assert player.numbers("torch") == ["8", "8", "?", "?"]
    expect(page).to_have_url(re.compile("hide=36"))
    player.button("First step").click()
    player.choose("Hide the output, to predict it", "no")
    assert player.numbers("torch") == ["8", "8", "10", "10"]


def test_predicting_takes_no_pointer(page: Page) -> None:
    player = PlayerPage(page, link(TELLING))
    player.press("h")
    answer = predict(page).get_by_role("textbox")
    expect(answer).to_be_focused()
    page.keyboard.type("77")
    player.press("ArrowLeft", "ArrowRight", "Enter")
    player.is_at(0, 6)
    expect(predict(page).get_by_role("status")).to_contain_text("Right")
    player.press("Tab", "Tab", "Enter")
    expect(predict(page).get_by_role("listitem")).to_have_count(1)


def test_a_new_case_shows_nothing_of_the_old_one_or_its_own(page: Page) -> None:
    player = PlayerPage(page, link(TELLING, hidden=0))
    page.goto(link(QUESTION, hidden=0))
    player.settled(FIRST)
    player.is_at(0, 72)
    assert set(player.numbers("torch")) == {"?"}


def test_the_page_from_a_stick_predicts_without_a_network(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "lesson.html"
    file.write_text(to_html(TELLING, step=2, hidden=0, selected=("output", (0, 0, 2))))
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page.locator(".ct-readout")).to_have_text("MAC 2 of 6", timeout=FIRST)
    asked = predict(page)
    expect(asked.get_by_role("textbox", name="What will y[0,0,2] be?")).to_be_visible()
    assert not re.search(r"\b(77|190|236|153)\b", page.evaluate(_ALL_TEXT))
    asked.get_by_role("textbox").fill("236")
    page.keyboard.press("Enter")
    expect(asked.get_by_role("status")).to_contain_text("Right: y[0,0,2] = 236.")
    expect(page.get_by_role("button", name="Share")).to_have_count(0)
    context.close()


# -- views ------------------------------------------------------------------------------------------


def test_an_embedded_picture_stands_alone(page: Page) -> None:
    player = PlayerPage(page, f"{link(step=9)}&embed=true")
    player.is_at(9, 72)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_role("tab")).to_have_count(0)
    out = page.get_by_role("link", name="Open in the playground")
    expect(out).to_have_attribute("href", re.compile("step=9(?!.*embed)"))
    expect(page).to_have_url(re.compile("embed=true"))


def test_the_presenters_view_is_large_and_needs_no_pointer(open_page: OpenPage) -> None:
    usual = PlayerPage(open_page(), link(step=9))
    usual.is_at(9, 72)
    page = open_page(viewport={"width": 1920, "height": 1080})
    player = PlayerPage(page, link(step=9, page="presenter"))
    player.is_at(9, 72)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_label("Speed")).to_be_hidden()

    def height(of: PlayerPage) -> float:
        box = of.cell("input", 0).bounding_box()
        assert box
        return box["height"]

    assert height(player) >= 2 * height(usual)
    player.press("ArrowRight")
    player.is_at(10, 72)
    player.press("End", "Home", "u")
    expect(page.get_by_label("Unit of a step")).to_have_value("stamp")
    player.press("ArrowRight")
    player.is_at(3, 72)
    at = player.cell("torch", 0).bounding_box()
    assert at
    page.mouse.click(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    expect(player.detail).to_contain_text("y[0,0,0]")
    player.press("Escape", "h")
    expect(predict(page)).to_be_visible()


def test_a_thumb_can_predict(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    player = PlayerPage(page, link(TELLING, hidden=0))
    asked = predict(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in [player.button("Step forward"), *asked.get_by_role("button").all()]:
        box = button.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 44
    asked.get_by_role("textbox").tap()
    page.keyboard.type("77")
    asked.get_by_role("button", name="Check").tap()
    expect(asked.get_by_role("status")).to_contain_text("Right")


# -- the lesson -------------------------------------------------------------------------------------


def test_the_lesson_goes_from_question_to_question(page: Page) -> None:
    page.goto("/Lesson?lesson=3")
    expect(page.get_by_role("heading", name=LESSON[2].title)).to_be_visible(timeout=FIRST)
    for step in LESSON[2:4]:
        expect(page.get_by_role("heading", name=step.title)).to_be_visible()
        name = f"y[{','.join(map(str, step.cell))}]"
        answer = predict(page).get_by_role("textbox", name=f"What will {name} be?")
        value = compare(step.settings.case()).torch[step.cell]
        answer.fill(f"{value:.0f}")
        answer.press("Enter")
        expect(predict(page).get_by_role("status")).to_contain_text(f"Right: {name}")
        page.get_by_role("button", name="Next", exact=True).click()
    expect(page).to_have_url(re.compile("lesson=5"))
    # The address is there before the page: until then the button is the last step's.
    expect(page.get_by_role("heading", name=LESSON[4].title)).to_be_visible()
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    page.get_by_role("button", name="Previous", exact=True).click()
    expect(page).to_have_url(re.compile("lesson=4"))
    page.get_by_role("link", name="Open in the playground").click()
    expect(page.get_by_role("slider", name="stride")).to_be_visible()
    expect(page.get_by_role("button", name="Share")).to_be_visible()
    expect(predict(page).get_by_role("textbox")).to_be_visible()

"""Linked views: the MAC of a step is the same one in every picture, however it is chosen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser.conftest import OpenPage
from player_page import PlayerPage, sentence
from playwright.sync_api import Locator, Page, expect

from convt_trace import Case, to_html, view
from convt_trace.app.gallery import EXAMPLES
from convt_trace.engine.view import View, picked_trace
from convt_trace.links.link import to_link
from convt_trace.links.settings import PRESETS, QUESTION, Fill, Settings, layer_settings
from convt_trace.views import names

CASE = QUESTION.case()
STRIDED = layer_settings(
    2, (2, 2), groups=2, size=4, kernel=3, stride=2, padding=1,
    x=Fill("integers", seed=1), weight=Fill("integers", seed=2),
)  # fmt: skip
VOLUME = PRESETS["volume"].settings


def equation(section: Locator) -> Locator:
    return section.locator(".ct-equation")


def offered(case: Case) -> list[str]:
    return [name for name in names(case) if name != "stamp"]


def says_everywhere(player: PlayerPage, case: Case, step: int, order: str = "scatter") -> None:
    """Expect the step's MAC in the player's sentence and in the equation of every open view."""
    mac = picked_trace(case, View(order))[step - 1]
    player.is_at(step)
    expect(player.status).to_contain_text(sentence(case, mac))
    for section in player.page.locator("section[data-view]").all():
        name = section.get_attribute("data-view")
        said = view(case, name).equation_of(mac)
        if mac.kept:
            expect(equation(section)).to_have_text(said)
        else:
            # Of what padding crops a view in Python has no number; the names are the same.
            expect(equation(section)).to_contain_text("cropped by padding")
            expect(equation(section)).to_contain_text(said.split(" = ")[0])


@pytest.mark.parametrize("settings", [QUESTION, STRIDED, VOLUME], ids=["1d", "2d", "3d"])
def test_a_step_is_the_same_mac_in_every_view(page: Page, settings: Settings) -> None:
    case = settings.case()
    player = PlayerPage(page, f"/?{to_link(settings)}")
    expect(page.locator("section[data-view]")).to_have_count(0)
    for name in offered(case):
        section = player.open_view(name)
        expect(section.locator(".ct-says")).to_have_text(view(case, name).sentence)
        expect(section.locator(".ct-verdict")).to_contain_text("Worked out this way: equals torch")
    for step in (1, 2, 44, 45):
        player.seek(step)
        says_everywhere(player, case, step)


@pytest.mark.parametrize(
    "name, tensor", [("matrix", "M"), ("groups", "gw"), ("gradient", "u"), ("collect", "v")]
)
def test_a_click_in_any_view_moves_every_other(page: Page, name: str, tensor: str) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['groups', 'matrix', 'gradient', 'collect'])}")  # fmt: skip # noqa: E501
    expect(page.locator("section[data-view]")).to_have_count(4)
    player.seek(44)
    figure = player.view(name).locator(f'figure[data-panel="{tensor}"]')
    box = click_outlined(figure)
    first = int(player.slider.input_value())
    says_everywhere(player, CASE, first)
    trace = CASE.trace()
    lit = view(CASE, name).cells_of(trace[43])[tensor]
    assert view(CASE, name).cells_of(trace[first - 1])[tensor] == lit
    assert first != 44 or tensor in ("M", "gw", "v"), "the next MAC of a cell that has several"
    assert box


def click_outlined(figure: Locator) -> dict[str, float]:
    """Click the cell that is outlined as this step's."""
    figure.scroll_into_view_if_needed()
    path = figure.locator(".ct-now")
    expect(path).to_have_attribute("d", re.compile("^M"))
    box = path.bounding_box()
    assert box
    figure.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return dict(box)


def test_pointing_at_a_cell_lights_its_macs_everywhere(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['groups', 'matrix'], step=44)}")
    figure = player.view("groups").locator('figure[data-panel="gx"]')
    figure.scroll_into_view_if_needed()
    box = figure.locator(".ct-now").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    # x[0,2,1] goes to 2 channels of 3 cells: 6 MACs, through 6 taps, into 6 cells of the canvas.
    player.has_outlined("input", "lit", 1)
    player.has_outlined("weight", "lit", 6)
    player.has_outlined("output", "lit", 6)
    assert player.lit_in("matrix", "M", "lit").count("M") == 6
    assert player.lit_in("groups", "gx", "lit").count("M") == 1
    page.mouse.move(5, 5)
    player.has_outlined("input", "lit", 0)
    assert player.lit_in("matrix", "M", "lit") == ""
    # And the other way: a cell of the first picture lights up in the views.
    player.hover("output", 12)
    assert player.lit_in("matrix", "M", "lit").count("M") == 6


def test_one_key_goes_through_the_views(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, step=44)}")
    for name in offered(CASE):
        player.press("v")
        expect(page.locator("section[data-view]")).to_have_count(1)
        expect(player.view(name)).to_be_visible()
        expect(page.locator(".ct-chips + .ct-unseen")).to_contain_text(view(CASE, name).sentence)
        expect(player.chip(name)).to_have_attribute("aria-pressed", "true")
    player.press("v")
    expect(page.locator("section[data-view]")).to_have_count(0)
    player.is_at(44, 72)
    # What was open once comes again without a message.
    sent = len(player.sent)
    player.press("v", "v", "v")
    expect(player.view("matrix")).to_be_visible()
    assert len(player.sent) == sent


def test_playing_with_views_sends_nothing(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['groups', 'matrix', 'time'])}")
    expect(page.locator("section[data-view]")).to_have_count(3)
    player.settled()
    sent = len(player.sent)
    player.choose("Speed", "60")
    player.button("Play").click()
    player.is_at(72, 72, timeout=20_000)
    says_everywhere(player, CASE, 72)
    assert len(player.sent) == sent


def test_a_view_stays_open_when_a_slider_moves(page: Page) -> None:
    player = PlayerPage(page)
    player.open_view("matrix")
    shape = player.view("matrix").locator('figure[data-panel="M"] figcaption')
    expect(shape).to_contain_text("4 rows, 12 columns")
    page.get_by_role("slider", name=re.compile("^padding")).focus()
    page.keyboard.press("ArrowLeft")
    expect(shape).to_contain_text("12 rows, 12 columns")
    expect(player.view("matrix").locator(".ct-verdict")).to_contain_text("all 12 output values")


def test_share_has_the_open_views(page: Page) -> None:
    player = PlayerPage(page)
    player.open_view("groups")
    player.open_view("gradient")
    player.seek(44)
    player.button("Share").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("views=groups,gradient")


def test_a_view_is_closed_by_its_own_button(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['groups', 'matrix'])}")
    expect(player.view("matrix")).to_be_visible()
    page.get_by_role("button", name="Close Groups").click()
    expect(player.view("groups")).to_have_count(0)
    expect(player.view("matrix")).to_be_visible()


def test_a_hidden_output_is_hidden_in_the_views(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['groups', 'back'], hidden=0)}")
    section = player.view("groups")
    output = section.locator('figure[data-panel="gy"] [data-cell]')
    expect(output.first).to_be_attached()
    assert set(output.all_text_contents()) == {"", "?"}
    player.press("ArrowRight")
    expect(equation(section)).to_contain_text("= ? * ? = ?")
    expect(player.view("back").locator(".ct-notes")).to_be_empty()
    player.press("h")
    expect(section.locator(".ct-verdict")).to_contain_text("equals torch")
    assert "8" in output.all_text_contents()


def test_a_phone_shows_one_view_and_keeps_the_step(phone: Page) -> None:
    player = PlayerPage(phone, f"/?{to_link(QUESTION, step=44)}")
    player.open_view("groups")
    player.open_view("matrix")
    expect(phone.locator("section[data-view]")).to_have_count(1)
    says_everywhere(player, CASE, 44)
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width <= phone.viewport_size["width"]


def test_a_view_in_the_dark(dark: Page) -> None:
    player = PlayerPage(dark, f"/?{to_link(STRIDED, views=['matrix'], step=9)}")
    says_everywhere(player, STRIDED.case(), 9)
    expect(dark.locator(".ct-player")).to_have_class(re.compile("ct-night"))


def test_the_program_is_copied(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    player = PlayerPage(page, f"/?{to_link(QUESTION, views=['gradient'])}")
    section = player.view("gradient")
    section.get_by_text("The same in torch").click()
    section.get_by_role("button", name="Copy").click()
    expect(section.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == view(CASE, "gradient").code


def test_gathering_offers_the_stamp_as_a_view(page: Page) -> None:
    player = PlayerPage(page, f"/?{to_link(QUESTION, view=View('gather'), views=['stamp', 'collect'])}")  # fmt: skip # noqa: E501
    expect(player.view("stamp")).to_be_visible()
    player.seek(9)
    says_everywhere(player, CASE, 9, "gather")


# -- the question's answer ----------------------------------------------------------------------------

#: The sentences of the quoted answer: the view that shows each, and what is seen there.
ANSWER = [
    ("back", "the shape returns, the values do not", "b", None),
    ("groups", "2 layers side by side", "gy", ["8", "8", "10", "10"]),
    ("groups", "In the stored weight, output channel co is column", "s", None),
    ("collect", "dilation*(kernel-1) - padding = 0", "z", None),
    ("stamp", "", "y", ["8", "8", "10", "10"]),
    ("collect", "Each output cell collects its taps", "v", None),
    ("beside", "the plain convolution reads the kernel forwards", "c", ["8", "8", "12", "12"]),
    ("gradient", "the layer is the gradient of conv's input", "y", ["8", "8", "10", "10"]),
    ("matrix", "that is what transposed means", "M", None),
]


def test_every_sentence_of_the_answer_is_seen_two_clicks_from_the_question(page: Page) -> None:
    page.goto("/Explain")
    editor = page.get_by_label("Your snippet")
    expect(editor).to_be_visible(timeout=60_000)
    editor.fill(EXAMPLES["question"].source)
    editor.press("Control+Enter")
    chips = page.locator(".ct-chips")
    expect(chips).to_be_visible(timeout=60_000)
    for name, said, tensor, values in ANSWER:
        if name == "stamp":
            # The first picture itself, with no click at all.
            figure = page.locator('figure[data-panel="torch"]')
        else:
            chips.locator(f'[data-view="{name}"]').click()
            section = page.locator(f'section[data-view="{name}"]')
            expect(section.locator(".ct-says")).to_contain_text(said, timeout=20_000)
            figure = section.locator(f'figure[data-panel="{tensor}"]')
        expect(figure).to_be_visible()
        if values:
            texts = [text for text in figure.locator("[data-cell]").all_text_contents() if text]
            assert texts == values
        if name != "stamp":
            chips.locator(f'[data-view="{name}"]').click()
            expect(page.locator("section[data-view]")).to_have_count(0)


@pytest.mark.parametrize("lesson, name", [(7, "groups"), (8, "collect"), (9, "gradient")])
def test_the_lesson_uses_the_view_that_shows_it(page: Page, lesson: int, name: str) -> None:
    page.goto(f"/Lesson?lesson={lesson}")
    expect(page.locator(f'section[data-view="{name}"]')).to_be_visible(timeout=60_000)
    page.keyboard.press("ArrowRight")
    expect(page.locator(f'section[data-view="{name}"] .ct-equation')).to_contain_text("?")


# -- without a server -----------------------------------------------------------------------------------


def test_a_file_plays_the_views(open_page: OpenPage, tmp_path: Path) -> None:
    made = tmp_path / "views.html"
    made.write_text(to_html(CASE, step=44, views=["groups"]))
    page = open_page(offline=True)
    page.goto(made.as_uri())
    section = page.locator('section[data-view="groups"]')
    mac = CASE.trace()[43]
    expect(equation(section)).to_have_text(view(CASE, "groups").equation_of(mac), timeout=30_000)
    page.locator('.ct-chips [data-view="matrix"]').click()
    matrix = page.locator('section[data-view="matrix"]')
    expect(equation(matrix)).to_have_text(view(CASE, "matrix").equation_of(mac))

"""The page about overlap, on the layer that is open."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

LAYER = (
    "dims=2d&in_channels=1&out_channels=1&groups=1&size=5&kernel=4&stride=3&padding=0"
    "&output_padding=0&dilation=1&x=integers:1&weight=ones"
)


def open_at(page: Page, path: str) -> Page:
    page.goto(path)
    expect(page.get_by_text("Layers without the pattern")).to_be_visible(timeout=60_000)
    # Streamlit loads parts of a page late, and then makes it anew: a click in between is lost.
    page.wait_for_load_state("networkidle")
    return page


def test_a_4x4_stride_3_layers_number(page: Page) -> None:
    open_at(page, f"/Overlap?{LAYER}")
    expect(page.get_by_text("4: some cells get 4 times as many MACs as others")).to_be_visible()
    cells = page.locator(".heat").first.locator("span")
    expect(cells).to_have_count(16 * 16)
    texts = cells.all_text_contents()
    assert set(texts) == {"1", "2", "4"}
    # A corner has one MAC; where four stamps meet it has four.
    assert (texts[0], texts[3], texts[3 * 16 + 3]) == ("1", "2", "4")
    ones = page.locator(".heat").nth(1).locator("span").all_text_contents()
    assert ones == texts, "with weights of one, an input of ones gives the counts"


def test_an_even_layer_is_called_even(page: Page) -> None:
    open_at(page, f"/Overlap?{LAYER.replace('kernel=4', 'kernel=6')}")
    expect(page.get_by_text("Even: every output cell inside gets 4 MACs.")).to_be_visible()


def test_a_layer_with_holes_says_so(page: Page) -> None:
    open_at(page, f"/Overlap?{LAYER.replace('kernel=4', 'kernel=2')}")
    expect(page.get_by_text("Some cells get nothing, whatever the input.")).to_be_visible()


def test_alternatives_phases_and_stacks(page: Page) -> None:
    open_at(page, f"/Overlap?{LAYER}")
    page.get_by_role("tab", name="Nearest").click()
    panel = page.get_by_role("tabpanel", name="Nearest")
    expect(panel.get_by_text("max/min 1, output 16 x 16")).to_be_visible()
    expect(panel.get_by_text("nn.Upsample")).to_be_visible()
    cells = panel.locator(".heat span")
    expect(cells).to_have_count(16 * 16)
    assert len(set(cells.all_text_contents())) == 1
    page.get_by_text("Stacked: the same layer several times").click()
    expect(page.get_by_role("cell", name="148 x 148")).to_be_visible()
    page.get_by_text("By phase: the small kernels").click()
    expect(page.get_by_text("as many small convolutions as it has phases")).to_be_visible()


def test_it_is_about_what_the_playground_has_open(page: Page) -> None:
    page.goto(f"/?{LAYER}")
    expect(page.locator(".ct-player")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Overlap").click()
    expect(
        page.get_by_text("nn.ConvTranspose2d(1, 1, 4, stride=3, bias=False)").first
    ).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("stride=3"))
    page.get_by_role("link", name="Change the layer in the playground").click()
    expect(page.locator(".ct-player")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("x (1, 1, 5, 5) → y (1, 1, 16, 16)")).to_be_visible()


def test_a_phone_has_the_map(phone: Page) -> None:
    open_at(phone, f"/Overlap?{LAYER}")
    expect(phone.locator(".heat").first).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= phone.viewport_size["width"]

"""The page about sizes, from a question to the layer in the playground."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

SEARCH = (
    "/Sizes?dims=2d&in_channels=2&out_channels=2&groups=1&size=27&kernel=3&stride=1&padding=0"
    "&output_padding=0&dilation=1"
)

UNET = """import torch
from torch import nn
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(3, 5, 2, stride=2)
        self.out = nn.Conv2d(8, 1, 1)
    def forward(self, x):
        y = self.up(self.pool(x))
        return self.out(torch.cat([x, y], 1))
"""


def field(page: Page, label: str):
    return page.get_by_label(label, exact=True)


def fill(page: Page, label: str, text: str) -> None:
    field(page, label).fill(text)
    field(page, label).press("Enter")


def open_at(page: Page, path: str = "/Sizes") -> Page:
    page.goto(path)
    expect(page.get_by_text("The other way")).to_be_visible(timeout=60_000)
    # Streamlit loads parts of a page late, and then makes it anew: a click in between is lost.
    page.wait_for_load_state("networkidle")
    return page


def test_from_27_to_54_and_into_the_playground(page: Page) -> None:
    open_at(page, SEARCH)
    fill(page, "wanted output size", "54")
    fill(page, "kernels", "2-5")
    expect(page.get_by_text("4 settings, even and plain ones first")).to_be_visible()
    expect(page.get_by_text("makes 27 of 54 and 55; output_padding=0 chooses 54")).to_be_visible()
    page.get_by_role("link", name="Open it in the playground").click()
    expect(page.locator(".ct-player")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("x (1, 2, 27, 27) → y (1, 2, 54, 54)")).to_be_visible()
    assert dict(parse_qsl(urlsplit(page.url).query))["stride"] == "2"


def test_the_formula_follows_the_fields(page: Page) -> None:
    open_at(page)
    expect(
        page.get_by_text("(3 - 1)*1 + 1*(3 - 1) + 1 - 2*2 + 0 = 2 + 3 - 4 + 0 = 1")
    ).to_be_visible()
    drawing = page.locator(".ruler")
    expect(drawing).to_contain_text("the canvas: 5 positions")
    fill(page, "stride", "2")
    expect(drawing).to_contain_text("the canvas: 7 positions")
    expect(drawing).to_contain_text("4: (L_in - 1)*stride")
    expect(page).to_have_url(re.compile("stride=2"))
    page.reload()
    expect(field(page, "stride")).to_have_value("2", timeout=60_000)


@pytest.mark.parametrize(
    "label, text, said",
    [
        ("stride", "two", "stride reads “two”: write one whole number"),
        ("stride", "0", "non-positive stride is not supported"),
        ("kernel_size", "3,3,3", "kernel_size has 3 numbers: write one, or 1 of them"),
        ("padding", "9", "Output size is too small"),
        ("kernels", "2-", "kernels reads “2-”"),
        ("wanted output size", "0", "The output size is a whole number from 1 on"),
    ],
)
def test_what_cannot_be_gets_a_sentence_and_stays(
    page: Page, label: str, text: str, said: str
) -> None:
    open_at(page)
    fill(page, label, text)
    expect(page.get_by_text(said)).to_be_visible()
    expect(field(page, label)).to_have_value(text)


def test_output_size_is_resolved_and_refused(page: Page) -> None:
    open_at(page, SEARCH.replace("stride=1", "stride=2"))
    page.get_by_text("output_size= in the call").click()
    expect(page.get_by_text("55 (output_padding=0), 56 (output_padding=1)").first).to_be_visible()
    fill(page, "output_size", "56")
    expect(page.get_by_text("That is output_padding=1.")).to_be_visible()
    fill(page, "output_size", "57")
    expect(page.get_by_text("valid sizes range from [55, 55] to [56, 56]")).to_be_visible()


def test_axes_of_their_own(page: Page) -> None:
    open_at(page, SEARCH)
    fill(page, "input size", "27, 30")
    fill(page, "wanted output size", "54, 30")
    expect(page.get_by_text("Along H:", exact=True)).to_be_visible()
    expect(page.get_by_text("Along W:", exact=True)).to_be_visible()
    expect(page.get_by_text("nn.ConvTranspose2d(2, 2, (2, 1), stride=(2, 1))")).to_be_visible()


def test_the_page_is_about_what_the_playground_has_open(page: Page) -> None:
    page.goto("/?dims=1d&in_channels=1&out_channels=1&groups=1&size=5&kernel=4&stride=3&padding=0")
    expect(page.locator(".ct-player")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Sizes").click()
    expect(field(page, "stride")).to_have_value("3", timeout=30_000)
    expect(field(page, "input size")).to_have_value("5")


def test_a_phone_has_the_page(phone: Page) -> None:
    open_at(phone, SEARCH + "&wanted=54")
    expect(phone.get_by_text("goes with")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= phone.viewport_size["width"]


def open_chain(page: Page) -> Page:
    open_at(page).get_by_role("tab", name="A chain of layers").click()
    expect(page.locator(".chain")).to_be_visible()
    return page


def test_a_unet_that_is_one_off_is_mended(page: Page) -> None:
    open_chain(page)
    off = page.get_by_text("Line 8: b has 13, and here it is 12: 1 too few.")
    expect(off).to_be_visible()
    expect(page.get_by_text("Line 10: a has 27, and here it is 26: 1 too few.")).to_be_visible()
    expect(page.get_by_text("Input sizes that go through: multiples of 4.")).to_be_visible()
    mend = page.get_by_text("line 7: kernel_size=2, padding=0, output_padding=1")
    expect(mend.first).to_be_visible()
    layers = page.get_by_role("textbox", name="Layers")
    expect(layers).to_have_value(re.compile("save a"))
    text = layers.input_value()
    mended = text.replace("2, stride=2)", "2, stride=2, output_padding=1)")
    assert mended != text
    layers.fill(mended)
    layers.press("Control+Enter")
    expect(page.get_by_text("27 goes through, and comes out as 27.")).to_be_visible()
    expect(off).to_have_count(0)
    page.reload()
    expect(page.get_by_text("27 goes through")).to_be_visible(timeout=60_000)


def test_a_chain_that_cannot_be_read_names_its_line(page: Page) -> None:
    open_chain(page)
    layers = page.get_by_role("textbox", name="Layers")
    layers.fill("nn.Conv2d(1, 1, 3)\nnn.LSTM(3, 4)")
    layers.press("Control+Enter")
    expect(page.get_by_text("Line 2: LSTM is not known here")).to_be_visible()
    expect(layers).to_have_value("nn.Conv2d(1, 1, 3)\nnn.LSTM(3, 4)")


def test_a_chain_is_read_off_a_pasted_model(page: Page) -> None:
    open_chain(page)
    page.get_by_text("Read it off a model").click()
    program = page.get_by_role("textbox", name="A program that makes a model")
    program.fill(UNET + "UNet()(torch.zeros(1, 3, 27, 27))")
    page.get_by_role("button", name="Read its layers").click()
    layers = page.get_by_role("textbox", name="Layers")
    expect(layers).to_have_value(re.compile(r"Conv2d\(8, 1, 1\)  # out$"), timeout=30_000)
    expect(field(page, "input size of the chain")).to_have_value("27")
    expect(page.get_by_text("Line 4: a has 27, and here it is 26: 1 too few.")).to_be_visible()
    expect(page.get_by_text("Sizes of tensors must match")).to_be_visible()
    expect(program).to_have_value(re.compile("class UNet"))
    # The lines are the chain's own now: they can be changed, and the program stays.
    layers.fill(layers.input_value().replace("stride=2)", "stride=2, output_padding=1)"))
    layers.press("Control+Enter")
    expect(page.get_by_text("27 goes through, and comes out as 27.")).to_be_visible()
    expect(page).to_have_url(re.compile("chain="))


def test_a_model_that_is_never_called_is_run_on_a_shape(page: Page) -> None:
    open_chain(page)
    page.get_by_text("Read it off a model").click()
    page.get_by_role("textbox", name="A program that makes a model").fill(UNET)
    page.get_by_role("button", name="Read its layers").click()
    shape = page.get_by_role("textbox", name="shape of x")
    expect(shape).to_be_visible(timeout=30_000)
    shape.fill("1, 3, 30, 40")
    page.get_by_role("button", name="Run it").click()
    expect(field(page, "input size of the chain")).to_have_value("30, 40", timeout=30_000)
    expect(page.get_by_text("30 goes through along H, and comes out as 30.")).to_be_visible()
    page.get_by_role("radio", name="W", exact=True).click()
    expect(page.get_by_text("40 goes through along W, and comes out as 40.")).to_be_visible()


def test_explain_leads_to_the_sizes_along_the_model(page: Page) -> None:
    page.goto("/Explain")
    editor = page.get_by_label("Your snippet")
    editor.fill(UNET + "UNet()(torch.zeros(1, 3, 27, 27))", timeout=60_000)
    editor.press("Control+Enter")
    page.get_by_role("link", name=re.compile("Sizes along the model")).click(timeout=60_000)
    expect(page.get_by_text("Line 4: a has 27, and here it is 26: 1 too few.")).to_be_visible(
        timeout=30_000
    )
    page.reload()
    expect(page.get_by_text("Line 4: a has 27")).to_be_visible(timeout=60_000)

"""The page that explains a pasted snippet, as a person uses it."""

from __future__ import annotations

import json
import re
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from browser.conftest import PHONE, OpenPage
from playwright.sync_api import Locator, Page, expect

from convt_trace.app.gallery import EXAMPLES
from convt_trace.engine.view import View
from convt_trace.player.scene import read_message, scene
from convt_trace.snippet import LIMITS, read_snippet

QUESTION, ANSWER = EXAMPLES["question"].source, EXAMPLES["answer"].source

#: Texts that are refused, and a word of the sentence that says so.
HOSTILE = {
    "().__class__.__bases__[0].__subclasses__()": "characters of printed text",
    "import io\nio.FileIO('/etc/passwd')": "there are no files and no network here",
    "open('/etc/passwd').read()": "no convolution ran",
    "import os\nos.system('true')": "no convolution ran",
    "while True:\n    pass": "more than",
    "x = 9 ** 9 ** 9": "seconds of computing",
    "import torch\ntorch.zeros(60000, 60000)": "a tensor of 13,733 MB: the reader has 640 MB",
    "(" * 5000: "",
    "x = '![a](https://example.com/a.png)'.nothing": "nothing",
}


def editor(page: Page) -> Locator:
    return page.get_by_label("Your snippet")


def open_at(page: Page, path: str = "/Explain") -> Page:
    page.goto(path)
    expect(editor(page)).to_be_visible(timeout=60_000)
    settled(page)
    return page


def settled(page: Page) -> None:
    """Wait until the page is drawn: what is open in it closes when something above comes to stand."""
    drawn = page.get_by_test_id("stApp")
    expect(drawn).to_have_attribute("data-test-script-state", "notRunning", timeout=60_000)


def explain(page: Page, text: str, key: str = "Control+Enter") -> None:
    """Put a text in the place of the one that is there, as pasting does, and press the key."""
    editor(page).fill(text)
    editor(page).press(key)


def pick(page: Page, name: str) -> None:
    """Choose an example of the gallery, once the page is drawn."""
    settled(page)
    page.get_by_role("radio", name=EXAMPLES[name].title, exact=True).click()


def answer(page: Page) -> Locator:
    """The answer; the one before stands beside it for as long as the page is drawn."""
    return page.locator("[class*=st-key-answer_]").last


def numbers(page: Page, panel: str) -> list[str]:
    return page.locator(f"figure[data-panel={panel}] .ct-number").all_text_contents()


def last_step(page: Page) -> None:
    page.get_by_role("button", name="Last step", exact=True).click()


def reads(page: Page, panel: str, wanted: list[str]) -> None:
    cells = page.locator(f"figure[data-panel={panel}] .ct-number:not(:empty)")
    expect(cells).to_have_text(wanted)


def test_the_question_is_explained_at_one_key(page: Page) -> None:
    open_at(page)
    explain(page, QUESTION.replace("layer", "up"))
    expect(page.get_by_text("print(up(x))").last).to_be_visible()
    # The hands stay where they were, and what they did can be undone.
    expect(editor(page)).to_be_focused()
    expect(answer(page)).to_contain_text("y[0,0:2,0] = 2 * dot([1,1,1], [2,1,1]) = 8")
    expect(answer(page)).to_contain_text("y[0,2:4,0] = 2 * dot([1,1,2], [2,1,1]) = 10")
    expect(page.get_by_text("grad_fn=<ConvolutionBackward0>")).to_be_visible()
    reads(page, "torch", ["8", "8", "10", "10"])
    last_step(page)
    expect(page.locator("figure[data-panel=output]")).to_contain_text("10")
    # The answer is there: nothing is left to predict.
    page.get_by_role("button", name="Last step", exact=True).press("h")
    expect(page.get_by_label("Hide the output, to predict it")).to_be_hidden()
    expect(page.locator("figure[data-panel=output]")).to_contain_text("10")


def test_an_answer_leaves_the_editor_its_way_back(page: Page) -> None:
    open_at(page)
    expect(answer(page)).to_be_visible()
    editor(page).press("Control+End")
    editor(page).type("#")
    for text in (QUESTION + "#", QUESTION):
        editor(page).press("Control+Enter")
        expect(page.get_by_text("changed since it was explained")).to_be_hidden()
        settled(page)
        expect(editor(page)).to_have_value(text)
        editor(page).press("Control+z")
    expect(editor(page)).to_have_value(QUESTION)


def test_somebody_new_sees_the_question_explained(page: Page) -> None:
    open_at(page)
    expect(editor(page)).to_have_value(QUESTION)
    expect(answer(page)).to_contain_text("= 10")


def test_the_button_runs_it_too_and_calls_are_tabs(page: Page) -> None:
    open_at(page)
    editor(page).fill(ANSWER + "\n")
    expect(page.get_by_text("changed since it was explained")).to_be_visible()
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(answer(page)).to_contain_text("dot([2,1,1], [5,1,1]) = 12")
    reads(page, "torch", ["12", "9"])
    page.get_by_role("tab", name="line 7: conv1d").click()
    expect(answer(page)).to_contain_text("y[0,0,1] = dot([1,1,3], [1,1,5]) = 17")
    expect(answer(page)).to_contain_text("The kernel is not flipped here")
    expect(page.get_by_text("changed since it was explained")).to_be_hidden()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_gallery_opens(page: Page, name: str) -> None:
    open_at(page)
    pick(page, name)
    expect(editor(page)).to_have_value(EXAMPLES[name].source)
    if name == "class":
        expect(page.get_by_text("and nothing here calls it")).to_be_visible()
    else:
        expect(answer(page)).to_contain_text("y[")
        expect(page.locator("figure[data-panel=torch]")).to_be_visible()


def test_a_generator_of_full_size_opens_at_its_last_layer(page: Page) -> None:
    open_at(page, "/Explain?example=dcgan")
    last, busy = (
        page.get_by_role("tab", name="conv_transpose2d, 12"),
        page.get_by_text("Explain tries again"),
    )
    for _ in range(5):  # the reader's clock runs on a machine that is busy with other tests
        expect(last.or_(busy).first).to_be_visible()
        if not busy.is_visible():
            break
        page.get_by_role("button", name="Explain", exact=True).click()
    last.click()
    expect(page.get_by_text("y (1, 3, 64, 64)")).to_be_visible()
    expect(page.get_by_label("torch's output, shape (1, 3, 64, 64)")).to_be_visible()
    expect(page.get_by_text("equals torch within float32 rounding")).to_be_visible()


def test_a_class_that_nobody_calls_runs_on_a_shape(page: Page) -> None:
    open_at(page, "/Explain?example=class")
    expect(page.get_by_text("Line 8 defines")).to_contain_text("nothing here calls it")
    page.get_by_label("Up(channels, out_channels)", exact=True).fill("4, 2")
    page.get_by_label("shape of x", exact=True).fill("1, 4, 3, 3")
    page.get_by_label("shape of skip", exact=True).fill("1, 2, 6, 6")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("tab", name="line 12: conv_transpose2d")).to_be_visible()
    expect(page.get_by_text("One sample: nothing")).to_be_visible()
    expect(page.get_by_label("shape of x", exact=True)).to_have_value("1, 4, 3, 3")
    page.get_by_label("shape of x", exact=True).fill("one")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("A shape is whole numbers")).to_be_visible()


def test_an_error_marks_its_line_and_keeps_text_and_answers(page: Page) -> None:
    open_at(page)
    source = EXAMPLES["channels"].source + "# mine\n"
    explain(page, source)
    expect(page.get_by_text("expected input[1, 8, 10, 10] to have 16 channels")).to_be_visible()
    expect(page.get_by_text("takes 16 input channels")).to_be_visible()
    shapes = page.get_by_role("img", name="x (1, 8, 10, 10)")
    expect(shapes).to_have_attribute("alt", re.compile("weight .*: look at x$"))
    assert shapes.evaluate("picture => picture.complete && picture.naturalWidth > 200")
    expect(page.locator(".pce-line.ce-error")).to_have_text(re.compile("second = layer"))
    expect(editor(page)).to_have_value(source)
    expect(answer(page)).to_contain_text("y[0,0,")
    # Another text is not what the mark was about.
    editor(page).press("End")
    editor(page).type(" ")
    expect(page.locator(".pce-line.ce-error")).to_have_count(0)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_gets_one_sentence(page: Page, text: str) -> None:
    open_at(page)
    expect(answer(page)).to_be_visible()
    explain(page, text)
    said = page.get_by_test_id("stAlert")
    expect(said).to_have_count(1)
    expect(said).to_contain_text(HOSTILE[text])
    expect(answer(page)).to_have_count(0)
    expect(editor(page)).to_have_value(text)


def test_a_text_that_is_too_long_is_kept_and_counted(page: Page) -> None:
    open_at(page)
    text = "# " + "x" * LIMITS.source_chars
    explain(page, text)
    expect(page.get_by_text("2 characters more than the 200,000 that are read")).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_have_count(1)
    expect(editor(page)).to_have_value(text)


def test_a_reload_keeps_the_text_and_its_answer(page: Page) -> None:
    open_at(page)
    source = ANSWER.replace("3]]]", "4]]]")
    explain(page, source)
    expect(answer(page)).to_contain_text("= 10")
    page.reload()
    expect(editor(page)).to_have_value(source)
    expect(answer(page)).to_contain_text("= 10")


def test_a_reload_keeps_what_was_only_typed(page: Page) -> None:
    open_at(page, "/Explain?example=answer")
    expect(answer(page)).to_be_visible()
    editor(page).fill("x = 1  # not done yet")
    page.reload()
    expect(editor(page)).to_have_value("x = 1  # not done yet")


def test_another_page_and_back_keeps_the_text(page: Page) -> None:
    open_at(page)
    explain(page, ANSWER + "# mine")
    expect(answer(page)).to_contain_text("= 12")
    editor(page).fill(ANSWER + "# mine, and more")
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Playground").click()
    expect(page.get_by_text("Start from")).to_be_visible()
    sidebar.get_by_role("link", name="Explain").click()
    expect(editor(page)).to_have_value(ANSWER + "# mine, and more")
    expect(answer(page)).to_contain_text("= 12")


def test_an_example_can_be_undone(page: Page) -> None:
    open_at(page)
    explain(page, ANSWER + "# mine")
    expect(answer(page)).to_contain_text("= 12")
    pick(page, "dcgan")
    expect(editor(page)).to_have_value(EXAMPLES["dcgan"].source)
    page.get_by_role("button", name="Back to your own text").click()
    expect(editor(page)).to_have_value(ANSWER + "# mine")
    expect(answer(page)).to_contain_text("= 12")


def test_a_cell_is_asked_for_by_a_click_and_by_its_place(page: Page) -> None:
    open_at(page, "/Explain?example=answer")
    expect(page.get_by_text("x[0,0,0] * w[0,0,2] = 2 * 5 = 10")).to_be_visible()
    cells = page.locator("figure[data-panel=torch] .ct-number")
    expect(cells).to_have_count(2)
    cells.nth(1).scroll_into_view_if_needed()
    box = cells.nth(1).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text("x[0,0,1] * w[0,0,2] = 1 * 5 = 5")).to_be_visible()
    place = page.get_by_label("L", exact=True)
    expect(place).to_have_value("1")
    place.fill("0")
    place.press("Enter")
    expect(page.get_by_text("x[0,0,0] * w[0,0,2] = 2 * 5 = 10")).to_be_visible()


class Clicked(NamedTuple):
    """A kind of case: shapes of x and weight, other arguments, and the batch item to look at."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    more: str = ""
    item: int = 0

    @property
    def source(self) -> str:
        """A snippet whose results are whole numbers, most of them different."""
        counted = [
            f"{name} = torch.arange({prod(shape)}.).view({shape})"
            for name, shape in (("x", self.x), ("w", self.weight))
        ]
        call = f"y = F.conv_transpose{len(self.weight) - 2}d(x, w{self.more})"
        return "\n".join(["import torch", "import torch.nn.functional as F", *counted, call])


CLICKED = {
    "unbatched 1d": Clicked((1, 4), (1, 2, 3), ", padding=1"),
    "unbatched 2d with bias": Clicked(
        (1, 2, 2), (1, 2, 2, 2), ", torch.tensor([5., 7.]), stride=2"
    ),
    "unbatched 3d": Clicked((1, 2, 2, 2), (1, 1, 2, 2, 2)),
    "1d, item 1 of 2, with bias": Clicked(
        (2, 2, 2), (2, 2, 3), ", torch.tensor([5., 7.]), stride=2", item=1
    ),
    "2d in groups": Clicked((1, 2, 2, 2), (2, 2, 2, 2), ", groups=2, padding=1, output_padding=0"),
    "3d with bias": Clicked(
        (1, 1, 2, 2, 2), (1, 2, 2, 2, 2), ", torch.tensor([5., 7.]), padding=1"
    ),
    "8 channels of 20": Clicked((1, 1, 3), (1, 20, 2)),
    "8 channels of 20, unbatched": Clicked((1, 3), (1, 20, 2), ", padding=1"),
}


def shown_cells(panel: dict[str, Any], dims: int) -> list[list[int]]:
    """The index of every cell that a panel shows, in the order of the cells' numbers."""
    positions = list(product(*(track["label"] for track in panel["tracks"][-dims:])))
    return [
        [*channel["index"], *position] for channel in panel["channels"] for position in positions
    ]


def click(page: Page, panel: str, cell: int) -> None:
    number = page.locator(f"figure[data-panel={panel}] [data-cell='{cell}']")
    number.scroll_into_view_if_needed()
    # An empty number has no box of its own.
    x, y = number.evaluate(
        """(text) => {
          const { left, top } = text.ownerSVGElement.getBoundingClientRect();
          return [left + Number(text.getAttribute("x")), top + Number(text.getAttribute("y")) - 4];
        }"""
    )
    page.mouse.click(x, y)


@pytest.mark.parametrize("kind", CLICKED)
def test_a_click_on_an_output_cell_is_answered(page: Page, kind: str) -> None:
    source, item = CLICKED[kind].source, CLICKED[kind].item
    (case,) = read_snippet(source).cases
    output = case.trace().output
    open_at(page)
    explain(page, source)
    drawn = page.get_by_label(f"torch's output, shape {output.shape}")
    expect(drawn).to_be_visible()
    if item:
        page.get_by_label("batch item", exact=True).fill(str(item))
        page.get_by_label("batch item", exact=True).press("Enter")
        expect(drawn.get_by_text(f"y[{item},0")).to_be_visible()
    for order in ("scatter", "gather"):
        page.get_by_role("radio", name=order.capitalize(), exact=True).click()
        weight = page.locator("figure[data-panel=weight]")
        flipped = re.compile("flipped" if order == "gather" else "^weight w,? shape")
        expect(weight).to_have_attribute("aria-label", flipped)
        settled(page)
        header, _ = read_message(scene(case, View(order, item)))
        _, _, canvas, torchs = header["panels"]
        canvas_cells, torch_cells = (shown_cells(one, case.dims) for one in (canvas, torchs))
        for panel, cells in (("torch", torch_cells), ("output", canvas_cells)):
            for cell in (len(cells) - 1, len(cells) // 2, 0):
                click(page, panel, cell)
                index = cells[cell]
                name = f"y[{','.join(map(str, index))}]"
                if index in torch_cells:
                    said = f"{name} = {output[tuple(index)]:g}"
                else:
                    place = index[1 if case.unbatched else 2 :]
                    position = str(place[0] if case.dims == 1 else tuple(place))
                    said = f"Cropped: canvas cell at output position {position}"
                expect(page.locator("strong", has_text=said)).to_be_visible()
                # A second click on the same cell would unpin it.
                page.keyboard.press("Escape")


def test_numbers_that_differ_are_named(page: Page, tmp_path: Path) -> None:
    open_at(page, "/Explain?example=answer")
    expect(page.locator("figure[data-panel=torch]")).to_be_visible()
    page.get_by_text("I got something else.").click()
    page.get_by_label("Numbers", exact=True).fill("tensor([[[ 8., 17.]]])")
    page.get_by_role("button", name="What are these?").click()
    expect(page.get_by_text("the kernel not flipped")).to_be_visible()
    np.save(tmp_path / "mine.npy", np.array([12.0, 9.0]))
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(tmp_path / "mine.npy")
    page.get_by_role("button", name="What are these?").click()
    expect(page.get_by_text("the kernel not flipped")).to_be_hidden()
    page.get_by_role("button", name=re.compile("Remove|Delete|Clear")).first.click()
    page.get_by_label("Numbers", exact=True).fill("eight")
    page.get_by_role("button", name="What are these?").click()
    expect(page.get_by_test_id("stAlert")).to_be_visible()


def test_the_whole_story_is_copied_as_markdown(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    open_at(page)
    page.get_by_text("The whole story").click()
    buttons = page.get_by_role("button", name="Copy as Markdown")
    expect(buttons).to_have_count(2)
    buttons.last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text: Any = page.evaluate("navigator.clipboard.readText()")
    assert "**Shapes.**" in text and "$$" in text and "= 2 * dot([1,1,2], [2,1,1]) = 10" in text


def test_a_case_opens_in_the_playground(page: Page) -> None:
    open_at(page, "/Explain?example=answer")
    page.get_by_role("link", name="Open in the playground").click()
    expect(page.get_by_text("nn.ConvTranspose1d(1, 1, 3, padding=2, bias=False)")).to_be_visible()
    reads(page, "torch", ["12", "9"])


def test_in_the_dark_the_words_are_bright(dark: Page) -> None:
    open_at(dark)
    expect(dark.locator(".ce.ce-night")).to_be_visible()
    keyword = dark.locator(".token.keyword").first
    expect(keyword).to_have_css("color", "rgb(255, 143, 135)")


def test_a_phone_shows_everything_in_one_column(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    open_at(page)
    page.get_by_role("button", name="Explain", exact=True).tap()
    expect(answer(page)).to_contain_text("= 10")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["viewport"]["width"]
    editor_box, answer_box = editor(page).bounding_box(), answer(page).bounding_box()
    assert editor_box is not None and answer_box is not None
    assert editor_box["y"] < answer_box["y"]


def test_the_limits_are_stated(page: Page) -> None:
    open_at(page)
    page.get_by_role("button", name="What is read").click()
    expect(page.get_by_text(f"{LIMITS.source_chars:,} characters")).to_be_visible()


MODEL = """import torch
from torch import nn
class Decoder(nn.Module):
    def __init__(self, nz=6):
        super().__init__()
        self.up = nn.Sequential(nn.ConvTranspose2d(nz, 4, 4), nn.ConvTranspose2d(4, 2, 4, 2, 1))
    def forward(self, z):
        return self.up(z)
torch.manual_seed(0)
Decoder()(torch.ones(1, 6, 1, 1))
"""


def test_a_call_says_which_module_made_it_and_a_model_is_summed_up(page: Page) -> None:
    open_at(page)
    explain(page, MODEL)
    page.get_by_role("tab", name="line 8: conv_transpose2d, up.1").click()
    expect(page.get_by_text("as up.1, made on line 6")).to_be_visible()
    page.get_by_text("Sizes and MACs of 2 convolutions").click()
    expect(page.get_by_text("In all 2,432 MACs forward")).to_be_visible()
    expect(page.get_by_text("FlopCounterMode counts 4,864 FLOPs")).to_be_visible()


def test_a_layer_that_never_ran_says_what_it_makes_and_runs_at_one_click(page: Page) -> None:
    open_at(page)
    explain(page, MODEL.rpartition("torch.manual_seed")[0])
    expect(page.get_by_text("in_channels=6, out_channels=4, kernel_size=4")).to_be_visible()
    expect(page.get_by_text("2*H x 2*W of H x W")).to_be_visible()
    expect(page.get_by_label("shape of z", exact=True)).to_have_value("1, 6, 4, 4")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("tab", name="line 8: conv_transpose2d, up.0")).to_be_visible()


def test_an_error_message_alone_is_drawn_and_explained(page: Page) -> None:
    open_at(page)
    said = "RuntimeError: Given transposed=1, weight of size [128, 64, 2, 2], expected input[2, 64, 16, 16] "
    explain(page, said + "to have 128 channels, but got 64 channels instead")
    expect(page.get_by_text("This ConvTranspose2d takes 128 input channels")).to_be_visible()
    expect(page.get_by_role("img", name="x (2, 64, 16, 16)")).to_be_visible()


def test_a_notebook_is_opened_and_its_code_explained(page: Page, tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Up"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import torch"], "outputs": []},
        {
            "cell_type": "code",
            "source": "torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))",
        },
    ]
    book = tmp_path / "up.ipynb"
    book.write_text(json.dumps({"nbformat": 4, "cells": cells}))
    open_at(page)
    explain(page, ANSWER + "# mine")
    expect(answer(page)).to_contain_text("= 12")
    page.get_by_label("A file with code").set_input_files(book)
    expect(editor(page)).to_have_value(
        re.compile(r"^%matplotlib inline\nimport torch\n\ntorch\.conv")
    )
    expect(page.get_by_text("Line 4 shows")).to_be_visible()
    expect(answer(page)).to_contain_text("= 1")
    page.get_by_role("button", name="Back to your own text").click()
    expect(editor(page)).to_have_value(ANSWER + "# mine")


def test_a_file_of_code_is_dropped_on_the_editor(page: Page) -> None:
    open_at(page)
    expect(answer(page)).to_be_visible()
    editor(page).evaluate(
        """(area, text) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], "up.py", { type: "text/x-python" }));
            const options = { bubbles: true, cancelable: true, dataTransfer };
            area.dispatchEvent(new DragEvent("drop", options));
        }""",
        ANSWER,
    )
    expect(editor(page)).to_have_value(ANSWER)
    expect(answer(page)).to_contain_text("= 12")


def test_a_skip_connection_that_is_one_off_is_told_what_mends_it(page: Page) -> None:
    open_at(page)
    explain(
        page,
        "import torch\nfrom torch import nn\nx = torch.ones(1, 1, 9, 9)\n"
        "up = nn.ConvTranspose2d(1, 2, 2, stride=2)(nn.MaxPool2d(2)(x))\ntorch.cat([x, up], 1)",
    )
    expect(page.get_by_text("Sizes of tensors must match")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("makes 8 along H and W, where 9 is wanted: 1 too few")).to_be_visible()
    expect(
        page.get_by_text("nn.ConvTranspose2d(1, 2, 2, stride=2, output_padding=1)")
    ).to_be_visible()


def test_a_call_goes_to_the_pages_about_it(page: Page) -> None:
    open_at(page)
    explain(
        page,
        "import torch\nfrom torch.nn import functional as F\n"
        "F.conv_transpose1d(torch.ones(1, 1, 5), torch.ones(1, 1, 4), stride=3)",
    )
    expect(page.get_by_role("link", name="Open in the playground")).to_be_visible(timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.get_by_test_id("stMain").get_by_role("link", name="Overlap").click()
    layer = "nn.ConvTranspose1d(1, 1, 4, stride=3, bias=False)"
    expect(page.get_by_text(layer)).to_be_visible(timeout=30_000)
    expect(page.get_by_text("some cells get 2 times as many MACs as others")).to_be_visible()

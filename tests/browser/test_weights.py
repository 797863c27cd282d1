"""A file of trained weights beside the text on the page Explain, as a person lays it there."""

from __future__ import annotations

import io
from typing import Any

import safetensors.torch
import torch
from browser.conftest import PHONE, OpenPage
from browser.test_explain import answer, editor, explain, open_at, reads, settled
from playwright.sync_api import Page, expect

TEXT = """import torch
from torch import nn
class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(1, 1, 2, bias=False)
    def forward(self, x):
        return self.up(x)
torch.manual_seed(0)
print(Up()(torch.ones(1, 1, 2)).tolist())
"""
STATE = {"up.weight": torch.tensor([[[7.0, 9.0]]])}
PLACE = "Your trained weights"


def saved(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def lay(page: Page, name: str, data: bytes) -> None:
    """Choose a file, in the place for it."""
    settled(page)
    uploader = page.get_by_test_id("stFileUploader")
    if not uploader.is_visible():
        page.get_by_role("button", name=PLACE).click()
    uploader.locator("input").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def said(page: Page, text: str) -> None:
    expect(page.get_by_test_id("stAlert").filter(has_text=text)).to_be_visible(timeout=30_000)


def test_the_numbers_of_a_file_are_on_screen_until_it_is_taken_away(page: Page) -> None:
    open_at(page)
    explain(page, TEXT)
    expect(answer(page)).to_be_visible()
    lay(page, "up.safetensors", safetensors.torch.save(STATE))
    said(page, "line 10: up.safetensors: 1 tensor is loaded into Up")
    reads(page, "weight", ["7", "9"])
    expect(page.get_by_text("[[[7.0, 16.0, 9.0]]]")).to_be_visible()
    expect(page.get_by_text("up.safetensors is beside the text")).to_be_visible()
    # It stays for the next text, and no address carries it.
    page.keyboard.press("Escape")
    explain(page, TEXT.replace("ones(1, 1, 2)", "ones(1, 1, 1)"))
    expect(page.get_by_text("[[[7.0, 9.0]]]")).to_be_visible()
    assert "up" not in page.url.partition("?")[2]
    settled(page)
    page.get_by_role("button", name=PLACE).click()
    page.get_by_test_id("stFileUploader").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("is beside the text")).to_be_hidden()
    expect(page.get_by_test_id("stAlert")).to_be_hidden()
    expect(page.get_by_text("[[[7.0, 9.0]]]")).to_be_hidden()
    expect(answer(page)).to_be_visible()


def test_a_file_that_does_not_fit_or_is_none_gets_a_sentence_and_the_text_stays(page: Page) -> None:
    open_at(page)
    explain(page, TEXT)
    lay(page, "other.pt", saved({"up.weight": torch.ones(1, 1, 3)}))
    said(page, "up.weight, (1, 1, 2) here and (1, 1, 3) there")
    lay(page, "whole.pt", saved(torch.nn.ReLU()))
    said(page, "Not read: whole.pt holds torch.nn.modules.activation.ReLU")
    said(page, "Save its state dict")
    expect(editor(page)).to_have_value(TEXT)


def test_a_class_alone_is_run_with_the_file(page: Page) -> None:
    open_at(page)
    explain(page, TEXT.partition("torch.manual_seed")[0])
    expect(page.get_by_role("button", name="Run it")).to_be_visible(timeout=30_000)
    lay(page, "up.pt", saved({"epoch": 1, "state_dict": {"module.up.weight": STATE["up.weight"]}}))
    said(page, "up.pt is not loaded: no module with weights is called")
    page.keyboard.press("Escape")
    settled(page)
    page.get_by_role("button", name="Run it").click()
    said(page, "up.pt: 1 tensor is loaded into Up, from the names under module")
    reads(page, "weight", ["7", "9"])


def test_a_phone_has_the_place_too(open_page: OpenPage) -> None:
    phone = open_page(**PHONE)
    open_at(phone)
    lay(phone, "up.pt", saved(STATE))
    expect(phone.get_by_text("up.pt is beside the text")).to_be_visible(timeout=30_000)
    width = phone.evaluate("document.documentElement.scrollWidth")
    assert width <= phone.viewport_size["width"]  # type: ignore[index]

"""The page about other frameworks: there, the difference, and back."""

from __future__ import annotations

import re

import numpy as np
import pytest
from elsewhere.test_onnx_file import one_node
from playwright.sync_api import Page, expect

LAYER = (
    "dims=1d&in_channels=1&out_channels=1&groups=1&size=3&kernel=3&stride=2&padding=1"
    "&output_padding=1&dilation=1&x=numbers:1,2,3&weight=numbers:1,10,100"
)


def open_at(page: Page, path: str = f"/Elsewhere?{LAYER}") -> Page:
    page.goto(path)
    expect(page.get_by_text("And back: a line of theirs")).to_be_visible(timeout=60_000)
    # Streamlit loads parts of a page late, and then makes it anew: a click in between is lost.
    page.wait_for_load_state("networkidle")
    return page


def maps(page: Page) -> list[list[str]]:
    return [
        one.locator("span").all_text_contents()
        for one in page.locator(".heat").all()
        if one.is_visible()
    ]


def test_keras_same_is_a_position_off(page: Page) -> None:
    open_at(page)
    expect(page.get_by_text("No setting alone gives PyTorch's numbers").first).to_be_visible()
    said = (
        'Along L PyTorch crops 1 at the beginning and 0 at the end, Keras, padding="same" 0 and 1.'
    )
    expect(page.get_by_text(said)).to_be_visible()
    ours, theirs, apart = maps(page)[-3:]
    assert ours == ["10", "102", "20", "203", "30", "300"]
    assert theirs == ["1", "10", "102", "20", "203", "30"]
    assert apart == ["-9", "-92", "82", "-183", "173", "-270"]


def test_a_keras_same_layer_is_ported_with_equal_numbers(page: Page) -> None:
    """A pasted Keras line becomes PyTorch's; that layer, run, has the numbers of Keras."""
    open_at(page)
    page.get_by_label("a line of Keras, flax, JAX, or an ONNX node").fill(
        'layers.Conv1DTranspose(1, 3, strides=2, padding="same", use_bias=False)'
    )
    page.keyboard.press("Enter")
    size = page.get_by_label("input size", exact=True)
    size.fill("3")
    size.press("Enter")
    expect(
        page.get_by_text("nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False)").first
    ).to_be_visible()
    code = page.locator("pre code").last
    expect(code).to_contain_text("torch.randn(1, 1, 3)  # channels first")
    expect(code).to_contain_text("F.pad(y, (0, -1))")
    names: dict = {}
    program = code.inner_text().replace("torch.randn(1, 1, 3)", "torch.tensor([[[1.0, 2, 3]]])")
    program = program.replace(
        "torch.randn(3, 1, 1)", "torch.tensor([1.0, 10, 100]).reshape(3, 1, 1)"
    )
    exec(program, names)
    assert names["y"].detach().ravel().tolist() == [1, 10, 102, 20, 203, 30]


@pytest.mark.parametrize(
    "tab, text",
    [
        ("Keras", "keras.layers.Conv1DTranspose"),
        ("JAX: lax.conv_transpose", "lax.conv_transpose"),
        ("JAX: lax.conv_general_dilated", "lax.conv_general_dilated"),
        ("flax", "nn.ConvTranspose"),
        ("ONNX", "ConvTranspose"),
    ],
)
def test_every_framework_has_its_program(page: Page, tab: str, text: str) -> None:
    open_at(page)
    page.get_by_role("tab", name=tab, exact=True).click()
    panel = page.get_by_role("tabpanel", name=tab, exact=True)
    expect(panel.get_by_text("This program prints PyTorch's output.")).to_be_visible()
    expect(panel.locator("pre code")).to_contain_text(text)
    panel.get_by_text("What surprises there").click()
    expect(panel.get_by_text(re.compile(r"\((Keras|JAX|flax|ONNX) \d+\.\d+")).first).to_be_visible()


def test_two_conventions_are_chosen_and_kept_in_the_address(page: Page) -> None:
    open_at(page, f"/Elsewhere?{LAYER}&other=ONNX,%20SAME_LOWER")
    expect(page.get_by_text("They keep the same of this layer.")).to_be_visible()
    expect(page).to_have_url(re.compile("other=ONNX"))


@pytest.mark.parametrize(
    "line, said",
    [
        ("nn.ConvTranspose2d(8, 64, 3)", "PyTorch's own"),
        ("import os", "The line calls nothing"),
        ("__import__('os').system('true')", ""),
    ],
)
def test_a_line_that_cannot_be_read_gets_a_sentence(page: Page, line: str, said: str) -> None:
    open_at(page)
    field = page.get_by_label("a line of Keras, flax, JAX, or an ONNX node")
    field.fill(line)
    field.press("Enter")
    alert = page.get_by_role("alert").last
    expect(alert).to_be_visible()
    expect(alert).to_contain_text(said)
    expect(field).to_have_value(line)


def test_a_phone_has_the_page(phone: Page) -> None:
    open_at(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= phone.viewport_size["width"]


def test_an_onnx_file_is_opened_and_stepped_through(page: Page) -> None:
    open_at(page)
    weight = np.arange(1, 13, dtype=np.float32).reshape(2, 2, 3)
    page.locator('input[type="file"]').first.set_input_files(
        {
            "name": "model.onnx",
            "mimeType": "application/octet-stream",
            "buffer": one_node(weight, strides=[2], pads=[1, 1]),
        }
    )
    expect(
        page.get_by_text("nn.ConvTranspose1d(2, 2, 3, stride=2, padding=1, bias=False)")
    ).to_be_visible(timeout=30_000)
    expect(page.get_by_text("ONNX's reference evaluator")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("equals PyTorch: all 14 output values, exactly")).to_be_visible()
    player = page.locator(".ct-player")
    expect(player.get_by_text("MAC 0 of 48")).to_be_visible()
    page.get_by_role("button", name="Step forward").click()
    expect(player.get_by_text("MAC 1 of 48")).to_be_visible()


def test_a_file_that_is_no_model_gets_a_sentence(page: Page) -> None:
    open_at(page)
    page.locator('input[type="file"]').first.set_input_files(
        {"name": "a.onnx", "mimeType": "application/octet-stream", "buffer": b"hello"}
    )
    expect(page.get_by_text("This is not an ONNX model, or it is damaged.")).to_be_visible(
        timeout=30_000
    )

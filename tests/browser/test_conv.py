"""A plain convolution on the page Explain: its player, stepped through as a person does."""

from __future__ import annotations

import re

from browser.test_explain import answer, click, explain, open_at, reads
from playwright.sync_api import Locator, Page, expect

from convt_trace.engine.conv import Conv

SOURCE = """\
import torch
import torch.nn.functional as F

x = torch.tensor([[[2., 1, 1, 3, 4], [1, 0, 2, 1, 1]]])
w = torch.tensor([[[1., 1, 5], [2, 0, 1]]])
y = F.conv1d(x, w, torch.tensor([10.]), stride=2, padding=1)
"""
CONV = Conv.of(
    [[[2.0, 1, 1, 3, 4], [1, 0, 2, 1, 1]]],
    [[[1.0, 1, 5], [2, 0, 1]]],
    [10.0],
    stride=2,
    padding=1,
)


def status(page: Page) -> Locator:
    return page.get_by_role("status").and_(page.locator(".ct-sentence"))


def outlined(page: Page, panel: str, layer: str, count: int) -> None:
    path = page.locator(f"figure[data-panel={panel}] .ct-{layer}")
    expect(path).to_have_attribute("d", re.compile(rf"^[^M]*(M[^M]*){{{count}}}$"))


def test_it_plays_step_by_step_beside_torch(page: Page) -> None:
    open_at(page)
    explain(page, SOURCE)
    expect(page.get_by_text("runs nn.Conv1d(2, 1, 3, stride=2, padding=1)")).to_be_visible()
    expect(page.get_by_text("18 MACs, 4 of them on padded zeros")).to_be_visible()
    expect(status(page)).to_contain_text("18 multiply-accumulates make this output; 4 of them read")
    reads(page, "torch", [f"{value:.0f}" for value in CONV.trace().output.reshape(-1)])
    reads(page, "input", ["0", "2", "1", "1", "3", "4", "0", "0", "1", "0", "2", "1", "1", "0"])
    expect(page.get_by_text("equals torch: all 3 output values, exactly")).to_be_visible()
    page.get_by_role("button", name="First step", exact=True).focus()
    for step, mac in enumerate(CONV.trace(), 1):
        page.keyboard.press("ArrowRight")
        x = f"x[0,{mac.in_channel},{mac.i[0]}]" if mac.kept else "a padded zero"
        expect(status(page)).to_contain_text(
            f"y[0,0,{mac.o[0]}] += {x} * w[0,{mac.in_channel},{mac.k[0]}] = {mac.x:.0f} * {mac.w:.0f}: "
            f"{mac.before:.0f} -> {mac.after:.0f}"
        )
        for panel in ("input", "weight", "output"):
            outlined(page, panel, "now", 1)
        outlined(page, "input", "reach", 3)
        outlined(page, "torch", "mark", step // 6)
        if step % 6 == 0:
            value = CONV.trace().output[(0, 0, *mac.o)]
            expect(status(page)).to_contain_text(f"+ bias 10 = {value:.0f} (done)")
    reads(page, "output", [f"{value:.0f}" for value in CONV.trace().output.reshape(-1)])


def test_the_keyboard_and_the_units_are_those_of_any_player(page: Page) -> None:
    open_at(page)
    explain(page, SOURCE)
    expect(status(page)).to_contain_text("18 multiply-accumulates")
    page.get_by_role("button", name="First step", exact=True).focus()
    readout = page.locator(".ct-readout")
    for key, step in (("End", 18), ("ArrowLeft", 17), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        expect(readout).to_have_text(f"MAC {step} of 18")
    page.keyboard.press("u")
    page.keyboard.press("ArrowRight")
    expect(readout).to_have_text("MAC 3 of 18")
    expect(status(page)).to_contain_text("y[0,0,0] collects its window on x[0,0] (3 MACs)")
    page.keyboard.press("u")
    page.keyboard.press("ArrowRight")
    expect(readout).to_have_text("MAC 6 of 18")
    expect(status(page)).to_contain_text("y[0,0,0] collects its whole window (6 MACs)")
    page.get_by_label("Unit of a step").select_option("MAC")
    page.keyboard.press("Home")
    page.get_by_label("Speed").select_option("60")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(readout).to_have_text("MAC 18 of 18")


def test_a_click_on_an_output_cell_shows_its_whole_sum(page: Page) -> None:
    open_at(page)
    explain(page, SOURCE)
    expect(page.get_by_text("x[0,0,0] * w[0,0,1] = 2 * 1 = 2").last).to_be_visible()
    click(page, "output", 2)
    # Both the player and the words below it tell the sum.
    expect(page.locator(".ct-detail")).to_contain_text("x[0,0,3]*w[0,0,0] + x[0,0,4]*w[0,0,1]")
    expect(page.locator(".ct-detail")).to_contain_text("+ 0*w[0,0,2]")
    expect(page.locator(".ct-detail")).to_contain_text("agrees")
    expect(page.get_by_label("L", exact=True)).to_have_value("2")
    expect(page.get_by_text("x[0,0,3] * w[0,0,0] = 3 * 1 = 3").last).to_be_visible()
    click(page, "weight", 0)
    expect(page.locator(".ct-detail")).to_contain_text(
        "w[0,0,0] = 1 joins input channel 0 to output channel 0, in group 0"
    )


def test_a_large_layer_opens_and_ends(page: Page) -> None:
    open_at(page)
    explain(
        page,
        "import torch\ntorch.manual_seed(0)\nconv = torch.nn.Conv2d(64, 64, 3, padding=1)\n"
        "y = conv(torch.randn(1, 64, 56, 56))",
    )
    expect(page.get_by_text("115,605,504 MACs")).to_be_visible()
    expect(page.get_by_text("equals torch within float32 rounding")).to_be_visible()
    page.get_by_role("button", name="Last step", exact=True).click()
    expect(page.locator(".ct-readout")).to_have_text("MAC 451,584 of 451,584")
    expect(status(page)).to_contain_text("y[0,63,55,55] += a padded zero * w[63,63,2,2]")
    expect(status(page)).to_contain_text("(done)")


def test_padding_that_is_no_zeros_has_words_and_no_picture(page: Page) -> None:
    open_at(page)
    explain(
        page,
        "import torch\nconv = torch.nn.Conv1d(1, 1, 3, padding=1, padding_mode='circular')\n"
        "y = conv(torch.ones(1, 1, 4))",
    )
    expect(page.get_by_text('padding_mode="circular" has padded x')).to_be_visible()
    expect(answer(page)).to_contain_text("y[0,0,0")
    expect(page.locator(".ct-player")).to_have_count(0)


def test_an_uneven_same_is_explained(page: Page) -> None:
    open_at(page)
    explain(
        page,
        "import torch\nimport torch.nn.functional as F\n"
        "y = F.conv1d(torch.ones(1, 1, 5), torch.ones(1, 1, 4), padding='same')",
    )
    expect(answer(page)).to_contain_text("= 4")
    reads(page, "torch", ["3", "4", "4", "3", "2"])
    reads(page, "input", ["0", "1", "1", "1", "1", "1", "0", "0"])
    expect(page.get_by_text("equals torch: all 5 output values, exactly")).to_be_visible()

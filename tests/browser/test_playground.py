"""The playground: every control changes the layer and the address, and nothing else is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from player_page import PlayerPage
from playwright.sync_api import Locator, Page, expect

from convt_trace.links.link import Linked, from_link, to_link
from convt_trace.links.settings import PRESETS, QUESTION

CASE = QUESTION.case()


def slider(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=re.compile(f"^{name}"))


def line(page: Page) -> Locator:
    """The layer as one line of PyTorch."""
    return page.get_by_test_id("stMain").locator("code").first


def address(page: Page) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page.url).query))


def opened(page: Page) -> Linked:
    """What the address holds; the bare one is the question's."""
    return from_link(address(page) or to_link(QUESTION))


def in_address(page: Page, **settings: str) -> None:
    """Expect settings in the address, and their layer on the page."""
    for name, value in settings.items():
        expect(page).to_have_url(re.compile(rf"[?&]{name}={re.escape(value)}(&|$)"))


def shows_its_address(page: Page) -> None:
    """Expect the page to show the very case that its address names."""
    linked = opened(page)
    assert not linked.problems
    expect(line(page)).to_have_text(linked.case.line())


def choose(page: Page, label: str, option: str) -> None:
    box = page.get_by_role("combobox", name=label)
    # At the screen's edge the page scrolls under the open list, and so closes it.
    box.evaluate("element => element.scrollIntoView({ block: 'center' })")
    box.click()
    page.get_by_role("option", name=option).click()


def tab(page: Page, name: str) -> Locator:
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel", name=name)


# -- controls ---------------------------------------------------------------------------------------


def test_every_slider_changes_the_layer_and_the_address(page: Page) -> None:
    player = PlayerPage(page, "/?dims=2d&order=gather")
    expect(line(page)).to_have_text("nn.ConvTranspose2d(4, 4, 3, padding=2, groups=2, bias=False)")
    for name, key, setting in (
        ("groups", "ArrowLeft", {"groups": "1"}),
        ("in_channels", "ArrowLeft", {"in_channels": "3"}),
        ("out_channels", "ArrowRight", {"out_channels": "5"}),
        ("batch", "ArrowRight", {"batch": "2"}),
        ("input size", "ArrowRight", {"size": "4"}),
        ("kernel_size", "ArrowLeft", {"kernel": "2"}),
        ("stride", "ArrowRight", {"stride": "2"}),
        ("dilation", "ArrowRight", {"dilation": "2"}),
        ("output_padding", "ArrowRight", {"output_padding": "1"}),
        ("padding", "ArrowLeft", {"padding": "1"}),
    ):
        slider(page, name).press(key)
        in_address(page, **setting)
        player.settled()
        shows_its_address(page)
    page.get_by_text("bias", exact=True).click()
    in_address(page, bias="yes")
    expect(line(page)).not_to_contain_text("bias=False")
    assert address(page)["order"] == "gather"
    # Reload: everything is as it was.
    said, there = line(page).text_content(), page.url
    page.reload()
    player.settled(30_000)
    expect(line(page)).to_have_text(said or "")
    assert page.url == there
    expect(player.panel("weight")).to_have_accessible_name(re.compile("flipped"))
    expect(page.get_by_role("radio", name="2d")).to_be_checked()


def test_back_brings_the_setting_before(page: Page) -> None:
    player = PlayerPage(page)
    slider(page, "stride").press("ArrowRight")
    in_address(page, stride="2")
    player.settled()
    slider(page, "padding").press("ArrowLeft")
    in_address(page, padding="1")
    player.settled()
    before = slider(page, "padding").bounding_box()
    page.go_back()
    in_address(page, stride="2", padding="2")
    expect(line(page)).to_have_text(
        "nn.ConvTranspose1d(4, 4, 3, stride=2, padding=2, groups=2, bias=False)"
    )
    player.settled()
    expect(slider(page, "padding")).to_have_value("2")
    after = slider(page, "padding").bounding_box()
    # The slider moved where it stood: the sidebar did not scroll.
    assert before and after and before["y"] == after["y"] and before["x"] < after["x"]


def test_one_player_stays_through_what_comes_and_goes_above_it(page: Page) -> None:
    player = PlayerPage(page, "/?stride=fast")
    expect(page.get_by_role("alert")).to_have_count(1)
    root = page.locator(".ct-player")
    root.evaluate("element => { element.first = true; }")
    slider(page, "stride").press("ArrowRight")
    expect(page.get_by_role("alert")).to_have_count(0)
    player.settled()
    slider(page, "batch").press("ArrowRight")
    expect(page.get_by_text("Which channels are shown")).to_be_visible()
    player.settled()
    slider(page, "batch").press("ArrowLeft")
    expect(page.get_by_text("Which channels are shown")).to_be_hidden()
    player.settled()
    choose(page, "Start from", PRESETS["pair"].title)
    expect(page.get_by_test_id("stMain")).to_contain_text("[8, 17]")
    player.settled()
    assert root.evaluate("element => element.first")


def test_quick_hands_lose_nothing(page: Page) -> None:
    player = PlayerPage(page)
    page.get_by_role("radio", name="2d").click()
    page.get_by_role("radio", name="gather").click()
    slider(page, "stride").press("ArrowRight")
    slider(page, "stride").press("ArrowRight")
    slider(page, "dilation").press("ArrowRight")
    in_address(page, dims="2d", order="gather", stride="3", dilation="2")
    player.settled()
    shows_its_address(page)
    expect(page.get_by_role("radio", name="gather")).to_be_checked()
    expect(player.panel("weight")).to_have_accessible_name(re.compile("flipped"))


def test_each_axis_on_its_own(page: Page) -> None:
    player = PlayerPage(page, "/?dims=2d")
    page.get_by_text("one slider per axis").click()
    expect(slider(page, "stride")).to_have_count(2)
    slider(page, "stride").nth(1).press("ArrowRight")
    in_address(page, stride="1%2C2")
    player.settled()
    slider(page, "input size").first.press("ArrowRight")
    in_address(page, size="4%2C3", stride="1%2C2")
    player.settled()
    shows_its_address(page)
    expect(line(page)).to_contain_text("stride=(1, 2)")
    page.reload()
    player.settled(30_000)
    expect(slider(page, "stride")).to_have_count(2)
    expect(slider(page, "stride").nth(1)).to_have_value("2")
    expect(line(page)).to_contain_text("stride=(1, 2)")
    # One slider again: one number for all.
    page.get_by_text("one slider per axis").click()
    expect(slider(page, "stride")).to_have_count(1)
    player.settled()
    shows_its_address(page)


def test_a_bound_moves_with_what_bounds_it_and_says_why(page: Page) -> None:
    player = PlayerPage(page)
    extra, padding = slider(page, "output_padding"), slider(page, "padding")
    expect(extra).to_be_disabled()
    expect(padding).to_have_attribute("max", "2")
    slider(page, "stride").press("ArrowRight")
    expect(extra).to_have_attribute("max", "1")
    expect(padding).to_have_attribute("max", "3")
    player.settled()
    page.get_by_role("button", name="Help for output_padding").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("smaller than stride (2) or dilation (1)")
    page.get_by_role("button", name="Help for padding").hover()
    expect(page.get_by_role("tooltip").filter(has_text="At most 3 here")).to_be_visible()
    # A value that a new bound leaves outside comes along.
    padding.press("End")
    in_address(page, padding="3")
    player.settled()
    slider(page, "stride").press("ArrowLeft")
    expect(padding).to_have_value("2")
    player.settled()
    shows_its_address(page)
    # Groups bound both channel counts.
    slider(page, "groups").press("ArrowRight")
    expect(line(page)).to_contain_text("groups=3")
    player.settled()
    settings = opened(page).settings
    assert settings is not None
    assert (settings.in_channels % 3, settings.out_channels % 3) == (0, 0)
    page.get_by_role("button", name="Help for in_channels").hover()
    expect(page.get_by_role("tooltip").filter(has_text="a multiple of groups=3")).to_be_visible()


# -- numbers ----------------------------------------------------------------------------------------


def test_recipes_fill_the_tensors(page: Page) -> None:
    player = PlayerPage(page)
    for recipe, text in (("ones", "ones"), ("counting", "counting"), ("impulse", "impulse")):
        choose(page, "input x", recipe)
        in_address(page, x=text)
        player.settled()
        expected = opened(page).case.x.reshape(-1)
        expect(player.cell("input", 6)).to_have_text(str(int(expected[6])))
        assert player.numbers("input") == [str(int(value)) for value in expected]
    choose(page, "weight w", "integers")
    seed = page.get_by_role("spinbutton", name="seed of weight w")
    seed.fill("7")
    seed.press("Enter")
    in_address(page, weight="integers%3A7")
    player.settled()
    expected = opened(page).case.weight.reshape(-1)
    assert player.numbers("weight") == [str(int(value)) for value in expected]
    choose(page, "weight w", "bilinear")
    in_address(page, weight="bilinear")
    expect(player.cell("weight", 1)).to_have_text("1")
    player.settled()


def test_a_mistake_in_typed_numbers_is_one_sentence_and_the_text_stays(page: Page) -> None:
    player = PlayerPage(page)
    field = page.get_by_role("textbox", name="numbers of weight w")
    field.fill("1, 2, thre")
    field.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("weight w: number 3 reads 'thre', which is not a number.")
    expect(field).to_have_value("1, 2, thre")
    field.fill("1, 2, 3")
    field.press("Enter")
    expect(alert).to_have_count(0)
    player.settled()
    assert player.numbers("weight") == ["1", "2", "3"] * 8
    in_address(page, weight="numbers%3A1%2C2%2C3")


def test_an_edited_cell_is_in_the_picture(page: Page) -> None:
    player = PlayerPage(page)
    tab(page, "Edit the numbers")
    grid = page.get_by_test_id("stDataFrame")
    expect(grid.get_by_test_id("glide-cell-3-1")).to_have_text("1")
    grid.scroll_into_view_if_needed()
    box = grid.locator("canvas").first.bounding_box()
    assert box is not None

    def edit(row: int, value: str) -> None:
        """Type into the last column."""
        page.mouse.dblclick(box["x"] + box["width"] - 60, box["y"] + 35 * (row + 1) + 17)
        editor = page.locator("#portal input")
        expect(editor).to_be_focused()
        editor.fill(value)
        editor.press("Enter")

    edit(1, "7")
    expect(player.cell("input", 5)).to_have_text("7")
    in_address(page, x="numbers%3A1%2C1%2C1%2C1%2C1%2C7%2C1%2C1%2C2%2C1%2C1%2C2")
    player.settled()
    # A second edit adds to the first.
    edit(2, "9")
    expect(player.cell("input", 8)).to_have_text("9")
    expect(player.cell("input", 5)).to_have_text("7")
    player.settled()
    page.reload()
    player.settled(30_000)
    expect(player.cell("input", 5)).to_have_text("7")


# -- starting points --------------------------------------------------------------------------------


def test_a_preset_sets_everything_and_is_named_until_something_changes(page: Page) -> None:
    player = PlayerPage(page)
    start = page.get_by_role("combobox", name="Start from")
    for name in ("upsample", "output_padding", "dcgan", "pair"):
        preset = PRESETS[name]
        choose(page, "Start from", preset.title)
        expect(line(page)).to_have_text(preset.settings.case().line())
        player.settled()
        assert opened(page).case == preset.settings.case()
        expect(page.get_by_test_id("stSidebar")).to_contain_text(
            re.split(r"[`“\[(]", preset.note)[0].strip() or preset.title
        )
    expect(page.get_by_test_id("stMain")).to_contain_text("[8, 17]")
    slider(page, "stride").press("ArrowRight")
    expect(start).to_have_value("your own settings")
    slider(page, "stride").press("ArrowLeft")
    expect(start).to_have_value(PRESETS["pair"].title)
    player.settled()


def test_an_address_with_mistakes_says_so_and_shows_a_picture(page: Page) -> None:
    player = PlayerPage(page, "/?stride=fast&padding=1&x=sevens")
    alerts = page.get_by_role("alert")
    expect(alerts).to_have_count(1)
    expect(alerts).to_contain_text("stride")
    expect(alerts).to_contain_text("x")
    expect(line(page)).to_contain_text("padding=1")
    player.press("ArrowRight")
    player.is_at(1)
    slider(page, "stride").press("ArrowRight")
    expect(alerts).to_have_count(0)
    in_address(page, stride="2", padding="1")


# -- what stands below ------------------------------------------------------------------------------


def test_the_size_formula_has_this_case_s_numbers(page: Page) -> None:
    PlayerPage(page, "/?stride=2&padding=1")
    formula = tab(page, "Output size").locator(".katex annotation").last
    expect(formula).to_contain_text(r"(3-1)\cdot2 - 2\cdot1 + 1\cdot(3-1) + 0 + 1 = 5")
    expect(page.get_by_test_id("stMain")).to_contain_text("72 MACs, of which 16 are cropped")
    expect(page.get_by_test_id("stMain")).to_contain_text("24 parameters")


def test_the_code_prints_the_same_output(page: Page) -> None:
    settings = PRESETS["output_padding"].settings
    query = to_link(settings)
    PlayerPage(page, f"/?{query}")
    code = tab(page, "PyTorch code").locator("code").inner_text()
    assert code.strip() == settings.case().snippet()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed = [float(number) for number in re.findall(r"-?\d+\.\d*", run.stdout)]
    assert printed == settings.case().trace().output.reshape(-1).tolist()


def test_the_csv_is_the_trace(page: Page) -> None:
    player = PlayerPage(page, "/?order=gather")
    panel = tab(page, "Trace table")
    expect(panel.get_by_test_id("stDataFrame")).to_be_visible()
    # The table's own toolbar has a button of this name too.
    csv = panel.get_by_test_id("stDownloadButton").get_by_role("button", name="Download as CSV")
    with page.expect_download() as download:
        csv.click()
    with open(download.value.path()) as file:
        text = file.read()
    assert download.value.suggested_filename == "trace-gather-from-0.csv"
    trace = CASE.trace("gather")
    assert text == trace.to_frame().to_csv(index_label="mac")
    start = panel.get_by_role("spinbutton", name=re.compile("^From MAC"))
    start.fill("70")
    start.press("Enter")
    player.settled()
    with page.expect_download() as download:
        csv.click()
    with open(download.value.path()) as file:
        assert file.read() == trace.to_frame(70).to_csv(index_label="mac")


def test_channels_and_batch_items_are_picked(page: Page) -> None:
    player = PlayerPage(page, "/?batch=2&in_channels=32")
    case = from_link({"batch": "2", "in_channels": "32"}).case
    page.get_by_text("Which channels are shown").click()
    slider(page, "batch item").press("ArrowRight")
    expect(player.panel("input").locator(".ct-name").first).to_have_text("x[1,0]")
    player.settled()
    picked = page.get_by_role("combobox", name="input channels of a group")
    expect(picked).to_be_visible()
    page.get_by_role("button", name="Remove 1", exact=True).click()
    names = player.panel("input").locator(".ct-name")
    expect(names.nth(1)).to_have_text("x[1,2]")
    player.button("Last step").click()
    expect(page.locator(".ct-verdict")).to_contain_text("equals torch")
    # The sums on screen hold the channels that are not shown.
    kept = [5 * channel + 2 for channel in range(4)]
    for cell, value in zip(kept, np.asarray(case.trace().output[1]).reshape(-1)):
        expect(player.cell("output", cell)).to_have_text(str(int(value)))

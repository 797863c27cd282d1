"""The player: what it shows at every step, and that it needs no server to show it."""

from __future__ import annotations

import re

import pytest
from player_page import BUTTONS, PANELS, PlayerPage, named, number, sentence
from playwright.sync_api import Page, expect

from convt_trace.engine.view import View, picked_trace
from convt_trace.links.link import to_link
from convt_trace.links.settings import PRESETS, QUESTION

CASE = QUESTION.case()
TRACE = CASE.trace()
#: The cell of output channel c that padding leaves: 5 canvas cells a channel, 2 cropped on both sides.
KEPT = [5 * channel + 2 for channel in range(4)]


def query(**changes: str) -> str:
    return "/?" + "&".join(f"{name}={value}" for name, value in changes.items())


def preset(name: str) -> str:
    return f"/?{to_link(PRESETS[name].settings)}"


# -- the question -----------------------------------------------------------------------------------


def test_the_question_plays_to_8_8_10_10(page: Page) -> None:
    player = PlayerPage(page)
    expect(page).to_have_title(re.compile("convt-trace"))
    player.is_at(0, 72)
    for name in BUTTONS:
        expect(player.button(name)).to_be_visible()
    expect(player.slider).to_be_visible()
    expect(page.get_by_role("status")).to_have_count(1)
    for name in PANELS:
        expect(player.panel(name)).to_be_visible()
    assert set(player.numbers("output")) == {""}, "nothing is there before the first step"
    player.choose("Speed", "60")
    player.button("Play").click()
    expect(player.button("Pause")).to_be_visible()
    expect(player.button("Play")).to_be_visible(timeout=20_000)
    player.is_at(72, 72)
    for cell, value in zip(KEPT, (8, 8, 10, 10)):
        expect(player.cell("output", cell)).to_have_text(str(value))
    assert player.numbers("torch") == ["8", "8", "10", "10"]
    player.has_outlined("torch", "mark", 4)
    expect(page.get_by_text("equals torch")).to_be_visible()


@pytest.mark.parametrize("order", ["scatter", "gather"])
def test_every_step_says_what_the_trace_says(page: Page, order: str) -> None:
    player = PlayerPage(page, query(order=order))
    trace = CASE.trace(order)
    expect(player.status).to_contain_text("72 multiply-accumulates")
    sums: dict[int, str] = {}
    for step, mac in enumerate(trace, 1):
        player.press("ArrowRight")
        expect(player.status).to_contain_text(sentence(CASE, mac))
        place = 5 * mac.out_channel + mac.o[0] + 2
        last = trace.of_output(0, mac.out_channel, *mac.o)[-1]
        if mac.kept and (mac.in_channel, mac.i) == (last.in_channel, last.i):
            expect(player.status).to_contain_text("done")
        sums[place] = number(mac.after)
        if step % 7 == 0:
            player.is_at(step, 72)
            assert {at: text for at, text in enumerate(player.numbers("output")) if text} == sums
            for panel in ("input", "weight", "output"):
                player.has_outlined(panel, "now", 1)
    player.is_at(72, 72)


# -- going about ------------------------------------------------------------------------------------


def test_buttons_and_slider_go_where_they_say(page: Page) -> None:
    player = PlayerPage(page)
    for name, step in (
        ("Step forward", 1),
        ("Step forward", 2),
        ("Step back", 1),
        ("Last step", 72),
        ("Step forward", 72),
        ("Step back", 71),
        ("First step", 0),
        ("Step back", 0),
    ):
        player.button(name).click()
        player.is_at(step, 72)
    player.seek(40)
    player.is_at(40)
    player.slider.focus()
    player.press("ArrowRight", "ArrowRight", "ArrowLeft")
    player.is_at(41)
    # A drag goes through the steps on its way, and the picture with it.
    box = player.slider.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    player.is_at(36)
    page.mouse.move(box["x"] + box["width"] - 1, middle, steps=5)
    player.is_at(72)
    assert player.numbers("torch") == ["8", "8", "10", "10"]
    page.mouse.move(box["x"] + 1, middle, steps=5)
    page.mouse.up()
    player.is_at(0)
    assert page.locator(".ct-marks .ct-group-mark").count() == 2
    assert page.locator(".ct-marks .ct-channel-mark").count() == 2


def test_cropped_macs_are_shown_or_skipped(page: Page) -> None:
    player = PlayerPage(page)
    cropped = next(at for at, mac in enumerate(TRACE) if not mac.kept)
    kept = next(at for at, mac in enumerate(TRACE) if mac.kept)
    player.seek(cropped + 1)
    expect(player.status).to_contain_text("is cropped by padding")
    expect(page.locator(".ct-cross")).to_have_count(1)
    expect(page.locator(".ct-link.ct-dropped")).to_have_count(1)
    player.seek(kept + 1)
    expect(page.locator(".ct-cross")).to_have_count(0)
    expect(page.locator(".ct-link")).to_have_count(1)
    player.button("First step").click()
    assert len(player.numbers("output")) == 20
    margin = page.get_by_label("Cropped margin")
    margin.uncheck()
    expect(player.panel("output").locator("[data-cell]")).to_have_count(4)
    page.get_by_label("Skip cropped").check()
    for step, mac in enumerate(TRACE, 1):
        if mac.kept:
            player.press("ArrowRight")
            player.is_at(step)
            expect(player.status).to_contain_text(sentence(CASE, mac))
    margin.check()
    expect(player.panel("output").locator("[data-cell]")).to_have_count(20)


def test_a_step_can_be_larger(page: Page) -> None:
    player = PlayerPage(page)
    units = page.get_by_label("Unit of a step").locator("option").all_text_contents()
    assert units == ["MAC", "stamp", "input value", "input channel", "group", "all"]
    sizes = {"MAC": 1, "stamp": 3, "input value": 6, "input channel": 18, "group": 36, "all": 72}
    for unit, size in sizes.items():
        player.button("First step").click()
        player.choose("Unit of a step", unit)
        player.button("Step forward").click()
        player.is_at(size)
        if size > 1:
            expect(player.status).to_contain_text(f"{size} MACs")
        macs = list(TRACE[:size])
        player.has_outlined("output", "now", len({(mac.out_channel, mac.o) for mac in macs}))
        player.has_outlined(
            "weight", "now", len({(m.in_channel, m.out_channel, m.k) for m in macs})
        )
        player.button("Step forward").click()
        player.is_at(min(2 * size, 72))
        player.button("Step back").click()
        player.is_at(size if size < 72 else 0)
    page.get_by_role("radio", name="gather").click()
    expect(player.panel("weight")).to_have_accessible_name(re.compile("flipped"))
    player.button("First step").click()
    units = page.get_by_label("Unit of a step").locator("option").all_text_contents()
    assert units == ["MAC", "window", "output cell", "output channel", "group", "all"]
    player.choose("Unit of a step", "output channel")
    player.button("Step forward").click()
    player.is_at(18)
    player.choose("Unit of a step", "output cell")
    for size in (2, 6, 12, 16, 18):
        player.button("Step forward").click()
        player.is_at(18 + size)


def test_keys_play_and_step_but_not_while_one_types(page: Page) -> None:
    player = PlayerPage(page)
    player.choose("Speed", "1")
    player.status.click()
    for key, step in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 72),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        player.press(key)
        player.is_at(step)
    player.press(" ")
    expect(player.button("Pause")).to_be_visible()
    player.press(" ")
    expect(player.button("Play")).to_be_visible()
    expect(page.locator(".ct-keys")).to_contain_text("Space")
    player.click("output", KEPT[0])
    expect(player.detail).to_contain_text("Pinned")
    player.press("Escape")
    page.mouse.move(5, 5)
    expect(player.detail).to_contain_text("Point at an output cell")
    # What is typed elsewhere stays there.
    player.seek(10)
    player.is_at(10)
    field = page.get_by_role("textbox", name="numbers of input x")
    field.focus()
    player.press("End", " ", "ArrowLeft", "ArrowRight", "Home")
    expect(field).to_have_value(re.compile("^1, 1.* $"))
    player.is_at(10)
    expect(player.button("Play")).to_be_visible()
    page.get_by_role("slider", name=re.compile("^stride")).focus()
    player.press("Home")
    player.is_at(10)


# -- looking at a cell ------------------------------------------------------------------------------


def test_a_cell_tells_its_whole_sum_and_where_it_goes(page: Page) -> None:
    player = PlayerPage(page)
    for channel, cell in enumerate(KEPT):
        terms = list(TRACE.of_output(0, channel, 0))
        total = sum(int(mac.product) for mac in terms)
        player.hover("output", cell)
        names = " + ".join("*".join(named(CASE, mac)[:2]) for mac in terms)
        numbers = " + ".join(f"{number(mac.x)}*{number(mac.w)}" for mac in terms)
        expect(player.detail).to_contain_text(f"y[0,{channel},0]")
        expect(player.detail).to_contain_text(f"= {names}")
        expect(player.detail).to_contain_text(f"= {numbers}")
        expect(player.detail).to_contain_text(f"= {total} · torch: {total}, agrees")
        for panel, count in (("input", 6), ("weight", 6), ("output", 1), ("torch", 1)):
            player.has_outlined(panel, "lit", count)
    # A cell of torch's panel is the same cell.
    player.hover("torch", 1)
    expect(player.detail).to_contain_text("y[0,1,0]")
    # A cropped one says so.
    player.hover("output", 0)
    expect(player.detail).to_contain_text("y[0,0,-2] is cropped by padding")
    # A clicked one stays.
    player.click("output", KEPT[2])
    expect(player.detail).to_contain_text("Pinned")
    player.hover("output", KEPT[0])
    expect(player.detail).to_contain_text("y[0,2,0]")
    player.press("ArrowRight", "ArrowRight")
    expect(player.detail).to_contain_text("y[0,2,0]")
    player.click("output", KEPT[2])
    page.mouse.move(5, 5)
    expect(player.detail).to_contain_text("Point at an output cell")
    # An input value tells where it goes.
    player.click("input", 8)  # x[0,2,2]
    uses = [mac for mac in TRACE if (mac.in_channel, mac.i) == (2, (2,))]
    kept = [mac for mac in uses if mac.kept]
    expect(player.detail).to_contain_text(
        f"x[0,2,2] = 2 goes to {len(kept)} output cells shown; {len(uses) - len(kept)} more are cropped"
    )
    for mac in kept:
        _, w, y = named(CASE, mac)
        expect(player.detail).to_contain_text(f"{y} (times {w} = {number(mac.w)})")
    player.has_outlined("output", "lit", len(uses))
    player.has_outlined("torch", "lit", len(kept))
    player.has_outlined("weight", "lit", 6)
    player.hover("weight", 0)
    player.press("Escape")
    expect(player.detail).to_contain_text("w[0,0,0] = 1 joins input channel 0 to output channel 0")


def test_nothing_of_this_asks_the_server(page: Page) -> None:
    player = PlayerPage(page)
    before = len(player.sent)
    player.choose("Speed", "60")
    player.button("Play").click()
    player.is_at(72, timeout=20_000)
    player.button("First step").click()
    player.press("ArrowRight", "End", "ArrowLeft")
    player.seek(12)
    player.choose("Unit of a step", "stamp")
    player.button("Step back").click()
    for panel in PANELS:
        player.hover(panel, 1)
        player.click(panel, 1)
    page.get_by_label("Cropped margin").uncheck()
    player.is_at(9)
    assert len(player.sent) == before


# -- while the settings change ----------------------------------------------------------------------


def test_the_step_outlives_a_change_that_leaves_it_meaningful(page: Page) -> None:
    player = PlayerPage(page)
    slider = lambda name: page.get_by_role("slider", name=re.compile(f"^{name}"))  # noqa: E731
    line = page.get_by_test_id("stMain").locator("code").first
    player.seek(20)
    player.is_at(20, 72)
    page.evaluate("window.stays = document.querySelector('.ct-player').stays = true")
    main = page.get_by_test_id("stMain")
    main.evaluate("element => element.scrollTop = 150")
    scrolled = main.evaluate("element => element.scrollTop")
    assert scrolled > 0, "there is something to scroll"
    slider("stride").press("ArrowRight")
    expect(line).to_contain_text("stride=2")
    slider("padding").press("ArrowLeft")
    expect(line).to_contain_text("padding=1")
    field = page.get_by_role("textbox", name="numbers of weight w")
    field.fill("3, 2, 1")
    field.press("Enter")
    expect(player.cell("weight", 0)).to_have_text("3")
    player.is_at(20, 72)
    # The same page, the same player, at the same place.
    assert page.evaluate("window.stays && document.querySelector('.ct-player').stays")
    assert main.evaluate("element => element.scrollTop") == scrolled
    # Another kernel has other MACs.
    slider("kernel_size").press("ArrowRight")
    player.is_at(0, 96)


def test_gathering_goes_on_at_the_same_mac(page: Page) -> None:
    player = PlayerPage(page)
    at = next(number for number, mac in enumerate(TRACE) if mac.kept and number > 30)
    player.seek(at + 1)
    page.get_by_role("radio", name="gather").click()
    said = sentence(CASE, TRACE[at])
    expect(player.status).to_contain_text("in the flipped kernel")
    expect(player.status).to_contain_text(said)
    expect(player.panel("input")).to_have_accessible_name(re.compile("zero-stuffed and padded"))
    expect(player.panel("weight")).to_have_accessible_name(re.compile("flipped"))
    assert player.numbers("weight")[:3] == ["2", "1", "1"]
    player.has_outlined("input", "reach", 3)
    page.get_by_role("radio", name="scatter").click()
    expect(player.panel("weight")).not_to_have_accessible_name(re.compile("flipped"))
    expect(player.status).to_contain_text(said)
    player.is_at(at + 1)


# -- a real layer -----------------------------------------------------------------------------------


def test_a_layer_of_537_million_macs_plays_across_its_windows(page: Page) -> None:
    player = PlayerPage(page, preset("dcgan"))
    case = PRESETS["dcgan"].settings.case()
    trace = picked_trace(case, View())
    total = len(trace)
    player.is_at(0, total)
    expect(player.note).to_contain_text(f"{total:,} of the layer's 536,870,912 MACs")
    expect(player.note).to_contain_text("Loaded: MACs 1 to 4,096.")
    expect(page.get_by_text("equals torch").or_(page.locator(".ct-verdict"))).to_be_visible()
    # Nearing the end of a window fetches the next one, unseen.
    before = len(player.sent)
    with player.socket.expect_event("framesent"):
        player.seek(3000)
    player.is_at(3000)
    player.settled()
    player.seek(4094)
    for step in range(4095, 4100):
        player.press("ArrowRight")
        player.is_at(step, total)
        x, w, y = named(case, trace[step - 1])
        expect(player.status).to_contain_text(x)
        expect(player.status).to_contain_text(w)
        expect(player.status).to_contain_text(y)
    expect(player.note).to_contain_text("Loaded: MACs 4,097 to 8,192.")
    assert len(player.sent) == before + 1
    for step in range(4098, 4093, -1):
        player.press("ArrowLeft")
        player.is_at(step, total)
    # Far away: the window is fetched when it is needed.
    player.press("End")
    player.is_at(total, total)
    expect(player.note).to_contain_text(f"to {total:,}.")
    player.press("Home")
    player.is_at(0, total)


def test_playing_goes_over_a_window_s_end(page: Page) -> None:
    player = PlayerPage(page, query(dims="2d", size="16", stride="2"))
    player.seek(4090)
    player.choose("Speed", "60")
    player.button("Play").click()
    expect(player.note).to_contain_text("Loaded: MACs 4,097 to 8,192.")
    player.button("Pause").click()
    expect(player.button("Play")).to_be_visible()


def test_every_preset_plays_to_torchs_result(page: Page) -> None:
    for name in PRESETS.keys() - {"dcgan"}:
        player = PlayerPage(page, preset(name))
        trace = PRESETS[name].settings.case().trace()
        player.press("End")
        player.is_at(len(trace), len(trace))
        expect(page.locator(".ct-verdict")).to_contain_text("equals torch")
        player.has_outlined("torch", "mark", trace.output.size)


# -- for every reader -------------------------------------------------------------------------------


LUMINANCE = """(color) => {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


def luminance(page: Page, selector: str, name: str) -> float:
    color = page.locator(selector).first.evaluate(
        "(element, name) => getComputedStyle(element).getPropertyValue(name)", name
    )
    return page.evaluate(LUMINANCE, color)


def contrast(one: float, other: float) -> float:
    dark, light = sorted((one, other))
    return (light + 0.05) / (dark + 0.05)


def test_dark_is_dark(dark: Page) -> None:
    player = PlayerPage(dark)
    player.press("End")
    paper = luminance(dark, '[data-testid="stApp"]', "background-color")
    assert paper < 0.05
    assert luminance(dark, ".ct-player", "--ct-paper") < 0.05
    assert luminance(dark, ".ct-player", "--ct-zero") < 0.1
    for selector in (".ct-sentence", ".ct-readout", ".ct-verdict", ".ct-key"):
        assert contrast(luminance(dark, selector, "color"), paper) >= 4.5, selector
    assert contrast(luminance(dark, ".ct-name", "fill"), paper) >= 4.5
    # The heatmap itself: its zero is the page's neutral colour.
    assert luminance(dark, "[data-panel=input] .ct-block", "fill") < 0.1


def test_light_is_light(page: Page) -> None:
    PlayerPage(page).press("End")
    paper = luminance(page, '[data-testid="stApp"]', "background-color")
    assert paper > 0.9
    for selector in (".ct-sentence", ".ct-readout", ".ct-verdict", ".ct-key"):
        assert contrast(luminance(page, selector, "color"), paper) >= 4.5, selector


def test_a_phone_has_room(phone: Page) -> None:
    wide = "() => document.scrollingElement.scrollWidth <= window.innerWidth"
    for address in (preset("upsample"), preset("volume"), "/"):
        player = PlayerPage(phone, address)
        assert phone.evaluate(wide)
        assert phone.get_by_test_id("stMain").evaluate("e => e.scrollWidth <= e.clientWidth")
        for name in BUTTONS:
            box = player.button(name).bounding_box()
            assert box is not None and min(box["width"], box["height"]) >= 40, name
        player.button("Step forward").tap()
        player.is_at(1)
        player.button("Last step").tap()
        expect(player.slider).to_have_value(re.compile(r"^[1-9]\d+$"))
        assert phone.evaluate(wide)
    # The buttons stay at hand while the picture scrolls.
    for panel in ("input", "output"):
        player.panel(panel).evaluate("figure => figure.scrollIntoView({ block: 'center' })")
        expect(player.button("Play")).to_be_in_viewport(ratio=1)
    # A tap keeps a cell, another lets it go.
    phone.touchscreen.tap(*player.middle("output", KEPT[0]))
    expect(player.detail).to_contain_text("y[0,0,0]")
    expect(player.detail).to_contain_text("= 8")
    phone.touchscreen.tap(*player.middle("output", KEPT[0]))
    expect(player.detail).to_contain_text("Tap an output cell")
    player.has_outlined("output", "lit", 0)


def test_reduced_motion_moves_nothing_by_itself(still: Page) -> None:
    player = PlayerPage(still)
    moving = still.locator(".ct-player").evaluate(
        """(root) => [root, ...root.querySelectorAll("*")].filter((element) => {
          const style = getComputedStyle(element);
          return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none";
        }).length"""
    )
    assert moving == 0
    player.button("Step forward").click()
    player.is_at(1)


def test_focus_is_seen(page: Page) -> None:
    player = PlayerPage(page)
    player.button("First step").focus()
    for name in BUTTONS[1:]:
        player.press("Tab")
        expect(player.button(name)).to_be_focused()
        ring = player.button(name).evaluate(
            "(button) => [getComputedStyle(button).outlineStyle, getComputedStyle(button).outlineWidth]"
        )
        assert ring == ["solid", "3px"]
    player.press("Tab")
    expect(player.slider).to_be_focused()
    player.press("Tab")
    expect(player.button("Share")).to_be_focused()
    player.press("Tab")
    expect(page.get_by_label("Unit of a step")).to_be_focused()

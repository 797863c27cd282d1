"""The player on a page, as a reader meets it: by its accessible names."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, WebSocket, expect

from convt_trace import Case, Mac

BUTTONS = ("First step", "Step back", "Play", "Step forward", "Last step")
PANELS = ("input", "weight", "output", "torch")
#: A first picture may wait for plotly.js and for a busy machine.
FIRST = 30_000


class PlayerPage:
    """The player on the playground, opened at an address."""

    def __init__(self, page: Page, address: str = "/") -> None:
        self.page = page
        self.sent: list[str | bytes] = []
        page.on("websocket", self._listen)
        page.goto(address)
        self.status = page.get_by_role("status").and_(page.locator(".ct-sentence"))
        self.slider = page.get_by_role("slider", name="Step", exact=True)
        self.stage = page.locator(".ct-player > .ct-stage")
        self.detail = page.locator(".ct-detail")
        self.note = page.locator(".ct-player > .ct-note")
        self.settled(FIRST)

    def _listen(self, socket: WebSocket) -> None:
        self.socket = socket
        socket.on("framesent", lambda frame: self.sent.append(frame))

    def settled(self, timeout: float = 15_000) -> None:
        """Wait until the page has done what it was asked for."""
        expect(self.status).to_be_visible(timeout=timeout)
        app = self.page.get_by_test_id("stApp")
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=timeout)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, label: str, option: str) -> None:
        """Choose in one of the player's own lists."""
        self.page.get_by_label(label, exact=True).select_option(option)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def seek(self, step: int) -> None:
        """Drag the step slider."""
        self.slider.fill(str(step))

    def is_at(self, step: int, total: int | None = None, **options: Any) -> None:
        """Expect a step, everywhere it is told."""
        rest = f" of {total:,}" if total is not None else " of "
        there = re.compile(rf"^MAC {step:,}{rest}" + ("$" if total is not None else ""))
        expect(self.page.locator(".ct-readout")).to_have_text(there, **options)
        expect(self.slider).to_have_attribute("aria-valuetext", there)
        expect(self.slider).to_have_value(str(step))

    def panel(self, name: str) -> Locator:
        return self.stage.get_by_role("figure", name=re.compile(f"^{name}"))

    def cell(self, panel: str, cell: int) -> Locator:
        return self.panel(panel).locator(f'[data-cell="{cell}"]')

    def numbers(self, panel: str) -> list[str]:
        """What the cells of a panel read, in their order."""
        return self.panel(panel).locator("[data-cell]").all_text_contents()

    def middle(self, panel: str, cell: int) -> tuple[float, float]:
        # An empty number has no box of its own.
        x, y = self.cell(panel, cell).evaluate(
            """(text) => {
              const { left, top } = text.ownerSVGElement.getBoundingClientRect();
              return [left + Number(text.getAttribute("x")), top + Number(text.getAttribute("y")) - 4];
            }"""
        )
        return x, y

    def hover(self, panel: str, cell: int) -> None:
        self.panel(panel).scroll_into_view_if_needed()
        self.page.mouse.move(*self.middle(panel, cell))

    def click(self, panel: str, cell: int) -> None:
        self.panel(panel).scroll_into_view_if_needed()
        self.page.mouse.click(*self.middle(panel, cell))

    def outlined(self, panel: str, layer: str) -> int:
        """How many cells a layer outlines: "now", "lit", "reach" or "mark"."""
        path = self.panel(panel).locator(f".ct-{layer}").get_attribute("d") or ""
        return path.count("M")

    # -- linked views -----------------------------------------------------------------------------

    def chip(self, name: str) -> Locator:
        return self.page.locator(f'.ct-chips [data-view="{name}"]')

    def view(self, name: str) -> Locator:
        return self.page.locator(f'section[data-view="{name}"]')

    def open_view(self, name: str) -> Locator:
        self.chip(name).click()
        expect(self.view(name)).to_be_visible(timeout=15_000)
        self.settled()
        return self.view(name)

    def lit_in(self, name: str, tensor: str, layer: str = "now") -> str:
        """The outlines in a tensor of a view."""
        figure = self.view(name).locator(f'figure[data-panel="{tensor}"]')
        return figure.locator(f".ct-{layer}").get_attribute("d") or ""

    def has_outlined(self, panel: str, layer: str, count: int) -> None:
        path = self.panel(panel).locator(f".ct-{layer}")
        expect(path).to_have_attribute("d", re.compile(rf"^[^M]*(M[^M]*){{{count}}}$"))


def number(value: float) -> str:
    """A whole number as the player writes it."""
    assert float(value).is_integer()
    return str(int(value))


def named(case: Case, mac: Mac) -> tuple[str, str, str]:
    """What a MAC's input value, tap and output cell are called."""
    local = mac.out_channel - mac.group * case.layer.out_per_group
    return (
        f"x[{_list(mac.n, mac.in_channel, *mac.i)}]",
        f"w[{_list(mac.in_channel, local, *mac.k)}]",
        f"y[{_list(mac.n, mac.out_channel, *mac.o)}]",
    )


def _list(*numbers: int) -> str:
    return json.dumps(numbers, separators=(",", ":"))[1:-1]


def sentence(case: Case, mac: Mac) -> str:
    """What the player says at a MAC's step, up to the word on a finished sum."""
    x, w, y = named(case, mac)
    numbers = f"{number(mac.x)} * {number(mac.w)}"
    if not mac.kept:
        product = number(mac.product)
        return f"{y} is outside the output: {x} * {w} = {numbers} = {product} is cropped by padding"
    return f"{y} += {x} * {w} = {numbers}: {number(mac.before)} -> {number(mac.after)}"

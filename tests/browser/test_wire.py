"""How much a first visit sends: a class of forty opens the link at the same moment."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

MOST = 3_000_000


class Wire:
    """Counts what a page's browser receives, as it travels: compressed, and with its headers."""

    def __init__(self, page: Page) -> None:
        self.received: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._urls: dict[str, str] = {}
        network = page.context.new_cdp_session(page)
        network.on("Network.requestWillBeSent", self._sent)
        network.on("Network.loadingFinished", self._finished)
        network.on("Network.webSocketCreated", self._sent)
        network.on("Network.webSocketFrameReceived", self._frame)
        network.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"] if "request" in event else event["url"]
        self._urls[event["requestId"]] = url
        self.asked[urlsplit(url).path] += 1

    def _finished(self, event: dict[str, Any]) -> None:
        self.received[self._urls.get(event["requestId"], "?")] += int(event["encodedDataLength"])

    def _frame(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        # Binary frames are given in base64.
        size = len(frame["payloadData"]) * (3 / 4 if frame["opcode"] == 2 else 1)
        self.received[self._urls.get(event["requestId"], "?")] += int(size)

    def __str__(self) -> str:
        rows = [f"{size:>9,}  {url}" for url, size in self.received.most_common(15)]
        return "\n".join([f"{self.received.total():>9,}  in all", *rows])


def visit(page: Page) -> Wire:
    """Open the first page and wait until its picture stands and nothing more travels."""
    wire = Wire(page)
    page.goto("/")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible(timeout=30_000)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=30_000)
    page.wait_for_load_state("networkidle")
    return wire


def test_a_first_visit_takes_at_most_3_mb(page: Page) -> None:
    wire = visit(page)
    total = wire.received.total()
    assert total <= MOST, f"\n{wire}"
    # The counting itself: plotly.js is among the largest parts, and it came compressed.
    (size,) = (size for url, size in wire.received.items() if url.endswith("/plotly.js"))
    assert 300_000 < size < 500_000, f"\n{wire}"


def test_what_the_page_names_first_is_what_it_loads_once(page: Page) -> None:
    asked = visit(page).asked
    ours = {path: times for path, times in asked.items() if path.startswith("/player/")}
    assert "/player/plotly.js" in ours
    assert set(ours.values()) == {1}, ours


def test_a_second_visit_takes_next_to_nothing(page: Page) -> None:
    visit(page)
    again = visit(page)
    total = again.received.total()
    assert total <= 300_000, f"\n{again}"

"""Measure the message, the player and the page: ``make bench``.

Everything is measured in one run, and what depends on the machine is given as a ratio to a blank
Streamlit page with one slider in the same browser. Nothing is asserted: machines are noisy.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Locator, Page

from convt_trace.engine.case import Case
from convt_trace.engine.view import View
from convt_trace.links.link import from_link
from convt_trace.links.settings import PRESETS
from convt_trace.player.scene import read_message, scene
from live_app import ROOT, App, chromium, running

ONE = {"dims": "2d", "groups": "1", "in_channels": "1", "out_channels": "1", "weight": "integers:2"}
SMALL = {**ONE, "size": "5", "kernel": "4", "stride": "2", "output_padding": "1", "padding": "0"}
LARGE = {**ONE, "size": "16", "stride": "2", "padding": "0", "x": "integers:1"}
#: What is open beside the picture in the dearest measurement.
VIEWS = "collect,groups,matrix,gradient"
#: Served as the app is, by `st.App`.
BLANK = """import streamlit as st

app = st.App(__file__)

if __name__ == "__main__":
    value = st.slider("n", 0, 100, 3)
    st.write(f"value {value}")
"""

#: What a window holds for every MAC; the rest is tensors.
ROW_COLUMNS = ("x", "w", "y", "flags", "product", "before", "after")

#: Waits for the next frame and for what it paints.
FRAME = """
const frame = () => new Promise((done) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(0);
}));
const measure = async (count, act) => {
  const times = [];
  for (let i = 0; i < count; i += 1) {
    await frame();
    const start = performance.now();
    act(i);
    await frame();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return [times[Math.floor(count / 2)], times[Math.floor(count * 0.95)]];
};
"""
PRESS = f"""async () => {{ {FRAME}
return measure(120, () => document.body.dispatchEvent(
  new KeyboardEvent("keydown", {{ key: "ArrowRight", bubbles: true, composed: true }})));
}}"""
POINT = f"""async () => {{ {FRAME}
const over = document.querySelector("[data-panel=output] .ct-over");
const {{ left, top, width, height }} = over.getBoundingClientRect();
return measure(120, (i) => over.dispatchEvent(new PointerEvent("pointermove", {{
  clientX: left + 40 + (i * 7) % (width - 50), clientY: top + 40 + (i * 11) % (height - 60),
  bubbles: true, pointerType: "mouse" }})));
}}"""
STEPS = """async () => {
const slider = document.querySelector("input[aria-label=Step]");
const [from, start] = [Number(slider.value), performance.now()];
await new Promise((done) => setTimeout(done, 1000));
return (1000 * (Number(slider.value) - from)) / (performance.now() - start);
}"""


def row(what: str, value: str, limit: str = "") -> None:
    """Print one line of the table."""
    print(f"  {what:<54}{value:>14}   {limit}")


def address(query: dict[str, str]) -> str:
    """Return a query as the app's address has it."""
    return "/?" + "&".join(f"{name}={value}" for name, value in query.items())


@contextmanager
def fresh(browser: Browser, url: str) -> Iterator[Page]:
    """Open an address in a browser that has never been there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()


def payload() -> None:
    """Print what a window's columns take per MAC."""
    print("The message, bytes per MAC of the window, and in all")
    cases: dict[str, Case] = {
        "the question": PRESETS["question"].settings.case(),
        "5x5 -> 13x13": from_link(SMALL).case,
        "16x16 -> 33x33": from_link(LARGE).case,
        "DCGAN, one window": PRESETS["dcgan"].settings.case(),
    }
    for name, case in cases.items():
        message = scene(case, View())
        header, columns = read_message(message)
        rows = header["window"]["stop"] - header["window"]["start"]
        per_row = sum(columns[column].nbytes for column in ROW_COLUMNS) / rows
        row(name, f"{per_row:.0f} B", f"limit 40 B; {len(message):,} B in all with the tensors")


def player(browser: Browser, app: App) -> None:
    """Print how fast the player draws."""
    print("The player")
    with fresh(browser, app.url + address(LARGE)) as page:
        plotted(page)
        for name, script in (("key press", PRESS), ("pointer move", POINT)):
            middle, late = page.evaluate(script)
            what = f"{name} to painted frame, 16x16 -> 33x33, p50 / p95"
            row(what, f"{middle:.0f} / {late:.0f} ms", "limit 50 ms at p95, aim 33 ms")
    with fresh(browser, app.url + address({**LARGE, "views": VIEWS})) as page:
        plotted(page)
        page.wait_for_function("document.querySelectorAll('section[data-view]').length === 4")
        middle, late = page.evaluate(PRESS)
        what = "the same with four linked views, p50 / p95"
        row(what, f"{middle:.0f} / {late:.0f} ms", "limit 50 ms at p95, aim 33 ms")
    for name, query in (("the question", {}), ("5x5 -> 13x13", SMALL)):
        with fresh(browser, app.url + address(query)) as page:
            plotted(page)
            page.get_by_label("Speed", exact=True).select_option("60")
            page.get_by_role("button", name="Play").click()
            rate = page.evaluate(STEPS)
            row(f"steps drawn while playing, {name}", f"{rate:.0f} /s", "limit 30 /s")


def plotted(page: Page) -> None:
    """Wait until plotly draws every panel."""
    page.wait_for_selector("[data-panel=torch] .js-plotly-plot")


def first_picture(browser: Browser, app: App, blank: App) -> None:
    """Print how long a new visitor waits for the first picture, and what travels."""
    print("A first visit to a warm server")

    def blank_page(page: Page) -> None:
        page.get_by_text("value 3").wait_for()

    def our_page(page: Page) -> None:
        plotted(page)

    theirs = median_time(browser, blank.url, blank_page)
    ours = median_time(browser, app.url, our_page)
    row("blank page", f"{theirs:.2f} s")
    row("the first picture", f"{ours:.2f} s", f"{ours / theirs:.2f}x; limit 2x")
    for name, drawn in (("Sizes", ".ruler"), ("Overlap", ".heat"), ("Elsewhere", ".beside")):

        def other_page(page: Page, drawn: str = drawn) -> None:
            page.wait_for_selector(drawn)

        took = median_time(browser, f"{app.url}/{name}", other_page)
        row(f"the first picture of {name}", f"{took:.2f} s", f"{took / theirs:.2f}x; limit 2x")
    row("on the wire", f"{on_the_wire(browser, app) / 2**20:.2f} MiB", "limit 3 MB")


def median_time(browser: Browser, url: str, wait: Callable[[Page], None], times: int = 5) -> float:
    """Return the median seconds from asking for an address to what is waited for."""
    took = []
    for visit in range(times + 1):
        start = time.perf_counter()
        with fresh(browser, url) as page:
            wait(page)
            if visit:  # the first one warms the server
                took.append(time.perf_counter() - start)
    return median(took)


def on_the_wire(browser: Browser, app: App) -> int:
    """Return the bytes of a first visit."""
    total = 0

    def count(event: dict[str, float]) -> None:
        nonlocal total
        total += int(event["encodedDataLength"])

    with fresh(browser, "about:blank") as page:
        session = page.context.new_cdp_session(page)
        session.on("Network.loadingFinished", count)
        session.send("Network.enable")
        page.goto(app.url)
        plotted(page)
        page.wait_for_load_state("networkidle")
    return total


def sliders(browser: Browser, app: App, blank: App) -> None:
    """Print what a slider move takes: until the picture, and of the server's CPU."""
    print("A slider move on the question's case")
    with fresh(browser, blank.url) as page:
        theirs = move(page, "n", lambda value: page.get_by_text(f"value {value}"), range(4, 14))
    with fresh(browser, app.url) as page:
        plotted(page)
        before = app.cpu_seconds()
        # Stride 2, 3, ...: the picture's own output size follows.
        output = page.locator("[data-panel=output] figcaption")
        ours = move(
            page,
            "stride",
            lambda stride: output.filter(has_text=f"(1, 4, {2 * stride - 1})"),
            range(2, 9),
        )
        used = (app.cpu_seconds() - before) / 7
    row("blank page", f"{1000 * theirs:.0f} ms")
    row("to the picture", f"{1000 * ours:.0f} ms", f"{ours / theirs:.2f}x; aim 1.5x")
    row("CPU of the server", f"{1000 * used:.0f} ms", "limit 60 ms")


def move(page: Page, name: str, shown: Callable[[int], Locator], values: range) -> float:
    """Return the median seconds from a press of the right arrow on a slider to what it changes."""
    # Streamlit says a slider's label twice.
    slider = page.get_by_role("slider", name=f"{name} {name}", exact=True)
    slider.focus()
    took = []
    for value in values:
        start = time.perf_counter()
        slider.press("ArrowRight")
        shown(value).first.wait_for()
        took.append(time.perf_counter() - start)
    return median(took)


def main() -> None:
    """Print every measurement."""
    payload()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "blank.py"
        script.write_text(BLANK)
        with running(ROOT / "app.py") as app, running(script) as blank, chromium() as browser:
            player(browser, app)
            first_picture(browser, app, blank)
            sliders(browser, app, blank)


if __name__ == "__main__":
    main()

"""Make the pictures of the README and the docs: ``make screenshots``.

Every picture is the app itself, stopped at a step, so a picture is never older than the app it was
made with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, expect

from live_app import ROOT, chromium, running

IMAGES = ROOT / "docs" / "images"
UPSAMPLE = (
    "?dims=2d&groups=1&in_channels=1&out_channels=1&size=4&stride=2&padding=1"
    "&x=integers:1&weight=integers:2"
)


@dataclass(frozen=True)
class Picture:
    """One picture: an address of the app, the step to stop at, and the browser to see it with."""

    name: str
    query: str
    step: int
    options: dict[str, Any] = field(default_factory=dict)


PICTURES = (
    Picture("playground", "", 44, {"viewport": {"width": 1280, "height": 860}}),
    Picture(
        "gather",
        f"{UPSAMPLE}&order=gather",
        82,
        {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    ),
    Picture("phone", "", 44, {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}),
)


@contextmanager
def opened(browser: Browser, picture: Picture, url: str) -> Iterator[Page]:
    """Open the app at a picture's address and go to its step."""
    context = browser.new_context(**picture.options)
    page = context.new_page()
    page.goto(f"{url}/{picture.query}")
    slider = page.get_by_role("slider", name="Step", exact=True)
    expect(slider).to_be_visible(timeout=60_000)
    slider.fill(str(picture.step))
    expect(page.get_by_text(f"MAC {picture.step} of")).to_be_visible()
    slider.blur()
    page.mouse.move(0, 0)
    yield page
    context.close()


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with running(ROOT / "app.py") as app, chromium() as browser:
        for picture in PICTURES:
            with opened(browser, picture, app.url) as page:
                page.screenshot(path=IMAGES / f"{picture.name}.png")
                print(f"docs/images/{picture.name}.png")


if __name__ == "__main__":
    main()

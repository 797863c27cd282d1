"""Make the pictures of the README and the docs: ``make screenshots``.

Every picture but the figure is the app itself, stopped at a step; the moving one goes through the steps
one by one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image  # Streamlit needs it too
from playwright.sync_api import Browser, Page, expect

from convt_trace.figures.saved import save
from convt_trace.links.settings import PRESETS
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
STRIDED = (
    "?dims=2d&groups=2&in_channels=2&out_channels=2&size=4&stride=2&padding=1"
    "&x=integers:1&weight=integers:2"
)
VOLUME = (
    "?dims=3d&groups=1&in_channels=1&out_channels=1&size=3&kernel=2&stride=2&padding=0"
    "&x=integers:1&weight=integers:2"
)
HIGH = {"viewport": {"width": 1280, "height": 2600}, "color_scheme": "light"}
#: Linked views, each a picture of its own section: of the question, in 2-D and the dark, in 3-D, on a phone.
VIEWS = (
    *(
        Picture(f"view-{name}", f"?views={name}", 44, HIGH)
        for name in ("collect", "groups", "matrix", "gradient", "beside", "back", "time")
    ),
    Picture("view-2d", f"{STRIDED}&views=matrix", 45, {**HIGH, "color_scheme": "dark"}),
    Picture("view-3d", f"{VOLUME}&views=collect", 45, HIGH),
    Picture("view-phone", "?views=beside", 44, {"viewport": {"width": 390, "height": 2600}}),
)
UNET = """\
nn.Conv2d(3, 16, 3, padding=1)  # down
save a
nn.MaxPool2d(2)  # pool
nn.Conv2d(16, 32, 3, padding=1)  # middle
nn.ConvTranspose2d(32, 16, 2, stride=2)  # up
cat a
nn.Conv2d(32, 1, 1)  # out"""
#: Pages without a player: name, address, the text to wait for, the height.
OTHERS = (
    (
        "sizes",
        "Sizes?dims=2d&in_channels=64&out_channels=32&groups=1&size=27&kernel=4&stride=2&padding=1"
        "&output_padding=0&dilation=1&wanted=54&kernels=2-5",
        "goes with",
        1160,
    ),
    ("chain", f"Sizes?of=27&chain={quote(UNET)}", "Input sizes that go through", 1240),
    (
        "overlap",
        "Overlap?dims=2d&in_channels=2&out_channels=2&groups=1&size=5&kernel=3&stride=2&padding=0"
        "&x=integers:1&weight=integers:2",
        "Layers without the pattern",
        1250,
    ),
    (
        "elsewhere",
        "Elsewhere?dims=1d&in_channels=1&out_channels=1&groups=1&size=3&kernel=3&stride=2&padding=1"
        "&output_padding=1&dilation=1&x=numbers:1,2,3&weight=numbers:1,10,100",
        "And back",
        1700,
    ),
)
#: The player alone, with the question.
FILM = Picture(
    "steps", "?embed=true", 0, {"viewport": {"width": 960, "height": 860}, "color_scheme": "light"}
)
STEP_MS, END_MS = 600, 3000


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


def frames(page: Page) -> Iterator[Image.Image]:
    """Step over every MAC that is not cropped, with a picture of each."""
    skip = page.get_by_label("Skip cropped")
    skip.check()
    skip.blur()
    verdict = page.get_by_text("equals torch").bounding_box()
    assert verdict is not None
    width, height = FILM.options["viewport"]["width"], verdict["y"] + verdict["height"] - 2
    slider = page.get_by_role("slider", name="Step", exact=True)
    last = slider.get_attribute("max")
    while slider.input_value() != last:
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)  # until it is painted
        shot = page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": height})
        yield Image.open(io.BytesIO(shot)).convert("RGB")


def save_film(path: Path, pictures: list[Image.Image]) -> None:
    """Write an animated WebP without loss, which starts again after a rest at its end."""
    durations = [STEP_MS] * (len(pictures) - 1) + [END_MS]
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        lossless=True,
        method=6,  # the smallest file, a seventh of the usual one
        minimize_size=True,
    )


def main() -> None:
    """Make every picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with running(ROOT / "app.py") as app, chromium() as browser:
        for picture in PICTURES:
            with opened(browser, picture, app.url) as page:
                page.screenshot(path=IMAGES / f"{picture.name}.png")
                print(f"docs/images/{picture.name}.png")
        for picture in VIEWS:
            with opened(browser, picture, app.url) as page:
                section = page.locator("section[data-view]")
                expect(section.locator(".ct-equation")).to_contain_text("=")
                shot = Image.open(io.BytesIO(section.screenshot())).convert("RGB")
                shot.save(IMAGES / f"{picture.name}.webp", lossless=True, method=6)
                print(f"docs/images/{picture.name}.webp")
        for name, query, text, height in OTHERS:
            page = browser.new_page(
                viewport={"width": 1280, "height": height}, color_scheme="light"
            )
            page.goto(f"{app.url}/{query}")
            expect(page.get_by_text(text).first).to_be_visible(timeout=60_000)
            page.wait_for_timeout(2000)  # until the table is drawn
            page.screenshot(path=IMAGES / f"{name}.png")
            print(f"docs/images/{name}.png")
        save(IMAGES / "figure.png", PRESETS["question"].settings.case(), 44)
        print("docs/images/figure.png")
        with opened(browser, FILM, app.url) as page:
            save_film(IMAGES / f"{FILM.name}.webp", list(frames(page)))
            print(f"docs/images/{FILM.name}.webp")


if __name__ == "__main__":
    main()

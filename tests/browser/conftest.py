"""Browser fixtures: a page that fails its test for errors on the console and requests to elsewhere.

`page` is a desktop, `phone` a small touch screen, `dark` prefers the dark theme, `still` prefers
reduced motion. Each is opened on the app's address; `page.goto("/?...")` takes a path. `open_page`
makes further ones with any of Playwright's context options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from live_app import ROOT, App, chromium

OpenPage = Callable[..., Page]

#: A machine that does other things too is slow, not wrong.
expect.set_options(timeout=15_000)

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}

#: Under a page's path Streamlit's browser side first asks these two there, and is told 404.
HARMLESS = re.compile(r"/[^/]+/_stcore/(health|host-config)$")

FAILURES = ROOT / "screenshots" / "failures"

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Remember that a test failed, for the picture taken at its end."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the machine's Chrome or Chromium, once for all tests."""
    with chromium() as browser:
        yield browser


class Watch:
    """Everything a test's pages did that no test may let pass."""

    def __init__(self, server: App) -> None:
        self.complaints: list[str] = []
        self.contexts: list[BrowserContext] = []
        self._server, self._log_start = server, len(server.log())

    def look_at(self, context: BrowserContext) -> None:
        """Watch a context and every page in it."""
        self.contexts.append(context)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))
        context.on("request", lambda request: self._address(request.url))
        context.on("page", lambda page: page.on("websocket", lambda ws: self._address(ws.url)))

    def _console(self, message: ConsoleMessage) -> None:
        source = message.location.get("url", "")
        if message.type == "error" and not HARMLESS.search(source):
            self.complaints.append(f"console error: {message.text} ({source})")

    def _address(self, url: str) -> None:
        address = urlsplit(url)
        local = address.hostname in ("127.0.0.1", "localhost")
        if not local and address.scheme in ("http", "https", "ws", "wss"):
            self.complaints.append(f"asked another machine: {url}")

    def end(self) -> list[str]:
        """Close the pages and return what there is to complain of, the server's log included."""
        for context in self.contexts:
            context.close()
        if "Traceback (most recent call last)" in self._server.log()[self._log_start :]:
            self.complaints.append("the server's log has a traceback")
        return self.complaints


@pytest.fixture
def open_page(
    browser: Browser, app_server: App, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Return a function that makes a watched page; its options are those of `Browser.new_context`."""
    watch = Watch(app_server)

    def opened(**options: Any) -> Page:
        context = browser.new_context(base_url=app_server.url, **{**DESKTOP, **options})
        context.set_default_timeout(15_000)
        watch.look_at(context)
        return context.new_page()

    yield opened
    if request.node.stash.get(FAILED, False):
        _picture(request.node.name, watch.contexts)
    complaints = watch.end()
    assert not complaints, "\n".join(complaints)


def _picture(name: str, contexts: list[BrowserContext]) -> None:
    FAILURES.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "-", name)
    for number, page in enumerate(page for context in contexts for page in context.pages):
        page.screenshot(path=FAILURES / f"{stem}-{number}.png", full_page=True)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """Return a desktop page, 1280 x 900."""
    return open_page()


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    """Return a phone's page, 390 x 844, with touch."""
    return open_page(**PHONE)


@pytest.fixture
def dark(open_page: OpenPage) -> Page:
    """Return a page that prefers the dark theme."""
    return open_page(color_scheme="dark")


@pytest.fixture
def still(open_page: OpenPage) -> Page:
    """Return a page that prefers reduced motion."""
    return open_page(reduced_motion="reduce")

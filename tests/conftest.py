"""What all tests share: the running app, and the order they come in."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from live_app import ROOT, App, running

# `make check` tries fewer examples (--hypothesis-profile=check) than `make test`.
hypothesis.settings.register_profile("full", max_examples=40, deadline=None)
hypothesis.settings.register_profile("check", max_examples=10, deadline=None)
hypothesis.settings.load_profile("full")

#: Streamlit shows an element beside its successor for a moment, where a locator finds two: only that is
#: tried again, and each time is told.
TRIED_AGAIN = {"reruns": 2, "only_rerun": "strict mode violation"}

#: The script under test; another one can be put in its place to try the tests themselves.
APP = Path(os.environ.get("CONVT_TRACE_APP", ROOT / "app.py"))

BROWSER_TESTS = Path(__file__).parent / "browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the browser tests and put them last.

    The quick ones fail first; and Playwright, once started, leaves an event loop in this thread,
    beside which nothing else can start one.
    """
    for item in items:
        if BROWSER_TESTS in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(**TRIED_AGAIN))
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def app_server() -> Iterator[App]:
    """Serve the app, once for all tests; `app_server.url` is its address."""
    with running(APP) as app:
        yield app


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Show the server's log with the failure of a test that used it."""
    report = yield
    server = getattr(item, "funcargs", {}).get("app_server")
    if report.failed and isinstance(server, App):
        report.sections.append(("the server's log", server.log()[-5000:]))
    return report

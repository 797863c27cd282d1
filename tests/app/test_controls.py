"""The playground's controls, without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from convt_trace.app.controls import MOST_LISTED
from convt_trace.links.link import from_link
from live_app import ROOT

CHANNELS = 40_000
QUERY = {
    "dims": "2d",
    "in_channels": "1",
    "out_channels": str(CHANNELS),
    "groups": "1",
    "padding": "0",
}


def outs(page: AppTest):
    return next(one for one in page.multiselect if one.label.startswith("output channels"))


@pytest.fixture
def page() -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params.update(QUERY)
    return page.run()


def shown(page: AppTest) -> tuple[int, ...]:
    """The output channels that the page's own address has."""
    return from_link(page.query_params).view.out_local


def test_of_many_channels_some_are_listed_and_any_can_be_typed(page: AppTest) -> None:
    assert outs(page).label == "output channels of a group (of 40,000)"
    assert len(outs(page).options) < MOST_LISTED + 20
    outs(page).set_value([0, "12345", "39,999"]).run()
    assert not page.exception
    assert shown(page) == (0, 12345, CHANNELS - 1)


@pytest.mark.parametrize("typed", ["40000", "-1", "1.5", "first", "²"])
def test_what_is_no_channel_is_said_and_left_out(page: AppTest, typed: str) -> None:
    outs(page).set_value([0, typed]).run()
    assert not page.exception
    warnings = [one.value for one in page.warning]
    assert any(
        f"{typed!r} is none of them. Type a whole number from 0 to 39,999." in one
        for one in warnings
    )
    assert shown(page) == (0,)

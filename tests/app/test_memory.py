"""What a session holds: settings, never their tensors, however long a tab stays open."""

from __future__ import annotations

import gc
from weakref import ref

import pytest
from streamlit.testing.v1 import AppTest

from convt_trace.app import opened
from convt_trace.links.link import to_link
from convt_trace.links.settings import PRESETS
from live_app import ROOT

DCGAN = PRESETS["dcgan"]


@pytest.mark.parametrize("way", ["preset", "link"])
def test_a_session_holds_no_tensors_of_what_settings_tell(way: str) -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    if way == "link":
        page.query_params.update(
            dict(part.split("=") for part in to_link(DCGAN.settings).split("&"))
        )
    page.run()
    if way == "preset":
        page.selectbox("preset").select("dcgan").run()
    page.session_state.more = "Trace table"
    page.run()
    assert not page.exception
    assert page.session_state.settings == DCGAN.settings
    assert len(page.dataframe) == 1
    case = ref(opened.case_of(DCGAN.settings))
    opened._cases.forget()
    gc.collect()
    assert case() is None

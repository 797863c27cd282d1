"""Where no process can be locked: nothing is run by itself, and a person at the computer may say so."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from streamlit.testing.v1 import AppTest

from convt_trace.app import readings, shell
from convt_trace.app.explain import State
from convt_trace.snippet import box, service
from live_app import ROOT

TEXT = (
    "import torch\nup = torch.nn.ConvTranspose1d(1, 2, 3)\nprint(up(torch.ones(1, 1, 2)).shape)\n"
)


@pytest.fixture
def no_box(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer that can lock no process in, and knows it."""
    known: Future[str] = Future()
    known.set_result("darwin has no seccomp")
    monkeypatch.setattr(readings, "_starting", lambda: known)
    monkeypatch.setattr(service, "_zygotes", [])
    monkeypatch.setattr(box, "possible", lambda: "darwin has no seccomp")
    readings.readings._cached.forget()
    yield
    readings.readings._cached.forget()


def opened(text: str) -> AppTest:
    page = AppTest.from_file(ROOT / "app.py", default_timeout=60)
    page.session_state["explain"] = State(source=text)
    return page.switch_page("pages/1_Explain.py").run()


def said(page: AppTest) -> str:
    printed = [one.proto.body for one in page.get("html")]
    told = (*page.caption, *page.markdown, *page.warning, *page.code)
    return "\n".join([*(one.value for one in told), *printed])


def test_a_text_is_listed_and_not_run(no_box: None) -> None:
    page = opened(TEXT)
    assert not page.exception
    assert "Texts are not run on this computer: darwin has no seccomp." in said(page)
    assert "Line 2 defines `torch.nn.ConvTranspose1d(1, 2, 3)`." in said(page)
    assert "nothing here calls it" not in said(page) and "torch.Size" not in said(page)
    assert [button.label for button in page.button] == []


def test_a_person_at_the_computer_may_run_it_with_a_click(
    no_box: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "is_at_home", lambda: True)
    page = opened(TEXT)
    (run,) = (button for button in page.button if button.label == "Run it on this computer")
    assert "This runs the text on your computer, as `python` would." in said(page)
    assert "torch.Size" not in said(page)
    run.click()
    page.run()
    assert not page.exception and "torch.Size([1, 2, 4])" in said(page)
    # The next text is asked for anew.
    page.session_state["explain"].explain(TEXT + "print(2)\n")
    page.run()
    assert [button.label for button in page.button] == ["Run it on this computer"]


@pytest.mark.parametrize(
    ("headers", "home"),
    [({"Host": "localhost:8501", "Origin": "http://localhost:8501"}, True),
     ({"Host": "127.0.0.1:8501", "Origin": "http://127.0.0.1:8501"}, True),
     ({"Host": "192.168.0.4:8501", "Origin": "http://192.168.0.4:8501"}, False),
     ({"Host": "localhost:8501", "Origin": "https://school.example"}, False),
     ({"Host": "localhost:8501", "Origin": "http://localhost:8501", "X-Forwarded-For": "1.2.3.4"}, False),
     ({"Host": "localhost:8501"}, False), ({}, False)],
)  # fmt: skip
def test_who_is_at_home(headers: dict[str, str], home: bool) -> None:
    assert shell.asked_from_home(headers) is home


def test_on_this_computer_the_box_holds_and_nothing_is_said() -> None:
    page = opened(TEXT)
    assert "not run on this computer" not in said(page) and "torch.Size([1, 2, 4])" in said(page)

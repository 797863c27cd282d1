"""The exported page, taken apart: what is in it, how large it is, and that nothing breaks out of it.

`tests/browser/test_page.py` opens it.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convt_trace
from convt_trace import Case
from convt_trace.__main__ import main
from convt_trace.engine.view import View, picked_trace
from convt_trace.links.settings import PRESETS, QUESTION
from convt_trace.player.linked import with_views
from convt_trace.player.page import LARGEST, ExportError, notebook, to_html
from convt_trace.player.scene import WINDOW, Opening, opened, read_message, scene
from convt_trace.views import VIEWS

PLAYER = Path(convt_trace.__file__).parent / "player"


class Page(HTMLParser):
    """An exported page as a parser sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open, data))

    def text(self, name: str) -> str:
        return "".join(text for at, text in self.texts if at == name)

    def part(self, name: str) -> bytes:
        return gzip.decompress(base64.b64decode(self.text(name)))

    @property
    def contents(self) -> dict:
        return json.loads(self.text("contents"))

    def windows(self) -> list[bytes]:
        return [self.part(f"window-{at}") for at in range(len(self.contents["windows"]))]


def sent(case: Case, view: View | None = None, **at: Any) -> bytes:
    """Return the message of a short case as the app sends it with every view open."""
    view = view or View()
    message = with_views(scene(case, view), case, view, list(VIEWS))
    return opened(message, Opening(key="page", **at))


def long_case() -> Case:
    rng = np.random.default_rng(0)
    return Case.of(
        rng.normal(size=(1, 1, 64, 72)).astype(np.float32), np.ones((1, 1, 3, 3), np.float32)
    )


@pytest.fixture(scope="module")
def question() -> Page:
    return Page(to_html(QUESTION.case(), step=9))


def test_the_page_holds_the_scene_as_the_app_sends_it(question):
    assert question.windows() == [sent(QUESTION.case(), step=9)]
    assert question.contents == {"first": 8, "windows": [{"start": 0, "stop": 72}]}


def test_the_page_holds_the_players_own_modules(question):
    modules = json.loads(question.text("script").split("import ")[0])["imports"]
    assert {f"convt-trace/{name}.js" for name in ("player", "plotly", "standalone")} <= set(modules)
    for name, address in modules.items():
        source = base64.b64decode(address.removeprefix("data:text/javascript;base64,")).decode()
        assert (
            source.replace('"convt-trace/', '"./')
            == (PLAYER / name.removeprefix("convt-trace/")).read_text()
        )
        code = re.sub(r"/\*.*?\*/", "", source, flags=re.S)  # a comment may name a type's module
        assert not re.search(r'(from|import\()\s*"\.', code), "every import is known by its name"
        assert {
            f"convt-trace/{found}" for found in re.findall(r'"convt-trace/([^"]+)"', source)
        } <= {*modules}


def test_the_page_names_no_address(question):
    for tag, attributes in question.tags:
        assert not {"src", "href", "action"} & set(attributes), tag
    (policy,) = (a["content"] for t, a in question.tags if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy and "unsafe-eval" not in policy


@pytest.mark.parametrize("key", [key for key in PRESETS if key != "dcgan"])
def test_pages_are_small(key):
    page = to_html(PRESETS[key].settings.case())
    assert len(page.encode()) < 2_000_000
    assert 'id="limit"' not in page


def test_the_same_case_makes_the_same_page():
    assert to_html(QUESTION.case()) == to_html(QUESTION.case())


def test_the_windows_of_a_long_trace_are_all_there():
    case = long_case()
    html = to_html(case)
    assert len(html.encode()) < LARGEST
    windows = [read_message(message)[0]["window"] for message in Page(html).windows()]
    assert [window["start"] for window in windows] == list(range(0, len(case.trace()), WINDOW))
    assert windows[-1]["stop"] == len(case.trace())


@pytest.mark.parametrize("largest", [2_000_000, 2_500_000, 3_000_000])
def test_a_page_keeps_to_its_size_and_says_what_it_leaves_out(largest):
    case = long_case()
    step = 6 * WINDOW + 5
    html = to_html(case, step=step, largest=largest)
    assert len(html.encode()) <= largest
    page = Page(html)
    starts = [window["start"] for window in page.contents["windows"]]
    assert starts == sorted(set(starts))
    assert 6 * WINDOW in starts and page.contents["first"] == step - 1
    assert f"of {len(case.trace()):,}, and steps over the others" in page.text("limit")


def test_a_page_too_small_for_one_window_is_refused():
    with pytest.raises(ExportError, match="Show fewer channels"):
        to_html(long_case(), largest=len(to_html(QUESTION.case())))


@pytest.mark.parametrize("step, stands", [(-5, 0), (72, 72), (10**9, 72)])
def test_a_step_outside_the_trace_is_the_nearest(step, stands):
    page = Page(to_html(QUESTION.case(), step=step))
    assert read_message(page.windows()[0])[0]["opening"]["step"] == stands


def test_it_opens_as_a_link_would():
    html = to_html(QUESTION.case(), step=9, unit="stamp", selected=("output", (0, 3, 0)), hidden=0)
    opening = read_message(Page(html).windows()[0])[0]["opening"]
    says = {name: opening[name] for name in ("step", "unit", "cell", "hide")}
    assert says == {"step": 9, "unit": "stamp", "cell": "output:0,3,0", "hide": 0}


HOSTILE = [
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "--></style><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "{windows}{note}{contents}{title}{0}",
    "\\g<0>\\1",
    "]]>&lt;script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_breaks_out_of_the_page(text, question):
    html = to_html(QUESTION.case(), step=9, title=text)
    page = Page(html)
    assert page.text("h1") == page.text("title") == text
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in question.tags]
    assert page.contents == question.contents


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cases_origin_is_not_on_the_page_but_as_text(text):
    case = Case.of([[[1.0, 2.0]]], [[[1.0]]], origin=text)
    plain = Page(to_html(Case.of([[[1.0, 2.0]]], [[[1.0]]])))
    assert [tag for tag, _ in Page(to_html(case)).tags] == [tag for tag, _ in plain.tags]


def test_a_notebook_shows_a_case_and_a_trace_in_a_frame():
    case = QUESTION.case()
    for html in (case._repr_html_(), case.trace()._repr_html_(), notebook(case)):
        ((tag, attributes),) = Page(html).tags
        assert tag == "iframe" and attributes["sandbox"] == "allow-scripts"
        assert Page(attributes["srcdoc"]).windows() == [sent(case)]
        assert len(html) < 2_000_000


def test_a_notebook_is_kept_small():
    assert len(notebook(long_case())) < 2_200_000


@pytest.mark.parametrize("order", ["scatter", "gather"])
def test_a_trace_makes_the_page_of_its_own_walk(order):
    case = QUESTION.case()
    whole = case.trace(order)
    picked = whole.pick(groups=[1], out_local=[0])
    assert Page(whole.to_html()).windows() == [sent(case, View(order))]
    view = View(order, 0, (1,), (0, 1), (0,))
    assert (picked.case, View.of(picked)) == (case, view)
    assert Page(picked.to_html(step=3)).windows() == [sent(case, view, step=3)]
    assert len(picked_trace(case, view)) == len(picked)


def test_the_command_writes_a_page(tmp_path, capsys):
    made = tmp_path / "lesson.html"
    assert main(["export", "question", "-o", str(made), "--order", "gather", "--step", "4"]) == 0
    assert Page(made.read_text()).windows() == [sent(QUESTION.case(), View("gather"), step=4)]
    size = f"{made.stat().st_size / 1e6:.1f} MB"
    assert f"{size}, nn.ConvTranspose1d(4, 4, 3, padding=2, groups=2, bias=False)" in (
        capsys.readouterr().out
    )


def test_the_command_reads_case_files(tmp_path):
    case = Case.of([[[1.0, 2.0]]], [[[3.0]]])
    file, made = tmp_path / "case.json", tmp_path / "case.html"
    file.write_text(case.to_json())
    assert main(["export", str(file), "-o", str(made), "--title", "Ours"]) == 0
    assert Page(made.read_text()).windows() == [sent(case)]


@pytest.mark.parametrize(
    "unit, order, says",
    [("stamp", "scatter", "stamp"), ("Input-Channel", "scatter", "input channel"),
     ("mac", "gather", "MAC"), ("output cell", "gather", "output cell"), ("all", "gather", "all")],
)  # fmt: skip
def test_the_command_opens_at_a_unit_and_a_cell(unit, order, says, tmp_path):
    made = tmp_path / "lesson.html"
    given = [
        "export",
        "question",
        "-o",
        str(made),
        "--order",
        order,
        "--unit",
        unit,
        "--cell",
        "0,3,0",
    ]
    assert main(given) == 0
    opening = read_message(Page(made.read_text()).windows()[0])[0]["opening"]
    assert (opening["unit"], opening["cell"]) == (says, "output:0,3,0")


def test_the_selected_channel_is_on_screen(tmp_path):
    file, made = tmp_path / "case.json", tmp_path / "case.html"
    file.write_text(Case.of(np.ones((2, 1, 2)), np.ones((1, 20, 2))).to_json())
    assert main(["export", str(file), "-o", str(made), "--cell", "1,9,2"]) == 0
    panels = read_message(Page(made.read_text()).windows()[0])[0]["panels"]
    assert [1, 9] in [channel["index"] for channel in panels[2]["channels"]]
    file.write_text(Case.of(np.ones((1, 2)), np.ones((1, 1, 2))).to_json())
    assert main(["export", str(file), "-o", str(made), "--cell", "0,2"]) == 0


@pytest.mark.parametrize(
    "given, says",
    [(["--unit", "stamps"], "--unit: 'stamps' is none of MAC, stamp, input value,"),
     (["--unit", "tap-row"], "is none of"), (["--unit", "stamp", "--order", "gather"], "none of"),
     (["--cell", "0,1"], "--cell: '0,1' has 2 numbers; N,C,POS are 3 here."),
     (["--cell", "0,a,0"], "--cell: '0,a,0' is not a list of whole numbers."),
     (["--cell", "0,4,0"], "--cell: 0,4,0 is outside the output, whose shape is (1, 4, 1)."),
     (["--cell", "0,-1,0"], "outside")],
)  # fmt: skip
def test_the_command_refuses_units_and_cells_that_are_not_there(given, says, tmp_path, capsys):
    made = tmp_path / "lesson.html"
    assert main(["export", "question", "-o", str(made), *given]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not made.exists()


def test_a_cell_far_from_the_step_is_refused(tmp_path, capsys):
    file, made = tmp_path / "case.json", tmp_path / "case.html"
    file.write_text(Case.of(np.ones((1, 1, 400)), np.ones((1, 1, 3))).to_json())
    given = ["export", str(file), "-o", str(made), "--cell", "0,0,390"]
    assert main(given) == 2
    assert "not on screen at step 0: give a --step near it" in capsys.readouterr().err
    assert main([*given, "--step", "1170"]) == 0


@pytest.mark.parametrize("text", [None, "{}"])
def test_the_command_says_what_it_cannot_read(text, tmp_path, capsys):
    file = tmp_path / "case.json"
    if text is not None:
        file.write_text(text)
    assert main(["export", str(file), "-o", str(tmp_path / "page.html")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not (tmp_path / "page.html").exists()


SNIPPET = """
import torch
from torch.nn import functional as F

x = torch.tensor([[[2.0, 1.0, 1.0, 3.0]]])
for kernel in ([1.0, 1.0, 5.0], [1.0, 0.0, -1.0]):
    print(F.conv_transpose1d(x, torch.tensor([[kernel]]), padding=2))
"""


def test_the_command_reads_snippets(tmp_path, capsys):
    file, made = tmp_path / "snippet.py", tmp_path / "lesson.html"
    file.write_text(SNIPPET)
    assert main(["export", str(file), "-o", str(made), "--call", "2", "--hide", "0"]) == 0
    case = Case.of(
        np.array([[[2, 1, 1, 3]]], np.float32), np.array([[[1, 0, -1]]], np.float32), padding=2
    )
    assert Page(made.read_text()).windows() == [sent(case, hidden=0)]
    assert main(["export", str(file), "-o", str(made), "--call", "3"]) == 1
    assert "there is no call 3" in capsys.readouterr().err

"""A figure in a file: each kind by its first bytes, its picture, the limits, and what is missing."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convt_trace import Case
from convt_trace.__main__ import main
from convt_trace.figures import saved
from convt_trace.figures.errors import FigureError
from convt_trace.figures.saved import KINDS, MOST_PICTURES, kind_of, moving, save
from convt_trace.links.settings import PRESETS
from find_browser import find

ROOT = Path(__file__).parents[2]
QUESTION = PRESETS["question"].settings.case()
BEGINS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg", "pdf": b"%PDF-", "gif": b"GIF89a"}


@pytest.fixture(autouse=True)
def browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser of the other tests, wherever it was found."""
    path = find()
    assert path is not None, "make browser installs one"
    monkeypatch.setenv("CHROME", str(path))


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_still_is_of_the_kind_that_its_name_says(kind: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / f"figure.{kind.upper()}"
    assert main(["export", "question", "-o", str(path), "--step", "44", "--title", "Half way"]) == 0
    assert "ConvTranspose1d" in capsys.readouterr().out
    data = path.read_bytes()
    assert data.startswith(BEGINS[kind])
    if kind == "svg":
        assert "y[0,2,0] += x[0,2,1] * w[2,0,1]" in data.decode()
        assert "Half way" in data.decode()
    if kind == "png":
        pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
        colors = {tuple(one) for one in np.unique(pixels, axis=0).tolist()}
        # The ground, a number's ink, the largest value's colour and both groups'.
        wanted = {"#ffffff", "#14161a", "#e0812a", "#009e73", "#b0569a"}
        assert colors >= {tuple(bytes.fromhex(one[1:])) for one in wanted}


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_moving_picture_has_a_frame_for_each_step(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"walk.{kind}"
    given = ["--step", "68", "--cell", "0,3,0", "--order", "gather", "--dark"]
    assert main(["export", "question", "-o", str(path), *given]) == 0
    data = path.read_bytes()
    begins = data[:4] + data[8:12] if kind == "webp" else data[:6]
    assert begins == (b"RIFFWEBP" if kind == "webp" else BEGINS["gif"])
    with Image.open(path) as picture:
        assert picture.n_frames == 5
        frames = []
        for at in range(5):
            picture.seek(at)
            frames.append(picture.convert("RGB").tobytes())
    assert len(set(frames)) == 5


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_frames_are_put_together_with_their_colours(kind: str) -> None:
    pictures = []
    for color in ("#ffffff", "#e0812a"):
        made = io.BytesIO()
        picture = Image.new("RGB", (8, 8), "#e0812a")
        picture.paste(color, (0, 0, 6, 6))
        picture.save(made, "PNG")
        pictures.append(made.getvalue())
    with Image.open(io.BytesIO(moving(pictures, kind))) as picture:
        picture.seek(1)
        assert picture.convert("RGB").getpixel((3, 3)) == (0xE0, 0x81, 0x2A)


def test_a_name_tells_its_kind() -> None:
    assert [kind_of(f"a.b.{kind}") for kind in KINDS] == list(KINDS)
    assert kind_of("a.html") == kind_of("png") == ""
    with pytest.raises(FigureError, match=r"\.png, \.svg, \.pdf, \.gif, \.webp"):
        save("a.bmp", QUESTION)


def test_too_long_a_walk_is_refused_before_anything_is_drawn(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "drawn", lambda *_, **__: pytest.fail("drawn"))
    case = Case.of(np.ones((1, 1, 60), np.float32), np.ones((1, 1, 3), np.float32))
    file, path = tmp_path / "case.json", tmp_path / "walk.gif"
    file.write_text(case.to_json())
    assert main(["export", str(file), "-o", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"181 frames: up to {MOST_PICTURES}" in said and said.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["--cell", "0,9,0"], 2, "outside the output"),
        (["--unit", "window"], 2, "none of MAC, stamp"),
        (["--hide", "0"], 1, "--hide is for pages"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    given: list[str], code: int, words: str, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "figure.svg"
    assert main(["export", "question", "-o", str(path), *given]) == code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize("path", ["/no/such/browser", "/bin/false"])
def test_without_a_browser_it_says_what_to_install(
    path: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROME", path)
    assert main(["export", "question", "-o", str(tmp_path / "figure.png")]) == 1
    said = capsys.readouterr().err
    assert "apt-get install chromium" in said and "BROWSER_PATH=" in said
    assert said.count("\n") == 1


#: Forbids the import of some packages, then runs the rest.
BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import convt_trace
from convt_trace.__main__ import main
case = convt_trace.Case.of([[[1.0, 2.0]]], [[[1.0]]])
{rest}
"""


def run(blocked: tuple[str, ...], rest: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER.format(blocked=set(blocked), rest=rest)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_without_plotly_the_package_works_and_a_figure_says_what_to_install() -> None:
    said = run(
        ("plotly", "kaleido", "choreographer", "PIL"),
        "assert case.to_html().startswith('<!doctype html>')\n"
        "try:\n    case.figure()\nexcept ImportError as error:\n    print(error)\n"
        "assert main(['export', 'question', '-o', 'never.png']) == 2",
    )
    sentence = "plotly is not installed: pip install 'convt-trace[plot]' adds it.\n"
    assert said == sentence * 2


def test_without_kaleido_or_pillow_a_file_says_what_to_install() -> None:
    said = run(("kaleido",), "print(main(['export', 'question', '-o', 'never.png']))")
    assert said.startswith("2\nkaleido is not installed: pip install 'convt-trace[plot]'")
    said = run(
        ("PIL",),
        "from convt_trace.figures.saved import moving\n"
        "try:\n    moving([], 'gif')\nexcept ImportError as error:\n    print(error)",
    )
    assert said.startswith("PIL is not installed: pip install 'convt-trace[plot]'")

"""With numpy alone, or without some library: what works, and the one sentence on what does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: Runs a program in which some libraries cannot be imported, as where they are not installed.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])

sys.meta_path.insert(0, Missing())
import json
import convt_trace
from convt_trace.__main__ import main
case = convt_trace.Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)

def told(act):
    try:
        return act()
    except convt_trace.MissingError as error:
        return str(error)

print(json.dumps({act}))
"""
TORCH = "torch is not installed: pip install 'convt-trace[torch]' adds it."
ALONE = ("torch", "streamlit", "scipy", "pandas", "onnx", "plotly", "anywidget")


def run(act: str, *blocked: str):
    """What an expression gives where these libraries are not installed."""
    program = WITHOUT.format(blocked=blocked, act=act)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.parametrize("blocked", [("torch",), ALONE])
def test_a_case_shows_itself_without_torch(blocked: tuple[str, ...]) -> None:
    (html, output), _ = run("[case._repr_html_(), case.trace().output.tolist()]", *blocked)
    assert output == [[[12, 9]]]
    assert "<iframe" in html
    page, _ = run("case.to_html(title='alone')", *blocked)
    assert page.startswith("<!doctype html>")
    messages, _ = run(
        "[__import__('convt_trace.player.scene', fromlist=['x']).read_message("
        "__import__('convt_trace.player.scene', fromlist=['x']).build(case))[0]['verdict']]",
        *blocked,
    )
    assert messages == [{"kind": "none", "text": f"torch's result is not here: {TORCH}"}]


@pytest.mark.parametrize(
    "act, library",
    [
        ("convt_trace.record()", "torch"),
        ("convt_trace.compare(case)", "torch"),
        ("convt_trace.torch_output(case)", "torch"),
        ("convt_trace.summary(abs, 1)", "torch"),
        ("convt_trace.chain(abs, 1)", "torch"),
        ("case.as_gradient()", "torch"),
        ("case.matrix()", "scipy"),
        ("case.trace().to_frame()", "pandas"),
        ("__import__('convt_trace.elsewhere.onnx_file', fromlist=['x']).read_onnx(b'')", "onnx"),
    ],
)
def test_what_a_library_is_needed_for_says_so_in_one_sentence(act: str, library: str) -> None:
    sentence, _ = run(f"told(lambda: {act})", library)
    assert sentence == (
        f"{library} is not installed: pip install 'convt-trace[{library}]' adds it."
    )


@pytest.mark.parametrize(
    "command, code, said",
    [
        (["explain", "{file}"], 2, TORCH),
        (["chain", "{file}"], 2, TORCH),
        (["sizes", "27", "54"], 0, "nn.ConvTranspose2d(1, 1, 2, stride=2)"),
        (["overlap", "nn.ConvTranspose1d(1, 1, 3, stride=2)"], 0, "max/min 2"),
        (["export", "question", "-o", "{page}"], 0, "1.7 MB"),
    ],
)
def test_the_commands_without_torch(tmp_path, command: list[str], code: int, said: str) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\ntorch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))"
    )
    words = [word.format(file=file, page=tmp_path / "page.html") for word in command]
    got, printed = run(f"main({words!r})", *ALONE)
    assert got == code and said in printed and "Traceback" not in printed


def test_everything_but_the_app_is_there_without_streamlit(tmp_path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import torch\ntorch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))"
    )
    got, printed = run(f"main(['explain', {str(file)!r}])", "streamlit")
    assert got == 0 and "conv_transpose1d" in printed
    verdict, _ = run("convt_trace.compare(case).kind", "streamlit")
    assert verdict == "equal"

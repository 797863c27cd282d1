"""What a reading holds: calls, definitions, notes, errors, JSON; and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convt_trace.__main__ import answer, main
from convt_trace.snippet import Run, SnippetError, read_snippet
from convt_trace.snippet.reading import LISTED_ELEMENTS as LISTED
from tests.snippet.real import cases

CORPUS = cases("corpus.txt")
UP = """
import torch
from torch import nn
class Up(nn.Module):
    def __init__(self, cin, cout, bilinear=False):
        super().__init__()
        self.up = nn.ConvTranspose2d(cin, cout, 4, 2, 1)
        self.last = nn.ConvTranspose2d(16, 3, 2)
    def forward(self, x):
        return self.up(x)
"""


def test_the_question_gives_8_8_10_10() -> None:
    reading = read_snippet(CORPUS["question_two_groups"])
    (call,) = reading.calls
    assert call.output.ravel().tolist() == [8, 8, 10, 10]
    assert call.case is not None and call.case.trace().output.ravel().tolist() == [8, 8, 10, 10]
    assert reading.printed.startswith("tensor([[[ 8.],\n")
    assert (call.op, call.groups, call.padding, call.verdict) == (
        "conv_transpose1d",
        2,
        (2,),
        "equal",
    )


def test_the_answer_gives_8_17_and_12_9() -> None:
    plain, transposed = read_snippet(CORPUS["answer_both_ways"]).calls
    assert plain.op == "conv1d" and plain.output.tolist() == [[[8, 17]]] and plain.case is None
    assert transposed.output.tolist() == [[[12, 9]]]


def test_json_is_the_documented_one() -> None:
    (call,) = read_snippet(CORPUS["question_two_groups"]).to_json()["calls"]
    assert call == {
        "op": "conv_transpose1d", "lineno": 9, "stack": [9], "input_shape": [1, 4, 3],
        "weight_shape": [4, 2, 3], "stride": [1], "padding": [2], "output_padding": [0],
        "groups": 2,
        "dilation": [1], "output": [[[8.0], [8.0], [10.0], [10.0]]], "macs": 72, "verdict": "equal",
    }  # fmt: skip


def test_a_large_output_is_its_fingerprint() -> None:
    source = "import torch\ntorch.conv_transpose1d(torch.ones(1, 1, 5000), torch.ones(1, 1, 1))"
    output = read_snippet(source).to_json()["calls"][0]["output"]
    import hashlib

    assert output["shape"] == [1, 1, 5000] and output["first16"] == [1.0] * 16 and LISTED == 4096
    ones = np.ones(5000, dtype="<f4").tobytes()
    assert output["sha256"] == hashlib.sha256(ones).hexdigest()


def test_a_call_inside_knows_the_lines_that_led_there() -> None:
    reading = read_snippet(UP + "m = Up(1, 1)\ny = m(\n  torch.ones(1, 1, 2, 2))\n")
    (call,) = reading.calls
    assert (call.line, call.stack, call.source) == (10, (12, 10), "return self.up(x)")


def test_definitions_say_what_they_need() -> None:
    reading = read_snippet(UP)
    first, last = reading.definitions
    assert (first.line, first.owner, first.op) == (7, "Up", "conv_transpose2d")
    assert first.text == "nn.ConvTranspose2d(cin, cout, 4, 2, 1)" and first.in_channels is None
    assert [(one.name, one.default) for one in first.init_arguments] == [
        ("cin", None), ("cout", None), ("bilinear", "False")
    ]  # fmt: skip
    assert [one.name for one in first.forward_arguments] == ["x"]
    assert last.in_channels == 16 and not reading.calls


@pytest.mark.parametrize("target", ["Up", 4, 7])
def test_a_definition_is_run(target: str | int) -> None:
    reading = read_snippet(UP, run=Run(target, ((2, 8, 5, 5),), "8, cout=4"))
    (call,) = reading.calls
    assert call.output.shape == (2, 4, 10, 10) and call.random
    assert [one.line for one in reading.definitions] == [8]


def test_a_layer_that_nothing_calls_is_run() -> None:
    source = "from torch import nn\nup = nn.ConvTranspose1d(2, 3, 4)\n"
    assert read_snippet(source).definitions[0].in_channels == 2
    assert read_snippet(source, run=Run(2, ((1, 2, 5),))).calls[0].output.shape == (1, 3, 8)


def test_get_inputs_runs_the_model() -> None:
    source = UP.replace("class Up", "class Model") + (
        "def get_inputs(): return [torch.randn(1, 2, 3, 3)]\ndef get_init_inputs(): return [2, 5]\n"
    )
    (call,) = read_snippet(source).calls
    assert call.output.shape == (1, 5, 6, 6)


def test_only_what_depends_on_unseeded_numbers_is_random() -> None:
    source = (
        "import torch\nl = torch.nn.ConvTranspose1d(1, 1, 2, bias=False)\n"
        "a = l(torch.ones(1, 1, 2))\nl.weight.data.fill_(1)\nb = l(torch.ones(1, 1, 2))\n"
    )
    assert [call.random for call in read_snippet(source).calls] == [True, False]
    seeded = read_snippet("import torch\ntorch.manual_seed(1)\n" + source)
    assert not seeded.random and not seeded.notes


def test_gradients_of_a_convolution_are_transposed_convolutions() -> None:
    reading = read_snippet(CORPUS["autograd_grad"])
    plain, gradient, transposed = reading.calls
    assert gradient.op == "conv_transpose2d" and gradient.origin == "gradient of conv2d"
    assert gradient.verdict in ("equal", "rounding") and gradient.line == 8
    assert gradient.output.shape == transposed.output.shape == plain.x.shape
    odd = "import torch\nx = torch.ones(1, 1, 6, requires_grad=True)\n"
    odd += "torch.conv1d(x, torch.ones(1, 1, 3), stride=2).sum().backward()\n"
    gradient = read_snippet(odd).calls[1]
    assert gradient.output_padding == (1,) and gradient.output.shape == (1, 1, 6)


def test_an_error_keeps_what_was_read_before_it() -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(CORPUS["cat_mismatch"])
    error = caught.value
    assert error.type == "RuntimeError" and error.lineno == 6 and "output_padding" in error.hint
    assert [call.op for call in error.reading.calls] == ["conv_transpose2d"]
    assert error.to_json()["error"]["lineno"] == 6 and len(error.to_json()["calls"]) == 1


def test_the_convolution_that_failed_is_described() -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(CORPUS["channel_error"])
    attempt = caught.value.attempt
    assert attempt is not None and attempt.op == "conv_transpose2d" and attempt.stack == (4,)
    assert attempt.input_shape == (1, 128, 8, 8) and attempt.weight_shape == (64, 32, 2, 2)
    assert attempt.parameters["stride"] == (2, 2)


def test_data_ends_the_reading_with_the_rest_explained() -> None:
    source = CORPUS["question_two_groups"] + "data = torch.load('weights.pt')\nprint(data)\n"
    with pytest.raises(SnippetError) as caught:
        read_snippet(source)
    assert caught.value.type == "Refused" and "torch.load" in caught.value.message
    assert len(caught.value.reading.calls) == 1


@pytest.mark.parametrize(
    ("source", "kind"),
    [("x = (1,", "SyntaxError"), ("print(1)", "NothingToExplain"), ("", "NothingToExplain"),
     ("import torch\ntorch.foo(1)", "Refused"), ("1 / 0", "ZeroDivisionError")],
)  # fmt: skip
def test_error_types(source: str, kind: str) -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(source)
    assert caught.value.type == kind
    json.dumps(caught.value.to_json())


def test_isolated_reads_the_same() -> None:
    for name in ("question_two_groups", "vae_decoder", "half_and_bf16"):
        here, apart = read_snippet(CORPUS[name]), read_snippet(CORPUS[name], isolated=True)
        assert here.to_json() == apart.to_json()
        assert [call.x.dtype for call in here.calls] == [call.x.dtype for call in apart.calls]


def test_the_command_line_prints_json_only(tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(CORPUS["channel_error"])
    done = subprocess.run(
        [sys.executable, "-m", "convt_trace", "explain", str(file), "--json"],
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert done.returncode == 2 and found["error"]["type"] == "RuntimeError"
    assert "to have 64 channels, but got 128 channels" in found["error"]["message"]
    assert "RuntimeError" in done.stderr


def test_the_command_line_sums_a_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(CORPUS["question_two_groups"])
    assert main(["explain", str(file), "--cell", "0,2,0"]) == 0
    assert "y[0, 2, 0] = 1*2 + 1*1 + 2*1 + 1*2 + 1*1 + 2*1 = 10" in capsys.readouterr().out
    assert main(["explain", str(tmp_path / "none.py")]) == 2


def test_a_cell_outside_is_said() -> None:
    reading = read_snippet(CORPUS["question_two_groups"])
    assert "cropped" in answer(reading, (0, 0, 1)) and "outside" in answer(reading, (0, 9, 0))

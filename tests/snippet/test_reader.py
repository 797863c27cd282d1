"""What a reading holds: calls, definitions, notes, errors, JSON; and the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convt_trace.__main__ import answer, main
from convt_trace.snippet import Run, SnippetError, read_snippet
from convt_trace.snippet.reading import LISTED_ELEMENTS as LISTED
from tests.snippet.real import PATIENT, cases

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


@pytest.mark.parametrize(
    "shown",
    ["torch.manual_seed(0)", "torch.Generator()", "[torch.manual_seed(0)]", "lambda: 1", "len.__call__",
     "iter([1])", "zip([1])", "(n for n in [1])", "up.parameters()", "object()", "Own()",
     "x.sum", "x.sum().grad_fn"],
)  # fmt: skip
def test_a_bare_expression_shows_no_address(shown: str) -> None:
    text = "import torch\nfrom torch import nn\nclass Own: pass\nup = nn.ConvTranspose1d(1, 1, 2)\n"
    text += f"x = torch.ones(1, 1, 2, requires_grad=True)\n{shown}\nstr(' at 0x12')\nup(x).shape\n"
    told = [(one.line, one.text) for one in read_snippet(text).shown]
    assert told == [(7, "' at 0x12'"), (8, "torch.Size([1, 1, 3])")]


CALLED = {
    "layer": "up = nn.ConvTranspose1d(4, 2, 3)\nup(torch.ones(1, 6, 5))",
    "function": "torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(2, 1, 2))",
    "argument": "torch.conv_transpose1d(torch.ones(1, 1, 2), torch.tensor([1 / 0]))",
    "constructor": "nn.ConvTranspose1d(3, 4, 2, groups=2)",
    "caught": "try: nn.ConvTranspose1d(3, 4, 2, groups=2)\nexcept ValueError: 1 / 0",
    "class": UP.replace("return self.up(x)", "return self.last(self.up(x))")
    + "Up(2, 2)(torch.ones(1, 2, 3, 3))",
    "forward": "up = nn.ConvTranspose1d(1, 1, 2)\nup.forward(torch.ones(1, 1, 2))",
    "copy": "import copy\nup = nn.ConvTranspose1d(1, 1, 2)\n"
    "copy.deepcopy(nn.Sequential(up))(torch.ones(1, 1, 2))",
}


@pytest.mark.parametrize("name", CALLED)
def test_what_was_called_is_no_definition(name: str) -> None:
    """Not even where the call failed, or what stands around it did before."""
    try:
        reading = read_snippet("import torch\nfrom torch import nn\n" + CALLED[name])
    except SnippetError as error:
        reading = error.reading
        assert "definitions" not in error.to_json()
    assert reading.definitions == ()


def test_what_an_error_did_not_stop_is_a_definition_still() -> None:
    text = "from torch import nn\nimport torch\na = nn.ConvTranspose1d(4, 2, 3)\n"
    text += "b = nn.ConvTranspose1d(4, 3, 3)\nb(torch.ones(1, 6, 5))"
    with pytest.raises(SnippetError) as caught:
        read_snippet(text)
    assert [one.line for one in caught.value.reading.definitions] == [3]


def test_a_definition_that_does_not_run_by_itself_can_be_run_otherwise() -> None:
    text = UP.replace("class Up", "class Model")
    text += (
        "def get_inputs(): return [torch.ones(1, 3, 4, 4)]\ndef get_init_inputs(): return [2, 2]\n"
    )
    with pytest.raises(SnippetError) as caught:
        read_snippet(text)
    assert [one.line for one in caught.value.reading.definitions] == [7, 8]
    assert len(read_snippet(text, run=Run("Model", ((1, 2, 4, 4),))).calls) == 1


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


@pytest.mark.parametrize(
    "theirs, verdict",
    [([0], "equal"), ([np.nan], "overflow"), ([-np.inf], "overflow"), ([7000], "different")],
)
def test_a_plain_convolution_that_leaves_float16s_range_is_judged_so(theirs, verdict):
    reading = read_snippet(
        "import torch\nimport torch.nn.functional as F\n"
        "x = torch.tensor([[[300., -300.]]]).half()\n"
        "F.conv1d(x, torch.tensor([[[300., 300.]]]).half())\n"
    )
    # torch's kernels add in orders and dtypes of their own: here stands what each may give.
    call = replace(reading.calls[0], output=np.array([[theirs]], np.float16))
    assert call.verdict == verdict


def test_a_convolution_inside_vmap_runs_and_a_note_says_why_it_is_not_shown() -> None:
    text = "import torch\nup = torch.nn.ConvTranspose1d(1, 1, 2)\n"
    text += "print(torch.func.vmap(lambda one: up(one[None])[0])(torch.ones(5, 1, 3)).shape)\n"
    reading = read_snippet(text)
    assert reading.printed == "torch.Size([5, 1, 4])\n" and reading.calls == ()
    assert "a convolution is not shown: inside torch.func" in reading.notes[0].text


def test_an_error_keeps_what_was_read_before_it() -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(CORPUS["cat_mismatch"])
    error = caught.value
    assert error.type == "RuntimeError" and error.lineno == 6
    assert [call.op for call in error.reading.calls] == ["conv_transpose2d"]
    assert error.to_json()["error"]["lineno"] == 6 and len(error.to_json()["calls"]) == 1


def test_the_convolution_that_failed_is_described() -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(CORPUS["channel_error"])
    attempt = caught.value.attempt
    assert attempt is not None and attempt.op == "conv_transpose2d" and attempt.stack == (4,)
    assert attempt.input_shape == (1, 128, 8, 8) and attempt.weight_shape == (64, 32, 2, 2)
    assert attempt.parameters["stride"] == (2, 2)


def test_data_from_elsewhere_is_stood_in_for_and_the_rest_is_explained() -> None:
    source = "import torch\ndata = torch.load('weights.pt')\nprint(data)\n"
    source += CORPUS["question_two_groups"]
    reading = read_snippet(source)
    assert [(note.line, note.text) for note in reading.notes] == [
        (2, "torch.load finds no file here: a stand-in takes its place")
    ]
    assert len(reading.calls) == 1


@pytest.mark.parametrize(
    ("source", "kind"),
    [("x = (1,", "SyntaxError"), ("print(1)", "NothingToExplain"), ("", "NothingToExplain"),
     ("import torch\ntorch.foo(1)", "AttributeError"), ("1 / 0", "ZeroDivisionError")],
)  # fmt: skip
def test_error_types(source: str, kind: str) -> None:
    with pytest.raises(SnippetError) as caught:
        read_snippet(source)
    assert caught.value.type == kind
    json.dumps(caught.value.to_json())


def test_a_text_run_with_no_lock_reads_the_same() -> None:
    for name in ("question_two_groups", "vae_decoder", "half_and_bf16"):
        loose, locked = (
            read_snippet(CORPUS[name], unboxed=unboxed, limits=PATIENT) for unboxed in (True, False)
        )
        assert loose.to_json() == locked.to_json()
        assert [call.x.dtype for call in loose.calls] == [call.x.dtype for call in locked.calls]


def command(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convt_trace", *arguments],
        input=text,
        capture_output=True,
        encoding="utf-8",
    )


def test_the_command_line_prints_json_only() -> None:
    done = command("explain", "-", "--json", text=CORPUS["channel_error"])
    found = json.loads(done.stdout)
    assert done.returncode == 2 and found["error"]["type"] == "RuntimeError"
    assert "to have 64 channels, but got 128 channels" in found["error"]["message"]
    assert "line 4: RuntimeError" in done.stderr


def test_the_command_line_prints_the_whole_answer() -> None:
    done = command("explain", "-", text=CORPUS["question_two_groups"])
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("## Line 9: `nn.ConvTranspose1d(4, 4, 3, padding=2, groups=2")
    assert "72 MACs, of which 48 are cropped" in done.stdout
    assert "`y[0,0:2,0] = 2 * dot([1,1,1], [2,1,1]) = 8`" in done.stdout
    assert "The trace equals torch: all 4 output values, exactly." in done.stdout
    assert "**It prints**\n\n    tensor([[[ 8.]," in done.stdout


Captured = pytest.CaptureFixture[str]


def explain(text: str, path: Path, *more: str) -> int:
    file = path / "snippet.py"
    file.write_text(text, encoding="utf-8")
    return main(["explain", str(file), *more])


DEFINED = """
import torch
from torch import nn
class Generator(nn.Module):
    def __init__(self, nz=6, ngf=4):
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(nz, ngf, 4), nn.ConvTranspose2d(ngf, 3, 4, 2, 1))
    def forward(self, z):
        return self.main(z)
class Up(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.up = nn.ConvTranspose1d(in_channels=cin, out_channels=cout, kernel_size=2)
    def forward(self, x, scale=1):
        return self.up(x) * scale
def block(channels):
    return nn.ConvTranspose3d(channels, channels * 2, 2)
class Auto(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, width, 4, 2, 1), nn.Conv2d(width, width, 4, 2, 1))
        self.up = nn.ConvTranspose2d(width, 3, 4, 4)
    def forward(self, x):
        return self.up(self.down(x))
class Decoder(nn.Module):
    def __init__(self, latent=10):
        super().__init__()
        self.first = nn.Linear(latent, 16)
        self.up = nn.ConvTranspose2d(4, 1, 2)
    def forward(self, z):
        return self.up(self.first(z).view(-1, 4, 2, 2))
alone = nn.ConvTranspose2d(5, 1, 3)
"""


def test_a_text_that_only_defines_layers_prints_the_commands_that_run_them(
    tmp_path: Path, capsys: Captured
) -> None:
    assert explain(DEFINED, tmp_path) == 0
    told = capsys.readouterr().out.partition("To run it")[2]
    commands = re.findall(r"^    python -m convt_trace (.*)$", told, re.M)
    names = [shlex.split(command)[3] for command in commands]
    assert names == ["Generator", "Up", "block", "Auto", "Decoder", str(DEFINED.count("\n"))]
    for command in commands:
        assert main(shlex.split(command)) == 0
        assert "`nn.ConvTranspose" in capsys.readouterr().out


def test_a_run_takes_shapes_and_arguments(tmp_path: Path, capsys: Captured) -> None:
    given = ("--run", "Up", "--shape", "2,3,5", "--init", "3, cout=7", "--json")
    assert explain(DEFINED, tmp_path, *given) == 0
    (call,) = json.loads(capsys.readouterr().out)["calls"]
    assert (call["input_shape"], call["weight_shape"]) == ([2, 3, 5], [3, 7, 2])
    assert explain(DEFINED, tmp_path, "--run", "Nothing", "--shape", "1,1") == 2
    assert "no class named Nothing" in capsys.readouterr().err
    assert explain(DEFINED, tmp_path, "--run", "Up") == 2
    assert "missing 2 required positional arguments" in capsys.readouterr().err


def test_a_plain_convolution_has_its_own_answer(tmp_path: Path, capsys: Captured) -> None:
    assert explain(CORPUS["answer_both_ways"], tmp_path) == 0
    plain, transposed = capsys.readouterr().out.split("## Line ")[1:]
    assert "dot([1,1,3], [1,1,5]) = 17" in plain and "The kernel is not flipped here" in plain
    assert "**The kernel is flipped.**" in transposed and "= 9`" in transposed


def test_the_command_line_sums_a_cell(tmp_path: Path, capsys: Captured) -> None:
    assert explain(CORPUS["question_two_groups"], tmp_path, "--cell", "0,2,0") == 0
    out = capsys.readouterr().out
    assert "**`y[0,2,0] = 10`**" in out and "= 2 * 1 = 2   sum 10\n" in out
    assert "**Shapes.**" not in out
    assert main(["explain", str(tmp_path / "none.py")]) == 2


def test_a_cell_of_a_plain_convolution_and_of_an_unbatched_one() -> None:
    reading = read_snippet(CORPUS["answer_both_ways"])
    plain, transposed = answer(reading, cell=(0, 0, 1)).split("## Line ")[1:]
    assert "**`y[0,0,1] = 17`**" in plain and "**`y[0,0,1] = 9`**" in transposed
    one = "import torch\ntorch.conv_transpose1d(torch.ones(1, 2), torch.ones(1, 1, 2))"
    assert "`y[0,1] = 2`" in answer(read_snippet(one), cell=(0, 1))


def test_a_cell_outside_is_said(tmp_path: Path, capsys: Captured) -> None:
    reading = read_snippet(CORPUS["question_two_groups"])
    assert "Padding crops this cell" in answer(reading, cell=(0, 0, 1))
    assert "outside" in answer(reading, cell=(0, 9, 0))
    assert "N,C,POS are 3 here" in answer(reading, cell=(0, 0))
    assert explain(CORPUS["question_two_groups"], tmp_path, "--cell", "0,9,0") == 2
    assert "--cell: cell (0, 9) is outside" in capsys.readouterr().err


def test_a_call_made_again_is_told_in_short() -> None:
    text = "import torch\nfor n in range(3):\n"
    text += "    torch.conv_transpose1d(torch.ones(1, 1, 2) * n, torch.ones(1, 1, 2))\n"
    told = answer(read_snippet(text))
    assert told.count("## Line 3") == 3 and told.count("**Shapes.**") == 1
    assert "= 4`" in told


def test_warnings_and_notes_stand_in_the_answer(tmp_path: Path, capsys: Captured) -> None:
    text = "import torch, torch.nn.functional as F, tqdm\nx = torch.randn(2, 4)\n"
    text += "F.conv_transpose1d(x, torch.ones(2, 1, 3), None, 1, 0, 0, 2, 1).cuda()\n"
    assert explain(text, tmp_path) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and "One sample: nothing seeds these" in captured.out
    assert "read as one unbatched item (C, L): 2 channels of 4" in captured.out
    assert "**Line 3.** By position this call means groups=2, dilation=1" in captured.out
    assert "- line 3: " in captured.out


@pytest.mark.parametrize(
    ("call", "words"),
    [("nn.ConvTranspose1d(4, 2, 3, stride=2)(torch.ones(1, 6, 5))",
      ["has 6. After a torch.cat", "\n    layer = nn.ConvTranspose1d(6, 2, 3, stride=2)\n"]),
     ("nn.ConvTranspose2d(3, 4, 3, groups=2)", ["groups=2 cuts", "in_channels=3", "groups=1"]),
     ("torch.conv_transpose1d(torch.ones(1, 1, 4), torch.ones(1, 1, 3), padding='same')",
      ["does not exist for a transposed convolution", "\n    padding = 1\n"]),
     ("nn.ConvTranspose1d(1, 1, 3, stride=2)(torch.ones(1, 1, 4), output_size=(20,))",
      ["the sizes from 9 to 10 can be had", "output_size = (10,)"]),
     ("nn.Conv1d(3, 4, 3)(torch.ones(1, 2, 5))",
      ["This Conv1d takes 3 input channels", "\n    layer = nn.Conv1d(2, 4, 3)\n"]),
     ("torch.softmax(torch.ones(2).long(), 0)", ["not implemented for 'Long'\n"])],
)  # fmt: skip
def test_an_error_is_told_in_plain_words(
    call: str, words: list[str], tmp_path: Path, capsys: Captured
) -> None:
    text = f"import torch\nfrom torch import nn\nprint('before')\n{call}\n"
    assert explain(text, tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("**It prints**\n\n    before\n")
    assert "nothing here calls it" not in captured.out
    assert captured.err.startswith("line 4: ") and "transposed convolution for" not in captured.err
    for word in words:
        assert word in captured.err


def test_a_case_is_exported(tmp_path: Path, capsys: Captured) -> None:
    page = tmp_path / "lesson.html"
    assert main(["export", "question", "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert "lesson.html" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


def test_several_files_are_read_below_each_other(tmp_path: Path, capsys: Captured) -> None:
    block, model = tmp_path / "block.py", tmp_path / "model.py"
    block.write_text("from torch import nn\nclass Up(nn.ConvTranspose1d): pass\n")
    model.write_text("import torch\nfrom .block import Up\nUp(1, 1, 2)(torch.ones(1, 1, 3))\n")
    assert main(["explain", str(block), str(model)]) == 0
    captured = capsys.readouterr()
    assert "## Line 6: `nn.ConvTranspose1d(1, 1, 2)`" in captured.out
    assert captured.err == f"{block}: from line 1; {model}: from line 4\n"

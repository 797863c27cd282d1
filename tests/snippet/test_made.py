"""The sizes that are followed through a pasted text: as through the same model here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convt_trace.__main__ import main
from convt_trace.engine.flow import flow_of
from convt_trace.engine.made import Made
from convt_trace.planning.recorded import read_off
from convt_trace.snippet import SnippetError, read_snippet
from tests.snippet.test_wire import read_all, sent

UNET = """
import torch
from torch import nn

class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        one = torch.relu(self.down(x))
        y = self.up(self.pool(one))
        return self.out(torch.cat([one, y], 1))
"""


def test_they_are_those_of_the_same_model_here() -> None:
    reading = read_snippet(f"{UNET}\nUNet()(torch.ones(1, 3, 28, 28))")
    names: dict = {}
    exec(UNET, names)
    assert reading.made == flow_of(names["UNet"](), names["torch"].ones(1, 3, 28, 28))


def test_a_skip_that_torch_refused_does_not_end_them() -> None:
    with pytest.raises(SnippetError, match="Sizes of tensors must match") as caught:
        read_snippet(f"{UNET}\nUNet()(torch.ones(1, 3, 27, 27))")
    reading = caught.value.reading
    # The text stopped there, as torch does: the last convolution is no call of it.
    assert [call.module for call in reading.calls] == ["down", "up"]
    found = read_off(reading.made)
    assert found is not None and found.text.splitlines()[-2:] == [
        "cat a",
        "nn.Conv2d(16, 1, 1)  # out",
    ]
    assert found.chain().misfits(27)[0].sentence.endswith("a has 27, and here it is 26: 1 too few.")


def test_a_long_loop_is_followed_for_a_while() -> None:
    text = "import torch\nx = torch.ones(1, 1, 4)\nw = torch.ones(1, 1, 1)\n"
    reading = read_snippet(f"{text}for _ in range(3000):\n    x = torch.conv_transpose1d(x, w)")
    assert len(reading.made) == 2000 and reading.made[0] == Made(size=(4,))


@pytest.mark.parametrize(
    "before",
    [
        "torch.ones(1, 2, 3, 4, 5, 6, 7)[:, :, 1:, 1:]",
        "torch.nn.functional.pad(torch.ones(1, 2, 3, 4, 5, 6), (1, 1))",
        "torch.ones(3)[1:]",
        "torch.ones(2, 3)[:, 1:].T",
        "torch.nn.functional.pad(torch.ones(2, 3), (1, 1))",
    ],
)
def test_tensors_of_any_number_of_axes_are_cut_and_padded(before: str) -> None:
    call = "torch.conv_transpose1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2))"
    reading = read_snippet(f"import torch\n{before}\n{call}")
    assert len(reading.calls) == 1 and reading.made[-1].size == (5,)


def test_a_tensor_of_too_few_axes_is_torchs_own_error() -> None:
    with pytest.raises(SnippetError, match="Expected 2D .* or 3D"):
        read_snippet("import torch\ntorch.conv_transpose1d(torch.tensor(1.0), torch.ones(1, 1, 2))")


words = st.text(max_size=9) | st.sampled_from(["", "nn.Conv1d(1, 1, 3)"])
anything = st.none() | st.integers(-3, 9) | words | st.lists(st.integers(-3, 9), max_size=4)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["text", "of", "size", "module", "fixed", "after"]), anything
        ),
        max_size=5,
    )
)
def test_what_no_flow_sends_is_never_a_wrong_chain(messages: list[dict]) -> None:
    builder = read_all(sent(*(("made", one) for one in messages)))
    for at, one in enumerate(builder.made):
        assert all(below < at for below in one.of)
        assert len(one.of) == 1 if one.text else bool(one.of or one.size)
    read_off(builder.made)


def test_the_command_prints_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "unet.py"
    file.write_text(f"{UNET}\nUNet()(torch.ones(1, 3, 27, 27))")
    assert main(["chain", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "| 4 | `nn.ConvTranspose2d(8, 8, 2, stride=2)` | 26 |" in printed
    assert "a has 27, and here it is 26: 1 too few." in printed
    assert main(["chain", str(file), "--size", "28"]) == 0
    assert "28 goes through, and comes out as 28." in capsys.readouterr().out
    file.write_text("nn.MaxPool2d((2, 3))")
    assert main(["chain", str(file), "--size", "12", "--axis", "1"]) == 0
    assert "12 goes through along W, and comes out as 4." in capsys.readouterr().out
    for text, said in (
        ("nn.MaxPool2d(2)", "Say of which input size: --size 27."),
        ("nn.LSTM(2)", "Line 1: LSTM is not known here"),
        (UNET, "let it call its model"),
    ):
        file.write_text(text)
        assert main(["chain", str(file)]) == 2
        assert said in capsys.readouterr().err
    assert main(["chain", str(tmp_path / "none.py")]) == 2
    assert "No such file" in capsys.readouterr().err

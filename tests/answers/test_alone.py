# ruff: noqa: E501  the messages stand on one line each
"""torch's messages, pasted without the code that they came from."""

from __future__ import annotations

import re

import pytest
import torch
from refusals import REFUSED
from torch import nn

from convt_trace.answers.alone import explained_alone
from convt_trace.answers.refused import explained
from convt_trace.snippet import SnippetError, read_snippet

pytestmark = pytest.mark.filterwarnings("ignore")


def message(text: str) -> tuple[str, str]:
    with pytest.raises(Exception) as raised:
        exec(text, {})
    return type(raised.value).__name__, str(raised.value).splitlines()[0]


def failed(text: str) -> SnippetError:
    with pytest.raises(SnippetError) as raised:
        read_snippet(text)
    return raised.value


#: One text of each kind of message: numbers and the order of sets apart, they are the same.
KINDS = {
    re.sub(r"-?\d+|\{.*\}", "N", message(text)[1]): name for name, text in reversed(REFUSED.items())
}


@pytest.mark.parametrize("name", list(KINDS.values()))
def test_every_message_of_torchs_is_explained_without_its_code(name: str) -> None:
    type_, said = message(REFUSED[name])
    told = explained_alone(said)
    assert told is not None and told.plain.endswith(".") and told.fix.endswith((".", ")."))
    error = failed(f"{type_}: {said}")
    assert (error.type, error.pasted, error.lineno) == (type_, True, 1)
    told = explained(error)
    assert told is not None
    # What is not in the message is not said: no size of a call that nobody has seen.
    known = set(re.findall(r"\d+", said)) | {"0", "1", "2", "3", "5", "6"}
    assert set(re.findall(r"(?<![\w.])\d+", told.plain)) <= known


CHANNELS = [
    (text, name)
    for name, text in REFUSED.items()
    if "ConvTranspose" in text and re.search("to have .* channels, but got", message(text)[1])
]


@pytest.mark.parametrize(("text", "name"), CHANNELS[::5])
def test_the_layer_that_a_message_offers_takes_the_input(text: str, name: str) -> None:
    error = failed("RuntimeError: " + message(text)[1])
    attempt, told = error.attempt, explained(error)
    assert attempt is not None and attempt.input_shape is not None and told is not None
    names = {"nn": nn, "torch": torch, "x": torch.ones(attempt.input_shape)}
    exec(told.code + "\ntry: layer\nexcept NameError: pass\nelse: layer(x)", names)


PASTES = {
    "traceback": """Traceback (most recent call last):
  File "train.py", line 12, in <module>
    y = up(x)
  File "/usr/lib/python3/dist-packages/torch/nn/modules/conv.py", line 950, in forward
    return F.conv_transpose2d(
{}""",
    "ipython": """---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
Cell In[7], line 2
      1 up = nn.ConvTranspose2d(8, 4, 2, stride=2)
----> 2 up(torch.ones(1, 4, 5, 5))

File /usr/lib/python3/dist-packages/torch/nn/modules/conv.py:950, in forward(self, input, output_size)
    949 # fmt: skip
--> 950 return F.conv_transpose2d(

{}""",
    "a question around it": """I get this error when I run my decoder, and I don't understand why:

{}

What does it mean?""",
    "pytest": ">       y = up(x)\nE       {}\n\ntest_up.py:12: RuntimeError",
    "quoted": "> {}",
    "without its type": "{}",
}


@pytest.mark.parametrize("paste", PASTES)
def test_a_message_is_found_in_what_stands_around_it(paste: str) -> None:
    said = "Given transposed=1, weight of size [8, 4, 2, 2], expected input[1, 4, 5, 5] to have 8 channels, but got 4 channels instead"  # fmt: skip
    typed = said if paste == "without its type" else f"RuntimeError: {said}"
    error = failed(PASTES[paste].format(typed))
    assert (error.type, error.message, error.pasted) == ("RuntimeError", said, True)
    told = explained(error)
    assert told is not None and "takes 8 input channels" in told.plain


@pytest.mark.parametrize(
    ("said", "words"),
    [("The size of tensor a (24) must match the size of tensor b (23) at non-singleton dimension 3", "24 and 23"),
     ("Sizes of tensors must match except in dimension 1. Expected size 24 but got size 23 for tensor number 1 in the list.", "24"),
     ("Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same", "x is on the GPU"),
     ("Given transposed=1, weight[128, 64, 2, 2], so expected input[2, 64, 16, 16] to have 128 channels, but got 64 channels instead", "128"),
     ("Given transposed=1, weight of size 128 64 2 2, expected input[2, 64, 16, 16] to have 128 channels, but got 64 channels instead", "128")],
)  # fmt: skip
def test_messages_of_other_machines_and_times(said: str, words: str) -> None:
    told = explained(failed(f"RuntimeError: {said}"))
    assert told is not None and words in told.plain


def test_a_message_about_something_else_is_not_explained() -> None:
    error = failed("RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x512 and 1024x10)")
    assert not error.pasted and explained(error) is None
    run = failed("import torch\ntorch.softmax(torch.ones(2).long(), 0)")
    assert not run.pasted and explained(run) is None

"""Examples for the page that explains a snippet, each a text that somebody could have pasted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A text worth explaining.

    Attributes
    ----------
    title : str
        A few words for a button.
    note : str
        What to look at, in a sentence of Markdown.
    source : str
    """

    title: str
    note: str
    source: str


_QUESTION = """\
import torch
from torch import nn

layer = nn.ConvTranspose1d(4, 4, kernel_size=3, padding=2, groups=2, bias=False)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([1.0, 1.0, 2.0]).expand(4, 2, 3))

x = torch.ones(1, 4, 3)
x[:, 2:, 2] = 2
print(layer(x))
"""

_ANSWER = """\
import torch
import torch.nn.functional as F

signal = torch.tensor([[[2, 1, 1, 3]]])
kernel = torch.tensor([[[1, 1, 5]]])

print(F.conv1d(signal, kernel))
print(F.conv_transpose1d(signal, kernel, padding=2))
"""

_OFF_BY_ONE = """\
import torch
from torch import nn

torch.manual_seed(0)
down = nn.Conv1d(1, 1, 3, stride=2, padding=1)
up = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1)
wider = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)
wider.load_state_dict(up.state_dict())

# Two lengths become one, so the transposed layer cannot know which it was.
for length in (7, 8):
    y = down(torch.ones(1, 1, length))
    print(length, "->", y.shape[-1], "->", up(y).shape[-1], "or", wider(y).shape[-1])
"""

_DCGAN = """\
import torch
from torch import nn

# The generator of a DCGAN at full size: noise of 100 channels to an image of 64 x 64.
torch.manual_seed(0)
widths = [100, 512, 256, 128, 64]

blocks = []
for before, after in zip(widths, widths[1:]):
    stride, padding = (1, 0) if before == 100 else (2, 1)
    blocks += [
        nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]
generator = nn.Sequential(*blocks, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())

image = generator(torch.randn(1, 100, 1, 1))
print(image.shape)
"""

_CLASS_ONLY = """\
import torch
from torch import nn


class Up(nn.Module):
    def __init__(self, channels, out_channels):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, out_channels, 2, stride=2)
        self.conv = nn.Conv2d(2 * out_channels, out_channels, 3, padding=1)

    def forward(self, x, skip):
        x = torch.relu(self.up(x))
        return self.conv(torch.cat([skip, x], dim=1))
"""

_CHANNELS = """\
import torch
from torch import nn

layer = nn.ConvTranspose2d(16, 8, kernel_size=4, stride=2, padding=1)
first = layer(torch.ones(1, 16, 5, 5))
print(first.shape)

# The same layer once more: it needs 16 channels, and `first` has 8.
second = layer(first)
print(second.shape)
"""

_POSITIONAL = """\
import torch
import torch.nn.functional as F

x = torch.arange(1.0, 7.0).reshape(1, 2, 3)
w = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])

# Meant: dilation=2, groups=1, in the order of conv1d. Here the first of them is groups.
print(F.conv_transpose1d(x, w, None, 1, 0, 0, 2, 1))
print(F.conv_transpose1d(x, w, dilation=2, groups=1))
"""

#: By the name that a link uses; first the two of the question that this project began with.
EXAMPLES = {
    "question": Example(
        "The question",
        "“My layer printed [[8.], [8.], [10.], [10.]]; how was that calculated?”",
        _QUESTION,
    ),
    "answer": Example(
        "Conv and ConvTranspose",
        "The same signal and kernel in both: not flipped in the first, flipped in the second.",
        _ANSWER,
    ),
    "off_by_one": Example(
        "Off by one",
        "Lengths 7 and 8 both become 4; output_padding chooses which of them to return to.",
        _OFF_BY_ONE,
    ),
    "dcgan": Example(
        "A DCGAN at full size",
        "Five layers; each is explained down to its last number.",
        _DCGAN,
    ),
    "class": Example(
        "A class nobody calls",
        "Most code that people paste only defines layers. Give it its arguments, and it runs: "
        "`4, 2` with the shapes `1, 4, 3, 3` and `1, 2, 6, 6`.",
        _CLASS_ONLY,
    ),
    "channels": Example(
        "Wrong channels",
        "torch's message, what it means, and the calls before it.",
        _CHANNELS,
    ),
    "positional": Example(
        "Groups or dilation",
        "By position, groups comes before dilation here; in conv1d it is the other way round.",
        _POSITIONAL,
    ),
}


def name_of(source: str | None) -> str | None:
    """Return the name of the example that a text is, None for any other text.

    >>> name_of(EXAMPLES["answer"].source), name_of("import torch")
    ('answer', None)
    """
    return next((name for name, one in EXAMPLES.items() if one.source == source), None)

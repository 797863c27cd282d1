# ruff: noqa: E501  the texts stand on one line each
"""What isn't here passes through, with a note; what can't pass is told by its name."""

from __future__ import annotations

import pytest

from convt_trace.snippet import SnippetError, read_snippet

T = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
UP = "print(nn.ConvTranspose1d(1, 1, 2)(torch.ones(1, 1, 3)).shape)\n"

#: Texts that go on to the call at their end, and a word of their notes.
PASS = {
    "import": ("import elsewhere\nelsewhere.thing.do(1)[2] + 3\n", "elsewhere"),
    "import_as": ("import elsewhere.deep as e\ne.x.y()\n", "elsewhere"),
    "from_import": ("from elsewhere import a, b as c\na(c)\n", "elsewhere"),
    "relative": ("from .layers import Block\nfrom . import utils\nutils.seed(1)\n", "layers"),
    "star": ("from .types_ import *\ndef f(a: List[int], b: Tensor) -> Optional[Any]: return thing\n", "types_"),
    "part_of_torch": ("from torch.utils.elsewhere import thing\nthing()\n", "torch.utils.elsewhere"),
    "old_name_of_torch": ("from torch.nn.utils.rnn import nothing_like_it\nnothing_like_it(1)\n", "nothing_like_it"),
    "base": ("from pl import Module\nclass A(Module):\n    def __init__(self):\n        super().__init__(1, k=2)\n        self.save_hyperparameters()\n        self.log('a', 1)\nA()\n", "pl"),
    "two_bases": ("from hub import Mixin\nclass A(nn.Module, Mixin, repo='x'.upper()): pass\nclass B(Mixin, nn.Module): pass\nA(), B()\n", "hub"),
    "metaclass": ("from abcs import Meta\nclass A(nn.Module, metaclass=Meta): pass\nA()\n", "abcs"),
    "decorator": ("import registry\n@registry.register('up')\n@registry.plain\nclass A(nn.Module): pass\n@registry.x\ndef f(): return 1\nassert f() == 1 and A()\n", "registry"),
    "iteration": ("import data\nfor i, (x, y) in enumerate(data.loader()):\n    a, b, c = data.split(x)\n    if x > 3 and len(y): break\n", "data"),
    "operators": ("import cfg\ncfg.lr * 2 + 1 - cfg.x / 3 // 4 ** cfg.y\n-cfg.z < 4\ncfg.a[1:2] == 3\ncfg.b += 1\n", "cfg"),
    "progress": ("from tqdm import tqdm, trange\nassert [i for i in tqdm([1, 2], desc='x')] == [1, 2]\nassert list(trange(3)) == [0, 1, 2]\n", "tqdm"),
    "context": ("import lib\nwith lib.autocast() as a, lib.b: pass\n", "lib"),
    "files": ("with open('a.txt') as f:\n    lines = f.read().split()\nimport numpy as np\nnp.load('a.npy').mean()\ntorch.load('w.pt')['x']\n", "open finds no file"),
    "paths": ("import os, glob, pathlib\nfor name in os.listdir('x'): os.path.join('x', name)\nglob.glob('*')\npathlib.Path('a').read_text()\nos.path.exists('a')\n", "os.listdir"),
    "network": ("import urllib.request\nurllib.request.urlopen('http://a').read()\n", "urlopen"),
    "saving": ("torch.save({}, 'a.pt')\nimport os\nos.makedirs('out', exist_ok=True)\n", "torch.save is passed over"),
    "weights": ("m = nn.Linear(1, 1)\nm.load_state_dict(torch.load('w.pt', map_location='cpu'))\n", "keeps its own"),
    "cuda": ("x = torch.ones(1, device='cuda').cuda().to('cuda:0')\nm = nn.Linear(1, 1).cuda().to(torch.device('cuda'))\nm(x)\n", "CPU"),
    "data_loader": ("from torchvision import datasets\nl = torch.utils.data.DataLoader(datasets.MNIST('.'), 4, num_workers=2)\nfor x, y in l: break\n", "torchvision"),
    "own_data_loader": ("l = torch.utils.data.DataLoader([torch.ones(1)] * 4, 2, num_workers=2)\nassert len(list(l)) == 2\n", "num_workers"),
    "compile": ("m = torch.compile(nn.Linear(1, 1))\n@torch.compile\ndef f(x): return x\nf(m(torch.ones(1, 1)))\n", "torch.compile"),
    "script": ("m = torch.jit.script(nn.Linear(1, 1))\nm(torch.ones(1, 1))\n", "torch.jit.script"),
    "sleep": ("import time\ntime.sleep(100)\n", "time.sleep"),
    "isinstance": ("from lib import Kind\nassert not isinstance(3, Kind)\nclass A(nn.Module):\n    pass\nassert not issubclass(A, Kind)\n", "lib"),
    "fallback": ("try:\n    from apex import amp\nexcept ImportError:\n    amp = None\nassert amp is None\n", None),
    "only_says_so": ("try:\n    import lib\nexcept ImportError:\n    raise ImportError('pip install lib')\nlib.go()\n", "lib"),
    "own_name_kept": ("class Block(nn.Module):\n    here = 1\nfrom .block import Block\nassert Block.here == 1\n", "block"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASS)
def test_it_goes_on_with_a_note(name: str) -> None:
    text, word = PASS[name]
    reading = read_snippet(T + text + UP)
    assert reading.printed.endswith("torch.Size([1, 1, 4])\n")
    notes = [note.text for note in reading.notes if "random" not in note.text]
    if word is None:
        assert notes == []
    else:
        assert any(word in note for note in notes), notes


#: Models that are handed to something that runs them.
HANDED = {
    "trace": "torch.jit.trace(up, x)",
    "onnx": "torch.onnx.export(up, x, 'up.onnx', opset_version=11)",
    "onnx_tuple": "torch.onnx.export(up, (x,), 'up.onnx')",
    "export": "torch.export.export(up, (x,))",
    "thop": "import thop\nmacs, params = thop.profile(up, inputs=(x,))",
    "fvcore": "from fvcore.nn import FlopCountAnalysis\nprint(FlopCountAnalysis(up, x).total())",
    "ptflops": "from ptflops import get_model_complexity_info\na, b = get_model_complexity_info(up, (2, 5), as_strings=True)",
    "torchinfo": "from torchinfo import summary\nsummary(up, input_size=(1, 2, 5))",
    "torchsummary": "from torchsummary import summary\nsummary(up, (2, 5))",
    "torchs_own": "from torch.utils.flop_counter import FlopCounterMode\nwith FlopCounterMode(display=False): up(x)",
    "fx": "print(torch.fx.symbolic_trace(nn.Sequential(up))(x).shape)",
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED)
def test_a_model_that_is_handed_over_runs(name: str) -> None:
    text = f"up = nn.ConvTranspose1d(2, 3, 4)\nx = torch.ones(1, 2, 5)\n{HANDED[name]}\n"
    reading = read_snippet(T + text)
    assert reading.calls and not reading.definitions
    assert {(call.op, call.output.shape) for call in reading.calls} == {
        ("conv_transpose1d", (1, 3, 8))
    }


def test_a_convolution_of_a_stand_ins_tensors_names_it() -> None:
    text = "import data\nup = nn.ConvTranspose2d(3, 4, 2)\ny = up(data.batch())\nprint(y.shape)\n"
    reading = read_snippet(T + text)
    assert reading.calls == ()
    assert any(
        "conv_transpose2d gets its tensors from data.batch" in note.text
        and "run the layer with a shape of your own" in note.text
        for note in reading.notes
    )
    (one,) = reading.definitions
    assert one.trial is not None
    run = read_snippet(T + text, run=one.trial)
    assert run.calls[-1].output.shape == (1, 4, 5, 5)


def test_a_number_that_is_not_here_is_told_by_its_name() -> None:
    with pytest.raises(SnippetError) as raised:
        read_snippet(
            T
            + "import cfg\nlayer = nn.ConvTranspose2d(3, 4, 2)\nfor i in range(cfg.epochs): pass\n"
        )
    assert raised.value.message == "cfg.epochs is not here: no number stands for it"
    assert len(raised.value.reading.definitions) == 1


def test_a_text_with_only_a_plain_convolution_says_so() -> None:
    reading = read_snippet(T + "nn.Conv1d(1, 1, 2)(torch.ones(1, 1, 3))")
    assert [call.op for call in reading.calls] == ["conv1d"]
    with pytest.raises(SnippetError) as raised:
        read_snippet(T + "layer = nn.Conv1d(1, 1, 2)")
    assert raised.value.message == "no convolution ran, and no transposed one is defined"

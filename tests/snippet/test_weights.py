# ruff: noqa: E501  the texts stand on one line each
"""A file of weights beside a text: the numbers are those of a real run with it, or a note says why not."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shlex
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from convt_trace.__main__ import main
from convt_trace.snippet import LIMITS, Reading, Run, SnippetError, Weights, read_snippet
from convt_trace.snippet.fits import fits
from convt_trace.snippet.saved import HOLDERS, Unread, saved_in, state_dict_in
from convt_trace.snippet.zygote import NoBox

IMPORTS = "import torch\nfrom torch import nn\n"
NET = f"""{IMPORTS}class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 3, 2, stride=2)
        self.norm = nn.BatchNorm2d(3)
        self.out = nn.ConvTranspose2d(3, 1, 3)
    def forward(self, x):
        return self.out(self.norm(self.up(x)))
"""
X = "x = torch.arange(18.).reshape(1, 2, 3, 3)\n"
CALL = f"net = Net().eval()\n{X}y = net(x)\n"
LINE_OF_CALL = NET.count("\n") + 3


def made(source: str = NET, kind: str = "Net", seed: int = 7) -> torch.nn.Module:
    names: dict[str, Any] = {}
    exec(source, names)
    torch.manual_seed(seed)
    net = names[kind]()
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    return net.eval()


TRAINED = made()
STATE = TRAINED.state_dict()


def pt(saved: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(saved, file, **how)
    return file.getvalue()


def outputs(net: torch.nn.Module, x: torch.Tensor) -> list[np.ndarray]:
    """What the real convolutions give, with one thread as in the reader."""
    found: list[np.ndarray] = []
    for layer in net.modules():
        if isinstance(layer, torch.nn.ConvTranspose2d):
            layer.register_forward_hook(lambda *given: found.append(given[2].detach().numpy()))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        net(x)
    finally:
        torch.set_num_threads(threads)
    return found


REAL = outputs(made(), torch.arange(18.0).reshape(1, 2, 3, 3))


def read(source: str, data: bytes, name: str = "model.pt", **more: Any) -> Reading:
    return read_snippet(source, weights=Weights(name, data), **more)


def refused(source: str, data: bytes, name: str = "model.pt", **more: Any) -> SnippetError:
    with pytest.raises(SnippetError) as raised:
        read(source, data, name, **more)
    assert raised.value.type == "Refused" and not raised.value.reading.calls
    return raised.value


def has_real_numbers(reading: Reading) -> bool:
    return [call.output.tobytes() for call in reading.calls] == [one.tobytes() for one in REAL]


def told(reading: Reading) -> list[tuple[int, str, bool]]:
    return [(one.line, one.text, one.loaded) for one in reading.weights]


# -- loaded into what is called ------------------------------------------------------------------------

FILES = {
    "torch": pt(STATE),
    "torch_before_zip": pt(STATE, _use_new_zipfile_serialization=False),
    "safetensors": safetensors.torch.save(STATE),
    "plain_dict": pt(dict(STATE)),
    "more_in_it": pt({**STATE, "discriminator": torch.ones(3)}),
    "as_doubles": pt({name: tensor.double() for name, tensor in STATE.items()}),
    "with_the_optimizer": pt({"epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}},
                              "model_state_dict": STATE}),
    "under_a_name_of_its_own": pt({"epoch": 3, "my_upsampler": dict(STATE)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_numbers_are_those_of_a_real_run_bit_for_bit(name: str) -> None:
    reading = read(NET + CALL, FILES[name])
    assert has_real_numbers(reading)
    assert told(reading) == [(LINE_OF_CALL, "model.pt: 9 tensors are loaded into Net", True)]
    assert not any(call.random for call in reading.calls)


def test_without_the_file_they_are_others() -> None:
    reading = read_snippet(NET + CALL)
    assert len(reading.calls) == 2 and not has_real_numbers(reading) and reading.weights == ()


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_state_dict_is_found_under_the_names_that_scripts_give_it(holder: str) -> None:
    saved = {"step": torch.ones(1), holder: STATE, "other": {"a": torch.ones(1)}}
    assert list(state_dict_in(saved)) == list(STATE)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "net.netG."])
def test_a_prefix_that_all_names_share_is_no_part_of_them(prefix: str) -> None:
    reading = read(NET + CALL, pt({prefix + name: one for name, one in STATE.items()}))
    assert has_real_numbers(reading)
    assert told(reading)[0][1].endswith(f"loaded into Net, from the names under {prefix[:-1]}")


def test_a_part_of_a_larger_model_is_found_by_its_prefix() -> None:
    whole = {f"decoder.{name}": one for name, one in STATE.items()} | {"encoder.up": torch.ones(1)}
    reading = read(NET + CALL, pt({"state_dict": whole}))
    assert has_real_numbers(reading) and "under decoder" in told(reading)[0][1]


def test_of_two_parts_that_fit_none_is_taken() -> None:
    both = {f"{part}.{name}": one for part in ("a_to_b", "b_to_a") for name, one in STATE.items()}
    reading = read(NET + CALL, pt(both))
    assert not has_real_numbers(reading)
    why = "it fits under a_to_b., b_to_a., and which is not known"
    assert told(reading) == [(LINE_OF_CALL, f"model.pt is not loaded into Net: {why}", False)]


def test_a_class_that_nothing_calls_runs_with_them() -> None:
    run = Run("Net", ((1, 2, 3, 3),))
    reading = read_snippet(NET, run, weights=Weights("up.safetensors", FILES["safetensors"]))
    for call, name in zip(reading.calls, ("up", "out"), strict=True):
        assert call.weight.tobytes() == STATE[f"{name}.weight"].numpy().tobytes()
    assert told(reading) == [(0, "up.safetensors: 9 tensors are loaded into Net", True)]


def test_a_text_with_no_lock_reads_the_same() -> None:
    assert has_real_numbers(read(NET + CALL, FILES["safetensors"], unboxed=True))
    error = refused(NET + CALL, b"abc", unboxed=True)
    assert error.message == "model.pt is neither a .safetensors file nor one that torch.save wrote"


def test_a_module_is_loaded_once_and_trained_from_there() -> None:
    text = f"{CALL}with torch.no_grad(): net.out.bias.zero_()\nprint(net.out(x[:, :1].expand(1, 3, 3, 3)).sum() != 0, net.out.bias.item())\n"
    assert read(NET + text, FILES["torch"]).printed == "tensor(True) 0.0\n"


def test_a_second_model_of_the_kind_is_told_to_have_numbers_of_its_own() -> None:
    text = f"{CALL}y = net(x)\nnet.up(x)\nother = Net().eval()\nother(x)\nother(x)\n"
    reading = read(NET + text, FILES["torch"])
    assert told(reading) == [
        (LINE_OF_CALL, "model.pt: 9 tensors are loaded into Net", True),
        (LINE_OF_CALL + 4, "model.pt is not loaded into this Net too: the first has it", False),
    ]
    outs = [call.output.tobytes() for call in reading.calls]
    assert outs[2:4] == outs[:2] and outs[5] != outs[0] and outs[5:7] == outs[7:]


def test_a_layer_made_for_a_size_is_not_mistaken_for_the_model() -> None:
    """A forward inside of a constructor runs in a model that is half made."""
    text = NET.replace(
        "        self.out",
        "        self.up(torch.ones(1, 2, 2, 2))\n        self.out",
    )
    reading = read(text + CALL, FILES["torch"])
    assert [call.output.tobytes() for call in reading.calls[1:]] == [one.tobytes() for one in REAL]
    assert told(reading) == [(LINE_OF_CALL + 1, "model.pt: 9 tensors are loaded into Net", True)]


def test_a_method_that_calls_the_parts_calls_the_model() -> None:
    text = f"{NET}    def decode(self, z):\n        return self.forward(z)\nnet = Net().eval()\n{X}net.decode(x)\n"
    assert has_real_numbers(read(text, FILES["torch"]))


def test_a_model_inside_of_a_trainer_is_found_where_it_is_all_of_the_file() -> None:
    text = f"{NET}class Trainer(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a, self.b = Net(), nn.Linear(2, 2)\n    def forward(self, x):\n        return self.a(x)\n{X}Trainer().eval()(x)\n"
    reading = read(text, FILES["torch"])
    assert has_real_numbers(reading) and "loaded into Net" in told(reading)[0][1]
    assert not has_real_numbers(read(text, FILES["more_in_it"]))


def test_modules_without_weights_and_lazy_ones_are_no_hindrance() -> None:
    text = f"{IMPORTS}torch.manual_seed(0)\nnn.ReLU()(torch.ones(1))\nup = nn.LazyConvTranspose1d(1, 2)\nprint(up(torch.ones(1, 3, 1)).tolist())\n"
    state = {"weight": torch.arange(6.0).reshape(3, 1, 2), "bias": torch.zeros(1)}
    reading = read(text, pt(state))
    assert reading.printed == "[[[6.0, 9.0]]]\n", told(reading)


def test_one_tensor_under_two_names_may_be_saved_once() -> None:
    text = f"{IMPORTS}class Tied(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.ConvTranspose1d(1, 1, 2, bias=False)\n        self.b = nn.ConvTranspose1d(1, 1, 2, bias=False)\n        self.b.weight = self.a.weight\n    def forward(self, x): return self.b(self.a(x))\n"
    file = safetensors.torch.save({"a.weight": torch.tensor([[[1.0, 2.0]]])})
    assert (
        read(f"{text}print(Tied()(torch.ones(1, 1, 1)).tolist())\n", file).printed
        == "[[[1.0, 4.0, 4.0]]]\n"
    )


def test_a_traced_model_has_them_too() -> None:
    text = f"net = Net().eval()\n{X}t = torch.jit.trace(net, x)\nprint(torch.equal(t(x), net(x)))\n"
    reading = read(NET + text, FILES["torch"])
    assert reading.printed == "True\n" and reading.calls[0].output.tobytes() == REAL[0].tobytes()


# -- told where it does not fit ------------------------------------------------------------------------


def test_of_a_file_that_fits_in_part_nothing_is_loaded() -> None:
    state = {**STATE, "out.weight": torch.ones(3, 1, 2, 2)}
    del state["up.bias"]
    reading = read(NET + CALL, pt(state))
    what = (
        "7 of its 9 tensors fit; not in the file: up.bias; "
        "of another shape: out.weight, (3, 1, 3, 3) here and (3, 1, 2, 2) there"
    )
    assert told(reading) == [(LINE_OF_CALL, f"model.pt is not loaded into Net: {what}", False)]
    plain = read_snippet(NET + CALL)
    assert [call.output.tobytes() for call in reading.calls] == [
        call.output.tobytes() for call in plain.calls
    ]


def test_the_closest_of_several_is_told_and_names_are_counted() -> None:
    state = {name: one for name, one in STATE.items() if not name.startswith("norm")}
    reading = read(NET + f"nn.ConvTranspose2d(9, 9, 1)(torch.ones(1, 9, 1, 1))\n{CALL}", pt(state))
    ((line, text, loaded),) = told(reading)
    assert (line, loaded) == (LINE_OF_CALL + 1, False)
    assert "not in the file: norm.weight, norm.bias, norm.running_mean and 1 more" in text


def test_a_file_of_something_else_tells_what_it_has() -> None:
    ((_, text, _),) = told(read(NET + CALL, pt({"w": torch.ones(1)})))
    assert text.endswith("The file has w") and "0 of its 8 tensors fit" in text


@pytest.mark.parametrize(
    ("text", "data", "what"),
    [
        (f"{IMPORTS}nn.functional.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))\n",
         FILES["torch"], "model.pt is not loaded: no module with weights is called"),
        (NET + CALL, pt([1, "a"]), "model.pt holds no state dict: no names with tensors"),
        (f"{IMPORTS}print(torch.load('a.pt')['up.bias'].shape)\n{NET}{CALL}", FILES["torch"],
         "model.pt is read by the text; no load_state_dict takes its tensors"),
        (f"import io\n{NET}{CALL}torch.load(io.BytesIO())\n", FILES["torch"],
         "model.pt is not loaded: the text was to read it, and did not"),
    ],
)  # fmt: skip
def test_at_the_end_it_is_told_that_nothing_was_loaded(text: str, data: bytes, what: str) -> None:
    reading = read(text, data)
    assert told(reading)[-1] == (0, what, False)
    assert not any(one.loaded for one in reading.weights)


def test_a_text_that_is_cut_short_says_so_too() -> None:
    with pytest.raises(SnippetError) as raised:
        read("while True: pass", FILES["torch"])
    assert told(raised.value.reading) == [(0, "model.pt: nothing was loaded from it", False)]


# -- read by the text ----------------------------------------------------------------------------------

#: Texts that load it themselves, each with the file that they are written for.
THEMSELVES = {
    "torch": (FILES["torch"], "net.load_state_dict(torch.load('a.pt', map_location='cuda:0'))"),
    "path": (FILES["torch"], "from pathlib import Path\nnet.load_state_dict(torch.load(f=Path('a.pt')))"),
    "opened": (FILES["torch"], "with open('a.pt', 'rb') as f: net.load_state_dict(torch.load(f))"),
    "a_checkpoint": (pt({"epoch": 3, "net": STATE}), "c = torch.load('a.pt')\nassert c['epoch'] == 3\nnet.load_state_dict(c['net'])"),
    "renamed": (pt({f"module.{n}": t for n, t in STATE.items()}), "s = torch.load('a.pt')\nnet.load_state_dict({n[7:]: t for n, t in s.items()})"),
    "load_file": (FILES["safetensors"], "from safetensors.torch import load_file\nnet.load_state_dict(load_file('a.safetensors', device='cuda'))"),
    "load_model": (FILES["safetensors"], "import safetensors.torch\nsafetensors.torch.load_model(net, 'a.safetensors')"),
    "safe_open": (FILES["safetensors"], "from safetensors import safe_open\nwith safe_open('a', framework='pt') as f:\n    net.load_state_dict({n: f.get_tensor(n) for n in f.keys()})"),
    "twice": (FILES["torch"], "s = torch.load('a.pt')\nfor t in s.values(): t.zero_()\nnet.load_state_dict(torch.load('a.pt'))"),
    "if_it_is_there": (FILES["torch"], "import os\nif os.path.exists('a.pt'): net.load_state_dict(torch.load('a.pt'))"),
    "in_a_function": (FILES["torch"], "def resume(net): net.load_state_dict(torch.load('a.pt'))\nresume(net)"),
}  # fmt: skip


@pytest.mark.parametrize("name", THEMSELVES)
def test_a_text_that_loads_it_itself_gets_it(name: str) -> None:
    data, text = THEMSELVES[name]
    reading = read(f"{NET}net = Net().eval()\n{text}\n{X}net(x)\n", data)
    assert has_real_numbers(reading)
    assert told(reading)[-1][1:] == ("model.pt: 9 tensors are loaded into Net", True)
    if name != "if_it_is_there":
        assert told(reading)[0][1].endswith("reads model.pt, the file beside the text")


def test_before_a_text_loads_it_a_module_has_its_own_numbers() -> None:
    text = f"{NET}torch.manual_seed(1)\nnet = Net().eval()\n{X}net(x)\nnet.load_state_dict(torch.load('a'))\nnet(x)\n"
    calls = read(text, FILES["torch"]).calls
    assert [call.output.tobytes() for call in calls[2:]] == [one.tobytes() for one in REAL]
    torch.manual_seed(1)
    names: dict[str, Any] = {}
    exec(NET, names)
    first = outputs(names["Net"]().eval(), torch.arange(18.0).reshape(1, 2, 3, 3))
    assert [call.output.tobytes() for call in calls[:2]] == [one.tobytes() for one in first]


def test_a_text_that_loads_a_part_is_told_what_is_left_out() -> None:
    state = {name: one for name, one in STATE.items() if name != "up.bias"}
    text = f"{NET}net = Net()\nnet.load_state_dict(torch.load('a'), strict=False)\n{X}net(x)\n"
    assert told(read(text, pt(state)))[-1][1] == (
        "model.pt: 8 tensors are loaded into Net, but not up.bias"
    )


def test_torchs_own_refusal_is_shown_as_it_is() -> None:
    text = f"{NET}net = Net()\nnet.load_state_dict(torch.load('a'))\n"
    with pytest.raises(SnippetError) as raised:
        read(text, pt({"up.bias": torch.ones(3)}))
    assert raised.value.type == "RuntimeError"
    assert raised.value.message.startswith("Error(s) in loading state_dict for Net")


@pytest.mark.parametrize(
    "text",
    [
        "from safetensors.torch import load_file\nnet.load_state_dict(load_file('a'))",
        "from safetensors.torch import load_model, save_file, save_model\nload_model(net, 'a')\nsave_model(net, 'b')\nsave_file({}, 'c')",
        "from safetensors import safe_open\nwith safe_open('a', framework='pt') as f: f.get_tensor('b')",
    ],
)
def test_without_a_file_safetensors_has_stand_ins(text: str) -> None:
    reading = read_snippet(f"{NET}net = Net().eval()\n{text}\n{X}net(x)\n")
    assert len(reading.calls) == 2
    assert any("finds no file here" in note.text for note in reading.notes)


def test_on_the_meta_device_a_file_has_sizes_alone() -> None:
    text = f"{IMPORTS}up = nn.ConvTranspose2d(1, 1, 2, bias=False)\nup.load_state_dict(torch.load('a'))\nup(torch.ones(1, 1, 9, 9))\nup(torch.ones(1, 1, 20000, 20000))\n"
    for data in (pt(s := {"weight": torch.ones(1, 1, 2, 2)}), safetensors.torch.save(s)):
        with pytest.raises(SnippetError) as raised:
            read(text, data)
        assert [one.x[-1] for one in raised.value.reading.sizes] == [9, 20000]


# -- hostile and broken files --------------------------------------------------------------------------


class Runs:
    """A pickle of it makes a folder when it is loaded."""

    def __init__(self, folder: str = "here"):
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        return os.mkdir, (self.folder,)


def header(told: Any, length: int | None = None, behind: bytes = b"") -> bytes:
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + behind


def bomb() -> bytes:
    """A small zip file, in the form of torch.save's, that grows to a gigabyte."""
    file = io.BytesIO(pt({"w": torch.ones(1)}))
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(
                info.filename, bytes(2**30) if info.filename.endswith("data.pkl") else data
            )
    return packed.getvalue()


def lying_storage() -> bytes:
    """A tensor of more numbers than are in the file."""
    data = pt({"w": torch.ones(16)})
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, part in parts.items():
            new.writestr(name, part[:8] if name.endswith("data/0") else part)
    return file.getvalue()


F32 = {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4]}
SAVE = "Save its state dict"
#: Files, a part of the sentence, and of what to do.
HOSTILE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "code": (lambda: pt(Runs()), f"holds {os.mkdir.__module__}.mkdir, and of a file only tensors", SAVE),
    "code_in_a_state_dict": (lambda: pt({**STATE, "x": Runs()}), f"holds {os.mkdir.__module__}.mkdir", SAVE),
    "plain_pickle_of_code": (lambda: pickle.dumps(Runs(), 2), f"holds {os.mkdir.__module__}.mkdir", SAVE),
    "whole_model": (lambda: pt(torch.nn.Sequential(torch.nn.ReLU())), "holds torch.nn.modules.container.Sequential", SAVE),
    "script": (lambda: script(), "is a TorchScript program", SAVE),
    "cut_off": (lambda: FILES["torch"][:-400], "is broken, cut off, or not a file of tensors", SAVE),
    "cut_in_half": (lambda: FILES["torch"][:200], "is broken, cut off, or not a file of tensors", SAVE),
    "old_form_cut_off": (lambda: FILES["torch_before_zip"][:-40], "is broken, cut off", SAVE),
    "safetensors_cut_off": (lambda: FILES["safetensors"][:-1], "is broken, or cut off: incomplete metadata", "again"),
    "random": (lambda: np.random.default_rng(0).bytes(5000), "is neither a .safetensors file nor", SAVE),
    "random_zip": (lambda: b"PK\3\4" + np.random.default_rng(0).bytes(5000), "is broken, cut off", SAVE),
    "random_pickle": (lambda: b"\x80\2" + np.random.default_rng(0).bytes(5000), "is broken, cut off", SAVE),
    "zip_bomb": (bomb, "holds more than the reader has memory for", "Save fewer"),
    "lying_storage": (lying_storage, "is broken, cut off", SAVE),
    "huge_header": (lambda: header({"a": F32}, length=2**62), "header too large", "again"),
    "lying_shape": (lambda: header({"a": F32}, behind=b"1234"), "invalid shape, data type, or offset", "again"),
    "lying_offsets": (lambda: header({"a": {**F32, "shape": [1], "data_offsets": [0, 2**40]}}), "is broken, or cut off", "again"),
    "overlapping": (lambda: header({n: {**F32, "shape": [1]} for n in "ab"}, behind=b"1234"), "is broken, or cut off", "again"),
    "deep_header": (lambda: header(b'{"a":' * 100_000), "is broken, or cut off", "again"),
    "unknown_dtype": (lambda: header({"a": {**F32, "shape": [1], "dtype": "F31"}}, behind=b"1234"), "is broken, or cut off", "again"),
    "empty": (lambda: b"", "is empty", "again"),
    "lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer", "git lfs pull"),
    "a_page": (lambda: b"<!DOCTYPE html>", "is neither a .safetensors file nor", SAVE),
}  # fmt: skip


def script() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), file)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_broken_file_gets_one_sentence(name: str) -> None:
    make, what, do = HOSTILE[name]
    error = refused(NET + CALL, make())
    assert error.message.startswith("model.pt ") and what in error.message, error.message
    assert do in error.hint and "\n" not in error.message
    assert len(error.reading.definitions) == 2 and error.reading.weights == ()


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_of_a_file_is_run_even_with_no_lock(tmp_path: Path, zipped: bool) -> None:
    """In this very process, which could."""
    folder = tmp_path / "made"
    data = pt({"a": Runs(str(folder))}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(Unread, match="mkdir"):
        saved_in(Weights("a.pt", data))
    assert not folder.exists()
    torch.load(io.BytesIO(data), weights_only=False)
    assert folder.exists()


def test_what_is_written_down_is_listed_also_where_the_file_is_none() -> None:
    error = refused(NET, b"abc")
    assert [one.owner for one in error.reading.definitions] == ["Net", "Net"]


def test_a_file_over_the_limit_is_looked_at_by_nobody() -> None:
    limits = replace(LIMITS, weights_bytes=2**20)
    error = refused(NET + CALL, bytes(2**20 + 1), limits=limits)
    assert error.message == "model.pt has more than 1 MB, the most that is read"
    assert "is neither" in refused(NET + CALL, bytes(2**20), limits=limits).message


def test_the_largest_file_is_read_and_leaves_room_to_run() -> None:
    side = 2360  # a little under 64 MB, loaded into a layer and kept as its weight
    text = f"{IMPORTS}up = nn.ConvTranspose1d({side}, {side}, 3, bias=False)\nprint(up(torch.ones(1, {side}, 1))[0, 0].tolist())\n"
    weight = torch.zeros(side, side, 3)
    weight[0, 0] = torch.tensor([1.0, 2.0, 3.0])
    data = safetensors.torch.save({"weight": weight})
    assert len(data) > 0.99 * LIMITS.weights_bytes
    for file in (data, pt({"weight": weight})):
        reading = read(text, file)
        assert reading.printed == "[1.0, 2.0, 3.0]\n" and reading.weights[0].loaded


def test_a_name_from_the_file_is_made_fit_for_a_sentence() -> None:
    state = {"\x1b[31mred\n" + "x" * 500: torch.ones(1)}
    reading = read(NET + CALL, pt(state), name="runs/\x1b[0m.pt")
    ((_, text, _),) = told(reading)
    assert text.isprintable() and "�[31mred�x" in text and text.startswith("�[0m.pt is not")


def test_without_the_package_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(Unread, match="a.st is read by the package safetensors") as raised:
        saved_in(Weights("a.st", FILES["safetensors"]))
    assert "pip install safetensors" in raised.value.hint


def test_where_no_text_is_run_a_file_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NoBox("no lock")

    monkeypatch.setattr("convt_trace.snippet.service._zygote", none)
    with pytest.raises(SnippetError) as raised:
        read(NET + CALL, b"abc")
    assert raised.value.type == "NoBox" and len(raised.value.reading.definitions) == 2


# -- on the command line -------------------------------------------------------------------------------

Captured = pytest.CaptureFixture[str]


def explain(path: Path, text: str, data: bytes, *more: str) -> int:
    (path / "net.py").write_text(text)
    (path / "net.pt").write_bytes(data)
    return main(["explain", str(path / "net.py"), "--weights", str(path / "net.pt"), *more])


def test_the_command_line_takes_them(tmp_path: Path, capsys: Captured) -> None:
    assert explain(tmp_path, NET + CALL, FILES["torch"], "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["weights"] == [
        {"lineno": LINE_OF_CALL, "text": "net.pt: 9 tensors are loaded into Net", "loaded": True}
    ]
    assert [np.float32(call["output"]).tobytes() for call in found["calls"]] == [
        one.tobytes() for one in REAL
    ]
    assert explain(tmp_path, NET + CALL, FILES["torch"]) == 0
    first = capsys.readouterr().out.partition("\n")[0]
    assert first == f"- line {LINE_OF_CALL}: net.pt: 9 tensors are loaded into Net"


def test_the_command_that_runs_a_class_takes_them_along(tmp_path: Path, capsys: Captured) -> None:
    assert explain(tmp_path, NET, FILES["torch"]) == 0
    (command,) = re.findall(r"^ +python -m convt_trace (.*)$", capsys.readouterr().out, re.M)
    assert main(shlex.split(command)) == 0
    assert "- net.pt: 9 tensors are loaded into Net" in capsys.readouterr().out


def test_a_file_that_is_none_or_not_there_is_one_sentence(tmp_path: Path, capsys: Captured) -> None:
    assert explain(tmp_path, NET + CALL, b"abc") == 2
    said = capsys.readouterr().err
    assert said.startswith("Refused: net.pt is neither a .safetensors file nor one that torch.save")
    assert main(["explain", str(tmp_path / "net.py"), "--weights", str(tmp_path / "no.pt")]) == 2
    said = capsys.readouterr().err
    assert "no.pt" in said and "No such file" in said and said.count("\n") == 1


# -- the rule ------------------------------------------------------------------------------------------


def test_an_exact_fit_goes_before_a_prefix() -> None:
    state = {**STATE, **{f"ema.{name}": one for name, one in STATE.items()}}
    assert [one.prefix for one in fits(TRAINED, state)] == [""]


def test_a_single_layer_takes_no_part_of_a_model() -> None:
    (one,) = fits(TRAINED.get_submodule("up"), STATE)
    assert not one.whole


@pytest.mark.parametrize("drop", list(STATE))
def test_every_tensor_is_needed_but_a_counter(drop: str) -> None:
    (one,) = fits(TRAINED, {name: tensor for name, tensor in STATE.items() if name != drop})
    assert one.whole == drop.endswith("num_batches_tracked")
    assert one.missing == (() if one.whole else (drop,))

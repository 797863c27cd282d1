"""What a file of weights holds. Only in a process of its own: a stranger's bytes are parsed here."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from convt_trace.snippet.weights import Weights, word

#: Where training scripts keep a state dict beside other things; the first that is there is taken.
HOLDERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "generator",
    "netG", "G", "decoder", "ema", "params_ema", "params", "weights",
)  # fmt: skip

_SAVE = 'Save its state dict: torch.save(model.state_dict(), "model.pt").'
_AGAIN = "Copy or download it again."
_BLOCKED = re.compile(r"(?:unsupported|Unsupported global:) GLOBAL ([\w.]+)")
#: As it was before a text gets a stand-in for it.
_torch_load = torch.load


class Unread(Exception):
    """A file that is not read, in one sentence, and what to do about it."""

    def __init__(self, what: str, hint: str):
        super().__init__(what)
        self.hint = hint


def saved_in(weights: Weights, device: str = "cpu") -> Any:
    """Return what a file holds, as it was saved.

    Which kind of file it is, its first bytes tell: names are changed on the way.

    Parameters
    ----------
    weights : Weights
    device : str
        "cpu", or "meta" for sizes alone.

    Raises
    ------
    Unread
        Whatever is wrong with it.
    """
    name, data = weights.name, weights.data
    parse = _parser(name, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parse(data, device)
    except BaseException as error:  # Rust's panics are no Exceptions
        raise Unread(*_why(name, error, parse)) from None


def _parser(name: str, data: bytes) -> Callable[[bytes, str], Any]:
    if not data:
        raise Unread(f"{name} is empty", _AGAIN)
    if data[8:9] == b"{":
        return _safetensors
    if data[:2] == b"PK" or data[:1] == b"\x80":
        return _torch
    if data.startswith(b"version https://git-lfs"):
        raise Unread(f"{name} is a Git LFS pointer, not the file itself", "Fetch it: git lfs pull.")
    raise Unread(f"{name} is neither a .safetensors file nor one that torch.save wrote", _SAVE)


def _safetensors(data: bytes, device: str) -> Any:
    from safetensors.torch import load

    return {name: tensor.to(device) for name, tensor in load(data).items()}


def _torch(data: bytes, device: str) -> Any:
    return _torch_load(io.BytesIO(data), map_location=device, weights_only=True)


def _why(name: str, error: BaseException, parse: Callable[..., Any]) -> tuple[str, str]:
    """Say what is wrong with a file; the libraries' own messages are about their insides."""
    told = str(error)
    if isinstance(error, ImportError) and parse is _safetensors:
        return f"{name} is read by the package safetensors, which is not here", (
            "Where the app runs: pip install safetensors."
        )
    if isinstance(error, MemoryError) or "allocate memory" in told or "not enough memory" in told:
        return f"{name} holds more than the reader has memory for", "Save fewer tensors."
    if found := _BLOCKED.search(told):
        what = (
            f"{name} holds {word(found[1])}, and of a file only tensors and plain values are read"
        )
        return what, _SAVE
    if "TorchScript" in told:
        return f"{name} is a TorchScript program, and of a file no program is run", _SAVE
    if parse is _safetensors:
        reason = word(told.removeprefix("Error while deserializing: ") or type(error).__name__)
        return f"{name} is broken, or cut off: {reason}", _AGAIN
    return f"{name} is broken, cut off, or not a file of tensors", f"{_AGAIN} {_SAVE}"


def state_dict_in(saved: Any) -> dict[str, torch.Tensor]:
    """Return the state dict that a file is, or holds beside other things; empty where there is none.

    Examples
    --------
    >>> weight = torch.ones(1)
    >>> list(state_dict_in({"epoch": 3, "state_dict": {"up.weight": weight}}))
    ['up.weight']
    >>> list(state_dict_in({"up.weight": weight, "note": "x"})), state_dict_in([weight])
    (['up.weight'], {})
    """
    if not isinstance(saved, Mapping):
        return {}
    held = {key: _tensors(value) for key, value in saved.items()}
    found = [held[name] for name in HOLDERS if held.get(name)]
    # Of one that is held under a name of its own there is no doubt either, if it is alone.
    return (found or [_tensors(saved)])[0] or next(
        iter(one for one in held.values() if one and sum(map(bool, held.values())) == 1), {}
    )


def _tensors(value: Any) -> dict[str, torch.Tensor]:
    """Return what of a dict is a name with a dense tensor."""
    if not isinstance(value, Mapping):
        return {}
    return {
        name: one
        for name, one in value.items()
        if isinstance(name, str)
        and isinstance(one, torch.Tensor)
        and one.layout is torch.strided
        and not one.is_quantized
    }

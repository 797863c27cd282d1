"""What torch and Python themselves do with a text: the reference for the reader."""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import random
import re
import sys
import types
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from convt_trace.snippet import LIMITS

#: The reader's limits without its clock, for tests that are not about time: a busy machine is slow.
PATIENT = replace(LIMITS, seconds=600.0, wall_seconds=600.0)

CONVOLUTIONS = {
    getattr(torch, f"{name}{dims}d"): f"{name}{dims}d"
    for name in ("conv", "conv_transpose")
    for dims in (1, 2, 3)
}


def cases(name: str) -> dict[str, str]:
    """Return the texts of a corpus file by name."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    parts = re.split(r"^### (\w+)\n", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


class _Seen(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in CONVOLUTIONS:
            frame: Any = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename != "<pasted>":
                frame = frame.f_back
            self.calls.append((CONVOLUTIONS[func], frame.f_lineno, result.detach().clone()))
        return result


def run(source: str) -> tuple[list[tuple[str, int, Any]], str, str]:
    """Execute a text with Python; return its convolutions, what it printed, and its error."""
    torch.set_num_threads(1)  # as the reader: sums of several threads are added in another order
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    out, seen, error = io.StringIO(), _Seen(), ""
    module = types.ModuleType("__main__")
    quiet = types.ModuleType("tqdm")
    quiet.__spec__ = importlib.machinery.ModuleSpec("tqdm", None)
    quiet.tqdm = lambda items: items  # type: ignore[attr-defined]
    # scipy is installed for the app's own use, and not in the box.
    loaded = [name for name in sys.modules if name.startswith("scipy.")]
    as_in_the_box: dict[str, Any] = {
        "tqdm": quiet, "__main__": module, **dict.fromkeys(["scipy", *loaded])
    }  # fmt: skip
    before = {name: sys.modules[name] for name in as_in_the_box if name in sys.modules}
    sys.modules.update(as_in_the_box)
    try:
        with contextlib.redirect_stdout(out), warnings.catch_warnings(), seen:
            warnings.simplefilter("ignore")
            exec(compile(source, "<pasted>", "exec"), module.__dict__)  # our own corpus
    except Exception as raised:
        error = (
            f"{type(raised).__name__}: {str(raised).strip().splitlines()[0] if str(raised) else ''}"
        )
    finally:
        for name in as_in_the_box:
            del sys.modules[name]
        sys.modules.update(before)
        torch.set_default_dtype(torch.float32)
        torch.set_printoptions(profile="default", sci_mode=None)
        np.set_printoptions(precision=8, suppress=False, threshold=1000, edgeitems=3, linewidth=75)
    return seen.calls, out.getvalue(), error

"""What a text finds around it in the box: stand-ins for what isn't there, with a note for each.

The box is locked by the kernel; nothing here is a wall. It makes texts go on that ask for a file, a
data set, a graphics card or a package that isn't here, and says so.
"""

from __future__ import annotations

import builtins
import glob
import importlib.machinery
import io
import os
import pathlib
import pickle
import random
import sys
import time
import types
import typing
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import grad as gradients
from torch.nn.modules.module import _IncompatibleKeys

from convt_trace.snippet.loading import Loading
from convt_trace.snippet.places import FILE
from convt_trace.snippet.recorder import Recorder
from convt_trace.snippet.standin import Missing, StandIn

#: What unseeded generators start from, so that a page shows the same sample again.
SAMPLE_SEED = 0


# -- random numbers ---------------------------------------------------------------------------------


class Draws:
    """Whether a text draws random numbers before it seeds the generator they come from.

    Parameters
    ----------
    seed : int
        What the generators start from.
    """

    def __init__(self, seed: int):
        self.unseeded = False
        self._seed = seed
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        self._start = self._states()
        self._seeded: set[int] = set()
        self._real_rng = np.random.default_rng
        for place, (holder, name) in enumerate(
            ((torch, "manual_seed"), (np.random, "seed"), (random, "seed"))
        ):
            setattr(holder, name, self._watched(place, getattr(holder, name)))
        torch.random.manual_seed = torch.manual_seed
        np.random.default_rng = self._rng

    def look(self) -> bool:
        """Return whether numbers were drawn without a seed."""
        for place, (start, now) in enumerate(zip(self._start, self._states())):
            if place not in self._seeded and start != now:
                self.unseeded = True
        return self.unseeded

    @staticmethod
    def _states() -> list[Any]:
        return [
            torch.get_rng_state().numpy().tobytes(),
            pickle.dumps(np.random.get_state()),
            random.getstate(),
        ]

    def _watched(self, place: int, function: Callable[..., Any]) -> Callable[..., Any]:
        def seed(*args: Any, **kwargs: Any) -> Any:
            self.look()
            if args or kwargs:
                self._seeded.add(place)
                return function(*args, **kwargs)
            self.unseeded = True
            return function(self._seed)

        seed.__name__ = function.__name__
        return seed

    def _rng(self, seed: Any = None) -> Any:
        if seed is None:
            self.unseeded = True
            seed = self._seed
        return self._real_rng(seed)


# -- modules ----------------------------------------------------------------------------------------


class Importing:
    """Imports what is loaded; of what is not, a stand-in.

    Parameters
    ----------
    recorder : Recorder
    own : dict
        The text's names.
    guarded : set of int
        Lines of imports whose failing the text itself catches: these fail, as they do in Python.
    unmade : list of str
        Names that the text makes nowhere: an ``import *`` of what is not here may be meant to.
    """

    def __init__(
        self, recorder: Recorder, own: dict[str, Any], guarded: set[int], unmade: list[str]
    ):
        self._recorder, self._own, self._guarded = recorder, own, guarded
        self._unmade = [name for name in unmade if not hasattr(builtins, name)]
        self._real = builtins.__import__
        self._missing: dict[str, Missing] = {}
        # What is not loaded can't be loaded: the box opens no file.
        sys.meta_path[:] = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter]

    def __call__(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        """Import as Python's own `__import__` does."""
        frame = sys._getframe(1)
        if frame.f_code.co_filename != FILE:
            return self._real(name, globals, locals, fromlist, level)
        try:
            if level:
                raise ImportError(name)
            module = self._real(name, globals, locals, fromlist, 0)
            if isinstance(module, Missing):
                raise ImportError(name)
        except ImportError:
            if frame.f_lineno in self._guarded:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name) from None
            if fromlist and "*" in fromlist:
                return self._all_of("." * level + name)
            return self._stand_in("." * level + name, bool(fromlist) or bool(level))
        for one in fromlist or ():
            known = module.__name__.partition(".")[0] in ("torch", "numpy")
            if known and one != "*" and not hasattr(module, one):
                self._take_from(module, one)
        return module

    def _take_from(self, module: Any, name: str) -> None:
        """Put a stand-in where an older or newer version has a name, or one that is not loaded."""
        full = f"{module.__name__}.{name}"
        self._recorder.note(f"{full} is not here: a stand-in takes its place")
        setattr(module, name, StandIn(full))

    def _all_of(self, name: str) -> Missing:
        """Return what ``import *`` of something that is not here gives: the names that are missing."""
        known = {**vars(typing), **bare_names()}
        held = {one: known[one] for one in self._unmade if one in known}
        self._recorder.note(
            f"{name.lstrip('.')} is not here: stand-ins take the place of its names"
        )
        module = Missing(name, self._own, held)
        module.__dict__["__all__"] = list(self._unmade)
        return module

    def _stand_in(self, name: str, whole: bool) -> Any:
        first = name.lstrip(".").partition(".")[0] or name
        partly = first in sys.modules and not isinstance(sys.modules[first], Missing)
        what = name if partly else first
        self._recorder.note(f"{what} is not here: a stand-in takes its place")
        if not whole and partly:
            holder: Any = sys.modules[first]  # import torch.something.else
            for part in name.split(".")[1:]:
                if not hasattr(holder, part):
                    setattr(holder, part, StandIn(name))
                    break
                holder = getattr(holder, part)
            return sys.modules[first]
        wanted = name if whole else first
        if wanted not in self._missing:
            self._missing[wanted] = Missing(wanted, self._own, _known(self._recorder))
        return self._missing[wanted]


def _known(recorder: Recorder) -> dict[str, Any]:
    """Return what takes the place of names that do something a text needs."""

    def progress(items: Any = (), *args: Any, **kwargs: Any) -> Any:
        return items

    def trange(*args: Any, **kwargs: Any) -> range:
        return range(*(one for one in args if isinstance(one, int)))

    def ran(model: Any, *args: Any, **kwargs: Any) -> StandIn:
        recorder.note("a counter of another package: the model is run on the input that it gets")
        _run_once(model, args, kwargs)
        return StandIn("its count")

    counters = (
        "profile", "summary", "FlopCountAnalysis", "get_model_complexity_info", "flop_count",
        "flop_count_table", "parameter_count",
    )  # fmt: skip
    return {"tqdm": progress, "track": progress, "trange": trange} | dict.fromkeys(counters, ran)


def _run_once(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run a model on the tensors, or the shape, that a counter is given."""
    if not isinstance(model, torch.nn.Module):
        return
    given = kwargs.get("inputs", kwargs.get("input_data"))
    given = args[0] if given is None and args else given
    shape: Any = kwargs.get("input_size", kwargs.get("input_res", given))
    if isinstance(given, torch.Tensor):
        given = (given,)
    if not (isinstance(given, (tuple, list)) and all(isinstance(t, torch.Tensor) for t in given)):
        if not (isinstance(shape, (tuple, list)) and all(isinstance(n, int) for n in shape)):
            return
        layers: Any = (one for one in model.modules() if hasattr(one, "kernel_size"))
        dims = next((one.weight.dim() - 2 for one in layers), len(shape) - 1)
        given = (torch.rand(*((1,) if len(shape) == dims + 1 else ()), *shape),)
    with torch.no_grad():
        model(*given)


# -- files, devices, compilers --------------------------------------------------------------------


def _stands_in(recorder: Recorder, name: str) -> Callable[..., StandIn]:
    def stand_in(*args: Any, **kwargs: Any) -> StandIn:
        recorder.note(f"{name} finds no file here: a stand-in takes its place")
        return StandIn(f"what {name} gives")

    return stand_in


def _does_nothing(recorder: Recorder, name: str, result: Any = None) -> Callable[..., Any]:
    def nothing(*args: Any, **kwargs: Any) -> Any:
        recorder.note(f"{name} is passed over")
        return result

    return nothing


def _as_it_is(recorder: Recorder, name: str) -> Callable[..., Any]:
    """Return a compiler that compiles nothing."""

    def same(model: Any = None, *args: Any, **kwargs: Any) -> Any:
        recorder.note(f"{name} is passed over: what it gets runs as it is")
        return (lambda function: function) if model is None else model

    return same


def _runs(recorder: Recorder, name: str) -> Callable[..., Any]:
    """Return an exporter that only runs the model."""

    def run(model: Any, args: Any = (), *rest: Any, **kwargs: Any) -> StandIn:
        recorder.note(f"{name} is passed over: the model is run on the input that it gets")
        args = args if isinstance(args, (tuple, list)) else (args,)
        model(*args, **(kwargs.get("kwargs") or {}))
        return StandIn(f"what {name} gives")

    return run


_FILES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (torch, ("load",)),
    (torch.jit, ("load",)),
    (torch.hub, ("load", "load_state_dict_from_url", "download_url_to_file")),
    (np, ("load", "loadtxt", "genfromtxt", "fromfile", "memmap")),
    (os, ("listdir", "scandir", "walk")),
    (glob, ("glob", "iglob")),
    (pathlib.Path, ("open", "read_text", "read_bytes", "iterdir")),
    (urllib.request, ("urlopen", "urlretrieve")),
)
_NOTHING: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (torch, ("save",)),
    (torch.jit, ("save",)),
    (np, ("save", "savez", "savetxt")),
    (os, ("makedirs", "mkdir", "remove", "system")),
    (pathlib.Path, ("mkdir", "write_text", "write_bytes")),
    (time, ("sleep",)),
    (torch.cuda, ("synchronize", "empty_cache", "reset_peak_memory_stats", "set_device")),
)


def arrange(
    recorder: Recorder,
    own: dict[str, Any],
    guarded: set[int],
    unmade: list[str],
    loading: Loading | None = None,
) -> None:
    """Put stand-ins where a text asks for what isn't here. Only in a process of its own.

    Parameters
    ----------
    recorder : Recorder
    own : dict
        The text's names.
    guarded : set of int
    unmade : list of str
        As `Importing` takes them.
    loading : Loading, optional
        The file of weights that is here.
    """
    for holders, made in ((_FILES, _stands_in), (_NOTHING, _does_nothing)):
        for holder, names in holders:
            short = holder.__name__.replace("numpy", "np")
            for name in names:
                setattr(holder, name, made(recorder, f"{short}.{name}"))
    _arrange_safetensors(recorder)
    if loading is not None:
        _give_weights(loading)
    _load_data_here(recorder)
    _keep_own_weights(recorder, loading)
    torch.compile = _as_it_is(recorder, "torch.compile")
    torch.jit.script = _as_it_is(recorder, "torch.jit.script")
    torch.onnx.export = _runs(recorder, "torch.onnx.export")
    torch.export.export = _runs(recorder, "torch.export.export")
    autograd: Any = torch.autograd  # torch tells the type checker of no names in it
    grad = autograd.grad

    def wanted(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        recorder.inputs_wanted = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        try:
            return grad(outputs, inputs, *args, **kwargs)
        finally:
            recorder.inputs_wanted = []

    autograd.grad = wanted
    _watch_gradients(recorder)
    builtins.__import__ = Importing(recorder, own, guarded, unmade)
    own["__builtins__"] = {**vars(builtins), "open": _stands_in(recorder, "open")}
    sys.stdout, sys.stderr, sys.stdin = Out(recorder), _Nowhere(), io.StringIO()


def _arrange_safetensors(recorder: Recorder) -> None:
    """Put stand-ins into a package that need not be installed."""
    safetensors: Any = sys.modules.get("safetensors")
    if safetensors is None or not hasattr(safetensors, "torch"):
        return
    for holder, name in _safe_files(safetensors):
        setattr(holder, name, _stands_in(recorder, f"{holder.__name__}.{name}"))
    for name in ("save_file", "save_model"):
        setattr(safetensors.torch, name, _does_nothing(recorder, f"safetensors.torch.{name}"))


def _safe_files(safetensors: Any) -> tuple[tuple[Any, str], ...]:
    return (
        (safetensors, "safe_open"), (safetensors.torch, "safe_open"), (safetensors.torch, "load_file")
    )  # fmt: skip


def _give_weights(loading: Loading) -> None:
    """Give a text that asks for a file of weights the one that is here."""
    torch.load = loading.reads("torch.load", torch.load)
    safetensors: Any = sys.modules.get("safetensors")
    if safetensors is not None and hasattr(safetensors, "torch"):
        for holder, name in _safe_files(safetensors):
            full = f"{holder.__name__}.{name}"
            given = (
                loading.opens if name == "safe_open" else loading.reads(full, getattr(holder, name))
            )
            setattr(holder, name, given)
    loading.watch()


def _load_data_here(recorder: Recorder) -> None:
    """Let a loader of data make no processes; of data that is not here it is a stand-in itself."""
    loader: Any = torch.utils.data.DataLoader
    init = loader.__init__

    def new(cls: Any, dataset: Any = None, *args: Any, **kwargs: Any) -> Any:
        return dataset if isinstance(dataset, StandIn) else object.__new__(cls)

    def here(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("num_workers"):
            recorder.note(
                "num_workers: there are no other processes here, so data is loaded by this one"
            )
            for name in ("num_workers", "prefetch_factor", "persistent_workers"):
                kwargs.pop(name, None)
        init(self, *args, **kwargs)

    loader.__new__, loader.__init__ = staticmethod(new), here


def _keep_own_weights(recorder: Recorder, loading: Loading | None) -> None:
    """Let a module keep its own numbers where those that it is to load are not here."""
    module: Any = torch.nn.Module
    load = module.load_state_dict

    def load_state_dict(self: Any, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state_dict, StandIn):
            recorder.note(
                "load_state_dict: these weights are not here, so the module keeps its own"
            )
            return _IncompatibleKeys([], [])  # it reads "All keys matched successfully"
        result = load(self, state_dict, *args, **kwargs)
        if loading is not None:
            loading.taken(self, state_dict)
        return result

    module.load_state_dict = load_state_dict


def _watch_gradients(recorder: Recorder) -> None:
    """Record what torch.nn.grad computes: the gradient of an input is a transposed convolution."""
    for dims in (1, 2, 3):
        name = f"conv{dims}d_input"
        real = getattr(gradients, name)

        def watched(
            input_size: Any, weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0,
            dilation: Any = 1, groups: Any = 1, _real: Any = real, _name: str = name,
        ) -> Any:  # fmt: skip
            result = _real(input_size, weight, grad_output, stride, padding, dilation, groups)
            given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
            op = _name.removesuffix("_input")
            recorder.record_gradient(op, f"nn.grad.{_name}", given, weight, grad_output, result)
            return result

        setattr(gradients, name, watched)


class Out(io.TextIOBase):
    """What a text prints."""

    def __init__(self, recorder: Recorder):
        self._recorder = recorder

    def write(self, text: str) -> int:
        """Keep text that is printed."""
        self._recorder.write(text)
        return len(text)

    def writable(self) -> bool:
        """Tell `print` that it may."""
        return True


class _Nowhere(io.TextIOBase):
    """What a text prints on standard error: Python's warnings, progress bars."""

    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


#: Names that people use without importing them, as answers on forums have them.
def bare_names() -> dict[str, Any]:
    """Return what is put in place of names that a text uses and nowhere makes."""
    layers = {name: value for name, value in vars(torch.nn).items() if isinstance(value, type)}
    return {
        **layers,
        "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "np": np, "numpy": np,
        "optim": torch.optim, "Variable": torch.autograd.Variable, "Tensor": torch.Tensor,
    }  # fmt: skip


def main_module() -> types.ModuleType:
    """Return a new ``__main__``, the one that a text runs in."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    return main

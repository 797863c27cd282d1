"""The file of weights beside a text, while the text runs: what reads it, and what takes its tensors."""

from __future__ import annotations

import ast
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from convt_trace.snippet.fits import Fit, fits, listed
from convt_trace.snippet.places import FILE, Beside, frames, lines_now
from convt_trace.snippet.recorder import out_of_tracing
from convt_trace.snippet.saved import saved_in, state_dict_in
from convt_trace.snippet.standin import StandIn
from convt_trace.snippet.weights import Weights, word
from convt_trace.snippet.wire import Send

_CALL = torch.nn.Module._call_impl.__code__
#: As it was before a text's calls of it are watched.
_load_state_dict = torch.nn.Module.load_state_dict
_MOST_NOTES = 50
_DEPTH = 5


class Loading:
    """Gives a text the file beside it, and says so.

    What asks for a file, as `torch.load` does, gets this one. Where nothing of the text does, the
    first module that is called and that the file fits has its tensors before it runs.

    Parameters
    ----------
    weights : Weights
    send : callable
    tree : ast.Module
        The text.
    device : str
        "cpu", or "meta" for sizes alone.

    Raises
    ------
    Unread
        Whatever is wrong with the file.
    """

    def __init__(self, weights: Weights, send: Send, tree: ast.Module, device: str):
        self.name = weights.name
        self._weights, self._send, self._device = weights, send, device
        self._state = state_dict_in(saved_in(weights, device))
        self._empty = not self._state
        self._awaits_text = loads_itself(tree)
        self._read = self._loaded = False
        self._of_file, self._tried = Beside(), Beside()
        self._closest: tuple[int, int, str] | None = None
        self._told: set[tuple[int, str]] = set()

    def _tell(self, text: str, loaded: bool, line: int | None = None) -> None:
        line = (lines_now() or [0])[-1] if line is None else line
        if (line, text) not in self._told and len(self._told) < _MOST_NOTES:
            self._told.add((line, text))
            self._send("weights", [line, text[:400], loaded])

    # -- where the text asks for a file -------------------------------------------------------------

    def reads(self, function: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
        """Return what takes the place of a function that reads a file; of no path, it is ``otherwise``."""

        def read(path: Any = None, *args: Any, **kwargs: Any) -> Any:
            path = kwargs.get("filename", kwargs.get("f", path))
            if not isinstance(path, (str, os.PathLike, StandIn)):
                return otherwise(path, *args, **kwargs)
            return self._as_saved(function)

        return read

    def opens(self, *args: Any, **kwargs: Any) -> Opened:
        """Take the place of `safetensors.safe_open`."""
        return Opened(self._as_saved("safe_open"))

    def _as_saved(self, function: str) -> Any:
        """Return what the file holds: a new object each time, for a text may change it."""
        saved = saved_in(self._weights, self._device)
        self._mark(saved, _DEPTH)
        self._read = True
        self._tell(f"{function} reads {self.name}, the file beside the text", loaded=False)
        return saved

    def _mark(self, saved: Any, depth: int) -> None:
        if isinstance(saved, torch.Tensor):
            self._of_file[saved] = True
        elif depth and isinstance(saved, (Mapping, list, tuple)):
            for one in saved.values() if isinstance(saved, Mapping) else saved:
                self._mark(one, depth - 1)

    def taken(self, module: torch.nn.Module, state: Any) -> None:
        """Tell which of the file's tensors a module's own `load_state_dict` has taken."""
        if not isinstance(state, Mapping):
            return
        of_file = {name for name, one in state.items() if self._of_file.get(one)}
        own = list(module.state_dict())
        names = [name for name in own if name in of_file]
        if names:
            self._loaded = True
            rest = [name for name in own if name not in of_file]
            without = f", but not {listed(rest)}" if rest else ""
            self._tell(f"{self._into(module, len(names))}{without}", loaded=True)

    def _into(self, module: torch.nn.Module, count: int) -> str:
        many = "1 tensor is" if count == 1 else f"{count} tensors are"
        return f"{self.name}: {many} loaded into {_kind(module)}"

    # -- where it does not --------------------------------------------------------------------------

    def watch(self) -> None:
        """See every module before it runs: the first that the file fits gets its tensors."""
        if self._state and self._device != "meta":
            hook = torch.nn.modules.module.register_module_forward_pre_hook
            hook(lambda module, args: self._before())

    def _before(self) -> None:
        if self._read or self._awaits_text:
            return
        running = modules_running(sys._getframe(1))
        with out_of_tracing():
            for depth, module in enumerate(running[:1] if self._loaded else running):
                if not self._tried.get(module):
                    self._tried[module] = True
                    if self._try(module, whole_file=depth > 0):
                        return

    def _try(self, module: torch.nn.Module, whole_file: bool) -> bool:
        """Load a module that the file fits. One inside of another has to be all that the file holds."""
        found = fits(module, self._state)
        whole = [
            one for one in found
            if one.whole and (not whole_file or len(one.names) == len(self._state))
        ]  # fmt: skip
        if whole and self._loaded:
            text = f"{self.name} is not loaded into this {_kind(module)} too: the first has it"
            self._tell(text, loaded=False)
        elif len(whole) == 1:
            self._load(module, whole[0])
        elif len(whole) > 1:
            under = listed(one.prefix for one in whole)
            self._keep_closest(module, whole[0], f"it fits under {under}, and which is not known")
        elif found and not found[0].whole:
            self._keep_closest(module, found[0], str(found[0]))
        return self._loaded

    def _load(self, module: torch.nn.Module, fit: Fit) -> None:
        begin = len(fit.prefix)
        own = {
            name[begin:]: one for name, one in self._state.items() if name.startswith(fit.prefix)
        }
        # The base's own: a subclass may do as it likes in its `load_state_dict`.
        _load_state_dict(module, {name: own[name] for name in fit.names}, strict=False)
        self._loaded = True
        self._state = {name: one.to("meta") for name, one in self._state.items()}  # shapes alone
        for one in module.modules():
            self._tried[one] = True
        under = f", from the names under {word(fit.prefix)[:-1]}" if fit.prefix else ""
        self._tell(f"{self._into(module, len(fit.names))}{under}", loaded=True)

    def _keep_closest(self, module: torch.nn.Module, fit: Fit, why: str) -> None:
        near = len(fit.names) + len(fit.other)
        if self._closest is None or near > self._closest[0]:
            text = f"{self.name} is not loaded into {_kind(module)}: {why}"
            if not near:
                text += f". The file has {listed(self._state)}"
            self._closest = near, (lines_now() or [0])[-1], text

    # -- the end ------------------------------------------------------------------------------------

    def end(self) -> None:
        """Say why nothing was loaded, if nothing was."""
        if self._loaded or self._device == "meta":
            return
        if self._read:
            self._tell(
                f"{self.name} is read by the text; no load_state_dict takes its tensors", False, 0
            )
        elif self._empty:
            self._tell(f"{self.name} holds no state dict: no names with tensors", False, 0)
        elif self._awaits_text:
            self._tell(f"{self.name} is not loaded: the text was to read it, and did not", False, 0)
        elif self._closest is not None:
            _, line, text = self._closest
            self._tell(text, False, line)
        else:
            self._tell(f"{self.name} is not loaded: no module with weights is called", False, 0)


class Opened:
    """What `safetensors.safe_open` gives.

    Parameters
    ----------
    saved : dict of tensors

    Examples
    --------
    >>> with Opened({"a": torch.ones(2)}) as file:
    ...     {name: file.get_tensor(name) for name in file.keys()}
    {'a': tensor([1., 1.])}
    """

    def __init__(self, saved: Any):
        self._saved = state_dict_in(saved)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def keys(self) -> list[str]:
        """Return the names of its tensors."""
        return list(self._saved)

    def get_tensor(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        return self._saved[name]

    get_slice = get_tensor  # a tensor takes the same slices

    def metadata(self) -> dict[str, str] | None:
        """Return nothing: what else stands in a file is not kept."""
        return None


def _kind(module: torch.nn.Module) -> str:
    return word(type(module).__name__)


def modules_running(frame: types.FrameType | None) -> list[torch.nn.Module]:
    """Return the modules that are being called, outermost first; none while one is being made.

    A method of the text's own may call a module's parts: ``vae.decode(z)``.

    Examples
    --------
    >>> class Where(torch.nn.Module):
    ...     def forward(self, x):
    ...         return [type(one).__name__ for one in modules_running(sys._getframe())]
    >>> torch.nn.Sequential(Where())(1)
    ['Sequential', 'Where']
    """
    running: dict[int, torch.nn.Module] = {}
    for one in frames(frame):
        code = one.f_code
        if code is not _CALL and (code.co_filename != FILE or not code.co_argcount):
            continue
        held = one.f_locals.get(code.co_varnames[0])
        if isinstance(held, torch.nn.Module):
            if code.co_name == "__init__":
                return []
            running.setdefault(id(held), held)
    return [*running.values()][::-1]


def loads_itself(tree: ast.Module) -> bool:
    r"""Whether a text is sure to come to a call that reads weights: a module is then left to it.

    >>> loads_itself(ast.parse("up.load_state_dict(torch.load('up.pt'))"))
    True
    >>> loads_itself(ast.parse("if os.path.exists('up.pt'):\n  s = torch.load('up.pt')"))
    False
    """
    sure = [
        one for one in tree.body
        if not isinstance(one, (ast.If, ast.Try, ast.FunctionDef, ast.ClassDef))
    ]  # fmt: skip
    nodes = (node for one in sure for node in ast.walk(one) if isinstance(node, ast.Call))
    return any(_reads_weights(ast.unparse(node.func)) for node in nodes)


def _reads_weights(function: str) -> bool:
    return function == "torch.load" or function.rpartition(".")[2] in (
        "load_file", "load_model", "safe_open",
    )  # fmt: skip

"""Watches torch while a text runs: every convolution with its lines, and what torch refused."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, NoReturn

import numpy as np
import torch
from torch.nn.modules.conv import _ConvTransposeNd
from torch.overrides import TorchFunctionMode

from convt_trace.engine.arrays import as_array
from convt_trace.engine.flow import Flow
from convt_trace.engine.gradients import (
    Gradients,
    on_gradients,
    on_input_gradient,
    output_padding_of,
)
from convt_trace.engine.layer import MODULE
from convt_trace.engine.modules import running_module
from convt_trace.snippet.attempts import FUNCTIONS, LAYERS, arguments, attempted, layer_at, plain
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.places import Beside, Place, frames, lines_now, places_now
from convt_trace.snippet.standin import standin_among
from convt_trace.snippet.wire import Send, described

#: Convolutions whose sizes are told.
_MOST_SIZED = 2000


class Recorder(TorchFunctionMode):
    """Sees every function of torch's that a text calls.

    Parameters
    ----------
    send : callable
        Takes a message's kind, its content, and an array.
    limits : Limits
    places : dict
        Where the text writes a transposed convolution down, and its number.
    """

    def __init__(self, send: Send, limits: Limits, places: dict[Place, int]):
        super().__init__()
        self.send, self._limits, self._places = send, limits, places
        self.calls = self.sized = 0
        # Each weight is kept, so that no other can have its id.
        self._weights: dict[int, tuple[int, Any]] = {}
        self._built = Beside()
        self.outputs: list[bytes] = []
        self.ran: set[int] = set()
        self.refused: list[tuple[BaseException, dict[str, Any], list[int]]] = []
        self.inputs_wanted: list[torch.Tensor] = []
        self.reads_gradients = False
        self.mends = False
        self._notes: set[tuple[int, str]] = set()
        self._arrays: dict[bytes, int] = {}
        self._recorded = 0
        self._chars = 0
        self._text: list[str] = []
        self.made_at = Beside()
        self._made_like: dict[tuple[Any, ...], set[int]] = {}
        self._flow: Flow | None = Flow(lambda made: self.send("made", asdict(made)))

    # -- text -------------------------------------------------------------------------------------

    def note(self, text: str, line: int | None = None) -> None:
        """Send a note once."""
        line = (lines_now() or [0])[-1] if line is None else line
        if (line, text) not in self._notes and len(self._notes) < 100:
            self._notes.add((line, text))
            self.send("note", [line, text[:400]])

    def write(self, text: str) -> None:
        """Keep printed text; it is sent when there is much of it, or something else happens."""
        self._count(len(text))
        self._text.append(text)
        if len(self._text) > 500 or len(text) > 10_000:
            self.flush()

    def flush(self) -> None:
        """Send what was printed."""
        if self._text:
            self.send("print", "".join(self._text))
            self._text.clear()

    def show(self, line: int, text: str) -> None:
        """Send a bare expression, as a notebook shows it."""
        self._count(len(text), [line])
        self.flush()
        self.send("show", [line, text])

    def _count(self, chars: int, lines: list[int] | None = None) -> None:
        self._chars += chars
        if self._chars > self._limits.text_chars:
            most = self._limits.text_chars
            self.end(
                f"more than {most:,} characters of printed text",
                "Print less, or print shapes.",
                lines,
            )

    def end(self, what: str, hint: str, lines: list[int] | None = None) -> NoReturn:
        """End the process here: nothing in a text can catch this."""
        lines = lines or lines_now()
        self.flush()
        self.send("error", {"type": "Refused", "message": what, "stack": lines, "hint": hint})
        os._exit(0)

    def out_of_time(self) -> NoReturn:
        """End the process: it has computed for too long."""
        seconds = self._limits.seconds
        self.end(
            f"more than {seconds:g} seconds of computing",
            "Use smaller tensors or fewer repetitions.",
        )

    # -- what torch is asked for --------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.cuda:
            self.note("cuda stands for the CPU")
            return args[0]
        args, kwargs = _on_the_cpu(self, func, args, kwargs or {})
        op = FUNCTIONS.get(func)
        if op is None:
            return self._other(func, args, kwargs)
        given = arguments(op, args, kwargs)
        away = standin_among((given["input"], given["weight"])) if len(args) + len(kwargs) else None
        if away is not None:
            self.note(
                f"{op} gets its tensors from {away.standin_for}, which is not here: "
                "run the layer with a shape of your own"
            )
            return func(*args, **kwargs)
        try:
            output = func(*args, **kwargs)
        except BaseException as error:
            running = list(frames(sys._getframe()))
            self.ran |= self._written_for(layer_at(running))
            self.refused.append((error, attempted(running, op, given), lines_now()))
            self._follow(func, args, kwargs)
            raise
        self._follow(func, args, kwargs, output)
        with out_of_tracing():
            try:
                self._keep(op, given, output)
            except Exception as error:  # the text's own run goes on as it would
                self.note(
                    f"a convolution is not shown: {type(error).__name__} while it was recorded"
                )
        return output

    def _other(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function that is no convolution, and follow the sizes of its tensors."""
        try:
            result = func(*args, **kwargs)
        except RuntimeError:
            misfit = self._follow(func, args, kwargs)
            if not (misfit and self.mends and self._flow):
                raise
            return self._flow.mend(func, args, kwargs)
        self._follow(func, args, kwargs, result)
        return result

    def _follow(self, func: Any, args: Any, kwargs: Any, *result: Any) -> bool:
        """Follow the sizes through a call; without a result, through one that torch refused.

        Return whether its tensors did not fit together.
        """
        if self._flow is None:
            return False
        with out_of_tracing():
            try:
                if not result:
                    return self._flow.failed(func, args, kwargs)
                self._flow.ran(func, args, kwargs, *result)
            except Exception:  # the text's own run goes on as it would
                self._flow = None
        return False

    def _keep(self, op: str, given: dict[str, Any], output: Any) -> None:
        """Send a convolution that ran."""
        if not all(isinstance(one, torch.Tensor) for one in (given["input"], output)):
            return  # torch.fx's proxies
        layer = layer_at(frames(sys._getframe()))
        ran = self._written_for(layer)
        self.ran |= ran
        path, module = running_module(sys._getframe())
        # A layer that was asked for is called by no line: it stands where it was made.
        lines = lines_now() or [at[0] for at, number in self._places.items() if number in ran][:1]
        dims = int(op[-2])
        name = f"nn.{type(layer).__name__}" if layer is not None else f"F.{op}"
        given = {**given, **_sizes(op, given, dims)}
        who = {
            "module": path[:400], "kind": type(module).__name__[:80] if module is not None else "",
            "built": self._built.get(module, 0) if module is not None else 0,
        }  # fmt: skip
        self._size(op, given, lines, who)
        self.record(op, name, given, output, lines, ran, {**who, "mode": _mode(layer)})
        listen = self._listen_transposed if op.startswith("conv_transpose") else self._listen
        listen(op, given, output)

    def _size(self, op: str, given: dict[str, Any], lines: list[int], who: dict[str, Any]) -> None:
        """Send a convolution's sizes, of as many as there are."""
        self.sized += 1
        if self.sized > _MOST_SIZED:
            return
        weight = given["weight"]
        shared = self._weights.setdefault(id(weight), (len(self._weights) + 1, weight))[0]
        names = ("stride", "padding", "output_padding", "dilation")
        if _overflow(given[name] for name in names):
            return
        self.send(
            "size",
            {"op": op, "line": lines[-1] if lines else 0, **who, "shared": shared,
             "x": list(given["input"].shape), "weight": list(weight.shape),
             "bias": given["bias"] is not None, "groups": int(given["groups"]),
             **{name: given[name] for name in names}},
        )  # fmt: skip

    def _written_for(self, layer: Any) -> set[int]:
        """Return which written layers are being called: the lines that run, and where it was made."""
        written = {self._places[place] for place in places_now() if place in self._places}
        if layer is None:
            return written
        return written | (self.made_at.get(layer) or self._made_like.get(_likeness(layer), set()))

    def record(
        self,
        op: str,
        origin: str,
        given: dict[str, Any],
        output: torch.Tensor,
        lines: list[int],
        ran: Iterable[int] = (),
        who: dict[str, Any] | None = None,
    ) -> None:
        """Send a convolution with its numbers, if there is room for them."""
        if output.is_meta:
            self.note(
                "meta tensors have no numbers: of these convolutions the sizes alone are told"
            )
            return
        tensors = {"x": given["input"], "weight": given["weight"], "bias": given["bias"]}
        tensors["output"] = output
        held = [one for one in tensors.values() if one is not None]
        sizes = {name: given[name] for name in ("stride", "padding", "output_padding", "dilation")}
        if _overflow(sizes.values()):
            self.note("a convolution of sizes that torch's own numbers can't hold is not shown")
            return
        self._recorded += sum(one.numel() for one in held)
        if self.calls >= self._limits.calls:
            self.note(
                f"more than {self._limits.calls} convolutions: the others run, and are not shown", 0
            )
            return
        if self._recorded > self._limits.recorded_elements:
            most = self._limits.recorded_elements
            self.note(
                f"more than {most:,} numbers in the tensors of the convolutions: those from here on "
                "run, and are not shown"
            )
            return
        try:
            numbers = {k: None if v is None else self._array(v) for k, v in tensors.items()}
        except (TypeError, RuntimeError, NotImplementedError, ValueError):
            self.note(f"a convolution is not shown: {_why_not(given['input'])}")
            return
        self.flush()
        self.calls += 1
        self.send(
            "call",
            {"op": op, "stack": lines, "origin": origin, "groups": int(given["groups"]),
             "ran": sorted(ran), **(who or {}), **numbers, **sizes},
        )  # fmt: skip

    def _array(self, tensor: torch.Tensor) -> int:
        """Send a tensor's numbers once, and return their number."""
        array = as_array(tensor.detach(), "tensor")
        mark = hashlib.blake2b(repr(described(array)).encode(), digest_size=16)
        mark.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        key = mark.digest()
        self.outputs.append(key)
        if key not in self._arrays:
            self._arrays[key] = len(self._arrays)
            self.send("array", described(array), array)
        return self._arrays[key]

    # -- layers -----------------------------------------------------------------------------------

    def watch_layers(self) -> None:
        """Learn where layers are made, and with what."""
        for cls in LAYERS:
            cls.__init__ = _watched(self, cls, cls.__init__)

    def made(self, layer: Any) -> None:
        """Remember where a layer was made, and which written ones it stands for."""
        self._built[layer] = (lines_now() or [0])[-1]
        written = {self._places[place] for place in places_now() if place in self._places}
        if written:
            self.made_at[layer] = self.made_at.get(layer, set()) | written
            self._made_like.setdefault(_likeness(layer), set()).update(written)

    def failed_to_make(self, error: BaseException, op: str, given: dict[str, Any]) -> None:
        """Remember a layer that could not be made; nothing can call it."""
        self.ran |= {self._places[place] for place in places_now() if place in self._places}
        attempt = {"op": op, "parameters": {}, "dtypes": {}, "layer": plain(given)}
        self.refused.append((error, attempt, lines_now()))

    # -- gradients --------------------------------------------------------------------------------

    def _listen(self, op: str, given: dict[str, Any], output: torch.Tensor) -> None:
        """Listen for the gradient of a plain convolution: it is a transposed one.

        Only the gradients that the text asks for are of interest: of inputs it made itself.
        """
        x = given["input"]
        if not (output.requires_grad and x.requires_grad):
            return
        kept = given["weight"].detach().clone()

        def listen(above: torch.Tensor, result: torch.Tensor) -> None:
            if x.is_leaf or self._is_wanted(x):
                self.record_gradient(op, f"gradient of {op}", given, kept, above, result)

        on_input_gradient(output, x, int(op[-2]), listen)

    def _listen_transposed(self, op: str, given: dict[str, Any], output: torch.Tensor) -> None:
        """Listen for the gradients of a transposed convolution that the text asks for."""
        x, weight, bias = given["input"], given["weight"], given["bias"]
        if not output.requires_grad:
            return
        numbers = x.detach().clone(), weight.detach().clone()

        def listen(above: torch.Tensor, into: Gradients) -> None:
            dx, dw, db = (*into, None, None)[:3]
            if dx is not None and (x.is_leaf or self._is_wanted(x)):
                self._gradient_of_x(op, given, numbers[1], above, dx)
            if dw is not None and self._is_read(weight):
                self._gradient_of_weight(op, given, numbers[0], above, dw)
            if db is not None and bias is not None and self._is_read(bias):
                self.note(
                    f"the gradient of {op}'s bias is the gradient of y, summed over each channel"
                )

        on_gradients(output, x, int(op[-2]), listen)

    def _is_wanted(self, tensor: torch.Tensor) -> bool:
        return any(tensor is one for one in self.inputs_wanted)

    def _is_read(self, tensor: torch.Tensor) -> bool:
        return self._is_wanted(tensor) or (self.reads_gradients and tensor.is_leaf)

    def _gradient_of_x(
        self,
        op: str,
        given: dict[str, Any],
        weight: torch.Tensor,
        above: torch.Tensor,
        dx: torch.Tensor,
    ) -> None:
        """Keep the gradient of a transposed convolution's input as the plain convolution it is."""
        sizes = _sizes(op, {**given, "weight": weight}, weight.dim() - 2)
        if any(e >= s for e, s in zip(sizes["output_padding"], sizes["stride"])):
            self.note(
                f"the gradient of {op}'s input is a convolution, cut off at its end: not shown"
            )
            return
        self._plain(op, f"gradient of {op}, of x", above, weight, dx, sizes, given["groups"])

    def _gradient_of_weight(
        self, op: str, given: dict[str, Any], x: torch.Tensor, above: torch.Tensor, dw: torch.Tensor
    ) -> None:
        """Keep the gradient of a transposed convolution's weight as a convolution of y's gradient with x.

        Batch and channels change places: it sums over the batch, and stride and dilation are swapped.
        """
        dims = dw.dim() - 2
        sizes = _sizes(op, {**given, "weight": dw}, dims)
        if given["groups"] != 1:
            self.note(f"the gradient of {op}'s weight is one convolution per group: not shown")
            return
        x, above = (one if one.dim() == dims + 2 else one[None] for one in (x, above))
        if any(sizes["output_padding"]):
            # The zeros at the end are fewer by output_padding than those in front.
            ends = [(p, p - e) for p, e in zip(sizes["padding"], sizes["output_padding"])]
            above = torch.nn.functional.pad(
                above, [size for pair in reversed(ends) for size in pair]
            )
            sizes = {**sizes, "padding": [0] * dims}
        swapped = {**sizes, "stride": sizes["dilation"], "dilation": sizes["stride"]}
        above, x, dw = (one.transpose(0, 1) for one in (above, x, dw))
        what = f"gradient of {op}, of its weight with axes 0 and 1 swapped"
        self._plain(op, what, above, x, dw, swapped, 1)

    def _plain(
        self,
        op: str,
        origin: str,
        x: torch.Tensor,
        weight: torch.Tensor,
        result: torch.Tensor,
        sizes: dict[str, list[int]],
        groups: int,
    ) -> None:
        given = {"input": x, "weight": weight, "bias": None, "groups": groups, **sizes}
        given["output_padding"] = [0] * (weight.dim() - 2)
        self.record(op.replace("_transpose", ""), origin, given, result, lines_now())

    def record_gradient(
        self,
        op: str,
        origin: str,
        given: dict[str, Any],
        weight: torch.Tensor,
        above: torch.Tensor,
        result: torch.Tensor,
    ) -> None:
        """Keep the gradient of a plain convolution's input as the transposed convolution it is."""
        dims = int(op[-2])
        sizes = _sizes(op, {**given, "weight": weight}, dims)
        extra = output_padding_of(weight, above, result, sizes)
        self.record(
            op.replace("conv", "conv_transpose"),
            origin,
            {"input": above, "weight": weight, "bias": None, "groups": given["groups"],
             **sizes, "output_padding": extra},
            result,
            lines_now(),
        )  # fmt: skip


def _overflow(sizes: Iterable[Iterable[int]]) -> bool:
    """Whether torch's kernels, which count in 32 bits, can't hold some size."""
    return any(not 0 <= size < 2**31 for each in sizes for size in each)


def _mode(layer: Any) -> str:
    """Return the padding_mode with which a layer pads x before it convolves; "" for zeros, or none."""
    mode = getattr(layer, "padding_mode", "zeros")
    pads = any(getattr(layer, "_reversed_padding_repeated_twice", ()))
    return str(mode)[:80] if mode != "zeros" and pads else ""


def _likeness(layer: Any) -> tuple[Any, ...]:
    """Return what a copy of a layer has in common with it."""
    held = vars(layer)
    return (type(layer).__name__, *(str(held.get(name)) for name in MODULE))


def _watched(recorder: Recorder, cls: type, init: Any) -> Any:
    """Return a layer's constructor that tells the recorder where it is called, and with what."""
    import functools

    transposed = issubclass(cls, _ConvTransposeNd)
    names = [*MODULE] if transposed else [name for name in MODULE if name != "output_padding"]
    op = f"conv_transpose{cls.__name__[-2]}d" if transposed else f"conv{cls.__name__[-2]}d"
    if not transposed:
        names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                 "groups", "bias"]  # fmt: skip

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except Exception as error:
            recorder.failed_to_make(error, op, {**dict(zip(names, args)), **kwargs})
            raise
        recorder.made(self)

    return __init__


def _why_not(x: torch.Tensor) -> str:
    """Return why a tensor's numbers can't be kept."""
    if torch._C._functorch.is_functorch_wrapped_tensor(x):
        return "inside torch.func (vmap, jacrev) a tensor has no numbers of its own"
    return f"{str(x.dtype).removeprefix('torch.')} numbers are not traced"


def _sizes(op: str, given: dict[str, Any], dims: int) -> dict[str, list[int]]:
    return {
        name: _per_dimension(given.get(name, 0), dims, given)
        for name in ("stride", "padding", "output_padding", "dilation")
    }


def _per_dimension(value: Any, dims: int, given: dict[str, Any]) -> list[int]:
    if value == "same":
        taps = given["weight"].shape[2:]
        dilation = _per_dimension(given["dilation"], dims, given)
        return [d * (k - 1) // 2 for d, k in zip(dilation, taps)]
    if value == "valid":
        return [0] * dims
    numbers = [int(one) for one in value] if isinstance(value, (tuple, list)) else [int(value)]
    return numbers * dims if len(numbers) == 1 else numbers


# -- devices and tracers ------------------------------------------------------------------------------


def _elsewhere(value: Any) -> bool:
    """Whether a value names a device that is not here."""
    if isinstance(value, torch.device):
        return value.type not in ("cpu", "meta")
    return isinstance(value, str) and value.partition(":")[0] in ("cuda", "mps", "xpu", "hip")


def _on_the_cpu(
    recorder: Recorder, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put the CPU in place of a device that is not here."""
    if _elsewhere(kwargs.get("device")):
        recorder.note(f"{kwargs['device']} stands for the CPU")
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if func is torch.Tensor.to and any(map(_elsewhere, args[1:])):
        recorder.note(f"{next(filter(_elsewhere, args[1:]))} stands for the CPU")
        args = tuple(torch.device("cpu") if _elsewhere(one) else one for one in args)
    return args, kwargs


class out_of_tracing:
    """While torch.jit.trace listens, what the recorder itself does is not part of the trace."""

    def __enter__(self) -> None:
        self._tracing: Any = torch._C
        self._state = self._tracing._get_tracing_state()
        if self._state is not None:
            self._tracing._set_tracing_state(None)

    def __exit__(self, *error: object) -> None:
        if self._state is not None:
            self._tracing._set_tracing_state(self._state)

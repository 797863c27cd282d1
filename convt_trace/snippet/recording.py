"""What a reading leaves behind, as a stream of events, and the convolutions it watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from convt_trace.engine.arrays import as_array
from convt_trace.engine.layer import DEFAULTS, conv_length, output_length
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.limits import Budget
from convt_trace.snippet.reading import Attempt, Call, Definition, Note, Reading, Shown

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: torch's convolutions: their name, and whether they are transposed.
FUNCTIONS: dict[Any, str] = {
    getattr(torch, f"{name}{dims}d"): f"{name}{dims}d"
    for name in ("conv", "conv_transpose")
    for dims in (1, 2, 3)
}
#: Depthwise and narrow layers run this much slower in torch than the MACs say.
_NARROW, _SLOWER = 4, 32

Event = tuple[Any, ...]


class Builder:
    """Puts a reading together from its events, wherever they were made."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._arrays: dict[int, np.ndarray] = {}
        self._calls: list[dict[str, Any]] = []
        self._printed: list[str] = []
        self._shown: list[Shown] = []
        self._notes: list[Note] = []
        self._definitions: tuple[Definition, ...] = ()
        self._random: set[int] = set()
        self.error: tuple[str, str, int | None, tuple[int, ...], str] | None = None
        self.finished = False
        self.at: Attempt | None = None  # the last convolution that began
        self._trying = False

    def add(self, event: Event) -> None:
        """Take one event."""
        kind, *rest = event
        if kind == "array":
            self._arrays[rest[0]] = rest[1]
        elif kind == "call":
            self._calls.append(rest[0])
            self._trying = False
        elif kind == "print":
            self._printed.append(rest[0])
        elif kind == "show":
            self._shown.append(Shown(*rest))
        elif kind == "note":
            if Note(*rest) not in self._notes:
                self._notes.append(Note(*rest))
        elif kind == "at":
            self.at = rest[0] or self.at
            self._trying = rest[0] is not None
        elif kind == "random":
            self._random = set(rest[0])
        elif kind == "definitions":
            self._definitions = rest[0]
        elif kind == "error":
            self.error = rest[0]
        elif kind == "done":
            self.finished = True

    @property
    def attempt(self) -> Attempt | None:
        """The convolution that ended the reading, if one did."""
        return self.at if self._trying else None

    def reading(self) -> Reading:
        """Return what has arrived so far."""
        calls = [self._call(one, number in self._random) for number, one in enumerate(self._calls)]
        return Reading(
            calls=tuple(calls),
            printed="".join(self._printed),
            shown=tuple(self._shown),
            notes=tuple(self._notes),
            definitions=self._definitions,
        )

    def _call(self, fields: dict[str, Any], random: bool) -> Call:
        tensors = {
            name: None if fields[name] is None else self._arrays[fields[name]]
            for name in ("x", "weight", "bias", "output")
        }
        line = fields["line"]
        source = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
        return Call(**{**fields, **tensors, "source": source, "random": random})


class Recorder:
    """Sends events on, and counts what they hold.

    Parameters
    ----------
    budget : Budget
    send : callable
        Takes one event.
    """

    def __init__(self, budget: Budget, send: Callable[[Event], None]):
        self.budget, self.send = budget, send
        self.outputs: list[int] = []  # as numbered in `_arrays`
        self.constructed_at: dict[int, tuple[int, int]] = {}
        self.alive: list[torch.nn.Module] = []
        self.ran: set[tuple[int, int]] = set()
        self.begun: set[tuple[int, int]] = set()  # where calls stand whose evaluation began
        self._arrays: dict[bytes, int] = {}
        self._before_backward = 0
        self._inputs_wanted: list[torch.Tensor] = []
        self.last_convs = 0

    def fingerprints(self) -> list[bytes]:
        """Return a mark of every output, to tell which calls a seed changes."""
        marks = list(self._arrays)
        return [marks[number] for number in self.outputs]

    # -- text -------------------------------------------------------------------------------------

    def note(self, line: int, text: str) -> None:
        """Keep a note."""
        self.send(("note", line, text[:400]))

    def show(self, line: int, text: str) -> None:
        """Keep a bare expression."""
        self.budget.printed(len(text))
        self.send(("show", line, text))

    def write(self, text: str) -> None:
        """Keep printed text."""
        self.budget.printed(len(text))
        self.send(("print", text))

    # -- layers -----------------------------------------------------------------------------------

    def constructed(self, module: torch.nn.Module, line: int, column: int) -> None:
        """Remember where a layer was made; it is kept alive so that its identity stays its own."""
        if id(module) not in self.constructed_at:
            self.constructed_at[id(module)] = (line, column)
            self.alive.append(module)

    def called(self, module: torch.nn.Module) -> None:
        """Remember that a layer ran."""
        if id(module) in self.constructed_at:
            self.ran.add(self.constructed_at[id(module)])

    def copied(self, module: torch.nn.Module, copy: torch.nn.Module) -> None:
        """Remember that layers were copied: where a copy runs, what the text wrote down runs."""
        for one, other in zip(module.modules(), copy.modules()):
            if id(one) in self.constructed_at:
                self.constructed(other, *self.constructed_at[id(one)])

    # -- convolutions -----------------------------------------------------------------------------

    def tries(
        self, reader: Reader, op: str, given: dict[str, Any], layer: dict[str, Any] | None = None
    ) -> None:
        """Say which convolution is tried next, for the error that it may end in.

        Parameters
        ----------
        reader : Reader
        op : str
        given : dict
            The arguments of torch's function; none where a layer is built.
        layer : dict, optional
            The arguments of the layer's constructor.
        """
        self.send(("at", _attempted(op, given, layer, reader.where)))

    def succeeded(self) -> None:
        """Say that what was tried worked."""
        self.send(("at", None))

    @contextmanager
    def watch(self, reader: Reader, origin: str) -> Iterator[None]:
        """Bound and record the convolutions that torch runs inside."""
        with _Watch(self, reader, origin):
            yield

    def call(
        self,
        reader: Reader,
        op: str,
        origin: str,
        run: Callable[[], torch.Tensor],
        given: dict[str, Any],
    ) -> torch.Tensor:
        """Bound, run and record one convolution."""
        check(self.budget, op, given)
        self.budget.clock()
        output = run()
        self.record(reader, op, origin, given, output)
        if not op.startswith("conv_transpose") and output.requires_grad:
            self._listen(reader, op, given, output)
        return output

    def record(
        self, reader: Reader, op: str, origin: str, given: dict[str, Any], output: torch.Tensor
    ) -> None:
        """Keep one convolution that ran."""
        budget, dims = self.budget, int(op[-2])
        budget.calls += 1
        if budget.calls > budget.limits.calls:
            raise Refused(
                f"more than {budget.limits.calls} convolutions", "Shorten the loop that calls them."
            )
        try:
            held = {
                name: None if one is None else self._array(one)
                for name, one in (
                    ("x", given["input"]),
                    ("weight", given["weight"]),
                    ("bias", given["bias"]),
                )
            }
            held["output"] = result = self._array(output)
        except TypeError:
            reader.note(f"a convolution of {given['input'].dtype} is not traced")
            return
        self.outputs.append(result)
        stack = reader.where
        self.send(
            (
                "call",
                {
                    "op": op,
                    "line": stack[-1] if stack else 0,
                    "stack": stack,
                    "origin": origin,
                    **held,
                    "groups": int(given["groups"]),
                    **{
                        name: _per_dimension(given.get(name, 0), dims, given)
                        for name in ("stride", "padding", "output_padding", "dilation")
                    },
                },
            )
        )

    def _array(self, tensor: torch.Tensor) -> int:
        """Send a tensor's numbers once, and return their number."""
        key = _digest(tensor)
        if key not in self._arrays:
            self.budget.recorded += tensor.numel()
            if self.budget.recorded > self.budget.limits.recorded_elements:
                raise Refused(
                    f"more than {self.budget.limits.recorded_elements:,} numbers in the tensors of "
                    "the convolutions",
                    "Use fewer channels, a smaller batch or a smaller input.",
                )
            self._arrays[key] = len(self._arrays)
            self.send(("array", self._arrays[key], as_array(tensor, "tensor")))
        return self._arrays[key]

    # -- gradients --------------------------------------------------------------------------------

    def differentiate(self, reader: Reader, run: Callable[[], Any], inputs: Any = ()) -> Any:
        """Run autograd; the gradient of a conv with respect to its input is recorded."""
        self.budget.multiply(2 * (self.budget.macs - self._before_backward))
        self._inputs_wanted = [one for one in inputs if isinstance(one, torch.Tensor)]
        try:
            return run()
        finally:
            self._inputs_wanted = []
            self._before_backward = self.budget.macs

    def _listen(self, reader: Reader, op: str, given: dict[str, Any], output: torch.Tensor) -> None:
        """Listen for the gradient of a plain convolution: it is a transposed one.

        Only the gradients that the text asks for are of interest: of inputs it made itself.
        """
        x, weight = given["input"], given["weight"]
        if not x.requires_grad:
            return
        dims = int(op[-2])
        node: Any = output.grad_fn
        unbatched = x.dim() == dims + 1
        if unbatched:
            node = node.next_functions[0][0]
        if node is None or "Convolution" not in node.name():
            return
        kept = weight.detach().clone()

        def listen(into: Any, from_above: Any) -> None:
            wanted = x.is_leaf or any(x is one for one in self._inputs_wanted)
            if into[0] is None or from_above[0] is None or not wanted:
                return
            above, result = from_above[0].detach(), into[0].detach()
            if unbatched:
                above, result = above.reshape(above.shape[-dims - 1 :]), result.reshape(x.shape)
            self.record_gradient(reader, op, f"gradient of {op}", given, kept, above, result)

        node.register_hook(listen)

    def record_gradient(
        self,
        reader: Reader,
        op: str,
        origin: str,
        given: dict[str, Any],
        weight: torch.Tensor,
        above: torch.Tensor,
        result: torch.Tensor,
    ) -> None:
        """Keep the gradient of a plain convolution's input as the transposed convolution it is."""
        dims = int(op[-2])
        sizes = {
            name: _per_dimension(given.get(name, 0), dims, given)
            for name in ("stride", "padding", "dilation")
        }
        extra = []
        for place in range(dims):
            s, p, d = (sizes[name][place] for name in ("stride", "padding", "dilation"))
            k, length = weight.shape[2 + place], above.shape[place - dims]
            extra.append(result.shape[place - dims] - output_length(length, k, s, p, 0, d))
        self.record(
            reader,
            op.replace("conv", "conv_transpose"),
            origin,
            {
                "input": above,
                "weight": weight,
                "bias": None,
                **sizes,
                "output_padding": tuple(extra),
                "groups": given["groups"],
            },
            result,
        )


def _attempted(
    op: str, given: dict[str, Any], layer: dict[str, Any] | None, stack: tuple[int, ...]
) -> Attempt:
    """Describe a convolution that is about to run, whatever its arguments are."""
    tensors = {
        name: value
        for name in ("input", "weight", "bias")
        if isinstance(value := given.get(name), torch.Tensor)
    }

    def shape(name: str) -> tuple[int, ...] | None:
        return tuple(tensors[name].shape) if name in tensors else None

    return Attempt(
        op,
        stack,
        shape("input"),
        shape("weight"),
        shape("bias"),
        _plain({name: value for name, value in given.items() if name not in tensors}),
        {name: str(value.dtype).removeprefix("torch.") for name, value in tensors.items()},
        None if layer is None else _plain(layer),
    )


#: Longer tuples and words are not sent: no argument of a convolution is.
_MOST_VALUES, _MOST_CHARS = 8, 80


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are numbers, words, None, or flat tuples of these."""
    plain = {}
    for name, value in given.items():
        try:
            plain[name] = _plain_value(value)
        except TypeError:
            continue
    return plain


def _plain_value(value: Any) -> Any:
    if isinstance(value, (tuple, list)) and len(value) <= _MOST_VALUES:
        return tuple(map(_number, value))
    return _number(value)


def _number(value: Any) -> Any:
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.dim() == 0):
        value = value.item()
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and len(value) <= _MOST_CHARS:
        return value
    raise TypeError


def _digest(tensor: torch.Tensor) -> bytes:
    """Return a fingerprint of a tensor's numbers, shape and dtype."""
    import hashlib

    plain = tensor.detach().contiguous()
    mark = hashlib.blake2b(f"{plain.dtype}{tuple(plain.shape)}".encode(), digest_size=16)
    if plain.numel():
        mark.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return mark.digest()


def _per_dimension(value: Any, dims: int, given: dict[str, Any]) -> tuple[int, ...]:
    if value == "same":
        taps = given["weight"].shape[2:]
        dilation = _per_dimension(given["dilation"], dims, given)
        return tuple(d * (k - 1) // 2 for d, k in zip(dilation, taps))
    if value == "valid":
        return (0,) * dims
    numbers = (
        tuple(int(one) for one in value) if isinstance(value, (tuple, list)) else (int(value),)
    )
    return numbers * dims if len(numbers) == 1 else numbers


#: The order of the arguments of torch's functions, by whether they are transposed.
ORDER = {
    False: ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    True: ("input", "weight", "bias", *DEFAULTS),
}


class _Watch(TorchFunctionMode):
    """Sees what a layer of torch's runs."""

    def __init__(self, recorder: Recorder, reader: Reader, origin: str):
        super().__init__()
        self._recorder, self._reader, self._origin = recorder, reader, origin

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        op = FUNCTIONS.get(func)
        if op is None:
            return func(*args, **kwargs)
        return self._recorder.call(
            self._reader,
            op,
            self._origin,
            lambda: func(*args, **kwargs),
            arguments(op, args, kwargs),
        )


def arguments(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of torch's function by name."""
    order = ORDER[op.startswith("conv_transpose")]
    return {"bias": None, **DEFAULTS, **dict(zip(order, args)), **kwargs}


def check(budget: Budget, op: str, given: dict[str, Any]) -> None:
    """Count a convolution before it runs; what does not fit is left for torch to refuse."""
    x, weight = given.get("input"), given.get("weight")
    dims, transposed = int(op[-2]), op.startswith("conv_transpose")
    if not isinstance(x, torch.Tensor) or not isinstance(weight, torch.Tensor):
        return
    numbers = {}
    for name in ("stride", "padding", "output_padding", "dilation", "groups"):
        value = given.get(name, 0)
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(one, (int, np.integer)) and abs(int(one)) > budget.limits.parameter:
                raise Refused(
                    f"{name}={int(one) if int(one).bit_length() < 64 else 'a huge number'}"
                    f" (the limit is {budget.limits.parameter:,})",
                    f"Use a smaller {name}.",
                )
        if name != "groups":
            try:
                numbers[name] = _per_dimension(value, dims, given)
            except (TypeError, ValueError, IndexError):
                return
    if weight.dim() != dims + 2 or x.dim() not in (dims + 1, dims + 2) or not weight.numel():
        return
    if any(len(one) != dims for one in numbers.values()):
        return
    taps, length = weight.shape[2:], x.shape[-dims:]
    s, p, extra, d = (numbers[n] for n in ("stride", "padding", "output_padding", "dilation"))
    sizes = []
    for place in range(dims):
        axis = (length[place], taps[place])
        if transposed:
            sizes.append(output_length(*axis, s[place], p[place], extra[place], d[place]))
        else:
            sizes.append(conv_length(*axis, max(s[place], 1), 2 * p[place], d[place]))
    if min(sizes) < 0:
        return
    groups = max(int(given["groups"]), 1) if isinstance(given["groups"], int) else 1
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    batch = x.shape[0] if x.dim() == dims + 2 else 1
    budget.size([batch, channels, *sizes], x.element_size())
    positions = prod(length) if transposed else prod(sizes)
    if transposed or x.dtype != torch.float32:
        # torch lays the products out before it adds them up, one batch item at a time.
        columns = prod(weight.shape[1:]) * positions * groups
        budget.room_for(columns * x.element_size())
    macs = (
        x.numel() * prod(weight.shape[1:])
        if transposed
        else (batch * channels * prod(sizes) * prod(weight.shape[1:]))
    )
    narrow = max(weight.shape[1], weight.shape[0] // groups) < _NARROW
    slow = _SLOWER if narrow else (1 if x.dtype in (torch.float32, torch.bfloat16) else 4)
    budget.multiply(macs * slow)

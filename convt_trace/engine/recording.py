"""Catching the transposed convolutions that a model runs in torch, each as a case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convt_trace.engine.calls import Recording
from convt_trace.engine.case import Case
from convt_trace.engine.gradients import on_input_gradient, output_padding_of
from convt_trace.engine.layer import DEFAULTS
from convt_trace.engine.modules import running_module
from convt_trace.engine.sized import Sized


class _Recorder(TorchFunctionMode):
    """Sees every torch function that a model calls, and records the transposed convolutions.

    What such a function calls itself is not seen, so each is recorded once.
    """

    def __init__(self, calls: Recording):
        super().__init__()
        self._calls = calls

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        read = _READERS.get(func)
        if read is not None:
            self._keep(func, lambda: read(result, *args, **kwargs))
        elif func in _PLAIN:
            self._listen(func, result, args, kwargs)
        return result

    def _keep(self, func: Any, read: Callable[[], _Given | None]) -> None:
        """Keep a call. Whatever goes wrong here is a note: the model's own run goes on as it would."""
        number = len(self._calls) + 1
        try:
            given = read()
            if given is None:
                return
            path, _ = running_module(sys._getframe())
            self._calls.append(_recorded(*given, number, path))
        except Exception as error:
            what = f"a call of {getattr(func, '__name__', func)} is left out"
            self._calls.notes.append(f"{what}: {_reason(error)}")

    def _listen(self, func: Any, result: Any, args: Any, kwargs: Any) -> None:
        """Listen for the gradient of an input that the model's user made."""
        try:
            given = dict(zip(_PLAIN_ORDER, args)) | kwargs
            x, weight = given["input"], given["weight"].detach().clone()
            if not x.is_leaf or isinstance(given.get("padding"), str):
                return
            dims = _PLAIN[func]
            sizes = {
                name: _each(given.get(name, default), dims) for name, default in _SIZES.items()
            }

            def listen(above: torch.Tensor, mine: torch.Tensor) -> None:
                extra = output_padding_of(weight, above, mine, sizes)
                groups = given.get("groups", 1)
                call = {"x": above, "weight": weight, "bias": None, "groups": groups, **sizes}
                self._keep(func, lambda: ({**call, "output_padding": extra}, mine.dtype))

            on_input_gradient(result, x, dims, listen)
        except Exception as error:
            self._calls.notes.append(f"a gradient is not listened for: {_reason(error)}")


#: A call as arguments of a case, and the dtype that torch computed in.
_Given = tuple[dict[str, Any], torch.dtype]
_SIZES = {"stride": 1, "padding": 0, "dilation": 1}
_PLAIN_ORDER = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_PLAIN = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}


def _each(value: Any, dims: int) -> list[int]:
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * dims if len(numbers) == 1 else numbers


def _reason(error: Exception) -> str:
    return (str(error).strip().split("\n") or [""])[0][:200] or type(error).__name__


def _conv_transpose(
    result: torch.Tensor,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *parameters: Any,
    **named: Any,
) -> _Given:
    """Return a call of ``conv_transposeNd`` as arguments of a case."""
    given = {**dict(zip(DEFAULTS, parameters)), **named}
    return {"x": input, "weight": weight, "bias": bias, **given}, result.dtype


def _convolution(
    result: torch.Tensor,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
    **__: Any,
) -> _Given | None:
    """Return the same of a call of ``torch.convolution``, or None if it is not transposed."""
    if not transposed:
        return None
    parameters = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose(result, input, weight, bias, *parameters)


def _backward(
    result: tuple[torch.Tensor | None, ...],
    grad_output: torch.Tensor,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    output_mask: Any,
) -> _Given | None:
    """Return the gradient of a plain convolution's input, which `torch.nn.grad` asks for."""
    mine = result[0]
    if transposed or mine is None:
        return None
    dims = weight.dim() - 2
    sizes = {"stride": stride, "padding": padding, "dilation": dilation}
    each = {name: _each(value, dims) for name, value in sizes.items()}
    extra = output_padding_of(weight, grad_output, mine, each)
    call = {"x": grad_output, "weight": weight, "bias": None, "groups": groups, **each}
    return {**call, "output_padding": extra}, mine.dtype


def _forms(name: str) -> list[Callable[..., torch.Tensor]]:
    """Return torch's function of this name, its operator and the operator's overloads.

    A model that `torch.export` wrote calls the overloads.
    """
    return [getattr(torch, name), *_operators(name)]


def _operators(name: str) -> list[Callable[..., Any]]:
    operator = getattr(torch.ops.aten, name)
    return [operator, *(getattr(operator, overload) for overload in operator.overloads())]


#: What reads the arguments of every function that computes a transposed convolution.
_READERS: dict[Callable[..., Any], Callable[..., _Given | None]] = {
    **{form: _conv_transpose for dims in (1, 2, 3) for form in _forms(f"conv_transpose{dims}d")},
    **{form: _convolution for name in ("convolution", "_convolution") for form in _forms(name)},
    **dict.fromkeys(_operators("convolution_backward"), _backward),
}


def _recorded(call: dict[str, Any], dtype: torch.dtype, number: int, path: str) -> Case | Sized:
    """Return one caught call as a case; on the meta device, which has no numbers, as its sizes.

    The tensors are taken in the result's dtype: under autocast torch computes in that one.
    """
    if call["x"].is_meta or call["weight"].is_meta:
        return _sized(call, path)
    tensors = {
        name: tensor.to(dtype) if isinstance(tensor, torch.Tensor) else None
        for name, tensor in call.items()
        if name in ("x", "weight", "bias")
    }
    place = f"call {number} recorded from a model"
    return Case.of(**{**call, **tensors}, origin=f"{path}, {place}" if path else place)


def _sized(call: dict[str, Any], path: str, transposed: bool = True) -> Sized:
    dims = call["weight"].dim() - 2
    given = {**DEFAULTS, **{name: value for name, value in call.items() if value is not None}}
    sizes: dict[str, Any] = {
        name: tuple(_each(given[name], dims))
        for name in ("stride", "padding", "output_padding", "dilation")
    }
    return Sized(
        f"conv{'_transpose' * transposed}{dims}d",
        tuple(call["x"].shape),
        tuple(call["weight"].shape),
        call.get("bias") is not None,
        groups=given["groups"],
        module=path,
        **sizes,
    )


class _Sizes(TorchFunctionMode):
    """Sees every convolution that a model runs, and keeps its sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Sized] = []
        self._weights: dict[int, tuple[int, torch.Tensor]] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        call: dict[str, Any] = {}
        if func in _PLAIN:
            named = dict(zip(_PLAIN_ORDER, args)) | kwargs
            dims, padding = _PLAIN[func], named.get("padding", 0)
            if isinstance(padding, str):  # "same" needs no output_padding: it adds half of the taps
                taps = zip(named["weight"].shape[2:], _each(named.get("dilation", 1), dims))
                padding = [d * (k - 1) // 2 if padding == "same" else 0 for k, d in taps]
            call = {**named, "x": named["input"], "padding": padding}
        elif (read := _READERS.get(func)) is not None and read is not _backward:
            call = (read(result, *args, **kwargs) or ({},))[0]
        if call:
            path, module = running_module(sys._getframe())
            weight = call["weight"]
            shared = self._weights.setdefault(id(weight), (len(self._weights) + 1, weight))[0]
            kind = type(module).__name__ if module is not None else ""
            sized = _sized(call, path, transposed=func not in _PLAIN)
            self.found.append(replace(sized, kind=kind, shared=shared))
        return result


def sizes_of(model: Callable[..., Any], *inputs: Any, **named: Any) -> list[Sized]:
    """Return every convolution that a model runs on inputs, by its sizes.

    The model is run once, without gradients. On the meta device it may be of any size.

    Parameters
    ----------
    model : callable
    *inputs, **named
        What it is called with.

    Examples
    --------
    >>> with torch.device("meta"):
    ...     up = torch.nn.ConvTranspose2d(1024, 512, 4, stride=2, padding=1)
    ...     (one,) = sizes_of(up, torch.ones(1, 1024, 64, 64))
    >>> one.macs
    34359738368
    """
    with torch.no_grad(), _Sizes() as seen:
        model(*inputs, **named)
    return seen.found


@contextmanager
def record() -> Iterator[Recording]:
    """Catch every transposed convolution that runs inside the ``with`` block, each as a `Case`.

    Modules, functions of torch and its operators (as in a model of `torch.export`) are seen; so is
    the gradient of a plain convolution with respect to an input that is a leaf. TorchScript calls none
    of these from Python, so what it runs is not seen. On the meta device there are no numbers: there
    a call is its sizes, a `Sized`. The model runs as it would; what can't be kept (inside vmap, complex
    numbers) is left out, and ``calls.notes`` says so.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.ConvTranspose1d(1, 2, 3), torch.nn.ReLU())
    >>> with record() as calls:
    ...     y = model(torch.ones(1, 1, 5))
    >>> print(calls[0].line())
    nn.ConvTranspose1d(1, 2, 3)
    """
    calls = Recording()
    with _Recorder(calls):
        yield calls

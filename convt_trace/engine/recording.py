"""Catching the transposed convolutions that a model runs in torch, each as a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convt_trace.engine.case import Case
from convt_trace.engine.layer import DEFAULTS


class _Recorder(TorchFunctionMode):
    """Sees every torch function that a model calls, and records the transposed convolutions.

    What such a function calls itself is not seen, so each is recorded once.
    """

    def __init__(self, calls: list[Case]):
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
        call = read(*args, **kwargs) if read is not None else None
        if call is not None:
            self._calls.append(_recorded(call, result.dtype, number=len(self._calls) + 1))
        return result


def _conv_transpose(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *parameters: Any,
    **named: Any,
) -> dict[str, Any]:
    """Return a call of ``conv_transposeNd`` as arguments of a case."""
    given = {**dict(zip(DEFAULTS, parameters)), **named}
    return {"x": input, "weight": weight, "bias": bias, **given}


def _convolution(
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
) -> dict[str, Any] | None:
    """Return the same of a call of ``torch.convolution``, or None if it is not transposed."""
    if not transposed:
        return None
    return _conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)


def _forms(name: str) -> list[Callable[..., torch.Tensor]]:
    """Return torch's function of this name, its operator and the operator's overloads.

    A model that `torch.export` wrote calls the overloads.
    """
    operator = getattr(torch.ops.aten, name)
    overloads = [getattr(operator, overload) for overload in operator.overloads()]
    return [getattr(torch, name), operator, *overloads]


#: What reads the arguments of every function that computes a transposed convolution.
_READERS: dict[Callable[..., Any], Callable[..., dict[str, Any] | None]] = {
    **{form: _conv_transpose for dims in (1, 2, 3) for form in _forms(f"conv_transpose{dims}d")},
    **{form: _convolution for name in ("convolution", "_convolution") for form in _forms(name)},
}


def _recorded(call: dict[str, Any], dtype: torch.dtype, number: int) -> Case:
    """Return one caught call as a case.

    The tensors are taken in the result's dtype: under autocast torch computes in that one.
    """
    tensors = {
        name: tensor.to(dtype) if isinstance(tensor, torch.Tensor) else None
        for name, tensor in call.items()
        if name in ("x", "weight", "bias")
    }
    return Case.of(**{**call, **tensors}, origin=f"call {number} recorded from a model")


@contextmanager
def record() -> Iterator[list[Case]]:
    """Catch every transposed convolution that runs inside the ``with`` block, each as a `Case`.

    Modules, functions of torch and its operators (as in a model of `torch.export`) are seen.
    TorchScript calls none of these from Python, so what it runs is not seen.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.ConvTranspose1d(1, 2, 3), torch.nn.ReLU())
    >>> with record() as calls:
    ...     y = model(torch.ones(1, 1, 5))
    >>> print(calls[0].line())
    nn.ConvTranspose1d(1, 2, 3)
    """
    calls: list[Case] = []
    with _Recorder(calls):
        yield calls

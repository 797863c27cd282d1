"""``torch.optim.SGD`` and ``Adam``, step by step as torch's own loops do them.

torch's optimizer classes load its compiler at first use (seconds, 100 MB): a few formulas do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from convt_trace.snippet import values
from convt_trace.snippet.bounds import handed
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Action, Args, Kwargs

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

_DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False},
    "Adam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
    "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
}


class Optimizer(values.Own):
    """An optimizer of a text: parameters, settings and what it remembers of each parameter."""

    def __init__(self, kind: str, parameters: list[torch.Tensor], settings: dict[str, Any]):
        self.kind, self.parameters, self.settings = kind, parameters, settings
        self.memory: dict[int, dict[str, Any]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for one in self.parameters:
            one.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        with torch.no_grad():
            for place, one in enumerate(self.parameters):
                if one.grad is not None:
                    move = self._sgd if self.kind == "SGD" else self._adam
                    move(one, one.grad, self.memory.setdefault(place, {}))

    def _sgd(self, x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any]) -> None:
        chosen = self.settings
        if chosen["weight_decay"]:
            grad = grad.add(x, alpha=chosen["weight_decay"])
        if chosen["momentum"]:
            if "buffer" in memory:
                memory["buffer"].mul_(chosen["momentum"]).add_(grad, alpha=1 - chosen["dampening"])
            else:
                memory["buffer"] = grad.clone()
            nesterov = chosen["nesterov"]
            held = memory["buffer"]
            grad = grad.add(held, alpha=chosen["momentum"]) if nesterov else held
        x.add_(grad, alpha=-chosen["lr"])

    def _adam(self, x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any]) -> None:
        chosen = self.settings
        first, second = chosen["betas"]
        decay = chosen["weight_decay"]
        if decay and self.kind == "AdamW":
            x.mul_(1 - chosen["lr"] * decay)
        elif decay:
            grad = grad.add(x, alpha=decay)
        memory.setdefault("mean", torch.zeros_like(x)).lerp_(grad, 1 - first)
        memory.setdefault("square", torch.zeros_like(x)).mul_(second).addcmul_(
            grad, grad, value=1 - second
        )
        memory["steps"] = memory.get("steps", 0) + 1
        step_size = chosen["lr"] / (1 - first ** memory["steps"])
        scale = (1 - second ** memory["steps"]) ** 0.5
        bottom = (memory["square"].sqrt() / scale).add_(chosen["eps"])
        x.addcdiv_(memory["mean"], bottom, value=-step_size)


def _make(kind: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Optimizer:
        given = args[0] if args else kwargs.pop("params")
        parameters = [handed(reader, one) for one in reader.iterate(given)]
        if not all(isinstance(one, torch.Tensor) for one in parameters):
            raise Refused(f"torch.optim.{kind} with groups", "Give it parameters().")
        settings = {**_DEFAULTS[kind], **dict(zip(["lr"], args[1:2], strict=False)), **kwargs}
        for name in settings:
            if name not in _DEFAULTS[kind]:
                raise Refused(f"torch.optim.{kind}({name}=)", "Leave it out.")
        if not parameters:
            raise ValueError("optimizer got an empty parameter list")
        return Optimizer(kind, parameters, {n: handed(reader, v) for n, v in settings.items()})

    return act


def optimizers() -> dict[str, Action]:
    """Return the optimizers' constructors by dotted name."""
    return {f"torch.optim.{kind}": _make(kind) for kind in _DEFAULTS}


def _zero_grad(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    args[0].zero_grad()


def _step(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    for one in args[0].parameters:
        reader.budget.tensor(one.numel(), 0)
    args[0].step()


METHODS: dict[str, Action] = {"zero_grad": _zero_grad, "step": _step}

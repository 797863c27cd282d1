"""``torch.optim``'s optimizers, step by step as torch's own loops do them.

torch's optimizer classes load its compiler at first use (seconds, 100 MB): a few formulas do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from convt_trace.snippet import values
from convt_trace.snippet.bounds import handed
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Action, Args, Kwargs

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: Takes a parameter, its gradient, what is remembered of it (``steps`` counts) and the settings.
Move = Callable[[torch.Tensor, torch.Tensor, dict[str, Any], dict[str, Any]], None]


def _held(memory: dict[str, Any], name: str, x: torch.Tensor) -> torch.Tensor:
    """Return a tensor that is remembered; it starts from zeros."""
    if name not in memory:
        memory[name] = torch.zeros_like(x)
    return memory[name]


def _squares(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], keep: float) -> Any:
    """Return the running mean of the squared gradients."""
    return _held(memory, "square", x).mul_(keep).addcmul_(grad, grad, value=1 - keep)


def _sgd(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    if chosen["momentum"]:
        if "buffer" in memory:
            memory["buffer"].mul_(chosen["momentum"]).add_(grad, alpha=1 - chosen["dampening"])
        else:
            memory["buffer"] = grad.clone()
        held = memory["buffer"]
        grad = grad.add(held, alpha=chosen["momentum"]) if chosen["nesterov"] else held
    x.add_(grad, alpha=-chosen["lr"])


def _adam(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    first, second = chosen["betas"]
    mean = _held(memory, "mean", x).lerp_(grad, 1 - first)
    square = _squares(x, grad, memory, second)
    if chosen["amsgrad"]:
        largest = _held(memory, "largest", x)
        square = largest.copy_(torch.maximum(largest, square))
    step_size = chosen["lr"] / (1 - first ** memory["steps"])
    scale = (1 - second ** memory["steps"]) ** 0.5
    x.addcdiv_(mean, (square.sqrt() / scale).add_(chosen["eps"]), value=-step_size)


def _adamax(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    first, second = chosen["betas"]
    mean, top = _held(memory, "mean", x).lerp_(grad, 1 - first), _held(memory, "top", x)
    top.copy_(torch.maximum(top.mul_(second), grad.abs().add_(chosen["eps"])))
    x.addcdiv_(mean, top, value=-chosen["lr"] / (1 - first ** memory["steps"]))


def _nadam(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    (first, second), step, lr = chosen["betas"], memory["steps"], chosen["lr"]
    now, following = (
        first * (1.0 - 0.5 * 0.96 ** (at * chosen["momentum_decay"])) for at in (step, step + 1)
    )
    # torch keeps this product as a float32 tensor.
    product = memory["product"] = memory.get("product", torch.ones(())) * now
    mean = _held(memory, "mean", x).lerp_(grad, 1 - first)
    square = _squares(x, grad, memory, second)
    bottom = square.div(1 - second**step).sqrt().add_(chosen["eps"])
    x.addcdiv_(grad, bottom, value=-lr * (1.0 - now) / (1.0 - product.item()))
    x.addcdiv_(mean, bottom, value=(-lr * following) / (1.0 - product.item() * following))


def _radam(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    (first, second), step = chosen["betas"], memory["steps"]
    mean = _held(memory, "mean", x).lerp_(grad, 1 - first) / (1 - first**step)
    square = _squares(x, grad, memory, second)
    left = 1 - second**step
    most = 2 / (1 - second) - 1
    length = most - 2 * step * second**step / left
    update = mean * chosen["lr"]
    if length > 5.0:
        scale = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
        update = update * (left**0.5 / square.sqrt().add_(chosen["eps"])) * scale
    x.add_(update, alpha=-1.0)


def _rmsprop(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    square = _squares(x, grad, memory, chosen["alpha"])
    if chosen["centered"]:
        mean = _held(memory, "mean", x).lerp_(grad, 1 - chosen["alpha"])
        bottom = square.addcmul(mean, mean, value=-1).sqrt_().add_(chosen["eps"])
    else:
        bottom = square.sqrt().add_(chosen["eps"])
    if chosen["momentum"] > 0:
        buffer = _held(memory, "buffer", x).mul_(chosen["momentum"]).addcdiv_(grad, bottom)
        x.add_(buffer, alpha=-chosen["lr"])
    else:
        x.addcdiv_(grad, bottom, value=-chosen["lr"])


def _adagrad(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    if "sum" not in memory:
        memory["sum"] = torch.full_like(x, chosen["initial_accumulator_value"])
    bottom = memory["sum"].addcmul_(grad, grad, value=1).sqrt().add_(chosen["eps"])
    lr = chosen["lr"] / (1 + (memory["steps"] - 1) * chosen["lr_decay"])
    x.addcdiv_(grad, bottom, value=-lr)


def _adadelta(x: torch.Tensor, grad: torch.Tensor, memory: dict[str, Any], chosen: Any) -> None:
    keep, eps = chosen["rho"], chosen["eps"]
    std = _squares(x, grad, memory, keep).add(eps).sqrt_()
    moved = _held(memory, "moved", x)
    delta = moved.add(eps).sqrt_().div_(std).mul_(grad)
    moved.mul_(keep).addcmul_(delta, delta, value=1 - keep)
    x.add_(delta, alpha=-chosen["lr"])


_BETAS = {"betas": (0.9, 0.999), "eps": 1e-8}
#: The formula of each optimizer, and its settings in the order of its arguments.
_KINDS: dict[str, tuple[Move, dict[str, Any]]] = {
    "SGD": (_sgd, {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}),
    "Adam": (_adam, {"lr": 1e-3, **_BETAS, "weight_decay": 0, "amsgrad": False}),
    "AdamW": (_adam, {"lr": 1e-3, **_BETAS, "weight_decay": 1e-2, "amsgrad": False}),
    "Adamax": (_adamax, {"lr": 2e-3, **_BETAS, "weight_decay": 0}),
    "NAdam": (_nadam, {"lr": 2e-3, **_BETAS, "weight_decay": 0, "momentum_decay": 4e-3}),
    "RAdam": (_radam, {"lr": 1e-3, **_BETAS, "weight_decay": 0}),
    "RMSprop": (
        _rmsprop,
        {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0,
         "centered": False},
    ),
    "Adagrad": (
        _adagrad,
        {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0,
         "eps": 1e-10},
    ),
    "Adadelta": (_adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0}),
}  # fmt: skip


class Optimizer(values.Own):
    """An optimizer of a text: its parameter groups, and what it remembers of each parameter.

    Attributes
    ----------
    kind : str
    groups : list of dict
        Each holds ``params`` and the settings; a text may change them, as in
        ``optimizer.param_groups[0]["lr"] = 0.1``.
    """

    def __init__(self, kind: str, groups: list[dict[str, Any]]):
        self.kind, self.groups = kind, groups
        self.memory: dict[torch.Tensor, dict[str, Any]] = {}

    @property
    def parameters(self) -> list[torch.Tensor]:
        """The parameters of all groups."""
        found = [one for group in self.groups for one in group["params"]]
        return [one for one in found if isinstance(one, torch.Tensor)]

    def zero_grad(self, to_none: bool = True) -> None:
        """Forget the gradients."""
        for one in self.parameters:
            if to_none:
                one.grad = None
            elif one.grad is not None:
                one.grad = torch.zeros_like(one.grad)

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        move = _KINDS[self.kind][0]
        with torch.no_grad():
            for group in self.groups:
                for one in group["params"]:
                    if isinstance(one, torch.Tensor) and one.grad is not None:
                        memory = self.memory.setdefault(one, {"steps": 0})
                        memory["steps"] += 1
                        move(one, self._decayed(one, group), memory, group)

    def _decayed(self, x: torch.Tensor, group: dict[str, Any]) -> Any:
        """Return the gradient with the weight decay in it; AdamW decays the weight itself."""
        decay = group["weight_decay"]
        if decay and self.kind == "AdamW":
            x.mul_(1 - group["lr"] * decay)
        elif decay:
            return x.grad.add(x, alpha=decay)  # type: ignore[union-attr]
        return x.grad


def _make(kind: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Optimizer:
        kwargs = dict(kwargs)
        given = args[0] if args else kwargs.pop("params")
        defaults = _KINDS[kind][1]
        settings = _settings(reader, kind, {**defaults, **dict(zip(defaults, args[1:])), **kwargs})
        listed = reader.collected(reader.iterate(given))
        if not listed:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(listed[0], dict):
            listed = [{"params": listed}]
        groups = []
        for one in listed:
            own = {name: value for name, value in one.items() if name != "params"}
            held = one["params"]
            held = (
                [held] if isinstance(held, torch.Tensor) else reader.collected(reader.iterate(held))
            )
            for parameter in held:
                if not isinstance(parameter, torch.Tensor):
                    raise TypeError(
                        "optimizer can only optimize Tensors, but one of the params is "
                        + reader.type_name(parameter)
                    )
            groups.append({"params": held, **settings, **_settings(reader, kind, own)})
        return Optimizer(kind, groups)

    return act


def _settings(reader: Reader, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return settings as torch may see them."""
    for name in given:
        if name not in _KINDS[kind][1]:
            raise Refused(f"torch.optim.{kind}({name}=)", "Leave it out.")
    return {name: handed(reader, value) for name, value in given.items()}


def optimizers() -> dict[str, Action]:
    """Return the optimizers' constructors by dotted name."""
    return {f"torch.optim.{kind}": _make(kind) for kind in _KINDS}


def _zero_grad(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    to_none = args[1] if len(args) > 1 else kwargs.get("set_to_none", True)
    args[0].zero_grad(bool(to_none))


def _step(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    loss = None
    if len(args) > 1:  # a closure that works the loss out again
        with torch.enable_grad():
            loss = reader.call(args[1], (), {})
    for group in args[0].groups:
        for name in _KINDS[args[0].kind][1]:
            group[name] = handed(reader, group[name])
    for one in args[0].parameters:
        reader.budget.tensor(one.numel(), 0)
    args[0].step()
    return loss


# -- schedules ------------------------------------------------------------------------------------


class Schedule(values.Own):
    """A schedule of ``torch.optim.lr_scheduler``: what it multiplies the learning rates by, when."""

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]):
        self.optimizer, self.factor, self.epoch = optimizer, factor, 0

    def step(self) -> None:
        """Go on to the next epoch."""
        self.epoch += 1
        for group in self.optimizer.groups:
            group["lr"] = group["lr"] * self.factor(self.epoch)


def _schedule(make: Callable[..., Callable[[int], float]]) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Schedule:
        optimizer, *rest = args if args else (kwargs["optimizer"],)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{reader.type_name(optimizer)} is not an Optimizer")
        named = {name: handed(reader, one) for name, one in kwargs.items() if name != "optimizer"}
        return Schedule(optimizer, make(*(handed(reader, one) for one in rest), **named))

    return act


def _at_steps(step_size: int, gamma: float = 0.1) -> Callable[[int], float]:
    return lambda epoch: gamma if epoch % step_size == 0 else 1.0


def _at_milestones(milestones: Any, gamma: float = 0.1) -> Callable[[int], float]:
    return lambda epoch: gamma ** list(milestones).count(epoch)


def _always(gamma: float) -> Callable[[int], float]:
    return lambda epoch: gamma


def schedules() -> dict[str, Action]:
    """Return the schedules' constructors by dotted name."""
    made: dict[str, Callable[..., Callable[[int], float]]]
    made = {"StepLR": _at_steps, "MultiStepLR": _at_milestones, "ExponentialLR": _always}
    return {f"torch.optim.lr_scheduler.{name}": _schedule(one) for name, one in made.items()}


SCHEDULE_METHODS: dict[str, Action] = {
    "step": lambda reader, args, kwargs: args[0].step(),
    "get_last_lr": lambda reader, args, kwargs: [one["lr"] for one in args[0].optimizer.groups],
}


METHODS: dict[str, Action] = {"zero_grad": _zero_grad, "step": _step}

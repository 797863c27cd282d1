"""A convolution that torch refused, and changes of its arguments: in words, and as Python.

A fix has one form: "Use stride=2 and padding=1, or groups=1 or 2." Commas with "or" stand between
alternatives, and each of them is enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Protocol

from convt_trace.engine.layer import DEFAULTS, MODULE, Ints
from convt_trace.engine.text import count, shortest

_DEFAULTS: Mapping[str, Any] = {**DEFAULTS, "padding_mode": "zeros"}


class Attempted(Protocol):
    """A convolution that did not run, or a layer that was not built: what it was given."""

    @property
    def op(self) -> str:
        """Torch's function: "conv_transpose2d", "conv1d" and so on."""

    @property
    def input_shape(self) -> Ints | None:
        """None where no tensor was given."""

    @property
    def weight_shape(self) -> Ints | None:
        """None where no tensor was given."""

    @property
    def bias_shape(self) -> Ints | None:
        """None where no tensor was given."""

    @property
    def dtypes(self) -> Mapping[str, str]:
        """Of "input", "weight" and "bias", such as "float32"."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The function's other arguments, as they were given."""

    @property
    def layer(self) -> Mapping[str, Any] | None:
        """The constructor's arguments; None where a function was called."""


@dataclass(frozen=True)
class Explanation:
    """An error of torch in plain words.

    Attributes
    ----------
    plain : str
        What is wrong, in a sentence or two.
    what : str
        The tensor or parameter that offends: "x", "weight", "groups" and so on.
    fix : str
        The smallest changes that make it run, in words.
    code : str
        The first of them as Python, in terms of x, weight, bias, the parameters' names and layer;
        "" where it takes more than is known of the call.
    """

    plain: str
    what: str
    fix: str
    code: str = ""

    def to_json(self) -> dict[str, str]:
        """Return what is said, without the name that only a picture needs."""
        return {"plain": self.plain, "fix": self.fix, "code": self.code}


@dataclass(frozen=True)
class Refusal:
    """A convolution that torch refused.

    Attributes
    ----------
    op : str
        torch's function: "conv_transpose2d", "conv1d" and so on.
    layer : bool
        Whether a layer was called, or built, and not the function.
    x, weight, bias : tuple of int or None
        Shapes.
    dtypes : mapping
        Of the tensors, under these names.
    given : mapping
        The other arguments by name, with torch's defaults for those that were not given.

    Examples
    --------
    >>> call = Refusal("conv1d", x=(1, 2, 5), weight=(4, 3, 3), given={"stride": (2,)})
    >>> call.channels, call.outputs, call.each("stride")
    (3, 4, (2,))
    """

    op: str
    layer: bool = False
    x: Ints | None = None
    weight: Ints | None = None
    bias: Ints | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, attempt: Attempted) -> Refusal:
        """Return what is known of an attempt. A layer's weight may have been replaced: it counts."""
        x, weight, bias = attempt.input_shape, attempt.weight_shape, attempt.bias_shape
        dtypes = {name.replace("input", "x"): held for name, held in attempt.dtypes.items()}
        given = {**_DEFAULTS, **attempt.parameters, **(attempt.layer or {})}
        letters = given["padding"]
        if isinstance(letters, tuple) and all(isinstance(one, str) for one in letters):
            given["padding"] = "".join(letters)  # the constructor spread the word over its letters
        call = cls(attempt.op, attempt.layer is not None, x, weight, bias, dtypes, given)
        if not call.layer or not call.has_axes or call.groups < 1:
            return call
        sizes = {"in_channels": call.channels, "out_channels": call.outputs}
        return replace(call, given={**given, **sizes, "kernel_size": call.kernel})

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return int(self.op[-2])

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.op.startswith("conv_transpose")

    @property
    def name(self) -> str:
        """The layer's or the function's name."""
        return "".join(map(str.capitalize, self.op.split("_"))) if self.layer else self.op

    @property
    def has_axes(self) -> bool:
        """Whether x (where there is one yet) and the weight have the right number of axes."""
        x, weight, dims = self.x, self.weight, self.dims
        return (
            x is not None and weight is not None
            and len(x) in (dims + 1, dims + 2) and len(weight) == dims + 2
        )  # fmt: skip

    @property
    def groups(self) -> int:
        """Its groups; 1 where they are not a number."""
        return self.each("groups")[0]

    @property
    def channels(self) -> int:
        """The input channels that the weight takes."""
        weight = (*(self.weight or ()), 0, 0)
        return weight[0] if self.transposed else weight[1] * self.groups

    @property
    def outputs(self) -> int:
        """The output channels that the weight makes."""
        weight = (*(self.weight or ()), 0, 0)
        return weight[1] * self.groups if self.transposed else weight[0]

    @property
    def kernel(self) -> Ints:
        """The kernel's sizes: those of the weight, or those that the constructor was given."""
        known = self.weight is not None and len(self.weight) == self.dims + 2
        return self.weight[2:] if known and self.weight else self.each("kernel_size")

    @property
    def size(self) -> Ints:
        """The spatial sizes of x."""
        return (self.x or ())[-self.dims :]

    def each(self, name: str) -> Ints:
        """Return a parameter as one whole number per dimension, whatever it was given as."""
        default = _DEFAULTS.get(name, 1)
        given = self.given.get(name, default)
        numbers = [whole(value, default) for value in listed(given)] or [default]
        return (*numbers, *numbers[-1:] * self.dims)[: self.dims]

    def shape(self, ins: int, outs: int, groups: int, kernel: Ints | None = None) -> Ints:
        """Return the weight's shape for other channels."""
        first, second = (ins, outs) if self.transposed else (outs, ins)
        return (first, second // groups, *(kernel or self.kernel))

    def code(self, change: Mapping[str, Any]) -> str:
        """Return a change as Python: of a layer, the line that builds it."""
        builds = [name for name in change if self.layer and name in MODULE and name != "bias"]
        lines = [_assigned(name, value) for name, value in change.items() if name not in builds]
        return "\n".join([*lines, *([self._built(change)] if builds else [])]).rstrip()

    def _built(self, change: Mapping[str, Any]) -> str:
        given = {**self.given, **change}
        if any(name not in given for name in MODULE[:3]):
            return ""
        sizes = [text(given[name]) for name in MODULE[:3]]
        rest = [
            f"{name}={text(given[name])}"
            for name in MODULE[3:]
            if name in given and shortest(given[name]) != _DEFAULTS.get(name, True)
            and (self.transposed or name != "output_padding")
        ]  # fmt: skip
        return f"layer = nn.{self.name}({', '.join([*sizes, *rest])})"


# -- how a change is written ----------------------------------------------------------------------


def use(call: Refusal, *changes: Mapping[str, Any]) -> tuple[str, str]:
    r"""Return the sentence that offers some changes, any of which is enough, and the first as code.

    >>> call = Refusal("conv1d", given={"groups": 4})
    >>> use(call, {"stride": 2, "padding": 1}, {"groups": 1}, {"groups": 2})
    ('Use stride=2 and padding=1, or groups=1 or 2.', 'stride = 2\npadding = 1')
    """
    parts: list[str] = []
    before: list[str] = []
    for change in changes:
        names = list(change)
        if names == before and len(names) == 1:
            parts[-1] += f" or {text(change[names[0]])}"
        else:
            parts.append(" and ".join(_offered(name, value) for name, value in change.items()))
        before = names
    return f"Use {', or '.join(parts)}.", call.code(changes[0])


def _offered(name: str, value: Any) -> str:
    if name in ("x", "weight"):
        return f"{'an' if name == 'x' else 'a'} {name} of shape {value}"
    return (
        f"a bias of {count(value, 'number')}" if name == "bias" else f"{name}={text(value, name)}"
    )


def _assigned(name: str, value: Any) -> str:
    if name in ("x", "weight"):
        return f"{name} = torch.randn{value}"
    return f"bias = torch.zeros({value})" if name == "bias" else f"{name} = {text(value, name)}"


def text(value: Any, name: str = "") -> str:
    """Return a value as Python: one number for equal ones, but for an output_size, which is a list."""
    value = value if name == "output_size" else shortest(value)
    return json.dumps(value) if isinstance(value, str) else str(value)


def listed(value: Any) -> tuple[Any, ...]:
    """Return a tuple as it is, and anything else as a tuple of one."""
    return value if isinstance(value, tuple) else (value,)


def whole(value: Any, default: int) -> int:
    """Return what was given for a whole number as one: rounded down, or the default.

    >>> whole(2.5, 1), whole("3", 1), whole(None, 1)
    (2, 3, 1)
    """
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,9}", value) else default
    return int(value) if isinstance(value, (int, float)) and isfinite(value) else default

"""What a text turned out to hold: calls, printed text, notes, layers that nothing calls."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.layer import conv_length
from convt_trace.engine.made import Made
from convt_trace.engine.sized import Sized

Ints = tuple[int, ...]

#: Larger outputs are written into JSON as their shape, a fingerprint and the first 16 numbers.
LISTED_ELEMENTS = 4096


@dataclass(frozen=True, eq=False)
class Call:
    """One convolution that ran, transposed or plain.

    Attributes
    ----------
    op : str
        torch's function: "conv_transpose1d" ... "conv_transpose3d", "conv1d" ... "conv3d".
    line : int
        The innermost line of the text that made the call.
    stack : tuple of int
        The lines that led there, outermost first; the last one is ``line``.
    source : str
        That line as it was pasted.
    x : ndarray, shape (N, C_in, *L) or (C_in, *L)
    weight : ndarray
        ``(C_in, C_out/groups, *K)`` for a transposed convolution, ``(C_out, C_in/groups, *K)`` for
        a plain one.
    bias : ndarray, shape (C_out,), or None
    stride, padding, output_padding, dilation : tuple of int, one per spatial dimension
        A plain convolution has an ``output_padding`` of zeros.
    groups : int
    output : ndarray
        torch's result.
    origin : str
        Which function or layer made the call, such as "nn.ConvTranspose2d" or "gradient of conv2d".
    module : str
        The path in its model of the module that made the call, such as "decoder.up3"; may be empty.
    kind : str
        That module's class; empty where no module made the call.
    built : int
        The line that made the layer; 0 where it is not known.
    random : bool
        Whether its numbers come from a random generator that the text did not seed.
    mode : str
        The padding_mode with which a plain layer has padded x before the call, such as "circular";
        empty where its padding is zeros, or none.
    """

    op: str
    line: int
    stack: Ints
    source: str
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: Ints
    padding: Ints
    output_padding: Ints
    dilation: Ints
    groups: int
    output: np.ndarray
    origin: str
    module: str = ""
    kind: str = ""
    built: int = 0
    random: bool = False
    mode: str = ""

    @property
    def transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.op.startswith("conv_transpose")

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return self.weight.ndim - 2

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that call torch's function (a plain one has no output_padding)."""
        names = ["stride", "padding", "output_padding", "groups", "dilation"]
        return {name: getattr(self, name) for name in names if self.transposed or "put" not in name}

    @cached_property
    def case(self) -> Case | None:
        """The call as a `Case`; None for a plain convolution, an empty batch or complex numbers."""
        if not self.transposed:
            return None
        try:
            return Case.of(self.x, self.weight, self.bias, origin=self.place, **self.parameters)
        except (TypeError, ValueError, RuntimeError):
            return None

    @cached_property
    def conv(self) -> Conv | None:
        """The call as a `Conv`; None for a transposed convolution, or complex numbers."""
        if self.transposed:
            return None
        given = {**self.parameters, "padding": self.zeros}
        try:
            return Conv.of(self.x, self.weight, self.bias, origin=self.place, **given)
        except (TypeError, ValueError, RuntimeError):
            return None

    @property
    def zeros(self) -> Ints | str:
        """The padding of a plain convolution; "same" where it adds one zero more at an end."""
        sizes = zip(
            self.x.shape[-self.dims :], self.weight.shape[2:], self.stride, self.padding,
            self.dilation,
        )  # fmt: skip
        even = tuple(conv_length(n, k, s, 2 * p, d) for n, k, s, p, d in sizes)
        return self.padding if even == self.output.shape[-self.dims :] else "same"

    @property
    def maker(self) -> str:
        """The module that made the call, its class where that is the text's own, and where it was built."""
        if not self.module:
            return ""
        torchs = self.op.replace("conv_transpose", "ConvTranspose").replace("conv", "Conv")
        own = f" ({self.kind})" if self.kind not in ("", torchs) else ""
        return f"{self.module}{own}{f', made on line {self.built}' if self.built else ''}"

    @property
    def place(self) -> str:
        """Where it stands: its line, and the module if one made the call."""
        return f"line {self.line}{f', {self.module}' * bool(self.module)}"

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those that padding crops (or zero-pads) included."""
        if self.case is not None:
            return self.case.geometry.macs
        taps = prod(self.weight.shape[1:])
        return taps * (self.x.size if self.transposed else self.output.size)

    @cached_property
    def verdict(self) -> str:
        """How our own sums compare with torch's output: "equal", "rounding", "overflow" or "different"."""
        if self.transposed:
            from convt_trace.engine.reference import compare

            return compare(self.case).kind if self.case is not None else "equal"
        return _plain_verdict(self)

    def to_json(self) -> dict[str, Any]:
        """Return the call as plain lists and dicts."""
        return {
            "op": self.op,
            "lineno": self.line,
            "stack": list(self.stack),
            "input_shape": list(self.x.shape),
            "weight_shape": list(self.weight.shape),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "output_padding": list(self.output_padding),
            "groups": self.groups,
            "dilation": list(self.dilation),
            "output": _listed(self.output),
            "macs": self.macs,
            "verdict": self.verdict,
            **({"module": self.module} if self.module else {}),
        }


@dataclass(frozen=True)
class Attempt:
    """A convolution that was called, or a layer that was built, and did not run.

    Attributes
    ----------
    op : str
        As in `Call`.
    stack : tuple of int
        The lines that led there, outermost first.
    input_shape, weight_shape, bias_shape : tuple of int or None
        None where no tensor was given.
    parameters : dict
        The other arguments of torch's function as they were given: numbers, words, None, and tuples
        of these. Of a layer's call also its ``output_size``.
    dtypes : dict
        The dtypes of "input", "weight" and "bias", such as "float32".
    layer : dict or None
        The arguments of the layer's constructor; None where a function was called.
    """

    op: str
    stack: Ints
    input_shape: Ints | None
    weight_shape: Ints | None
    bias_shape: Ints | None
    parameters: dict[str, Any]
    dtypes: dict[str, str] = field(default_factory=dict)
    layer: dict[str, Any] | None = None


@dataclass(frozen=True)
class Shown:
    """A bare expression at the top level, and what a notebook shows for it."""

    line: int
    text: str


@dataclass(frozen=True)
class Note:
    """Something that was passed over or stands for something else, and the line (0: all of it)."""

    line: int
    text: str


@dataclass(frozen=True)
class WeightsNote:
    """What became of the file of weights at a line of the text (0: all of it).

    Attributes
    ----------
    line : int
    text : str
        A sentence that names the file.
    loaded : bool
        Whether a module has its tensors from there on.
    """

    line: int
    text: str
    loaded: bool


@dataclass(frozen=True)
class Argument:
    """One argument that running a definition needs.

    Attributes
    ----------
    name : str
    default : str or None
        The default as it is written; None when the argument must be given.
    """

    name: str
    default: str | None = None


@dataclass(frozen=True)
class Run:
    """How to run a class (or layer) that the text defines and never calls.

    Attributes
    ----------
    target : str or int
        The class's name, or a line inside the class or of the layer.
    input_shapes : tuple of shapes
        One per argument of ``forward``; filled with ``torch.randn``. Empty: `get_inputs()`.
    init_args : str
        The constructor's arguments as they would be written: ``"64, 32, bilinear=True"``.
        Without it ``get_init_inputs()`` is used where the text has one.

    Examples
    --------
    >>> Run("Up", input_shapes=((1, 64, 8, 8),), init_args="64, 32").target
    'Up'
    """

    target: str | int
    input_shapes: tuple[Ints, ...] = ()
    init_args: str | None = None


@dataclass(frozen=True)
class Definition:
    """A transposed convolution that the text writes down and never calls.

    Attributes
    ----------
    line : int
        Where it is written.
    text : str
        The constructor (or function call) as it is written.
    op : str
        "conv_transpose1d", ...
    owner : str or None
        The class or function that holds it; None at the top level.
    owner_line : int or None
    init_arguments, forward_arguments : tuple of Argument
        What the owner's constructor and its ``forward`` take (without ``self``).
    arguments : dict
        The constructor's arguments by name, those whose value the syntax tells: constants, names that
        stand for one, defaults.
    unknown : tuple of str
        Arguments that are given, and whose value it does not tell.
    trial : Run or None
        How it can be run, to begin with: a guess.
    uncalled : bool
        Whether the text ran and nothing called it; False where the text was not run.
    """

    line: int
    text: str
    op: str
    owner: str | None = None
    owner_line: int | None = None
    init_arguments: tuple[Argument, ...] = ()
    forward_arguments: tuple[Argument, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    trial: Run | None = None
    uncalled: bool = True

    @property
    def dims(self) -> int:
        """Spatial dimensions: 1, 2 or 3."""
        return int(self.op[-2])

    @property
    def in_channels(self) -> int | None:
        """The channels of its input, where they are told."""
        channels = self.arguments.get("in_channels")
        return channels if type(channels) is int and channels > 0 else None

    @property
    def values(self) -> str:
        """Its arguments with the values that are told, where the text itself has only their names."""
        written = set(re.findall(r"[\w.]+", self.text))
        parts = [
            str(part)
            for value in self.arguments.values()
            for part in np.atleast_1d(np.array(value))
        ]
        if written.issuperset(parts):
            return ""
        return ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())

    def __str__(self) -> str:
        known = " and nothing here calls it" if self.uncalled else ""
        return f"line {self.line} defines {self.text}{known}"


@dataclass(frozen=True, eq=False)
class Reading:
    """Everything that was read from a text.

    Attributes
    ----------
    calls : tuple of Call
        Convolutions in the order in which they ran.
    printed : str
        What the text's prints show.
    shown : tuple of Shown
        Bare expressions at the top level.
    notes : tuple of Note
        What was passed over, cleaned or is random.
    definitions : tuple of Definition
        Transposed convolutions that were written down and never ran.
    sizes : tuple of Sized
        Every convolution that ran, by its sizes: also those whose numbers are not kept.
    made : tuple of Made
        How the sizes of its tensors follow from each other.
    weights : tuple of WeightsNote
        What became of the file of weights; empty where there is none.
    """

    calls: tuple[Call, ...] = ()
    printed: str = ""
    shown: tuple[Shown, ...] = ()
    notes: tuple[Note, ...] = ()
    definitions: tuple[Definition, ...] = ()
    sizes: tuple[Sized, ...] = ()
    made: tuple[Made, ...] = ()
    weights: tuple[WeightsNote, ...] = ()

    @property
    def cases(self) -> tuple[Case, ...]:
        """The transposed calls as cases."""
        return tuple(call.case for call in self.calls if call.case is not None)

    @property
    def random(self) -> bool:
        """Whether some call's numbers differ at each run, because nothing seeds them."""
        return any(call.random for call in self.calls)

    def to_json(self) -> dict[str, Any]:
        """Return calls and printed text as plain lists and dicts.

        Shown expressions, notes, weights and uncalled definitions are added where there are any.
        """
        result: dict[str, Any] = {
            "calls": [call.to_json() for call in self.calls],
            "printed": self.printed,
        }
        if self.shown:
            result["shown"] = [{"lineno": one.line, "text": one.text} for one in self.shown]
        if self.notes:
            result["notes"] = [{"lineno": one.line, "text": one.text} for one in self.notes]
        if self.weights:
            result["weights"] = [
                {"lineno": one.line, "text": one.text, "loaded": one.loaded} for one in self.weights
            ]
        if self.definitions:
            result["definitions"] = [_definition_json(one) for one in self.definitions]
        return result


def _definition_json(one: Definition) -> dict[str, Any]:
    return {
        "lineno": one.line,
        "text": one.text,
        "op": one.op,
        "arguments": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in one.arguments.items()
        },
        "owner": one.owner,
        "init_arguments": [{"name": a.name, "default": a.default} for a in one.init_arguments],
        "forward_arguments": [
            {"name": a.name, "default": a.default} for a in one.forward_arguments
        ],
    }


def _listed(output: np.ndarray) -> Any:
    """Return an output as nested lists, or its shape, fingerprint and beginning."""
    if output.dtype.kind == "c":
        output = output.real
    plain = output.astype(np.float32) if output.dtype.kind not in "iu" else output
    if output.size <= LISTED_ELEMENTS:
        return plain.tolist()
    floats = np.ascontiguousarray(output, dtype="<f4")
    return {
        "shape": list(output.shape),
        "sha256": hashlib.sha256(floats.tobytes()).hexdigest(),
        "first16": plain.reshape(-1)[:16].tolist(),
    }


def _plain_verdict(call: Call) -> str:
    """Compare a plain convolution with its sums, added up tap by tap in float64 (or int64)."""
    ours, magnitude = _plain_sums(call)
    theirs = wide(call.output).reshape(ours.shape)
    with np.errstate(all="ignore"):
        if np.array_equal(ours.astype(call.output.dtype), call.output.reshape(ours.shape)):
            return "equal"
        if call.output.dtype.kind in "iu":
            return "different"
        eps = 2.0 ** -{"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}.get(
            call.output.dtype.name, 7
        )
        unit = min((prod(call.weight.shape[1:]) + 1) * eps / 2, 0.5)
        bound = magnitude * (unit / (1 - unit) + 2 * eps) + 1e-37
        stored = wide(ours.astype(call.output.dtype))
        close = np.isfinite(theirs) & (np.abs(ours - theirs) <= bound)
        same = close | (stored == theirs) | (np.isnan(ours) & np.isnan(theirs))
        # Whether a sum leaves the range on its way depends on the order of adding.
        finite = np.isfinite(stored) & np.isfinite(theirs)
        beyond = ~(magnitude + bound <= float(ml_dtypes.finfo(call.output.dtype).max))
    if same.all():
        return "rounding"
    return "overflow" if (same | (beyond & ~finite)).all() else "different"


def _plain_sums(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Return a plain convolution's output and the sums of its terms' magnitudes, both wide."""
    dims = call.dims
    x = wide(call.x if call.x.ndim == dims + 2 else call.x[None])
    out = call.output if call.output.ndim == dims + 2 else call.output[None]
    # One zero more per side than padding asks for where "same" padding is uneven costs nothing.
    x = np.pad(
        x, [(0, 0), (0, 0), *((p, p + k) for p, k in zip(call.padding, call.weight.shape[2:]))]
    )
    weight = wide(call.weight)
    groups, ins, outs = call.groups, weight.shape[1], weight.shape[0] // max(call.groups, 1)
    total = np.zeros(out.shape, dtype=x.dtype)
    magnitude = np.zeros(out.shape)
    for tap in np.ndindex(*weight.shape[2:]):
        window = x[
            (
                slice(None),
                slice(None),
                *(
                    slice(k * d, k * d + (length - 1) * s + 1, s)
                    for k, d, s, length in zip(tap, call.dilation, call.stride, out.shape[2:])
                ),
            )
        ]
        for group in range(groups):
            cut = slice(group * ins, (group + 1) * ins)
            put = slice(group * outs, (group + 1) * outs)
            w, part = weight[(put, slice(None), *tap)], window[:, cut]
            total[:, put] += np.moveaxis(np.tensordot(w, part, (1, 1)), 0, 1)
            magnitude[:, put] += np.moveaxis(
                np.tensordot(np.abs(w), np.abs(part), (1, 1)), 0, 1
            ).astype(np.float64)
    if call.bias is not None:
        bias = wide(call.bias).reshape(1, -1, *[1] * dims)
        total, magnitude = total + bias, magnitude + np.abs(bias)
    return total, magnitude

"""The output-size formula, term by term, each a length on the uncropped canvas; and ``output_size=``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from convt_trace.engine.layer import Axis, Geometry, Ints, Layer
from convt_trace.engine.text import AXES


@dataclass(frozen=True)
class Term:
    """A term of the formula.

    Attributes
    ----------
    name : str
        "steps", "kernel", "crop" or "extra".
    symbols, numbers : str
        The term with torch's names, and with numbers; its sign included.
    value : int
    spans : tuple of (int, int)
        Where it lies on the canvas: from, to. A crop lies at both ends.
    """

    name: str
    symbols: str
    numbers: str
    value: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Formula:
    """The output size along one axis.

    Attributes
    ----------
    axis : str
        Its name: "L", "H", "W" or "D".
    terms : tuple of Term
        Their values add up to the output size.
    output : (int, int)
        Where the output lies on the canvas.
    canvas : int
        Positions of the canvas, and of the output where that reaches further.
    """

    axis: str
    terms: tuple[Term, ...]
    output: tuple[int, int]
    canvas: int

    @property
    def size(self) -> int:
        """The output size."""
        return self.output[1] - self.output[0]

    @property
    def symbols(self) -> str:
        """The formula with torch's names.

        >>> formula(Layer.of(1, 1, 4, stride=2, padding=1, dims=1), (16,))[0].symbols
        '(L_in - 1)*stride + dilation*(kernel_size - 1) + 1 - 2*padding + output_padding'
        """
        return _joined([term.symbols for term in self.terms]).replace("L_in", f"{self.axis}_in")

    @property
    def numbers(self) -> str:
        """The formula with its numbers.

        >>> formula(Layer.of(1, 1, 4, stride=2, padding=1, dims=1), (16,))[0].numbers
        '(16 - 1)*2 + 1*(4 - 1) + 1 - 2*1 + 0 = 30 + 4 - 2 + 0 = 32'
        """
        values = _joined([str(term.value) for term in self.terms])
        return f"{_joined([term.numbers for term in self.terms])} = {values} = {self.size}"


def _joined(parts: Sequence[str]) -> str:
    first, *rest = parts
    return first + "".join(
        f" - {part[1:]}" if part.startswith("-") else f" + {part}" for part in rest
    )


def formula(layer: Layer, input_size: Ints) -> tuple[Formula, ...]:
    """Return the output-size formula of each spatial axis.

    Parameters
    ----------
    layer : Layer
    input_size : tuple of int

    Raises
    ------
    LayerError
        Where torch refuses the layer on this input.
    """
    geometry = Geometry(layer, 1, input_size)
    return tuple(_formula(name, axis) for name, axis in zip(AXES[layer.dims], geometry.axes))


def _formula(name: str, axis: Axis) -> Formula:
    steps = (axis.length - 1) * axis.stride
    kernel = axis.dilation * (axis.taps - 1) + 1
    end = steps + kernel - axis.padding
    terms = (
        Term(
            "steps", "(L_in - 1)*stride", f"({axis.length} - 1)*{axis.stride}", steps, ((0, steps),)
        ),
        Term(
            "kernel",
            "dilation*(kernel_size - 1) + 1",
            f"{axis.dilation}*({axis.taps} - 1) + 1",
            kernel,
            ((steps, steps + kernel),),
        ),
        Term(
            "crop",
            "-2*padding",
            f"-2*{axis.padding}",
            -2 * axis.padding,
            ((0, axis.padding), (end, end + axis.padding)),
        ),
        Term(
            "extra",
            "output_padding",
            str(axis.output_padding),
            axis.output_padding,
            ((end, end + axis.output_padding),),
        ),
    )
    output = (axis.padding, axis.padding + axis.outputs)
    return Formula(name, terms, output, max(axis.canvas, output[1]))


# -- output_size= -----------------------------------------------------------------------------------


class OutputSizeError(ValueError):
    """An output_size that torch refuses; the message is torch's own."""


def output_sizes(layer: Layer, input_size: Ints) -> tuple[range, ...]:
    """Return what ``output_size=`` may be in a call of the layer, per axis.

    The first is what output_padding=0 makes; each of the others takes one more, up to stride - 1.

    >>> output_sizes(Layer.of(1, 1, 3, stride=2, padding=1, dims=1), (27,))
    (range(53, 55),)
    """
    bare = replace(layer, output_padding=(0,) * layer.dims)
    return tuple(
        range(size, size + stride)
        for size, stride in zip(bare.output_size(input_size), layer.stride)
    )


def output_padding_for(layer: Layer, input_size: Ints, output_size: Ints) -> Ints:
    """Return the output_padding that ``output_size=`` comes to.

    Raises
    ------
    OutputSizeError
        Outside `output_sizes`, in torch's words.

    Examples
    --------
    >>> layer = Layer.of(1, 1, 3, stride=2, padding=1, dims=1)
    >>> output_padding_for(layer, (27,), (54,))
    (1,)
    """
    legal = output_sizes(layer, input_size)
    if len(output_size) != layer.dims:
        dims = layer.dims
        raise OutputSizeError(
            f"ConvTranspose{dims}D: for {dims + 2}D input, output_size must have {dims} or "
            f"{dims + 2} elements (got {len(output_size)})"
        )
    if not all(size in sizes for size, sizes in zip(output_size, legal)):
        first, last = ([sizes[at] for sizes in legal] for at in (0, -1))
        shape = f"torch.Size({list(input_size)})"
        raise OutputSizeError(
            f"requested an output size of {list(output_size)}, but valid sizes range from {first} to "
            f"{last} (for an input of {shape})"
        )
    return tuple(size - sizes[0] for size, sizes in zip(output_size, legal))

"""What a linked view is made of: the tensors that it shows, and which of their cells a MAC lights.

A view knows nothing of drawing. It names its tensors, says of some MACs where each of them stands in
every tensor, and works the layer out its own way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import prod

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.trace import Mac, Macs

#: A place on an axis: "real", "zero" (between inputs) or "pad" (around them), and its own number there.
Place = tuple[str, int | None]


class NotComputedError(ValueError):
    """A view's result that would say nothing about the layer; the message is one sentence."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tensor:
    """A tensor of a linked view.

    Attributes
    ----------
    name : str
        How `LinkedView.lit` and its equation call it.
    title : str
        What stands over it, such as "input x".
    letter : str
        How the names of its cells begin, such as "x" in ``x[0,1,2]``.
    shape : tuple of int
        The sizes of its axes.
    axes : str
        A letter for each axis: "n" batch item, "g" group, "c" channels, "s" positions or taps. Of
        channels those that take part are shown; of positions, whole stretches.
    values : callable
        Index arrays to numbers; asked only for cells inside ``shape``. None where the numbers do not
        matter, and the cells stay empty.
    there : callable or None
        Index arrays to whether the tensor has a number there; None: everywhere.
    place : callable or None
        (axis, position) to what stands there, where some positions hold no number of the case.
    blocks : int
        How many of the first axes number blocks, each drawn apart; the others are drawn.
    same : str
        "input", "weight" or "output" where it is that tensor of the case, cell for cell.
    joins : tuple of str
        Of a matrix: the tensors of the case whose cells are its rows and its columns. Its numbers are
        the weights of the MACs that join them, and all else is empty.
    cropped : tuple of (int, int)
        For each axis of positions, how many places before and after it MACs reach that padding crops.
    unbatched : bool
        Whether the names of cells leave the batch item out, as torch does.
    tells : bool
        Whether its numbers tell the output, which may be hidden, to be predicted.
    line : str
        The heading of the line of tensors that it begins; empty where it goes on with one.
    """

    name: str
    title: str
    letter: str
    shape: Ints
    axes: str
    values: Callable[..., np.ndarray] | None = None
    there: Callable[..., np.ndarray] | None = None
    place: Callable[[int, int], Place] | None = None
    blocks: int = 2
    same: str = ""
    joins: tuple[str, ...] = ()
    cropped: tuple[tuple[int, int], ...] = ()
    unbatched: bool = False
    tells: bool = False
    line: str = ""

    def cell(self, index: Sequence[int]) -> str:
        """Return the name of a cell, as `LinkedView.equation_of` writes it.

        >>> Tensor(name="x", title="", letter="x", shape=(1, 2, 3), axes="ncs").cell((0, 1, 2))
        'x[0,1,2]'
        >>> Tensor(name="x", title="", letter="x", shape=(2, 1, 2, 3), axes="gncs").cell((1, 0, 1, 2))
        'x1[0,1,2]'
        """
        if not self.joins:
            return f"{self.name_of(index)}]"
        labels = [str(at) for at in index]
        half = len(labels) // 2
        rows, columns = ",".join(labels[:half]), ",".join(labels[half:])
        return f"{self.letter}[({rows}), ({columns})]"

    def name_of(self, start: Sequence[int]) -> str:
        """Return how the names of cells begin whose index begins so: a group stands in the letter."""
        group = [str(at) for at, axis in zip(start, self.axes) if axis == "g"]
        rest = [
            self._label(axis, int(at))
            for axis, at in enumerate(start)
            if self.axes[axis] != "g" and not (self.unbatched and self.axes[axis] == "n")
        ]
        return f"{self.letter}{''.join(group)}[{','.join(rest)}"

    def _label(self, axis: int, at: int) -> str:
        return str(self.place(axis, at)[1] if self.place and self.axes[axis] == "s" else at)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """Between which indices there are numbers, per axis.

        Where places say what stands on them, also on those that padding crops.
        """
        bounds = [(0, size) for size in self.shape]
        if self.place and self.cropped:
            axes = [axis for axis, letter in enumerate(self.axes) if letter == "s"]
            for axis, (before, after) in zip(axes, self.cropped):
                bounds[axis] = (-before, self.shape[axis] + after)
        return bounds

    def number(self, index: Sequence[int]) -> float:
        """Return the number of a cell; 0 outside the tensor."""
        inside = all(low <= at < high for at, (low, high) in zip(index, self.bounds))
        if not inside or self.values is None:
            return 0
        return self.values(*(np.asarray(at) for at in index)).item()


@dataclass(frozen=True, eq=False, kw_only=True)
class LinkedView:
    """One way to see a case: an equivalent description, on the case's own numbers.

    Attributes
    ----------
    name : str
    sentence : str
        What one is looking at.
    tensors : tuple of Tensor
    lit : callable
        `Macs` to the index in every tensor, by its name: an integer array of shape (m, axes).
    equation : str
        What holds for a MAC, see `equation_of`.
    code : str
        A program that computes the layer this way with torch, and prints the result.
    result : callable
        The layer's output, worked out this way, in torch's shape and dtype; it may raise
        `NotComputedError`.
    notes : callable
        Further sentences, with numbers that take a while to work out.
    arrows : tuple of str
        Two tensors between which every MAC is drawn as an arrow; empty for none.
    """

    name: str
    sentence: str
    tensors: tuple[Tensor, ...]
    lit: Callable[[Macs], Mapping[str, np.ndarray]]
    equation: str
    code: str
    result: Callable[[], np.ndarray]
    notes: Callable[[], list[str]] = field(default=list)
    arrows: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<view {self.name!r}: {', '.join(tensor.title for tensor in self.tensors)}>"

    def cells_of(self, mac: Mac) -> dict[str, Ints]:
        """Return which cell of every tensor a MAC lights, by the tensor's name."""
        return {name: tuple(at[0].tolist()) for name, at in self.lit(as_macs(mac)).items()}

    def equation_of(self, mac: Mac) -> str:
        """Return what holds for a MAC: the template with its names and numbers.

        In the template ``{x}`` is the name of the cell that is lit in the tensor ``x``, and ``{x=}``
        its number; ``{product}``, ``{before}`` and ``{after}`` are the MAC's own.
        """
        index = self.cells_of(mac)
        tensors = {tensor.name: tensor for tensor in self.tensors}

        def fill(place: re.Match[str]) -> str:
            name, number = place[1], bool(place[2])
            if name not in tensors:
                return _written(getattr(mac, name))
            tensor = tensors[name]
            return _written(tensor.number(index[name])) if number else tensor.cell(index[name])

        return re.sub(r"\{(\w+)(=?)\}", fill, self.equation)


def _written(number: float) -> str:
    return f"{number + 0:g}"  # without the sign of -0


def as_macs(mac: Mac) -> Macs:
    """Return one MAC as columns of one row."""
    return Macs(*(np.asarray([getattr(mac, part.name)]) for part in fields(Macs)))


# -- the tensors that most views show ---------------------------------------------------------------


def input_of(case: Case, line: str = "", title: str = "input x", name: str = "x") -> Tensor:
    """Return the case's input as a view's tensor."""
    x = case.batched
    return Tensor(
        name=name,
        title=title,
        letter="x",
        shape=x.shape,
        axes="nc" + "s" * case.dims,
        values=lambda *at: wide(x[at]),
        same="input",
        unbatched=case.unbatched,
        line=line,
    )


def weight_of(case: Case, line: str = "", title: str = "weight w", name: str = "w") -> Tensor:
    """Return the case's weight as a view's tensor."""
    weight = case.weight
    return Tensor(
        name=name,
        title=title,
        letter="w",
        shape=weight.shape,
        axes="cc" + "s" * case.dims,
        values=lambda *at: wide(weight[at]),
        same="weight",
        line=line,
    )


def output_of(case: Case, line: str = "", title: str = "output y", name: str = "y") -> Tensor:
    """Return the case's output as a view's tensor; what padding crops lies outside its shape."""
    shape = case.geometry.output_shape
    return Tensor(
        name=name,
        title=title,
        letter="y",
        shape=shape,
        axes="nc" + "s" * case.dims,
        values=lambda *at: wide(case.trace().output.reshape(shape)[at]),
        same="output",
        cropped=cropped_of(case),
        unbatched=case.unbatched,
        tells=True,
        line=line,
    )


def cropped_of(case: Case) -> tuple[tuple[int, int], ...]:
    """Return how many places before and after the output padding crops, per axis.

    >>> cropped_of(Case.of([[[1, 2]]], [[[1, 2, 3]]], padding=1))
    ((1, 1),)
    """
    return tuple(
        (axis.padding, axis.canvas - axis.padding - axis.outputs) for axis in case.geometry.axes
    )


def places(*columns: np.ndarray) -> np.ndarray:
    """Return index columns, some of them (m, dims), as one array (m, axes)."""
    parts = [column[:, None] if column.ndim == 1 else column for column in columns]
    return np.concatenate(parts, axis=1).astype(np.int64)


def lit_input(macs: Macs) -> np.ndarray:
    """Return where MACs stand in the input."""
    return places(macs.n, macs.in_channel, macs.i)


def lit_weight(case: Case, macs: Macs) -> np.ndarray:
    """Return where MACs stand in the weight."""
    return places(macs.in_channel, out_local(case, macs), macs.k)


def lit_output(macs: Macs) -> np.ndarray:
    """Return where MACs stand in the output; outside it where padding crops them."""
    return places(macs.n, macs.out_channel, macs.o)


def in_local(case: Case, macs: Macs) -> np.ndarray:
    """Return the MACs' input channels, numbered inside their group."""
    return macs.in_channel - macs.group * case.layer.in_per_group


def out_local(case: Case, macs: Macs) -> np.ndarray:
    """Return the MACs' output channels, numbered inside their group."""
    return macs.out_channel - macs.group * case.layer.out_per_group


# -- what an equivalent description may not do -------------------------------------------------------


def refuse_zeros_times_infinity(case: Case) -> None:
    """Refuse inf and nan where a description multiplies zeros that the layer leaves out.

    Raises
    ------
    NotComputedError
    """
    if not all(np.isfinite(wide(tensor)).all() for tensor in (case.x, case.weight)):
        raise NotComputedError(
            "Not compared: the case holds inf or nan, and this way also multiplies zeros, which "
            "makes nan of them."
        )


#: Products that a view's own numbers may take: some tenths of a second, and up to 64 MB.
MOST_PRODUCTS = 2**23


def refuse_large(case: Case, most: int = MOST_PRODUCTS) -> None:
    """Refuse to work a large layer out again.

    Raises
    ------
    NotComputedError
    """
    layer = case.layer
    products = prod(case.geometry.output_shape) * layer.in_per_group * prod(layer.kernel_size)
    if products > most:
        raise NotComputedError(
            f"Not worked out here: that takes {products:,} products; up to {most:,} are done."
        )


# -- code -------------------------------------------------------------------------------------------


def program(case: Case, *lines: str, functional: bool = True) -> str:
    """Return a program of torch: the case's tensors, then these lines, then what it prints.

    The lines leave the layer's output, without the bias, in ``y``. torch has no gradient of whole
    numbers and on the CPU no plain convolution of them: these are float64 on the way.
    """
    imports = ["import torch", *(["import torch.nn.functional as F"] if functional else [])]
    parts = [*imports, "", case.tensors_as_code()]
    whole = case.x.dtype.kind in "iu"
    if whole:
        parts += ["x, weight = x.double(), weight.double()"]
    parts += ["", *lines]
    if case.bias is not None:
        ones = ", ".join(["-1", *["1"] * case.dims])
        parts += [f"y = y + bias.reshape({ones})"]
    return "\n".join([*parts, "print(y.long())" if whole else "print(y)"])


def arguments(case: Case, *names: str) -> list[str]:
    """Return the layer's parameters as keyword arguments of torch, those that are not the default.

    >>> case = Case.of(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), stride=(2, 1), padding=1)
    >>> arguments(case, "stride", "padding", "dilation")
    ['stride=(2, 1)', 'padding=1']
    """
    shortened = {"groups": (case.layer.groups,)}
    given = {name: shortened.get(name) or getattr(case.layer, name) for name in names}
    usual = {"padding": 0, "output_padding": 0}
    return [
        f"{name}={one_or_all(value)}"
        for name, value in given.items()
        if set(value) != {usual.get(name, 1)}
    ]


def one_or_all(numbers: Ints) -> str:
    """Return a parameter as code: one number where all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else str(numbers)

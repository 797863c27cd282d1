"""How a translated program is written: its tensors, its crops, what makes torch's dtype of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from convt_trace.elsewhere.conventions import CanvasAxis, Window
from convt_trace.elsewhere.ported import listed, taps
from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.text import AXES

#: Larger tensors are written as random ones of their shape, not number by number.
WRITTEN_OUT = 4096


@dataclass(frozen=True)
class Numbers:
    """The dtype that a program computes in, and what becomes of the result.

    Attributes
    ----------
    dtype : str
        numpy's name of the dtype that is computed in.
    back : str
        What is put behind the result to get torch's dtype; empty where it has it.
    sentence : str
        What is lost, for the reader; empty where nothing is.
    """

    dtype: str
    back: str = ""
    sentence: str = ""


def numbers_of(case: Case, framework: str, floats: Sequence[str]) -> Numbers:
    """Return how a case's numbers are computed where a framework has these float dtypes alone.

    Examples
    --------
    >>> case = Case.of([[[2, 1]]], [[[1, 5]]])
    >>> numbers_of(case, "Keras", ("float32", "float64"))
    Numbers(dtype='float32', back='.astype("int64")', sentence='')
    """
    name = case.x.dtype.name
    if name in floats:
        return Numbers(name)
    if case.x.dtype.kind in "iu":
        return _whole_numbers(case, framework, floats)
    if name == "float64":
        return Numbers(
            floats[-1],
            f'.astype("{name}")',
            f"{framework} computes this layer in {floats[-1]} at most, and rounds float64's numbers.",
        )
    return Numbers(
        "float32", ".astype(ml_dtypes.bfloat16)" if name == "bfloat16" else f'.astype("{name}")'
    )


def _whole_numbers(case: Case, framework: str, floats: Sequence[str]) -> Numbers:
    name = case.x.dtype.name
    back = '.astype("int64")' + ("" if name == "int64" else f'.astype("{name}")')
    exact = {"float32": 2**24, "float64": 2**53}
    for dtype in floats:
        if _largest_sum(case) <= exact[dtype]:
            return Numbers(dtype, back)
    return Numbers(
        floats[-1],
        back,
        f"{framework} convolves floats alone, and these whole numbers' sums are too large for "
        f"{floats[-1]} to hold exactly.",
    )


def _largest_sum(case: Case) -> float:
    """Return a number that no sum of the case, and none of its terms, exceeds."""
    x, weight = (float(np.abs(wide(t).astype(float)).max(initial=0)) for t in (case.x, case.weight))
    bias = 0.0 if case.bias is None else float(np.abs(wide(case.bias).astype(float)).max())
    terms = case.layer.in_per_group * prod(case.layer.kernel_size)
    return max(x, weight, x * weight * terms + bias)


def tensor_lines(case: Case, dtype: str) -> list[str]:
    r"""Return lines of numpy that make ``x``, ``weight`` and, if there is one, ``bias``.

    >>> print(*tensor_lines(Case.of([[[2.0, 1.0]]], [[[1.0, 5.0]]]), "float32"), sep="\n")
    x = np.array([2, 1], dtype="float32").reshape(1, 1, 2)  # (N, C, L), as PyTorch has it
    weight = np.array([1, 5], dtype="float32").reshape(1, 1, 2)  # (in, out, k)
    """
    batch = [] if case.unbatched else ["N"]
    groups = "/groups" if case.layer.groups > 1 else ""
    orders = {
        "x": f"({listed([*batch, 'C', *AXES[case.dims]])}), as PyTorch has it",
        "weight": f"(in, out{groups}, {listed(taps(case.dims))})",
        "bias": "(out)",
    }
    tensors = {"x": case.x, "weight": case.weight, "bias": case.bias}
    return [
        f"{name} = {_written(tensor, dtype, seed)}  # {orders[name]}"
        for seed, (name, tensor) in enumerate(tensors.items())
        if tensor is not None
    ]


def _written(tensor: np.ndarray, dtype: str, seed: int) -> str:
    """Return a tensor as a numpy expression; a large one as random numbers of its shape."""
    shape = listed(tensor.shape)
    if tensor.size > WRITTEN_OUT:
        random = f"np.random.default_rng({seed})"
        if tensor.dtype.kind in "iu":
            return f'{random}.integers(0, 4, ({shape})).astype("{dtype}")'
        return f'{random}.normal(size=({shape})).astype("{dtype}")'
    numbers = listed(_number(value) for value in tensor.reshape(-1).tolist())
    return f'np.array([{numbers}], dtype="{dtype}").reshape({shape})'


def _number(value: float) -> str:
    if isinstance(value, float):
        if not np.isfinite(value):
            return f'float("{value}")'
        if value.is_integer() and abs(value) < 2**53:
            return "-0.0" if value == 0 and np.signbit(value) else str(int(value))
    return repr(value)


def is_written_out(case: Case) -> bool:
    """Tell whether a program holds all of a case's numbers."""
    return max(case.x.size, case.weight.size) <= WRITTEN_OUT


def mending_lines(
    axes: Sequence[CanvasAxis], have: Sequence[Window], want: Sequence[Window]
) -> list[str]:
    """Return lines of numpy that crop and pad ``y`` from one window to another, which it covers.

    >>> axis = CanvasAxis(3, 3, stride=2)
    >>> mending_lines([axis], [Window(0, 7)], [Window(1, 6)])
    ['y = y[..., 1:]  # PyTorch crops here']
    >>> mending_lines([axis], [Window(0, 7)], [Window(0, 8)])
    ['y = np.pad(y, [(0, 0), (0, 0), (0, 1)])  # zeros beyond the canvas']
    """
    slices, pads = [], []
    for had, wanted in zip(have, want):
        begin, end = wanted.before - had.before, wanted.before + wanted.size - had.before
        slices.append(f"{max(begin, 0) or ''}:{end if 0 < end < had.size else ''}")
        pads.append((max(-begin, 0), max(end - max(begin, had.size), 0)))
    lines = []
    if any(part != ":" for part in slices):
        lines.append(f"y = y[..., {listed(slices)}]  # PyTorch crops here")
    if any(map(any, pads)):
        lines.append(f"y = np.pad(y, {[(0, 0), (0, 0), *pads]})  # zeros beyond the canvas")
    return lines


@dataclass(frozen=True)
class Program:
    """The parts of a translated program that differ from framework to framework.

    Attributes
    ----------
    imports : tuple of str
    layer : tuple of str
        Lines that make ``y``, channels first, of ``part`` and ``block``: one group's x and weight.
    mending : tuple of str
        Lines that crop and pad ``y``.
    numbers : Numbers
    groups : int
        How many layers stand side by side, each with one group's channels.
    bias : bool
        Whether the bias is still to be added.
    """

    imports: tuple[str, ...]
    layer: tuple[str, ...]
    mending: tuple[str, ...]
    numbers: Numbers
    groups: int = 1
    bias: bool = True

    def text(self, case: Case) -> str:
        """Return the program that prints the case's output as PyTorch has it."""
        lines = [*self.imports]
        if "ml_dtypes" in self.numbers.back:
            lines.insert(lines.index("import numpy as np"), "import ml_dtypes")
        lines += ["", *tensor_lines(case, self.numbers.dtype), ""]
        lines += self._layers(case) + [*self.mending]
        if self.bias and case.bias is not None:
            lines.append(f"y = y + bias.reshape({listed((-1, *[1] * case.dims))})")
        if case.unbatched:
            lines.append("y = y[0]  # no batch axis")
        if self.numbers.back:
            lines.append(f"y = y{self.numbers.back}")
        return "\n".join([*lines, "print(y)"])

    def _layers(self, case: Case) -> list[str]:
        whole = "x[None]" if case.unbatched else "x"
        if self.groups == 1:
            return [
                line.replace("{part}", whole).replace("{block}", "weight") for line in self.layer
            ]
        inside = [line.replace("{part}", "part").replace("{block}", "block") for line in self.layer]
        split = f"np.split({whole}, {self.groups}, axis=1), np.split(weight, {self.groups})"
        return [
            "parts = []  # one layer per group",
            f"for part, block in zip({split}):",
            *(f"    {line}" for line in inside),
            "    parts.append(y)",
            "y = np.concatenate(parts, axis=1)",
        ]

"""Two conventions on one canvas: what each keeps, where the odd position goes, how the outputs differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from convt_trace.elsewhere.canvas import axes_of, canvas_of, output_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    flax_window,
    keras_window,
    lax_window,
    odd_side,
    onnx_window,
)
from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.text import AXES

#: What a convention keeps of one axis; the number is the case's padding there.
_Rule = Callable[[CanvasAxis, int], Window]

#: Every convention by its name, beside "pytorch", which is the case's own.
CONVENTIONS: dict[str, tuple[str, _Rule]] = {
    "keras valid": ('Keras, padding="valid"', lambda axis, _: keras_window(axis, "valid")),
    "keras same": ('Keras, padding="same"', lambda axis, _: keras_window(axis, "same")),
    "jax SAME": ('JAX, "SAME"', lambda axis, _: lax_window(axis, "SAME")),
    "jax VALID": ('JAX, "VALID"', lambda axis, _: lax_window(axis, "VALID")),
    "jax padding": ("JAX, PyTorch's padding as pads", lambda axis, p: lax_window(axis, (p, p))),
    "jax consistent": (
        "JAX, use_consistent_padding=True",
        lambda axis, p: lax_window(axis, (p, p), use_consistent_padding=True),
    ),
    "flax CIRCULAR": ('flax, "CIRCULAR"', lambda axis, _: flax_window(axis, "CIRCULAR")),
    "flax CIRCULAR transposed": (
        'flax, "CIRCULAR" with transpose_kernel=True',
        lambda axis, _: flax_window(axis, "CIRCULAR", transpose_kernel=True),
    ),
    "onnx pads": ("ONNX, pads alone", lambda axis, p: onnx_window(axis, pads=(p, p))),
    "onnx SAME_UPPER": ("ONNX, SAME_UPPER", lambda axis, _: onnx_window(axis, "SAME_UPPER")),
    "onnx SAME_LOWER": ("ONNX, SAME_LOWER", lambda axis, _: onnx_window(axis, "SAME_LOWER")),
    "onnxruntime SAME_UPPER": (
        "onnxruntime, SAME_UPPER",
        lambda axis, _: onnx_window(axis, "SAME_UPPER", runtime="onnxruntime"),
    ),
}


def convention(case: Case, name: str) -> tuple[str, tuple[Window, ...]]:
    """Return a convention's title, and what it keeps of a case's canvas.

    Raises
    ------
    RefusedError
        If the framework refuses it for this case.
    ValueError
        If there is no convention of this name.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1)
    >>> convention(case, "onnx SAME_LOWER")
    ('ONNX, SAME_LOWER', (Window(before=1, size=6, wraps=False),))
    """
    if name == "pytorch":
        return "PyTorch", windows_of(case)
    if name not in CONVENTIONS:
        raise ValueError(
            f"There is no convention {name!r}. There are: pytorch, {', '.join(CONVENTIONS)}."
        )
    title, rule = CONVENTIONS[name]
    return title, tuple(map(rule, axes_of(case), case.layer.padding))


@dataclass(frozen=True, eq=False)
class Difference:
    """Two conventions on one case's canvas.

    Attributes
    ----------
    case : Case
    titles : (str, str)
        The two, as a sentence names them.
    windows : (tuple of Window, tuple of Window)
        What each keeps, per axis.

    Examples
    --------
    >>> case = Case.of(
    ...     [[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1
    ... )
    >>> apart = difference(case, "pytorch", "keras same")
    >>> apart.canvas.tolist()
    [[[1, 10, 102, 20, 203, 30, 300]]]
    >>> [output.tolist() for output in apart.outputs]
    [[[[10, 102, 20, 203, 30, 300]]], [[[1, 10, 102, 20, 203, 30]]]]
    >>> apart.map.tolist()
    [[[-9, -92, 82, -183, 173, -270]]]
    >>> apart.kept.tolist(), apart.sides
    ([2, 3, 3, 3, 3, 3, 1], (('begin',), ('end',)))
    >>> print(apart.sentences[0])
    Along L PyTorch crops 1 at the beginning and 0 at the end, Keras, padding="same" 0 and 1.
    """

    case: Case
    titles: tuple[str, str]
    windows: tuple[tuple[Window, ...], tuple[Window, ...]]

    @cached_property
    def canvas(self) -> np.ndarray:
        """The full output before any crop, without bias."""
        return canvas_of(self.case)

    @cached_property
    def outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """What each convention gives, with bias, in the case's dtype."""
        one, other = self.windows
        return output_of(self.case, one, self.canvas), output_of(self.case, other, self.canvas)

    @property
    def same(self) -> bool:
        """Whether the two keep the same, whatever the numbers are."""
        return self.windows[0] == self.windows[1]

    @cached_property
    def map(self) -> np.ndarray:
        """The second output less the first, at the indices that both have."""
        one, other = (wide(output) for output in self.outputs)
        dims = self.case.dims
        size = [min(pair) for pair in zip(one.shape[-dims:], other.shape[-dims:])]
        here: Any = (..., *(slice(length) for length in size))
        with np.errstate(invalid="ignore"):
            return np.asarray(other[here] - one[here])

    @property
    def origin(self) -> tuple[int, ...]:
        """The canvas position of the first cell of `kept`, per axis; negative before the canvas."""
        return tuple(min(0, one.before, other.before) for one, other in zip(*self.windows))

    @cached_property
    def kept(self) -> np.ndarray:
        """Who keeps which canvas position: 1 the first, 2 the second, 3 both, 0 neither.

        It begins at `origin`, and holds the zeros too that a window adds around the canvas.
        """
        first, second = (
            reduce(np.multiply.outer, self._inside(windows)) for windows in self.windows
        )
        return np.asarray(first + 2 * second)

    def _inside(self, windows: Sequence[Window]) -> list[np.ndarray]:
        """Return for each axis which positions a convention keeps, as ones and zeros."""
        found = []
        for axis, window, low, *both in zip(
            axes_of(self.case), windows, self.origin, *self.windows
        ):
            c = np.arange(low, max(axis.canvas, *(one.before + one.size for one in both)))
            inside = (c >= window.before) & (c < window.before + window.size)
            if window.wraps:
                inside = (c >= 0) & (c < axis.canvas)
            found.append(inside.astype(np.int64))
        return found

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Where each crops the odd position, per axis: "begin", "end", or "" where both ends are equal."""
        one, other = (tuple(map(odd_side, axes_of(self.case), found)) for found in self.windows)
        return one, other

    @property
    def sentences(self) -> tuple[str, ...]:
        """What differs, an axis at a time."""
        axes = axes_of(self.case)
        names = AXES[len(axes)]
        return tuple(
            _sentence(name, axis, self.titles, pair)
            for name, axis, *pair in zip(names, axes, *self.windows)
            if pair[0] != pair[1]
        )


def _sentence(name: str, axis: CanvasAxis, titles: tuple[str, str], pair: Sequence[Window]) -> str:
    for title, window in zip(titles, pair):
        if window.wraps:
            return (
                f"Along {name} {title} winds the canvas around a ring of {window.size} positions."
            )
    crops = [(window.before, window.after(axis)) for window in pair]
    negative = " (negative: it adds zeros)" if min(map(min, crops)) < 0 else ""
    (first, last), others = crops
    return (
        f"Along {name} {titles[0]} crops {first} at the beginning and {last} at the end, "
        f"{titles[1]} {others[0]} and {others[1]}{negative}."
    )


def difference(
    case: Case,
    one: str | Sequence[Window] = "pytorch",
    other: str | Sequence[Window] = "keras same",
) -> Difference:
    """Return how two conventions differ on a case's canvas.

    Parameters
    ----------
    case : Case
    one, other : str or sequence of Window
        "pytorch", a name of `CONVENTIONS`, or windows, such as a translation's ``nearest``.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100, 1000]]], stride=2, padding=1)
    >>> difference(case, "pytorch", "keras same").same
    True
    >>> difference(case, "pytorch", "jax padding").sentences
    ("Along L PyTorch crops 1 at the beginning and 1 at the end, JAX, PyTorch's padding as pads 2 and 2.",)
    """
    named = [
        convention(case, given) if isinstance(given, str) else (title, tuple(given))
        for given, title in ((one, "the first"), (other, "the second"))
    ]
    return Difference(case, (named[0][0], named[1][0]), (named[0][1], named[1][1]))

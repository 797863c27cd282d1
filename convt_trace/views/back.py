"""There and back: what a plain convolution makes of the layer's output. The shape returns alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convt_trace.engine.arrays import wide
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import by
from convt_trace.views.matrix import MOST_SHOWN, matrix, times
from convt_trace.views.tensors import (
    LinkedView,
    Tensor,
    arguments,
    input_of,
    lit_input,
    lit_output,
    lit_weight,
    output_of,
    program,
    refuse_large,
    weight_of,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array


def back(case: Case) -> LinkedView:
    """Return the view of conv after the layer, on the same weight."""
    trip = _Trip(case)
    return LinkedView(
        name="back",
        sentence=(
            "ConvTranspose, then the plain conv with the same weight, stride, padding and dilation: the "
            "shape returns, the values do not. The same the other way round. It is the transpose, not "
            "the inverse."
        ),
        tensors=(
            input_of(case, line="There: y = conv_transpose(x), the bias apart"),
            weight_of(case),
            _like(output_of(case), "y", "y", "y = conv_transpose(x)", trip.there, tells=True),
            _like(
                input_of(case), "b", "b", "b = conv(y)", trip.back, tells=True,
                line="And back: b = conv(y)",
            ),
            _like(input_of(case), "d", "d", "b - x: what did not return", trip.difference, tells=True),
            _like(
                output_of(case), "r", "r", "r = conv_transpose(b)", trip.again, tells=True,
                line="The other way round, from y: r = conv_transpose(conv(y))",
            ),
            _like(
                output_of(case), "e", "e", "r - y: what did not return", trip.difference_again,
                tells=True,
            ),
        ),
        lit=lambda macs: {
            "x": lit_input(macs),
            "w": lit_weight(case, macs),
            "y": lit_output(macs),
            "b": lit_input(macs),
            "d": lit_input(macs),
            "r": lit_output(macs),
            "e": lit_output(macs),
        },
        equation="there: {y} += {x} * {w} = {x=} * {w=}; and back: {b} += {y} * {w} = {y=} * {w=}",
        code=_code(case),
        result=lambda: case.finished(trip.there()),
        notes=trip.notes,
    )  # fmt: skip


class _Trip:
    """The numbers of the way there and back, each worked out when it is first asked for."""

    def __init__(self, case: Case):
        self.case = case
        self._made: dict[str, np.ndarray] = {}

    def there(self) -> np.ndarray:
        """Return the layer's sums, without the bias: (N, C_out, *L_out)."""
        shape = self.case.geometry.output_shape
        return self._once("there", lambda: self._times(self._matrix(), self.case.batched, shape))

    def back(self) -> np.ndarray:
        """Return the plain conv of these: (N, C_in, *L)."""
        shape = self.case.batched.shape
        return self._once("back", lambda: self._times(self._matrix().T, self.there(), shape))

    def again(self) -> np.ndarray:
        """Return the layer's sums for what came back: (N, C_out, *L_out)."""
        shape = self.case.geometry.output_shape
        return self._once("again", lambda: self._times(self._matrix(), self.back(), shape))

    def difference(self) -> np.ndarray:
        return self._once("d", lambda: _minus(self.back(), wide(self.case.batched)))

    def difference_again(self) -> np.ndarray:
        return self._once("e", lambda: _minus(self.again(), self.there()))

    def _matrix(self) -> csr_array:
        refuse_large(self.case, MOST_SHOWN)
        return matrix(self.case)

    def _times(
        self, by_matrix: csr_array | csc_array, tensor: np.ndarray, shape: Ints
    ) -> np.ndarray:
        return times(by_matrix, tensor).reshape(shape)

    def _once(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def notes(self) -> list[str]:
        """Return what returned and what did not, and the identity that holds, with both numbers."""
        x, y, b = wide(self.case.batched), self.there(), self.back()
        returned = int((b == x).sum())
        with np.errstate(all="ignore"):
            one, other = (b * x).sum().item(), (y * y).sum().item()
        shape = by(self.case.geometry.input_size)
        out, again = by(self.case.geometry.output_size), int((self.again() == y).sum())
        return [
            f"The size returns: {shape} → {out} → {shape}. Of the {x.size:,} values {returned:,} do.",
            f"The other way round: {out} → {shape} → {out}. Of the {y.size:,} values {again:,} return.",
            f"What does hold: <conv(z), x> = <z, conv_transpose(x)> for every z. With z = y: "
            f"<conv(y), x> = {one:.10g}, <y, y> = {other:.10g}.",
        ]


def _minus(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # inf - inf is nan, and shown as such
        difference: np.ndarray = one - other
    return difference


def _like(
    tensor: Tensor,
    name: str,
    letter: str,
    title: str,
    numbers: Callable[[], np.ndarray],
    **changes: Any,
) -> Tensor:
    """Return a tensor of the same shape with other numbers."""
    return replace(
        tensor,
        name=name,
        letter=letter,
        title=title,
        values=lambda *at: numbers()[at],
        same="",
        **changes,
    )


def _code(case: Case) -> str:
    names = ("stride", "padding", "dilation", "groups")
    there_given = ["weight", *arguments(case, *names, "output_padding")]
    there = ", ".join(["x", *there_given])
    again = ", ".join(["y", "weight", *arguments(case, *names)])
    cut = ", ".join(f":{length}" for length in case.geometry.input_size)
    return program(
        case,
        f"y = F.conv_transpose{case.dims}d({there})",
        f"back = F.conv{case.dims}d({again})[..., {cut}]",
        "print(back.shape == x.shape, torch.equal(back, x))  # the shape, not the values",
        f"again = F.conv_transpose{case.dims}d({', '.join(['back', *there_given])})",
        "print(again.shape == y.shape, torch.equal(again, y))  # the other way round",
        "print((back * x).sum(), (y * y).sum())  # equal: that is what transposed means",
    )

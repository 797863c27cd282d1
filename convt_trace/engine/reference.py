"""torch's own result for a case, and the verdict on ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from convt_trace.engine.arrays import BFLOAT16, wide
from convt_trace.engine.blocks import add_up
from convt_trace.engine.case import Case

_FUNCTIONS: dict[int, Callable[..., torch.Tensor]] = {
    1: torch.conv_transpose1d,
    2: torch.conv_transpose2d,
    3: torch.conv_transpose3d,
}

_SWITCHING = Lock()


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array as a torch tensor of the same dtype, bfloat16 included.

    >>> as_tensor(np.ones(2, dtype=np.float16)).dtype
    torch.float16
    """
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(array.copy())


def torch_output(case: Case) -> np.ndarray:
    """Return what torch computes for a case, as an array of torch's dtype and shape.

    torch has no kernel for the small integer dtypes on the CPU; those are computed in int64, where
    torch has one, and wrapped to the dtype. With NaN or Inf among the numbers torch's plain kernel
    is asked, not oneDNN's: that one also multiplies the zeros that it fills gaps with, and so may
    put a NaN (0 * inf) into output cells that no MAC reaches.

    >>> torch_output(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)).tolist()
    [[[12.0, 9.0]]]
    """
    x, weight = as_tensor(case.x), as_tensor(case.weight)
    bias = as_tensor(case.bias) if case.bias is not None else None
    dtype = case.x.dtype
    if dtype.kind in "iu":
        x, weight = x.long(), weight.long()
        bias = bias.long() if bias is not None else None
    finite = all(np.isfinite(wide(tensor)).all() for tensor in (case.x, case.weight))
    with torch.no_grad(), nullcontext() if finite else _plain_kernels():
        result = _FUNCTIONS[case.dims](x, weight, bias, **case.parameters)
    if result.dtype == torch.bfloat16:
        return result.float().numpy().astype(BFLOAT16)
    return result.numpy().astype(dtype, copy=False)


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Keep torch off oneDNN; the switch is global, so one thread at a time may turn it."""
    with _SWITCHING, torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield


def plain_conv(case: Case) -> np.ndarray:
    """Return what a plain convolution makes of the same input and kernel: no flip, no padding.

    Parameters
    ----------
    case : Case
        Of one group and a float dtype; its input must be at least as long as the kernel.

    Returns
    -------
    ndarray, shape (N, C_out, *(L - K + 1))

    Examples
    --------
    >>> plain_conv(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]])).tolist()
    [[[8.0, 17.0]]]
    """
    convs = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
    # A Conv's weight has the output channels first.
    return convs[case.dims](as_tensor(case.x), as_tensor(case.weight).transpose(0, 1)).numpy()


@dataclass(frozen=True, eq=False)
class Verdict:
    """How torch's result and the trace's compare.

    Attributes
    ----------
    kind : str
        "equal", "rounding" (apart, but within what the dtype's rounding allows) or "different"
        (a bug in this project).
    torch : ndarray, shape (N, C_out, *L_out) or (C_out, *L_out)
        torch's result.
    agrees : ndarray of bool, the same shape
        Cells that are equal or within rounding.
    max_difference : float
        The largest absolute difference.
    ulps : float
        That difference in units in the last place of the larger of the two numbers that differ so.
    """

    kind: str
    torch: np.ndarray
    agrees: np.ndarray
    max_difference: float
    ulps: float

    def __str__(self) -> str:
        """Return the verdict as one sentence."""
        count = f"{self.torch.size:,} output value{'s' if self.torch.size != 1 else ''}"
        if self.kind == "equal":
            return f"equals torch: all {count}, exactly"
        apart = f"max |difference| = {self.max_difference:.3g}, {self.ulps:.3g} ulp there"
        if self.kind == "rounding":
            dtype = self.torch.dtype.name
            return f"equals torch within {dtype} rounding: {count}, {apart}"
        wrong = int((~self.agrees).sum())
        return f"differs from torch in {wrong:,} of {count} ({apart}): a bug in convt-trace"


def compare(case: Case) -> Verdict:
    """Compare the trace's output with torch's.

    Integers must be equal. Floats may differ by the rounding of their sums, which torch and the
    trace do in different orders: for a cell of m terms with unit roundoff u, each sum is within
    ``m*u / (1 - m*u)`` times the sum of the terms' magnitudes of the exact one (Higham, Accuracy
    and Stability of Numerical Algorithms, 2nd ed., section 4.2), and u more for storing it.

    >>> print(compare(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)))
    equals torch: all 2 output values, exactly
    """
    ours, theirs = case.trace().output, torch_output(case)
    same = _same(ours, theirs)
    if same.all():
        return Verdict("equal", theirs, same, 0.0, 0.0)
    a, b = wide(ours), wide(theirs)
    with np.errstate(all="ignore"):
        apart = np.where(same, 0, np.abs(a - b)).astype(np.float64)
        bound = _rounding_bound(case, ours.shape)
        agrees = same | (apart <= bound) | (bound == np.inf)
        ulps = apart / _unit_in_last_place(ours, theirs)
    kind = "rounding" if agrees.all() else "different"
    farthest = np.argmax(apart)
    return Verdict(kind, theirs, agrees, float(apart.flat[farthest]), float(ulps.flat[farthest]))


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    same = np.asarray(a == b)
    return same | ((a != a) & (b != b)) if a.dtype.kind not in "iu" else same


def _rounding_bound(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    """Return how far two roundings of each output cell may lie apart, in the output's shape."""
    if case.x.dtype.kind in "iu":
        return np.zeros(shape)
    geometry = case.geometry
    magnitude = add_up(geometry, _magnitude(case.batched), _magnitude(case.weight))[
        (slice(None), slice(None), *(axis.inside for axis in geometry.axes))
    ]
    if case.bias is not None:
        magnitude = magnitude + _magnitude(case.bias).reshape(1, -1, *[1] * case.dims)
    info = torch.finfo(as_tensor(case.x[:0]).dtype)
    terms = geometry.layer.in_per_group * int(np.prod([axis.most for axis in geometry.axes])) + 1
    # A sum longer than 1/u terms has no useful bound of this form; 0.5 keeps it finite.
    unit = min(terms * (info.eps + 2.0**-52) / 2, 0.5)  # torch's sum, and ours in float64
    bound = magnitude * (unit / (1 - unit) + 2 * info.eps) + terms * info.smallest_normal
    # Where a sum can leave the dtype's range on its way, the order decides whether it does.
    return np.where(magnitude + bound > info.max, np.inf, bound).reshape(shape)


def _magnitude(tensor: np.ndarray) -> np.ndarray:
    """Return the magnitudes of the finite numbers; what NaN and Inf reach does not depend on order."""
    numbers = wide(tensor)
    return np.where(np.isfinite(numbers), np.abs(numbers), 0)


def _unit_in_last_place(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    larger = np.maximum(np.abs(wide(a)), np.abs(wide(b)))
    if a.dtype.kind in "iu":
        return np.ones(a.shape)
    info = torch.finfo(as_tensor(a.reshape(-1)[:0]).dtype)
    exponent = np.floor(np.log2(np.maximum(larger, info.smallest_normal)))
    return np.asarray(info.eps * 2.0**exponent)

"""torch's own result for a case, and the verdict on ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from convt_trace.engine.arrays import BFLOAT16, range_in_words, wide
from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.extras import require

try:
    import torch
except ImportError:  # with numpy alone `torch_refusal` says so before anything here is asked
    if TYPE_CHECKING:
        raise

_SWITCHING = Lock()


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array as a torch tensor of the same dtype, bfloat16 included.

    >>> as_tensor(np.ones(2, dtype=np.float16)).dtype
    torch.float16
    """
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(array.copy())


def torch_output(case: Case | Conv) -> np.ndarray:
    """Return what torch computes for a case, as an array of torch's dtype and shape.

    torch has no kernel for the small integer dtypes on the CPU; those are computed in int64, where
    torch has one, and wrapped to the dtype. torch's plain kernels are asked, not oneDNN's,

    - with NaN or Inf among the numbers: oneDNN also multiplies the zeros that it fills gaps with, and
      so may put a NaN (0 * inf) into output cells that no MAC reaches;
    - for large outputs, and in half precision for strides and kernels that no usual layer has: there
      oneDNN's code can be a thousand times slower, and can end the process;
    - for sums of very many terms, where it writes outside its memory: in torch 2.13 a
      ``conv_transpose1d`` of stride 2 or more with 25,000 products per output cell ends the process.

    >>> torch_output(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)).tolist()
    [[[12.0, 9.0]]]
    """
    require("torch")
    x, weight = as_tensor(case.x), as_tensor(case.weight)
    bias = as_tensor(case.bias) if case.bias is not None else None
    dtype = case.x.dtype
    if dtype.kind in "iu":
        x, weight = x.long(), weight.long()
        bias = bias.long() if bias is not None else None
    with torch.no_grad(), _kernels(case):
        result = getattr(torch, case.op)(x, weight, bias, **case.parameters)
    if result.dtype == torch.bfloat16:
        return result.float().numpy().astype(BFLOAT16)
    return result.numpy().astype(dtype, copy=False)


#: Products of an input channel and a tap in a group, up to which oneDNN is safe; a DCGAN's first
#: layers have as many.
_MOST_TERMS = 2**14


def _suits_onednn(case: Case | Conv) -> bool:
    """Tell whether oneDNN's kernels, which torch takes by itself, are right and quick for a case."""
    layer, half = case.layer, case.x.dtype.itemsize == 2
    usual = max(layer.stride + layer.dilation + layer.kernel_size) <= 16
    usual &= math.prod(layer.kernel_size) <= 256
    if half and not usual or math.prod(case.geometry.output_shape) > 2**20:
        return False
    if layer.in_per_group * math.prod(layer.kernel_size) > _MOST_TERMS:
        return False
    return all(_finite(tensor).all() for tensor in (case.x, case.weight))


def _kernels(case: Case | Conv) -> AbstractContextManager[None]:
    """Choose the kernels that a result is computed with."""
    if not _suits_onednn(case):
        return _plain_kernels()
    return nullcontext() if isinstance(case, Case) else _without_nnpack()


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Keep torch off oneDNN; the switch is global, so one thread at a time may turn it."""
    with _without_nnpack(), torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        yield


@contextmanager
def _without_nnpack() -> Iterator[None]:
    """Keep a plain convolution off NNPACK, which adds up transformed tiles and not the terms.

    One NaN or Inf is then in every cell of its tile, and the rounding is not that of the sum.
    """
    with _SWITCHING, torch.backends.nnpack.flags(enabled=False):
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

    Every output cell is one of four: `equal`, `rounded`, `overflowed` or `different`; the four counts
    add up to the size of the output.

    Attributes
    ----------
    kind : str
        "equal", "rounding" (apart, but within what the dtype's rounding allows), "overflow" (some
        sums leave the dtype's range in one order of adding and not in another, see `compare`) or
        "different" (a bug in this project).
    torch : ndarray, shape (N, C_out, *L_out) or (C_out, *L_out)
        torch's result.
    agrees : ndarray of bool, the same shape
        Cells that are equal or within rounding.
    overflows : ndarray of bool, the same shape
        Cells where torch or the trace has inf or nan, the other has something else, and both may.
    equal : int
        Cells that are equal; those where both have nan, or the same inf, too.
    non_finite : int
        How many of the equal ones are nan or inf.
    max_difference : float
        The largest absolute difference where both are finite. Never nan or inf.
    ulps : float
        That difference in units in the last place of the larger of the two numbers that differ so.
    difference : str
        Where the two part by more than rounding: what each has there, in words; empty for nowhere.
    """

    kind: str
    torch: np.ndarray
    agrees: np.ndarray
    overflows: np.ndarray
    equal: int
    non_finite: int = 0
    max_difference: float = 0.0
    ulps: float = 0.0
    difference: str = ""

    @property
    def rounded(self) -> int:
        """How many cells are apart, but within rounding."""
        return int(self.agrees.sum()) - self.equal

    @property
    def overflowed(self) -> int:
        """How many cells overflow in one of the two alone."""
        return int(self.overflows.sum())

    @property
    def different(self) -> int:
        """How many cells neither rounding nor overflow explains."""
        return self.torch.size - int(self.agrees.sum()) - self.overflowed

    def __str__(self) -> str:
        """Return the verdict as one sentence."""
        count = f"{self.torch.size:,} output value{'s' if self.torch.size != 1 else ''}"
        apart = f"max |difference| = {self.max_difference:.3g}, {self.ulps:.3g} ulp there"
        rounding = f"within {self.torch.dtype.name} rounding"
        if self.kind == "different":
            details = [apart] if self.max_difference else []
            details += [self.difference] if self.difference else []
            listed = "; ".join(details)
            return f"differs from torch in {self.different:,} of {count} ({listed}): a bug in convt-trace"
        if self.kind == "equal":
            text = f"equals torch: all {count}, exactly"
        elif self.kind == "rounding":
            text = f"equals torch {rounding}: {count}, {apart}"
        elif not self.agrees.any():
            text = f"cannot be compared with torch in any of {count}"
        else:
            how = f"{rounding} ({apart})" if self.rounded else "exactly"
            text = f"equals torch {how} in {int(self.agrees.sum()):,} of {count}"
        if self.non_finite:
            text += f", {self.non_finite:,} of them inf or nan in both"
        if self.kind == "overflow":
            text += (
                f"; {self.overflowed:,} overflow{'s' if self.overflowed == 1 else ''}: "
                f"{self.difference} (the sum can leave {range_in_words(self.torch.dtype)})"
            )
        return text


@np.errstate(all="ignore")
def compare(case: Case | Conv, ours: np.ndarray | None = None) -> Verdict:
    """Compare the trace's output with torch's, or another result of the same sums.

    Parameters
    ----------
    case : Case
    ours : ndarray of torch's shape and dtype, optional
        The same sums, worked out another way in float64 or int64; by default the trace's output.

    Returns
    -------
    Verdict

    Integers must be equal, and so must every inf and nan that the tensors themselves bring in: the
    order of adding changes nothing about these.

    Finite floats may differ by the rounding of their sums, which torch and the trace do in different
    orders: for a cell of m terms with unit roundoff u, each sum is within ``m*u / (1 - m*u)`` times
    the sum of the terms' magnitudes of the exact one (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd ed., section 4.2), and u more for storing it.

    Inf or nan beside something else is an overflow where both can come out of these terms. torch
    rounds to the dtype, or to a wider one, at any of its steps, the trace once, at the end; so a sum
    can leave the range on its way in one of the two alone. Any part of the sum lies between the sum
    of its negative terms and the sum of its positive ones. So, rounding included,

    - inf can come out only where the positive terms together leave the dtype's range, -inf where the
      negative ones do, and nan (inf - inf) where both do, or where one does and the tensors bring in
      an inf of the other sign;
    - a finite number can come out beside it only within rounding of the exact sum.

    Whatever is left is "different". Of float64 sums whose terms' magnitudes add up to more than
    float64 holds, nothing is known to hold them against: any result may come out of these.

    >>> print(compare(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)))
    equals torch: all 2 output values, exactly
    """
    ours, theirs = case.trace().output if ours is None else ours, torch_output(case)
    same = _same(ours, theirs)
    equal = int(same.sum())
    both = int((same & ~_finite(theirs)).sum())
    if same.all():
        return Verdict("equal", theirs, same, ~same, equal, both)
    apart = _apart(ours, theirs)
    agrees, overflows = _judged(case, ours, theirs, apart)
    farthest = np.argmax(apart)
    different = ~(agrees | overflows)
    return Verdict(
        kind="different" if different.any() else "overflow" if overflows.any() else "rounding",
        torch=theirs,
        agrees=agrees,
        overflows=overflows,
        equal=equal,
        non_finite=both,
        max_difference=float(apart.flat[farthest]),
        ulps=_in_last_places(apart.flat[farthest], ours.flat[farthest], theirs.flat[farthest]),
        difference=_parted(ours, theirs, different if different.any() else overflows),
    )


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    same = np.asarray(a == b)
    return same | ((a != a) & (b != b)) if a.dtype.kind not in "iu" else same


def _finite(tensor: np.ndarray) -> np.ndarray:
    return np.ones(tensor.shape, bool) if tensor.dtype.kind in "iu" else np.isfinite(tensor)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the distance of every two finite numbers, as finite float64; 0 beside inf and nan."""
    if a.dtype.kind in "iu":
        # The larger less the smaller fits into the unsigned dtype of the same size.
        return np.where(a > b, a - b, b - a).view(f"u{a.dtype.itemsize}").astype(np.float64)
    finite = _finite(a) & _finite(b)
    apart = np.abs(np.where(finite, wide(a), 0) - np.where(finite, wide(b), 0))
    return np.minimum(apart, np.finfo(np.float64).max)


def _in_last_places(apart: float, a: Any, b: Any) -> float:
    """Return a distance in units in the last place of the larger of two numbers of one dtype."""
    if not apart or a.dtype.kind in "iu":
        return float(apart)
    info = ml_dtypes.finfo(a.dtype)
    larger = max(abs(float(a)), abs(float(b)), float(info.smallest_normal))
    return float(apart) / math.ldexp(float(info.eps), math.frexp(larger)[1] - 1)


def _parted(ours: np.ndarray, theirs: np.ndarray, where: np.ndarray) -> str:
    """Return what torch and the trace have in these cells, where one of them has inf or nan."""
    where = where & ~(_finite(ours) & _finite(theirs))
    if not where.any():
        return ""
    return f"torch has {_counted(theirs[where])} there, the trace {_counted(ours[where])}"


def _counted(values: np.ndarray) -> str:
    """Return how many values of each sort there are, such as ``2 inf and 1 nan``."""
    finite = int(np.isfinite(values).sum())
    counts = {
        "inf": (values == np.inf).sum(),
        "-inf": (values == -np.inf).sum(),
        "nan": np.isnan(values).sum(),
        "finite number" if finite == 1 else "finite numbers": finite,
    }
    texts = [f"{count:,} {name}" for name, count in counts.items() if count]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _judged(
    case: Case | Conv, ours: np.ndarray, theirs: np.ndarray, apart: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells agree, and which overflow in one of the two alone; see `compare`."""
    same = _same(ours, theirs)
    if case.x.dtype.kind in "iu":
        return same, np.zeros_like(same)
    finite = _finite(ours) & _finite(theirs)
    magnitude = _sums(case, lambda tensor: np.abs(_where_finite(tensor))).reshape(ours.shape)
    bound = _rounding_bound(case, magnitude)
    agrees = same | (finite & (apart <= bound))
    if (agrees | finite).all():
        return agrees, np.zeros_like(agrees)
    may = _Outcomes.of(case, magnitude, bound)
    return agrees, ~agrees & ~finite & may.be(ours) & may.be(theirs)


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """What may come out of the terms of each output cell, in one order of adding or another.

    Attributes
    ----------
    exact : ndarray of float64
        The sums of the finite terms.
    bound : ndarray of float64
        How far from it rounding may lead.
    up, down : ndarray of bool
        Whether a part of the sum, or a term, can be inf, or -inf.
    given : ndarray of float64
        inf, -inf or nan where the tensors themselves bring it in; anything finite elsewhere.
    """

    exact: np.ndarray
    bound: np.ndarray
    up: np.ndarray
    down: np.ndarray
    given: np.ndarray

    @classmethod
    def of(cls, case: Case | Conv, magnitude: np.ndarray, bound: np.ndarray) -> _Outcomes:
        exact = _sums(case, _where_finite).reshape(bound.shape)
        # With 1, 0 or -1 for every finite number nothing overflows: what is not finite was given.
        given = _sums(case, _signs).reshape(bound.shape)
        end = float(ml_dtypes.finfo(case.x.dtype).max)
        # Halved first, so that the sum stays in float64. What is unknown (nan) may be.
        up = ~(magnitude / 2 + exact / 2 + bound <= end) | (given == np.inf)
        down = ~(magnitude / 2 - exact / 2 + bound <= end) | (given == -np.inf)
        return cls(exact, bound, up, down, given)

    def be(self, result: np.ndarray) -> np.ndarray:
        """Tell which of these results can come out."""
        values, given = wide(result), self.given
        near = np.isfinite(values) & ~(np.abs(values - self.exact) > self.bound)
        free = np.where(values == np.inf, self.up, np.where(values == -np.inf, self.down, near))
        none_given = np.isfinite(given)
        nan = np.isnan(given) | (self.up & self.down)
        return np.where(np.isnan(values), nan, np.where(none_given, free, values == given))


def _sums(case: Case | Conv, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the output's sums, bias included, of the tensors as ``of`` makes them."""
    sums = case.added(of(case.batched), of(case.weight))
    if case.bias is not None:
        sums = sums + of(case.bias).reshape(1, -1, *[1] * case.dims)
    return sums


def _where_finite(tensor: np.ndarray) -> np.ndarray:
    numbers = wide(tensor)
    return np.where(np.isfinite(numbers), numbers, 0)


def _signs(tensor: np.ndarray) -> np.ndarray:
    numbers = wide(tensor)
    return np.where(np.isfinite(numbers), np.sign(numbers), numbers)


def _rounding_bound(case: Case | Conv, magnitude: np.ndarray) -> np.ndarray:
    """Return how far two roundings of each output cell may lie apart."""
    info = ml_dtypes.finfo(case.x.dtype)
    eps, terms = float(info.eps), case.most_terms + 1
    # A sum longer than 1/u terms has no useful bound of this form; 0.5 keeps it finite.
    unit = min(terms * (eps + 2.0**-52) / 2, 0.5)  # torch's sum, and ours in float64
    return magnitude * (unit / (1 - unit) + 2 * eps) + terms * float(info.smallest_normal)


#: Multiply-accumulates for which a whole output is computed again; of more, a part.
_MOST_CHECKED = 2**27


def is_output(
    op: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output: np.ndarray,
    parameters: Mapping[str, Any],
) -> bool:
    """Tell whether an output can be torch's, of a convolution whose numbers come from a stranger.

    It is computed again in float64 (int64) and has to agree within the rounding of its own dtype. Of
    a convolution of more than 2**27 multiply-accumulates that is done for output channels and batch
    items chosen at random each time, so that nobody can know which.

    Parameters
    ----------
    op : str
        "conv1d" ... "conv_transpose3d".
    x, weight, bias, output : ndarray
        As torch's function takes and gives them, of one dtype.
    parameters : mapping
        The function's other arguments.

    Examples
    --------
    >>> x, weight = np.float32([[[2, 1, 1, 3]]]), np.float32([[[1, 1, 5]]])
    >>> given = dict(stride=(1,), padding=(2,), output_padding=(0,), groups=1, dilation=(1,))
    >>> is_output("conv_transpose1d", x, weight, None, np.float32([[[12, 9]]]), given)
    True
    >>> is_output("conv_transpose1d", x, weight, None, np.float32([[[12, 8]]]), given)
    False
    """
    held = [one for one in (x, weight, bias, output) if one is not None]
    if len({one.dtype for one in held}) != 1:
        return False
    try:
        # An unbatched call is one of a single item.
        single = x.ndim == weight.ndim - 1
        x, output = (x[None], output[None]) if single else (x, output)
        return _agrees(op, *_part(op, x, weight, bias, output, parameters["groups"]), parameters)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError, OverflowError, MemoryError):
        return False


def _part(
    op: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output: np.ndarray,
    groups: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Return a convolution, or a part of a large one: some batch items and output channels."""
    transposed = op.startswith("conv_transpose")
    taps = math.prod(weight.shape[1:])
    macs = taps * (x.size if transposed else output.size)
    if macs <= _MOST_CHECKED or len(x) != len(output):
        return x, weight, bias, output
    chosen = np.random.default_rng()
    item = chosen.integers(len(x), size=1)
    x, output = x[item], output[item]
    per_group = weight.shape[1] if transposed else weight.shape[0] // groups
    count = max(1, per_group * _MOST_CHECKED * len(item) // max(macs, 1))
    picked = np.sort(chosen.permutation(per_group)[:count])
    channels = (np.arange(groups)[:, None] * per_group + picked).reshape(-1)
    weight = weight[:, picked] if transposed else weight[channels]
    return x, weight, None if bias is None else bias[channels], output[:, channels]


@np.errstate(all="ignore")
def _agrees(
    op: str,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    output: np.ndarray,
    parameters: Mapping[str, Any],
) -> bool:
    def again(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        tensors = [None if one is None else torch.from_numpy(of(one)) for one in (x, weight, bias)]
        with torch.no_grad():
            if op.startswith("conv_transpose"):
                return getattr(torch, op)(*tensors, **parameters).numpy()
            return _plain_again(op, tensors, parameters, output.shape)

    if output.dtype.kind in "iu":
        sums = again(lambda tensor: tensor.astype(np.int64)).astype(output.dtype)
        return np.array_equal(sums, output)
    exact = again(lambda tensor: tensor.astype(np.float64))
    if exact.shape != output.shape:
        return False
    magnitude = again(lambda tensor: np.abs(tensor.astype(np.float64)))
    info = ml_dtypes.finfo(output.dtype)
    terms = math.prod(weight.shape[1:]) * weight.shape[0] + 1
    unit = min(terms * (float(info.eps) + 2.0**-52) / 2, 0.5)
    bound = magnitude * (unit / (1 - unit) + 2 * float(info.eps))
    bound += terms * float(info.smallest_normal)
    close = np.abs(output.astype(np.float64) - exact) <= bound
    # Where a sum can leave the dtype's range on its way, anything may come out.
    return bool((close | ~(magnitude + bound <= float(info.max))).all())


def _plain_again(
    op: str, tensors: list[Any], parameters: Mapping[str, Any], shape: tuple[int, ...]
) -> np.ndarray:
    """Return a plain convolution; where padding "same" is uneven, there is a zero more at the end."""
    x, weight, bias = tensors
    sides = zip(parameters["padding"], weight.shape[2:])
    pads = [size for p, k in reversed(list(sides)) for size in (p, p + k)]
    given = {**parameters, "padding": 0}
    result = getattr(torch, op)(torch.nn.functional.pad(x, pads), weight, bias, **given)
    return result.numpy()[tuple(slice(size) for size in shape)]

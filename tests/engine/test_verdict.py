"""The verdict where numbers are not finite, or near the ends of their dtype's range.

What torch makes of a sum that leaves the range differs from machine to machine, for its kernels add
in their own orders and dtypes. So torch's result is stood in for here: by sums in plain Python, in
several orders and precisions, and by any numbers at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import inf, isfinite, isnan, nan
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from convt_trace import Case
from convt_trace.engine import reference
from convt_trace.engine.reference import Verdict, compare
from convt_trace.links.packed import DTYPES

FLOATS = [name for name in DTYPES if "float" in name]


def judged(case: Case, theirs: np.ndarray) -> Verdict:
    """The verdict with something in torch's place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "torch_output", lambda case: theirs)
        return compare(case)


# -- one sum, said by hand ------------------------------------------------------------------------


def half(x: Sequence[float], weight: Sequence[float]) -> Case:
    return Case.of(np.array([[x]], dtype=np.float16), np.array([[weight]], dtype=np.float16))


def said(case: Case, *theirs: float) -> Verdict:
    return judged(case, np.array([[theirs]], dtype=case.x.dtype))


def test_a_sum_that_only_torch_overflows_on_its_way_is_named_and_counted():
    case = half([300, -300], [300, 300])  # 90000, 90000 - 90000, -90000
    assert case.trace().output.tolist() == [[[inf, 0, -inf]]]
    verdict = said(case, inf, nan, -inf)
    assert str(verdict) == (
        "equals torch exactly in 2 of 3 output values, 2 of them inf or nan in both; 1 overflows: "
        "torch has 1 nan there, the trace 1 finite number (the sum can leave float16's range, which "
        "ends at 65,504)"
    )
    assert (verdict.kind, verdict.max_difference, verdict.ulps) == ("overflow", 0, 0)
    assert verdict.agrees.tolist() == [[[True, False, True]]]
    assert verdict.overflows.tolist() == [[[False, True, False]]]
    for other in (inf, -inf):  # as other orders have it
        assert said(case, inf, other, -inf).kind == "overflow"
    for wrong in (7000, -65504):
        verdict = said(case, inf, wrong, -inf)
        assert verdict.kind == "different" and verdict.max_difference == abs(wrong)


def test_a_sum_whose_terms_are_all_of_one_sign_overflows_to_that_side_only():
    case = half([300, 300], [200, 200])  # 60000, 120000, 60000
    assert said(case, 60000, inf, 60000).kind == "equal"
    for wrong in (-inf, nan, 65504, 0):
        assert said(case, 60000, wrong, 60000).agrees.tolist() == [[[True, False, True]]]
        assert said(case, 60000, wrong, 60000).kind == "different"
    for wrong in (inf, -inf, nan):
        verdict = said(case, 60000, inf, wrong)
        assert verdict.kind == "different" and "1 finite number" in str(verdict)


def test_at_the_end_of_the_range_rounding_decides_whether_a_sum_is_inf():
    case = half([256, 1], [255, 255])  # the sum 65535 rounds to inf, and 65504 is an ulp below
    assert case.trace().output.tolist() == [[[65280, inf, 255]]]
    verdict = said(case, 65280, 65504, 255)
    assert verdict.kind == "overflow" and "torch has 1 finite number there, the trace 1 inf" in str(
        verdict
    )
    assert said(case, 65280, 60000, 255).kind == "different"


def test_what_the_tensors_bring_in_is_no_overflow():
    case = half([inf, 1, nan], [1, 1])  # inf, inf, nan, nan
    verdict = said(case, inf, inf, nan, nan)
    assert str(verdict) == (
        "equals torch: all 4 output values, exactly, 4 of them inf or nan in both"
    )
    for wrong in (-inf, nan, 1):
        assert said(case, inf, wrong, nan, nan).kind == "different"
    for wrong in (inf, -inf, 1):
        assert said(case, inf, inf, nan, wrong).kind == "different"
    # Terms beside a given inf can overflow to the other side, and inf - inf is nan.
    case = half([inf, -300, -300], [300, 300])
    assert said(case, inf, inf, -inf, -inf).kind == "equal"
    assert said(case, inf, nan, -inf, -inf).kind == "overflow"
    assert said(case, inf, -inf, -inf, -inf).kind == "different"


@pytest.mark.parametrize("dtype", [name for name in DTYPES if "int" in name])
def test_integers_at_both_ends_are_as_far_apart_as_they_are(dtype):
    info = np.iinfo(dtype)
    case = Case.of(np.array([[[info.max]]], dtype), np.array([[[1]]], dtype))
    verdict = judged(case, np.array([[[info.min]]], dtype))
    assert verdict.kind == "different"
    assert verdict.max_difference == float(int(info.max) - int(info.min))


# -- any numbers, against sums in plain Python ------------------------------------------------------


class Term(NamedTuple):
    x: float
    w: float


def cells(case: Case) -> list[list[Term]]:
    """The terms of each output cell, by the defining sum; the bias is 1 times itself."""
    (stride,), (padding,) = case.layer.stride, case.layer.padding
    ins, outs, taps = case.weight.shape
    size = case.trace().output.shape[-1]
    return [
        [
            *(
                Term(case.x[n, ci, i].item(), case.weight[ci, co, k].item())
                for ci in range(ins)
                for i in range(case.x.shape[2])
                for k in range(taps)
                if i * stride - padding + k == o
            ),
            *([] if case.bias is None else [Term(case.bias[co].item(), 1)]),
        ]
        for n in range(len(case.x))
        for co in range(outs)
        for o in range(size)
    ]


def added(terms: Sequence[Term], dtype: np.dtype, step: np.dtype) -> float:
    """A sum that is rounded to ``step`` at each product and each addition, and to ``dtype`` at last."""
    total = step.type(0)
    for x, w in terms:
        total = total + step.type(x) * step.type(w)
    return dtype.type(total)


def pairwise(terms: Sequence[Term], dtype: np.dtype) -> float:
    """A sum in halves, rounded to ``dtype`` at each step."""
    if len(terms) < 2:
        return added(terms, dtype, dtype)
    middle = len(terms) // 2
    return pairwise(terms[:middle], dtype) + pairwise(terms[middle:], dtype)


#: What may stand in torch's place: sums in other orders, and in wider dtypes.
WAYS: dict[str, Callable[[list[Term], np.dtype], float]] = {
    "in order": lambda terms, dtype: added(terms, dtype, dtype),
    "backwards": lambda terms, dtype: added(terms[::-1], dtype, dtype),
    "in halves": pairwise,
    "in float32": lambda terms, dtype: added(terms, dtype, np.promote_types(dtype, np.float32)),
}


def numbers(seed: int, dtype: np.dtype, *shape: int) -> np.ndarray:
    """Numbers of one of four kinds: few small ones, normal ones, any bits, the ends of the range."""
    random = np.random.default_rng(seed)
    kind = random.choice(["small", "normal", "bits", "ends"])
    if kind == "bits":
        raw = random.bytes(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(raw, f"u{dtype.itemsize}").view(dtype).reshape(shape)
    if kind == "normal":
        normal = random.normal(0, random.choice([1, 30]), shape)
        return (np.abs(normal).astype(np.uint8) if dtype.kind == "u" else normal).astype(dtype)
    if kind == "small":
        return random.choice(np.array([0, 1, 2, 3, 100], dtype), shape)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return random.choice(np.array([0, 1, info.min, info.max], dtype), shape)
    end = float(ml_dtypes.finfo(dtype).max)
    given = [inf, -inf, nan] if random.random() < 0.3 else []
    ends = [0, 1, -1, end, -end, end / 2, -end / 2, end**0.5, -(end**0.5), *given]
    return random.choice(np.array(ends), shape).astype(dtype)


@st.composite
def cases(draw: st.DrawFn, dtypes: Sequence[str]) -> Case:
    dtype = DTYPES[draw(st.sampled_from(dtypes))]
    length, taps, ins, outs = (draw(st.integers(1, 3)) for _ in range(4))
    seeds = st.integers(0, 2**32)
    return Case.of(
        numbers(draw(seeds), dtype, 1, ins, length),
        numbers(draw(seeds), dtype, ins, outs, taps),
        numbers(draw(seeds), dtype, outs) if draw(st.booleans()) else None,
        stride=draw(st.integers(1, 2)),
    )


def right(terms: list[Term], ours: float, theirs: float, dtype: np.dtype) -> Iterator[str]:
    """What the verdict on one cell may be: with half and with twice the slack for rounding."""
    if ours == theirs or (isnan(ours) and isnan(theirs)):
        yield "equal"
    elif dtype.kind in "iu":
        yield "different"
    else:
        for slack in (0.5, 4):
            both = isfinite(ours) and isfinite(theirs)
            if both and abs(Fraction(ours) - Fraction(theirs)) <= margin(terms, dtype, slack):
                yield "rounding"
            elif not both and all(possible(terms, at, dtype, slack) for at in (ours, theirs)):
                yield "overflow"
            else:
                yield "different"


def margin(terms: list[Term], dtype: np.dtype, slack: float) -> Fraction:
    """How far apart two roundings of a sum may be, roughly."""
    info = ml_dtypes.finfo(dtype)
    steps = Fraction(slack) * (len(terms) + 1)
    return steps * (Fraction(float(info.eps)) * magnitude(terms) + Fraction(float(info.tiny)))


def magnitude(terms: list[Term]) -> Fraction:
    return sum((abs(part) for part in products(terms)), Fraction(0))


def products(terms: list[Term]) -> list[Fraction]:
    return [Fraction(x) * Fraction(w) for x, w in terms if isfinite(x) and isfinite(w)]


def possible(terms: list[Term], result: float, dtype: np.dtype, slack: float) -> bool:
    """Tell whether a sum of these terms can come out so, in one order or another."""
    beyond = Fraction(float(ml_dtypes.finfo(dtype).max)) - margin(terms, dtype, slack)
    parts = products(terms)
    infinite = [x * w for x, w in terms if not (isfinite(x) and isfinite(w))]
    up = inf in infinite or sum(part for part in parts if part > 0) > beyond
    down = -inf in infinite or -sum(part for part in parts if part < 0) > beyond
    if isnan(result):
        return any(map(isnan, infinite)) or (up and down)
    if any(map(isnan, infinite)) or {inf, -inf} <= {*infinite}:
        return False
    if infinite:
        return result == infinite[0]
    if isfinite(result):
        return abs(Fraction(result) - sum(parts)) <= margin(terms, dtype, slack)
    return up if result > 0 else down


@settings(deadline=None, max_examples=300)
@given(
    cases([*FLOATS, *DTYPES]), st.sampled_from([*WAYS, "torch", "anything"]), st.integers(0, 2**32)
)
def test_the_verdict_is_what_exact_sums_say_for_any_dtype_and_any_numbers(case, way, seed):
    dtype, terms = case.x.dtype, cells(case)
    shape = case.trace().output.shape
    if way == "anything":
        theirs = numbers(seed, dtype, *shape)
    elif way == "torch" or dtype.kind in "iu":
        theirs = reference.torch_output(case)
    else:
        with np.errstate(all="ignore"):
            sums = [WAYS[way](list(one), dtype) for one in terms]
        theirs = np.array(sums).astype(dtype).reshape(shape)
    verdict = judged(case, theirs)
    event(f"{way}: {verdict.kind}")
    if way != "anything":
        assert verdict.kind != "different", verdict

    counts = {
        "equal": verdict.equal,
        "rounding": verdict.rounded,
        "overflow": verdict.overflowed,
        "different": verdict.different,
    }
    assert min(counts.values()) >= 0 and sum(counts.values()) == theirs.size
    assert verdict.kind == [kind for kind, count in counts.items() if count or kind == "equal"][-1]
    assert isfinite(verdict.max_difference) and isfinite(verdict.ulps)
    assert not re.search(r"(nan|inf) ulp|= (nan|inf)", str(verdict))
    assert ("a bug in" in str(verdict)) == (verdict.kind == "different")
    assert ("range, which ends at" in str(verdict)) == (verdict.kind == "overflow")

    ours = case.trace().output.reshape(-1).tolist()
    judgements = []
    for one, a, b, agrees, overflows in zip(
        terms, ours, theirs.reshape(-1).tolist(), verdict.agrees.flat, verdict.overflows.flat
    ):
        if dtype == np.float64 and magnitude(one) > Fraction(np.finfo(np.float64).max) / 8:
            continue  # these are beyond what the verdict's own sums hold
        same = a == b or (isnan(a) and isnan(b))
        kind = (
            "overflow"
            if overflows
            else "different"
            if not agrees
            else "equal"
            if same
            else "rounding"
        )
        assert kind in [*right(one, a, b, dtype)], (one, a, b)
        judgements.append(kind)
    if len(judgements) == theirs.size:
        assert {kind: judgements.count(kind) for kind in counts} == counts
    both = [
        (a, b) for a, b in zip(ours, theirs.reshape(-1).tolist()) if isfinite(a) and isfinite(b)
    ]
    apart = max((abs(Fraction(a) - Fraction(b)) for a, b in both), default=Fraction(0))
    assert (
        verdict.max_difference == pytest.approx(min(float(apart), np.finfo(np.float64).max))
        if (apart < Fraction(np.finfo(np.float64).max))
        else verdict.max_difference > 1e308
    )

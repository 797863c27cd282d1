"""What is said about a case is true: every number is torch's, and every sum evaluates to its result."""

from __future__ import annotations

import re
import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, Drawn, layers, loop, moderate, spoil
from torch.nn import functional as F

from convt_trace import Case
from convt_trace.answers import advice
from convt_trace.answers import transposed as words
from convt_trace.answers.plain import conv_cell_answer, conv_short_answer
from convt_trace.answers.sums import slices
from convt_trace.engine import reference
from convt_trace.links.settings import PRESETS, QUESTION

DCGAN = PRESETS["dcgan"].settings


def dot(a: list[float], b: list[float]) -> float:
    """The dot product, which an answer's arithmetic calls by this name."""
    assert len(a) == len(b)
    return sum(left * right for left, right in zip(a, b))


NAMES = {"__builtins__": {}, "dot": dot, "nan": float("nan"), "inf": float("inf")}


def lines(answer: str) -> list[tuple[list[str], str, str, str]]:
    """The equations of an answer: index expressions, sum, sign, result."""
    found = []
    for code in re.findall(r"^`(y\[.*)`", answer, re.MULTILINE):
        left, sign, result = re.fullmatch(r"(.*) (=|≈) (\S+)", code).groups()
        *cells, expression = left.split(" = ")
        found.append(([cell[2:-1] for cell in cells], expression, sign, result))
    return found


def index(text: str) -> tuple[Any, ...]:
    """An index expression as numpy takes it; no single cell drops an axis."""
    parts = []
    for part in text.split(","):
        numbers = [int(word) for word in part.split(":")]
        parts.append(slice(numbers[0], numbers[0] + 1) if len(numbers) == 1 else slice(*numbers))
    return tuple(parts)


def close(a: float, b: float, terms_size: float, exact: bool) -> bool:
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) and np.isnan(b))
    return a == b or abs(a - b) <= (1e-2 if not exact else 1e-6) * (terms_size + abs(b))


def check(answer: str, output: np.ndarray, loose: bool = False) -> np.ndarray:
    """Every equation evaluates to its result, which is torch's in all its cells; returns those seen."""
    seen = np.zeros(output.shape, dtype=int)
    for cells, expression, sign, result in lines(answer):
        if "…" not in expression:
            value = eval(expression, NAMES)
            size = eval(expression.replace("-", "+"), NAMES)
            assert close(value, float(result), size, sign == "=" and not loose)
        for cell in cells:
            seen[index(cell)] += 1
            for theirs in output[index(cell)].reshape(-1).astype(np.float64):
                size = 0 if "…" in expression else eval(expression.replace("-", "+"), NAMES)
                assert close(float(result), theirs, size, sign == "=" and not loose)
    return seen


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


# -- the short answer ---------------------------------------------------------------------------


def test_the_question_is_answered_in_two_lines():
    assert words.short_answer(QUESTION.case()).split("\n\n") == [
        "`y[0,0:2,0] = 2 * dot([1,1,1], [2,1,1]) = 8`",
        "`y[0,2:4,0] = 2 * dot([1,1,2], [2,1,1]) = 10`",
    ]


def test_the_pair_is_answered_flipped_and_not():
    case = PRESETS["pair"].settings.case()
    assert words.short_answer(case).split("\n\n") == [
        "`y[0,0,0] = dot([2,1,1], [5,1,1]) = 12`",
        "`y[0,0,1] = dot([1,1,3], [5,1,1]) = 9`",
    ]
    plain = conv_short_answer(case.x, case.weight)
    assert "`y[0,0,0] = dot([2,1,1], [1,1,5]) = 8`" in plain
    assert "`y[0,0,1] = dot([1,1,3], [1,1,5]) = 17`" in plain and "not flipped here" in plain


@moderate
@given(layers(dtypes=(torch.float32, torch.float64, *INTEGERS)))
def test_every_sum_evaluates_to_torchs_number(drawn: Drawn):
    case = drawn.case()
    answer = words.short_answer(case)
    seen = check(answer, array(drawn.torch()))
    assert seen.max() <= 1 and seen.any()
    if "more sums" not in answer and "same way" not in answer and "such slice" not in answer:
        assert (seen == 1).all()
    assert len(answer.split("\n\n")) <= 9


@moderate
@given(layers(dtypes=FLOATS), st.integers(0, 99))
def test_no_answer_raises_on_odd_numbers(drawn: Drawn, seed: int):
    spoil(drawn, seed)
    case = drawn.case()
    words.short_answer(case)
    words.long_answer(case, cell=(0, 0, *[0] * case.dims))


def test_a_cell_without_terms_is_its_bias():
    case = Case.of([[[2.0, 3.0]]], [[[4.0]]], [0.5], stride=3)
    assert "`y[0,0,1:3] = 0 + 0.5 = 0.5`" in words.short_answer(case)
    assert "No term" in words.cell_answer(case, 0, 0, 1)


def test_an_unbatched_input_has_no_batch_index():
    assert words.short_answer(Case.of([[2.0]], [[[3.0]]])) == "`y[0,0] = 2*3 = 6`"


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 2)), min_size=1))
def test_slices_hold_each_cell_once(cells: set[tuple[int, int, int]]):
    seen = np.zeros((4, 7, 3), dtype=int)
    for text in slices(cells):
        seen[index(text)] += 1
    assert {cell for cell in product(range(4), range(7), range(3)) if seen[cell]} == cells
    assert seen.max() == 1


# -- the long answer and one cell ---------------------------------------------------------------


def test_the_long_answer_tells_the_question():
    answer = words.long_answer(QUESTION.case(), cell=(0, 3, 0))
    for said in (
        "(1, 4, 3)", "(4, 2, 3)", "(1, 4, 1)", "| 1 | 2, 3 | `weight[2:4]` | 2, 3 |",
        "1*(3-1) - 2 = 0", "+ 0 + 1 = 1\n$$", "`[1,1,2]` is read as `[2,1,1]`",
        "`y[0,2:4,0] = 2 * dot([1,1,2], [2,1,1]) = 10`", "`[8, 8, 10, 10]`", "equals torch",
        "**`y[0,3,0] = 10`**",
    ):  # fmt: skip
        assert said in answer


@moderate
@given(layers(), st.data())
def test_a_cell_is_told_with_its_terms_and_counts(drawn: Drawn, data):
    case, output = drawn.case(), array(drawn.torch())
    batched = output if output.ndim == case.dims + 2 else output[None]
    cell = np.unravel_index(data.draw(st.integers(0, batched.size - 1)), batched.shape)
    answer = words.cell_answer(case, *map(int, cell))
    rows = [r for r in loop(drawn) if (r.n, r.out_channel, *r.o) == tuple(map(int, cell))]
    told = re.findall(
        r"^x\[([\d,]+)\] \* w\[([\d,]+)\] += (\S+) \* (\S+) = (\S+) +sum (\S+)$", answer, re.M
    )
    assert len(told) == (len(rows) if len(rows) <= 24 else 16)
    keep = {(r.in_channel, *r.i): r for r in rows}
    for at, _, x, w, result, _ in told:
        numbers = tuple(map(int, at.split(",")))
        row = keep[numbers if case.unbatched else numbers[1:]]
        assert (float(x), float(w), float(result)) == pytest.approx(
            (row.x, row.w, row.product), rel=1e-4
        )
    if rows:
        assert f"{len(rows)} term" in answer
        zeros = sum(row.product == 0 for row in rows)
        if len(rows) > 1:
            assert {0: "none is zero", 1: "1 of them is zero"}.get(
                zeros, f"{zeros} of them are zero"
            ) in answer
        out, reached = int(cell[1]), {(r.in_channel, r.i) for r in rows}
        stamped = [
            r for r in loop(drawn)
            if r.n == cell[0] and r.out_channel == out and (r.in_channel, r.i) in reached
        ]  # fmt: skip
        cropped = sum(not row.kept for row in stamped)
        assert (f"crops {cropped} of them" in answer) == (cropped > 0)
    head = float(re.search(r"(?:=|≈) (\S+)`\*\*", answer)[1])
    assert head == pytest.approx(float(batched[cell]), rel=1e-3, abs=1e-3)
    assert "torch says" in answer


def test_a_cropped_cell_is_told_and_a_missing_one_refused():
    assert "Padding crops this cell" in words.cell_answer(QUESTION.case(), 0, 0, -1)
    with pytest.raises(IndexError):
        words.cell_answer(QUESTION.case(), 0, 9, 0)


def test_a_sum_that_leaves_the_range_is_told_so(monkeypatch):
    case = Case.of(np.array([[[300, -300]]], np.float16), np.array([[[300, 300]]], np.float16))
    end = "float16's range, which ends at 65,504"
    assert f"`y[0,0,0] = 300*300 = inf` (the sum leaves {end})" in words.short_answer(case)
    theirs = np.array([[[np.inf, np.nan, -np.inf]]], np.float16)  # as one of torch's kernels has it
    monkeypatch.setattr(reference, "torch_output", lambda case: theirs)
    answers = [words.cell_answer(case, 0, 0, o) for o in range(3)]
    assert all(f"The sum, {s}90000, is outside {end}" in answers[o] for s, o in (("", 0), ("-", 2)))
    assert "torch says inf: equal" in answers[0] and "torch says -inf: equal" in answers[2]
    assert f"torch says nan: this sum can leave {end}" in answers[1]
    assert "1 overflows: torch has 1 nan there" in words.long_answer(case, (0, 0, 1))
    assert "nan apart" not in "".join(answers)


def test_padding_is_told_with_its_border_and_negative_ones():
    case = Case.of(np.ones((1, 1, 5)), np.ones((1, 1, 2)), padding=2)
    assert "1*(2-1) - 2 = -1; a negative border cuts" in words.long_answer(case)
    case = Case.of(np.ones((1, 1, 3)), np.ones((1, 1, 1)), stride=3, output_padding=2)
    assert "hold the bias alone" in words.long_answer(case)
    case = PRESETS["output_padding"].settings.case()
    assert "real sums land in all of them" in words.long_answer(case)


def test_a_dcgan_layer_is_answered_shortly_and_in_little_memory():
    case = DCGAN.case()
    tracemalloc.start()
    short, cell = words.short_answer(case), words.cell_answer(case, 0, 255, 16, 16)
    long = words.long_answer(case)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(short) < 1200 and len(cell) < 3000 and len(long) < 4500
    assert peak < 200 * 2**20
    output = F.conv_transpose2d(
        torch.from_numpy(case.x.copy()), torch.from_numpy(case.weight.copy()), stride=2, padding=1
    )
    ((cells, _, _, result),) = lines(short)
    assert float(result) == pytest.approx(
        float(output[tuple(map(int, cells[0].split(",")))]), rel=1e-3
    )
    assert "2,048 products over 512 input channels" in short and "512 to 2,048 terms" in short


# -- plain convolutions -------------------------------------------------------------------------


@st.composite
def convs(draw: st.DrawFn) -> tuple[Any, ...]:
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(dims)]
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    stride = tuple(draw(st.integers(1, 2)) for _ in range(dims))
    size = [d * (k - 1) + 1 + draw(st.integers(0, 2)) for d, k in zip(dilation, kernel)]
    padding = draw(st.sampled_from([(0,) * dims, (1,) * dims, "valid", "same"]))
    stride = (1,) * dims if padding == "same" else stride
    random = torch.Generator().manual_seed(draw(st.integers(0, 999)))

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randint(-3, 4, shape, generator=random).float()

    batch = [] if draw(st.booleans()) else [2]
    bias = tensor(2 * groups) if draw(st.booleans()) else None
    return (
        tensor(*batch, 2 * groups, *size), tensor(2 * groups, 2, *kernel), bias, stride, padding,
        dilation, groups,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@moderate
@given(convs(), st.data())
def test_a_plain_convolution_adds_up_to_torchs_numbers(call: tuple[Any, ...], data):
    dims = call[1].ndim - 2
    output = getattr(F, f"conv{dims}d")(*call)
    for given_output in (output, None):
        answer = conv_short_answer(*call, given_output)
        assert check(answer, array(output)).any() and "not flipped here" in answer
    batched = array(output if output.ndim == dims + 2 else output[None])
    cell = np.unravel_index(data.draw(st.integers(0, batched.size - 1)), batched.shape)
    told = conv_cell_answer(*call, None, *map(int, cell))
    assert float(re.search(r"= (\S+)`\*\*", told)[1]) == batched[cell]
    terms = [float(n) for n in re.findall(r"^x\[.* = (\S+)$", told, re.M)]
    if "more terms" not in told:
        bias = 0 if call[2] is None else float(call[2][cell[1]])
        assert sum(terms) + bias == batched[cell]


# -- warnings -----------------------------------------------------------------------------------


def test_positional_groups_and_dilation_are_warned_about():
    said = advice.positional_warning("conv_transpose2d", ["x", "w", None, 1, 0, 0, 2, 2])
    assert "groups=2, dilation=2" in said
    assert advice.positional_warning("conv_transpose2d", ["x", "w", None, 1, 0, 0]) is None
    said = advice.positional_warning("ConvTranspose2d", [4, 4, 3, 1, 0, 0, 2, 2])
    assert "groups=2, bias=2" in said
    assert advice.positional_warning("ConvTranspose2d", [4, 4, 3, 1, 0, 0]) is None


def sizes() -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))


@given(sizes(), st.integers(1, 5))
def test_the_equivalent_of_same_has_the_size_and_says_when_it_is_exact(sizes, length: int):
    kernel, stride, dilation = sizes
    (padding,), (extra,), (total,) = advice.same_padding((kernel,), (stride,), (dilation,))
    said = advice.padding_word_warning(
        "same", kernel_size=(kernel,), stride=(stride,), dilation=(dilation,)
    )
    x, weight = torch.randn(1, 1, length), torch.randn(1, 1, kernel)
    full = F.conv_transpose1d(x, weight, stride=stride, dilation=dilation)
    tensorflow = F.pad(full, (0, stride))[..., total // 2 : total // 2 + stride * length]
    if extra < max(stride, dilation):
        ours = F.conv_transpose1d(x, weight, None, stride, padding, extra, 1, dilation)
        assert ours.shape[-1] == stride * length
        if "exactly that" in said:
            assert torch.allclose(ours, tensorflow, atol=1e-5)
            assert f"padding={padding}" in said
    assert f"{total} in all" in said


@given(sizes(), st.integers(4, 8), st.data())
def test_another_padding_mode_is_the_endless_input(sizes, length: int, data):
    kernel, stride, dilation = sizes
    extra = data.draw(st.integers(0, max(stride, dilation) - 1))
    most = ((length - 1) * stride + dilation * (kernel - 1) + extra) // 2
    padding = data.draw(st.integers(0, most))
    (wide,), (crop,) = advice.mode_padding((kernel,), (stride,), (dilation,), (padding,), (extra,))
    if wide > length:
        return
    said = advice.padding_word_warning(
        padding, "circular", kernel_size=(kernel,), stride=(stride,), dilation=(dilation,),
        output_padding=(extra,),
    )  # fmt: skip
    x, weight = torch.randn(1, 1, length).double(), torch.randn(1, 1, kernel).double()
    plain = F.conv_transpose1d(x, weight, None, stride, padding, extra, 1, dilation)
    padded = F.pad(x, (wide, wide), mode="circular") if wide else x
    ours = F.conv_transpose1d(padded, weight, None, stride, crop, extra, 1, dilation)
    assert ours.shape == plain.shape
    endless = F.conv_transpose1d(x.repeat(1, 1, 21), weight, None, stride, 0, 0, 1, dilation)
    start = 10 * length * stride + padding
    assert torch.allclose(ours, endless[..., start : start + ours.shape[-1]])
    assert ("Leave it out" in said) == (wide == 0)
    assert wide == 0 or f"F.pad(x, ({wide}, {wide})" in said


def test_an_unbatched_input_is_warned_about():
    assert "8 channels of 28 x 28" in advice.unbatched_warning((8, 28, 28), 2)
    assert "(1, 1, 28, 28)" in advice.unbatched_warning((1, 28, 28), 2)
    assert advice.unbatched_warning((8, 1, 28, 28), 2) is None
    assert advice.padding_word_warning(1, kernel_size=(3,), stride=(1,), dilation=(1,)) is None

"""A wrong reading is known by the numbers that it gives, and by no others."""

from __future__ import annotations

import io
import tracemalloc
from contextlib import suppress
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, layers, moderate
from torch.nn import functional as F

from convt_trace import Case
from convt_trace.answers import pasted
from convt_trace.answers.misread import READINGS, misread
from convt_trace.answers.pasted import PastedError, read_result
from convt_trace.links.settings import PRESETS, QUESTION

BY_NAME = {reading.apply.__name__: reading for reading in READINGS}


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case_of(x, weight, bias=None, **parameters) -> Case:
    return Case.of(x, weight, bias, **parameters)


def flip(weight: torch.Tensor) -> torch.Tensor:
    return weight.flip(*range(2, weight.ndim))


X1, W1, B1 = numbers(1, 4, 7), numbers(4, 2, 5, seed=1), numbers(4, seed=2)
X2, W2, B2 = numbers(2, 4, 5, 6), numbers(4, 2, 3, 4, seed=1), numbers(4, seed=2)
SQUARE = numbers(4, 4, 3, seed=5)

#: For each reading: the layer, and its wrong numbers as torch gives them when it is told wrongly.
WRONG = {
    "kernel_not_flipped": (
        (X2, W2, B2, {"stride": 2, "padding": 1, "groups": 2}),
        lambda: F.conv_transpose2d(X2, flip(W2), B2, 2, 1, 0, 2),
    ),
    "padding_added_to_input": (
        (X1, W1, B1, {"padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(F.pad(X1, (1, 1)), W1, B1, groups=2),
    ),
    "padding_as_border": (
        (X1, W1, B1, {"padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, padding=3, groups=2),
    ),
    "padding_around_output": (
        (X1, W1, B1, {"padding": 1, "stride": 2, "groups": 2}),
        lambda: F.pad(F.conv_transpose1d(X1, W1, None, 2, groups=2), (1, 1)) + B1[:, None],
    ),
    "padding_ignored": (
        (X1, W1, B1, {"padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, groups=2),
    ),
    "output_padding_zeros": (
        (X1, W1, B1, {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
        lambda: F.pad(F.conv_transpose1d(X1, W1, B1, 2, 1, 0, 2), (0, 1)),
    ),
    "output_padding_ignored": (
        (X1, W1, B1, {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 2, 1, 0, 2),
    ),
    "cropped_on_other_side": (
        (X1, W1, B1, {"stride": 2, "padding": 2, "output_padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 2, 0, 0, 2)[..., 1:-2],
    ),
    "trimmed_at_end": (
        (X1, W1, B1, {"stride": 2, "padding": 2, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 2, 0, 0, 2)[..., :-4],
    ),
    "trimmed_in_front": (
        (X1, W1, B1, {"stride": 2, "padding": 2, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 2, 0, 0, 2)[..., 4:],
    ),
    "tensorflow_same": (
        (X1, W1, B1, {"stride": 2, "padding": 2, "output_padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 2, 0, 0, 2)[..., 1:-2],
    ),
    "conv_layout": (
        (X1, W1, B1, {"groups": 2}),
        lambda: F.conv_transpose1d(
            X1, W1.reshape(2, 2, 2, 5).transpose(1, 2).reshape(4, 2, 5), B1, groups=2
        ),
    ),
    "weight_out_first": (
        (X1, W1, B1, {"groups": 2}),
        lambda: F.conv_transpose1d(X1, W1.reshape(2, 4, 5).transpose(0, 1), B1, groups=2),
    ),
    "groups_dealt_out": (
        (X1, W1, B1, {"groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, None, groups=2)[:, [0, 2, 1, 3]] + B1[:, None],
    ),
    "groups_dealt_in": (
        (X1, W1, B1, {"groups": 2}),
        lambda: F.conv_transpose1d(X1[:, [0, 2, 1, 3]], W1, B1, groups=2),
    ),
    "groups_and_dilation_swapped": (
        (X1, W1, None, {"groups": 2, "dilation": 1}),
        lambda: F.conv_transpose1d(X1, W1, None, groups=1, dilation=2),
    ),
    "dilation_ignored": (
        (X1, W1, B1, {"groups": 2, "dilation": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, groups=2),
    ),
    "one_input_channel": (
        (X1, W1, B1, {"groups": 2}),
        lambda: F.conv_transpose1d(
            X1 * torch.tensor([1, 0, 1, 0])[:, None], W1, B1, groups=2
        ),
    ),
    "bias_forgotten": (
        (X2, W2, B2, {"stride": 2, "groups": 2}),
        lambda: F.conv_transpose2d(X2, W2, None, 2, groups=2),
    ),
    "bias_doubled": (
        (X2, W2, B2, {"stride": 2, "groups": 2}),
        lambda: F.conv_transpose2d(X2, W2, 2 * B2, 2, groups=2),
    ),
    "stride_as_step": (
        (X1, SQUARE, B1, {"stride": 2, "padding": 1}),
        lambda: F.conv1d(X1, SQUARE.transpose(0, 1), B1, 2, 1),
    ),
    "stride_subsamples": (
        (X1, W1, B1, {"stride": 2, "padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 1, 1, 0, 2)[..., ::2],
    ),
    "stride_ignored": (
        (X1, W1, B1, {"stride": 2, "padding": 1, "groups": 2}),
        lambda: F.conv_transpose1d(X1, W1, B1, 1, 1, 0, 2),
    ),
}  # fmt: skip


def test_every_reading_is_tried_here_and_says_what_it_is():
    assert set(WRONG) == set(BY_NAME) and len(BY_NAME) == len(READINGS)
    assert all(reading.apply.__doc__ and reading.change for reading in READINGS)


@pytest.mark.parametrize("name", WRONG)
def test_a_reading_is_found_by_its_numbers_and_no_other_is_named(name: str):
    (x, weight, bias, parameters), wrong = WRONG[name]
    case, yours = case_of(x, weight, bias, **parameters), wrong().numpy()
    found = misread(case, yours)
    assert found.kind == "misread"
    assert (BY_NAME[name],) in [match.readings for match in found.matches]
    for match in found.matches:
        assert match.result == pytest.approx(yours, abs=1e-9)
        assert match.name in found.text and match.change in found.text
    assert found.torch.shape == case.trace().output.shape
    if found.difference is not None:
        assert found.difference == pytest.approx(yours.reshape(found.torch.shape) - found.torch)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_reading_is_found_in_what_torch_prints(name: str, dtype: torch.dtype):
    (x, weight, bias, parameters), wrong = WRONG[name]
    case = case_of(
        x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype), **parameters
    )
    with _full():
        text = str(wrong().to(dtype))
    found = misread(case, read_result(text))
    assert (BY_NAME[name],) in [match.readings for match in found.matches]


class _full:
    """Print tensors without an ellipsis."""

    def __enter__(self):
        torch.set_printoptions(threshold=10**6)

    def __exit__(self, *_):
        torch.set_printoptions(profile="default")


def test_two_mistakes_at_once_are_found():
    case = case_of(X1, W1, B1, stride=2, padding=1, groups=2)
    wrong = F.conv_transpose1d(X1, flip(W1), None, 2, 1, 0, 2)
    found = misread(case, wrong.numpy())
    names = {reading.apply.__name__ for reading in found.matches[0].readings}
    assert found.kind == "misread" and names == {"kernel_not_flipped", "bias_forgotten"}


@moderate
@given(layers(dtypes=(torch.float32, torch.float64, torch.int64)))
def test_torchs_own_numbers_are_equal(drawn: Drawn):
    with _full():
        text = str(drawn.torch())
    case = drawn.case()
    assert misread(case, drawn.torch().numpy()).kind == "equal"
    assert misread(case, drawn.torch().reshape(-1).tolist()).kind == "equal"
    assert misread(case, read_result(text)).kind == "equal"


@moderate
@given(layers(dtypes=(torch.float64,), whole=False), st.sampled_from(READINGS))
def test_no_reading_raises_and_none_is_named_wrongly(drawn: Drawn, reading):
    case = drawn.case()
    noise = drawn.torch().numpy() * 1.5 + 7.123456789
    found = misread(case, noise)
    for match in found.matches:
        assert match.result.reshape(-1) == pytest.approx(noise.reshape(-1), abs=1e-6)
    assert found.kind == ("misread" if found.matches else "unknown")


def test_torchs_numbers_in_another_shape_or_order_are_known():
    case = case_of(X2, W2, B2, groups=2)
    output = case.trace().output
    assert misread(case, output.reshape(2, 4, -1)).kind == "rearranged"
    found = misread(case, output.transpose(0, 2, 3, 1))
    assert found.kind == "rearranged" and "(0, 2, 3, 1)" in found.text


def test_what_nobody_knows_is_said_with_the_closest():
    case = QUESTION.case()
    found = misread(case, [1.5, 2.5, 3.5, 4.25])
    assert found.kind == "unknown" and found.closest is not None and found.matches == ()
    assert "None of the known wrong readings" in str(found) and found.difference is not None
    assert not np.array_equal(found.closest.result, found.torch)
    found = misread(case, np.arange(12.0).reshape(1, 4, 3) / 7)
    assert found.difference is None and "(1, 4, 3)" in found.text
    assert found.closest.result.shape == (1, 4, 3)
    assert misread(case, []).kind == "unknown"


def test_the_question_misread_without_its_groups_sum():
    found = misread(QUESTION.case(), [[4.0], [4.0], [5.0], [5.0]])
    assert [match.name for match in found.matches] == ["only one input channel of each group read"]


def test_an_unbatched_case_and_nan_are_no_obstacle():
    case = Case.of([[2.0, 1.0, float("nan"), 3.0]], [[[1.0, 1.0, 5.0]]], padding=1)
    assert misread(case, case.trace().output).kind == "equal"
    assert misread(case, [[1.0, 2.0]]).kind == "unknown"
    assert misread(case, [float("inf"), float("nan"), 1.0, 2.0]).kind == "unknown"


def test_whole_numbers_are_not_taken_as_rounded():
    case = Case.of([[[20000, 1, 3]]], [[[1, 2]]])
    assert misread(case, case.trace().output + np.array([1, 0, 0, 0])).kind == "unknown"


def test_a_dcgan_layer_is_diagnosed_in_little_memory():
    case = PRESETS["dcgan"].settings.case()
    x, weight = torch.from_numpy(case.x.copy()), torch.from_numpy(case.weight.copy())
    wrong = F.conv_transpose2d(x, flip(weight), stride=2, padding=1).numpy()
    tracemalloc.start()
    found = misread(case, wrong)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.matches[0].name == "the kernel not flipped"
    assert len(found.text) < 2000 and peak < 600 * 2**20


# -- numbers that people bring ------------------------------------------------------------------

READ = {
    "tensor([[8.],\n        [10.]], grad_fn=<SqueezeBackward1>)": [[8.0], [10.0]],
    "y = tensor([[[ 1.2500e+00, -2.0000e-03]]], dtype=torch.float64, device='cuda:0')": [
        [[1.25, -0.002]]
    ],
    "Parameter containing:\ntensor([1, 2], requires_grad=True)": [1, 2],
    "array([[1., 2.],\n       [3., 4.]], dtype=float32)": [[1, 2], [3, 4]],
    "np.array([1, 2,])": [1, 2],
    "[[1. 2.]\n [3. 4.]]": [[1, 2], [3, 4]],
    "[(1, 2), (3, 4)]": [[1, 2], [3, 4]],
    "tensor(8.)": 8.0,
    "8 8 10 10": [8, 8, 10, 10],
    "1,2\n3,4\n": [[1, 2], [3, 4]],
    "a;b\n1;2\n": [1, 2],
    "[-1, +2, .5, 1e-3]": [-1, 2, 0.5, 0.001],
    "torch.tensor([1., 2.])": [1, 2],
}


@pytest.mark.parametrize("text", READ)
def test_pasted_text_is_read(text: str):
    assert read_result(text).tolist() == READ[text]
    assert read_result(text.encode()).tolist() == READ[text]


def test_nan_and_inf_are_numbers():
    assert str(read_result("tensor([nan, inf, -inf])").tolist()) == "[nan, inf, -inf]"


REFUSED = {
    "tensor([1., 2.,  ..., 3.])": "ellipsis",
    "[1, 2, …]": "ellipsis",
    "[1 2 ... 3]": "ellipsis",
    "": "no numbers",
    "[]": "empty",
    "[[1, 2], [3]]": "not regular",
    "[1, [2]]": "not regular",
    "[[1], 2]": "not regular",
    "[[[1], [2]], [[3]]]": "not regular",
    "[1, 2": "not closed",
    "[1, __import__('os')]": "__import__",
    "[1, True]": "True",
    "[1, 2j]": "2j",
    "tensor([1])\ntensor([2])": "one tensor alone",
    "print(open('x').read()) or [1]": "one tensor alone",
    "[" * 50 + "1" + "]" * 50: "nested",
    "1 2\n3": "different lengths",
    "one two": "not a number",
    "[" + "1," * (pasted.MOST_NUMBERS + 1) + "]": "at most",
    "1" * (pasted.MOST_TEXT + 1): "at most",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_other_text_is_refused_in_a_sentence(text: str):
    with pytest.raises(PastedError, match=REFUSED[text]) as raised:
        read_result(text)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 250


@given(st.text("[](),;.-+e19 \nantensor=<>…", max_size=60))
def test_no_text_makes_it_raise_anything_else(text: str):
    with suppress(PastedError):
        assert read_result(text).dtype == np.float64


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 99))
def test_what_is_printed_is_read_back(shape: list[int], seed: int):
    array = np.random.default_rng(seed).standard_normal(shape)
    for text in (repr(array), str(array.tolist()), str(torch.tensor(array)), str(array)):
        assert (
            read_result(text) == pytest.approx(array, abs=1e-4)
            and read_result(text).shape == array.shape
        )


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(("dtype", "order"), [*product(["<f4", ">f8", "i8", "f2"], "CF")])
def test_a_npy_file_is_read(dtype: str, order: str):
    array = np.arange(6, dtype=dtype).reshape(2, 3, order=order)
    assert read_result(npy(array), "y.npy").tolist() == array.tolist()


def test_other_files_are_refused():
    objects = npy(np.array([{}], dtype=object), allow_pickle=True)
    large = npy(np.zeros(3)).replace(b"(3,), ", b"(9999999999,),")
    short = npy(np.zeros(3))[:-1]
    for data, name, said in [
        (objects, "y.npy", "plain numbers"), (short, "y.npy", "holds 2 numbers"), (b"x", "y.npy", "np.save"),
        (b"\xff\xfe\xfa", "y.txt", "UTF-8"), (b"", "y.pt", "programs"), (b"", "y.npz", "programs"),
        (npy(np.ones(2, dtype=complex)), None, "plain numbers"), (npy(np.ones(2, dtype="U3")), None, "plain"),
        (b"\x93NUMPY" + b"\0" * (pasted.MOST_FILE + 1), None, "bytes"), (large, None, "at most|np.save"),
    ]:  # fmt: skip
        with pytest.raises(PastedError, match=said):
            read_result(data, name)


@given(st.binary(max_size=200), st.integers(0, 120))
def test_a_broken_file_is_refused_and_nothing_else(noise: bytes, cut: int):
    good = npy(np.arange(4.0))
    for data in (good[:cut] + noise, b"\x93NUMPY" + noise):
        with suppress(PastedError):
            read_result(data, "y.npy")

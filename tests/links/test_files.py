"""Case files: the round trip, bit for bit, and files that are none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bit_cases, layers, moderate

from convt_trace import Case
from convt_trace.links.files import LARGEST_FILE, LARGEST_VALUES, FileError, from_json, to_json
from convt_trace.links.packed import DTYPES
from convt_trace.links.settings import PRESETS, QUESTION

DOCS = Path(__file__).parents[2] / "docs"


def question(**changes: object) -> str:
    return json.dumps({**json.loads(to_json(QUESTION.case())), **changes})


@moderate
@given(layers())
def test_a_case_comes_back(drawn):
    case = drawn.case()
    assert Case.from_json(case.to_json()) == case


@moderate
@given(bit_cases())
def test_a_case_comes_back_bit_for_bit(case):
    text = to_json(case)
    back = from_json(text)
    assert back == case
    assert back.x.dtype == case.x.dtype and back.x.shape == case.x.shape
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_tensor_is_packed_and_comes_back(dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1, 2, 64, 64)) * 50).astype(DTYPES[dtype])
    case = Case.of(x, np.ones((2, 1, 3, 3), dtype=DTYPES[dtype]), origin="a test")
    text = to_json(case)
    assert "packed" in json.loads(text)["x"] and "numbers" in json.loads(text)["weight"]
    assert from_json(text) == case
    assert from_json(text).origin == "a test"


def test_a_full_size_layer_comes_back():
    case = PRESETS["dcgan"].settings.case()
    text = to_json(case)
    assert len(text) < LARGEST_FILE
    assert from_json(text) == case


def test_numbers_are_written_as_a_person_would():
    text = to_json(Case.of(np.float32([[0.1, -2.0, np.inf]]), np.float32([[[3e-9]]])))
    assert "[[0.1, -2.0, Infinity]]" not in text
    assert '[[0.1, -2.0, "inf"]]' in text and "[[[3e-09]]]" in text


def test_bytes_are_read_too_as_editors_save_them():
    text = to_json(QUESTION.case())
    assert from_json(text.encode()) == from_json(b"\xef\xbb\xbf" + text.encode()) == QUESTION.case()


def test_the_examples_in_the_docs_are_read():
    page = (DOCS / "case-file.md").read_text()
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        assert from_json(example).trace().output.size


def test_what_is_left_out_of_the_layer_is_torchs_default():
    data = json.loads(question())
    del data["layer"]["stride"], data["layer"]["dilation"]
    assert from_json(json.dumps(data)) == QUESTION.case()


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "not JSON: line 1"),
        ("{", "not JSON"),
        ("[]", "does not say"),
        ('"text"', "does not say"),
        ('{"format": "convt-trace case"}', "version unknown"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("[" * 50_000, "nested too deeply, or has too long a number"),
        ("1" * 50_000, "nested too deeply, or has too long a number"),
        ("[" + "1," * LARGEST_VALUES + "1]", "too many values: 100,001"),
        ("x" * (LARGEST_FILE + 1), "too large"),
        (question(version=2), "version 2"),
        (question(version=10**30), "version unknown"),
        (question(dtype="complex64"), "dtype"),
        (question(dtype=["float32"]), "dtype"),
        (question(layer=3), "not an object"),
        (question(layer={"stride": 0}), "non-positive stride"),
        (question(layer={"stride": "1"}), "must be tuple of ints"),
        (question(layer={"stride": [1, 2]}), "single integer value or a list of 1"),
        (question(layer={"groups": 0}), "groups"),
        (question(layer={"groups": 10**30}), "groups"),
        (question(layer={"padding": 9}), "Output size is too small"),
        (question(x=None), "no shape"),
        (question(x={"shape": [1, 4, 3]}), "nested as the shape says"),
        (question(x={"shape": [1, 4, -3]}), "shape"),
        (question(x={"shape": [True, 4, 3]}), "shape"),
        (question(x={"shape": [1, 4, 10**9]}), "shape"),
        (question(x={"shape": [2**10] * 3}), "1,073,741,824 numbers"),
        (question(x={"shape": [4, 3], "numbers": [[1, 2, 3]] * 3}), "nested as the shape says"),
        (question(x={"shape": [4, 3], "numbers": [[1, 2, "3"]] * 4}), "not a number of float32"),
        (question(x={"shape": [4, 3], "numbers": [[1, 2, None]] * 4}), "not a number of float32"),
        (question(x={"shape": [4, 3], "numbers": [[1, 2, True]] * 4}), "not a number of float32"),
        (question(x={"shape": [4, 3], "packed": "int8.s.AAAA"}), "cut off"),
        (question(x={"shape": [1, 3, 3], "numbers": [[[1, 2, 3]] * 3]}), "to have 4 channels"),
        (question(weight={"shape": [4, 2], "numbers": [[1, 2]] * 4}), "not those of an input"),
        (question(bias={"shape": [3], "numbers": [1, 2, 3]}), "bias"),
        (question(dtype="int8"), "not a number of int8"),
    ],
)
def test_a_file_that_is_no_case_says_why(text, said):
    with pytest.raises(FileError, match=re.escape(said)) as caught:
        from_json(text)
    assert len(str(caught.value)) < 500


def test_an_integer_that_does_not_fit_is_refused():
    data = json.loads(to_json(Case.of(np.int8([[1]]), np.int8([[[1]]]))))
    data["x"]["numbers"] = [[128]]
    with pytest.raises(FileError, match="too large for int8"):
        from_json(json.dumps(data))


def test_a_large_whole_number_becomes_infinity_only_in_a_float():
    data = json.loads(question(weight={"shape": [4, 2, 1], "numbers": [[[10**50]] * 2] * 4}))
    assert np.isinf(from_json(json.dumps({**data, "layer": {"groups": 2}})).weight).all()


def test_thousands_of_mutated_files_raise_nothing_else():
    rng = np.random.default_rng(1)
    made = [
        to_json(PRESETS[key].settings.case()) for key in ("question", "volume", "output_padding")
    ]
    alphabet = '0123456789-.e"[]{},: nulltruexyz'
    read = 0
    for number in range(3000):
        letters = list(made[number % len(made)])
        for at in rng.integers(0, len(letters), rng.integers(1, 5)):
            letters[at] = alphabet[rng.integers(len(alphabet))]
        if rng.integers(10) == 0:
            del letters[rng.integers(len(letters)) :]
        try:
            case = from_json("".join(letters))
        except FileError as error:
            assert str(error)
            continue
        read += 1
        assert len(case.trace()) == case.geometry.macs
    assert read


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=9,
)
FIELDS = ["version", "layer", "dtype", "x", "weight", "bias", "origin"]
INNER = ["shape", "numbers", "packed", "stride", "groups", "padding"]


@moderate
@given(st.sampled_from(FIELDS), st.sampled_from([None, *INNER]), values)
def test_any_value_in_any_place_is_read_or_refused(field, inner, value):
    data = json.loads(question())
    if inner is None or not isinstance(data[field], dict):
        data[field] = value
    else:
        data[field][inner] = value
    try:
        from_json(json.dumps(data))
    except FileError as error:
        assert str(error)

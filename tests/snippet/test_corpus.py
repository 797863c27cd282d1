"""Texts as people paste them, read here and run by Python: the same numbers and prints."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from convt_trace.snippet import Reading, SnippetError, read_snippet
from tests.snippet.real import PATIENT, cases, run

CORPUS = cases("corpus.txt")
PASTED = cases("pasted.txt")


@cache
def read(source: str) -> tuple[Reading, str]:
    try:
        return read_snippet(source, limits=PATIENT), ""
    except SnippetError as error:
        return error.reading, f"{error.type}: {error.message}"


def compared(source: str, plain: str) -> str:
    """Return where reading and running differ; empty when they do not."""
    calls, printed, error = run(plain)
    reading, our_error = read(source)
    if our_error != error:
        return f"error {our_error!r}, not {error!r}"
    if reading.printed != printed:
        return f"printed {reading.printed!r}, not {printed!r}"
    ours = [
        call
        for call in reading.calls
        if "gradient" not in call.origin and "grad." not in call.origin
    ]
    if [call.op for call in ours] != [op for op, _, _ in calls]:
        return f"calls {[call.op for call in ours]}, not {[op for op, _, _ in calls]}"
    for call, (_, line, output) in zip(ours, calls):
        theirs = output.float().numpy() if output.dtype == torch.bfloat16 else output.numpy()
        if not np.array_equal(call.output.astype(theirs.dtype), theirs, equal_nan=True):
            return f"line {call.line}: another output"
        if source == plain and call.line != line:
            return f"line {call.line}, not {line}"
    return ""


@pytest.mark.parametrize("name", CORPUS)
def test_reads_as_torch_runs(name: str) -> None:
    assert compared(CORPUS[name], CORPUS[name]) == ""


@pytest.mark.parametrize("name", PASTED)
def test_cleans_what_pasting_adds(name: str) -> None:
    pasted, plain = PASTED[name].split("--- plain\n")
    assert compared(pasted, plain) == ""


def test_the_corpus_is_large_and_most_of_it_is_explained() -> None:
    assert len(CORPUS) + len(PASTED) >= 100
    explained = sum(bool(read(source)[0].calls) for source in CORPUS.values())
    assert explained >= 0.9 * len(CORPUS)


@pytest.mark.parametrize("name", CORPUS)
def test_verdicts_agree_with_torch(name: str) -> None:
    reading, _ = read(CORPUS[name])
    assert {call.verdict for call in reading.calls} <= {"equal", "rounding"}

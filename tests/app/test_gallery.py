"""The gallery: every example is read, with what torch and Python themselves make of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from snippet import real

from convt_trace.answers.advice import warnings_of
from convt_trace.app.gallery import EXAMPLES
from convt_trace.links.link import LinkError, from_link, to_link
from convt_trace.snippet import Call, Reading, Run, SnippetError, read_snippet


@cache
def read(source: str, run: Run | None = None) -> tuple[Reading, SnippetError | None]:
    try:
        return read_snippet(source, run, limits=real.PATIENT), None
    except SnippetError as error:
        return error.reading, error


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_with_torchs_own_output(name: str) -> None:
    source = EXAMPLES[name].source
    reading, error = read(source)
    calls, printed, raised = real.run(source)
    assert reading.printed == printed
    assert [(call.op, call.line) for call in reading.calls] == [(op, line) for op, line, _ in calls]
    for call, (_, _, output) in zip(reading.calls, calls):
        np.testing.assert_array_equal(call.output, output.numpy())
        assert call.verdict in ("equal", "rounding")
    if error is None or reading.definitions:
        assert raised == ""
    else:
        assert raised == f"{error.type}: {error.message}"


def outputs(name: str) -> list[list[float]]:
    return [call.output.ravel().tolist() for call in read(EXAMPLES[name].source)[0].calls]


def test_the_question_and_its_answer() -> None:
    assert list(EXAMPLES)[:2] == ["question", "answer"]
    assert outputs("question") == [[8, 8, 10, 10]]
    assert outputs("answer") == [[8, 17], [12, 9]]


def test_the_generator_is_of_full_size() -> None:
    calls = read(EXAMPLES["dcgan"].source)[0].calls
    assert [call.x.shape[1] for call in calls] == [100, 512, 256, 128, 64]
    assert calls[-1].output.shape == (1, 3, 64, 64)


def test_the_class_runs_with_what_its_note_says() -> None:
    run = Run("Up", ((1, 4, 3, 3), (1, 2, 6, 6)), "4, 2")
    assert "`4, 2` with the shapes `1, 4, 3, 3` and `1, 2, 6, 6`" in EXAMPLES["class"].note
    reading, error = read(EXAMPLES["class"].source, run)
    assert error is None
    assert [call.op for call in reading.calls] == ["conv_transpose2d", "conv2d"]


def test_the_positional_call_is_warned_of_and_the_named_one_is_not() -> None:
    assert [line for line, _ in warnings_of(EXAMPLES["positional"].source)] == [8]


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_opens_in_the_playground_is_the_same_case(name: str) -> None:
    for call in read(EXAMPLES[name].source)[0].calls:
        if call.case is not None:
            assert_same_in_the_playground(call)


def assert_same_in_the_playground(call: Call) -> None:
    case = call.case
    assert case is not None
    try:
        query = to_link(case)
    except LinkError as reason:
        assert str(reason).endswith(".")
        return
    linked = from_link(query)
    assert not linked.problems
    assert linked.case == case

"""Texts of the kinds that people paste and a reader stumbles over, each with what torch makes of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from convt_trace.__main__ import answer, trouble
from convt_trace.answers.advice import layer_warning, warnings_of
from convt_trace.answers.refused import explained
from convt_trace.snippet import Reading, Run, SnippetError, read_snippet
from tests.snippet.real import PATIENT, cases

KINDS = cases("kinds.txt")


@cache
def read(name: str) -> tuple[Reading, SnippetError | None]:
    try:
        return read_snippet(KINDS[name], limits=PATIENT), None
    except SnippetError as error:
        return error.reading, error


#: The calls that real Python and torch make: function, line, output shape. And what is printed.
RUNS = {
    "foreign_base": ([("conv_transpose1d", 12, (1, 3, 8))], None),
    "modules_dict": (
        [("conv_transpose2d", 18, (1, 2, 4, 4)), ("conv_transpose2d", 18, (1, 1, 8, 8))],
        "torch.Size([1, 1, 8, 8])\n",
    ),
    "jit_trace": ([("conv_transpose1d", 7, (1, 2, 7))] * 3, ""),
    "flop_counter": ([("conv_transpose2d", 6, (1, 1, 4, 4))], None),
    "other_framework_first": (
        [("conv_transpose2d", 9, (1, 2, 12, 12))], "torch.Size([1, 2, 12, 12])\n"
    ),
    "two_files_pasted": (
        [("conv_transpose1d", 19, (1, 2, 8)), ("conv1d", 11, (1, 2, 8))],
        "torch.Size([1, 2, 8])\n",
    ),
    "output_padding_method": ([("conv_transpose1d", 9, (1, 1, 12))], "torch.Size([1, 1, 10])\n"),
    "tensor_new": ([("conv_transpose1d", 8, (1, 2, 3))], "torch.Size([1, 2, 3])\n"),
    "class_from_dict": (
        [("conv_transpose1d", 15, (1, 4, 12)), ("conv_transpose1d", 15, (1, 2, 24))],
        "torch.Size([1, 2, 24])\n",
    ),
    "half_overflow": ([("conv_transpose1d", 6, (1, 1, 3))], None),
    "dilation_in_output_padding": (
        [("conv_transpose2d", 10, (1, 2, 12, 12))], "torch.Size([1, 2, 12, 12])\n"
    ),
    "bare_layer_names": (
        [("conv2d", 3, (1, 4, 3, 3)), ("conv_transpose2d", 3, (1, 2, 5, 5))],
        "torch.Size([1, 2, 5, 5])\n",
    ),
    "issue_body_indented": ([("conv_transpose2d", 6, (1, 1, 1, 3))], None),
    "private_layer_bases": (
        [("conv_transpose3d", 12, (1, 3, 4, 4, 4))], "1 torch.Size([1, 3, 4, 4, 4])\n"
    ),
    "feature_detection": ([("conv_transpose1d", 8, (1, 3, 20))], None),
    "logdet": ([("conv_transpose1d", 6, (1, 3, 12))], "tensor(2.0794) torch.Size([1, 3, 12])\n"),
    "inner_function_named_init": ([("conv_transpose1d", 22, (1, 1, 8))], None),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_it_runs_as_python_does(name: str) -> None:
    reading, error = read(name)
    calls, printed = RUNS[name]
    assert error is None
    assert [(call.op, call.line, call.output.shape) for call in reading.calls] == calls
    assert {call.verdict for call in reading.calls} <= {"equal", "rounding", "overflow"}
    if printed is not None:
        assert reading.printed == printed


def test_a_text_near_the_time_limit_is_read_whole() -> None:
    reading, error = read("time_limit_border")
    assert error is None and len(reading.calls) == 49
    assert (reading.calls[-1].line, reading.calls[-1].output.shape) == (9, (1, 1, 4104))


def test_a_class_with_a_decorator_from_elsewhere_keeps_its_layers() -> None:
    reading, error = read("decorator_elsewhere")
    assert error is None
    assert [(one.line, one.text) for one in reading.definitions] == [
        (9, "nn.ConvTranspose1d(hidden, 1, 8, 4)")
    ]


@pytest.mark.parametrize(
    ("name", "ins", "has"), [("error_message_alone", 128, 64), ("ipython_traceback", 8, 4)]
)
def test_an_error_message_alone_is_explained(name: str, ins: int, has: int) -> None:
    _, error = read(name)
    assert error is not None and error.type == "RuntimeError"
    told = explained(error)
    assert told is not None and f"takes {ins} input channels" in told.plain
    assert f"in_channels={has}" in told.fix


def test_a_counter_is_set_beside_our_count() -> None:
    reading, _ = read("flop_counter")
    text = answer(reading, KINDS["flop_counter"])
    assert "FlopCounterMode counts 96 FLOPs (2 for each of the 48 MACs)" in text
    assert "thop counts 192" in text


def test_an_error_that_the_text_catches_is_explained_all_the_same() -> None:
    reading, error = read("caught_error")
    assert reading.printed.startswith("Error: Given input size per channel")
    assert error is not None and error.lineno == 6
    assert "Use padding=1." in trouble(error)
    assert "is defined" not in trouble(error)


def test_a_printed_model_lists_its_layers() -> None:
    reading, error = read("printed_model")
    assert error is None
    assert [(one.line, one.arguments) for one in reading.definitions] == [
        (3, {"in_channels": 100, "out_channels": 32, "kernel_size": (4, 4), "stride": (1, 1),
             "bias": False}),
        (5, {"in_channels": 32, "out_channels": 3, "kernel_size": (4, 4), "stride": (2, 2),
             "padding": (1, 1), "bias": False}),
    ]  # fmt: skip
    run = read_snippet(KINDS["printed_model"], run=reading.definitions[1].trial)
    assert run.calls[0].output.shape == (1, 3, 8, 8)
    assert "It makes 2*H x 2*W of H x W." in answer(reading)


def test_an_overflow_is_told_for_the_cell_that_differs() -> None:
    # 300*300 - 300*300 in float16 is nan, inf or 0 by the kernel, and so by the processor.
    half = torch.tensor([[[300.0, -300.0]]]).half()
    here = torch.nn.functional.conv_transpose1d(half, torch.full((1, 1, 2), 300.0).half())
    reading = read("half_overflow")[0]
    (call,) = reading.calls
    assert reading.printed == f"{here}\n"
    middle = here[0, 0, 1].item()
    assert call.verdict == ("equal" if middle == 0 else "overflow")
    if middle:
        assert f"torch has 1 {middle} there" in answer(reading)


def test_a_name_that_lands_elsewhere_by_its_place_is_warned_of() -> None:
    ((line, warning),) = warnings_of(KINDS["dilation_in_output_padding"])
    assert line == 6 and "output_padding=dilation" in warning
    assert warning.endswith("dilation=dilation, groups=groups.")


def test_the_layer_that_failed_is_the_one_that_is_told_of() -> None:
    reading, error = read("conv_after_transposed_conv")
    assert [call.op for call in reading.calls] == ["conv_transpose2d"]
    assert error is not None and error.lineno == 6
    assert "This Conv2d takes 16 input channels, and x of shape (1, 8, 8, 8) has 8" in trouble(
        error
    )


def test_padding_same_is_told_before_anybody_calls_the_layer() -> None:
    reading, error = read("same_padding_never_called")
    assert error is None
    (one,) = reading.definitions
    warning = layer_warning(one.op, one.arguments)
    assert one.line == 7 and warning is not None
    assert warning.startswith('padding="same" does not exist for a transposed convolution')
    assert warning in answer(reading)


def test_the_numbers_of_an_issue_are_those_it_shows() -> None:
    (call,) = read("issue_body_indented")[0].calls
    np.testing.assert_allclose(call.output, [[[[-0.0074868, 0, -0.0074868]]]], atol=1e-6)


def test_every_kind_is_tried() -> None:
    apart = (
        "time_limit_border decorator_elsewhere error_message_alone ipython_traceback caught_error"
    )
    apart += " printed_model conv_after_transposed_conv same_padding_never_called"
    tried = {*RUNS, *apart.split()}
    assert set(KINDS) == tried


TABLES = {
    "torchinfo": """
==========================================================================================
Layer (type:depth-idx)                   Output Shape              Param #
==========================================================================================
Generator                                [1, 3, 8, 8]              --
├─Sequential: 1-1                        [1, 3, 8, 8]              --
│    └─Identity: 2-1                     [1, 100, 1, 1]            --
│    └─ConvTranspose2d: 2-2              [1, 32, 4, 4]             51,200
│    └─ReLU: 2-3                         [1, 32, 4, 4]             --
│    └─ConvTranspose2d: 2-4              [1, 3, 8, 8]              1,539
==========================================================================================
Total params: 52,739
""",
    "torchsummary": """
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
          Identity-1           [-1, 100, 1, 1]               0
   ConvTranspose2d-2             [-1, 32, 4, 4]          51,200
              ReLU-3             [-1, 32, 4, 4]               0
   ConvTranspose2d-4              [-1, 3, 8, 8]           1,539
================================================================
""",
}


@pytest.mark.parametrize("name", TABLES)
def test_the_layers_of_a_table_are_worked_out_and_make_its_sizes(name: str) -> None:
    reading = read_snippet(TABLES[name])
    first, second = reading.definitions
    assert first.arguments == {
        "in_channels": 100, "out_channels": 32, "kernel_size": 4, "bias": False
    }  # fmt: skip
    assert second.arguments == {
        "in_channels": 32, "out_channels": 3, "kernel_size": 4, "stride": 2, "padding": 1
    }  # fmt: skip
    run = read_snippet(TABLES[name], run=Run(second.line, ((1, 32, 4, 4),)))
    assert run.calls[0].output.shape == (1, 3, 8, 8)


def test_two_files_with_futures_of_their_own_are_read_as_one() -> None:
    text = "from __future__ import annotations\nimport torch\ndef f(x: Nothing): return x\n"
    text += "from __future__ import annotations\nf(torch.conv1d(torch.ones(1, 1, 1), torch.ones(1, 1, 1)))\n"
    assert len(read_snippet(text).calls) == 1

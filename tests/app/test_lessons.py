"""The lesson says nothing that torch does not: its numbers, its questions, its claims."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from convt_trace import compare
from convt_trace.app.lessons import LESSON, Step
from convt_trace.links.link import from_link, to_link
from convt_trace.links.settings import settable

STEPS = [pytest.param(step, id=step.title) for step in LESSON]


def torch_output(step: Step) -> np.ndarray:
    return compare(step.settings.case()).torch


@pytest.mark.parametrize("step", STEPS)
def test_a_steps_picture_is_what_torch_computes(step: Step):
    assert compare(step.settings.case()).kind == "equal"
    assert settable(step.settings) == step.settings


@pytest.mark.parametrize("step", STEPS)
def test_a_question_has_an_answer_that_the_text_does_not_give(step: Step):
    answer = float(torch_output(step)[step.cell])
    assert answer.is_integer()
    said = re.findall(r"-?\d+", step.ask)
    assert str(int(answer)) not in said


@pytest.mark.parametrize("step", STEPS)
def test_a_claim_is_torchs_number(step: Step):
    for said, cell in step.claims.items():
        assert float(torch_output(step)[cell]) == float(said)
        assert re.search(rf"\b{said}\b", step.text)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_travels_as_a_link(step: Step):
    linked = step.linked()
    link = to_link(
        step.settings,
        view=linked.view,
        step=linked.step,
        selected=linked.selected,
        hidden=linked.hidden,
    )
    back = from_link(link)
    assert not back.problems
    assert (back.settings, back.selected, back.hidden) == (step.settings, linked.selected, 0)


def test_a_class_has_45_minutes():
    assert sum(step.minutes for step in LESSON) == 45
    assert len({step.title for step in LESSON}) == len(LESSON)


def named(title: str) -> Step:
    return next(step for step in LESSON if step.title == title)


def test_what_stride_and_padding_are_said_to_do():
    one, stride, crop, extra = (
        torch_output(named(title)).ravel().tolist()
        for title in (
            "Stamps overlap and add up",
            "Stride sets the stamps apart",
            "Padding crops",
            "output_padding adds one cell",
        )
    )
    assert len(stride) > len(one)
    assert crop == stride[1:-1]
    assert extra == stride[1:]
    assert extra[-1] != 0


def test_two_lengths_lead_to_the_same_convolution_output():
    kernel = torch.ones(1, 1, 3)
    shapes = {
        F.conv1d(torch.ones(1, 1, size), kernel, stride=2, padding=1).shape for size in (5, 6)
    }
    assert len(shapes) == 1


def test_the_two_stamps_of_stride_2_share_one_cell():
    trace = named("Stride sets the stamps apart").settings.case().trace()
    first, second = ({mac.o for mac in trace if mac.i == (at,)} for at in range(2))
    assert len(first & second) == 1


def test_as_many_terms_meet_as_the_questions_say():
    def terms(title: str) -> int:
        step = named(title)
        return len(step.settings.case().trace().of_output(*step.cell))

    assert terms("Stamps overlap and add up") == 3
    assert terms("Dilation spreads the taps") == 2


def test_gathering_is_a_convolution_with_the_kernel_flipped():
    case = named("The kernel is flipped").settings.case()
    x, w = torch.tensor(case.x), torch.tensor(case.weight)
    conv = F.conv1d(x, w.flip(-1), padding=2)
    assert np.array_equal(conv.numpy(), torch_output(named("The kernel is flipped")))


def test_it_is_the_gradient_of_a_convolution():
    step = named("It is the gradient of a convolution")
    case = step.settings.case()
    x = torch.zeros(1, 1, 6, requires_grad=True)
    F.conv1d(x, torch.tensor(case.weight)).backward(torch.tensor(case.x))
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), torch_output(step))


def test_a_kernel_divisible_by_the_stride_leaves_no_checkerboard():
    counts = F.conv_transpose2d(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 4, 4), stride=2)
    assert len(counts[0, 0, 2:-2, 2:-2].unique()) == 1
    board = torch_output(named("Checkerboards"))
    assert set(np.unique(board).tolist()) == {1, 2, 4}

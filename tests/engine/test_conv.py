"""The trace of a plain convolution, against nested loops, torch, and itself cut in pieces."""

from __future__ import annotations

import warnings
from dataclasses import fields
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, DrawnConv, Row, conv_loop, convs, moderate, spoil
from torch.nn import functional

from convt_trace import Case, LayerError, Macs, compare
from convt_trace.engine import conv_trace, trace
from convt_trace.engine.arrays import wide
from convt_trace.engine.conv import Conv
from convt_trace.engine.cost import LARGEST_TORCH, cost_of, torch_refusal
from convt_trace.engine.reference import torch_output
from convt_trace.engine.view import View, chosen, picked_trace, view_of

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f"))


def same_macs(a: Macs, b: Macs) -> bool:
    return all(same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a))


@moderate
@given(convs(dtypes=(torch.float64, torch.int64)))
def test_every_mac_is_that_of_nested_loops(drawn: DrawnConv):
    t = drawn.conv().trace()
    rows = conv_loop(drawn)
    assert len(t) == len(rows)
    macs = t[:]
    for field in Row._fields:
        expected = np.array([getattr(row, field) for row in rows])
        assert same(getattr(macs, field), expected.reshape(getattr(macs, field).shape)), field
    assert (t.macs, t.kept_macs) == (len(rows), sum(row.kept for row in rows))
    assert t.geometry.padded_macs == sum(not row.kept for row in rows)


@moderate
@given(convs(dtypes=FLOATS + INTEGERS), st.integers(0, 3), st.integers(0, 1000))
def test_the_output_is_torchs(drawn: DrawnConv, spoilt: int, seed: int):
    if spoilt == 0 and drawn.x.dtype.is_floating_point:
        spoil(drawn, seed)
    conv = drawn.conv()
    theirs = drawn.torch()
    verdict = compare(conv)
    assert conv.trace().output.shape == tuple(theirs.shape) == verdict.torch.shape
    if drawn.x.dtype in INTEGERS:
        assert conv.trace().output.tolist() == theirs.tolist()
        assert verdict.kind == "equal"
    assert verdict.kind in ("equal", "rounding", "overflow"), str(verdict)
    assert verdict.kind != "overflow" or drawn.x.dtype in (torch.float16, torch.bfloat16)


@moderate
@given(convs(dtypes=FLOATS, whole=False), st.data())
def test_the_verdict_sees_one_wrong_number(drawn: DrawnConv, data: st.DataObject):
    conv = drawn.conv()
    ours = conv.trace().output.copy()
    at = data.draw(st.integers(0, ours.size - 1))
    wrong = wide(ours).reshape(-1)[at] * 1.5 + 64
    ours.reshape(-1)[at] = wrong
    verdict = compare(conv, ours)
    assert verdict.kind == "different" and verdict.different == 1
    assert not verdict.agrees.reshape(-1)[at]


@moderate
@given(convs(), st.data())
def test_a_slice_a_number_and_a_cell_are_parts_of_the_whole(drawn: DrawnConv, data: st.DataObject):
    conv = drawn.conv()
    t = conv.trace()
    whole = t[:]
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(t))] * 2)))
    # However few terms are added at once.
    with patch.object(conv_trace, "TERMS_AT_ONCE", 7), patch.object(trace, "TERMS_AT_ONCE", 7):
        part = t[start:stop]
    for one in fields(whole):
        assert same(getattr(part, one.name), getattr(whole, one.name)[start:stop])
    number = data.draw(st.integers(0, len(t) - 1))
    assert t[number] == whole[number] == t[number - len(t)]
    mac = whole[number]
    cell = t.of_output(mac.n, mac.out_channel, *mac.o)
    first = number - number % conv.most_terms
    assert same_macs(cell, t[first : first + conv.most_terms])
    with pytest.raises(IndexError, match="outside the output"):
        t.of_output(0, 0, *conv.geometry.output_size)


@moderate
@given(convs(), st.integers(0, 3), st.integers(0, 1000))
def test_sums_run_from_zero_to_the_output(drawn: DrawnConv, spoilt: int, seed: int):
    if spoilt == 0 and drawn.x.dtype.is_floating_point:
        spoil(drawn, seed)
    conv = drawn.conv()
    t, terms = conv.trace(), conv.most_terms
    macs = t[:]
    assert not macs.before[::terms].any()
    inside = np.arange(len(macs) - 1)[np.arange(1, len(macs)) % terms != 0]
    assert same(macs.after[inside], macs.before[inside + 1])
    with np.errstate(all="ignore"):
        assert same(macs.after, macs.before + macs.product)
        assert same(macs.product, macs.x * macs.w)
    assert same(macs.after[terms - 1 :: terms], t.output_sums.reshape(-1))
    # With matrix products the same, but for the last bits of float sums.
    matrix = conv.added(wide(conv.batched), wide(conv.weight))
    np.testing.assert_allclose(matrix, t.output_sums, rtol=1e-12, atol=1e-12)


@moderate
@given(convs(), st.data())
def test_a_pick_walks_through_its_rows_with_whole_sums(drawn: DrawnConv, data: st.DataObject):
    conv = drawn.conv()
    t, layer = conv.trace(), conv.layer

    def some(count: int) -> list[int]:
        return sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))

    n, groups = some(conv.geometry.batch), some(layer.groups)
    ins, outs = some(layer.in_per_group), some(layer.out_per_group)
    picked = t.pick(n, groups, ins, outs)
    whole = t[:]
    rows = (
        np.isin(whole.n, n)
        & np.isin(whole.group, groups)
        & np.isin(whole.in_channel % layer.in_per_group, ins)
        & np.isin(whole.out_channel % layer.out_per_group, outs)
    )
    assert len(picked) == rows.sum()
    macs = picked[:]
    for one in fields(whole):
        assert same(getattr(macs, one.name), getattr(whole, one.name)[rows])
    numbers = np.arange(len(picked))
    assert same(picked.numbering.encode(picked.numbering.decode(numbers)), numbers)
    # What the cells hold before a MAC, told without the MACs before it.
    number = data.draw(st.integers(0, len(picked)))
    held: dict[Any, Any] = {}
    done: dict[Any, int] = {}
    for mac in picked[:number]:
        cell = (mac.n, mac.out_channel, mac.o)
        held[cell], done[cell] = mac.after, done.get(cell, 0) + 1
    cells = [(mac.n, mac.out_channel, mac.o) for mac in macs]
    values, reached, finished = picked.sums_before(
        number, [c[0] for c in cells], [c[1] for c in cells], [*zip(*(c[2] for c in cells))]
    )
    for at, cell in enumerate(cells):
        assert same(values[at], held.get(cell, 0))
        assert reached[at] == (cell in held)
        assert finished[at] == (done.get(cell) == picked.numbering.per_cell)


@moderate
@given(convs())
def test_levels_say_where_units_begin(drawn: DrawnConv):
    t = drawn.conv().trace()
    macs = [*t[:]]
    units = [
        lambda m: (m.n, m.out_channel, m.o, m.in_channel),
        lambda m: (m.n, m.out_channel, m.o),
        lambda m: (m.n, m.out_channel),
        lambda m: (m.n, m.group),
    ]
    assert t.numbering.units[1:5] == ("window", "output cell", "output channel", "group")
    levels = t.numbering.levels(np.arange(len(t)))
    assert levels[0] == t.numbering.units.index("all")
    for level, (before, mac) in zip(levels[1:], pairwise(macs)):
        begun = [at for at, unit in enumerate(units, 1) if unit(before) != unit(mac)]
        assert level == max(begun, default=0)


# -- the object -------------------------------------------------------------------------------------


@moderate
@given(convs())
def test_its_line_makes_the_layer(drawn: DrawnConv):
    conv = drawn.conv()
    layer = eval(conv.line(), {"nn": torch.nn})
    assert layer.weight.shape == drawn.weight.shape
    assert (layer.bias is None) == (drawn.bias is None)
    for name in ("stride", "padding", "dilation", "groups"):
        assert getattr(layer, name) == drawn.parameters[name]


@moderate
@given(convs(), st.sampled_from(["x", "weight", "bias", "stride"]))
def test_equal_ones_have_one_digest_and_others_another(drawn: DrawnConv, what: str):
    conv = drawn.conv()
    assert conv == drawn.conv() and hash(conv) == hash(drawn.conv())
    given_: dict[str, Any] = {"x": drawn.x, "weight": drawn.weight, "bias": drawn.bias}
    if what == "stride" or given_[what] is None:
        parameters = {**drawn.parameters, "dilation": tuple(d + 1 for d in conv.layer.dilation)}
        try:
            other = Conv.of(**given_, **parameters)
        except LayerError:
            return
    else:
        other = Conv.of(**{**given_, what: given_[what] + 1}, **drawn.parameters)
    assert other != conv and other.digest != conv.digest


def test_it_is_no_case_of_the_same_numbers():
    x, w = np.ones((1, 1, 3), np.float32), np.ones((1, 1, 2), np.float32)
    assert Conv.of(x, w).digest != Case.of(x, w).digest


def test_its_tensors_are_its_own():
    x = torch.ones(1, 1, 3)
    conv = Conv.of(x, torch.ones(1, 1, 2))
    x[:] = 5
    assert conv.trace().output.tolist() == [[[2, 2]]]
    with pytest.raises(ValueError, match="read-only"):
        conv.x[:] = 5


X, W = (1, 4, 5), (2, 2, 3)
#: Shapes of x, weight and bias, and parameters, that torch refuses.
REFUSED = [
    (X, W, None, {"groups": 0}),
    ((1, 3, 5), W, None, {"groups": 2}),
    (X, (1, 1, 3), None, {"groups": 4}),
    (X, (3, 2, 3), None, {"groups": 2}),
    ((1, 2, 2), (2, 2, 5), None, {"padding": 1}),
    ((1, 2, 2, 2), (2, 2, 5, 5), None, {"padding": 1, "dilation": 2}),
    ((1, 2, 5), W, None, {"stride": 0}),
    ((1, 2, 5), W, None, {"dilation": 0}),
    ((1, 2, 5), W, None, {"padding": -1}),
    ((1, 2, 5), W, None, {"padding": "same", "stride": 2}),
    ((1, 2, 5), W, None, {"padding": "full"}),
    ((1, 2, 5), W, (3,), {}),
    ((5,), W, None, {}),
    ((1, 2, 0), W, None, {"padding": 3}),
    ((1, 2, 5), (0, 2, 3), None, {}),
    ((1, 2, 5), (2, 2, 0), None, {}),
]


@pytest.mark.parametrize("x, weight, bias, parameters", REFUSED)
def test_what_torch_refuses_is_refused(x: Any, weight: Any, bias: Any, parameters: Any):
    tensors = [None if shape is None else torch.ones(shape) for shape in (x, weight, bias)]
    function = getattr(functional, f"conv{len(weight) - 2}d")
    with pytest.raises(RuntimeError) as theirs:
        function(*tensors, **parameters)
    with pytest.raises(LayerError) as ours:
        Conv.of(*tensors, **parameters)
    # In torch's words, at least the first ones: it shows some numbers in another form.
    first = " ".join(str(theirs.value).split()[:4]).rstrip(".:")
    assert str(ours.value).startswith(first.partition(", but")[0])


def test_tensors_of_different_dtypes_are_refused():
    with pytest.raises(LayerError, match="expected scalar type Double but found Float"):
        Conv.of(torch.ones(1, 1, 3).double(), torch.ones(1, 1, 2))
    with pytest.raises(LayerError, match="scalar type"):
        Conv.of(torch.ones(1, 1, 3), torch.ones(1, 1, 2), torch.ones(1).double())


def test_an_argument_that_is_no_number_is_named_as_in_torch():
    x, weight = torch.ones(1, 1, 3), torch.ones(1, 1, 2)
    for name in ("stride", "dilation", "groups"):
        with pytest.raises(TypeError, match=rf"conv1d\(\): argument '{name}' must be"):
            Conv.of(x, weight, **{name: 1.5})


def test_a_plain_convolution_knows_one_order():
    conv = Conv.of(torch.ones(1, 1, 3), torch.ones(1, 1, 2))
    with pytest.raises(ValueError, match="gathers"):
        conv.trace("scatter")


def test_a_page_of_it_is_refused():
    t = Conv.of(torch.ones(1, 1, 3), torch.ones(1, 1, 2)).trace()
    with pytest.raises(NotImplementedError, match="plain convolution"):
        t.to_html()
    assert t._repr_html_ is None and "4 MACs" in repr(t)


def test_an_empty_batch_has_no_macs():
    conv = Conv.of(torch.ones(0, 2, 3), torch.ones(2, 2, 2))
    assert len(conv.trace()) == 0 and conv.trace().output.shape == (0, 2, 2)
    assert compare(conv).kind == "equal"


@pytest.mark.parametrize("batch", [1, 16])
def test_inf_in_a_tap_meets_padded_zeros_as_in_torch(batch: int):
    # NNPACK, which torch may take from 16 items on, puts a NaN into a whole tile.
    weight = torch.ones(1, 1, 3, 3)
    weight[0, 0, 0, 0] = torch.inf
    conv = Conv.of(torch.ones(batch, 1, 5, 5), weight, padding=1)
    output = torch_output(conv)
    corner = np.zeros((5, 5), bool)
    corner[0] = corner[:, 0] = True  # there the tap meets a zero: 0 * inf is NaN
    assert same(np.isnan(output[0, 0]), corner)
    assert compare(conv).kind == "equal"


# -- what is large ----------------------------------------------------------------------------------


def test_a_large_layer_costs_what_is_read():
    """7 * 10**10 MACs: nothing of that size is allocated, and each number is found at once."""
    x, weight = np.ones((1, 64, 512, 512), np.int8), np.ones((1024, 64, 2, 2), np.int8)
    conv = Conv.of(x, weight, padding=(0, 1))
    t = conv.trace()
    assert len(t) == 511 * 513 * 64 * 1024 * 4
    last = t[len(t) - 1]
    assert (last.in_channel, last.out_channel, last.o, last.k) == (63, 1023, (510, 512), (1, 1))
    assert (last.kept, last.before, last.after) == (False, 128, 128)


def test_the_cost_of_torchs_result_is_limited_as_that_of_a_case():
    few, many = np.ones((1, 8, 4, 4), np.float32), np.ones((1, 512, 64, 64), np.float32)
    small = Conv.of(few, np.ones((8, 8, 3, 3), np.float32))
    assert torch_refusal(cost_of(small), small.x.dtype, crops=False) == ""
    large = Conv.of(many, np.ones((512, 512, 3, 3), np.float32), padding=1)
    said = torch_refusal(cost_of(large), large.x.dtype, crops=False)
    assert f"{LARGEST_TORCH['columns']:,}" in said
    one = np.ones((1, 1, 1, 1), np.float32)
    padded = Conv.of(one, one, padding=1100)
    said = torch_refusal(cost_of(padded), padded.x.dtype, crops=False)
    assert f"{2201**2:,} output cells in float32" in said


@moderate
@given(convs())
def test_the_cost_counts_what_there_is(drawn: DrawnConv):
    conv = drawn.conv()
    cost = cost_of(conv)
    assert (cost.macs, cost.cells) == (len(conv_loop(drawn)), drawn.torch().numel())
    assert cost.numbers == drawn.x.numel() + drawn.weight.numel()
    assert cost.terms == len(picked_trace(conv, View("gather"))) * (
        conv.layer.in_per_group / len(chosen(conv, View("gather")).in_local or ())
    )


def test_a_cell_of_a_channel_in_the_middle_comes_on_screen():
    conv = Conv.of(np.ones((1, 40, 9)), np.ones((40, 1, 3)), groups=40)
    view = view_of(conv, "gather", (0, 21, 0))
    assert 21 in (view.groups or ())
    channels = picked_trace(conv, view)[:].out_channel
    assert 21 in channels and len(np.unique(channels)) == len(view.groups or ())


def test_no_warning_is_raised_by_the_trace_itself():
    conv = Conv.of(np.array([[[np.inf, 1e300]]]), np.array([[[0.0, 1e300]]]), padding=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(conv.trace()[:].after).any()
        assert conv.trace().output.shape == (1, 1, 3)

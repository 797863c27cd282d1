"""Linked views: each one's result, its code and its lit cells, held against torch and the trace."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, layers, moderate

from convt_trace import Case, compare, view
from convt_trace.engine.arrays import wide
from convt_trace.views import VIEWS, names, proof
from convt_trace.views.tensors import MOST_PRODUCTS, LinkedView


def some_view(draw_from: Case, data: st.DataObject) -> LinkedView:
    return view(draw_from, data.draw(st.sampled_from(names(draw_from))))


@moderate
@given(layers((*FLOATS, *INTEGERS)), st.data())
def test_a_views_own_result_is_torchs(drawn, data) -> None:
    case = drawn.case()
    seen = some_view(case, data)
    verdict = proof(case, seen)
    assert not isinstance(verdict, str), verdict
    assert verdict.kind in ("equal", "rounding", "overflow"), (seen.name, str(verdict))
    if case.x.dtype.kind in "iu":
        assert verdict.kind == "equal"


@moderate
@given(layers(), st.data())
def test_a_views_code_prints_torchs_result(drawn, data) -> None:
    case = drawn.case()
    assume(case.trace().output.size < 500)
    seen = some_view(case, data)
    printed = run(seen.code)
    # The numbers themselves, not their print: the program's own y.
    mine = printed["y"].detach().numpy()
    expected = drawn.torch().numpy()
    assert mine.shape == expected.shape, seen.name
    assert np.allclose(mine, expected, rtol=1e-4, atol=1e-4), seen.name
    if case.x.dtype.kind in "iu":
        assert (mine == expected).all()


def run(code: str) -> dict:
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, names)
    return names


@moderate
@given(layers(), st.data())
def test_what_a_mac_lights_is_what_the_trace_says(drawn, data) -> None:
    case = drawn.case()
    trace = case.trace(data.draw(st.sampled_from(["scatter", "gather"])))
    macs = trace[: min(len(trace), 300)]
    seen = some_view(case, data)
    lit = seen.lit(macs)
    assert set(lit) == {tensor.name for tensor in seen.tensors}
    for tensor in seen.tensors:
        at = lit[tensor.name]
        assert at.shape == (len(macs), len(tensor.shape)) and at.dtype == np.int64
        inside = ((at >= 0) & (at < tensor.shape)).all(axis=1)
        # Only what padding crops may lie outside.
        assert inside[macs.kept].all()
        if tensor.values is None:
            continue
        numbers = tensor.values(*at[inside].T)
        holds = {"x": macs.x, "w": macs.w}.get(NUMBER_OF.get((seen.name, tensor.name), ""))
        if holds is not None:
            assert (numbers == holds[inside]).all(), (seen.name, tensor.name)
        if tensor.there is not None:
            assert tensor.there(*at.T).all()


#: Which of a MAC's two factors a tensor holds at the cell that the MAC lights.
NUMBER_OF = {
    ("stamp", "x"): "x", ("stamp", "w"): "w",
    ("collect", "w"): "w", ("collect", "v"): "w", ("collect", "z"): "x",
    ("groups", "gx"): "x", ("groups", "gw"): "w",
    ("matrix", "x"): "x", ("matrix", "M"): "w", ("matrix", "A"): "w",
    ("gradient", "w"): "w", ("gradient", "x"): "x",
    ("beside", "z"): "x", ("beside", "v"): "w",
    ("back", "x"): "x", ("back", "w"): "w",
    ("time", "t"): "x", ("time", "w"): "w",
}  # fmt: skip


@moderate
@given(layers(whole=True))
def test_the_matrix_is_the_layer_and_its_transpose_the_conv(drawn) -> None:
    case = drawn.case()
    matrix = case.matrix()
    x = wide(case.batched).reshape(len(case.batched), -1)
    assert ((matrix @ x.T).T.reshape(case.geometry.output_shape) == case.trace().output_sums).all()
    # A plain conv of any signal z is the transpose times z.
    z = np.random.default_rng(0).integers(-3, 4, case.geometry.output_shape)
    conv = getattr(torch, f"conv{case.dims}d")
    layer = case.layer
    there = conv(
        torch.from_numpy(z.astype(float)), torch.from_numpy(wide(case.weight).astype(float)), None,
        layer.stride, layer.padding, layer.dilation, layer.groups,
    )[(..., *(slice(size) for size in case.geometry.input_size))].numpy()  # fmt: skip
    assert ((matrix.T @ z.reshape(len(z), -1).T).T.reshape(there.shape) == there).all()
    # And the identity that makes the two a pair.
    assert (there * wide(case.batched)).sum() == (z * case.trace().output_sums).sum()


def test_the_matrix_holds_weights_that_are_zero() -> None:
    case = Case.of([[[1, 2]]], [[[0, 3]]])
    assert case.matrix().nnz == 4


def test_a_case_offers_its_descriptions() -> None:
    case = Case.of(np.ones((4, 3)), np.ones((4, 2, 3)), np.ones(4), groups=2, stride=2)
    assert [part.layer.groups for part in case.per_group()] == [1, 1]
    joined = np.concatenate([part.trace().output for part in case.per_group()])
    assert (joined == case.trace().output).all()
    assert case.view("gradient").name == "gradient"
    assert case.matrix().shape == (4 * 7, 4 * 3)
    x, weight = case.as_conv()
    conv = torch.conv1d(torch.from_numpy(x), torch.from_numpy(weight), groups=2)
    assert (conv[0].numpy() + 1 == case.trace().output).all()
    assert (case.as_gradient() + 1 == case.trace().output).all()


def test_a_name_that_is_not_there_is_refused_by_name() -> None:
    flat = Case.of(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))
    with pytest.raises(ValueError, match="no view 'time'. It has: stamp, collect"):
        view(flat, "time")


@pytest.mark.parametrize("name", ["collect", "gradient", "beside", "time"])
def test_infinity_is_not_compared_where_a_way_multiplies_zeros(name: str) -> None:
    case = Case.of([[[np.inf, 1.0]]], [[[1.0, 2.0]]], stride=2)
    assert "inf or nan" in proof(case, view(case, name))
    assert compare(case, view(case, "matrix").result()).kind == "equal"


def test_a_large_layer_is_described_but_not_worked_out_again() -> None:
    case = Case.of(np.ones((1, 64, 64, 64), np.float32), np.ones((64, 64, 3, 3), np.float32))
    assert f"{MOST_PRODUCTS:,}" in proof(case, view(case, "collect"))


def test_whole_numbers_beyond_a_float_are_not_compared_by_autograd() -> None:
    case = Case.of([[[2**40]]], [[[2**20, 1]]])
    assert "float64" in proof(case, view(case, "gradient"))
    assert proof(case, view(case, "matrix")).kind == "equal"


def test_the_question_in_every_view() -> None:
    """The sentences of the quoted answer, on the question's own numbers."""
    weight = np.array([1, 1, 2] * 8, dtype=np.float32).reshape(4, 2, 3)
    x = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2], dtype=np.float32).reshape(1, 4, 3)
    case = Case.of(x, weight, padding=2, groups=2)
    assert all(proof(case, view(case, name)).kind == "equal" for name in VIEWS)
    mac = case.trace().of_output(0, 2, 0)[0]
    assert case.view("groups").cells_of(mac)["gw"] == (1, 0, 0, 2)
    assert case.view("groups").cells_of(mac)["m"] == (2, 2)


def test_conv_and_conv_transpose_on_one_signal() -> None:
    case = Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)
    seen = case.view("beside")
    conv = next(tensor for tensor in seen.tensors if tensor.name == "c")
    assert conv.values(*np.indices(conv.shape)).ravel().tolist() == [8, 17]
    assert seen.result().ravel().tolist() == [12, 9]
    assert seen.notes() == ["They differ in 2 of 2 output cells (the bias apart)."]


def test_there_and_back_the_shape_returns_and_the_values_do_not() -> None:
    case = Case.of([[[1.0, 2.0]]], [[[1.0, 1.0]]])
    assert case.view("back").notes() == [
        "The size returns: 2 → 3 → 2. Of the 2 values 0 do.",
        "The other way round: 3 → 2 → 3. Of the 3 values 0 return.",
        "What does hold: <conv(z), x> = <z, conv_transpose(x)> for every z. With z = y: "
        "<conv(y), x> = 14, <y, y> = 14.",
    ]


@moderate
@given(layers(whole=True))
def test_both_ways_there_and_back_are_torchs(drawn) -> None:
    case = drawn.case()
    layer, dims = case.layer, case.dims
    weight = torch.from_numpy(wide(case.weight).astype(float))
    sizes = (layer.stride, layer.padding)
    conv, transpose = (getattr(torch, f"{name}{dims}d") for name in ("conv", "conv_transpose"))
    y = torch.from_numpy(case.trace().output_sums.astype(float))
    cut = (..., *(slice(size) for size in case.geometry.input_size))
    b = conv(y, weight, None, *sizes, layer.dilation, layer.groups)[cut]
    r = transpose(b, weight, None, *sizes, layer.output_padding, layer.groups, layer.dilation)
    tensors = {tensor.name: tensor for tensor in view(case, "back").tensors}
    for name, expected in (
        ("b", b),
        ("d", b - torch.from_numpy(wide(case.batched))),
        ("r", r),
        ("e", r - y),
    ):
        tensor = tensors[name]
        assert (tensor.values(*np.indices(tensor.shape)) == expected.numpy()).all(), name


def test_time_says_what_a_causal_layer_trims() -> None:
    case = Case.of([[[1.0, 2.0, 3.0]]], [[[1.0] * 4]], stride=2, padding=1)
    latest, causal = case.view("time").notes()
    assert latest.endswith(
        "y[0] ← x[0], y[1] ← x[1], y[2] ← x[1], y[3] ← x[2], y[4] ← x[2], y[5] ← x[2]."
    )
    assert "up to 1 step ahead" in causal and ":-2]" in causal
    causal_case = Case.of(case.x, case.weight, stride=2)
    trimmed = causal_case.trace().output[..., :-2]
    # Causal: the outputs up to an input's time do not change with what comes after it.
    later = case.x.copy()
    later[..., 2] += 100
    changed = Case.of(later, case.weight, stride=2).trace().output[..., :-2]
    assert (trimmed[..., :4] == changed[..., :4]).all() and trimmed.shape[-1] == 6

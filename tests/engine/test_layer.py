"""The geometry of a layer: what torch refuses is refused in torch's words; the index maps are right."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import Drawn, axes, conv_transpose, layers, loop, moderate
from torch import nn

import convt_trace
from convt_trace import Geometry, Layer, LayerError
from convt_trace.engine.layer import Axis, channel_ranges
from convt_trace.engine.orders import Index

X1, W1 = (1, 4, 5), (4, 2, 3)
X2, W2 = (1, 2, 4, 4), (2, 3, 2, 2)
X3, W3 = (1, 2, 3, 3, 3), (2, 1, 2, 2, 2)

#: Shapes of x and weight, further arguments (shapes for the bias), words of torch's message.
REFUSED = {
    "in_channels not divisible by groups": (X1, W1, {"groups": 3}, "weight to be divisible by 3"),
    "more groups than channels": (X1, W1, {"groups": 8}, "expected weight to be at least 8 at dim"),
    "no groups": (X1, W1, {"groups": 0}, "non-positive groups is not supported"),
    "negative groups": (X1, W1, {"groups": -2}, "non-positive groups is not supported"),
    "wrong input channels": ((1, 3, 5), W1, {}, "to have 4 channels, but got 3 channels instead"),
    "wrong unbatched channels": ((3, 5), W1, {}, "to have 4 channels, but got 3 channels instead"),
    "no input channels": ((1, 0, 5), (0, 2, 3), {}, "expected weight to be at least 1 at dim"),
    "no output channels": (X1, (4, 0, 3), {}, "weight tensor expected"),
    "no kernel": (X1, (4, 2, 0), {}, "kernel size should be greater than zero"),
    "no kernel on one axis": (X2, (2, 3, 2, 0), {}, "kernel size should be greater than zero"),
    "weight without kernel axes": (X1, (4, 2), {}, "weight should have at least three dimensions"),
    "input of too few axes": ((4,), W1, {}, "Expected 2D (unbatched) or 3D (batched) input to"),
    "input of too many axes": (X2, W1, {}, "Expected 2D (unbatched) or 3D (batched) input to"),
    "2-D input of too few axes": ((4, 4), W2, {}, "Expected 3D (unbatched) or 4D (batched) inp"),
    "3-D input of too few axes": (X1, W3, {}, "Expected 4D (unbatched) or 5D (batched) input"),
    "empty input": ((1, 4, 0), W1, {}, "Only zero batch or zero channel inputs are supported"),
    "stride 0": (X1, W1, {"stride": 0}, "non-positive stride is not supported"),
    "stride 0 on one axis": (X2, W2, {"stride": (1, 0)}, "non-positive stride is not supported"),
    "negative stride": (X3, W3, {"stride": -1}, "non-positive stride is not supported"),
    "negative padding": (X1, W1, {"padding": -1}, "negative padding is not supported"),
    "negative padding, one axis": (X2, W2, {"padding": (1, -1)}, "negative padding is not suppo"),
    "negative output_padding": (X1, W1, {"output_padding": -1}, "negative output_padding is not"),
    "dilation 0": (X1, W1, {"dilation": 0}, "dilation should be greater than zero"),
    "negative dilation": (X2, W2, {"dilation": (1, -1)}, "dilation should be greater than zero"),
    "output_padding at stride 1": (
        X1, W1, {"output_padding": 1}, "output padding must be smaller than either stride or dil",
    ),
    "output_padding of the stride": (
        X1, W1, {"stride": 2, "output_padding": 2}, "output padding must be smaller than either",
    ),
    "output_padding on one axis": (
        X2, W2, {"stride": (2, 3), "output_padding": (1, 3)}, "output padding must be smaller",
    ),
    "output of size 0": (
        (1, 1, 3, 3), (1, 1, 1, 2), {"padding": (1, 2)}, "Output size is too small",
    ),
    "output of negative size": (X1, W1, {"padding": 4}, "(1 x 5). Calculated output size per cha"),
    "too many strides": (X2, W2, {"stride": (1, 1, 1)}, "a list of 2 values to match the convol"),
    "too few paddings": (X3, W3, {"padding": (1, 1)}, "expected padding to be a single integer v"),
    "no dilations": (X1, W1, {"dilation": ()}, "expected dilation to be a single integer value"),
    "two output_paddings": (X1, W1, {"output_padding": (0, 0)}, "but got output_padding=[0, 0]"),
    "bias of the wrong length": (X1, W1, {"bias": (3,)}, "1-dimensional with 2 elements, but got"),
    "bias of one group": (X1, W1, {"bias": (2,), "groups": 2}, "1-dimensional with 4 elements, b"),
    "bias of two axes": (X1, W1, {"bias": (1, 2)}, "bias of size [1, 2] instead"),
    "bias of no axes": (X1, W1, {"bias": ()}, "expected bias to be 1-dimensional with 2 elements"),
}  # fmt: skip

PARAMETERS = ("stride", "padding", "output_padding", "dilation")


def refusals(x, weight, bias=None, **parameters):
    """Return the error that torch raises, and ours."""
    dims = min(max(weight.ndim - 2, 1), 3)
    with pytest.raises(Exception) as theirs:
        conv_transpose(dims)(x, weight, bias, **parameters)
    with pytest.raises(Exception) as ours:
        convt_trace.trace(x, weight, bias, **parameters)
    return theirs.value, ours.value


@pytest.mark.parametrize("what", REFUSED)
def test_what_torch_refuses_is_refused_in_torchs_words_with_a_hint(what):
    x, weight, arguments, words = REFUSED[what]
    arguments = {
        name: torch.ones(value) if name == "bias" else value for name, value in arguments.items()
    }
    theirs, ours = refusals(torch.ones(x), torch.ones(weight), **arguments)
    assert isinstance(theirs, RuntimeError) and isinstance(ours, LayerError)
    assert words in str(theirs)
    assert words.replace("(1 x 5)", "(5)") in str(ours)
    assert ours.hint.endswith(".") and str(ours).endswith(ours.hint)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("value", [1.5, 2.0, True, "2", None, (True,), ("a",), np.float64(1)])
def test_a_parameter_that_is_no_whole_number_is_a_type_error_as_in_torch(name, value):
    theirs, ours = refusals(torch.ones(X1), torch.ones(W1), **{name: value})
    for error in (theirs, ours):
        assert isinstance(error, TypeError)
        assert f"conv_transpose1d(): argument '{name}' must be tuple of ints, not" in str(error)
    assert "Give one whole number" in str(ours)


@pytest.mark.parametrize("value", [2.0, True, "2", None, (2,), [2]])
def test_groups_that_are_no_whole_number_are_a_type_error_as_in_torch(value):
    theirs, ours = refusals(torch.ones(X1), torch.ones(W1), groups=value)
    for error in (theirs, ours):
        assert isinstance(error, TypeError)
        assert f"argument 'groups' must be int, not {type(value).__name__}" in str(error)
    assert "Give one whole number" in str(ours)


@pytest.mark.parametrize("value", [1, np.int64(1), np.int32(1), [1], (1,), torch.tensor(1)])
@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
def test_a_whole_number_is_taken_in_every_form_that_torch_takes(name, value):
    x, weight = torch.ones(X1), torch.ones(W1)
    expected = conv_transpose(1)(x, weight, **{name: value})
    assert convt_trace.trace(x, weight, **{name: value}).output.tolist() == expected.tolist()


FOUND = [
    (torch.float32, torch.float64, "Float", "Double"),
    (torch.int64, torch.float32, "Long", "Float"),
    (torch.float16, torch.float32, "Half", "Float"),
    (torch.float64, torch.int64, "Double", "Long"),
]


def assert_both_name(theirs: Exception, ours: Exception, named: str, found: str, what: str) -> None:
    """Both errors name both dtypes; where oneDNN takes half precision, torch words it another way."""
    said = f"expected scalar type {named} but found {found}"
    onednn = f"Input type (torch.{named}Tensor) and {what} type (torch.{found}Tensor) should be"
    assert said in str(ours)
    assert said in str(theirs) or onednn in str(theirs)


@pytest.mark.parametrize("first, second, named, found", FOUND)
def test_mixed_dtypes_are_refused_by_torchs_names_of_them(first, second, named, found):
    theirs, ours = refusals(torch.ones(X3, dtype=first), torch.ones(W3, dtype=second))
    assert isinstance(theirs, RuntimeError) and isinstance(ours, LayerError)
    assert_both_name(theirs, ours, named, found, "weight")
    assert "same dtype" in ours.hint


@pytest.mark.parametrize("first, second, named, found", FOUND)
def test_a_bias_of_another_dtype_is_refused_as_torch_refuses_it(first, second, named, found):
    x, weight = torch.ones(X3, dtype=first), torch.ones(W3, dtype=first)
    theirs, ours = refusals(x, weight, torch.ones(1, dtype=second))
    assert isinstance(theirs, RuntimeError) and isinstance(ours, LayerError)
    assert_both_name(theirs, ours, named, found, "bias")


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_a_dtype_that_is_not_traced_is_a_type_error_that_names_it(dtype):
    with pytest.raises(TypeError, match=f"{str(dtype).removeprefix('torch.')}.*Use float16"):
        convt_trace.trace(torch.ones(X1, dtype=dtype), torch.ones(W1, dtype=dtype))


@pytest.mark.parametrize(
    "values",
    [[[["1"]]], [[["a"]]], [[[None]]], [[[1], [1, 2]]], "1", None, [[[True]]], [[[2**70]]]],
)
@pytest.mark.parametrize("weight", [[[[1]]], np.ones((1, 1, 1), int), np.ones((1, 1, 1), "f4")])
def test_nested_lists_that_are_no_table_of_numbers_are_a_type_error(values, weight):
    with pytest.raises(TypeError, match="^x "):
        convt_trace.trace(values, weight)


@pytest.mark.parametrize(
    "values, dtype",
    [([[[1.5]]], "int64"), ([[[2**63]]], "int64"), ([[[300]]], "int8"), ([[[-1]]], "uint8")],
)
def test_a_nested_list_is_never_rounded_or_wrapped_to_fit_an_integer_weight(values, dtype):
    with pytest.raises((LayerError, TypeError)):
        convt_trace.trace(values, np.ones((1, 1, 1), dtype))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((4, 4, 3, 1, 0, 0, 3), "divisible by"),
        ((4, 3, 3, 1, 0, 0, 2), "out_channels must be divisible by groups"),
        ((4, 4, 3, 0), "non-positive stride"),
        ((4, 4, 3, 1, 0, 0, 0), "groups"),
    ],
)
def test_a_bad_constructor_is_a_value_error_as_in_torch_nn(arguments, words):
    with pytest.raises(ValueError, match=words):
        Layer.of(*arguments, dims=1)
    with pytest.raises((ValueError, RuntimeError)):
        nn.ConvTranspose1d(*arguments)(torch.ones(X1))


@pytest.mark.parametrize("name", ["in_channels", "out_channels", "kernel_size", "groups"])
@pytest.mark.parametrize("value", [4.0, True, "4", None])
def test_sizes_that_are_no_whole_numbers_are_a_type_error(name, value):
    arguments = {"in_channels": 4, "out_channels": 4, "kernel_size": 4, "groups": 4, name: value}
    with pytest.raises(TypeError, match=f"'{name}' must be"):
        Layer.of(**arguments, dims=1)


def test_a_parameter_beyond_torchs_own_sizes_is_refused_not_attempted():
    for name in ("stride", "padding", "dilation"):
        with pytest.raises(LayerError, match=f"{name}=.* is too large"):
            convt_trace.trace(np.ones(X1), np.ones(W1), **{name: 2**40})


@moderate
@given(layers(whole=True))
def test_shapes_are_torchs(drawn: Drawn):
    geometry = drawn.case().geometry
    module = getattr(nn, f"ConvTranspose{drawn.dims}d")(
        geometry.layer.in_channels,
        geometry.layer.out_channels,
        geometry.layer.kernel_size,
        **drawn.parameters,
        device="meta",
    )
    assert geometry.layer.weight_shape == module.weight.shape
    assert geometry.input_shape == drawn.batched.shape
    expected = module(torch.empty(drawn.batched.shape, device="meta")).shape
    assert geometry.output_shape == expected
    assert geometry.layer.output_size(geometry.input_size) == geometry.output_size == expected[2:]


@moderate
@given(layers(whole=True))
def test_the_printed_layer_is_the_torch_constructor_of_it(drawn: Drawn):
    layer = drawn.case().layer
    module = eval(f"nn.{layer}", {"nn": nn})
    for name in ("in_channels", "out_channels", "groups", "kernel_size", *PARAMETERS):
        assert getattr(module, name) == getattr(layer, name)


@moderate
@given(layers(whole=True))
def test_channel_ranges_split_the_channels_into_their_groups(drawn: Drawn):
    ranges = list(channel_ranges(drawn.case().layer))
    seen = {(row.group, row.in_channel, row.out_channel) for row in loop(drawn)}
    listed = {(g, i, o) for g, (ins, outs) in enumerate(ranges) for i in ins for o in outs}
    assert listed == seen


@moderate
@given(axes())
def test_an_axis_lists_for_each_canvas_position_the_pairs_that_land_there(along: dict[str, int]):
    axis = Axis(**along)
    everywhere = list(product(range(axis.length), range(axis.taps)))
    for c in range(axis.canvas):
        pairs = [(i, k) for i, k in everywhere if i * along["stride"] + k * along["dilation"] == c]
        here = axis.pairs(c)
        assert list(zip(axis.i[here].tolist(), axis.k[here].tolist())) == pairs
        assert axis.count[c] == len(pairs) <= axis.most
        assert [axis.slot[pair] for pair in pairs] == list(range(len(pairs)))
        assert axis.c[here].tolist() == [c] * len(pairs)
    assert axis.count.sum() == len(everywhere)
    assert axis.most in axis.count


@moderate
@given(axes())
def test_the_runs_of_an_axis_are_its_positions_with_pairs_each_once_with_the_same_taps(
    along: dict[str, int],
):
    axis = Axis(**along)
    positions = []
    for run in axis.runs:
        assert len(run.cells) > 0
        for step, c in enumerate(run.cells):
            here, first = axis.pairs(c), axis.pairs(run.cells[0])
            assert (here.start, here.stop - here.start) == (
                run.start + step * run.period,
                run.count,
            )
            assert axis.k[here].tolist() == axis.k[first].tolist()
            assert axis.i[here].tolist() == (axis.i[first] + step).tolist()
            positions.append(c)
    assert sorted(positions) == np.flatnonzero(axis.count).tolist()


@moderate
@given(axes())
def test_an_axis_has_torchs_outputs_inside_a_canvas_that_holds_every_landing(
    along: dict[str, int],
):
    axis = Axis(**along)
    parameters = {name: along[name] for name in PARAMETERS}
    output = conv_transpose(1)(
        torch.ones(1, 1, axis.length), torch.ones(1, 1, axis.taps), **parameters
    )
    landings = [
        i * axis.stride + k * axis.dilation for i in range(axis.length) for k in range(axis.taps)
    ]
    assert axis.outputs == output.shape[-1]
    assert axis.canvas == max(max(landings) + 1, axis.padding + axis.outputs)
    assert range(axis.canvas)[axis.inside] == range(axis.padding, axis.padding + axis.outputs)
    # A layer of ones counts its own kept pairs.
    assert axis.kept_pairs == int(output.sum())


def some_of(draw, count: int) -> list[int]:
    return sorted(draw(st.sets(st.integers(0, count - 1), min_size=1)))


@st.composite
def traces(draw: st.DrawFn):
    """A trace in either order, whole or with only some of its channels."""
    drawn = draw(layers(whole=True))
    t = drawn.trace(draw(st.sampled_from(["scatter", "gather"])))
    if draw(st.booleans()):
        layer = t.geometry.layer
        counts = (t.geometry.batch, layer.groups, layer.in_per_group, layer.out_per_group)
        t = t.pick(*(some_of(draw, count) for count in counts))
    return t


@moderate
@given(traces())
def test_encode_takes_back_what_decode_gives(t):
    numbers = np.arange(len(t))
    assert t.numbering.encode(t.numbering.decode(numbers)).tolist() == numbers.tolist()


@moderate
@given(traces())
def test_decode_takes_back_what_encode_gives_and_every_index_has_its_own_number(t):
    sizes = (
        *map(len, (t.picked.n, t.picked.group, t.picked.in_local, t.picked.out_local)),
        *t.geometry.input_size,
        *t.geometry.layer.kernel_size,
    )
    digits = np.array(list(product(*map(range, sizes)))).T
    dims = t.geometry.layer.dims
    i, k = tuple(digits[4 : 4 + dims]), tuple(digits[4 + dims :])
    numbers = t.numbering.encode(Index(*digits[:4], i, k))
    assert sorted(numbers.tolist()) == list(range(len(t)))
    back = t.numbering.decode(numbers)
    columns = [back.n, back.group, back.in_local, back.out_local, *back.i, *back.k]
    assert np.array_equal(np.array(columns), digits)


#: What stays the same throughout each unit, smallest unit first.
UNITS = {
    "scatter": {
        "MAC": lambda m: (m.n, m.in_channel, m.i, m.out_channel, m.k),
        "tap row": lambda m: (m.n, m.in_channel, m.i, m.out_channel, m.k[:-1]),
        "stamp": lambda m: (m.n, m.in_channel, m.i, m.out_channel),
        "input value": lambda m: (m.n, m.in_channel, m.i),
        "input channel": lambda m: (m.n, m.in_channel),
        "group": lambda m: (m.n, m.group),
        "all": lambda m: (),
    },
    "gather": {
        "MAC": lambda m: (m.n, m.out_channel, m.o, m.in_channel, m.i),
        "window": lambda m: (m.n, m.out_channel, m.o, m.in_channel),
        "output cell": lambda m: (m.n, m.out_channel, m.o),
        "output channel": lambda m: (m.n, m.out_channel),
        "group": lambda m: (m.n, m.group),
        "all": lambda m: (),
    },
}


@moderate
@given(traces())
def test_the_level_of_a_mac_is_the_largest_unit_that_it_is_the_first_of(t):
    assert t.numbering.units == tuple(UNITS[t.order])
    expected = np.zeros(len(t), dtype=int)
    for place, key in enumerate(UNITS[t.order].values()):
        for _, unit in groupby(enumerate(t[:]), key=lambda numbered: key(numbered[1])):
            expected[next(unit)[0]] = place
    assert t.numbering.levels(np.arange(len(t))).tolist() == expected.tolist()


@moderate
@given(traces())
def test_every_unit_is_one_slice_of_the_trace(t):
    for key in UNITS[t.order].values():
        runs = [value for value, _ in groupby(map(key, t[:]))]
        assert len(runs) == len(set(runs))


def test_the_geometry_counts_macs_as_the_loop_does():
    drawn = Drawn(
        torch.ones(2, 4, 3, 3),
        torch.ones(4, 2, 3, 2),
        None,
        {"stride": (2, 1), "padding": (2, 1), "output_padding": (1, 0), "groups": 2,
         "dilation": (1, 2)},
    )  # fmt: skip
    rows = loop(drawn)
    geometry = Geometry(drawn.case().layer, batch=2, input_size=(3, 3))
    kept = sum(row.kept for row in rows)
    assert 0 < kept < len(rows)
    assert (geometry.macs, geometry.kept_macs) == (len(rows), kept)
    assert geometry.cropped_macs == len(rows) - kept

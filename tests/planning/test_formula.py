"""The formula's terms add up to torch's size; output_size= is resolved and refused as torch does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import layers, moderate

from convt_trace.engine.layer import Layer
from convt_trace.planning.formula import (
    OutputSizeError,
    formula,
    output_padding_for,
    output_sizes,
)


@moderate
@given(layers())
def test_the_terms_add_up_to_torchs_size(drawn) -> None:
    case = drawn.case()
    found = formula(case.layer, case.geometry.input_size)
    expected = drawn.torch().shape[-case.dims :]
    assert tuple(one.size for one in found) == tuple(expected)
    for one, axis in zip(found, case.geometry.axes):
        assert sum(term.value for term in one.terms) == one.size
        assert eval(one.numbers.split("=")[0]) == one.size
        for term in one.terms:
            lengths = sum(stop - start for start, stop in term.spans)
            assert lengths == abs(term.value)
            assert all(0 <= start <= stop <= one.canvas for start, stop in term.spans)
        assert one.output == (axis.inside.start, axis.inside.stop)
        assert one.canvas == axis.canvas


def torch_layer(layer: Layer) -> torch.nn.Module:
    kind = getattr(torch.nn, f"ConvTranspose{layer.dims}d")
    return kind(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
        layer.output_padding, layer.groups, dilation=layer.dilation,
    )  # fmt: skip


@moderate
@given(layers(), st.data())
def test_output_size_is_resolved_and_refused_as_torch_does(drawn, data) -> None:
    case = drawn.case()
    layer, size = case.layer, case.geometry.input_size
    asked = tuple(
        data.draw(st.integers(sizes.start - 2, sizes.stop + 1))
        for sizes in output_sizes(layer, size)
    )
    x = torch.ones(1, layer.in_channels, *size)
    try:
        extra = output_padding_for(layer, size, asked)
    except OutputSizeError as error:
        with pytest.raises(ValueError) as refused:
            torch_layer(layer)(x, output_size=list(asked))
        assert str(refused.value) == str(error)
        return
    if min(asked) < 1:
        return
    assert torch_layer(layer)(x, output_size=list(asked)).shape[2:] == asked
    assert all(0 <= one < stride for one, stride in zip(extra, layer.stride))


def test_a_size_too_many_is_refused_in_torchs_words() -> None:
    layer = Layer.of(1, 1, 3, stride=2, dims=2)
    with pytest.raises(OutputSizeError) as error:
        output_padding_for(layer, (4, 4), (9, 9, 9))
    with pytest.raises(ValueError) as refused:
        torch_layer(layer)(torch.ones(1, 1, 4, 4), output_size=[9, 9, 9])
    assert str(error.value) == str(refused.value)

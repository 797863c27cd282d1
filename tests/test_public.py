"""What worked in version 0.1 works: its names and calls, its links, its files, its commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

import convt_trace
from convt_trace import Case, LayerError, Trace, compare, from_link, record, to_link, trace
from convt_trace.__main__ import main

#: A case file as version 0.1 wrote it, and a link as it made it.
FILE = """{
  "format": "convt-trace case",
  "version": 1,
  "layer": {
    "stride": [2],
    "padding": [1],
    "output_padding": [1],
    "dilation": [1],
    "groups": 1
  },
  "dtype": "float32",
  "x": {
    "shape": [2, 1, 3],
    "numbers": [[[1.5, -2.0, 0.25]], [["nan", "inf", -0.0]]]
  },
  "weight": {
    "shape": [1, 2, 2],
    "numbers": [[[2.040919, -2.555665], [0.41809884, -0.5677696]]]
  },
  "bias": {
    "shape": [2],
    "numbers": [0.5, -1.0]
  },
  "origin": ""
}
"""
LINK = (
    "v=1&page=presenter&order=scatter&show=0&step=4&unit=stamp&cell=output:0,0,1&hide=2&dims=1d"
    "&batch=1&in_channels=2&out_channels=1&groups=1&size=3&kernel=4&stride=1&padding=0"
    "&output_padding=0&dilation=2&dtype=int16&bias=no&x=counting&weight=numbers:0,1,2,3,4,5,6,7"
    "&sum=DzDpIg"
)

X, W = torch.tensor([[[2.0, 1.0, 1.0, 3.0]]]), torch.tensor([[[1.0, 1.0, 5.0]]])


def test_a_file_opens_with_its_numbers_and_is_written_as_it_was():
    case = Case.from_json(FILE)
    assert case.to_json() == FILE.rstrip("\n")
    x = torch.tensor([[[1.5, -2.0, 0.25]], [[torch.nan, torch.inf, -0.0]]])
    weight = torch.tensor([[[2.040919, -2.555665], [0.41809884, -0.5677696]]])
    expected = functional.conv_transpose1d(
        x, weight, torch.tensor([0.5, -1.0]), stride=2, padding=1, output_padding=1
    )
    np.testing.assert_allclose(case.trace().output, expected.numpy(), rtol=1e-6)


def test_a_link_opens_with_its_numbers_and_is_made_as_it_was():
    linked = from_link(LINK)
    x = torch.arange(1, 7).reshape(1, 2, 3)
    weight = torch.arange(8).reshape(2, 1, 4)
    expected = functional.conv_transpose1d(x, weight, dilation=2)
    assert linked.case.trace().output.tolist() == expected.tolist()
    assert (linked.step, linked.unit, linked.hidden, linked.page) == (4, "stamp", 2, "presenter")
    assert (linked.selected.tensor, linked.selected.place) == ("output", (0, 0, 1))
    assert linked.problems == ()
    case = Case.of(x.short(), weight.short(), dilation=2)
    made = to_link(
        case, step=4, unit="stamp", selected=("output", (0, 0, 1)), hidden=2, page="presenter"
    )
    assert made == LINK


def test_the_names_of_the_package_are_there():
    for name in convt_trace.__all__:
        assert getattr(convt_trace, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        convt_trace.nothing  # noqa: B018


@pytest.mark.parametrize("order", ["scatter", "gather"])
def test_a_trace_is_made_read_and_shown(order):
    t = trace(X, W, padding=2, order=order)
    assert isinstance(t, Trace) and t.order == order and t.output.tolist() == [[[12.0, 9.0]]]
    assert sum(mac.product for mac in t.of_output(0, 0, 0)) == 12
    assert t.to_html(step=3).startswith("<!doctype html>")
    assert t._repr_html_().startswith("<iframe")


def test_a_case_is_made_compared_and_shown():
    case = Case.of(X, W, padding=2)
    assert compare(case).kind == "equal"
    assert case.to_html(step=3, title="Three taps").startswith("<!doctype html>")
    assert case._repr_html_().startswith("<iframe")
    with record() as calls:
        functional.conv_transpose1d(X, W, padding=2)
    assert calls == [case]


def test_a_case_whose_tensors_do_not_fit_its_layer_is_not_made():
    case = Case.of(X, W)
    wrong = {
        "weight": case.weight[:, :, :2],
        "x": np.ones((1, 2, 4), np.float32),
        "bias": np.ones(2, np.float32),
    }
    for name, tensor in wrong.items():
        given = {"layer": case.layer, "x": case.x, "weight": case.weight, name: tensor}
        with pytest.raises(LayerError):
            Case(**given)
    with pytest.raises(LayerError, match="scalar type"):
        Case(case.layer, case.x.astype(np.float64), case.weight)


def test_the_commands_run(tmp_path, capsys):
    snippet, case, made = tmp_path / "a.py", tmp_path / "a.json", tmp_path / "a.html"
    snippet.write_text(
        "import torch\ntorch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))"
    )
    case.write_text(FILE)
    assert main(["explain", str(snippet)]) == 0
    assert "conv_transpose1d" in capsys.readouterr().out
    assert main(["explain", str(snippet), "--cell", "0,0,1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"][0]["op"] == "conv_transpose1d"
    for given in ([str(snippet)], [str(case), "--order", "gather", "--step", "3"], ["question"]):
        assert main(["export", *given, "-o", str(made)]) == 0
        assert made.read_text().startswith("<!doctype html>")

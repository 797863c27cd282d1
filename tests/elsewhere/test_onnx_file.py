"""An .onnx file: its nodes against onnxruntime and ONNX's evaluator, and files that are no models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from strategies import layers, moderate

from convt_trace.__main__ import main
from convt_trace.elsewhere import onnx_file
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.onnx_file import FileError, random_input, read_onnx


def model(nodes: list, stored: dict[str, np.ndarray], shape: list[int | str | None]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return made.SerializeToString()


def one_node(weight: np.ndarray, bias: np.ndarray | None = None, **attributes: Any) -> bytes:
    names = ["X", "W", *(["B"] if bias is not None else [])]
    node = helper.make_node("ConvTranspose", names, ["Y"], name="up", **attributes)
    stored = {"W": weight, **({"B": bias} if bias is not None else {})}
    return model([node], stored, ["N", weight.shape[0], *["L"] * (weight.ndim - 2)])


def mended(ported, case) -> np.ndarray:
    """PyTorch's output with what the port puts beside it, or crops."""
    from convt_trace import torch_output

    y = torch.from_numpy(torch_output(case).astype(np.float64))
    pads = [side for pair in reversed(ported.mend) for side in pair]
    return torch.nn.functional.pad(y, pads).numpy()


@moderate
@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.data())
def test_a_nodes_case_is_onnxruntimes_output(
    dims: int, kernel: int, stride: int, dilation: int, data: st.DataObject
) -> None:
    group = data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weight = rng.integers(-3, 4, (2 * group, 2, *[kernel] * dims)).astype(np.float32)
    reach = dilation * (kernel - 1) + 1
    pads = data.draw(st.lists(st.integers(0, reach - 1), min_size=2 * dims, max_size=2 * dims))
    size = data.draw(st.integers(1, 6))
    file = one_node(
        weight, group=group, strides=[stride] * dims, dilations=[dilation] * dims, pads=pads
    )
    node = read_onnx(file).named("up")
    x = random_input(node, (size,) * dims, seed=1)
    try:
        ported = node.ported(x.shape[2:])
    except RefusedError:
        return
    session = onnxruntime.InferenceSession(file)
    (theirs,) = session.run(None, {"X": x})
    assert (mended(ported, node.case(x)) == theirs).all()
    assert (node.evaluated(x) == theirs).all()


@moderate
@given(layers((torch.float32,)))
def test_a_layer_that_torch_would_export_comes_back(drawn) -> None:
    case = drawn.case()
    layer = case.layer
    file = one_node(
        case.weight, case.bias, group=layer.groups, strides=layer.stride,
        dilations=layer.dilation, pads=[*layer.padding, *layer.padding],
        output_padding=layer.output_padding,
    )  # fmt: skip
    node = read_onnx(file).nodes[0]
    try:
        ported = node.ported(case.geometry.input_size)
    except RefusedError as error:
        assert "output_padding" in str(error)  # ONNX wants it below the stride
        return
    assert ported.exact and ported.layer == layer
    assert (node.case(case.batched).trace().output == case.trace().output.reshape(
        case.geometry.output_shape
    )).all()  # fmt: skip


def test_a_files_nodes_are_named_with_what_the_file_says() -> None:
    weight = np.ones((3, 2, 4, 4), np.float32)
    nodes = [
        helper.make_node("Relu", ["X"], ["a"]),
        helper.make_node("ConvTranspose", ["X", "W"], ["b"], name="up.1", strides=[2, 2]),
        helper.make_node("ConvTranspose", ["a", "W"], ["Y"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("ConvTranspose", ["a", "a"], ["c"]),
    ]
    found = read_onnx(model(nodes, {"W": weight}, [1, 3, 8, "width"]))
    assert [node.name for node in found.nodes] == ["up.1", "node 2", "node 3"]
    assert found.nodes[0].input_size == (8, None) and found.nodes[1].input_size is None
    assert found.nodes[1].attributes == {"auto_pad": "SAME_UPPER", "strides": [2, 2]}
    assert found.others == {"Relu": 1}
    with pytest.raises(FileError, match="worked out in the graph"):
        found.nodes[2].ported((4, 4))
    with pytest.raises(FileError, match="no ConvTranspose named 'x'. There are: up.1"):
        found.named("x")
    with pytest.raises(FileError, match="takes 2 sizes"):
        random_input(found.nodes[0], (4,))
    with pytest.raises(FileError, match=r"of shape \(N, 3, L, L\)"):
        found.nodes[0].case(np.ones((1, 2, 4, 4)))


def test_a_weight_in_another_file_is_not_looked_for() -> None:
    made = onnx.load_model_from_string(one_node(np.ones((1, 1, 3), np.float32)))
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    node = read_onnx(made.SerializeToString()).nodes[0]
    assert node.weight is None and node.missing == "its weight is in another file"


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_a_damaged_file_is_one_sentence_or_a_node(cut: int) -> None:
    data = one_node(np.ones((1, 1, 3), np.float32))
    try:
        found = read_onnx(data[: len(data) * cut // 100])
    except FileError as error:
        assert str(error).endswith((".", "known here."))
    else:
        assert all(node.weight is not None or node.missing for node in found.nodes)


@moderate
@given(st.binary(max_size=300))
def test_any_bytes_are_one_sentence(data: bytes) -> None:
    with pytest.raises(FileError):
        read_onnx(data)


def test_what_is_too_large_or_has_no_layer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    relu = model([helper.make_node("Relu", ["X"], ["Y"])], {}, [1, 2])
    with pytest.raises(FileError, match="no ConvTranspose node; it has Relu"):
        read_onnx(relu)
    monkeypatch.setattr(onnx_file, "LARGEST", 10)
    with pytest.raises(FileError, match="up to 10 are read"):
        read_onnx(relu)


def test_a_tensor_that_claims_to_be_huge_is_not_made() -> None:
    made = onnx.load_model_from_string(one_node(np.ones((1, 1, 3), np.float32)))
    made.graph.initializer[0].dims[:] = [2**40, 2**20, 3]
    node = read_onnx(made.SerializeToString()).nodes[0]
    assert "more than" in node.missing


def test_the_command_lists_and_traces_a_models_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = np.ones((2, 1, 3), np.float32)
    file = tmp_path / "model.onnx"
    file.write_bytes(one_node(weight, strides=[2], pads=[0, 1]))
    assert main(["explain", str(file)]) == 0
    assert "| up | pads=[0, 1], strides=[2] | (2, 1, 3) | ? |" in capsys.readouterr().out
    assert main(["explain", str(file), "--run", "up", "--shape", "1,2,5"]) == 0
    said = capsys.readouterr().out
    assert "In PyTorch: `nn.ConvTranspose1d(2, 1, 3, stride=2, bias=False)` on 5" in said
    assert "ONNX's reference evaluator differs by 0 at most, over 10 values." in said
    assert main(["explain", str(file), "--run", "down"]) == 2
    assert "no ConvTranspose named 'down'. There are: up." in capsys.readouterr().err
    file.write_bytes(b"not a model")
    assert main(["explain", str(file)]) == 2
    assert "not an ONNX model" in capsys.readouterr().err

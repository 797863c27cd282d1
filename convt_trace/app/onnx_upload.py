"""An .onnx file on the page about other frameworks: its nodes, and one of them traced."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import streamlit as st

from convt_trace.app.fields import per_axis
from convt_trace.app.markdown import code, plain
from convt_trace.app.player_mount import player
from convt_trace.elsewhere.onnx_file import FileError, Model, Node, random_input, read_onnx
from convt_trace.elsewhere.ported import Ported
from convt_trace.engine.case import Case
from convt_trace.engine.cost import cost_of, refusal
from convt_trace.engine.memory import Cache
from convt_trace.engine.reference import compare
from convt_trace.engine.text import by
from convt_trace.engine.view import View

#: Megabytes of a file, and numbers of an .npy input.
_MEGABYTES, _NUMBERS = 64, 2**22
_SIZE = 4

_models: Cache[str, Model] = Cache(
    limit=96 * 2**20,
    size=lambda model: sum(node.weight.nbytes for node in model.nodes if node.weight is not None),
)


def onnx_file() -> None:
    """Draw the upload, and what is in the file."""
    st.markdown("##### Open an .onnx file")
    file = st.file_uploader(
        "A model with transposed convolutions",
        "onnx",
        key="onnx_file",
        max_upload_size=_MEGABYTES,
        help=f"Up to {_MEGABYTES} MB. It is read, and nothing of it is run.",
    )
    if file is None:
        st.caption(
            "Every ConvTranspose node with its attributes and shapes; pick one and see it traced."
        )
        return
    try:
        model = _models.get(file.file_id, lambda: read_onnx(file.getvalue()))
        node = _pick(model)
        x = _input(node)
        _traced(node, x)
    except ValueError as error:
        st.error(str(error), icon=":material/error:")


def _pick(model: Model) -> Node:
    st.dataframe(pd.DataFrame([node.told() for node in model.nodes]), hide_index=True)
    name = st.selectbox("node", [node.name for node in model.nodes], key="onnx_node")
    return model.named(name)


def _input(node: Node) -> np.ndarray:
    """Return the input: drawn from a seed, or out of an .npy file."""
    if node.weight is None:
        raise FileError(f"{node.name}: {node.missing}.")
    size, seed, file = st.columns(3)
    usual = [min(at or _SIZE, 64) for at in node.input_size or (_SIZE,) * node.dims]
    text = size.text_input("input size", by(usual), key=f"onnx_size_{node.name}")
    drawn = seed.number_input("seed", 0, 9999, 0, key="onnx_seed")
    own = file.file_uploader("or an input as .npy", "npy", key="onnx_input")
    if own is not None:
        return _npy(own.getvalue())
    return random_input(node, per_axis("input size", text, node.dims), int(drawn))


def _npy(data: bytes) -> np.ndarray:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError):
        raise FileError("This is not an .npy file of numbers.") from None
    if array.dtype.kind not in "iuf" or array.size > _NUMBERS:
        raise FileError(f"An input has up to {_NUMBERS:,} real numbers.")
    return np.asarray(array)


def _traced(node: Node, x: np.ndarray) -> None:
    ported, case = node.ported(x.shape[2:]), node.case(x)
    if too_large := refusal(cost_of(case)):
        raise FileError(too_large)
    st.markdown(f"In PyTorch: {code(ported.line)} on {by(x.shape[2:])}")
    for sentence in ported.sentences:
        st.markdown(f"- {plain(sentence)}")
    player(case, View(), key="onnx_player")
    st.markdown(f"**ONNX's reference evaluator**: {plain(_compared(node, ported, case, x))}")


def _compared(node: Node, ported: Ported, case: Case, x: np.ndarray) -> str:
    """Say how ONNX's own result compares with PyTorch's."""
    try:
        theirs = node.evaluated(x)
    except FileError as error:
        return str(error)
    if ported.exact:
        return str(compare(case, theirs)).replace("torch", "PyTorch")
    ours = ported.output(x, case.weight, case.bias)
    if ours.shape != theirs.shape:
        return (
            f"its output has {by(theirs.shape)}, and PyTorch's with the mending {by(ours.shape)}."
        )
    apart = float(np.abs(ours - theirs).max(initial=0))
    return f"with the mending above, the largest difference of {ours.size:,} values is {apart:g}."

"""The page about other frameworks: the layer in their terms, their conventions, and the way back."""

from __future__ import annotations

import numpy as np
import streamlit as st

from convt_trace.app.current import open_page
from convt_trace.app.fields import whole_numbers
from convt_trace.app.markdown import plain
from convt_trace.app.onnx_upload import onnx_file
from convt_trace.app.ruler import windows
from convt_trace.elsewhere.canvas import axes_of
from convt_trace.elsewhere.difference import CONVENTIONS, convention, difference
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.facts import facts_of
from convt_trace.elsewhere.reading import read_line
from convt_trace.elsewhere.translate import FRAMEWORKS, translate
from convt_trace.elsewhere.translation import Translation
from convt_trace.engine.case import Case
from convt_trace.engine.text import AXES, by
from convt_trace.planning.heat import heat

#: Whose facts are told under a framework's tab.
_FACTS = {
    "keras": ("Keras",),
    "jax": ("JAX",),
    "general": ("JAX",),
    "flax": ("flax",),
    "onnx": ("ONNX", "onnxruntime"),
}
_TITLES = {"pytorch": "PyTorch", **{name: title for name, (title, _) in CONVENTIONS.items()}}
#: A canvas of more numbers is not worked out here.
_LARGEST_MACS = 2**24
_EXAMPLE = 'layers.Conv2DTranspose(64, 3, strides=2, padding="same")'


def page() -> None:
    case = open_page("Elsewhere", "Elsewhere: the same layer in other frameworks")
    _there(case)
    _conventions(case)
    _differences(case)
    _back()
    onnx_file()


# -- there ---------------------------------------------------------------------------------------


def _there(case: Case) -> None:
    titles = [title for title, _ in FRAMEWORKS.values()]
    tabs = st.tabs(titles, key="frameworks", on_change="rerun")
    for tab, (name, (title, _)) in zip(tabs, FRAMEWORKS.items()):
        if tab.open:
            with tab:
                try:
                    _translation(case, translate(case, name))
                except RefusedError as error:
                    st.error(f"{title}: {error}", icon=":material/block:")
                _facts(name)


def _facts(name: str) -> None:
    facts = [fact for whose in _FACTS[name] for fact in facts_of(whose)]
    with st.expander("What surprises there, and in which version"):
        told = [f"- {plain(one.sentence)} ({one.framework} {one.version})" for one in facts]
        st.markdown("\n".join(told))


def _translation(case: Case, there: Translation) -> None:
    st.markdown(f"`{there.line}`")
    if there.exact:
        st.success("That setting alone gives PyTorch's numbers.", icon=":material/check:")
    else:
        st.warning(
            "No setting alone gives PyTorch's numbers; the program mends the nearest one.",
            icon=":material/build:",
        )
    for sentence in there.sentences:
        st.markdown(f"- {plain(sentence)}")
    st.caption("This program prints PyTorch's output.")
    st.code(there.code, language="python")
    if not there.exact and case.geometry.macs <= _LARGEST_MACS:
        with st.expander("What the nearest setting gives without the mending"):
            st.html(heat(_plane(there.nearest_output, case.dims), there.framework))


def _plane(values: np.ndarray, dims: int) -> np.ndarray:
    """Return the first batch item's first channel."""
    shown = np.asarray(values, dtype=float)
    return shown.reshape(-1, *shown.shape[shown.ndim - dims :])[0]


# -- conventions ---------------------------------------------------------------------------------


def _conventions(case: Case) -> None:
    st.markdown("##### One canvas, and what each convention keeps of it")
    st.caption(
        "The canvas is the whole output before any crop. All conventions make the same canvas of the same "
        "kernel, and keep another part of it."
    )
    refused = []
    kept = []
    for name, title in _TITLES.items():
        try:
            kept.append((title, convention(case, name)[1]))
        except RefusedError as error:
            refused.append(f"- {title}: {plain(str(error))}")
    names = AXES[case.dims]
    shown = names[:1] if _alike(case) else names
    for at, name in enumerate(shown):
        if len(shown) > 1:
            st.markdown(f"Along {name}:")
        rows = [(title, window[at].before, window[at].size) for title, window in kept]
        st.html(windows(axes_of(case)[at].canvas, rows))
    if refused:
        with st.expander("Refused for this layer"):
            st.markdown("\n".join(refused))


def _alike(case: Case) -> bool:
    axes = axes_of(case)
    return all(axis == axes[0] for axis in axes) and len(set(case.layer.padding)) == 1


def _differences(case: Case) -> None:
    st.markdown("##### The difference between two")
    left, right = st.columns(2)
    options = list(_TITLES)
    one, other = (
        column.selectbox(
            label,
            options,
            options.index(usual),
            key=key,
            bind="query-params",
            format_func=lambda name: _TITLES[name],
        )
        for column, key, label, usual in (
            (left, "one", "the first", "pytorch"),
            (right, "other", "the second", "keras same"),
        )
    )
    try:
        apart = difference(case, one, other)
    except RefusedError as error:
        st.error(str(error), icon=":material/block:")
        return
    if apart.same:
        st.success("They keep the same of this layer.", icon=":material/check:")
        return
    for sentence in apart.sentences:
        st.markdown(plain(sentence))
    if case.geometry.macs > _LARGEST_MACS:
        st.info("The layer is too large to be worked out here.")
        return
    for column, output, title in zip(st.columns(2), apart.outputs, apart.titles):
        with column:
            st.caption(f"{title}, {by(output.shape[-case.dims :])}")
            st.html(heat(_plane(output, case.dims), title))
    st.caption("The second less the first, at the indices that both have: first item and channel.")
    st.html(heat(_plane(apart.map, case.dims), "difference"))


# -- back ----------------------------------------------------------------------------------------


def _back() -> None:
    st.markdown("##### And back: a line of theirs, as PyTorch has it")
    line = st.text_input(
        "a line of Keras, flax, JAX, or an ONNX node",
        key="line",
        bind="query-params",
        placeholder=_EXAMPLE,
    ).strip()
    left, middle, right = st.columns(3)
    size = left.text_input("input size", key="line_size", placeholder="4", help="As 8 or 8, 8.")
    channels = middle.text_input(
        "in_channels", key="line_channels", placeholder="1", help="Where the line does not say it."
    )
    kernel = right.text_input(
        "kernel_size", key="line_kernel", placeholder="3",
        help="Where the kernel is a tensor of its own.",
    )  # fmt: skip
    if not line:
        st.caption(f"Such as `{_EXAMPLE}`. It is read, and not run.")
        return
    try:
        ported = read_line(
            line,
            input_size=whole_numbers("input size", size) if size else None,
            in_channels=whole_numbers("in_channels", channels)[0] if channels else None,
            kernel_size=whole_numbers("kernel_size", kernel) if kernel else None,
        )
    except ValueError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.markdown(f"`{ported.line}`, output {by(ported.output_size)}")
    if ported.exact:
        st.success("PyTorch's layer alone gives the same numbers.", icon=":material/check:")
    for sentence in (*ported.sentences, *ported.assumed):
        st.markdown(f"- {plain(sentence)}")
    st.code(ported.code, language="python")

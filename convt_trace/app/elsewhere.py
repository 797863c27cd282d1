"""The page about other frameworks: the layer in their terms, their conventions, and the way back."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from convt_trace.app import shell
from convt_trace.app.current import current, keep_in_address, to_playground
from convt_trace.app.heat import draw
from convt_trace.app.markdown import plain
from convt_trace.app.onnx_upload import onnx_file
from convt_trace.app.playground import case_of
from convt_trace.app.ruler import windows
from convt_trace.elsewhere.canvas import axes_of
from convt_trace.elsewhere.difference import CONVENTIONS, convention, difference
from convt_trace.elsewhere.errors import RefusedError, UnreadableError
from convt_trace.elsewhere.facts import facts_of
from convt_trace.elsewhere.reading import read_line
from convt_trace.elsewhere.translate import FRAMEWORKS, translate
from convt_trace.elsewhere.translation import Translation
from convt_trace.engine.case import Case
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import AXES, by

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
    shell.page("Elsewhere")
    query = st.query_params.to_dict()
    what, problem = current(query)
    st.markdown("#### Elsewhere: the same layer in other frameworks")
    with shell.apart():
        if problem:
            st.warning(problem, icon=":material/link_off:")
    case = case_of(what)
    st.markdown(f"`{case.line()}` on {by(case.geometry.input_size)}")
    to_playground(what)
    for name in ("line", "one", "other"):
        st.session_state.setdefault(f"elsewhere_{name}", query.get(name, _usual(name)))
    _there(case)
    _conventions(case)
    _differences(case)
    _back()
    onnx_file()
    changed = {
        name: st.session_state[f"elsewhere_{name}"]
        for name in ("line", "one", "other")
        if st.session_state[f"elsewhere_{name}"] != _usual(name)
    }
    keep_in_address(what, **changed)


def _usual(name: str) -> str:
    return {"line": "", "one": "pytorch", "other": "keras same"}[name]


# -- there ---------------------------------------------------------------------------------------


def _there(case: Case) -> None:
    titles = [title for title, _ in FRAMEWORKS.values()]
    for tab, (name, (title, _)) in zip(st.tabs(titles), FRAMEWORKS.items()):
        with tab:
            try:
                _translation(case, translate(case, name))
            except RefusedError as error:
                st.error(f"{title}: {error}", icon=":material/block:")
            with st.expander("What surprises there, and in which version"):
                facts = [fact for whose in _FACTS[name] for fact in facts_of(whose)]
                st.markdown(
                    "\n".join(
                        f"- {plain(fact.sentence)} ({fact.framework} {fact.version})"
                        for fact in facts
                    )
                )


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
            draw(_plane(there.nearest_output, case.dims), there.framework)


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
    one, other = st.columns(2)
    options = list(_TITLES)
    for column, name, label in ((one, "one", "the first"), (other, "other", "the second")):
        key = f"elsewhere_{name}"
        if st.session_state[key] not in options:
            st.session_state[key] = _usual(name)
        column.selectbox(
            label, options, key=key, format_func=lambda one: _TITLES[one], persist_state="session"
        )
    try:
        apart = difference(case, st.session_state.elsewhere_one, st.session_state.elsewhere_other)
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
            draw(_plane(output, case.dims), title)
    st.caption("The second less the first, at the indices that both have: first item and channel.")
    draw(_plane(apart.map, case.dims), "difference")


# -- back ----------------------------------------------------------------------------------------


def _back() -> None:
    st.markdown("##### And back: a line of theirs, as PyTorch has it")
    st.text_input(
        "a line of Keras, flax, JAX, or an ONNX node",
        key="elsewhere_line",
        placeholder=_EXAMPLE,
        persist_state="session",
    )
    size, channels, kernel = st.columns(3)
    size.text_input(
        "input size", key="elsewhere_size", placeholder="4", help="As 8 or 8, 8.",
        persist_state="session",
    )  # fmt: skip
    channels.text_input(
        "in_channels", key="elsewhere_channels", placeholder="1", help="Where the line does not say it.",
        persist_state="session",
    )  # fmt: skip
    kernel.text_input(
        "kernel_size", key="elsewhere_kernel", placeholder="3",
        help="Where the kernel is a tensor of its own.", persist_state="session",
    )  # fmt: skip
    line = st.session_state.elsewhere_line.strip()
    if not line:
        st.caption(f"Such as `{_EXAMPLE}`. It is read, and not run.")
        return
    try:
        ported = read_line(
            line,
            input_size=_numbers("input size", st.session_state.elsewhere_size),
            in_channels=(_numbers("in_channels", st.session_state.elsewhere_channels) or (None,))[
                0
            ],
            kernel_size=_numbers("kernel_size", st.session_state.elsewhere_kernel),
        )
    except (UnreadableError, RefusedError, ValueError) as error:
        st.error(str(error), icon=":material/error:")
        return
    st.markdown(f"`{ported.line}`, output {by(ported.output_size)}")
    if ported.exact:
        st.success("PyTorch's layer alone gives the same numbers.", icon=":material/check:")
    for sentence in (*ported.sentences, *ported.assumed):
        st.markdown(f"- {plain(sentence)}")
    st.code(ported.code, language="python")


def _numbers(name: str, text: str) -> Ints | None:
    """Read whole numbers; None where there is nothing."""
    words = [word for word in re.split(r"[\s,x×]+", text.strip("()[] ")) if word]
    if not all(re.fullmatch(r"\d{1,6}", word, re.ASCII) for word in words):
        raise UnreadableError(f"{name} reads “{text}”: write whole numbers.")
    return tuple(map(int, words)) or None

"""One call of a snippet, explained: the answer, the player, one cell, and "I got something else"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from convt_trace.answers import transposed as words
from convt_trace.answers.advice import unbatched_warning
from convt_trace.answers.misread import misread
from convt_trace.answers.pasted import PastedError, read_result
from convt_trace.answers.plain import (
    ORDER,
    conv_cell_answer,
    conv_counts,
    conv_short_answer,
    no_picture,
)
from convt_trace.app import address, opened, shell
from convt_trace.app.copy_button import copy_button
from convt_trace.app.markdown import code, plain
from convt_trace.app.player_mount import player
from convt_trace.engine.case import Case
from convt_trace.engine.conv import Conv
from convt_trace.engine.layer import Ints
from convt_trace.engine.memory import Cache
from convt_trace.engine.text import AXES
from convt_trace.engine.view import view_of
from convt_trace.links.link import LinkError
from convt_trace.snippet import Call

#: Texts by the case's fingerprint, and the cell.
_texts: Cache[tuple[str, Ints | None], str] = Cache(limit=4 * 2**20, size=len)


def _short_answer(case: Case) -> str:
    return _texts.get((case.digest, None), lambda: words.short_answer(case))


def _long_answer(case: Case, cell: Ints) -> str:
    return _texts.get((case.digest, cell), lambda: words.long_answer(case, cell))


def show(call: Call, key: str) -> None:
    """Show a call.

    Parameters
    ----------
    call : Call
    key : str
        Tells this call's widgets from all others'.
    """
    case = call.case
    conv = call.conv
    ran = None if call.mode else case or conv
    layer = f" runs {code(ran.line())}" if ran is not None else ""
    maker = f", as {plain(call.maker)}" if call.maker else ""
    st.markdown(f"Line {call.line}: {code(call.source)}{layer}{maker}")
    if case is not None:
        _transposed(call, case, key)
    elif conv is not None:
        _plain(call, conv, key)
    else:
        st.markdown(_facts(call))
        st.info("There is no picture of this call: its numbers are complex, or it has none.")


def _facts(call: Call) -> str:
    return f"x {call.x.shape} → y {call.output.shape} · {call.macs:,} MACs"


def _sample(call: Call) -> None:
    if "gradient" in call.origin:
        st.caption(f"It is the {call.origin}.")
    if call.random:
        st.caption(":material/casino: One sample: nothing seeds these random numbers.")


# -- a transposed convolution ---------------------------------------------------------------------


def _transposed(call: Call, case: Case, key: str) -> None:
    st.caption(words.counts(case))
    _sample(call)
    if warning := unbatched_warning(call.x.shape, call.dims):
        st.warning(warning, icon=":material/lightbulb:")
    answer = _short_answer(case)
    _answer(answer, key)
    with st.container(horizontal=True, vertical_alignment="center"):
        copy_button("Copy as Markdown", answer, key=f"copy_{key}")
        _to_playground(case)
    _walk(case, key)
    _whole_story(case, key)
    _something_else(case, key)


def _answer(text: str, key: str) -> None:
    """Show the short answer in larger type: it is what people came for."""
    with st.container(key=f"answer_{key}"):
        st.markdown(text)


def _to_playground(case: Case) -> None:
    try:
        query = address.parameters(opened.link_of(case))
    except LinkError as problem:
        st.caption(f"This case does not open in the playground. {problem}")
        return
    st.page_link(
        "app.py", label="Open in the playground", icon=":material/tune:", query_params=query
    )
    for file, label, icon in shell.PAGES:
        if file in shell.ABOUT_THE_CASE:
            st.page_link(file, label=label, icon=icon, query_params=query)


@st.fragment
def _walk(case: Case, key: str) -> None:
    """Draw the player and explain a cell; a click in the player runs only this again."""
    order = st.segmented_control(
        "Order of the MACs",
        list(words.ORDERS),
        default="scatter",
        required=True,
        key=f"order_{key}",
        format_func=lambda name: name.capitalize(),
        label_visibility="collapsed",
    )
    st.caption(words.ORDERS[order])
    # The fields stand below the player and say which batch item and channel it shows.
    picture = st.container()
    cell = _cell_fields(case.geometry.output_shape, case.unbatched, key)
    with picture:
        player(
            case,
            view_of(case, order, cell),
            key=f"player_{key}",
            asked=lambda asked: _ask(asked, key),
        )
    st.markdown(words.cell_answer(case, *cell))


def _whole_story(case: Case, key: str) -> None:
    story = st.expander(
        "The whole story", icon=":material/menu_book:", key=f"long_{key}", on_change="rerun"
    )
    if story.open:
        with story:
            text = _long_answer(case, _cell_of(case.dims, key))
            copy_button("Copy as Markdown", text, key=f"copy_long_{key}")
            st.markdown(text)


# -- one cell -------------------------------------------------------------------------------------


def _cell_of(dims: int, key: str) -> Ints:
    """Return the output cell to explain, as (n, c, *position)."""
    cell: Ints = st.session_state.get(f"cell_{key}", (0,) * (dims + 2))
    return cell


def _ask(cell: Ints, key: str) -> None:
    """Choose a cell by a click: its fields are made anew, with its index in them."""
    st.session_state[f"cell_{key}"] = cell
    st.session_state[f"asked_{key}"] = st.session_state.get(f"asked_{key}", 0) + 1


def _cell_fields(shape: Sequence[int], unbatched: bool, key: str) -> Ints:
    """Let an output cell be chosen by its index; a click may choose one that is cropped."""
    cell = _cell_of(len(shape) - 2, key)
    names = ("batch item", "channel", *AXES[len(shape) - 2])
    found = list(cell)
    generation = st.session_state.get(f"asked_{key}", 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown("Output cell")
        for axis, (name, size, at) in enumerate(zip(names, shape, cell)):
            if size == 1 and at == 0 and (axis == 0 or unbatched):
                continue
            found[axis] = st.number_input(
                name,
                min(0, at),
                max(size - 1, at),
                at,
                key=f"at_{key}_{axis}_{generation}_{min(0, at)}_{max(size - 1, at)}",
                width=120,
            )
    st.session_state[f"cell_{key}"] = tuple(found)
    return tuple(found)


# -- a plain convolution --------------------------------------------------------------------------


def _plain(call: Call, conv: Conv, key: str) -> None:
    """Explain a plain convolution."""
    st.caption(conv_counts(conv))
    _sample(call)
    answer = conv_short_answer(*_given(call))
    _answer(answer, key)
    copy_button("Copy as Markdown", answer, key=f"copy_{key}")
    if call.mode:
        st.info(plain(no_picture(call.mode)))
    if call.output.size:
        _plain_walk(call, conv, key)


@st.fragment
def _plain_walk(call: Call, conv: Conv, key: str) -> None:
    """Draw the player and explain a cell; a click in the player runs only this again."""
    if not call.mode:
        st.caption(ORDER)
    # The fields stand below the player and say which batch item and channel it shows.
    picture = st.container()
    cell = _cell_fields(conv.geometry.output_shape, conv.unbatched, key)
    if not call.mode:
        with picture:
            player(
                conv,
                view_of(conv, "gather", cell),
                key=f"player_{key}",
                asked=lambda asked: _ask(asked, key),
            )
    st.markdown(conv_cell_answer(*_given(call), *cell))


def _given(call: Call) -> tuple[Any, ...]:
    """Return a plain convolution as its words take it."""
    return (
        call.x, call.weight, call.bias, call.stride, call.zeros, call.dilation, call.groups,
        call.output,
    )  # fmt: skip


# -- "I got something else" -----------------------------------------------------------------------


def _something_else(case: Case, key: str) -> None:
    box = st.expander(
        "I got something else.", icon=":material/help:", key=f"else_{key}", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        st.markdown("Enter the numbers that you got or expected, to see where they come from.")
        with st.form(f"else_form_{key}", border=False, enter_to_submit=True):
            text = st.text_area(
                "Numbers",
                key=f"else_text_{key}",
                placeholder="tensor([[[8.], [8.], [9.], [9.]]])",
                label_visibility="collapsed",
            )
            file = st.file_uploader(
                "or a file: .npy, .csv, .txt", ["npy", "csv", "txt"], key=f"else_file_{key}"
            )
            st.form_submit_button("What are these?", type="primary")
        if file is not None:
            _diagnose(case, file.getvalue(), file.name)
        elif text.strip():
            _diagnose(case, text, None)


def _diagnose(case: Case, numbers: str | bytes, name: str | None) -> None:
    try:
        diagnosis = misread(case, read_result(numbers, name))
    except PastedError as problem:
        st.warning(str(problem), icon=":material/edit:")
        return
    st.markdown(str(diagnosis))

"""The playground: controls, the player, and tabs with more about the layer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import streamlit as st

from convt_trace.answers import transposed as words
from convt_trace.app import address, controls, opened, share, shell
from convt_trace.app.opened import case_of
from convt_trace.app.player_mount import player
from convt_trace.engine.case import Case
from convt_trace.engine.cost import LARGEST, limits
from convt_trace.engine.reference import compare, plain_conv
from convt_trace.engine.view import CHANNELS, GROUPS, View, chosen
from convt_trace.links.link import LinkError
from convt_trace.links.settings import MOST_TYPED, Settings

#: Rows of the trace table: a page of it, and what one CSV file holds.
_ROWS, _CSV_ROWS = 500, 100_000
_TABS = ("Output size", "PyTorch code", "Trace table", "Edit the numbers")


def page() -> None:
    opened.load()
    bare = bool(st.context.is_embedded) or opened.is_presented()
    shell.page("Playground", bare=bare)
    with shell.apart():
        if st.session_state.problem:
            st.warning(st.session_state.problem, icon=":material/link_off:")
    (_bare if bare else _full)()


def _full() -> None:
    """Draw the controls, the player, and what there is to read about it."""
    if st.session_state.own is None:
        what: Case | Settings = controls.settings()
    else:
        what = st.session_state.own
        _put_away()
    _upload()
    case = case_of(what)
    with shell.apart():
        _head(what, case)
    order = _order()
    with shell.apart():
        view = _view(case, order)
    _windows(what, view)
    if st.session_state.opening.hidden is None:
        _more(what, case)
    else:
        st.caption("Show the output again to see its trace and numbers here.")
    address.write(opened.query(what, opened.short(case, view)))


def _bare() -> None:
    """Draw the player alone, for a projector or a course page."""
    state = st.session_state
    what = state.own or state.settings
    case = case_of(what)
    if opened.is_presented():
        st.markdown(f"### `{case.line()}`")
    else:
        st.markdown(f"`{case.line()}`")
    view = chosen(case, state.view)
    _windows(what, view, shares=False)
    address.write(opened.query(what, opened.short(case, view)))
    with suppress(LinkError):
        link = opened.link(what, state.view, state.moment, "playground")
        st.markdown(f"[Open in the playground]({address.url(link)})")


def _put_away() -> None:
    """Say in the sidebar why there are no controls."""
    with st.sidebar:
        st.info(
            "This case comes from a link or a file, and the controls cannot show it: its numbers, its "
            "dtype or its size are not among their choices."
        )
        st.button(
            "Back to the controls",
            on_click=opened.to_controls,
            icon=":material/tune:",
            width="stretch",
        )


def _upload() -> None:
    def read() -> None:
        file = st.session_state[name]
        if file is not None:
            opened.show_file(file.getvalue())

    name = controls.key("file", st.session_state.generation)
    with st.sidebar, st.expander("Open a case file", icon=":material/upload_file:"):
        st.file_uploader(
            "Case file", "json", key=name, on_change=read, label_visibility="collapsed"
        )
        st.caption(
            f"Up to {LARGEST['numbers']:,} numbers and {LARGEST['macs']:,} MACs.", help=limits()
        )


def _head(what: Case | Settings, case: Case) -> None:
    st.markdown("#### ConvTranspose, step by step")
    # Not st.code: its highlighter is 440 kB of JavaScript, for one line.
    st.markdown(f"`{case.line()}`")
    st.caption(words.counts(case))
    pair = isinstance(what, Settings) and controls.preset_of(what) == "pair"
    if pair and st.session_state.opening.hidden is None:
        st.markdown(words.beside_plain_conv(plain_conv(case), compare(case).torch))


def _order() -> str:
    with st.container(horizontal=True, vertical_alignment="center"):
        order = st.segmented_control(
            "Order of the MACs",
            list(words.ORDERS),
            required=True,
            key=controls.start("order", st.session_state.order),
            label_visibility="collapsed",
        )
        order = order or "scatter"  # `required`: it is never empty
        st.session_state.order = order
        st.markdown(words.ORDERS[order])
    return order


@st.fragment
def _windows(what: Case | Settings, view: View, shares: bool = True) -> None:
    """Draw the player; when it asks for another window, only this runs again.

    The session holds what a fragment is called with: the settings, rather than their tensors.
    """
    case = case_of(what)
    shared = player(case, view, opened.opening(case, view, shares), hidden=opened.hide)
    if st.session_state.pop("hide_changed", False):
        st.rerun()  # the page hides or shows its own numbers too
    if shared:
        share.dialog(what, case, opened.short(case, view), shared)


def _view(case: Case, order: str) -> View:
    layer = case.layer
    shown = chosen(case, replace(st.session_state.view, order=order))
    few = CHANNELS[case.dims]
    batch = case.geometry.batch
    everything = (layer.groups, layer.in_per_group, layer.out_per_group)
    if batch == 1 and everything == tuple(
        map(len, (shown.groups or (), shown.in_local or (), shown.out_local or ()))
    ):
        return shown
    with st.expander("Which channels are shown"):
        n = _item(batch, shown.n)
        return View(
            order,
            n,
            controls.pick_channels(
                "groups", "pick_groups", layer.groups, shown.groups or (), GROUPS[case.dims]
            ),
            controls.pick_channels(
                "input channels of a group",
                "pick_in",
                layer.in_per_group,
                shown.in_local or (),
                few,
            ),
            controls.pick_channels(
                "output channels of a group",
                "pick_out",
                layer.out_per_group,
                shown.out_local or (),
                few,
            ),
        )


def _item(batch: int, shown: int) -> int:
    if batch < 2:
        return 0
    return st.slider(
        "batch item", 0, batch - 1, key=controls.start("n", min(shown, batch - 1), batch)
    )


def _more(what: Case | Settings, case: Case) -> None:
    """Draw the tabs below the player; only the open one is computed."""
    size, code, table, edit = st.tabs(_TABS, key="more", on_change="rerun")
    if size.open:
        with size:
            st.markdown(words.size_formula(case))
            st.markdown(words.weight_rule(case))
    if code.open:
        with code:
            st.code(case.snippet(), language="python")
    if table.open:
        with table:
            _table(what, case)
    if edit.open:
        with edit:
            _edit(case)


def _table(what: Case | Settings, case: Case) -> None:
    order = st.session_state.order
    trace = case.trace(order)
    start = st.number_input(
        f"From MAC (of {len(trace):,}, {order} order)",
        0,
        max(len(trace) - 1, 0),
        0,
        _ROWS,
        key="table_from",
        help=f"Shows {_ROWS} rows from here, numbered from 0.",
    )
    st.dataframe(trace.to_frame(start, start + _ROWS), height=320)
    st.download_button(
        "Download as CSV",
        lambda: _csv(what, order, start),
        file_name=f"trace-{order}-from-{start}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        help=f"Up to {_CSV_ROWS:,} rows from the same MAC on.",
    )


def _csv(what: Case | Settings, order: str, start: int) -> str:
    return case_of(what).trace(order).to_frame(start, start + _CSV_ROWS).to_csv(index_label="mac")


def _edit(case: Case) -> None:
    tensors = {"x": ("input x", case.x), "weight": ("weight w", case.weight)}
    if case.bias is not None:
        tensors["offset"] = ("bias b", case.bias)
    key = st.segmented_control(
        "Tensor",
        list(tensors),
        default="x",
        required=True,
        key="edited",
        format_func=lambda key: tensors[key][0],
        label_visibility="collapsed",
    )
    name, tensor = tensors.get(key, tensors["x"])
    if tensor.size > MOST_TYPED:
        st.info(
            f"{name} has {tensor.size:,} numbers; up to {MOST_TYPED:,} can be edited here. "
            "Choose a smaller layer, or another recipe in the sidebar."
        )
        return
    row = "the whole tensor" if tensor.ndim == 1 else "each index of all axes but the last"
    st.caption(f"{name}, shape {tensor.shape}: one row for {row}.")
    controls.edit(tensor, key, controls.load_fill)

"""The playground: move sliders, watch the layer being computed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import streamlit as st

from convt_trace.answers import transposed as words
from convt_trace.app import address, controls, opened, share, shell
from convt_trace.app.player_mount import Shared, player
from convt_trace.engine.case import Case
from convt_trace.engine.cost import limits
from convt_trace.engine.reference import compare, plain_conv
from convt_trace.engine.view import CHANNELS, GROUPS, View, chosen
from convt_trace.links.link import LinkError
from convt_trace.links.settings import MOST_TYPED, Settings

#: Rows of the trace table: a page of it, and what one CSV file holds.
_ROWS, _CSV_ROWS = 500, 100_000
_TABS = ("Output size", "PyTorch code", "Trace table", "Edit the numbers")


@lru_cache(maxsize=32)
def case_of(settings: Settings) -> Case:
    """Return the case of some settings, made once."""
    return settings.case()


def page() -> None:
    """Draw the page."""
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
    case = what if isinstance(what, Case) else case_of(what)
    with shell.apart():
        _head(what, case)
    order = _order()
    with shell.apart():
        view = _view(case, order)
    _windows(what, case, view)
    if st.session_state.opening.hide is None:
        _more(case)
    else:
        st.caption("The trace and its numbers are here again once the output is shown.")
    address.write(opened.query(what, opened.short(case, view)))


def _bare() -> None:
    """Draw the player alone: for a projector, or in a course page."""
    linked = st.session_state.linked
    what = linked.settings or linked.case
    case = what if isinstance(what, Case) else case_of(what)
    if opened.is_presented():
        st.markdown(f"### `{case.line()}`")
    else:
        st.markdown(f"`{case.line()}`")
    view = chosen(case, linked.view)
    _windows(what, case, view, shares=False)
    address.write(opened.query(what, opened.short(case, view)))
    shared = Shared(linked.step, linked.unit, opened.cell_text(linked.selected), linked.hidden)
    with suppress(LinkError):
        link = opened.link(what, linked.view, shared, "playground")
        st.markdown(f"[Open in the playground]({address.url(link)})")


def _put_away() -> None:
    """Say why there are no controls."""
    with st.sidebar:
        st.info(
            "This case was opened from a link or a file, and the controls cannot hold it: it has "
            "numbers, a dtype or a size of its own."
        )
        st.button(
            "Back to the controls",
            on_click=opened.to_controls,
            icon=":material/tune:",
            width="stretch",
        )


def _upload() -> None:
    """Let a case file be opened."""

    def read() -> None:
        file = st.session_state[name]
        if file is not None:
            opened.show_file(file.getvalue())

    name = controls.key("file", st.session_state.generation)
    with st.sidebar, st.expander("Open a case file", icon=":material/upload_file:"):
        st.file_uploader(
            "Case file", "json", key=name, on_change=read, label_visibility="collapsed"
        )
        st.caption(limits())


def _head(what: Case | Settings, case: Case) -> None:
    st.markdown("#### ConvTranspose, step by step")
    # Not st.code: its highlighter is 440 kB of JavaScript, for one line.
    st.markdown(f"`{case.line()}`")
    st.caption(words.counts(case))
    pair = isinstance(what, Settings) and controls.preset_of(what) == "pair"
    if pair and st.session_state.opening.hide is None:
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
        order = order or "scatter"  # one is always chosen
        st.session_state.order = order
        st.markdown(words.ORDERS[order])
    return order


@st.fragment
def _windows(what: Case | Settings, case: Case, view: View, shares: bool = True) -> None:
    """Draw the player; when it asks for another window, nothing else runs again."""
    shared = player(case, view, opened.opening(case, view, shares), hidden=opened.hide)
    if st.session_state.pop("hide_changed", False):
        st.rerun()  # the page has numbers of its own to hide or show
    if shared:
        share.dialog(what, case, opened.short(case, view), shared)


def _view(case: Case, order: str) -> View:
    layer = case.layer
    shown = chosen(case, replace(st.session_state.linked.view, order=order))
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


def _more(case: Case) -> None:
    """Draw what stands below the player; only the open tab is worked out."""
    size, code, table, edit = st.tabs(_TABS, key="more", on_change="rerun")
    if size.open:
        with size:
            st.latex(words.size_formula(case))
            st.markdown(words.weight_rule(case))
    if code.open:
        with code:
            st.code(case.snippet(), language="python")
    if table.open:
        with table:
            _table(case)
    if edit.open:
        with edit:
            _edit(case)


def _table(case: Case) -> None:
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
        lambda: trace.to_frame(start, start + _CSV_ROWS).to_csv(index_label="mac"),
        file_name=f"trace-{order}-from-{start}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        help=f"Up to {_CSV_ROWS:,} rows from the same MAC on.",
    )


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
            f"{name} has {tensor.size:,} numbers; up to {MOST_TYPED:,} can be edited by hand. "
            "Choose a smaller layer, or another recipe in the sidebar."
        )
        return
    st.caption(f"{name}, shape {tensor.shape}: a row for every {_rows_of(tensor.ndim)}.")
    controls.edit(tensor, key, controls.load_fill)


def _rows_of(ndim: int) -> str:
    return "tensor" if ndim == 1 else "index before the last"

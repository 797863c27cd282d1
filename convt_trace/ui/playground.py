"""The playground: move sliders, watch the layer being computed."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from convt_trace import words
from convt_trace.case import Case
from convt_trace.player.mount import player
from convt_trace.player.scene import CHANNELS, GROUPS, View, chosen
from convt_trace.reference import compare, plain_conv
from convt_trace.settings import MOST_TYPED, Settings, SettingsError, from_query, to_query
from convt_trace.ui import address, controls, shell

#: Rows of the trace table: a page of it, and what one CSV file holds.
_ROWS, _CSV_ROWS = 500, 100_000
_ORDERS = {
    "scatter": "Each input value stamps the kernel onto the output.",
    "gather": "Each output cell collects its taps: the flipped kernel slides over the input, with "
    "zeros between and around its values.",
}
_TABS = ("Output size", "PyTorch code", "Trace table", "Edit the numbers")


@lru_cache(maxsize=32)
def case_of(settings: Settings) -> Case:
    """Return the case of some settings, made once."""
    return settings.case()


def page() -> None:
    """Draw the page."""
    shell.page("Playground")
    _load()
    try:
        settings = controls.settings()
    except SettingsError as error:
        st.error(str(error), icon=":material/edit:")
        return
    for problem in st.session_state.problems:
        st.warning(problem, icon=":material/link_off:")
    case = case_of(settings)
    _head(settings, case)
    view = _player(case)
    _more(case)
    shown = {} if view.order == "scatter" else {"order": view.order}
    address.write({**to_query(settings), **shown})


def _load() -> None:
    """Set the controls from the address, where it is not the one that they wrote."""
    query = address.changed()
    if query is None and "settings" in st.session_state:
        st.session_state.problems = []
        return
    settings, st.session_state.problems = from_query(query or {})
    order = (query or {}).get("order", "scatter")
    st.session_state.order = order if order in _ORDERS else "scatter"
    controls.load(settings)


def _head(settings: Settings, case: Case) -> None:
    st.markdown("#### ConvTranspose, one multiply-accumulate at a time")
    # Not st.code: its highlighter is 440 kB of JavaScript, for one line.
    st.markdown(f"`{case.line()}`")
    st.caption(words.counts(case))
    if controls.preset_of(settings) == "pair":
        st.markdown(words.beside_plain_conv(plain_conv(case), compare(case).torch))


def _player(case: Case) -> View:
    with st.container(horizontal=True, vertical_alignment="center"):
        order = st.segmented_control(
            "Order of the MACs",
            list(_ORDERS),
            default=st.session_state.order,
            required=True,
            key=controls.key("order"),
            label_visibility="collapsed",
        )
        st.session_state.order = order
        st.markdown(_ORDERS[order])
    view = _view(case, order)
    _windows(case, view)
    return view


@st.fragment
def _windows(case: Case, view: View) -> None:
    """Draw the player; when it asks for another window, nothing else runs again."""
    player(case, view)


def _view(case: Case, order: str) -> View:
    layer = case.layer
    shown = chosen(case, View(order))
    few = CHANNELS[case.dims]
    batch = case.geometry.batch
    everything = (layer.groups, layer.in_per_group, layer.out_per_group)
    if batch == 1 and everything == tuple(
        map(len, (shown.groups or (), shown.in_local or (), shown.out_local or ()))
    ):
        return shown
    with st.expander("Which channels are shown"):
        n = st.slider("batch item", 0, batch - 1, 0, key="n") if batch > 1 else 0
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

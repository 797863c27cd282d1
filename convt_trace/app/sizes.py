"""The page about sizes: the formula drawn, ``output_size=``, and the settings that make a wanted size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from convt_trace.app import address, shell
from convt_trace.app.chain import chain
from convt_trace.app.current import current
from convt_trace.app.fields import FieldError, per_axis
from convt_trace.app.opened import case_of
from convt_trace.app.ruler import ruler
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import Ints, Layer
from convt_trace.engine.text import AXES, count, shortest
from convt_trace.links.link import NAMES
from convt_trace.planning.formula import (
    OutputSizeError,
    formula,
    output_padding_for,
    output_sizes,
)
from convt_trace.planning.sizes import (
    Setting,
    Sizes,
    SizesError,
    evenness,
    layer_of,
    partner_of,
    sizes,
)

#: The fields of the layer: a link's name of each, and torch's.
_FIELDS = {
    "size": "input size",
    "kernel": "kernel_size",
    "stride": "stride",
    "padding": "padding",
    "output_padding": "output_padding",
    "dilation": "dilation",
}
_CHANNELS = ("in_channels", "out_channels", "groups")
_MOST = 512
_TABS = ("One layer", "A chain of layers")


class Given(NamedTuple):
    """The layer of the page, and its input."""

    layer: Layer
    size: Ints


def page() -> None:
    shell.page("Sizes")
    problem = _start()
    st.markdown("#### Sizes: what comes out, and how to get what you want")
    with shell.apart():
        if problem:
            st.warning(problem, icon=":material/link_off:")
    # The fields of a tab that is not open are drawn too: Streamlit forgets those that are not.
    opens = _TABS[1] if "chain" in st.query_params else _TABS[0]
    one, several = st.tabs(_TABS, default=opens, key="sizes_tab", on_change="rerun")
    with one:
        _one_layer()
    with several:
        chain()


def _one_layer() -> None:
    _fields()
    # What comes and goes stands apart, so that a field that is being typed into stays the same one.
    with shell.apart():
        given = _drawn()
    with shell.apart():
        if given:
            _output_size(given)
    _search_fields()
    with shell.apart():
        if given:
            _search(given)


def _drawn() -> Given | None:
    """Draw the formula; None where the fields make no layer."""
    try:
        given = _given()
        found = formula(given.layer, given.size)
    except (FieldError, LayerError) as error:
        st.error(str(error), icon=":material/error:")
        return None
    st.markdown(f"`nn.{given.layer}`")
    alike = len(set(given.size)) == 1 and _same_axes(given)
    for one in found[:1] if alike else found:
        named = " along each axis" if alike and len(found) > 1 else ""
        symbols = one.symbols.replace("*", r"\*")
        st.markdown(f"**{one.axis}_out**{named} = {symbols}")
        st.markdown(f"`{one.numbers}`")
        st.html(ruler(one))
    return given


def _same_axes(given: Given) -> bool:
    layer = given.layer
    return all(
        len(set(values)) == 1
        for values in (
            layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation,
        )
    )  # fmt: skip


# -- the address ---------------------------------------------------------------------------------
# Every field is bound to a parameter of the address by its key, so the address is the page's link.
# Streamlit takes bound parameters away when people leave the page, out of the next page's link too: so
# no field has the name of a link's parameter.


def _key(name: str) -> str:
    return f"layer_{name}"


def _start() -> str:
    """Fill the fields that the address leaves out from the case that is open; return what is wrong."""
    state, query = st.session_state, st.query_params.to_dict()
    if _key("dims") in state:
        return ""
    what, problem = current(query)
    case = case_of(what)
    sizes = {"size": case.geometry.input_size, "kernel": case.layer.kernel_size}
    sizes |= {name: getattr(case.layer, name) for name in list(_FIELDS)[2:]}
    filled = {"dims": f"{case.dims}d", **{name: _as_text(size) for name, size in sizes.items()}}
    state.update({_key(name): text for name, text in filled.items() if _key(name) not in query})
    state.sizes_channels = {name: getattr(case.layer, name) for name in _CHANNELS}
    # The link that the page was opened with has become its fields.
    for name in set(query) & set(NAMES):
        del st.query_params[name]
    st.query_params.update({name: str(number) for name, number in state.sizes_channels.items()})
    return problem


def _layer_query(layer: Layer, size: Ints) -> dict[str, str]:
    """Return a layer as the parameters of a link; numbers are drawn from a seed."""
    return {
        "dims": f"{layer.dims}d",
        "in_channels": str(layer.in_channels),
        "out_channels": str(layer.out_channels),
        "groups": str(layer.groups),
        "size": _written(size),
        "kernel": _written(layer.kernel_size),
        **{name: _written(getattr(layer, name)) for name in list(_FIELDS)[2:]},
        "x": "integers:1",
        "weight": "integers:2",
    }


def _written(values: Ints) -> str:
    return ",".join(map(str, values[:1] if len(set(values)) == 1 else values))


def _as_text(values: Ints) -> str:
    return str(shortest(values)).strip("()")


# -- the layer -------------------------------------------------------------------------------------------


def _fields() -> None:
    st.segmented_control(
        "Spatial dimensions",
        ["1d", "2d", "3d"],
        required=True,
        key=_key("dims"),
        bind="query-params",
        label_visibility="collapsed",
    )
    for column, (name, label) in zip(st.columns(len(_FIELDS)), _FIELDS.items()):
        column.text_input(
            label,
            key=_key(name),
            bind="query-params",
            help="One whole number, or one for each axis: 4 or 4, 5.",
        )


def _given() -> Given:
    state = st.session_state
    dims = int(state[_key("dims")][0])
    read = {name: per_axis(label, state[_key(name)], dims) for name, label in _FIELDS.items()}
    size, kernel = read.pop("size"), read.pop("kernel")
    given: dict[str, Any] = {**state.sizes_channels, "kernel_size": kernel, **read}
    return Given(Layer(**given), size)


# -- output_size= ------------------------------------------------------------------------------------------


def _output_size(given: Given) -> None:
    with st.expander("output_size= in the call: what is legal, and what it comes to"):
        legal = output_sizes(given.layer, given.size)
        for name, axis in zip(AXES[given.layer.dims], legal):
            pairs = ", ".join(f"{size} (output_padding={at})" for at, size in enumerate(axis))
            st.markdown(f"- along {name}: {pairs}")
        text = st.text_input(
            "output_size",
            key="output_size",
            bind="query-params",
        )
        if not text:
            return
        try:
            asked = per_axis("output_size", text, given.layer.dims)
            extra = output_padding_for(given.layer, given.size, asked)
        except FieldError as error:
            st.error(str(error))
        except OutputSizeError as error:
            st.error(f"torch refuses it: {error}")
        else:
            st.success(f"That is output_padding={shortest(extra)}.")


# -- from a wanted size --------------------------------------------------------------------------------------


def _search_fields() -> None:
    st.markdown("##### The other way: from a wanted size to the settings")
    wanted, kernels, dilations, even = st.columns([2, 2, 2, 3], vertical_alignment="bottom")
    wanted.text_input(
        "wanted output size",
        key="wanted",
        bind="query-params",
        placeholder="as above",
        help="A size, one for each axis, or x2: twice the input, for every input size.",
    )
    kernels.text_input(
        "kernels", "1-7", key="kernels", bind="query-params", help="Such as 2-5 or 3,4."
    )
    dilations.text_input(
        "dilations", "1", key="dilations", bind="query-params", help="Such as 1 or 1-3."
    )
    even.checkbox(
        "only even ones",
        key="even",
        bind="query-params",
        help="Every output cell is reached by equally many taps: no checkerboard by design.",
    )


def _search(given: Given) -> None:
    made = _as_text(given.layer.output_size(given.size))
    try:
        found = _found(given, st.session_state.wanted or made)
    except (FieldError, SizesError) as error:
        st.error(str(error), icon=":material/error:")
        return
    _results(given, found)


def _found(given: Given, wanted: str) -> list[Sizes]:
    """Return the settings for each axis; one list where all axes are alike."""
    state = st.session_state
    options = {
        "kernel": _range("kernels", state.kernels),
        "dilation": _range("dilations", state.dilations),
        "even": state.even,
    }
    times = re.fullmatch(r"\s*[x×*]\s*(\d{1,4})\s*", wanted)
    goals: Sequence[int | None]
    goals = (
        [None] * given.layer.dims
        if times
        else per_axis("wanted output size", wanted, given.layer.dims)
    )
    pairs = list(zip(given.size, goals))
    if len(set(pairs)) == 1:
        pairs = pairs[:1]
    factor = int(times[1]) if times else None
    return [sizes(size, goal, times=factor, **options) for size, goal in pairs]


def _range(name: str, text: str) -> list[int]:
    """Read numbers and stretches of them: 2-5, or 3,4."""
    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        ends = re.fullmatch(r"(\d{1,4})(?:[-:–](\d{1,4}))?", part, re.ASCII)
        if not ends:
            raise FieldError(f"{name} reads “{text}”: write numbers, or a stretch such as 2-5.")
        numbers += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return numbers


def _results(given: Given, found: list[Sizes]) -> None:
    for name, one in zip(AXES[given.layer.dims], found):
        if len(found) > 1:
            st.markdown(f"Along {name}:")
        if not one:
            st.info(one.nothing)
    if not all(found):
        return
    chosen = [
        _table(given, one, alone=len(found) == 1, key=f"sizes_table_{at}")
        for at, one in enumerate(found)
    ]
    _detail(given, chosen * given.layer.dims if len(found) == 1 else chosen)


def _table(given: Given, found: Sizes, alone: bool, key: str) -> Setting:
    """Draw the settings as a table; return the one that is chosen in it, the first to begin with."""
    dims = given.layer.dims
    shown = found[:_MOST]
    rows = [
        {
            **({"": _url(given, [setting] * dims)} if alone else {}),
            "layer": f"nn.{_layer_of(given, [setting] * dims)}",
            "taps per position": evenness(setting),
            "kernel": setting.kernel_size,
            "stride": setting.stride,
            "padding": setting.padding,
            "output_padding": setting.output_padding,
            "dilation": setting.dilation,
            "weights": prod(_layer_of(given, [setting] * dims).weight_shape),
            "kept MACs": setting.kept_macs,
            "cropped": setting.cropped_macs,
            "its conv makes the input of": _listed(setting),
        }
        for setting in shown
    ]
    st.caption(
        f"{count(len(found), 'setting')}, even and plain ones first. MACs are along one axis, for a "
        "pair of channels. Choose a row to see its partner."
    )
    event = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}_{found.wanted}_{len(found)}",
        height=min(420, 38 + 35 * len(rows)),
        column_config={
            "layer": st.column_config.TextColumn(width="large"),
            "": st.column_config.LinkColumn(display_text="Open", help="In the playground"),
        },
    )
    picked = event.selection.rows
    setting: Setting = shown[picked[0]] if picked and picked[0] < len(shown) else shown[0]
    return setting


def _listed(setting: Setting) -> str:
    return ", ".join(map(str, setting.folds)) or "no size"


def _detail(given: Given, chosen: list[Setting]) -> None:
    """Draw what a setting is: its line, its partner, and what output_padding chooses."""
    layer = _layer_of(given, chosen)
    st.markdown(f"`nn.{layer}` goes with `{partner_of(layer)}`.")
    for name, setting in zip(AXES[layer.dims], chosen):
        alike = len(set(chosen)) == 1
        st.markdown(setting.sentence if alike else f"- along {name}: {setting.sentence}")
        if alike:
            break
    st.page_link(
        "app.py",
        label="Open it in the playground",
        icon=":material/play_circle:",
        query_params=_layer_query(layer, given.size),
    )


def _layer_of(given: Given, chosen: list[Setting]) -> Layer:
    layer = given.layer
    return layer_of(chosen, layer.in_channels, layer.out_channels, layer.groups)


def _url(given: Given, chosen: list[Setting]) -> str:
    query = _layer_query(_layer_of(given, chosen), given.size)
    return address.url("&".join(f"{name}={value}" for name, value in query.items()))

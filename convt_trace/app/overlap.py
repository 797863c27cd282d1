"""The page about overlap: how many MACs land in each output cell, and layers without the pattern."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import pandas as pd
import streamlit as st

from convt_trace.app.current import open_page
from convt_trace.engine.case import Case
from convt_trace.engine.text import by
from convt_trace.planning.alternatives import Alternative, alternatives, as_it_is
from convt_trace.planning.counts import Counts
from convt_trace.planning.heat import heat
from convt_trace.planning.overlap import Overlap, overlap
from convt_trace.planning.stacked import stacked

#: Cells of a map that is made for the page.
_LARGEST = 2**20
_PHASES = 64
_LAYERS = 4


def page() -> None:
    case = open_page("Overlap", "Overlap: how many MACs land in each output cell")
    seen = overlap(case)
    _number(seen)
    if prod(case.geometry.output_size) > _LARGEST:
        st.info(f"The output has {prod(case.geometry.output_size):,} cells: its map is not drawn.")
    else:
        _maps(case, seen)
    _phases(seen)
    _stacked(case)
    _alternatives(case)


def _number(seen: Overlap) -> None:
    if seen.even:
        st.success(
            f"Even: every output cell inside gets {seen.high} MACs.", icon=":material/check:"
        )
    elif seen.gaps:
        st.error("Some cells get nothing, whatever the input.", icon=":material/grid_off:")
    else:
        st.warning(
            f"**{seen.ratio:g}**: some cells get {seen.ratio:g} times as many MACs as others. "
            f"A constant input comes out as a pattern that repeats every {by(seen.period)}.",
            icon=":material/grid_on:",
        )
    st.markdown(seen.to_markdown())


# -- maps --------------------------------------------------------------------------------------------


def _maps(case: Case, seen: Overlap) -> None:
    st.markdown("##### The map")
    counts, weights = st.columns(2)
    with counts:
        st.markdown("How many MACs land in a cell of an output channel")
        st.html(heat(seen.map(), "MACs per cell", seen.edges()))
        st.caption("Dashed: edge cells, which get less because the input ends.")
    with weights:
        channel = 0
        if case.layer.out_channels > 1:
            channel = int(
                st.number_input(
                    "output channel", 0, case.layer.out_channels - 1, 0, key="overlap_channel"
                )
            )
        st.markdown("What an input of ones gives with these weights, without the bias")
        assert seen.weighted is not None
        st.html(heat(seen.weighted.map()[channel], "an input of ones"))


def _phases(seen: Overlap) -> None:
    with st.expander("By phase: the small kernels that a strided layer is made of"):
        st.markdown(
            "Output positions that are a stride apart are reached by the same taps: a layer is as many "
            "small convolutions as it has phases, whose outputs are interleaved."
        )
        st.dataframe(pd.DataFrame(list(_phase_rows(seen))), hide_index=True)


def _phase_rows(seen: Overlap) -> Iterator[dict[str, object]]:
    for at, phase in enumerate(seen.phases()):
        if at == _PHASES:
            return
        sums = phase.sums
        yield {
            "phase": str(phase.position),
            "taps per axis": " x ".join(str(list(taps)) for taps in phase.taps),
            "MACs": phase.count,
            "sum of its weights, by output channel": ""
            if sums is None
            else ", ".join(f"{value:.4g}" for value in np.ravel(sums)[:8]),
        }


# -- more layers, other layers -------------------------------------------------------------------------


def _stacked(case: Case) -> None:
    with st.expander("Stacked: the same layer several times"):
        count = st.slider("layers", 1, _LAYERS, 3, key="overlap_layers")
        try:
            seen = stacked([case.layer] * count, case.geometry.input_size)
        except ValueError as error:
            st.info(str(error))
            return
        st.markdown(seen.to_markdown())
        last: Counts = seen.last
        if last.size and prod(last.size) <= _LARGEST:
            st.html(
                heat(np.asarray(last.map(), dtype=float), f"MACs per cell after {count} layers")
            )


def _alternatives(case: Case) -> None:
    st.markdown("##### Layers without the pattern, on the same input")
    st.caption("Their maps: all weights equal, adding up to 1. What is flat there has no pattern.")
    shown = {"As it is": as_it_is(case)}
    shown |= {one.name.capitalize(): one for one in alternatives(case)}
    for tab, one in zip(
        st.tabs(list(shown), key="alternatives", on_change="rerun"), shown.values()
    ):
        if tab.open:
            with tab:
                _alternative(one)


def _alternative(one: Alternative) -> None:
    st.markdown(one.sentence)
    st.markdown(f"max/min **{one.ratio:g}**, output {by(one.output_size)}")
    if prod(one.output_size) <= _LARGEST:
        st.html(heat(one.map(), one.name))
    st.code(one.code, language="python")

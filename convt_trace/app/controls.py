"""The playground's controls: widgets in, `Settings` out.

The settings of the last run are the one source of truth. Every widget starts from them, under a key
that names its bounds: when its bounds change it is a new widget, which starts at the right value. A
load (a preset, a link, the Back button) begins a new generation, and every widget takes its value
from the settings once per generation. The widgets stay where they are, so the sidebar does not
scroll. No value is held by a widget alone, so a run that is interrupted loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from convt_trace.engine.layer import Ints
from convt_trace.links import settings as rules
from convt_trace.links.packed import Unreadable, check_bounds
from convt_trace.links.settings import PER_AXIS, PRESETS, RECIPES, Fill, Settings, SettingsError

OWN = "own"
_OWN_NOTE = (
    "Your own settings; the page's address holds them. The browser's Back button undoes one change. "
    "Choosing an entry above replaces them all."
)
#: Channels that are offered as a list.
MOST_LISTED = 1024
_AXIS_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def load(settings: Settings) -> None:
    """Set every control; call it in a callback, or before the controls are drawn."""
    st.session_state.settings = settings
    st.session_state.generation = st.session_state.get("generation", 0) + 1


def load_fill(name: str, fill: Fill) -> None:
    """Set one tensor's controls: ``name`` is "x", "weight" or "offset"."""
    load(replace(st.session_state.settings, **{name: fill}))


def key(name: str, *bounds: object) -> str:
    """Return a control's key, which changes with its bounds."""
    return ":".join(map(str, ("control", name, *bounds)))


def start(name: str, value: object, *bounds: object) -> str:
    """Return a control's key, and set its value if it is new or a load came since."""
    state, control = st.session_state, key(name, *bounds)
    started = state.setdefault("started", {})
    if control not in state or started.get(control) != state.generation:
        state[control] = value
        started[control] = state.generation
    return control


def settings() -> Settings:
    """Draw the controls in the sidebar and return what they are set to."""
    base: Settings = st.session_state.settings
    with st.sidebar:
        presets = st.container()
        base = rules.with_dims(base, _dims(base))
        st.subheader("Layer", divider="gray")
        channels = _channels(base)
        axes = _axes(base)
        bias = st.toggle(
            "bias",
            key=start("bias", base.bias),
            help="One number per output channel, added once to each of its cells.",
        )
        st.subheader("Numbers", divider="gray")
        chosen = replace(
            base,
            **channels,
            **axes,
            bias=bias,
            x=_fill("x", "input x", base.x),
            weight=_fill("weight", "weight w", base.weight, bilinear=True),
            offset=_fill("offset", "bias b", base.offset) if bias else base.offset,
        )
        with presets:
            _presets(chosen)
            affordable = _affordable(chosen)
    st.session_state.settings = chosen
    return affordable


def _affordable(chosen: Settings) -> Settings:
    """Return settings to draw: the last ones before these, where these are too large for the server."""
    try:
        check_bounds(chosen.batch, chosen.layer(), chosen.size)
    except Unreadable as error:
        st.error(
            f"This layer is too large to be drawn: {error}. The picture stays as it was.",
            icon=":material/warning:",
        )
        return drawn()
    st.session_state.drawn = chosen
    return chosen


def drawn() -> Settings:
    """Return the last settings that were drawn."""
    last: Settings = st.session_state.get("drawn", rules.QUESTION)
    return last


def preset_of(settings: Settings) -> str:
    """Return the key of the preset that these settings are, `OWN` for none."""
    said = rules.written(settings)
    return next(
        (name for name, preset in PRESETS.items() if rules.written(preset.settings) == said), OWN
    )


def _presets(settings: Settings) -> None:
    """Let a preset be chosen; shows the one that the settings are equal to, after every change."""
    st.session_state.preset = preset_of(settings)

    def chosen() -> None:
        if st.session_state.preset != OWN:
            load(PRESETS[st.session_state.preset].settings)

    titles = {**{name: preset.title for name, preset in PRESETS.items()}, OWN: "your own settings"}
    st.selectbox(
        "Start from", list(titles), format_func=titles.__getitem__, key="preset", on_change=chosen
    )
    note = PRESETS[name].note if (name := st.session_state.preset) != OWN else _OWN_NOTE
    with st.container(key="note"):
        # A note may state the output, so it is hidden with it.
        if st.session_state.opening.hidden is None:
            st.caption(note)


def _dims(base: Settings) -> int:
    dims = st.segmented_control(
        "Spatial dimensions",
        [1, 2, 3],
        required=True,
        format_func=lambda dims: f"{dims}d",
        key=start("dims", base.dims),
        width="stretch",
    )
    return dims or base.dims  # `required`: it is never empty


def _slider(name: str, label: str, low: int, high: int, value: int, help: str) -> int:
    """Draw a slider for a whole number; with only one possible value it is disabled."""
    resting = low == high
    # Streamlit has no slider of one value: this one has two, and cannot be moved.
    moved = st.slider(
        label,
        low,
        high + resting,
        disabled=resting,
        key=start(name, min(max(value, low), high), low, high),
        help=help,
    )
    return low if resting else moved


def _channels(base: Settings) -> dict[str, Any]:
    groups = _slider(
        "groups",
        "groups",
        1,
        rules.MOST_GROUPS,
        base.groups,
        "Channels are divided into this many groups; an output channel reads the input channels of "
        "its own group only. Both channel counts are multiples of it.",
    )
    choices = rules.channel_choices(groups)
    counts = {"groups": groups}
    for name, what in (("in_channels", "input"), ("out_channels", "output")):
        counts[name] = st.select_slider(
            name,
            choices,
            key=start(name, rules.nearest(getattr(base, name), choices), groups),
            help=f"{what.capitalize()} channels: a multiple of groups={groups}, so that every "
            "group has the same number.",
        )
    most = rules.MOST_BATCH
    counts["batch"] = _slider("batch", "batch", 1, most, base.batch, "Items in the batch, N.")
    return counts


def _axes(base: Settings) -> dict[str, Any]:
    """Draw the settings with one number per axis: one slider for all axes, or one for each."""
    dims = base.dims
    per_axis = dims > 1 and st.toggle(
        "one slider per axis",
        key=start("per_axis", any(len(set(getattr(base, name))) > 1 for name in PER_AXIS), dims),
        help="One slider per spatial dimension instead of one for all.",
    )
    found = []
    for axis, name in enumerate(_AXIS_NAMES[dims] if per_axis else [""]):
        if name:
            st.caption(f"**{name}**")
        found.append(_axis(base, axis, name))
    return {
        name: tuple(axis[name] for axis in found) if per_axis else (found[0][name],) * dims
        for name in PER_AXIS
    }


def _axis(base: Settings, axis: int, axis_name: str) -> dict[str, int]:
    """Draw the sliders of one axis, each bounded by those before it."""

    def slider(name: str, label: str, help: str, high: int | None = None) -> int:
        low, most = rules.axis_range(name, base.dims)
        value = getattr(base, name)[axis]
        return _slider(
            f"{name}{axis_name}", label, low, most if high is None else high, value, help
        )

    size = slider("size", "input size", "Positions of the input.")
    kernel = slider("kernel", "kernel_size", "Taps of the kernel.")
    stride = slider(
        "stride",
        "stride",
        "How many output positions apart the stamps of neighbouring inputs begin: a step over the "
        "output, not over the input.",
    )
    dilation = slider(
        "dilation", "dilation", "How many positions apart neighbouring taps of the kernel are."
    )
    most_extra = rules.largest_output_padding(stride, dilation)
    extra = slider(
        "output_padding",
        "output_padding",
        f"Makes the output longer at its end. At most {most_extra} here: it must be smaller than "
        f"stride ({stride}) or dilation ({dilation}).",
        most_extra,
    )
    most_padding = rules.largest_padding(size, kernel, stride, dilation, extra)
    padding = slider(
        "padding",
        "padding",
        f"Crops the output on both sides. At most {most_padding} here: with input size {size}, kernel "
        f"{kernel}, stride {stride} and dilation {dilation}, more would leave no output.",
        most_padding,
    )
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "output_padding": extra,
        "padding": padding,
    }


def _fill(name: str, label: str, base: Fill, bilinear: bool = False) -> Fill:
    """Draw one tensor's recipe, with its numbers or its seed; the one not shown does not change."""
    recipes = [recipe for recipe in RECIPES if bilinear or recipe != "bilinear"]
    recipe = st.selectbox(
        label,
        recipes,
        key=start(name, base.recipe if base.recipe in recipes else recipes[0]),
        help="; ".join(f"**{recipe}**: {RECIPES[recipe]}" for recipe in recipes) + ".",
    )
    numbers, seed = base.numbers, base.seed
    if recipe == "numbers":
        text = st.text_input(
            f"numbers of {label}",
            key=start(f"{name}_numbers", rules.write_numbers(base.numbers)),
            label_visibility="collapsed",
            help="Separated by commas; repeated in order until the tensor is full.",
        )
        try:
            numbers = rules.read_numbers(text, label)
        except SettingsError as error:  # the picture shows the numbers from before
            st.error(str(error), icon=":material/edit:")
    elif recipe in rules.SEEDED:
        seed = st.number_input(
            f"seed of {label}",
            0,
            rules.MOST_SEED,
            key=start(f"{name}_seed", base.seed),
            help="The same seed gives the same numbers.",
        )
    return Fill(recipe, numbers, seed)


def pick_channels(
    label: str, name: str, count: int, shown: Sequence[int], most: int
) -> Ints | None:
    """Let channels be picked if not all are shown; None leaves the choice to the scene."""
    if len(shown) == count:
        return None
    # A million options would be tens of MB to send: beyond the listed ones, a number is typed.
    listed = range(min(count, MOST_LISTED))
    beyond = sorted({place for place in (*shown, count - 1) if place not in listed})
    picked = st.multiselect(
        f"{label} (of {count:,})",
        [*listed, *beyond],
        key=start(name, list(shown), count),
        max_selections=most,
        accept_new_options=count > MOST_LISTED,
        help="Pick the last one too, and the sums finish on screen."
        + (f" Type a number from {MOST_LISTED:,} on." if count > MOST_LISTED else ""),
    )
    places = [_place(one) for one in picked]
    wrong = [one for one, place in zip(picked, places) if place is None or place >= count]
    if wrong:
        st.warning(
            f"{label}: {str(wrong[0])[:20]!r} is none of them. "
            f"Type a whole number from 0 to {count - 1:,}."
        )
    return tuple(place for place in places if place is not None and place < count) or None


def _place(picked: int | str) -> int | None:
    """Return a channel that was picked or typed; None for what is no number."""
    text = str(picked).replace(",", "").strip()
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def edit(tensor: np.ndarray, name: str, done: Callable[[str, Fill], None]) -> None:
    """Draw a tensor as a table to edit; a change turns the tensor's recipe into typed numbers.

    Streamlit gets the table as it was first opened, and adds the edits to it, so the cell that is
    being edited does not lose the focus. A tensor that changed in another way is a new table.
    """
    state = st.session_state
    opened = f"{name}_opened"
    rows = tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim > 1 else tensor.reshape(1, -1)
    start, revision = state.get(opened, (rows, 0))
    table_key = f"{name}_table_{revision}"
    if start.shape != rows.shape or not np.array_equal(
        _edited(start, state.get(table_key)), rows, equal_nan=True
    ):
        start, revision = rows, revision + 1
        table_key = f"{name}_table_{revision}"
    state[opened] = (start, revision)
    labels = [", ".join(map(str, place)) for place in np.ndindex(tensor.shape[:-1])] or [""]
    table = {"": labels, **{str(place): start[:, place] for place in range(rows.shape[1])}}

    def changed() -> None:
        numbers = _edited(start, state[table_key]).reshape(-1)
        done(name, Fill("numbers", tuple(map(float, numbers))))

    st.data_editor(
        table,
        key=table_key,
        on_change=changed,
        disabled=[""],
        hide_index=True,
        height=min(38 * (len(rows) + 1), 420),
    )


def _edited(rows: np.ndarray, edits: dict | None) -> np.ndarray:
    """Return a table with a data editor's changes in it; an empty cell counts as 0."""
    result = np.array(rows, dtype=np.float64)
    for row, changes in (edits or {}).get("edited_rows", {}).items():
        for column, value in changes.items():
            result[int(row), int(column)] = 0 if value is None else value
    return result.astype(np.float32)

"""The playground's controls: widgets in, `Settings` out.

Every widget is bound to the URL under its own key, so that reload, back and a copied address bring
the same picture. Widgets are made in the order in which one bounds the next; a value that a new
bound leaves outside is moved to the bound before its widget is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from convt_trace import settings as rules
from convt_trace.layer import Ints
from convt_trace.settings import PRESETS, QUESTION, RECIPES, Fill, Settings, SettingsError

OWN = "own"
_DIMS = {"1d": 1, "2d": 2, "3d": 3}
_AXIS_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_PER_AXIS = ("size", "kernel", "stride", "dilation", "output_padding", "padding")


def settings() -> Settings:
    """Draw the controls in the sidebar and return what they are set to.

    Raises
    ------
    SettingsError
        When typed numbers cannot be read; the text stays where it is.
    """
    with st.sidebar:
        presets = st.container()
        dims = _dims()
        st.subheader("Layer", divider="gray")
        channels = _channels()
        axes = _axes(dims)
        bias = st.toggle(
            "bias", QUESTION.bias, key="bias", bind="query-params",
            help="One number per output channel, added once to every cell of it.",
        )
        st.subheader("Numbers", divider="gray")
        x = _fill("x", "input x", QUESTION.x)
        weight = _fill("weight", "weight w", QUESTION.weight, bilinear=True)
        offset = _fill("offset", "bias b", QUESTION.offset) if bias else QUESTION.offset
        chosen = Settings(
            **channels, **axes, bias=bias, x=x, weight=weight, offset=offset
        )
        with presets:
            _presets(chosen)
    return chosen


def load(settings: Settings) -> None:
    """Set every control; to be called from a callback, before the controls are drawn."""
    state = st.session_state
    state.update(
        dims=f"{settings.dims}d",
        batch=settings.batch,
        groups=settings.groups,
        in_channels=settings.in_channels,
        out_channels=settings.out_channels,
        bias=settings.bias,
        per_axis=any(len(set(getattr(settings, name))) > 1 for name in _PER_AXIS),
    )
    for name in _PER_AXIS:
        values = getattr(settings, name)
        state[name] = values[0]
        for axis, value in enumerate(values):
            state[f"{name}_{axis}"] = value
    for key, fill in (("x", settings.x), ("weight", settings.weight), ("offset", settings.offset)):
        load_fill(key, fill)


def load_fill(key: str, fill: Fill) -> None:
    """Set one tensor's controls; to be called from a callback."""
    st.session_state[key] = fill.recipe
    st.session_state[f"{key}_numbers"] = rules.write_numbers(fill.numbers)
    st.session_state[f"{key}_seed"] = fill.seed


def preset_of(settings: Settings) -> str:
    """Return the key of the preset that these settings are, `OWN` for none."""
    return next((key for key, preset in PRESETS.items() if preset.settings == settings), OWN)


def _presets(settings: Settings) -> None:
    """Let a preset be chosen; shows which one the settings are, so it follows every change."""
    st.session_state.preset = preset_of(settings)

    def chosen() -> None:
        if st.session_state.preset != OWN:
            load(PRESETS[st.session_state.preset].settings)

    titles = {**{key: preset.title for key, preset in PRESETS.items()}, OWN: "your own settings"}
    st.selectbox(
        "Start from", list(titles), format_func=titles.__getitem__, key="preset", on_change=chosen
    )
    if st.session_state.preset != OWN:
        st.caption(PRESETS[st.session_state.preset].note)


def _dims() -> int:
    def grow() -> None:
        for axis in range(3):
            for name in _PER_AXIS:
                st.session_state.pop(f"{name}_{axis}", None)

    # What the options are called is what stands in the URL.
    chosen = st.segmented_control(
        "Spatial dimensions", list(_DIMS), default="1d", required=True, key="dims",
        bind="query-params", on_change=grow, width="stretch",
    )
    return _DIMS[chosen]


def _slider(
    key: str, label: str, low: int, high: int, default: int, help: str,
) -> int:
    """Draw a slider for a whole number; without room to move it says so and rests."""
    held = st.session_state.get(key)
    if held is not None and not low <= held <= high:
        st.session_state[key] = min(max(held, low), high)
    if low == high:
        # Streamlit has no slider of one value; this one shows the value and takes none.
        st.slider(label, low, low + 1, low, disabled=True, help=help, key=f"{key}_fixed")
        return low
    return st.slider(
        label, low, high, min(max(default, low), high), key=key, help=help, bind="query-params"
    )


def _channels() -> dict[str, int]:
    groups = _slider(
        "groups", "groups", 1, rules.MOST_GROUPS, QUESTION.groups,
        "Channels are divided into this many blocks that do not see each other. Both channel "
        "counts are multiples of it.",
    )
    choices = rules.channel_choices(groups)
    counts = {}
    for name, what in (("in_channels", "input"), ("out_channels", "output")):
        held = st.session_state.get(name)
        if held is not None and held not in choices:
            st.session_state[name] = rules.nearest(held, choices)
        counts[name] = st.select_slider(
            name, choices, rules.nearest(getattr(QUESTION, name), choices), key=name,
            bind="query-params",
            help=f"{what.capitalize()} channels: a multiple of groups={groups}, so that every "
            "group has the same number.",
        )
    counts["groups"] = groups
    counts["batch"] = _slider(
        "batch", "batch", 1, rules.MOST_BATCH, QUESTION.batch, "Items in the batch, N."
    )
    return counts


def _axes(dims: int) -> dict[str, Ints]:
    """Draw the settings that have one number per axis, as one slider or one for each."""
    per_axis = dims > 1 and st.toggle(
        "each axis on its own", key="per_axis", bind="query-params",
        help="One slider per spatial dimension instead of one for all.",
    )
    names = _AXIS_NAMES[dims] if per_axis else ("",)
    values: dict[str, list[int]] = {name: [] for name in _PER_AXIS}
    for axis, axis_name in enumerate(names):
        if axis_name:
            st.caption(axis_name)
        for name, value in _axis(dims, f"_{axis}" if per_axis else "").items():
            values[name].append(value)
    return {
        name: tuple(found if per_axis else found * dims) for name, found in values.items()
    }


def _axis(dims: int, suffix: str) -> dict[str, int]:
    """Draw one axis' sliders, each bounded by those before it."""

    def slider(name: str, label: str, low: int, high: int, help: str) -> int:
        shared = st.session_state.get(name, getattr(QUESTION, name)[0])
        default = shared if suffix else getattr(QUESTION, name)[0]
        return _slider(f"{name}{suffix}", label, low, high, default, help)

    size = slider("size", "input size", 1, rules.MOST_SIZE[dims], "Positions of the input.")
    kernel = slider("kernel", "kernel_size", 1, rules.MOST_KERNEL[dims], "Taps of the kernel.")
    stride = slider(
        "stride", "stride", 1, rules.MOST_STRIDE,
        "How far apart neighbouring inputs stamp the output: gaps between inputs, not steps over "
        "them.",
    )
    dilation = slider(
        "dilation", "dilation", 1, rules.MOST_DILATION, "How far apart the taps of the kernel lie."
    )
    most_extra = rules.largest_output_padding(stride, dilation)
    extra = slider(
        "output_padding", "output_padding", 0, most_extra,
        f"Widens the output on its far side. At most {most_extra} here: it must be smaller than "
        f"stride ({stride}) or dilation ({dilation}).",
    )
    most_padding = rules.largest_padding(size, kernel, stride, dilation, extra)
    padding = slider(
        "padding", "padding", 0, most_padding,
        f"Crops the output on both sides. At most {most_padding} here: more would leave nothing of "
        f"size {size} with kernel {kernel}, stride {stride} and dilation {dilation}.",
    )
    return {
        "size": size, "kernel": kernel, "stride": stride, "dilation": dilation,
        "output_padding": extra, "padding": padding,
    }


def _fill(key: str, label: str, default: Fill, bilinear: bool = False) -> Fill:
    """Draw one tensor's recipe and what belongs to it."""
    recipes = [name for name in RECIPES if bilinear or name != "bilinear"]
    recipe = st.selectbox(
        label, recipes, recipes.index(default.recipe), key=key, bind="query-params",
        help="; ".join(f"**{name}**: {RECIPES[name]}" for name in recipes) + ".",
    )
    if recipe == "numbers":
        text = st.text_input(
            f"numbers of {label}", rules.write_numbers(default.numbers), key=f"{key}_numbers",
            bind="query-params", label_visibility="collapsed",
            help="Apart by commas; repeated in order until the tensor is full.",
        )
        return Fill(recipe, rules.read_numbers(text or "", label))
    if recipe in ("integers", "normal"):
        seed = st.number_input(
            f"seed of {label}", 0, 9999, default.seed, key=f"{key}_seed", bind="query-params",
            help="The same seed gives the same numbers.",
        )
        return Fill(recipe, seed=int(seed))
    return Fill(recipe)


def pick_channels(label: str, key: str, count: int, shown: Sequence[int], most: int) -> Ints | None:
    """Let channels be picked where not all are shown; None leaves the choice to the scene."""
    if len(shown) == count:
        return None
    picked = st.multiselect(
        f"{label} (of {count})", range(count), list(shown), key=key, max_selections=most,
        help="The last one lets the sums finish on screen.",
    )
    return tuple(picked) or None


def edit(key: str, tensor: np.ndarray, done: Callable[[str, Fill], None]) -> None:
    """Draw a tensor as a table to be edited cell by cell; a change becomes typed numbers.

    The table is kept as it was opened and edits add up on it, so the cell in work keeps its focus;
    it starts afresh when the tensor changed in another way.
    """
    state = st.session_state
    opened = f"{key}_opened"
    rows = tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim > 1 else tensor.reshape(1, -1)
    start, revision = state.get(opened, (rows, 0))
    name = f"{key}_table_{revision}"
    if start.shape != rows.shape or not np.array_equal(
        _edited(start, state.get(name)), rows, equal_nan=True
    ):
        start, revision = rows, revision + 1
        name = f"{key}_table_{revision}"
    state[opened] = (start, revision)
    labels = [", ".join(map(str, place)) for place in np.ndindex(tensor.shape[:-1])] or [""]
    table = {"": labels, **{str(place): start[:, place] for place in range(rows.shape[1])}}

    def changed() -> None:
        numbers = _edited(start, state[name]).reshape(-1)
        done(key, Fill("numbers", tuple(map(float, numbers))))

    st.data_editor(
        table, key=name, on_change=changed, disabled=[""], hide_index=True,
        height=min(38 * (len(rows) + 1), 420),
    )


def _edited(rows: np.ndarray, edits: dict | None) -> np.ndarray:
    """Return a table with a data editor's changes in it; an emptied cell counts as 0."""
    result = np.array(rows, dtype=np.float64)
    for row, changes in (edits or {}).get("edited_rows", {}).items():
        for column, value in changes.items():
            result[int(row), int(column)] = 0 if value is None else value
    return result.astype(np.float32)


__all__ = ["SettingsError", "edit", "load", "load_fill", "pick_channels", "preset_of", "settings"]

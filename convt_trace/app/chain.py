"""A chain of layers on the page about sizes: its sizes as a picture, and what mends a skip connection."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import streamlit as st

from convt_trace.app.fields import FieldError, per_axis
from convt_trace.app.read_off import read_off_a_model
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import AXES, by, count
from convt_trace.planning.chain import Chain, dims_of
from convt_trace.planning.stage import AxesError, ChainError

EXAMPLE = """\
nn.Conv2d(1, 16, 3, padding=1)
save a
nn.MaxPool2d(2)
nn.Conv2d(16, 32, 3, padding=1)
save b
nn.MaxPool2d(2)
nn.ConvTranspose2d(32, 32, 2, stride=2)
cat b
nn.ConvTranspose2d(64, 16, 2, stride=2)
cat a"""
_STYLE = """<style>
.chain { display: grid; grid-template-columns: max-content max-content max-content 1fr; gap: 2px 0.8rem;
  align-items: center; font-size: 0.85rem; max-width: 60rem; }
.chain code { font-size: 0.82rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  max-width: 26rem; }
.chain i { font-style: normal; text-align: right; opacity: 0.7; }
.chain b { text-align: right; font-variant-numeric: tabular-nums; }
.chain div { height: 0.9rem; border-radius: 3px; background: #2b6cb8; min-width: 2px; }
.chain .up { background: #e0812a; } .chain .skip { background: #009e73; }
.chain .off { background: #c2127f; }
@media (max-width: 640px) { .chain { column-gap: 0.4rem; } .chain code { max-width: 10rem; } }
.st-key-chain textarea, .st-key-read_off_source textarea { font: 0.85rem/1.5 monospace; }
</style>"""
_HELP = (
    "One layer a line, as torch has it; activations and norms keep the size. `save a` keeps the size at "
    "that place, and `cat a` joins it again, as an addition does. `F.pad(x, (0, 1))` and `x[..., :27]` "
    "are read too. Nothing of it is run."
)


def chain() -> None:
    """Draw the fields of a chain, and its sizes."""
    read_off_a_model()
    text = st.text_area("Layers", EXAMPLE, key="chain", bind="query-params", height=280, help=_HELP)
    size = st.text_input(
        "input size of the chain", "27", key="of", bind="query-params",
        help="One whole number, or one for each axis: 27 or 27, 30.",
    )  # fmt: skip
    try:
        _draw(text, per_axis("input size of the chain", size, dims_of(text)))
    except (FieldError, ChainError) as error:
        st.error(str(error), icon=":material/error:")


def _draw(text: str, size: Ints) -> None:
    """Draw a chain for an input size; along one axis where its axes differ."""
    try:
        if len(set(size)) > 1:
            raise AxesError(f"The input has {by(size)} positions.")
        stages = Chain.read(text)
    except AxesError:
        names = AXES[len(size)]
        along = st.segmented_control(
            "The axes differ: along which?", names, default=names[0], required=True,
            key="along", bind="query-params",
        )  # fmt: skip
        stages = Chain.read(text, names.index(along))
    if not stages:
        st.info("Write a layer, such as nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1).")
        return
    _tell(stages, size[stages.axis or 0])


def _tell(stages: Chain, size: int) -> None:
    st.html(_picture(stages, size))
    for misfit in stages.misfits(size):
        st.error(misfit.sentence, icon=":material/link_off:")
        st.markdown(misfit.mending)
    if stages.fits(size):
        st.success(stages.end(size))
    elif end := stages.end(size):
        st.error(end, icon=":material/error:")
    st.markdown(f"Input sizes that go through: **{_passes(stages.text, stages.axis)}**.")
    if stages.dims == 1:
        _time(stages, size)


@lru_cache(maxsize=64)
def _passes(text: str, axis: int | None) -> str:
    """Say which input sizes go through: hundreds are tried, and the tab is drawn in every run."""
    return Chain.read(text, axis).passes()


def _picture(stages: Chain, size: int) -> str:
    """Return the sizes along the chain as bars; a skip connection that does not fit stands out."""
    found, off = stages.sizes(size), {one.stage.line: one for one in stages.misfits(size)}
    widest = max(found)
    rows = [("", "input", found[0], found[0], "")]
    for stage, after in zip(stages, found[1:]):
        kind = {"ConvTranspose": "up", "Upsample": "up", "save": "skip", "cat": "skip"}.get(
            stage.kind, ""
        )
        misfit = off.get(stage.line)
        here = misfit.here if misfit else after
        rows.append((str(stage.line), stage.text, here, after, "off" if misfit else kind))
    cells = "".join(
        f"<i>{line}</i><code>{escape(text)}</code><b>{here}{f' ≠ {after}' if here != after else ''}</b>"
        f'<div class="{kind}" style="width: {100 * max(here, 0) / widest:.2f}%"></div>'
        for line, text, here, after, kind in rows
    )
    return f'{_STYLE}<div class="chain" role="img" aria-label="Sizes: {found}">{cells}</div>'


def _time(stages: Chain, size: int) -> None:
    """Say which inputs an output needs, and what a causal chain trims."""
    try:
        before, after = stages.reach(size)
    except ChainError as error:
        st.caption(f"Which inputs an output needs is not told. {error}")
        return
    field = count(before + after + 1, "input position")
    st.markdown(
        f"An output needs {field}: {before} before its own time and {after} after it."
        + ("" if after else " The chain is causal.")
    )
    trims = [f"line {stage.line}: {trim}" for stage, trim in stages.trims() if trim]
    if trims:
        st.markdown(
            "A causal chain has padding=0 and trims on the right, none on the left, behind each "
            f"transposed convolution: {', '.join(trims)}."
        )

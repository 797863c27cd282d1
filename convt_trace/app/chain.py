"""A chain of layers on the page about sizes: its sizes as a picture, and what mends a skip connection."""

from __future__ import annotations

from html import escape

import streamlit as st

from convt_trace.engine.text import count
from convt_trace.planning.chain import Chain, ChainError, Misfit

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
_SHOWN = 3
_STYLE = """<style>
.chain { display: grid; grid-template-columns: max-content max-content 1fr; gap: 2px 0.8rem;
  align-items: center; font-size: 0.85rem; max-width: 60rem; }
.chain code { font-size: 0.82rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  max-width: 26rem; }
.chain b { text-align: right; font-variant-numeric: tabular-nums; }
.chain div { height: 0.9rem; border-radius: 3px; background: #2b6cb8; min-width: 2px; }
.chain .up { background: #e0812a; } .chain .skip { background: #009e73; }
.chain .off { background: #c2127f; }
@media (max-width: 640px) { .chain code { max-width: 11rem; } }
</style>"""
HELP = (
    "One layer a line, as torch has it; activations and norms keep the size. `save a` keeps the size at "
    "that place, and `cat a` joins it again. Nothing of it is run."
)


def chain(size: int, text: str) -> None:
    """Draw a chain along one axis, for this input size."""
    try:
        links = Chain.read(text)
    except ChainError as error:
        st.error(str(error), icon=":material/error:")
        return
    if not links:
        st.info("Write a layer, such as nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1).")
        return
    found, misfits = links.sizes(size), links.misfits(size)
    st.html(_picture(links, found, misfits))
    if found[-1] < 1:
        stopped = links[len(found) - 2]
        st.error(f"Line {stopped.line} makes {found[-1]} of {found[-2]}: torch stops there.")
    for misfit in misfits:
        _tell(links, misfit)
    if not misfits and found[-1] > 0:
        st.success(f"{size} goes through, and comes out as {found[-1]}.")
    st.markdown(f"Input sizes that go through: **{links.passes()}**.")
    if any("1d" in link.text for link in links):
        _time(links, size)


def _picture(links: Chain, found: list[int], misfits: list[Misfit]) -> str:
    """Return the sizes along the chain as bars; a skip connection that does not fit stands out."""
    off = {misfit.link.line: misfit for misfit in misfits}
    widest = max(found)
    rows = [("input", found[0], found[0], "")]
    for link, after in zip(links, found[1:]):
        kind = {"ConvTranspose": "up", "Upsample": "up", "save": "skip", "cat": "skip"}.get(
            link.kind, ""
        )
        misfit = off.get(link.line)
        here = misfit.here if misfit else after
        rows.append((link.text, here, after, "off" if misfit else kind))
    cells = "".join(
        f"<code>{escape(text)}</code><b>{here}{f' ≠ {after}' if here != after else ''}</b>"
        f'<div class="{kind}" style="width: {100 * max(here, 0) / widest:.2f}%"></div>'
        for text, here, after, kind in rows
    )
    return f'{_STYLE}<div class="chain" role="img" aria-label="Sizes: {found}">{cells}</div>'


def _tell(links: Chain, misfit: Misfit) -> None:
    """Say what does not fit, and what mends it."""
    st.error(misfit.sentence, icon=":material/link_off:")
    changes = [
        f"- line {line}: kernel_size={setting.kernel_size}, padding={setting.padding}, "
        f"output_padding={setting.output_padding}"
        for line, setting in misfit.changes[:_SHOWN]
    ]
    code = f"- or, before line {misfit.link.line}, along this axis: `{misfit.crop_or_pad}`"
    st.markdown("\n".join(["What mends it, the smallest change first:\n", *changes, code]))


def _time(links: Chain, size: int) -> None:
    """Say which inputs an output needs, and what a causal chain trims."""
    before, after = links.reach(size)
    field = count(before + after + 1, "input position")
    st.markdown(
        f"An output needs {field}: {before} before its own time and {after} after it."
        + ("" if after else " The chain is causal.")
    )
    trims = [f"line {link.line}: {trim}" for link, trim in links.trims()]
    if trims:
        st.markdown(
            "A causal chain has padding=0 and trims on the right, none on the left, behind each "
            f"transposed convolution: {', '.join(trims)}."
        )

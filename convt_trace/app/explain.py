"""The page that explains a pasted snippet: the editor, what came of the text, and every call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode
from uuid import uuid4

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from convt_trace.answers.advice import layer_warning, warnings_of
from convt_trace.answers.refused import explained
from convt_trace.answers.shapes import described, picture
from convt_trace.answers.summary import asks_for_counts, counters, rows, totals
from convt_trace.app import address, answers, shell, uncalled
from convt_trace.app.editor.mount import Load, Mark, editor
from convt_trace.app.gallery import EXAMPLES, name_of
from convt_trace.app.markdown import code, plain, printed
from convt_trace.app.read_off import chain_query
from convt_trace.app.readings import Asked, Result, readings, trouble
from convt_trace.engine.sized import Sized
from convt_trace.planning.skips import mended
from convt_trace.snippet import (
    LIMITS,
    Attempt,
    Call,
    Note,
    Run,
    SnippetError,
    Weights,
    WeightsNote,
)
from convt_trace.snippet.notebook import code_of

#: More calls than this are chosen from a list; as tabs they could not be told apart.
_MOST_TABS = 12
_NOTES_SHOWN = 6
#: Lines of printed text that are seen at once.
_LINES = 10
_LINK = "link:"


@dataclass
class State:
    """What this session's page shows; what is being typed stays in the browser.

    Attributes
    ----------
    source : str or None
        The text that is explained.
    run : Run or None
        Which of the layers that it never calls to run, and on what.
    unboxed : bool
        Whether this text runs with no lock, because the person at this computer has agreed to it.
    load : Load or None
        The text that the page last put into the editor.
    visitor : str
        Who asks: visitors take turns.
    file : UploadedFile or None
        The file of weights beside the text: what Streamlit holds, not a copy.
    """

    source: str | None = None
    run: Run | None = None
    unboxed: bool = False
    load: Load | None = None
    visitor: str = field(default_factory=lambda: uuid4().hex)
    file: UploadedFile | None = None
    _digest: tuple[str, str] = ("", "")

    @property
    def asked(self) -> Asked:
        """What is read for this page."""
        return Asked(self.source or "", self.run, self.unboxed, self._weights_key())

    def _weights_key(self) -> str:
        """Return the file's name and digest, worked out once for each upload."""
        if self.file is None:
            return ""
        if self._digest[0] != self.file.file_id:
            # `getbuffer` would make a copy that stays; the value is Streamlit's own.
            digest = hashlib.blake2b(self.file.getvalue(), digest_size=16).hexdigest()
            self._digest = self.file.file_id, f"{self.file.name} {digest}"
        return self._digest[1]

    def read(self, asked: Asked | None = None) -> Result:
        """Return what became of the text with the file beside it."""
        return readings.read(asked or self.asked, self.visitor, self._weights)

    def _weights(self) -> Weights | None:
        return None if self.file is None else Weights(self.file.name, self.file.getvalue())

    def explain(self, source: str) -> None:
        """Explain a text; what was asked about the text before is forgotten."""
        if (code := code_of(source)) is not None:
            self.load, source = Load(uuid4().hex, code), code  # the editor shows a notebook's code
        readings.try_again(source)
        if source != self.source:
            self.source, self.run, self.unboxed = source, None, False

    def put(self, name: str, prefix: str = "") -> None:
        """Put an example into the editor and explain it."""
        source = EXAMPLES[name].source
        self.load = Load(f"{_LINK}{name}" if prefix else uuid4().hex, source)
        self.explain(source)


def page() -> None:
    shell.page("Explain", sidebar=200)
    state = _state()
    st.markdown("#### Paste a snippet, see where its numbers come from")
    if reason := trouble():
        st.caption(f":material/lock_open: Texts are not run on this computer: {plain(reason)}.")
    with shell.apart():
        _gallery(state)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        place = shell.apart()
        _weights(state)
    with right:
        found = shell.apart()
        _limits()
    if state.source is not None and not readings.has(state.asked):
        # The editor is on screen while the text is read; the next run draws it with its marks.
        with place:
            _editor(state, None)
        with found, st.spinner("Reading the snippet …"):
            state.read()
        st.rerun()
    result = None if state.source is None else state.read()
    with place:
        _editor(state, result)
    if result is not None:
        with found:
            _found(state, result)
        _sizes(state.source or "", result.reading.sizes)
        _along(result)
        if result.reading.calls:
            _calls(state, result)
    address.write(urlencode(_address(state)))


def _state() -> State:
    """Return the session's state, with the example that the address asks for."""
    state: State = st.session_state.setdefault("explain", State())
    asked = (address.changed() or {}).get("example")
    if asked in EXAMPLES and asked != name_of(state.source):
        state.put(asked, _LINK)
    return state


def _address(state: State) -> dict[str, str]:
    """Return the address: the example that a link asked for, while it is shown."""
    linked = state.load is not None and state.load.id.startswith(_LINK)
    name = name_of(state.source)
    return {"example": name} if linked and name else {}


def _gallery(state: State) -> None:
    name = name_of(state.source)
    # A key per example: setting the value in every run would undo a click that comes meanwhile.
    key = f"gallery_{name}"

    def chosen() -> None:
        if st.session_state[key]:
            state.put(st.session_state[key])

    st.pills(
        "Examples",
        list(EXAMPLES),
        default=name,
        format_func=lambda name: EXAMPLES[name].title,
        key=key,
        on_change=chosen,
        label_visibility="collapsed",
    )
    if name:
        st.caption(EXAMPLES[name].note)


def _editor(state: State, result: Result | None) -> None:
    editor(
        state.source,
        state.explain,
        load=state.load,
        first=EXAMPLES["question"].source,
        marks=[] if result is None else _marks(state, result),
        limit=LIMITS.source_chars,
    )


def _marks(state: State, result: Result) -> list[Mark]:
    marks = []
    if result.error is not None and result.error.lineno:
        marks.append(Mark(result.error.lineno, "error"))
    calls = result.reading.calls
    if calls:
        marks.append(Mark(calls[_open(state, calls)].line, "call"))
    return marks


def _weights(state: State) -> None:
    """Offer to lay a file of weights beside the text; the cross beside its name takes it away."""
    icon = ":material/database_upload:"
    with st.popover("Your trained weights", icon=icon, type="tertiary"):
        state.file = st.file_uploader(
            "A state dict of the model in the text",
            ["safetensors", "pt", "pth", "bin", "ckpt"],
            key="weights",
            max_upload_size=LIMITS.weights_bytes >> 20,
            help="What `safetensors.torch.save_file` or `torch.save(model.state_dict(), …)` wrote. "
            "It is opened in the process that runs the text, and nothing of it is run.",
        )
        st.caption(
            "Where the text calls `torch.load` or the like, it gets this file. Where it does not, the "
            "first model that is called has its tensors, if all names and shapes fit."
        )
    if state.file is not None:
        st.caption(f":material/attach_file: {plain(state.file.name)} is beside the text")


def _limits() -> None:
    with st.popover("What is read", icon=":material/rule:", type="tertiary"):
        st.markdown(
            "Python and torch run the text in a process that can compute and do nothing else: it has "
            "no files, no data sets, no network, no graphics card. What asks for one of these, or for "
            "a package that is not here, gets a stand-in, and a note says so."
        )
        st.markdown(
            f"- up to {LIMITS.source_chars:,} characters\n"
            f"- {LIMITS.seconds:g} seconds of computing, {LIMITS.bytes >> 20} MB of memory\n"
            f"- the first {LIMITS.calls} convolutions, with {LIMITS.recorded_elements:,} numbers in "
            "total\n"
            f"- {LIMITS.text_chars:,} characters of printed text"
        )


# -- what came of the text ------------------------------------------------------------------------


def _found(state: State, result: Result) -> None:
    """Show what the text did: its error, its prints, what was skipped, the layers it defines."""
    reading = result.reading
    if result.error is not None and not (reading.definitions and _is_nothing(result.error)):
        _error(result.error)
        if mend := mended(result.error.message, reading.cases):
            st.markdown(mend)
        if result.error.type == "NoBox" and shell.is_at_home():
            _agree(state)
        if result.out_of_time:
            st.caption("The server may be busy: Explain tries again.")
    _weights_notes(reading.weights)
    written = [(one.line, layer_warning(one.op, one.arguments)) for one in reading.definitions]
    told = [(line, warning) for line, warning in written if warning]
    for line, warning in [*warnings_of(state.source or ""), *told]:
        st.warning(f"**Line {line}.** {plain(warning)}", icon=":material/lightbulb:")
    if reading.printed:
        st.caption("It prints")
        st.html(printed(reading.printed.rstrip("\n"), "What it prints", _LINES))
    for shown in reading.shown:
        st.caption(f"Line {shown.line} shows")
        st.html(printed(shown.text, f"What line {shown.line} shows", _LINES))
    notes = _sentences(reading.notes)
    if notes:
        more = [f"{len(notes) - _NOTES_SHOWN:,} more"] if len(notes) > _NOTES_SHOWN else []
        st.caption("\n".join(f"- {plain(note)}" for note in [*notes[:_NOTES_SHOWN], *more]))
    if state.source is not None:
        first = state.read(replace(state.asked, run=None))
        uncalled.show(first.reading.definitions, state.run, _runner(state))


def _weights_notes(notes: Sequence[WeightsNote]) -> None:
    """Say whether the numbers that are shown are those of the file: loudly where they are not."""
    if not notes:
        return
    text = "  \n".join(map(plain, _sentences(notes)))
    if any(one.loaded for one in notes):
        st.info(text, icon=":material/database:")
    else:
        st.warning(text, icon=":material/database_off:")


def _sentences(notes: Sequence[Note | WeightsNote]) -> list[str]:
    return [f"line {one.line}: {one.text}" if one.line else one.text for one in notes]


def _sizes(source: str, sizes: Sequence[Sized]) -> None:
    """Show all convolutions of a model as a table, where there are several, or they are counted."""
    counted_by_the_text = bool(sizes) and asks_for_counts(source)
    if len(sizes) < 2 and not counted_by_the_text:
        return
    many = f"{len(sizes):,} convolutions" if len(sizes) > 1 else "one convolution"
    icon = ":material/table:"
    with st.expander(f"Sizes and MACs of {many}", expanded=counted_by_the_text, icon=icon):
        counted = st.column_config.NumberColumn(format="localized")
        columns = dict.fromkeys(("MACs", "cropped", "parameters"), counted)
        st.dataframe(rows(sizes), hide_index=True, column_config=columns)
        st.caption(totals(sizes))
        st.caption(counters(sizes))


def _along(result: Result) -> None:
    """Lead to the sizes along the model, where several of its layers change one."""
    found = result.along
    if found is not None and found.text.count("\n"):
        st.page_link(
            "pages/3_Sizes.py", label="Sizes along the model, and what mends a skip connection",
            icon=":material/straighten:", query_params=chain_query(found),
        )  # fmt: skip


def _runner(state: State) -> uncalled.Runner:
    def run(asked: Run) -> None:
        state.run = asked

    return run


def _agree(state: State) -> None:
    """Offer to run the text with no lock: never by a link, only by this click."""

    def agreed() -> None:
        state.unboxed = True

    st.markdown(
        "This runs the text on your computer, as `python` would. Only do it with one you trust."
    )
    st.button("Run it on this computer", icon=":material/play_arrow:", on_click=agreed)


def _is_nothing(error: SnippetError) -> bool:
    return error.type == "NothingToExplain"


def _error(error: SnippetError) -> None:
    """Show torch's message, then what it means and the smallest change that makes it run."""
    where = f"**Line {error.lineno}.** " if error.lineno else ""
    if error.type in ("Refused", "NothingToExplain", "NoBox"):
        lead = "Not read: " if error.type == "Refused" else ""
        text = f"{where}{lead}{plain(error.message)}."
        st.warning(f"{text} {plain(error.hint)}".strip(), icon=":material/block:")
        return
    st.error(f"{where}{code(f'{error.type}: {error.message}')}", icon=":material/error:")
    told = explained(error)
    if told is None:
        st.markdown(plain(error.hint))
        return
    if error.attempt is not None and error.attempt.weight_shape is not None:
        _picture(error.attempt, told.what)
    st.markdown(plain(f"{told.plain} {told.fix}"))
    if told.code:
        st.code(told.code, language="python", wrap_lines=True)


def _picture(tried: Attempt, offending: str) -> None:
    """Draw the shapes of a call that torch refused."""
    shapes = {"x": tried.input_shape, "weight": tried.weight_shape, "bias": tried.bias_shape}
    st.image(
        picture(shapes, tried.parameters, offending, tried.op), alt=described(shapes, offending)
    )


# -- its calls ------------------------------------------------------------------------------------


def _tag(state: State) -> str:
    """Return a short name for what is read: another text, run or file has widgets of its own."""
    return hashlib.blake2b(repr(state.asked).encode(), digest_size=5).hexdigest()


def _labels(calls: Sequence[Call]) -> list[str]:
    """Return a label for every call; equal ones are numbered."""
    labels = [
        f"line {call.line}: {call.op}{f', {call.module}' if call.module else ''}" for call in calls
    ]
    return [
        f"{label} ({labels[: place + 1].count(label)})" if labels.count(label) > 1 else label
        for place, label in enumerate(labels)
    ]


def _open(state: State, calls: Sequence[Call]) -> int:
    """Return the call that is shown: the one with the open tab, else the first transposed one."""
    labels = _labels(calls)
    chosen = st.session_state.get(f"calls_{_tag(state)}")
    return labels.index(chosen) if chosen in labels else _first(calls)


def _first(calls: Sequence[Call]) -> int:
    return next((place for place, call in enumerate(calls) if call.transposed), 0)


def _calls(state: State, result: Result) -> None:
    calls, tag = result.reading.calls, _tag(state)
    labels, key = _labels(calls), f"calls_{_tag(state)}"
    if len(calls) == 1:
        answers.show(calls[0], f"{tag}_0")
    elif len(calls) <= _MOST_TABS:
        tabs = st.tabs(labels, default=labels[_first(calls)], key=key, on_change="rerun")
        for place, tab in enumerate(tabs):
            if tab.open:
                with tab:
                    answers.show(calls[place], f"{tag}_{place}")
    else:
        chosen = st.selectbox(f"{len(calls):,} calls", labels, _first(calls), key=key)
        answers.show(calls[labels.index(chosen)], f"{tag}_{labels.index(chosen)}")

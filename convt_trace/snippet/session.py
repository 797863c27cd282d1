"""One reading from text to events, in this process."""

from __future__ import annotations

import ast
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from convt_trace.snippet.clean import on_large_stack, parse
from convt_trace.snippet.definitions import definitions, run_by_itself, run_definition
from convt_trace.snippet.errors import Refused, SnippetError
from convt_trace.snippet.interpreter import Reader
from convt_trace.snippet.limits import Budget, Limits
from convt_trace.snippet.pyrandom import SAMPLE_SEED
from convt_trace.snippet.reading import Definition, Run
from convt_trace.snippet.recording import Event, Recorder

#: Python frames that the deepest text may use: nesting times calls, a few frames each.
_FRAMES = 60_000
#: Texts that took more are not read a second time (counted, not timed: the answer stays the same).
_AGAIN_STEPS, _AGAIN_MACS, _AGAIN_ELEMENTS = 200_000, 10**9, 2**24
_ONE_AT_A_TIME = threading.Lock()

Send = Callable[[Event], None]


def read(source: str, limits: Limits, run: Run | None, send: Send) -> None:
    """Read a text and send what it holds; never raises."""
    done = []

    def work() -> None:
        _read(source, limits, run, send)
        done.append(True)

    with _ONE_AT_A_TIME, _put_back():
        on_large_stack(work)
    if not done:  # not even the error could be written down
        kind, what = "Refused", "more memory than the reader has"
        send(("error", (kind, what, None, (), "Use smaller tensors.")))


@contextmanager
def _put_back() -> Iterator[None]:
    """Put back the state that torch and numpy share between readings."""
    frames = sys.getrecursionlimit()
    seed, dtype = torch.get_rng_state(), torch.get_default_dtype()
    options: dict[str, Any] = dict(np.get_printoptions())
    enabled = torch.is_grad_enabled()
    sys.setrecursionlimit(max(frames, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(frames)
        torch.set_rng_state(seed)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(enabled)
        torch.set_printoptions(profile="default", sci_mode=None)
        np.set_printoptions(**{k: v for k, v in options.items() if k != "legacy"})


def _read(source: str, limits: Limits, run: Run | None, send: Send) -> None:
    try:
        tree, notes = parse(source, limits)
    except SnippetError as error:
        send(("error", (error.type, error.message, error.lineno, (), error.hint)))
        return
    for note in notes:
        send(("note", note.line, note.text))
    first = _attempt(source, tree, limits, run, send, SAMPLE_SEED)
    if first.random.unseeded:
        _mark_random(first, source, tree, limits, run, send)


def _attempt(
    source: str,
    tree: ast.Module,
    limits: Limits,
    run: Run | None,
    send: Send,
    seed: int,
    started: float | None = None,
) -> Reader:
    budget = Budget(limits)
    budget.started = started or budget.started
    recorder = Recorder(budget, send)
    reader = Reader(source.splitlines(), budget, recorder)
    torch.manual_seed(seed)
    reader.random.python.seed(seed)
    reader.random.numpy.seed(seed)
    torch.set_default_dtype(torch.float32)
    torch.set_printoptions(profile="default", sci_mode=None)
    left: tuple[Definition, ...] | None = None
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            reader.run(tree)
            left = definitions(reader, tree, source)
            _definitions(reader, tree, source, run, left)
        except BaseException as error:
            error.__traceback__ = None  # it holds everything that the text made
            reader.top.names.clear()
            told = explained(error, reader)
            send(("error", told))
            # Where the text itself was read to its end, a run of our own failed: with another
            # input, what nothing calls may still run.
            ended = definitions(reader, tree, source, told[3]) if left is None else left
            send(("definitions", ended))
    return reader


def _definitions(
    reader: Reader,
    tree: ast.Module,
    source: str,
    run: Run | None,
    found: tuple[Definition, ...],
) -> None:
    """Run what was asked for, or what can run by itself; say what is left."""
    if run is not None:
        run_definition(reader, found, run)
    elif found and not reader.recorder.budget.calls:
        run_by_itself(reader, found)
    found = definitions(reader, tree, source)
    reader.recorder.send(("definitions", found))
    if not found and not reader.recorder.budget.calls:
        raise _Nothing("no convolution ran, and no transposed one is defined")


class _Nothing(Exception):
    """The text has nothing to explain."""


def _mark_random(
    first: Reader, source: str, tree: ast.Module, limits: Limits, run: Run | None, send: Send
) -> None:
    """Read again with another seed and mark the calls whose numbers change.

    Where the first reading took long, every call is marked instead.
    """
    outputs = first.recorder.fingerprints()
    changed = list(range(len(outputs)))
    used = first.budget
    small = (
        used.steps < _AGAIN_STEPS and used.macs < _AGAIN_MACS and used.elements < _AGAIN_ELEMENTS
    )
    if small and first.failed is None:
        again = _attempt(
            source, tree, limits, run, lambda event: None, SAMPLE_SEED + 1, used.started
        )
        others = again.recorder.fingerprints()
        if len(others) == len(outputs):
            changed = [place for place, one in enumerate(outputs) if one != others[place]]
    send(("random", changed))
    if changed or not outputs:
        send(
            (
                "note",
                0,
                "random numbers without torch.manual_seed differ at each run: what is shown is one "
                f"sample, the one after torch.manual_seed({SAMPLE_SEED})",
            )
        )


def explained(error: BaseException, reader: Reader) -> tuple[str, str, int | None, Any, str]:
    """Return type, message, line, stack and hint of what ended a reading."""
    stack = reader.failed[1] if reader.failed and reader.failed[0] is error else reader.where
    line = stack[-1] if stack else None
    if isinstance(error, _Nothing):
        hint = "Paste the lines that make the layer and call it."
        return "NothingToExplain", str(error), None, (), hint
    if isinstance(error, SnippetError):
        return error.type, error.message, line, stack, error.hint
    if isinstance(error, Refused):
        return "Refused", error.what, error.line or line, stack, error.hint
    if isinstance(error, (MemoryError, RecursionError)):
        kind = "memory" if isinstance(error, MemoryError) else "nesting"
        return "Refused", f"more {kind} than the reader has", line, stack, "Use smaller tensors."
    return _as_raised(error, line, stack)


def _as_raised(
    error: BaseException, line: int | None, stack: tuple[int, ...]
) -> tuple[str, str, int | None, tuple[int, ...], str]:
    from convt_trace.snippet.values import TextError

    name = error.cls.name if isinstance(error, TextError) else type(error).__name__
    try:
        message = str(error)
    except Exception:
        message = name
    if "can't allocate memory" in message or "not enough memory" in message:
        return "Refused", "more memory than the reader has", line, stack, "Use smaller tensors."
    return name, message.strip().split("\n")[0][:2000], line, stack, _hint(name)


def _hint(name: str) -> str:
    return "Paste the line that defines it." if name == "NameError" else ""

"""Puts a reading together from messages, and believes none of them.

The messages come from a process in which a stranger's text runs. Every field is checked, and a call
counts only where torch, asked again here with the tensors it names, gives the output it names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convt_trace.engine.made import MOST_MADE, Made
from convt_trace.engine.reference import is_output
from convt_trace.engine.sized import Sized
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.reading import (
    Argument,
    Attempt,
    Call,
    Definition,
    Note,
    Reading,
    Run,
    Shown,
    WeightsNote,
)
from convt_trace.snippet.wire import Garbled, Message

_OPS = tuple(f"{name}{dims}d" for name in ("conv", "conv_transpose") for dims in (1, 2, 3))
_MOST_WRITTEN, _MOST_NOTES, _MOST_STACK, _MOST_CHARS = 5000, 300, 2000, 4000

_NUMBERS = ("groups", "line", "built", "shared")

Ints = tuple[int, ...]


class Builder:
    """Takes messages, and tells what has arrived so far.

    Parameters
    ----------
    lines : list of str
        The text's.
    limits : Limits
    file : str
        The name of the file of weights beside the text.
    """

    def __init__(self, lines: list[str], limits: Limits, file: str = ""):
        self._lines, self._limits, self._file = lines, limits, file
        self._weights: dict[WeightsNote, None] = {}
        self._arrays: list[np.ndarray] = []
        self._calls: list[dict[str, Any]] = []
        self._outputs: list[int] = []
        self._ran: set[int] = set()
        self._left: list[int] | None = None
        self._printed: list[str] = []
        self._chars = 0
        self._shown: list[Shown] = []
        self._notes: dict[Note, None] = {}
        self.sizes: list[Sized] = []
        self.made: list[Made] = []
        self._written: tuple[Definition, ...] = ()
        self.random_calls: set[int] = set()
        self.drew = False
        self.error: tuple[str, str, Ints, str] | None = None
        self.attempt: Attempt | None = None
        self.pasted = False
        self._takes: dict[str, Callable[[Any], None]] = {
            "array": self._array, "call": self._call, "print": self._print, "show": self._show,
            "note": self._note, "written": self._definitions, "left": self._leave,
            "random": self._random, "size": self._size, "made": self._follow, "error": self._error,
            "weights": self._weigh,
        }  # fmt: skip

    def add(self, message: Message) -> None:
        """Take one message.

        Raises
        ------
        Garbled
            Where it is not as documented; what came before it stands.
        """
        kind, content = message
        if kind not in self._takes:
            raise Garbled("a message of no known kind")
        self._takes[kind](content)

    # -- one method a kind --------------------------------------------------------------------------

    def _array(self, array: np.ndarray) -> None:
        if len(self._arrays) > 4 * self._limits.calls:
            raise Garbled("too many arrays")
        self._arrays.append(array)

    def _call(self, given: Any) -> None:
        _need(
            isinstance(given, dict)
            and given.get("op") in _OPS
            and len(self._calls) < self._limits.calls
        )
        tensors = {
            name: self._tensor(given.get(name)) for name in ("x", "weight", "bias", "output")
        }
        x, weight, bias, output = tensors.values()
        dims = int(given["op"][-2])
        _need(x is not None and weight is not None and output is not None)
        assert x is not None and weight is not None and output is not None
        _need(weight.ndim == dims + 2 and x.ndim in (dims + 1, dims + 2) and output.ndim == x.ndim)
        _need(bias is None or bias.ndim == 1)
        sizes = {
            name: _ints(given.get(name), dims, most=2**31)
            for name in ("stride", "padding", "output_padding", "dilation")
        }
        stack = _ints(given.get("stack"), most=2**31)
        call = {
            "op": given["op"], "line": stack[-1] if stack else 0, "stack": stack,
            "origin": _text(given.get("origin")), "module": _text(given.get("module", "")),
            "kind": _text(given.get("kind", "")), "mode": _text(given.get("mode", "")),
            "built": _ints([given.get("built", 0)])[0],
            "groups": _ints([given.get("groups")], 1)[0],
            **tensors, **sizes,
        }  # fmt: skip
        self._ran |= set(_ints(given.get("ran")))
        self._calls.append(call)
        self._outputs.append(given["output"])

    def _size(self, given: Any) -> None:
        _need(isinstance(given, dict) and given.get("op") in _OPS and len(self.sizes) < 5000)
        dims = int(given["op"][-2])
        names = ("stride", "padding", "output_padding", "dilation")
        x, weight = (_ints(given.get(name), most=2**31) for name in ("x", "weight"))
        told: dict[str, Any] = {name: _ints(given.get(name), dims, most=2**31) for name in names}
        told |= {name: _ints([given.get(name)], most=2**31)[0] for name in _NUMBERS}
        told |= {name: _text(given.get(name)) for name in ("module", "kind")}
        sized = Sized(given["op"], x, weight, given.get("bias") is True, **told)
        if sized.fits and max(sized.weight) <= 2**16 * 64:
            self.sizes.append(sized)

    def _follow(self, given: Any) -> None:
        _need(isinstance(given, dict) and len(self.made) < MOST_MADE)
        of, size = _ints(given.get("of"), most=len(self.made)), _ints(given.get("size"))
        text, module, after = (_text(given.get(name)) for name in ("text", "module", "after"))
        _need(len(size) <= 3 and "\n" not in text + module)
        # A layer has one input; what has none is an input itself, and has a size.
        _need(len(of) == 1 if text else len(of) != 1 and bool(of or size))
        made = Made(text[:400], of, size, module[:400], given.get("fixed") is True, after[:60])
        self.made.append(made)

    def _tensor(self, number: Any) -> np.ndarray | None:
        if number is None:
            return None
        _need(type(number) is int and 0 <= number < len(self._arrays))
        return self._arrays[number]

    def _print(self, text: Any) -> None:
        self._printed.append(self._counted(text))

    def _show(self, content: Any) -> None:
        line, text = _pair(content)
        self._shown.append(Shown(_ints([line])[0], self._counted(text)))

    def _counted(self, text: Any) -> str:
        _need(isinstance(text, str))
        self._chars += len(text)
        _need(self._chars <= self._limits.text_chars and len(self._shown) < 10_000)
        return text

    def _note(self, content: Any) -> None:
        line, text = _pair(content)
        note = Note(_ints([line])[0], _text(text))
        if len(self._notes) < _MOST_NOTES:
            self._notes[note] = None

    def _weigh(self, content: Any) -> None:
        _need(isinstance(content, list) and len(content) == 3)
        line, text, loaded = content
        note = WeightsNote(_ints([line])[0], _text(text), loaded is True)
        if len(self._weights) < _MOST_NOTES:
            self._weights[note] = None

    def _definitions(self, content: Any) -> None:
        _need(isinstance(content, list) and len(content) <= _MOST_WRITTEN)
        self._written = tuple(map(_definition, content))

    def _leave(self, content: Any) -> None:
        self._left = list(_ints(content))

    def _random(self, content: Any) -> None:
        self.drew = content is True

    def _error(self, content: Any) -> None:
        _need(isinstance(content, dict))
        stack = _ints(content.get("stack"), most=2**31)
        kind, message, hint = (_text(content.get(name)) for name in ("type", "message", "hint"))
        self.error = kind, message, stack, hint
        self.pasted = content.get("pasted") is True
        if content.get("attempt") is not None:
            with contextlib.suppress(Garbled):  # the error stands without it
                self.attempt = _attempt(content["attempt"], stack)

    # -- what has arrived ---------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether the process has told how it ended."""
        return self._left is not None or self.error is not None

    @property
    def outputs(self) -> list[bytes]:
        """Every call's output, to tell which calls another seed changes."""
        return [self._arrays[number].tobytes() for number in self._outputs]

    @property
    def misfit(self) -> bool:
        """Whether the text ended at a join of tensors that do not fit together."""
        return (
            self.error is not None
            and bool(self.made)
            and not (self.made[-1].size or self.made[-1].text)
        )

    @property
    def out_of_memory(self) -> bool:
        """Whether the text ended because it asked for more memory than there is."""
        return self.error is not None and "the reader has" in self.error[1]

    @property
    def said_something(self) -> bool:
        """Whether anything was printed or shown."""
        return bool(self._printed or self._shown)

    def ended(self, what: str, hint: str) -> None:
        """Say why nothing more came, unless the process has said so itself."""
        if self.error is None:
            stack = self._calls[-1]["stack"] if self._calls else ()
            self.error = "Refused", what, stack, hint

    def not_run(self, reason: str) -> None:
        """Say that the text was not run here; what it writes down is known all the same."""
        self._written = tuple(replace(one, uncalled=False) for one in self._written)
        if self.error is None:
            hint = "What the text writes down is listed. In a Linux container it is run."
            self.error = "NoBox", f"texts are not run on this computer: {reason}", (), hint

    def note(self, line: int, text: str) -> None:
        """Add a note of the reader's own."""
        self._notes[Note(line, text)] = None

    def reading(self) -> Reading:
        """Return what has arrived so far; calls whose numbers torch confirms."""
        made = [self._made(one, at in self.random_calls) for at, one in enumerate(self._calls)]
        calls = [
            one
            for one in made
            if is_output(one.op, one.x, one.weight, one.bias, one.output, one.parameters)
        ]
        if len(calls) < len(made):
            count = len(made) - len(calls)
            what = "one call" if count == 1 else f"{count} calls"
            self.note(0, f"{what} with other numbers than torch's: not shown")
        if self._left is None:
            left = [at for at in range(len(self._written)) if at not in self._ran]
        else:
            left = [at for at in self._left if at < len(self._written)]
        return Reading(
            calls=tuple(calls),
            printed="".join(self._printed),
            shown=tuple(self._shown),
            notes=tuple(self._notes),
            definitions=tuple(self._written[at] for at in left),
            sizes=tuple(self.sizes),
            made=tuple(self.made),
            weights=self._what_became_of_the_file(),
        )

    def _what_became_of_the_file(self) -> tuple[WeightsNote, ...]:
        """Return the notes about the file of weights; also where the text ended without a word."""
        if not self._file or (self.error is not None and self.error[1].startswith(self._file)):
            return ()  # the error itself is about the file
        if self._weights:
            return tuple(self._weights)
        text = f"{self._file}: nothing was loaded from it"
        return (WeightsNote(0, text, loaded=False),)

    def _made(self, fields: dict[str, Any], random: bool) -> Call:
        line = fields["line"]
        source = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
        return Call(**fields, source=source, random=random)


def _need(holds: bool) -> None:
    if not holds:
        raise Garbled("a field that is not as documented")


def _ints(value: Any, count: int | None = None, most: int = 2**63) -> Ints:
    _need(isinstance(value, list) and len(value) <= _MOST_WRITTEN)
    _need(count is None or len(value) == count)
    _need(all(type(one) is int and 0 <= one < most for one in value))
    return tuple(value)


def _pair(value: Any) -> tuple[Any, Any]:
    _need(isinstance(value, list) and len(value) == 2)
    return value[0], value[1]


def _text(value: Any) -> str:
    _need(isinstance(value, str))
    return value[:_MOST_CHARS]


def _definition(given: Any) -> Definition:
    _need(isinstance(given, dict) and given.get("op") in _OPS)
    owner, owner_line = given.get("owner"), given.get("owner_line")
    return Definition(
        line=_ints([given.get("line")])[0],
        text=_text(given.get("text")),
        op=given["op"],
        owner=None if owner is None else _text(owner),
        owner_line=None if owner_line is None else _ints([owner_line])[0],
        init_arguments=_arguments(given.get("init_arguments")),
        forward_arguments=_arguments(given.get("forward_arguments")),
        arguments=_plain(given.get("arguments")),
        unknown=_names(given.get("unknown")),
        trial=_trial(given.get("trial")),
    )


def _names(given: Any) -> tuple[str, ...]:
    _need(isinstance(given, list) and len(given) <= 30)
    return tuple(map(_text, given))


def _trial(given: Any) -> Run:
    _need(isinstance(given, dict) and isinstance(given.get("input_shapes"), list))
    target, init = given.get("target"), given.get("init_args")
    return Run(
        _text(target) if isinstance(target, str) else _ints([target], 1)[0],
        tuple(_ints(shape, most=2**31) for shape in given["input_shapes"][:20]),
        None if init is None else _text(init),
    )


def _arguments(given: Any) -> tuple[Argument, ...]:
    _need(isinstance(given, list) and len(given) <= 300)
    pairs = map(_pair, given)
    return tuple(Argument(_text(a), None if b is None else _text(b)) for a, b in pairs)


def _attempt(given: Any, stack: Ints) -> Attempt:
    _need(isinstance(given, dict) and given.get("op") in _OPS)
    shapes = {f"{name}_shape": given.get(f"{name}_shape") for name in ("input", "weight", "bias")}
    dtypes, layer = given.get("dtypes"), given.get("layer")
    _need(isinstance(dtypes, dict) and len(dtypes) <= 3)
    return Attempt(
        given["op"],
        stack,
        **{name: None if one is None else _ints(one) for name, one in shapes.items()},
        parameters=_plain(given.get("parameters")),
        dtypes={_text(name): _text(held) for name, held in dtypes.items()},
        layer=None if layer is None else _plain(layer),
    )


def _plain(given: Any) -> dict[str, Any]:
    _need(isinstance(given, dict) and len(given) <= 30)
    return {_text(name): _value(value) for name, value in given.items()}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        _need(len(value) <= 8 and not any(isinstance(one, (list, dict)) for one in value))
        return tuple(map(_value, value))
    _need(value is None or type(value) in (int, float, bool, str))
    _need(not isinstance(value, str) or len(value) <= 80)
    return value

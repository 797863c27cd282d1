"""Calls of a text that give ``groups`` or ``dilation`` by position, where their order misleads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from convt_trace.answers.advice import positional_warning

_NAME = re.compile(r"conv_transpose[123]d|ConvTranspose[123]d")
#: A call that goes on over more lines than this, or is longer, is not looked at.
_MOST_LINES, _MOST_CHARS, _MOST_CALLS = 12, 2000, 8


class _Written:
    """An argument as it is written."""

    def __init__(self, node: ast.expr):
        self._text = " ".join(ast.unparse(node).split())[:40]

    def __repr__(self) -> str:
        return self._text


def warnings_of(source: str) -> list[tuple[int, str]]:
    """Return the lines that hold such a call, each with what the call means.

    Only the calls themselves are parsed, a few short lines at a time: the text is a stranger's.

    Examples
    --------
    >>> found = warnings_of("y = F.conv_transpose1d(x, w, None, 1, 0, 0, 2, 1)")
    >>> found[0][0], found[0][1].partition(":")[0]
    (1, 'By position this call means groups=2, dilation=1')
    >>> warnings_of("y = F.conv_transpose1d(x, w, None, 2, groups=2)")
    []
    """
    found: list[tuple[int, str]] = []
    lines = source.splitlines()
    for number, line in enumerate(lines, start=1):
        for match in _NAME.finditer(line):
            arguments = _arguments(lines[number - 1 : number - 1 + _MOST_LINES], match.start())
            warning = positional_warning(match[0], [_Written(one) for one in arguments])
            if warning and (number, warning) not in found:
                found.append((number, warning))
        if len(found) >= _MOST_CALLS:
            break
    return found


def _arguments(lines: list[str], start: int) -> list[ast.expr]:
    """Return the positional arguments of the call that begins there, none where it is not one."""
    for text in _growing(lines, start):
        try:
            node = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        if isinstance(node, ast.Call) and not any(isinstance(a, ast.Starred) for a in node.args):
            return node.args
        return []
    return []


def _growing(lines: list[str], start: int) -> Iterator[str]:
    """Yield the text from its name to each closing bracket, the nearest first."""
    text = "\n".join([lines[0][start:], *lines[1:]])[:_MOST_CHARS]
    for match in list(re.finditer(r"\)", text))[:20]:
        yield text[: match.end()]

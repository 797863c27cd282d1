"""Numbers that a person brings along: pasted tensor text, a ``.csv`` or a ``.npy`` file.

Nothing is evaluated: the text is read bracket by bracket and number by number, and every size is
checked before it is allocated.
"""

from __future__ import annotations

import io
import re
from math import prod

import numpy as np

#: The largest text and file that are read, in bytes, and the most numbers.
MOST_TEXT = 2**22
MOST_FILE = 2**25
MOST_NUMBERS = 2**20
#: The deepest nesting of brackets.
MOST_AXES = 6

_NUMBER = r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf(?:inity)?|nan)"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{_NUMBER})(?![\w.])|(?P<mark>[\[\](),;]))", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:Parameter containing:)?\s*(?:\w+\s*=\s*)?(?:[\w.]+\s*\(\s*)?(?:(?:data|object)\s*=\s*)?",
)
_AFTER = re.compile(
    r"(?:\s*,\s*(?:\w+\s*=\s*(?:<[^<>]*>|'[^']*'|\"[^\"]*\"|\([\d, ]*\)|[\w.]+)))*\s*,?\s*\)?[\s;]*",
)


class PastedError(ValueError):
    """Numbers that can't be read, in one sentence for the person who brought them."""


def read_result(source: str | bytes, filename: str | None = None) -> np.ndarray:
    r"""Return the numbers in pasted text or in a file's bytes, as float64 or the file's own dtype.

    Parameters
    ----------
    source : str or bytes
        The text of a printed tensor or array, a nested list, rows of numbers, or a file's content.
    filename : str, optional
        Its ending tells ``.npy`` and ``.csv`` from text.

    Raises
    ------
    PastedError
        One sentence on what can't be read and what to bring instead.

    Examples
    --------
    >>> read_result("tensor([[8.], [10.]], grad_fn=<SqueezeBackward1>)").tolist()
    [[8.0], [10.0]]
    >>> read_result("[[1. 2.]\n [3. 4.]]").shape
    (2, 2)
    >>> read_result("1,2\n3,4").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    name = (filename or "").lower()
    if name.endswith((".pt", ".pth", ".pkl", ".npz")):
        ending = name.rpartition(".")[2]
        raise PastedError(
            f"A .{ending} file can hold programs; save the one array with np.save as .npy."
        )
    if isinstance(source, bytes):
        if name.endswith(".npy") or source.startswith(b"\x93NUMPY"):
            return _read_npy(source)
        if len(source) > MOST_TEXT:
            raise PastedError(_too_long(len(source)))
        try:
            source = source.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise PastedError("This file is neither .npy nor text in UTF-8.") from None
    if len(source) > MOST_TEXT:
        raise PastedError(_too_long(len(source)))
    return _read_table(source) if "[" not in source else _read_nested(source)


def _too_long(size: int) -> str:
    return (
        f"This text has {size:,} characters, and at most {MOST_TEXT:,} are read: use a .npy file."
    )


def _read_npy(data: bytes) -> np.ndarray:
    if len(data) > MOST_FILE:
        raise PastedError(f"This file has {len(data):,} bytes, and at most {MOST_FILE:,} are read.")
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran, dtype = headers[version](file)
    except Exception:  # a header from a stranger may fail in any way
        raise PastedError("This is not a .npy file that np.save wrote.") from None
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise PastedError(f"This file holds {dtype}, not plain numbers: save it as float32.")
    if any(size < 0 for size in shape) or len(shape) > MOST_AXES:
        raise PastedError(f"This file says shape {shape}, which is no tensor's here.")
    content = data[file.tell() :]
    if prod(shape) > MOST_NUMBERS:
        raise PastedError(_too_many(prod(shape)))
    if prod(shape) * dtype.itemsize != len(content):
        raise PastedError(
            f"This file says shape {shape} and holds {len(content) // dtype.itemsize:,} numbers."
        )
    array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="))


def _too_many(count: int) -> str:
    return f"These are {count:,} numbers, and at most {MOST_NUMBERS:,} are compared."


def _refuse_ellipsis(text: str) -> None:
    if "..." in text or "…" in text:
        raise PastedError(
            "The text is shortened with an ellipsis (...): print it in full with "
            "torch.set_printoptions(profile='full'), or np.set_printoptions(threshold=sys.maxsize)."
        )


def _read_table(text: str) -> np.ndarray:
    """Return rows of numbers, apart by commas, semicolons, tabs or blanks; a heading is passed over."""
    _refuse_ellipsis(text)
    inner = re.fullmatch(r"\s*[A-Za-z_.]+\s*\(\s*([^()]*?)(?:,\s*\w+\s*=.*)?\)\s*", text)
    rows = [
        [word for word in re.split(r"[\s,;]+", row) if word]
        for row in (inner[1] if inner else text).splitlines()
    ]
    rows = [row for row in rows if row]
    if len(rows) > 1 and not any(re.fullmatch(_NUMBER, word, re.IGNORECASE) for word in rows[0]):
        rows = rows[1:]
    if not rows:
        raise PastedError(
            "There are no numbers yet: paste a printed tensor, or a list such as [1, 2]."
        )
    count = sum(map(len, rows))
    if count > MOST_NUMBERS:
        raise PastedError(_too_many(count))
    wrong = next(
        (word for row in rows for word in row if not re.fullmatch(_NUMBER, word, re.IGNORECASE)),
        None,
    )
    if wrong is not None:
        raise PastedError(f"{wrong[:20]!r} is not a number.")
    if len({len(row) for row in rows}) > 1:
        raise PastedError("The rows have different lengths: every row needs as many numbers.")
    values = np.array([[float(word) for word in row] for row in rows])
    return (
        values.reshape(())
        if inner and values.size == 1
        else values[0]
        if len(rows) == 1
        else values
    )


def _read_nested(text: str) -> np.ndarray:
    """Return nested brackets of numbers, with what torch and numpy print around them."""
    start = text.index("[")
    if not _BEFORE.fullmatch(text[:start].strip()):
        raise PastedError(
            f"{text[:start].strip()[:30]!r} stands before the numbers: paste one tensor alone."
        )
    values: list[float] = []
    lengths: dict[int, int] = {}
    counts: list[int] = []
    place, leaf = start, None
    while True:
        token = _TOKEN.match(text, place)
        if token is None:
            _refuse_ellipsis(text[place : place + 8])
            word = text[place:].split(maxsplit=1)
            what = (
                f"{word[0][:20]!r} stands where a number should"
                if word
                else "a bracket is not closed"
            )
            raise PastedError(f"This can't be read: {what}.")
        place = token.end()
        mark = token["mark"]
        if mark in ("[", "("):
            if counts:
                counts[-1] += 1
            counts.append(0)
            if len(counts) > MOST_AXES:
                raise PastedError(f"The brackets are nested more than {MOST_AXES} deep.")
            if leaf is not None and len(counts) > leaf:
                raise PastedError(
                    "The list is not regular: a number and a list stand side by side."
                )
        elif mark in ("]", ")"):
            if lengths.setdefault(len(counts), counts[-1]) != counts[-1]:
                raise PastedError("The list is not regular: every row needs as many numbers.")
            counts.pop()
            if not counts:
                break
        elif mark is None:
            leaf = len(counts) if leaf is None else leaf
            if leaf != len(counts):
                raise PastedError(
                    "The list is not regular: a number and a list stand side by side."
                )
            counts[-1] += 1
            values.append(float(token["number"]))
            if len(values) > MOST_NUMBERS:
                raise PastedError(_too_many(len(values)))
    if not _AFTER.fullmatch(text, place):
        rest = text[place:].strip()[:30]
        _refuse_ellipsis(rest)
        raise PastedError(f"{rest!r} stands after the numbers: paste one tensor alone.")
    if not values:
        raise PastedError("The list is empty: paste at least one number.")
    shape = tuple(lengths[depth] for depth in range(1, len(lengths) + 1))
    if prod(shape) != len(values):
        raise PastedError("The list is not regular: every row needs as many numbers.")
    return np.array(values).reshape(shape)

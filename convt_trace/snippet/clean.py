"""From pasted text to a syntax tree, line numbers kept.

Text that parses is never touched: a line that starts with ``%`` may be the rest of a ``print(``.
What does not parse is cleaned step by step, each step only where its traces are, until it does.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.printed import printed_model, printed_table

#: Outputs cleaned line by line; each costs a parse.
_MOST_REPAIRS = 60

Lines = list[str]
#: A line (0: the whole text), and what was done there.
Noted = tuple[int, str]


def parse(source: str, limits: Limits) -> tuple[ast.Module, str, list[Noted]]:
    r"""Return the syntax tree of a pasted text, the text as it was parsed, and what was cleaned.

    Raises
    ------
    SnippetError
        "SyntaxError", or "Refused" when it is too long or too deeply nested.

    Examples
    --------
    >>> from convt_trace.snippet.limits import LIMITS
    >>> tree, text, notes = parse(">>> 1 + 1\n2\n>>> 2 + 2", LIMITS)
    >>> [statement.lineno for statement in tree.body]
    [1, 3]
    """
    if len(source) > limits.source_chars:
        raise SnippetError(
            "Refused",
            f"a text of {len(source):,} characters (the limit is {limits.source_chars:,})",
            hint="Paste the part that makes and calls the layer.",
        )
    try:
        source.encode()
    except UnicodeEncodeError:
        raise SnippetError(
            "SyntaxError", "half a character (a lone surrogate) in the text"
        ) from None
    lines = lines_of(source.removeprefix("\ufeff").replace("\x00", " "))
    tree = _parsed(lines)
    if isinstance(tree, ast.Module):
        return tree, "\n".join(lines), []
    return _cleaned(lines, tree)


def lines_of(source: str) -> Lines:
    """Return a text's lines, however they end."""
    return re.split(r"\r\n|\r|\n", source)


def _parsed(lines: Lines) -> ast.Module | SyntaxError:
    """Parse; what is nested too deeply for Python's parser or compiler is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse("\n".join(lines))
    except SyntaxError as error:
        return error
    except (MemoryError, RecursionError):
        raise SnippetError(
            "Refused",
            "a text nested too deeply for Python",
            hint="Give intermediate results names, one line each.",
        ) from None
    except ValueError as error:
        return SyntaxError(str(error)[:200])


# -- cleaning -------------------------------------------------------------------------------------


def _cleaned(lines: Lines, first: SyntaxError) -> tuple[ast.Module, str, list[Noted]]:
    notes: list[Noted] = []
    steps = (
        (_signs, "typographic quotes, dashes and spaces"),
        (_fences, "Markdown fences and the text around them"),
        (_numbers, "line numbers"),
        (printed_model, "a printed model: its layers are made from what is printed"),
        (
            printed_table,
            "a table of layers: their arguments are worked out from sizes and parameters",
        ),
        (_prompts, "prompts, and the outputs between them"),
        (_magics, "notebook magics"),
        (_indented_code, "the text around indented code"),
        (_dedented, "indentation of the whole text"),
        (_python2, "Python 2 print statements"),
        (_dedented, "indentation of the whole text"),
    )
    for step, what in steps:
        cleaned = step(lines)
        if cleaned == lines:
            continue
        notes.append((0, f"cleaned before reading: {what}"))
        lines = cleaned
        tree = _parsed(lines)
        if isinstance(tree, ast.Module):
            return tree, "\n".join(lines), notes
    return _without_outputs(lines, first, notes)


_SIGNS = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
        "\u00a0": " ", "\u2007": " ", "\u202f": " ", "\u3000": " ", "\u2003": " ", "\u2002": " ",
        "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\u00ad": "",
        "\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u2026": "...",
        "\uff08": "(", "\uff09": ")", "\uff0c": ",", "\uff1a": ":", "\uff1d": "=",
        "\u3010": "[", "\u3011": "]", "\uff1b": ";",
    }
)  # fmt: skip


def _signs(lines: Lines) -> Lines:
    """Replace typographic quotes, dashes and spaces."""
    return [line.translate(_SIGNS) for line in lines]


_FENCE = re.compile(r"^\s*(?:>\s?)*\s*(`{3,}|~{3,})\s*([\w+.-]*)")
_CODE_WORDS = {"", "py", "python", "python3", "py3", "pycon", "ipython", "ipython3", "pytorch"}


def _fences(lines: Lines) -> Lines:
    """Blank Markdown fences and the text around them."""
    if not any(_FENCE.match(line) for line in lines):
        return lines
    kept, language = [], None
    blocks = any(
        match and match[2].lower() in _CODE_WORDS - {""} for match in map(_FENCE.match, lines)
    )
    count = sum(bool(_FENCE.match(line)) for line in lines)
    inside_first = count % 2 == 1 and not _FENCE.match(_first_filled(lines))
    inside = inside_first  # a paste that lost its opening fence starts inside
    language = "python" if inside_first else None
    for line in lines:
        match = _FENCE.match(line)
        if match:
            inside, language = not inside, match[2].lower()
            kept.append("")
        else:
            wanted = language in (_CODE_WORDS - {""} if blocks else _CODE_WORDS)
            kept.append(line if inside and wanted else "")
    return kept


def _first_filled(lines: Lines) -> str:
    return next((line for line in lines if line.strip()), "")


_NUMBERED = re.compile(r"^\s*(\d{1,4})(?:[.:|)\]]|\s*\||\t| ) ?(.*)$")


def _numbers(lines: Lines) -> Lines:
    """Strip line numbers."""
    filled = [line for line in lines if line.strip()]
    found = [_NUMBERED.match(line) or re.match(r"^\s*(\d{1,4})()$", line) for line in filled]
    if len(filled) < 2 or not all(found):
        return lines
    numbers = [int(match[1]) for match in found if match]
    if any(b <= a for a, b in zip(numbers, numbers[1:])):
        return lines

    def without(line: str) -> str:
        match = _NUMBERED.match(line)
        return match[2] if match else ""

    return [without(line) for line in lines]


_PROMPT = re.compile(r"^(\s*)(?:>>>|In ?\[[\d *]*\]:|\[\d+\]:)(?: |$)(.*)$")
_MORE = re.compile(r"^(\s*)(?:\.\.\.:?|\.{3,}:)(?: |$)(.*)$")
_OUT = re.compile(r"^\s*Out ?\[\d+\]:")


def _prompts(lines: Lines) -> Lines:
    """Strip prompts, and blank the outputs between them."""
    lines = [re.sub(r"^(?:>\s)+", "", line) if _quoted(lines) else line for line in lines]
    if not any(_PROMPT.match(line) or _OUT.match(line) for line in lines):
        return lines
    # Where continuation lines have prompts too, a line without one is an output.
    doctest = any(re.match(r"^\s*>>>", line) or _MORE.match(line) for line in lines)
    kept, after = [], ""
    for line in lines:
        start, more = _PROMPT.match(line), _MORE.match(line)
        if start:
            kept.append(start[2])
            after = "code"
        elif more and after == "code":
            kept.append(more[2])
        elif _OUT.match(line):
            kept.append("")
            after = "output"
        elif after == "code" and not doctest and not _looks_like_output(line):
            kept.append(line)  # a notebook cell goes on below its In [n]:
        else:
            kept.append("")
            after = after if not doctest else "output"
    return kept


def _quoted(lines: Lines) -> bool:
    filled = [line for line in lines if line.strip()]
    return bool(filled) and all(re.match(r"^>(?: |$)", line) for line in filled)


_MAGIC = re.compile(r"^(\s*)(%%?[A-Za-z_]\w*|!)(.*)$")


def _magics(lines: Lines) -> Lines:
    """Blank notebook magics, or keep what they time."""
    return [_without_magic(line) for line in lines]


def _without_magic(line: str) -> str:
    match = _MAGIC.match(line)
    if match and not re.match(r"\s*[(=]", match[3]):
        if match[2] in ("%time", "%timeit") and match[3].strip():
            return match[1] + re.sub(r"^\s*(?:-\w+\s*\d*\s+)*", "", match[3])
        return match[1] + "pass" if match[1] else ""
    if re.match(r"^\s*\??\??[\w.]+\?{1,2}\s*$", line) or re.match(r"^\s*\?{1,2}[\w.]+\s*$", line):
        return ""
    return line


def _indented_code(lines: Lines) -> Lines:
    """Blank the prose around code that is indented by four, as forums write it without fences."""
    filled = [line for line in lines if line.strip()]
    prose = [line for line in filled if not line[0].isspace()]
    if not prose or len(prose) == len(filled):
        return lines
    code = [line for line in filled if line[0].isspace()]
    if not all(line.startswith(("    ", "\t")) for line in code):
        return lines
    if not all(_looks_like_prose(line) or re.match(r"#+ |\S+$", line) for line in prose):
        return lines
    return ["" if line.strip() and not line[0].isspace() else line for line in lines]


def _dedented(lines: Lines) -> Lines:
    """Strip the indentation of the whole text."""
    filled = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not filled:
        return lines
    lines = [line.expandtabs(4) if line.lstrip(" ").startswith("\t") else line for line in lines]
    filled = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    margin = min(len(line) - len(line.lstrip()) for line in filled)
    if margin == 0:
        rest = [len(line) - len(line.lstrip()) for line in filled[1:]]
        opens = re.search(r"[:,(\[{\\]\s*(#.*)?$", filled[0])
        # The first line lost its margin in the copy; the others did not.
        if rest and min(rest) > 0 and not opens:
            margin = min(rest)
            start = lines.index(filled[0])
            return lines[: start + 1] + [_cut(line, margin) for line in lines[start + 1 :]]
        return lines
    return [_cut(line, margin) for line in lines]


def _cut(line: str, margin: int) -> str:
    return line[margin:] if not line[:margin].strip() else line.lstrip()


_PRINT2 = re.compile(r"^(\s*(?:.*:\s+)?)print[ \t]+([^\s(=.,\[].*|\(.*\)\s*%.*|\(.*\),.*|\[.*)$")


def _python2(lines: Lines) -> Lines:
    """Turn Python 2 print statements into calls."""

    def call(line: str) -> str:
        match = _PRINT2.match(line)
        return f"{match[1]}print({match[2].rstrip().rstrip(';')})" if match else line

    return [call(line) for line in lines]


_OUTPUT = re.compile(
    r"^\s*(?:tensor\(|Parameter containing|torch\.Size\(|array\(|\(?\d[\d.,\s)e+-]*$|[\[\]()\s]+$"
    r"|\[+\s*-?[\d.]|-?\d+\.\d*(?:e[+-]\d+)?[,\s]|Output\b|Traceback|File \"|\w*(?:Error|Warning)\b"
    r"|\d+ loops|grad_fn|\.\.\.|>|[A-Z][\w]*\($|\(\w+\): |Sequential\(|ConvTranspose\dd\("
    r"|=+$|-{3,}$|#{1,6} |[A-Za-z][\w .()-]*: *(?:tensor\(|torch\.|\[|\(?-?\d)|.*grad_fn=<|.*dtype=torch\.)"
)
_PROSE = re.compile(
    r"^\s*(?:[-*] |\d+\. )?\(?[^\W\d_][\w'\u2019-]*[,:;.!?]?(?:\s+[\w'\u2019(),:;.!?/\"*`-]+)*\s*$"
)


def _looks_like_output(line: str) -> bool:
    return bool(_OUTPUT.match(line))


def _looks_like_prose(line: str) -> bool:
    words = line.split()
    code = re.search(
        r"[=\[\]{}@\\]|\w\(|^\s*(?:import|from|for|if|while|def|class|with|return)\b", line
    )
    return len(words) >= 2 and not code and bool(_PROSE.match(line))


def _without_outputs(
    lines: Lines, first: SyntaxError, notes: list[Noted]
) -> tuple[ast.Module, str, list[Noted]]:
    """Blank what looks like a printed output, or like prose, where the parser stumbles."""
    taken: list[int] = []
    last = first
    lines = _without_tracebacks(lines, taken)
    for _ in range(_MOST_REPAIRS):
        tree = _parsed(lines)
        if isinstance(tree, ast.Module):
            notes.append((taken[0] if taken else 0, _taken_text(taken)))
            return tree, "\n".join(lines), notes
        last = tree
        block = _output_at(lines, tree.lineno or 1)
        if block is None:
            break
        taken.extend(number for number in block if lines[number - 1].strip())
        lines = _blanked(lines, block)
    raise _syntax_error(last if taken or notes else first, lines)


def _taken_text(taken: list[int]) -> str:
    return "read as pasted output, not as code: lines " + ", ".join(map(str, sorted(set(taken))))


def _blanked(lines: Lines, block: range) -> Lines:
    return [("" if number in block else line) for number, line in enumerate(lines, 1)]


def _without_tracebacks(lines: Lines, taken: list[int]) -> Lines:
    result, inside = list(lines), False
    for place, line in enumerate(lines):
        if re.match(r"^\s*Traceback \(most recent call last\)", line):
            inside = True
        if inside:
            taken.append(place + 1)
            result[place] = ""
            if re.match(r"^\s*[\w.]*(?:Error|Exception|Interrupt|Warning)\b", line):
                inside = False
    return result


def _output_at(lines: Lines, lineno: int) -> range | None:
    """Return the lines of the output or prose that the parser stumbled over, around ``lineno``."""
    found = None
    for start in _upwards(lines, min(lineno, len(lines))):
        line = lines[start - 1]
        if _looks_like_output(line) or _looks_like_prose(line):
            end = _end_of_block(lines, start)
            if start <= lineno <= end + 1:
                found = range(start, max(end, start) + 1)  # and on: it may open further up
        elif found is not None:
            break
    return found


def _upwards(lines: Lines, lineno: int) -> Iterator[int]:
    for number in range(lineno, max(0, lineno - 60), -1):
        if lines[number - 1].strip():
            yield number


def _end_of_block(lines: Lines, start: int) -> int:
    """Return the line where the brackets opened at ``start`` close, if they do."""
    if _looks_like_prose(lines[start - 1]):
        return start
    depth = 0
    for number in range(start, min(len(lines), start + 400) + 1):
        line = re.sub(r"<\w+( object.*?)?>", "", lines[number - 1])
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
        if depth <= 0:
            return number
    return start


def _syntax_error(error: SyntaxError, lines: Lines) -> SnippetError:
    line = error.lineno if error.lineno and 1 <= error.lineno <= len(lines) else None
    text = lines[line - 1].strip()[:80] if line else ""
    return SnippetError(
        "SyntaxError",
        error.msg or "this is not Python",
        line,
        hint=f"Python stops at: {text}" if text else "Paste the code as it is in the file.",
    )

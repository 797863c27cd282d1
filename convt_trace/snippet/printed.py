"""A model as it is printed, turned into code that makes its layers: one line for one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from convt_trace.engine.layer import output_length

_LAYER = re.compile(r"^[\s|>]*(?:\((\w+)\): )?(\w*Conv(?:Transpose)?[123]d\(\d.*\))(?:,? *#.*)?$")
_OF_A_MODEL = re.compile(r"^[\s|>]*(?:(?:\(\w+\): )?[A-Za-z_][\w.\[\]]*\(.*|\)+|\(\w+\): .*)$")


def printed_model(lines: list[str]) -> list[str]:
    """Turn what ``print(model)`` prints into code that makes its convolutions."""
    filled = [line for line in lines if line.strip()]
    named = sum(bool(re.match(r"^[\s|>]*\(\w+\): \w", line)) for line in filled)
    most = sum(bool(_OF_A_MODEL.match(line)) for line in filled)
    if (
        not named
        or most < 0.6 * len(filled)
        or any(re.match(r"\s*(?:import|from) ", one) for one in filled)
    ):
        return lines
    kept = []
    for line in lines:
        match = _LAYER.match(line)
        kept.append(
            f"layer_{match[1]} = {match[2]}" if match and match[1] else match[2] if match else ""
        )
    return kept


#: A row of torchinfo's or torchsummary's table: a layer, sizes, a number of parameters.
_ROW = re.compile(r"^[\s|\u2500-\u257f+-]*([A-Z]\w+)\b[^\[]*((?:\[[-\d, ]+\]\s*)+)([\d,]+|--)?")
_LARGEST_STRIDE = 32


def printed_table(lines: list[str]) -> list[str]:
    """Turn the rows of a table of layers into code that makes its transposed convolutions.

    The table has the sizes and the number of parameters; the smallest kernel, stride and padding that
    give these are taken.

    Examples
    --------
    >>> printed_table([
    ...     "ReLU: 1-1              [1, 100, 1, 1]    --",
    ...     "ConvTranspose2d: 1-2   [1, 32, 4, 4]     51,200",
    ...     "ConvTranspose2d: 1-3   [1, 3, 8, 8]      1,539"])
    ['', 'layer_2 = ConvTranspose2d(100, 32, 4, bias=False)',
     'layer_3 = ConvTranspose2d(32, 3, 4, stride=2, padding=1)']
    """
    rows = [_ROW.match(line) for line in lines]
    layers = [row for row in rows if row and row[1].startswith("ConvTranspose") and row[3]]
    if not layers or sum(row is not None for row in rows) < 2:
        return lines
    kept: list[str] = []
    before: list[int] | None = None
    for row in rows:
        shapes = [_ints(one) for one in re.findall(r"\[([-\d, ]+)\]", row[2])] if row else []
        code = ""
        if row and re.fullmatch(r"ConvTranspose[123]d", row[1]) and row[3] not in (None, "--"):
            start = shapes[0] if len(shapes) > 1 else before
            code = _made(row[1], start, shapes[-1], int(row[3].replace(",", "")))
        kept.append(f"layer_{len(kept) + 1} = {code}" if code else "")
        before = shapes[-1] if shapes else before
    return kept


def _ints(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"-?\d+", text)]


def _made(kind: str, x: Sequence[int] | None, y: Sequence[int], parameters: int) -> str:
    """Return the constructor of a layer that makes ``y`` of ``x``; empty where none does."""
    dims = int(kind[-2])
    if x is None or len(x) < dims + 2 or len(y) < dims + 2:
        return ""
    ins, outs = x[-dims - 1], y[-dims - 1]
    for bias in (True, False):
        taps, rest = divmod(parameters - outs * bias, max(ins * outs, 1))
        kernel = round(max(taps, 0) ** (1 / dims))
        if rest == 0 and taps > 0 and kernel**dims == taps:
            sizes = _sizes(x[-dims:], y[-dims:], kernel)
            return (
                f"{kind}({ins}, {outs}, {kernel}{sizes}{'' if bias else ', bias=False'})"
                if sizes is not None
                else ""
            )
    return ""


def _sizes(x: Sequence[int], y: Sequence[int], kernel: int) -> str | None:
    """Return the smallest stride, padding and output_padding that give one size from the other."""
    for stride in range(1, _LARGEST_STRIDE):
        for extra in range(stride):
            for padding in range(kernel):
                made = [output_length(one, kernel, stride, padding, extra, 1) for one in x]
                if made == list(y):
                    given = {"stride": stride, "padding": padding, "output_padding": extra}
                    plain = {"stride": 1, "padding": 0, "output_padding": 0}
                    return "".join(f", {n}={v}" for n, v in given.items() if v != plain[n])
    return None

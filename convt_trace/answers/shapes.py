"""A picture of a call that torch refused: its tensors' shapes, with what offends marked.

The picture is SVG made of whole numbers and the names below; no text of a stranger is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convt_trace.engine.text import AXES

_BOX, _HIGH, _LEFT, _ROW = 78, 34, 62, 70
#: Both can be read on a light and on a dark page, whose colours a picture does not inherit.
_MARK, _INK = "#d6277f", "#808894"


def axis_names(tensor: str, ndim: int, op: str) -> tuple[str, ...]:
    """Return what the axes of a call's tensor are.

    >>> axis_names("x", 3, "conv1d"), axis_names("x", 2, "conv1d")
    (('N', 'C_in', 'L'), ('C_in', 'L'))
    >>> axis_names("weight", 4, "conv_transpose2d"), axis_names("weight", 3, "conv1d")
    (('C_in', 'C_out/groups', 'K_H', 'K_W'), ('C_out', 'C_in/groups', 'K_L'))
    """
    dims = int(op[-2])
    space = AXES[dims]
    names: tuple[str, ...] = ("C_out",)
    if tensor == "x":
        names = ("N", "C_in", *space) if ndim == dims + 2 else ("C_in", *space)
    elif tensor == "weight":
        channels = ("C_in", "C_out") if op.startswith("conv_transpose") else ("C_out", "C_in")
        names = (channels[0], f"{channels[1]}/groups", *(f"K_{axis}" for axis in space))
    # A tensor of a wrong number of axes has no names for them.
    return names if len(names) == ndim else ("",) * ndim


def picture(
    shapes: Mapping[str, Sequence[int] | None],
    parameters: Mapping[str, Any],
    offending: str,
    op: str,
) -> str:
    """Return the shapes of a call as an SVG picture.

    Parameters
    ----------
    shapes : mapping of "x", "weight" and "bias" to a shape, or to None where there is none
    parameters : mapping of names to whole numbers or tuples of them
        The other arguments; those that torch's defaults say are left out, unless they offend.
    offending : str
        The tensor or parameter to mark.
    op : str
        The function that was called: "conv_transpose2d" and so on.

    Examples
    --------
    >>> drawn = picture({"x": (1, 5, 3), "weight": (4, 2, 3)}, {}, "x", "conv1d")
    >>> drawn.count("<rect"), 'aria-label="x (1, 5, 3), weight (4, 2, 3): look at x"' in drawn
    (6, True)
    """
    known = {name: tuple(shape) for name, shape in shapes.items() if shape is not None}
    rows = [
        _tensor(name, shape, place, name == offending, op)
        for place, (name, shape) in enumerate(known.items())
    ]
    said = {
        name: str(value) for name, value in parameters.items() if _worth(name, value, offending)
    }
    rows.append(_arguments(said, len(known), offending))
    width = _LEFT + _BOX * max((len(shape) for shape in known.values()), default=4) + 8
    height = _ROW * len(known) + (34 if said else 4)
    label = described(known, offending)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'style="font: 15px system-ui, sans-serif" '
        f'fill="{_INK}" stroke="none">{"".join(rows)}</svg>'
    )


def described(shapes: Mapping[str, Sequence[int] | None], offending: str) -> str:
    """Return what the picture shows, in words.

    >>> described({"x": (1, 5, 3), "bias": None}, "x")
    'x (1, 5, 3): look at x'
    """
    known = (f"{name} {tuple(shape)}" for name, shape in shapes.items() if shape is not None)
    return ", ".join(known) + f": look at {offending}"


def _worth(name: str, value: Any, offending: str) -> bool:
    default = {"stride": 1, "dilation": 1, "groups": 1}.get(name, 0)
    numbers = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(number, int) for number in numbers):
        return False
    return name == offending or any(number != default for number in numbers)


def _tensor(name: str, shape: tuple[int, ...], place: int, marked: bool, op: str) -> str:
    top = _ROW * place + 24
    ink = _MARK if marked else _INK
    parts = [f'<text x="0" y="{top + 23}" font-weight="600" fill="{ink}">{name}</text>']
    for axis, (title, size) in enumerate(zip(axis_names(name, len(shape), op), shape)):
        left = _LEFT + axis * _BOX
        middle = left + _BOX / 2 - 4
        parts.append(
            f'<text x="{middle}" y="{top - 7}" text-anchor="middle" font-size="12">{title}</text>'
            f'<rect x="{left}" y="{top}" width="{_BOX - 8}" height="{_HIGH}" rx="6" fill="none" '
            f'stroke="{ink}" stroke-width="{3 if marked else 1.2}"/>'
            f'<text x="{middle}" y="{top + 23}" text-anchor="middle">{size}</text>'
        )
    return "".join(parts)


def _arguments(said: Mapping[str, str], rows: int, offending: str) -> str:
    parts = (
        f'<tspan fill="{_MARK}" font-weight="700">{name}={value}</tspan>'
        if name == offending
        else f"<tspan>{name}={value}</tspan>"
        for name, value in said.items()
    )
    text = '<tspan dx="0">, </tspan>'.join(parts)
    return f'<text x="0" y="{_ROW * rows + 22}">{text}</text>' if said else ""

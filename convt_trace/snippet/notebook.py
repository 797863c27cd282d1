"""The code of a notebook file."""

from __future__ import annotations

import json

#: A notebook with its pictures; its code is far smaller.
MOST_CHARS = 50_000_000


def code_of(text: str) -> str | None:
    r"""Return the code cells of a notebook, one below the other; None for what is no notebook.

    Examples
    --------
    >>> cells = [{"cell_type": "code", "source": ["x = 1\n", "x"]}, {"cell_type": "markdown"}]
    >>> code_of(json.dumps({"nbformat": 4, "cells": cells}))
    'x = 1\nx\n'
    >>> code_of("print(1)")
    """
    if not text.lstrip("\ufeff \t\r\n").startswith("{") or len(text) > MOST_CHARS:
        return None
    try:
        book = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    sheets = book.get("worksheets") if isinstance(book, dict) else None  # before version 4
    if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict):
        book = sheets[0]
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        return None
    found = [
        _joined(cell.get("source", cell.get("input")))
        for cell in cells
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]
    return "\n\n".join(one.rstrip() for one in found if one.strip()) + "\n"


def _joined(source: object) -> str:
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))

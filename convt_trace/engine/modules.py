"""Which module of a model is being called: its path, as `named_modules` has it."""

from __future__ import annotations

import types
from collections.abc import Iterator

import torch

_CALL = torch.nn.Module._call_impl.__code__


def running_module(frame: types.FrameType | None) -> tuple[str, torch.nn.Module | None]:
    """Return the path and the module that is being called innermost; no module where none is.

    Parameters
    ----------
    frame : frame
        Where to look from, outwards.

    Examples
    --------
    >>> import sys
    >>> class Where(torch.nn.Module):
    ...     def forward(self, x):
    ...         return running_module(sys._getframe())
    >>> path, module = torch.nn.Sequential(torch.nn.Identity(), Where())(1)
    >>> path, type(module).__name__
    ('1', 'Where')
    """
    running = []
    while frame is not None:
        if frame.f_code is _CALL:
            running.append(frame.f_locals["self"])
        frame = frame.f_back
    if not running:
        return "", None
    inner, model = running[0], running[-1]
    return next((name for name, one in _named_modules(model) if one is inner), ""), inner


def _named_modules(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield what torch's own `named_modules` does, by identity: a model may define equality as it likes."""
    todo, seen = [("", model)], {id(model)}
    while todo:
        path, module = todo.pop()
        yield path, module
        inside = []
        for name, one in module.__dict__.get("_modules", {}).items():
            if one is not None and id(one) not in seen:
                seen.add(id(one))
                inside.append((f"{path}.{name}" if path else name, one))
        todo += reversed(inside)

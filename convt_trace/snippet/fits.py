"""Whether a file's tensors are a module's: by names and shapes, as `load_state_dict` goes by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from convt_trace.snippet.weights import word

_LISTED = 3


@dataclass(frozen=True)
class Fit:
    """How a module's own tensors compare with those of a file.

    Attributes
    ----------
    prefix : str
        What the file's names begin with: "module." of a parallel model, "decoder." of a part.
    names : tuple of str
        The module's own that are in the file with the same shape.
    missing : tuple of str
        Those that are not in it.
    other : tuple of str
        Those of another shape there, each with both shapes.
    """

    prefix: str
    names: tuple[str, ...]
    missing: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether all of the module's own are in the file."""
        return bool(self.names) and not self.missing and not self.other

    def __str__(self) -> str:
        """Say what does not fit."""
        total = len(self.names) + len(self.missing) + len(self.other)
        parts = [f"{len(self.names)} of its {total} tensors fit"]
        if self.missing:
            parts.append(f"not in the file: {listed(self.missing)}")
        if self.other:
            parts.append(f"of another shape: {listed(self.other)}")
        return "; ".join(parts)


def listed(names: Any) -> str:
    """Return the first few names.

    >>> listed(["a", "b"]), listed("abcde")
    ('a, b', 'a, b, c and 2 more')
    """
    names = list(names)
    more = len(names) - _LISTED
    text = ", ".join(map(word, names[:_LISTED]))
    return f"{text} and {more} more" if more > 0 else text


def fits(module: torch.nn.Module, file: Mapping[str, torch.Tensor]) -> list[Fit]:
    """Return the ways in which a module fits a file: all that are whole, or else the closest one.

    Examples
    --------
    >>> up = torch.nn.ConvTranspose1d(1, 1, 2, bias=False)
    >>> (one,) = fits(up, {"module.weight": torch.ones(1, 1, 2)})
    >>> one.whole, one.prefix
    (True, 'module.')
    >>> (one,) = fits(up, {"weight": torch.ones(1, 1, 3)})
    >>> print(one)
    0 of its 1 tensors fit; of another shape: weight, (1, 1, 2) here and (1, 1, 3) there
    """
    own = _own(module)
    if not own:
        return []
    tried = [_fit(own, file, prefix) for prefix in _prefixes(list(file), any(module.children()))]
    whole = [one for one in tried if one.whole]
    return whole[:1] if whole and not whole[0].prefix else whole or [max(tried, key=_nearness)]


def _nearness(fit: Fit) -> int:
    return len(fit.names) + len(fit.other)


def _own(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a module's own tensors: of several names of one tensor a file need have only one."""
    held = module.state_dict()
    return {name: one for name, one in held.items() if isinstance(one, torch.Tensor)}


def _fit(own: Mapping[str, torch.Tensor], file: Mapping[str, torch.Tensor], prefix: str) -> Fit:
    names, missing, other = [], [], []
    for name, tensor in own.items():
        there = file.get(prefix + name)
        if there is None:
            missing.append(name)
        elif is_lazy(tensor) or tensor.shape == there.shape:
            names.append(name)
        else:
            other.append(f"{word(name)}, {tuple(tensor.shape)} here and {tuple(there.shape)} there")
    kept = [own[name] for name in names]
    absent = [name for name in missing if not _may_be_absent(name, own[name], kept)]
    return Fit(prefix, tuple(names), tuple(absent), tuple(other))


def _may_be_absent(name: str, tensor: torch.Tensor, kept: list[torch.Tensor]) -> bool:
    """Whether torch too goes without: a counter of older versions, another name of a tensor it has."""
    return name.endswith("num_batches_tracked") or any(
        not is_lazy(one) and not is_lazy(tensor) and one.is_set_to(tensor) for one in kept
    )


def _prefixes(names: list[str], has_parts: bool) -> Iterator[str]:
    """Yield what may stand in front of a module's own names: what all names share, then a part's.

    Of a single layer only what all share: its "weight" is found under many a part's name.
    """
    yield ""
    shared = ""
    while len(firsts := _firsts(names, shared)) == 1 and all(
        "." in n[len(shared) :] for n in names
    ):
        shared += f"{firsts[0]}."
        yield shared
    if has_parts:
        yield from (f"{shared}{first}." for first in firsts)


def _firsts(names: list[str], shared: str) -> list[str]:
    return [*dict.fromkeys(name[len(shared) :].partition(".")[0] for name in names)]

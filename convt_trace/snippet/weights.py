"""A file of trained weights beside a text: bytes with a name, which nothing outside the box looks into."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_CHARS = 80


@dataclass(frozen=True)
class Weights:
    """A file of weights, as it was saved.

    Attributes
    ----------
    name : str
        What sentences call it; made printable and short, for a file is named by anybody.
    data : bytes
        A `.safetensors` file, or what `torch.save` wrote.

    Examples
    --------
    >>> Weights("runs/up.pt", b"...").name
    'up.pt'
    """

    name: str
    data: bytes

    def __post_init__(self) -> None:
        last = self.name.replace("\\", "/").rpartition("/")[2]
        object.__setattr__(self, "name", word(last) or "the file")


def word(text: object) -> str:
    r"""Return a stranger's name as a sentence may hold it.

    >>> word("up.weight"), word("a\nb"), len(word("x" * 200))
    ('up.weight', 'a�b', 80)
    """
    name = "".join(one if one.isprintable() else "�" for one in str(text)[: _MOST_CHARS + 1])
    return name if len(name) <= _MOST_CHARS else f"{name[: _MOST_CHARS - 1]}…"

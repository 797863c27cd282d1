"""What a tensor was made of, as far as its size goes."""

from __future__ import annotations

from dataclasses import dataclass

from convt_trace.engine.layer import Ints

#: Tensors that are followed.
MOST_MADE = 2000


@dataclass(frozen=True)
class Made:
    """One tensor whose size differs from what it was made of, or that joins several.

    Attributes
    ----------
    text : str
        The layer that made it, as a line of torch; empty for an input and for a join.
    of : tuple of int
        The numbers of what it was made of: none for an input, two or more for a join.
    size : tuple of int
        Spatial size; empty where torch refused to make it.
    module : str
        The path of the module that made it, such as "decoder.up3"; empty where none did.
    fixed : bool
        Whether the text has a number that a program may have worked out of its input's size.
    after : str
        Of an input: the function before it that is not followed, such as "flatten".
    """

    text: str = ""
    of: Ints = ()
    size: Ints = ()
    module: str = ""
    fixed: bool = False
    after: str = ""

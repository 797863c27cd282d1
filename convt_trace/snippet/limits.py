"""Every limit of the reader, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one text may use. The kernel holds it to the last three; see `box`.

    Attributes
    ----------
    source_chars : int
        Length of the text, checked before it is parsed.
    text_chars : int
        Characters printed or shown, in sum.
    calls : int
        Convolutions that are kept; more run, and a note says so.
    recorded_elements : int
        Elements in the tensors of the convolutions that are kept.
    weights_bytes : int
        Of a file of weights beside the text, checked before anything looks into it.
    seconds : float
        Computing, of one core: what other texts do meanwhile does not count.
    wall_seconds : float
        From beginning to end, should all else fail.
    bytes : int
        Memory beyond what Python and torch have themselves.

    Examples
    --------
    >>> LIMITS.source_chars
    200000
    """

    source_chars: int = 200_000
    text_chars: int = 100_000
    calls: int = 256
    recorded_elements: int = 2**25
    weights_bytes: int = 64 * 2**20
    seconds: float = 3.0
    wall_seconds: float = 12.0
    bytes: int = 640 * 2**20


LIMITS = Limits()

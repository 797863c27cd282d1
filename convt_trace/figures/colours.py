"""The player's colours, as ``player/player.css`` has them: by day and by night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rgb = tuple[int, int, int]

#: Groups take turns with these.
GROUPS = ("#009e73", "#b0569a", "#c9a800", "#4aa8c9", "#7d64b5", "#7f7f7f")
#: Numbers on light and on dark cells.
ON_LIGHT, ON_DARK = "#14161a", "#ffffff"


@dataclass(frozen=True)
class Colours:
    """One theme.

    Attributes
    ----------
    ink, paper, soft : str
        Lines and words, the ground, and cells without a number.
    negative, zero, positive : str
        The scale of values.
    lit : str
        The selected cell and what it is made of.
    """

    ink: str
    paper: str
    soft: str
    negative: str
    zero: str
    positive: str
    lit: str

    @property
    def line(self) -> str:
        """Frames of blocks."""
        return _hex(_mixed(_rgb(self.ink), _rgb(self.paper), 0.22))

    @property
    def dim(self) -> str:
        """What is said on the side."""
        return _hex(_mixed(_rgb(self.ink), _rgb(self.paper), 0.68))

    @property
    def veil(self) -> str:
        """The ground, half seen through."""
        return f"rgba({','.join(map(str, _rgb(self.paper)))},0.5)"

    @property
    def scale(self) -> list[tuple[float, str]]:
        """The colours of values, from negative over zero to positive."""
        return [(0, self.negative), (0.5, self.zero), (1, self.positive)]

    def on(self, values: np.ndarray, limit: float) -> list[str]:
        """Return the colour of the number on each value's colour; on no colour, the ink.

        >>> DAY.on(np.array([-4.0, 0.0, np.nan]), limit=4)
        ['#ffffff', '#14161a', '#1a1c21']
        """
        share = np.clip(np.asarray(values, dtype=float) / limit, -1, 1)
        ends = np.where(share[:, None] < 0, _rgb(self.negative), _rgb(self.positive))
        zero = np.array(_rgb(self.zero))
        light = _luminance(zero + (ends - zero) * np.abs(share)[:, None])
        return [
            self.ink if not np.isfinite(one) else ON_LIGHT if bright > 0.179 else ON_DARK
            for one, bright in zip(share, light)
        ]


DAY = Colours("#1a1c21", "#ffffff", "#f0f2f6", "#2b6cb8", "#f5f4f2", "#e0812a", "#c2127f")
NIGHT = Colours("#fafafa", "#0e1117", "#262730", "#4f9be8", "#262a33", "#f0963c", "#ff6ec7")


def _rgb(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(color: Rgb) -> str:
    return "#" + "".join(f"{one:02x}" for one in color)


def _mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(b + (a - b) * share) for a, b in zip(one, other))
    return red, green, blue


def _luminance(colors: np.ndarray) -> np.ndarray:
    """Return how light colours are, from 0 to 1, as WCAG defines it."""
    c = colors / 255
    linear = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))

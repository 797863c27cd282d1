"""Random numbers of Python and numpy, from generators of the reading's own.

The same seed gives the same numbers as the module-level functions do. torch's generator is torch's
own: the reading runs in a process of its own, or puts the state back.
"""

from __future__ import annotations

import random

import numpy as np

#: What unseeded generators start from, so that a page shows the same sample again.
SAMPLE_SEED = 0


class Generators:
    """The generators of one reading, and who has drawn from them unseeded.

    Attributes
    ----------
    unseeded : bool
        Whether numbers were drawn before the text seeded the generator they come from.
    """

    def __init__(self) -> None:
        self.python = random.Random(SAMPLE_SEED)
        self.numpy = np.random.RandomState(SAMPLE_SEED)
        self.seeded: set[str] = set()
        self.unseeded = False

    def drew(self, source: str) -> None:
        """Take note that numbers were drawn from "torch", "numpy" or "random"."""
        if source not in self.seeded:
            self.unseeded = True

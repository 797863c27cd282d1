"""A number in few characters: the table that the player's rule meets too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  numpy knows bfloat16 by it
import numpy as np
import pytest

from convt_trace.figures.short import short

EXAMPLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "numbers.json").read_text()
)["short"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one['value']} in {one['room']}")
def test_every_example_is_written_short_as_the_table_says(example: dict[str, Any]) -> None:
    value = np.array(example["value"]).astype(example["dtype"])[()]
    assert short(value, example["room"]) == example["text"]

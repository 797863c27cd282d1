"""What a link of a stranger takes to open: bounded, whatever legal settings it has.

`make bench` does the same with 1,500 random links.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from convt_trace.links.link import from_link
from convt_trace.links.packed import pack
from link_cost import MEGABYTES, PACE, SECONDS, at_bounds, pace, random_links, take, warm_up

#: Machines differ in what they are good at, and two tests at once slow each other down.
SLACK = 3
BOUNDS = dict(at_bounds(["float32"]))
DRAWN = [*islice(random_links(seed=7), 20)]
#: Two that once took minutes, and 405 MB.
KNOWN = {
    "a stride of 4000 in bfloat16": "dims=2d&in_channels=1&out_channels=1&groups=1&size=2&kernel=3"
    "&stride=4000&padding=0&dtype=bfloat16&x=normal:1&weight=normal:2",
    "packed zeros": "dims=1d&batch=64&in_channels=1&out_channels=1&groups=1&size=65536&kernel=3"
    f"&padding=0&x=raw:{pack(np.zeros(2**22))}&weight=ones",
}


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    warm_up()


@pytest.mark.parametrize(
    "query", [*BOUNDS.values(), *DRAWN, *KNOWN.values()], ids=[*BOUNDS, *range(len(DRAWN)), *KNOWN]
)
def test_a_link_opens_within_its_time_and_memory(query: str) -> None:
    assert not from_link(query).problems
    limit = SLACK * SECONDS * max(1, pace() / PACE)
    taken = take(query)
    assert not taken.wrong
    assert taken.megabytes <= MEGABYTES
    assert taken.seconds <= limit

"""What the app takes to open links of strangers: 1,500 random ones, and each parameter at its bound.

Prints the dearest ones. None should take more than two seconds of computing, on the machine where
the limits of ``engine/cost.py`` were measured, or 400 MB.

python bench/links.py [--count 1500] [--seed 0]
"""

from __future__ import annotations

import argparse
from itertools import islice
from statistics import median

from link_cost import MEGABYTES, SECONDS, Taken, at_bounds, random_links, take, warm_up

#: How many of the dearest are printed.
_WORST = 5


def report(what: str, links: list[tuple[str, str]]) -> None:
    """Open links and print what they took, and how many took too much."""
    taken = [(take(query), name) for name, query in links]
    print(f"{what}: {len(taken)}, of them above a limit: {sum(map(_above, taken))}")
    seconds, sizes = [one.seconds for one, _ in taken], [one.megabytes for one, _ in taken]
    print(
        f"  CPU    median {median(seconds):.2f} s, most {max(seconds):.2f} s (limit {SECONDS:g} s)"
    )
    print(
        f"  memory median {median(sizes):.0f} MB, most {max(sizes):.0f} MB (limit {MEGABYTES:g} MB)"
    )
    for one, name in sorted(taken, key=_share)[-_WORST:]:
        print(f"  {one.seconds:5.2f} s {one.megabytes:4.0f} MB {one.wrong} {name[:150]}")


def _share(found: tuple[Taken, str]) -> float:
    """Return how much of the limits a link takes; one that went wrong takes all."""
    one, _ = found
    return float("inf") if one.wrong else max(one.seconds / SECONDS, one.megabytes / MEGABYTES)


def _above(found: tuple[Taken, str]) -> bool:
    return _share(found) > 1


def main() -> None:
    """Print both measurements."""
    options = argparse.ArgumentParser(description="Measure what links take to open.")
    options.add_argument("--count", type=int, default=1500)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    warm_up()
    report("links with one parameter at its bound", [*at_bounds()])
    drawn = islice(random_links(asked.seed), asked.count)
    report("random legal links", [(query, query) for query in drawn])


if __name__ == "__main__":
    main()

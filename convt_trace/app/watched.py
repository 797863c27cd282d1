"""What the operator of a server watches: whether it is well, and how many texts are read, how long each.

Streamlit's own page of metrics, ``/_stcore/metrics``, has the sessions; what is counted here stands
there too. There is no text in it, and no address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from threading import Lock

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit import runtime
from streamlit.runtime.stats import CounterStat, HistogramStat, Stat

#: What became of a text: read to its end, ended by an error of its own, refused by a limit, or not run.
OUTCOMES = ("read", "error", "refused", "not run")
#: Seconds that bound the durations.
_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))


class Reads:
    """How many texts were read, with what outcome, and how long each took.

    Examples
    --------
    >>> reads = Reads()
    >>> reads.add("read", 0.3)
    >>> reads.get_stats()["snippet_reads"][0].to_metric_str()
    'snippet_reads_total{outcome="read"} 1'
    """

    stats_families: Sequence[str] = ("snippet_reads", "snippet_read_seconds")

    def __init__(self) -> None:
        self._lock = Lock()
        self._outcomes: Counter[str] = Counter()
        self._buckets = [0] * len(_SECONDS)
        self._seconds = 0.0

    def add(self, outcome: str, seconds: float) -> None:
        """Count one text."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._buckets[bisect_left(_SECONDS, seconds)] += 1
            self._seconds += seconds

    def get_stats(self, family_names: Sequence[str] | None = None) -> dict[str, list[Stat]]:
        """Return what was counted, as Streamlit asks its providers for it."""
        with self._lock:
            buckets, below = [], 0
            for seconds, count in zip(_SECONDS, self._buckets):
                below += count
                buckets.append((seconds, below))
            stats: dict[str, list[Stat]] = {
                "snippet_reads": [
                    CounterStat(
                        "snippet_reads",
                        self._outcomes[outcome],
                        {"outcome": outcome},
                        help="Pasted texts, by what became of them.",
                    )
                    for outcome in OUTCOMES
                ],
                "snippet_read_seconds": [
                    HistogramStat(
                        "snippet_read_seconds",
                        tuple(buckets),
                        self._seconds,
                        below,
                        unit="seconds",
                        help="Seconds from a text's turn being asked for to its last message.",
                    )
                ],
            }
        wanted = self.stats_families if family_names is None else family_names
        return {name: stats[name] for name in wanted if name in stats}


reads = Reads()


def start() -> None:
    """Have Streamlit's page of metrics ask for what is counted here."""
    if runtime.exists():
        runtime.get_instance().stats_mgr.register_provider(reads)


def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


#: For a proxy or an orchestrator: the process answers.
HEALTH = Route("/healthz", _health)

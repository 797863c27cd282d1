"""What an operator watches: counts and durations of texts, and nothing of the texts themselves."""

from __future__ import annotations

from convt_trace.app.readings import Asked, Readings
from convt_trace.app.watched import Reads, reads


def lines(counted: Reads) -> list[str]:
    return [
        line
        for stats in counted.get_stats().values()
        for stat in stats
        for line in stat.to_metric_str().splitlines()
    ]


def test_durations_fall_into_their_buckets() -> None:
    counted = Reads()
    for seconds in (0.05, 0.1, 0.3, 99.0):
        counted.add("read", seconds)
    text = "\n".join(lines(counted))
    assert 'snippet_reads_total{outcome="read"} 4' in text
    assert 'snippet_reads_total{outcome="refused"} 0' in text
    for bound, below in (("0.1", 2), ("0.5", 3), ("10", 3), ("+Inf", 4)):
        assert any(f'le="{bound}' in line and line.endswith(f" {below}") for line in lines(counted))
    assert list(counted.get_stats(["snippet_reads"])) == ["snippet_reads"]


def test_each_text_is_counted_by_what_became_of_it_once() -> None:
    before = dict(reads._outcomes)
    fresh = Readings()
    text = "import torch; torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2))"
    for source in (text, text, f"{text}\nraise ValueError", "x" * 300_000):
        fresh.read(Asked(source))
    more = {name: reads._outcomes[name] - before.get(name, 0) for name in reads._outcomes}
    assert {name: count for name, count in more.items() if count} == {
        "read": 1, "error": 1, "refused": 1
    }  # fmt: skip
    assert "conv_transpose1d" not in "\n".join(lines(reads))

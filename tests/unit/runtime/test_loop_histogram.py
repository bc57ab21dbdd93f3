"""The histogram of one thread says what prometheus_client's says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.runtime.loop_histogram import LoopHistogram

BUCKETS = (0.5, 1, 60)
VALUES = st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2, 60, 61, 1024])


def written(registry: CollectorRegistry) -> list[bytes]:
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


@given(st.lists(st.lists(VALUES)), st.lists(VALUES))
def test_it_says_what_the_usual_one_says(batches: list[list[float]], single: list[float]) -> None:
    ours, usual = CollectorRegistry(), CollectorRegistry()
    buckets = LoopHistogram("seconds", "Seconds.", BUCKETS, ours).child()
    other = Histogram("seconds", "Seconds.", buckets=BUCKETS, registry=usual)

    for batch in batches:
        buckets.observe_all(batch)
        for value in batch:
            other.observe(value)
    for value in single:
        buckets.observe(value)
        other.observe(value)

    assert written(ours) == written(usual)


@given(st.lists(st.tuples(st.sampled_from(["good", "bad"]), VALUES)))
def test_it_says_so_of_each_value_of_its_label(found: list[tuple[str, float]]) -> None:
    ours, usual = CollectorRegistry(), CollectorRegistry()
    histogram = LoopHistogram("seconds", "Seconds.", BUCKETS, ours, "result", ["good", "bad"])
    other = Histogram("seconds", "Seconds.", ["result"], buckets=BUCKETS, registry=usual)
    for result in ("good", "bad"):
        other.labels(result)

    for result, value in found:
        histogram.child(result).observe(value)
        other.labels(result).observe(value)

    assert sorted(written(ours)) == sorted(written(usual))

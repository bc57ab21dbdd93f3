"""The histogram of batches says what prometheus_client's says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.runtime.batch_histogram import BatchHistogram

BUCKETS = (0.5, 1, 60)
VALUES = st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2, 60, 61, 1024])


@given(st.lists(st.lists(VALUES)))
def test_it_says_what_the_usual_one_says(batches: list[list[float]]) -> None:
    ours, usual = CollectorRegistry(), CollectorRegistry()
    histogram, other = (
        BatchHistogram("seconds", "Seconds.", BUCKETS, ours),
        Histogram("seconds", "Seconds.", buckets=BUCKETS, registry=usual),
    )

    for batch in batches:
        histogram.observe_all(batch)
        for value in batch:
            other.observe(value)

    written = [line for line in generate_latest(usual).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == written

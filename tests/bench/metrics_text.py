"""How long it takes to write all metrics of a detector. A request waits for it 30 ms at most."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import generate_latest

from tests.bench.figures import Figure, median_of
from tests.unit.detector.test_series_bound import count, ruleset, shown


def measure(rounds: int, show: Callable[[str], None]) -> list[Figure]:
    """For 20 pipelines of 10 stages, and 1,000 of 20."""
    return [_figure(pipelines, stages, rounds, show) for pipelines, stages in ((20, 10), (1_000, 20))]


def _figure(pipelines: int, stages: int, rounds: int, show: Callable[[str], None]) -> Figure:
    show(f"metrics of {pipelines} x {stages} stages")
    registry, taken = shown(ruleset(pipelines, stages)), list[float]()
    for _ in range(rounds):
        began = time.perf_counter()
        generate_latest(registry)
        taken.append((time.perf_counter() - began) * 1000)
    return median_of(f"metrics of {pipelines} x {stages} stages: {count(registry)} samples", taken, "ms")

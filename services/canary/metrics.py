"""The canary's own metrics. Every label exists from the start, so that zero shows."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.canary.run import CanaryStep
from services.canary.way import CanaryOutcome

RESULTS = ("passed", "stuck", "disturbed")


class CanaryMetrics:
    """What became of its runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._last = Gauge(
            "andon_canary_last_success_timestamp_seconds",
            "when the canary last went all the way; 0: not since its start. Of the system: aggregate by max.",
            registry=registry,
        )
        self._seconds = Gauge(
            "andon_canary_step_seconds",
            "how long each step took after the one before, in the last run that was seen at it; 0: none was. "
            "Of a replica: aggregate by max.",
            ["step"],
            registry=registry,
        )
        self._stuck = Gauge(
            "andon_canary_stuck",
            "1 for the step at which the last run got stuck, else 0. Of the system: aggregate by max.",
            ["step"],
            registry=registry,
        )
        self._runs = Counter(
            "andon_canary_runs_total",
            "runs by result; disturbed: another canary was on the way, so it shows nothing. "
            "Of a replica: aggregate by sum.",
            ["result"],
            registry=registry,
        )
        for step in CanaryStep:
            self._seconds.labels(step.value)
            self._stuck.labels(step.value)
        for result in RESULTS:
            self._runs.labels(result)

    def show(self, outcome: CanaryOutcome) -> None:
        """Show the outcome of a run. One that was disturbed leaves all but its count as it is."""
        self._runs.labels(outcome.result).inc()
        if outcome.is_disturbed:
            return
        if outcome.stuck is None:
            self._last.set(time.time())
        for step in CanaryStep:
            self._stuck.labels(step.value).set(step is outcome.stuck)
        for step, seconds in outcome.seconds.items():
            self._seconds.labels(step.value).set(seconds)

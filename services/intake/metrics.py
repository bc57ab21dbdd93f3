"""Intake's own metrics, made at start so that zero shows. Labels are sources, never deals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.dead import DeadReason

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RESULTS = ("accepted", "described", "ignored", "dead")
STATUSES = (202, 401, 413, 415, 503)


class IntakeMetrics:
    """Requests and events by source and what became of them."""

    def __init__(self, registry: CollectorRegistry, sources: Collection[str]) -> None:
        self.requests = Counter(
            "andon_intake_requests_total", "requests by source and answer", ["source", "status"], registry=registry
        )
        self.events = Counter(
            "andon_intake_events_total",
            "events by source and what became of them",
            ["source", "result"],
            registry=registry,
        )
        self.failures = Counter(
            "andon_intake_translation_failures_total",
            "events that could not be translated",
            ["source", "reason"],
            registry=registry,
        )
        self.refused = Counter(
            "andon_intake_refusals_total", "requests refused, by reason", ["source", "reason"], registry=registry
        )
        self.seconds = Histogram(
            "andon_intake_request_seconds", "time to answer a request", buckets=SECONDS, registry=registry
        )
        self.publish_seconds = Histogram(
            "andon_intake_publish_seconds",
            "time until Kafka has acknowledged a write",
            buckets=SECONDS,
            registry=registry,
        )
        self.last_event = Gauge(
            "andon_intake_last_event_timestamp_seconds",
            "when a source last sent an event; 0: not since the start",
            ["source"],
            registry=registry,
        )
        self.broker = Gauge("andon_intake_broker_available", "1 while Kafka can be reached", registry=registry)
        # Looking a child up costs more than counting: the usual ones are kept at hand.
        self._answers = {(s, status): self.requests.labels(s, status) for s in sources for status in STATUSES}
        self._results = {(s, result): self.events.labels(s, result) for s in sources for result in RESULTS}
        self._last = dict.fromkeys(sources, 0.0)
        for source in sources:
            self.last_event.labels(source).set_function(partial(self._last.__getitem__, source))
            for reason in (DeadReason.UNTRANSLATABLE, DeadReason.NOT_JSON, DeadReason.IN_THE_FUTURE):
                self.failures.labels(source, reason.value)

    def answered(self, source: str, status: int) -> None:
        """A request was answered."""
        (self._answers.get((source, status)) or self.requests.labels(source, status)).inc()

    def took(self, source: str, counts: Mapping[str, int], at: datetime) -> None:
        """The events of a request, by what became of them."""
        for result, count in counts.items():
            if count:
                self._results[source, result].inc(count)
        self._last[source] = at.timestamp()

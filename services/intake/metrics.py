"""Intake's metrics, created at start so that zeros show. Labels are sources, never deals."""

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
    """Requests and events by source and result."""

    def __init__(self, registry: CollectorRegistry, sources: Collection[str]) -> None:
        self._count_requests(registry)
        self._time_requests(registry)
        self._show_state(registry)
        self._create_children(sources)

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "andon_intake_requests_total",
            "requests by source and response status. Of a replica: aggregate by sum.",
            ["source", "status"],
            registry=registry,
        )
        self.events = Counter(
            "andon_intake_events_total",
            "events by source and result. Of a replica: aggregate by sum.",
            ["source", "result"],
            registry=registry,
        )
        self.failures = Counter(
            "andon_intake_translation_failures_total",
            "events that could not be translated. Of a replica: aggregate by sum.",
            ["source", "reason"],
            registry=registry,
        )
        self.left_out = Counter(
            "andon_intake_fields_left_out_total",
            "fields of accepted events that could not be read. Of a replica: aggregate by sum.",
            ["source", "field"],
            registry=registry,
        )
        self.unknown_paths = Counter(
            "andon_intake_unknown_sources_total",
            "requests below /v1/ingest/ for which there is no source. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.refused = Counter(
            "andon_intake_refusals_total",
            "refused requests by source and reason. Of a replica: aggregate by sum.",
            ["source", "reason"],
            registry=registry,
        )

    def _time_requests(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "andon_intake_request_seconds",
            "time from request to response. Of a replica: aggregate by sum.",
            buckets=SECONDS,
            registry=registry,
        )
        self.publish_seconds = Histogram(
            "andon_intake_publish_seconds",
            "time until Kafka acknowledged a write. Of a replica: aggregate by sum.",
            buckets=SECONDS,
            registry=registry,
        )

    def _show_state(self, registry: CollectorRegistry) -> None:
        self.last_event = Gauge(
            "andon_intake_last_event_timestamp_seconds",
            "time of the last event of a source; 0: none since the start. Of a replica: aggregate by max.",
            ["source"],
            registry=registry,
        )
        self.broker = Gauge(
            "andon_intake_broker_available",
            "1 while Kafka is available. Of a replica: aggregate by min.",
            registry=registry,
        )

    def _create_children(self, sources: Collection[str]) -> None:
        # Looking up a labelled child costs more than counting, so the common ones are cached.
        self._replies = {(s, status): self.requests.labels(s, status) for s in sources for status in STATUSES}
        self._results = {(s, result): self.events.labels(s, result) for s in sources for result in RESULTS}
        self._last: dict[str, datetime] = {}
        for source in sources:
            self.last_event.labels(source).set_function(partial(self._last_event, source))
            for reason in (DeadReason.UNTRANSLATABLE, DeadReason.NOT_JSON, DeadReason.IN_THE_FUTURE):
                self.failures.labels(source, reason.value)

    def count_reply(self, source: str, status: int) -> None:
        """Count one answered request."""
        (self._replies.get((source, status)) or self.requests.labels(source, status)).inc()

    def count_parts(self, source: str, counts: Mapping[str, int], at: datetime) -> None:
        """Count the parts of one request by result."""
        for result, count in counts.items():
            if count:
                self._results[source, result].inc(count)
        self._last[source] = at

    def _last_event(self, source: str) -> float:
        """Seconds since 1970; 0: none yet."""
        return self._last[source].timestamp() if source in self._last else 0.0

"""Intake's metrics, created at start so that zeros show. Labels are sources, never deals."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.connectors.base.source import RefusalReason
from shared.contracts.dead import DeadReason
from shared.runtime.loop_histogram import LoopHistogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RESULTS = ("accepted", "described", "ignored", "dead")
# Requests refused in a row after which a source is taken to have a wrong secret: RequestsRefused in the alert rules.
REFUSALS = 3
STATUSES = (200, 202, 401, 413, 415, 429, 503)


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
        self.seconds = LoopHistogram(
            "andon_intake_request_seconds",
            "time from request to response. Of a replica: aggregate by sum.",
            SECONDS,
            registry,
        ).child()
        genuine = LoopHistogram(
            "andon_intake_genuine_seconds",
            "time from when a request that passed its check was read to its response, by result: accepted is 2xx, "
            "failed all else. Of a replica: aggregate by sum.",
            SECONDS,
            registry,
            "result",
            ("accepted", "failed"),
        )
        self.accepted_seconds, self.failed_seconds = genuine.child("accepted"), genuine.child("failed")
        self.publish_seconds = LoopHistogram(
            "andon_intake_publish_seconds",
            "time until Kafka acknowledged a write. Of a replica: aggregate by sum.",
            SECONDS,
            registry,
        ).child()

    def _show_state(self, registry: CollectorRegistry) -> None:
        self.last_genuine = Gauge(
            "andon_intake_last_genuine_timestamp_seconds",
            "when a request of a source last passed its check; 0: none since the start. "
            "Of a replica: aggregate by max.",
            ["source"],
            registry=registry,
        )
        self.third_last_refusal = Gauge(
            "andon_intake_third_last_refusal_timestamp_seconds",
            "when the last but two of the refused requests of a source came; 0: fewer than three since the start. "
            "Of a replica: aggregate by max.",
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
        self._genuine: dict[str, datetime] = {}
        self._refusals = {source: deque[datetime](maxlen=REFUSALS) for source in sources}
        for source in sources:
            self.last_genuine.labels(source).set_function(partial(self._last_genuine, source))
            self.third_last_refusal.labels(source).set_function(partial(self._third_last_refusal, source))
            for refusal in RefusalReason:
                self.refused.labels(source, refusal.value)
            for reason in (DeadReason.UNTRANSLATABLE, DeadReason.NOT_JSON, DeadReason.IN_THE_FUTURE):
                self.failures.labels(source, reason.value)

    def count_reply(self, source: str, status: int) -> None:
        """Count one answered request."""
        (self._replies.get((source, status)) or self.requests.labels(source, status)).inc()

    def time_genuine(self, status: int, seconds: float) -> None:
        """A genuine request was answered. A process that ends before counts none: the sender saw no answer either."""
        (self.accepted_seconds if 200 <= status < 300 else self.failed_seconds).observe(seconds)

    def count_parts(self, source: str, counts: Mapping[str, int]) -> None:
        """Count the parts of one request by result."""
        for result, count in counts.items():
            if count:
                self._results[source, result].inc(count)

    def record_genuine(self, source: str, at: datetime) -> None:
        """A request of the source has passed its check."""
        self._genuine[source] = at

    def count_refusal(self, source: str, reason: str, at: datetime) -> None:
        """Count a request that did not."""
        self.refused.labels(source, reason).inc()
        self._refusals[source].append(at)

    def _last_genuine(self, source: str) -> float:
        """Seconds since 1970; 0: none yet."""
        return self._genuine[source].timestamp() if source in self._genuine else 0.0

    def _third_last_refusal(self, source: str) -> float:
        """Seconds since 1970; 0: there were fewer."""
        times = self._refusals[source]
        return times[0].timestamp() if len(times) == REFUSALS else 0.0

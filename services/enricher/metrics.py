"""The enricher's own metrics, made at start so that zero shows. Labels are sources, never deals."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Answer(StrEnum):
    """What a CRM answered to a request."""

    OK = "ok"
    LIMITED = "limited"
    AWAY = "away"
    REFUSED = "refused"


class FetchOutcome(StrEnum):
    """What became of a deal that was wanted."""

    READ = "read"
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    DEFERRED = "deferred"


class EnricherMetrics:
    """Requests, deals and events by source."""

    def __init__(self, registry: CollectorRegistry, sources: Collection[str]) -> None:
        self.requests = Counter(
            "andon_enricher_requests_total",
            "requests to a CRM's API, by answer",
            ["source", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "andon_enricher_request_seconds",
            "time to an answer of a CRM's API",
            ["source"],
            buckets=SECONDS,
            registry=registry,
        )
        self.deals = Counter(
            "andon_enricher_deals_total",
            "wanted deals by what became of them; deferred: to be tried again",
            ["source", "result"],
            registry=registry,
        )
        self.events = Counter(
            "andon_enricher_events_total", "events made of what an API told", ["source"], registry=registry
        )
        self.thin = Gauge(
            "andon_enricher_deals_with_gaps",
            "deals of which something has never been told",
            ["source"],
            registry=registry,
        )
        self.wanted = Gauge("andon_enricher_deals_wanted", "deals to be read", ["source"], registry=registry)
        self.suspended = Gauge(
            "andon_enricher_suspended",
            "1: the CRM refuses our credentials and is left alone for a while",
            ["source"],
            registry=registry,
        )
        self.reconciled = Gauge(
            "andon_enricher_reconciled_timestamp_seconds",
            "up to when lost changes were looked for; 0: never",
            ["source"],
            registry=registry,
        )
        for source in sources:
            for answer in Answer:
                self.requests.labels(source, answer.value)
            for outcome in FetchOutcome:
                self.deals.labels(source, outcome.value)
            for gauge in (self.events, self.thin, self.wanted, self.suspended, self.reconciled, self.seconds):
                gauge.labels(source)

"""The enricher's own metrics. Labels are sources and results, never deals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.connectors.base.api_client import ApiResult
from shared.runtime.log import logger
from shared.runtime.measured import MeasuredGauge

_log = logger(__name__)
# Each reconciliation asks the CRM; after three of the usual ones what it said is old.
QUOTA_SECONDS = 3 * 3600.0
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class FetchOutcome(StrEnum):
    """The result of fetching a deal. DEFERRED: it will be tried again."""

    READ = "read"
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    DEFERRED = "deferred"


class EnricherMetrics:
    """Requests, deals and events by source. Every label exists from the start, so that zero shows."""

    def __init__(self, registry: CollectorRegistry, sources: Collection[str]) -> None:
        self._count_requests(registry)
        self._count_reads(registry)
        self._show_sources(registry)
        self.dead = Counter(
            "andon_enricher_dead_letters_total",
            "records sent to the dead letters. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self._create_children(sources)

    def _count_requests(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "andon_enricher_requests_total",
            "requests to a CRM's API by result. Of a replica: aggregate by sum.",
            ["source", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "andon_enricher_request_seconds",
            "time until a CRM's API responds. Of a replica: aggregate by sum.",
            ["source"],
            buckets=SECONDS,
            registry=registry,
        )

    def _count_reads(self, registry: CollectorRegistry) -> None:
        self.deals = Counter(
            "andon_enricher_deals_total",
            "reads of deals by result; deferred: will be tried again. Of a replica: aggregate by sum.",
            ["source", "result"],
            registry=registry,
        )
        self.left_out = Counter(
            "andon_enricher_fields_left_out_total",
            "fields of published events that could not be read. Of a replica: aggregate by sum.",
            ["source", "field"],
            registry=registry,
        )
        self.events = Counter(
            "andon_enricher_events_total",
            "events published from what a CRM's API returned. Of a replica: aggregate by sum.",
            ["source"],
            registry=registry,
        )

    def _show_sources(self, registry: CollectorRegistry) -> None:
        self.thin = MeasuredGauge(
            "andon_enricher_deals_with_gaps",
            "deals without a known creation, stage, pipeline or name. Of the system: aggregate by max.",
            ["source"],
            registry=registry,
        )
        self.wanted = MeasuredGauge(
            "andon_enricher_deals_wanted",
            "deals waiting to be fetched. Of the system: aggregate by max.",
            ["source"],
            registry=registry,
        )
        self.suspended = Gauge(
            "andon_enricher_suspended",
            "1: the CRM rejects our credentials, requests are paused. Of a replica: aggregate by max.",
            ["source"],
            registry=registry,
        )
        self.quota_left = MeasuredGauge(
            "andon_crm_quota_left",
            "requests that the CRM still allows today, as it answered last; of CRMs that say so. "
            "Of a replica: aggregate by min.",
            ["source"],
            registry=registry,
            fresh_seconds=QUOTA_SECONDS,
        )
        self.reconciled = MeasuredGauge(
            "andon_enricher_reconciled_timestamp_seconds",
            "time up to which the changes in the CRM have been listed; 0: never. Of the system: aggregate by max.",
            ["source"],
            registry=registry,
        )

    def count_left_out(self, source: str, left_out: Mapping[tuple[str, str], int]) -> None:
        """Count fields that were left out of events, given by field and reason; the reasons go to the log."""
        for (field, _), count in left_out.items():
            self.left_out.labels(source, field).inc(count)
        if left_out:
            detail = next(iter(left_out))[1]
            _log.warning("fields left out of events: unreadable", source=source, fields=len(left_out), first=detail)

    def _create_children(self, sources: Collection[str]) -> None:
        for source in sources:
            for result in ApiResult:
                self.requests.labels(source, result.value)
            for outcome in FetchOutcome:
                self.deals.labels(source, outcome.value)
            for metric in (self.events, self.suspended, self.seconds):
                metric.labels(source)

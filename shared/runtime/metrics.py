"""Metrics of every consuming service, named by Prometheus' conventions. No label names a deal or a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BATCH_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_RECORDS = (1, 5, 20, 50, 100, 250, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class ConsumerMetrics:
    """How a service keeps up with one topic."""

    lag_records: Gauge
    lag_seconds: Gauge
    batch_seconds: Histogram
    batch_records: Histogram
    records: Counter
    retries: Counter
    missing: Counter

    @staticmethod
    def of_topics(registry: CollectorRegistry, names: Mapping[str, str]) -> dict[str, ConsumerMetrics]:
        """One per topic. `names` maps the topic's name on the broker to its label."""
        label = ["topic"]
        parts = {
            "lag_records": Gauge(
                "andon_consumer_lag_records", "Records not yet handled by this replica", label, registry=registry
            ),
            "lag_seconds": Gauge(
                "andon_consumer_lag_seconds",
                "Age of the oldest record not yet handled by this replica",
                label,
                registry=registry,
            ),
            "batch_seconds": Histogram(
                "andon_consumer_batch_seconds",
                "Time to handle a batch, with its retries",
                label,
                buckets=BATCH_SECONDS,
                registry=registry,
            ),
            "batch_records": Histogram(
                "andon_consumer_batch_records", "Records in a batch", label, buckets=BATCH_RECORDS, registry=registry
            ),
            "records": Counter("andon_consumer_records_total", "Records handled", label, registry=registry),
            "retries": Counter(
                "andon_consumer_batch_retries_total", "Times a batch was tried again", label, registry=registry
            ),
            "missing": Counter(
                "andon_consumer_gone_records_total",
                "Records that retention or data loss removed from the log before they were read",
                label,
                registry=registry,
            ),
        }
        return {
            topic: ConsumerMetrics(**{part: metric.labels(name) for part, metric in parts.items()})  # type: ignore[arg-type]
            for topic, name in names.items()
        }


class OutboxMetrics:
    """The outbox of a service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge("andon_outbox_depth", "Messages waiting in the outbox", registry=registry)
        self.oldest_seconds = Gauge(
            "andon_outbox_oldest_seconds", "Age of the oldest message in the outbox", registry=registry
        )
        self.published = Counter(
            "andon_outbox_published_total", "Messages published from the outbox", registry=registry
        )
        self.refused = Gauge(
            "andon_outbox_refused",
            "Messages too large for their topic, kept in the table outbox_refused",
            registry=registry,
        )

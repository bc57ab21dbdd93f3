"""Metrics that every consuming service has, named by Prometheus' conventions. No deal or person in a label."""

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
    gone: Counter

    @staticmethod
    def of_topics(registry: CollectorRegistry, names: Mapping[str, str]) -> dict[str, ConsumerMetrics]:
        """One for each topic; `names` gives the label of each topic as it is called on the broker."""
        label = ["topic"]
        parts = {
            "lag_records": Gauge("andon_consumer_lag_records", "records not yet handled", label, registry=registry),
            "lag_seconds": Gauge(
                "andon_consumer_lag_seconds", "age of the oldest record not yet handled", label, registry=registry
            ),
            "batch_seconds": Histogram(
                "andon_consumer_batch_seconds",
                "time to handle a batch",
                label,
                buckets=BATCH_SECONDS,
                registry=registry,
            ),
            "batch_records": Histogram(
                "andon_consumer_batch_records", "records in a batch", label, buckets=BATCH_RECORDS, registry=registry
            ),
            "records": Counter("andon_consumer_records_total", "records handled", label, registry=registry),
            "retries": Counter("andon_consumer_batch_retries_total", "batches tried again", label, registry=registry),
            "gone": Counter(
                "andon_consumer_gone_records_total",
                "records that were gone from the log before they were read",
                label,
                registry=registry,
            ),
        }
        return {
            topic: ConsumerMetrics(**{part: metric.labels(name) for part, metric in parts.items()})  # type: ignore[arg-type]
            for topic, name in names.items()
        }


class OutboxMetrics:
    """What waits in a service's outbox."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge("andon_outbox_depth", "messages waiting in the outbox", registry=registry)
        self.oldest_seconds = Gauge(
            "andon_outbox_oldest_seconds", "age of the oldest message in the outbox", registry=registry
        )
        self.published = Counter(
            "andon_outbox_published_total", "messages published from the outbox", registry=registry
        )
        self.refused = Gauge(
            "andon_outbox_refused", "messages that Kafka does not take, put aside in outbox_refused", registry=registry
        )

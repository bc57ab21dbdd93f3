"""Metrics of every consuming service, named by Prometheus' conventions. No label names a deal or a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.runtime.measured import MeasuredGauge

TOPIC = ("topic",)
BATCH_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_RECORDS = (1, 5, 20, 50, 100, 250, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class ConsumerMetrics:
    """How a service keeps up with one topic."""

    topic: str
    lag_records: MeasuredGauge
    lag_seconds: MeasuredGauge
    batch_seconds: Histogram
    batch_records: Histogram
    records: Counter
    retries: Counter
    missing: Counter
    rebalances: Counter

    @staticmethod
    def of_topics(registry: CollectorRegistry, names: Mapping[str, str]) -> dict[str, ConsumerMetrics]:
        """One per topic. `names` maps the topic's name on the broker to its label."""
        lag_records, lag_seconds = _lags(registry)
        parts = {**_batches(registry), **_records(registry)}
        return {
            topic: ConsumerMetrics(
                name, lag_records, lag_seconds, **{part: metric.labels(name) for part, metric in parts.items()}
            )
            for topic, name in names.items()
        }

    def show_lag(self, records: int, seconds: float) -> None:
        """Set both gauges."""
        self.lag_records.set(records, self.topic)
        self.lag_seconds.set(seconds, self.topic)


def _lags(registry: CollectorRegistry) -> tuple[MeasuredGauge, MeasuredGauge]:
    lag_records = MeasuredGauge(
        "andon_consumer_lag_records",
        "Records not yet handled by this replica. Of a replica: aggregate by sum.",
        TOPIC,
        registry=registry,
    )
    lag_seconds = MeasuredGauge(
        "andon_consumer_lag_seconds",
        "Age of the oldest record not yet handled by this replica. Of a replica: aggregate by max.",
        TOPIC,
        registry=registry,
    )
    return lag_records, lag_seconds


def _batches(registry: CollectorRegistry) -> dict[str, Any]:
    return {
        "batch_seconds": Histogram(
            "andon_consumer_batch_seconds",
            "Time to handle a batch, with its retries. Of a replica: aggregate by sum.",
            TOPIC,
            buckets=BATCH_SECONDS,
            registry=registry,
        ),
        "batch_records": Histogram(
            "andon_consumer_batch_records",
            "Records in a batch. Of a replica: aggregate by sum.",
            TOPIC,
            buckets=BATCH_RECORDS,
            registry=registry,
        ),
    }


def _records(registry: CollectorRegistry) -> dict[str, Any]:
    return {
        "records": Counter(
            "andon_consumer_records_total",
            "Records handled. Of a replica: aggregate by sum.",
            TOPIC,
            registry=registry,
        ),
        "retries": Counter(
            "andon_consumer_batch_retries_total",
            "Times a batch was tried again. Of a replica: aggregate by sum.",
            TOPIC,
            registry=registry,
        ),
        "missing": Counter(
            "andon_consumer_gone_records_total",
            "Records that retention or data loss removed from the log before they were read. "
            "Of a replica: aggregate by sum.",
            TOPIC,
            registry=registry,
        ),
        "rebalances": Counter(
            "andon_consumer_rebalances_total",
            "Times that Kafka shared out the partitions of a topic anew, the first time included. "
            "Of a replica: aggregate by max.",
            TOPIC,
            registry=registry,
        ),
    }


class OutboxMetrics:
    """The outbox of a service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = MeasuredGauge(
            "andon_outbox_depth", "Messages waiting in the outbox. Of the system: aggregate by max.", registry=registry
        )
        self.oldest_seconds = MeasuredGauge(
            "andon_outbox_oldest_seconds",
            "Age of the oldest message in the outbox. Of the system: aggregate by max.",
            registry=registry,
        )
        self.published = Counter(
            "andon_outbox_published_total",
            "Messages published from the outbox. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.refused = MeasuredGauge(
            "andon_outbox_refused",
            "Messages too large for their topic, kept in the table outbox_refused. Of the system: aggregate by max.",
            registry=registry,
        )

"""The analyst's own metrics, created at start so that zeros show. Labels are reasons, never deals."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.runtime.measured import MeasuredGauge
from shared.runtime.metrics import BATCH_SECONDS


class AnalystMetrics:
    """Evaluations and what they published."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "andon_analyst_problem_messages_total",
            "Messages published on flow.problems. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.charts = Counter(
            "andon_analyst_chart_messages_total",
            "Messages published on flow.signals. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.seconds = Histogram(
            "andon_analyst_evaluation_seconds",
            "Seconds that one evaluation of the pipelines that changed took. Of a replica: aggregate by sum.",
            buckets=BATCH_SECONDS,
            registry=registry,
        )
        self.problem_open = MeasuredGauge(
            "andon_flow_problem_open_timestamp_seconds",
            "When a problem opened that is open now and whose rule is active, in event time. "
            "Of the system: aggregate by max.",
            ("kind", "pipeline", "stage"),
            registry=registry,
        )
        self.dead_letters = Counter(
            "andon_analyst_dead_letters_total",
            "Records written to dead-letter topics. Of a replica: aggregate by sum.",
            registry=registry,
        )

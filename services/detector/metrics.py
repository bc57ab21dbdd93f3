"""The detector's own metrics, created at start so that zeros show. Labels are pipelines, stages, kinds; never deals."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.dead import DeadReason
from shared.contracts.problems import ProblemReason
from shared.runtime.loop_histogram import LoopHistogram
from shared.runtime.measured import MeasuredGauge
from shared.runtime.metrics import BATCH_SECONDS

# The SLO: within 60 s.
SEEN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
STAGE = ("pipeline", "stage")
OTHER = "other"


class DetectorMetrics:
    """Events read, evaluation passes, and the state of every stage now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count_events(registry)
        self._time_passes(registry)
        self._show_stages(registry)
        self._describe_stages(registry)
        self._show_sources(registry)

    def _count_events(self, registry: CollectorRegistry) -> None:
        events = Counter(
            "andon_detector_events_total",
            "Events read from pipeline.events, by result: applied, duplicate of a known event, dead-lettered. "
            "Of a replica: aggregate by sum.",
            ["result"],
            registry=registry,
        )
        self.applied, self.duplicate, self.dead_lettered = map(events.labels, ("applied", "duplicate", "dead"))
        dead = Counter(
            "andon_detector_dead_letters_total",
            "Records written to dead-letter topics, by reason. Of a replica: aggregate by sum.",
            ["reason"],
            registry=registry,
        )
        self.dead = {reason: dead.labels(reason.value) for reason in DeadReason}
        self.event_seen = LoopHistogram(
            "andon_event_seen_seconds",
            "Time from when an event was received to when its deal stands as it says, by the clocks of both servers; "
            "of events that were not known before. None in replays. Of a replica: aggregate by sum.",
            SEEN_SECONDS,
            registry,
        ).child()
        self.late = Counter(
            "andon_detector_late_events_total",
            "Events applied whose time is older than judgement time by more than the policy's lateness. "
            "Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.of_deleted_deals = Counter(
            "andon_detector_deleted_deal_events_total",
            "Events that place a deal which was deleted before: they do not count until its source says that the deal "
            "was restored. Of a replica: aggregate by sum.",
            registry=registry,
        )
        self.unknown_stage = Counter(
            "andon_detector_unknown_stage_visits_total",
            "Visits written of deals to stages that the policy does not have. Of a replica: aggregate by sum.",
            registry=registry,
        )

    def _time_passes(self, registry: CollectorRegistry) -> None:
        self.watermark_delay = MeasuredGauge(
            "andon_detector_judgement_delay_seconds",
            "Seconds by which judgement time, up to which problems are evaluated, is behind the database's clock. "
            "Of the system: aggregate by max.",
            registry=registry,
        )
        self.pass_seconds = Histogram(
            "andon_detector_pass_seconds",
            "Seconds that one evaluation pass took, its transaction included. Of a replica: aggregate by sum.",
            buckets=BATCH_SECONDS,
            registry=registry,
        )
        messages = Counter(
            "andon_detector_problem_messages_total",
            "Messages published on flow.problems, by reason. Of a replica: aggregate by sum.",
            ["reason"],
            registry=registry,
        )
        self.messages = {reason: messages.labels(reason.value) for reason in ProblemReason}

    def _show_stages(self, registry: CollectorRegistry) -> None:
        self.wip = MeasuredGauge(
            "andon_flow_deals", "Deals now in the stage. Of the system: aggregate by max.", STAGE, registry=registry
        )
        self.oldest = MeasuredGauge(
            "andon_flow_oldest_age_seconds",
            "Age of the oldest deal now in the stage, in seconds on the stage's clock. "
            "Of the system: aggregate by max.",
            STAGE,
            registry=registry,
        )
        self.over_age = MeasuredGauge(
            "andon_flow_over_age_deals",
            "Deals now in the stage that are older than the limit of its aging rule. Of the system: aggregate by max.",
            STAGE,
            registry=registry,
        )
        self.problems = MeasuredGauge(
            "andon_flow_open_problems",
            "Problems that are open now, by kind and by mode of their rule. Of the system: aggregate by max.",
            ("kind", "mode"),
            registry=registry,
        )
        self.problem_open = MeasuredGauge(
            "andon_flow_problem_open_timestamp_seconds",
            "When a problem opened that is open now and whose rule is active, in event time. "
            "Of the system: aggregate by max.",
            ("kind", *STAGE),
            registry=registry,
        )

    def _describe_stages(self, registry: CollectorRegistry) -> None:
        self.stage_info = Gauge(
            "andon_stage_info",
            "1; the names and the position of an open stage of the policy, to join to other metrics. "
            "Of the system: aggregate by max.",
            (*STAGE, "pipeline_name", "stage_name", "position"),
            registry=registry,
        )
        self.limit = Gauge(
            "andon_flow_limit",
            "The limit of a rule: deals (wip-high, wip-low), or the age in seconds on the stage's clock "
            "(aging, stalled). Of the system: aggregate by max.",
            (*STAGE, "kind"),
            registry=registry,
        )
        self.unknown_deals = MeasuredGauge(
            "andon_flow_unknown_stage_deals",
            "Deals now in a stage that the policy does not have; of the 20 such stages with most deals. "
            "Of the system: aggregate by max.",
            STAGE,
            registry=registry,
        )

    def _show_sources(self, registry: CollectorRegistry) -> None:
        self.source_last_event = MeasuredGauge(
            "andon_source_last_event_timestamp_seconds",
            "When the last event of a source was received, whichever replica took it. Of the system: aggregate by max.",
            ("source",),
            registry=registry,
        )

    def record_seen(self, received: Sequence[int], now: int) -> None:
        """Events are applied `now` that were received at these instants. All in microseconds."""
        self.event_seen.observe_all([max(0, now - instant) / 1_000_000 for instant in received])

    def record_batch(self, applied: int, read: int) -> None:
        """Count a committed batch: events `applied` of those `read`."""
        self.applied.inc(applied)
        self.duplicate.inc(read - applied)

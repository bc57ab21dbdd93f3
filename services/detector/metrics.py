"""The detector's own metrics, made at start so that zero shows. Labels are pipelines, stages and kinds, never deals."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.dead import DeadReason
from shared.contracts.problems import ProblemReason
from shared.flow.ruleset import Ruleset
from shared.runtime.metrics import BATCH_SECONDS

STAGE = ("pipeline", "stage")
OTHER = "other"


class DetectorMetrics:
    """Events in, the present of every stage, and how judging gets on."""

    def __init__(self, registry: CollectorRegistry, judging: Ruleset) -> None:
        events = Counter(
            "andon_detector_events_total", "events read, by what became of them", ["result"], registry=registry
        )
        self.applied, self.duplicate, self.put_aside = (events.labels(r) for r in ("applied", "duplicate", "dead"))
        dead = Counter(
            "andon_detector_dead_letters_total", "records put aside, by reason", ["reason"], registry=registry
        )
        self.dead = {reason: dead.labels(reason.value) for reason in DeadReason}
        self.late = Counter("andon_detector_late_events_total", "events older than the lateness", registry=registry)
        self.unknown_stage = Counter(
            "andon_detector_unknown_stage_visits_total",
            "visits to stages that the policy does not know",
            registry=registry,
        )
        self.judgement_delay = Gauge(
            "andon_detector_judgement_delay_seconds", "how far judgement time is behind now", registry=registry
        )
        self.pass_seconds = Histogram(
            "andon_detector_pass_seconds", "time of one pass of judging", buckets=BATCH_SECONDS, registry=registry
        )
        revisions = Counter(
            "andon_detector_problem_messages_total", "problem messages, by reason", ["reason"], registry=registry
        )
        self.messages = {reason: revisions.labels(reason.value) for reason in ProblemReason}
        self.wip = Gauge("andon_flow_deals", "deals in the stage", STAGE, registry=registry)
        self.oldest = Gauge(
            "andon_flow_oldest_age_seconds", "age of the oldest deal in the stage", STAGE, registry=registry
        )
        self.over_age = Gauge(
            "andon_flow_over_age_deals", "deals in the stage that are over its limit", STAGE, registry=registry
        )
        self.problems = Gauge("andon_flow_open_problems", "open problems", ("kind", "mode"), registry=registry)
        for place in [*judging.stages, (OTHER, OTHER)]:
            self.wip.labels(*place)
            self.oldest.labels(*place)
        for rule in judging.rules:
            self.problems.labels(rule.kind, rule.mode.value)

    def took(self, applied: int, read: int, dead: int) -> None:
        """A batch is done."""
        self.applied.inc(applied)
        self.duplicate.inc(read - applied)
        self.put_aside.inc(dead)

"""Publishes what a pass found: problems with their evidence, and the daily points of counts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias
from zoneinfo import ZoneInfo

from services.detector.publish import ages, evidence
from services.detector.publish.measures import MeasurePoint, MeasurePublisher
from services.detector.publish.messages import EVENT_SOURCE, keyed_by_subject
from services.detector.store import evaluation
from services.detector.store.evaluation import series_of
from shared.contracts.envelope import content_id
from shared.contracts.problems import (
    CauseClass,
    ProblemData,
    ProblemEvent,
    ProblemInterval,
    ProblemReason,
    ProblemType,
)
from shared.contracts.topics import PROBLEMS
from shared.flow.checkpoints import Checkpoint, Pass
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, instant
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import moment
from shared.stream import outbox

# Days before a problem that its count is compared with; below the minimum, publish no comparison.
BASELINE_DAYS, BASELINE_MIN_DAYS = 56, 10
# Natural process limits of an XmR chart: mean +- 2.66 x mean moving range (Wheeler).
XMR_FACTOR = 2.66
TYPE_OF_REASON = {
    ProblemReason.OPENED: ProblemType.OPENED,
    ProblemReason.GREW: ProblemType.CHANGED,
    ProblemReason.REVISED: ProblemType.CHANGED,
    ProblemReason.CLEARED: ProblemType.CLEARED,
    ProblemReason.RETRACTED: ProblemType.RETRACTED,
    ProblemReason.UNRULED: ProblemType.RETRACTED,
}
CORRECTIONS = (ProblemReason.REVISED, ProblemReason.RETRACTED, ProblemReason.UNRULED)
_DAYS = """
SELECT value FROM measure WHERE pipeline = $1 AND stage = $2 AND measure = $3 AND end_at > $4 AND end_at <= $5
ORDER BY end_at
"""
RuleRevision: TypeAlias = tuple[Rule, Revision, bool]
"""(rule, revision of one of its intervals, whether that is historic)."""


@dataclass(frozen=True)
class Finding:
    """What a pass found on one series, and where it began."""

    series: str
    rules: Sequence[Rule]
    start: Checkpoint
    result: Pass


class ProblemPublisher:
    """Puts messages for `flow.problems` and `flow.measures` into the outbox, in the caller's transaction."""

    def __init__(self, ruleset: Ruleset, topic_prefix: str = "") -> None:
        self._ruleset, self._topic = ruleset, topic_prefix + PROBLEMS
        self._measures = MeasurePublisher(ZoneInfo(ruleset.policy.timezone), topic_prefix)

    async def publish_problems(
        self, connection: Connection, revisions: Sequence[RuleRevision], until: int, now: datetime
    ) -> None:
        """One message for each revision, in the order of their instants. `until`: the watermark, in microseconds."""
        corrections = await evaluation.corrections(connection, {rule.key for rule, _, _ in revisions})
        messages = []
        for rule, revision, historic in sorted(revisions, key=lambda r: instant(r[1])):
            data = await self._problem(connection, rule, revision, historic, until, now)
            messages.append(self._message(data, moment(instant(revision)), corrections))
        await evaluation.save_corrections(connection, corrections)
        await outbox.put(connection, messages)

    async def publish_unruled(self, connection: Connection, rows: Sequence[Record], now: datetime) -> None:
        """Retract the intervals of rules that the policy no longer has; `rows` are those of `problem`."""
        corrections = await evaluation.corrections(connection, {row["key"] for row in rows})
        problems = [_unruled_problem(row, now) for row in rows]
        await outbox.put(connection, [self._message(data, data.opened_at, corrections) for data in problems])
        await evaluation.save_corrections(connection, corrections)

    async def publish_measures(self, connection: Connection, findings: Sequence[Finding]) -> None:
        """The counts at the ends of days that are new or have changed; the ages of these days become stale."""
        points, ends = [], set()
        for finding in findings:
            series = series_of(finding.series)
            for at, count in finding.result.samples:
                points.append(MeasurePoint(series.pipeline, series.stage, series.measure, at, float(count)))
                ends.add(at)
        if ends:
            await ages.mark_stale(connection, list(ends))
        await self._measures.publish(connection, points)

    def _message(self, data: ProblemData, time: datetime, corrections: dict[str, int]) -> OutgoingMessage:
        """Counts the message in `corrections` if it withdraws something, so that the same may be published again."""
        correction = corrections.get(data.key, 0)
        event = ProblemEvent.new(
            id=_id(data, correction),
            source=EVENT_SOURCE,
            type=TYPE_OF_REASON[data.reason],
            subject=data.key,
            time=time,
            data=data,
        )
        if data.reason in CORRECTIONS:
            corrections[data.key] = correction + 1
        return keyed_by_subject(self._topic, event)

    async def _problem(
        self, connection: Connection, rule: Rule, revision: Revision, historic: bool, until: int, now: datetime
    ) -> ProblemData:
        interval, was = revision.interval, revision.was
        days = await self._baseline(connection, rule, interval.opened_at)
        shown = None if historic else await evidence.gather(connection, rule, interval.opened_at, until)
        is_open = interval.cleared_at is None
        return ProblemData(
            key=rule.key,
            kind=rule.kind,
            pipeline=rule.pipeline,
            stage=rule.stage,
            reason=revision.reason,
            mode=rule.mode,
            historic=historic,
            detected_at=now,
            was=None if was is None else _interval_data(was),
            rule=f"{rule.kind}/{rule.version}",
            policy_version=self._ruleset.policy.digest,
            count=shown.total if shown is not None and is_open else interval.peak,
            threshold=rule.threshold,
            limit=rule.rule.limit.text if rule.limit is not None else None,
            limit_seconds=None if rule.limit is None else rule.limit // 1_000_000,
            hold_seconds=rule.hold // 1_000_000,
            usual=statistics.median(days) if len(days) >= BASELINE_MIN_DAYS else None,
            cause_class=cause_class(rule, interval.peak, days),
            evidence=shown,
            **dict(_interval_data(interval)),
        )

    async def _baseline(self, connection: Connection, rule: Rule, opened_at: int) -> list[float]:
        """The same count at the ends of the days before."""
        end = moment(opened_at)
        begin = end - timedelta(days=BASELINE_DAYS)
        rows = await connection.fetch(_DAYS, rule.pipeline, rule.stage, rule.measure.value, begin, end)
        return [row["value"] for row in rows]


def _id(data: ProblemData, correction: int) -> str:
    """The same for a message that is published again after a restore, when its evidence may differ.

    `correction`: how often something published of the key was taken back before.
    """
    intervals = [
        part
        for interval in (data.was, data)
        if interval is not None
        for part in (interval.opened_at, interval.cleared_at, interval.peak)
    ]
    return content_id(data.key, data.reason.value, data.mode.value, data.historic, correction, *intervals)


def cause_class(rule: Rule, peak: int, days: Sequence[float]) -> CauseClass:
    """Special if the peak is outside the limits that the days before suggest, else common."""
    if len(days) < BASELINE_MIN_DAYS:
        return CauseClass.UNKNOWN
    mean = statistics.fmean(days)
    spread = XMR_FACTOR * statistics.fmean(abs(b - a) for a, b in pairwise(days))
    outside = peak < mean - spread if rule.starves else peak > mean + spread
    return CauseClass.SPECIAL if outside else CauseClass.COMMON


def _unruled_problem(row: Record, now: datetime) -> ProblemData:
    interval = ProblemInterval(opened_at=row["opened_at"], cleared_at=row["cleared_at"], peak=row["peak"])
    return ProblemData(
        key=row["key"],
        kind=row["kind"],
        pipeline=row["pipeline"],
        stage=row["stage"],
        reason=ProblemReason.UNRULED,
        mode=row["mode"],
        historic=row["cleared_at"] is not None,
        detected_at=now,
        was=interval,
        rule=row["rule"],
        policy_version=row["policy_version"],
        count=0,
        threshold=0,
        **dict(interval),
    )


def _interval_data(interval: Interval) -> ProblemInterval:
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    return ProblemInterval(opened_at=moment(interval.opened_at), cleared_at=cleared, peak=interval.peak)

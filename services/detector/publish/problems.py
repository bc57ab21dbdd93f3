"""Puts findings into messages: problems with their evidence, and the daily points of counts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.detector.publish import ages, evidence
from services.detector.publish.measures import SOURCE, MeasurePublisher, Point
from services.detector.store.evaluation import series_of
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
from shared.flow.revisions import Revision, instant
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.kafka.publisher import OutgoingMessage
from shared.runtime.instants import moment

USUAL_DAYS, USUAL_LEAST = 56, 10
# Natural process limits of an XmR chart: mean +- 2.66 x mean moving range (Wheeler).
LIMIT_FACTOR = 2.66
TYPES = {
    ProblemReason.OPENED: ProblemType.OPENED,
    ProblemReason.GREW: ProblemType.CHANGED,
    ProblemReason.REVISED: ProblemType.CHANGED,
    ProblemReason.CLEARED: ProblemType.CLEARED,
    ProblemReason.RETRACTED: ProblemType.RETRACTED,
    ProblemReason.UNRULED: ProblemType.RETRACTED,
}
_DAYS = """
SELECT value FROM measure WHERE pipeline = $1 AND stage = $2 AND measure = $3 AND end_at > $4 AND end_at <= $5
ORDER BY end_at
"""


@dataclass(frozen=True)
class Finding:
    """What a pass found on one series, and where it began."""

    series: str
    rules: Sequence[Rule]
    start: Checkpoint
    result: Pass


class ProblemPublisher:
    """Makes messages for `flow.problems` and `flow.measures`."""

    def __init__(self, judging: Ruleset, topic_prefix: str = "") -> None:
        self._judging, self._prefix = judging, topic_prefix
        self._points = MeasurePublisher(ZoneInfo(judging.policy.timezone), topic_prefix)

    async def problems(
        self, connection: Any, revisions: Sequence[tuple[Rule, Revision, bool]], until: int, now: datetime
    ) -> list[OutgoingMessage]:
        """One message for each revision, in the order of their instants."""
        messages = []
        for rule, revision, historic in sorted(revisions, key=lambda r: instant(r[1])):
            data = await self._problem(connection, rule, revision, historic, until, now)
            event = ProblemEvent(
                id=uuid4().hex,
                source=SOURCE,
                type=TYPES[revision.reason],
                subject=rule.key,
                time=moment(instant(revision)),
                data=data,
            )
            messages.append(OutgoingMessage(self._prefix + PROBLEMS, rule.key.encode(), event.to_json()))
        return messages

    def unruled(self, rows: Sequence[Any], now: datetime) -> list[OutgoingMessage]:
        """What a rule found that the policy has no more is taken back."""
        messages = []
        for row in rows:
            interval = ProblemInterval(opened_at=row["opened_at"], cleared_at=row["cleared_at"], peak=row["peak"])
            data = ProblemData(
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
            event = ProblemEvent(
                id=uuid4().hex,
                source=SOURCE,
                type=TYPES[data.reason],
                subject=data.key,
                time=data.opened_at,
                data=data,
            )
            messages.append(OutgoingMessage(self._prefix + PROBLEMS, data.key.encode(), event.to_json()))
        return messages

    async def _problem(
        self, connection: Any, rule: Rule, revision: Revision, historic: bool, until: int, now: datetime
    ) -> ProblemData:
        interval, was = revision.interval, revision.was
        days = await self._usual_days(connection, rule, interval.opened_at)
        shown = None if historic else await evidence.gather(connection, rule, interval.opened_at, until)
        open_now = interval.cleared_at is None
        return ProblemData(
            key=rule.key,
            kind=rule.kind,
            pipeline=rule.pipeline,
            stage=rule.stage,
            reason=revision.reason,
            mode=rule.mode,
            historic=historic,
            detected_at=now,
            opened_at=moment(interval.opened_at),
            cleared_at=None if interval.cleared_at is None else moment(interval.cleared_at),
            peak=interval.peak,
            was=None if was is None else _contract(was),
            rule=f"{rule.kind}/{rule.version}",
            policy_version=self._judging.policy.digest,
            count=shown.total if shown is not None and open_now else interval.peak,
            threshold=rule.threshold,
            limit=rule.rule.limit.text if rule.limit is not None else None,
            limit_seconds=None if rule.limit is None else rule.limit // 1_000_000,
            hold_seconds=rule.hold // 1_000_000,
            usual=statistics.median(days) if len(days) >= USUAL_LEAST else None,
            cause_class=cause_class(rule, interval.peak, days),
            evidence=shown,
        )

    async def _usual_days(self, connection: Any, rule: Rule, opened_at: int) -> list[float]:
        """The same count at the ends of the days before."""
        end = moment(opened_at)
        begin = end - timedelta(days=USUAL_DAYS)
        rows = await connection.fetch(_DAYS, rule.pipeline, rule.stage, rule.measure.value, begin, end)
        return [row["value"] for row in rows]

    async def measures(self, connection: Any, findings: Sequence[Finding]) -> list[OutgoingMessage]:
        """The counts at the ends of days that are new or have changed; the ages then are marked for `ages`."""
        points, ends = [], set()
        for finding in findings:
            series = series_of(finding.series)
            for at, count in finding.result.samples:
                points.append(Point(series.pipeline, series.stage, series.measure, at, float(count)))
                ends.add(at)
        if ends:
            await ages.mark(connection, list(ends))
        return await self._points.save(connection, points)


def cause_class(rule: Rule, peak: int, days: Sequence[float]) -> CauseClass:
    """Special where the count lies outside of what the days before let expect; common where it lies within."""
    if len(days) < USUAL_LEAST:
        return CauseClass.UNKNOWN
    mean = statistics.fmean(days)
    spread = LIMIT_FACTOR * statistics.fmean(abs(b - a) for a, b in pairwise(days))
    outside = peak < mean - spread if rule.starves else peak > mean + spread
    return CauseClass.SPECIAL if outside else CauseClass.COMMON


def _contract(interval: Any) -> ProblemInterval:
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    return ProblemInterval(opened_at=moment(interval.opened_at), cleared_at=cleared, peak=interval.peak)

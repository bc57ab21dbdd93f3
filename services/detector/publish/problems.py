"""Publishes what a pass found: problems with their evidence, and the daily points of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.publish import ages, evidence
from services.detector.publish.causes import CauseFinder
from services.detector.publish.measures import MeasurePoint, MeasurePublisher
from services.detector.publish.messages import EVENT_SOURCE, keyed_by_subject
from services.detector.store import causes as cause_store
from services.detector.store import evaluation, learning
from services.detector.store.evaluation import series_of
from shared.contracts.problems import (
    CORRECTIONS,
    TYPE_OF_REASON,
    ProblemData,
    ProblemEvent,
    ProblemInterval,
    ProblemReason,
)
from shared.contracts.topics import PROBLEMS
from shared.flow.checkpoints import Checkpoint, Pass
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, instant
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.cause import Cause
from shared.flow.statistics.chance import CountChance
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import moment
from shared.stream import outbox


class RuleRevision(NamedTuple):
    """A revision of one of a rule's intervals, and whether that is historic.

    `chance`: how often the rule opens by chance; None: as it is stored.
    """

    rule: Rule
    revision: Revision
    historic: bool
    chance: CountChance | None = None


@dataclass(frozen=True)
class Finding:
    """What a pass found on one series, and where it began."""

    series: str
    rules: Sequence[Rule]
    start: Checkpoint
    result: Pass


class _ProblemContext(NamedTuple):
    """What stands on problems beside their numbers: chances by problem key, and cause classes."""

    chances: Mapping[str, CountChance]
    causes: CauseFinder


class ProblemPublisher:
    """Puts messages for `flow.problems` and `flow.measures` into the outbox, in the caller's transaction."""

    def __init__(self, ruleset: Ruleset, topic_prefix: str = "") -> None:
        self._ruleset, self._topic = ruleset, topic_prefix + PROBLEMS
        self._measures = MeasurePublisher(ZoneInfo(ruleset.policy.timezone), topic_prefix)

    async def publish_problems(
        self, connection: Connection, revisions: Sequence[RuleRevision], until: int, now: datetime
    ) -> None:
        """One message for each revision, in the order of their instants. `until`: the watermark, in microseconds."""
        if not revisions:
            return
        corrections = await evaluation.corrections(connection, {one.rule.key for one in revisions})
        context = await self._context_of(connection, revisions)
        messages, causes = [], dict[tuple[str, int], Cause]()
        for one in sorted(revisions, key=lambda one: instant(one.revision)):
            cause = await context.causes.of(one.rule, one.revision.interval.opened_at)
            data = await self._problem(connection, one, cause, context.chances.get(one.rule.key), until, now)
            messages.append(self._message(data, moment(instant(one.revision)), corrections))
            causes[one.rule.key, one.revision.interval.opened_at] = cause
        await cause_store.save(connection, causes)
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
            id=data.message_id(correction),
            source=EVENT_SOURCE,
            type=TYPE_OF_REASON[data.reason],
            subject=data.key,
            time=time,
            data=data,
        )
        if data.reason in CORRECTIONS:
            corrections[data.key] = correction + 1
        return keyed_by_subject(self._topic, event)

    async def _context_of(self, connection: Connection, revisions: Sequence[RuleRevision]) -> _ProblemContext:
        stored = await learning.chances(connection, {one.rule.key for one in revisions})
        return _ProblemContext(
            {key: one.chance for key, one in stored.items()}
            | {one.rule.key: one.chance for one in revisions if one.chance is not None},
            await CauseFinder.load(connection, self._ruleset.policy),
        )

    async def _problem(
        self,
        connection: Connection,
        found: RuleRevision,
        cause: Cause,
        chance: CountChance | None,
        until: int,
        now: datetime,
    ) -> ProblemData:
        rule, revision, historic, _ = found
        interval, was = revision.interval, revision.was
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
            limit=rule.limit_text,
            limit_seconds=None if rule.limit is None else rule.limit // 1_000_000,
            hold_seconds=rule.hold // 1_000_000,
            usual=None if chance is None else chance.usual,
            chance=None if chance is None else chance.per_quarter,
            exceed=None if chance is None else chance.exceed,
            cause_class=cause.cause,
            cause_points=cause.points if rule.cause_charts else None,
            cause_needed=cause.needed if rule.cause_charts else None,
            evidence=shown,
            **dict(_interval_data(interval)),
        )


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

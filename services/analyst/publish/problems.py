"""Messages of `flow.problems` about what charts show, and about silent sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.findings import OpeningDetail, RuleFinding
from services.analyst.store import problems
from shared.contracts.problems import (
    CORRECTIONS,
    TYPE_OF_REASON,
    ProblemData,
    ProblemEvent,
    ProblemInterval,
    ProblemReason,
)
from shared.contracts.topics import PROBLEMS
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, instant
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import moment
from shared.stream import outbox

EVENT_SOURCE = "andon/analyst"
RULE_VERSION = 1


class FindingRevision(NamedTuple):
    """A revision of one of a rule's intervals, and whether it is historic."""

    finding: RuleFinding
    revision: Revision
    historic: bool


class ProblemMessages:
    """Puts messages into the outbox, in the caller's transaction."""

    def __init__(self, policy: Policy, topic_prefix: str) -> None:
        self._policy, self._topic = policy, topic_prefix + PROBLEMS

    async def put(self, connection: Connection, revisions: Sequence[FindingRevision], now: datetime) -> None:
        """One message for each revision, in the order of their instants."""
        ordered = sorted(revisions, key=lambda one: instant(one.revision))
        corrections = await problems.corrections(connection, {one.finding.rule.key for one in ordered})
        messages = [self._message(self._data(one, now), moment(instant(one.revision)), corrections) for one in ordered]
        await problems.save_corrections(connection, corrections)
        await outbox.put(connection, messages)

    async def put_unruled(self, connection: Connection, rows: Sequence[Record], now: datetime) -> None:
        """Retract the intervals of rules that the policy no longer has; `rows` are those of `problem`."""
        corrections = await problems.corrections(connection, {row["key"] for row in rows})
        found = [_unruled(row, now) for row in rows]
        await outbox.put(connection, [self._message(data, data.opened_at, corrections) for data in found])
        await problems.save_corrections(connection, corrections)

    def _message(self, data: ProblemData, time: datetime, corrections: dict[str, int]) -> OutgoingMessage:
        """Counts the message in `corrections` where it takes back something: after it, the same may come again."""
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
        return OutgoingMessage(self._topic, event.subject.encode(), event.to_json())

    def _data(self, revised: FindingRevision, now: datetime) -> ProblemData:
        rule, revision = revised.finding.rule, revised.revision
        detail = revised.finding.details.get(revision.interval.opened_at, OpeningDetail(rule.cause))
        return ProblemData(
            key=rule.key,
            kind=rule.kind,
            pipeline=rule.pipeline,
            stage=rule.stage or None,
            source=rule.source,
            reason=revision.reason,
            mode=rule.mode,
            historic=revised.historic,
            detected_at=now,
            was=None if revision.was is None else _interval_data(revision.was),
            rule=f"{rule.kind}/{RULE_VERSION}",
            policy_version=self._policy.digest,
            count=revision.interval.peak,
            threshold=detail.threshold,
            cause_class=detail.cause,
            chance=float(rule.per_quarter),
            signal=detail.signal,
            bottleneck=detail.bottleneck,
            heard_at=detail.heard_at,
            pipelines=detail.pipelines,
            **dict(_interval_data(revision.interval)),
        )


def _unruled(row: Record, now: datetime) -> ProblemData:
    interval = ProblemInterval(opened_at=row["opened_at"], cleared_at=row["cleared_at"], peak=row["peak"])
    return ProblemData(
        key=row["key"],
        kind=row["kind"],
        pipeline=row["pipeline"],
        stage=row["stage"] or None,
        # A problem without a pipeline is one of a source.
        source=None if row["pipeline"] else row["key"].partition("/")[2],
        reason=ProblemReason.UNRULED,
        mode=row["mode"],
        historic=row["cleared_at"] is not None,
        detected_at=now,
        was=interval,
        rule=f"{row['kind']}/{RULE_VERSION}",
        policy_version=row["policy_version"],
        count=0,
        threshold=0,
        **dict(interval),
    )


def _interval_data(interval: Interval) -> ProblemInterval:
    cleared = None if interval.cleared_at is None else moment(interval.cleared_at)
    return ProblemInterval(opened_at=moment(interval.opened_at), cleared_at=cleared, peak=interval.peak)

"""Publishes what a pass found: problems with their evidence, and the daily points of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.publish import ages, evidence
from services.detector.publish.causes import CauseFinder
from services.detector.publish.daily_measures import MeasurePoint, MeasurePublisher
from services.detector.settings import EVENT_SOURCE
from services.detector.store import causes as cause_store
from services.detector.store import learning
from services.detector.store.evaluation import series_of
from shared.contracts.problems import ProblemData
from shared.flow.checkpoints import Checkpoint, Pass
from shared.flow.problem_fields import problem_fields
from shared.flow.revisions import Revision
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.cause import Cause
from shared.flow.statistics.chance import CountChance
from shared.postgres.pool import Connection, Record
from shared.stream.problems import ProblemOutbox


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
    """What messages say of problems beside their numbers: chances by problem key, and cause classes."""

    chances: Mapping[str, CountChance]
    causes: CauseFinder


class ProblemPublisher:
    """Puts messages for `flow.problems` and `flow.measures` into the outbox, in the caller's transaction."""

    def __init__(self, ruleset: Ruleset, topic_prefix: str = "") -> None:
        self._ruleset, self._problems = ruleset, ProblemOutbox(EVENT_SOURCE, topic_prefix)
        self._measures = MeasurePublisher(ZoneInfo(ruleset.policy.timezone), topic_prefix)

    async def publish_problems(
        self, connection: Connection, revisions: Sequence[RuleRevision], until: int, now: datetime
    ) -> None:
        """One message for each revision, in the order of their instants. `until`: the watermark, in microseconds."""
        if not revisions:
            return
        context = await self._context_of(connection, revisions)
        problems, causes = [], dict[tuple[str, int], Cause]()
        for one in revisions:
            cause = await context.causes.of(one.rule, one.revision.interval.opened_at)
            problems.append(await self._problem(connection, one, cause, context.chances.get(one.rule.key), until, now))
            causes[one.rule.key, one.revision.interval.opened_at] = cause
        await cause_store.save(connection, causes)
        await self._problems.put(connection, problems)

    async def publish_unruled(self, connection: Connection, rows: Sequence[Record], now: datetime) -> None:
        """Retract the intervals of rules that the policy no longer has; `rows` are those of `problem`."""
        await self._problems.put_unruled(connection, rows, now)

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
        rule, interval, historic = found.rule, found.revision.interval, found.historic
        shown = None if historic else await evidence.gather(connection, rule, interval.opened_at, until)
        is_open = interval.cleared_at is None
        return ProblemData(
            **problem_fields(rule, found.revision, historic, self._ruleset.policy.digest, now),
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
        )

"""Evaluates a pipeline's charts, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks anew:
intervals are a function of the points, the policy and the relocks, whatever came when.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.charts import ChartFinding, judge
from services.analyst.publish.problems import ChartRevision, ProblemMessages
from services.analyst.store import pipelines, points, problems, relocks
from services.analyst.store.pipelines import StalePipeline
from services.analyst.store.problems import SavedProblem
from shared.contracts.problems import Mode, ProblemReason
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, diff
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.watched import pipeline_watches
from shared.policy import Policy
from shared.postgres.pool import Connection, Record
from shared.runtime.instants import micros, moment


class _Reach(NamedTuple):
    """`reached`: judgement time before this evaluation; intervals that cleared by `since` stay as published."""

    reached: int | None
    since: int
    now: datetime


class ChartEvaluator:
    """Keeps nothing between evaluations: all state is in the database."""

    def __init__(self, policy: Policy, messages: ProblemMessages) -> None:
        self._policy, self._messages = policy, messages
        self._lateness = policy.lateness.micros()

    async def evaluate(self, connection: Connection, now: datetime) -> int | None:
        """Evaluate the pipelines that changed; how many messages that published. None: another replica evaluates."""
        if not await problems.try_lock(connection):
            return None
        return sum([await self._evaluate(connection, stale, now) for stale in await pipelines.stale(connection)])

    async def _evaluate(self, connection: Connection, stale: StalePipeline, now: datetime) -> int:
        known = await points.load(connection, stale.name, self._policy.timezone)
        if known is None or stale.name not in self._policy.pipelines:
            return 0
        until = known.weeks.start(known.over)
        locks = [_relock(row) for row in await relocks.load(connection, stale.name)]
        watches = pipeline_watches(stale.name, self._policy.pipelines[stale.name])
        reached = None if stale.reached is None else micros(stale.reached)
        span = _Reach(reached, (until if reached is None else reached) - self._lateness, now)
        revisions: list[ChartRevision] = []
        for finding in judge(known, watches, locks):
            revisions += await self._revise(connection, finding, span)
        await self._messages.put(connection, revisions, now)
        await self._retract_unruled(connection, stale.name, [watch.key for watch in watches], span)
        await pipelines.evaluated(connection, stale, moment(until))
        return len(revisions)

    async def _revise(self, connection: Connection, finding: ChartFinding, span: _Reach) -> list[ChartRevision]:
        """Save how the intervals of one chart differ from the published ones; gives the differences."""
        watch = finding.watch
        published = (await problems.published(connection, [watch.key], span.since))[watch.key]
        found = [one for one in finding.intervals if one.cleared_at is None or one.cleared_at > span.since]
        revisions = diff([interval for interval, _ in published.values()], found)
        revisions += _changed_mode(watch.mode, published.values(), found)
        historic = {r.interval.opened_at for r in revisions if _is_historic(r, span.reached)}
        instants = {one.opened_at for one in found}
        await problems.drop(connection, [(watch.key, at) for at in published if at not in instants])
        changed = [one for one in found if published.get(one.opened_at) != (one, watch.mode)]
        await problems.save(
            connection,
            [
                SavedProblem(
                    watch.key,
                    one,
                    watch.kind,
                    watch.chart.pipeline,
                    watch.chart.stage,
                    watch.mode,
                    one.opened_at in historic,
                )
                for one in changed
            ],
            self._policy.digest,
            span.now,
        )
        return [ChartRevision(finding, one, one.interval.opened_at in historic) for one in revisions]

    async def _retract_unruled(self, connection: Connection, pipeline: str, keys: Sequence[str], span: _Reach) -> None:
        rows = await problems.take_unruled(connection, pipeline, keys, span.since)
        await self._messages.put_unruled(connection, rows, span.now)


def _relock(row: Record) -> Relock:
    return Relock(row["chart"], row["from_week"] or None, row["points"], row["reason"])


def _changed_mode(mode: Mode, published: Iterable[tuple[Interval, Mode]], found: Sequence[Interval]) -> list[Revision]:
    """An open interval whose rule has another mode now: nothing else of it differs, but tickets must hear of it."""
    open_ones = [one for one, was in published if was is not mode and one.cleared_at is None and one in found]
    return [Revision(ProblemReason.REVISED, one, one) for one in open_ones]


def _is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back: over before the judgement time that was already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached

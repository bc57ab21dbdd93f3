"""Evaluates charts that changed, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks of a chart
anew: intervals are a function of the points, the policy and the relocks, whatever came when. A chart waits until all of
its weeks that are over have come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.charts import ChartFinding, ChartSet, judge, load
from services.analyst.publish.problems import ChartRevision, ProblemMessages
from services.analyst.store import charts, pipelines, points, problems
from services.analyst.store.pipelines import PipelineState
from services.analyst.store.problems import SavedProblem
from shared.contracts.problems import Mode, ProblemReason
from shared.flow.intervals import Interval
from shared.flow.revisions import Revision, diff
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import WatchedChart, pipeline_watches
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import micros

_BEGINNING = 0


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
        """Evaluate the charts that changed; how many messages that published. None: another replica evaluates."""
        if not await problems.try_lock(connection):
            return None
        # In this order: what a message brings to a pipeline must not be seen without the charts that it marks.
        states, stale = await pipelines.load(connection), await charts.take(connection)
        count = 0
        for name in sorted({chart.pipeline for chart in stale} & states.keys()):
            own = {chart for chart in stale if chart.pipeline == name}
            count += await self._evaluate(connection, name, states[name], own, now)
        return count

    async def _evaluate(
        self, connection: Connection, name: str, state: PipelineState, stale: set[Chart], now: datetime
    ) -> int:
        pipeline = self._policy.pipelines.get(name)
        watches = [] if pipeline is None else pipeline_watches(name, pipeline)
        watched = {watch.chart for watch in watches}
        extents = await points.extents(connection, stale, state.numbering)
        ready = {chart: extent for chart, extent in extents.items() if extent.weeks >= state.over}
        waiting = stale - ready.keys()
        await charts.mark(connection, waiting)
        until = await charts.until(connection, ready)
        wanted = {chart: extent for chart, extent in ready.items() if chart in watched}
        known = await load(connection, wanted, state.numbering, self._policy.timezone)
        revisions = [] if known is None else await self._revisions(connection, state, known, watches, until, now)
        await self._messages.put(connection, revisions, now)
        since = self._reach(state, max(until.values(), default=None), now).since
        await self._retract_unruled(connection, name, [watch.key for watch in watches], since, now)
        await charts.save_until(connection, {chart: extent.until for chart, extent in ready.items()})
        await charts.mark_signals(connection, ready.keys())
        if state.since is not None and not waiting & watched:
            await pipelines.reevaluated(connection, name)
        return len(revisions)

    async def _revisions(
        self,
        connection: Connection,
        state: PipelineState,
        known: ChartSet,
        watches: Sequence[WatchedChart],
        until: Mapping[Chart, datetime],
        now: datetime,
    ) -> list[ChartRevision]:
        """How the intervals of all watched charts differ from those before."""
        found: list[ChartRevision] = []
        for finding in judge(known, [watch for watch in watches if watch.chart in known.charts]):
            reach = self._reach(state, until.get(finding.watch.chart), now)
            found += await self._revise(connection, finding, reach)
        return found

    def _reach(self, state: PipelineState, until: datetime | None, now: datetime) -> _Reach:
        """Of a chart that is evaluated until an instant; None: it never was."""
        reached = max((micros(at) for at in (state.reached, until) if at is not None), default=None)
        if until is None:
            return _Reach(reached, _BEGINNING, now)
        edges = [micros(until) - self._lateness] + ([] if state.since is None else [micros(state.since)])
        return _Reach(reached, max(min(edges), _BEGINNING), now)

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
        told = [ChartRevision(finding, one, one.interval.opened_at in historic) for one in revisions]
        # A historic interval comes in one message.
        return [one for one in told if not (one.historic and one.revision.reason is ProblemReason.OPENED)]

    async def _retract_unruled(
        self, connection: Connection, pipeline: str, keys: Collection[str], since: int, now: datetime
    ) -> None:
        rows = await problems.take_unruled(connection, pipeline, keys, since)
        await self._messages.put_unruled(connection, rows, now)


def _changed_mode(mode: Mode, published: Iterable[tuple[Interval, Mode]], found: Sequence[Interval]) -> list[Revision]:
    """An open interval whose rule has another mode now: nothing else of it differs, but tickets must hear of it."""
    open_ones = [one for one, was in published if was is not mode and one.cleared_at is None and one in found]
    return [Revision(ProblemReason.REVISED, one, one) for one in open_ones]


def _is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back: over before the judgement time that was already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached

"""Evaluates charts that changed, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks of a chart
anew: intervals are a function of the points, the policy and the relocks, whatever came when. A chart waits until all of
its weeks that are over have come; a rule is judged when one of its charts changed and none of them waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from services.analyst.evaluate.charts import ChartRule, load
from services.analyst.evaluate.revise import Reach, save_findings
from services.analyst.evaluate.rules import rules_of
from services.analyst.publish.problems import ProblemMessages
from services.analyst.store import charts, pipelines, points, problems
from services.analyst.store.pipelines import PipelineState
from shared.flow.statistics.columns import Chart
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import micros

_BEGINNING = 0


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
        rules = [] if pipeline is None else rules_of(name, pipeline)
        changed = [rule for rule in rules if not stale.isdisjoint(rule.charts)]
        extents = await points.extents(connection, stale.union(*(rule.charts for rule in changed)), state.numbering)
        ready = {chart: extent for chart, extent in extents.items() if extent.weeks >= state.over}
        waiting = stale - ready.keys()
        await charts.mark(connection, waiting)
        until = await charts.until(connection, ready)
        judged = [rule for rule in changed if ready.keys() >= set(rule.charts)]
        wanted = {chart: ready[chart] for rule in judged for chart in rule.charts}
        known = await load(connection, wanted, state.numbering, self._policy.timezone)
        found = [(rule.find(known), self._reach(state, _until(rule, until))) for rule in judged if known is not None]
        revisions = await save_findings(connection, found, self._policy.digest, now)
        await self._messages.put(connection, revisions, now)
        since = self._reach(state, max(until.values(), default=None)).since
        await self._retract_unruled(connection, name, [rule.key for rule in rules], since, now)
        await charts.save_until(connection, {chart: ready[chart].until for chart in stale & ready.keys()})
        await charts.mark_signals(connection, stale & ready.keys())
        if state.since is not None and all(waiting.isdisjoint(rule.charts) for rule in rules):
            await pipelines.reevaluated(connection, name)
        return len(revisions)

    def _reach(self, state: PipelineState, until: datetime | None) -> Reach:
        """Of a rule that is evaluated until an instant; None: it never was."""
        reached = max((micros(at) for at in (state.reached, until) if at is not None), default=None)
        if until is None:
            return Reach(reached, _BEGINNING)
        edges = [micros(until) - self._lateness] + ([] if state.since is None else [micros(state.since)])
        return Reach(reached, max(min(edges), _BEGINNING))

    async def _retract_unruled(
        self, connection: Connection, pipeline: str, keys: Collection[str], since: int, now: datetime
    ) -> None:
        rows = await problems.take_unruled(connection, pipeline, keys, since)
        await self._messages.put_unruled(connection, rows, now)


def _until(rule: ChartRule, until: Mapping[Chart, datetime]) -> datetime | None:
    """How far a rule is evaluated: as far as the last of its charts."""
    return min(until[chart] for chart in rule.charts) if until.keys() >= set(rule.charts) else None

"""Evaluates charts that changed, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks of a chart
anew: intervals are a function of the points, the policy and the relocks, whatever came when. A chart waits until all of
its weeks that are over have come; a rule is judged when one of its charts changed and none of them waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.charts import ChartRule, load
from services.analyst.evaluate.revise import Reach, save_findings
from services.analyst.evaluate.rules import rules_of
from services.analyst.publish.problems import ProblemMessages
from services.analyst.store import charts, pipelines, points, problems
from services.analyst.store.charts import StaleCharts
from services.analyst.store.pipelines import PipelineState
from services.analyst.store.points import Extent
from shared.flow.statistics.columns import Chart
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import micros

_BEGINNING = 0


class _Scope(NamedTuple):
    """What one evaluation of a pipeline covers.

    `rules`: all of the pipeline; `changed`: those with a marked chart; `judged`: those of them that wait for no chart.
    `ready`: charts of which all weeks that are over have come; `until`: how far those were evaluated that ever were.
    """

    state: PipelineState
    marked: StaleCharts
    rules: Sequence[ChartRule]
    changed: Sequence[ChartRule]
    judged: Sequence[ChartRule]
    ready: Mapping[Chart, Extent]
    until: Mapping[Chart, datetime]

    @property
    def waiting(self) -> set[Chart]:
        """Marked charts of which weeks are missing."""
        return self.marked.charts - self.ready.keys()

    def still_relocked(self) -> set[Chart]:
        """Charts whose relock is not yet in all of their rules."""
        keys = {rule.key for rule in self.judged}
        unjudged = {chart for rule in self.changed if rule.key not in keys for chart in rule.charts}
        return self.marked.relocked & (unjudged | self.waiting)

    def until_of(self, rule: ChartRule) -> datetime | None:
        """How far a rule is evaluated: as far as the first of its charts; None: it never was."""
        known = self.until.keys() >= set(rule.charts)
        return min(self.until[chart] for chart in rule.charts) if known else None


class ChartEvaluator:
    """Keeps nothing between evaluations: all state is in the database."""

    def __init__(self, policy: Policy, messages: ProblemMessages) -> None:
        self._policy, self._messages = policy, messages
        self._lateness = policy.lateness.micros()

    async def evaluate(self, connection: Connection, now: datetime) -> int | None:
        """Evaluate the charts that changed; how many messages that published.

        None: another replica evaluates, or must, as it was started later with another policy.
        """
        if not await problems.try_lock(connection) or await charts.policy(connection) != self._policy.digest:
            return None
        # Pipelines first: a message's state must not be seen without the charts that it marks.
        states, stale = await pipelines.load(connection), await charts.take(connection)
        count = 0
        for name in sorted({chart.pipeline for chart in stale.charts} & states.keys()):
            count += await self._evaluate(connection, name, states[name], stale.of(name), now)
        return count

    async def _evaluate(
        self, connection: Connection, name: str, state: PipelineState, marked: StaleCharts, now: datetime
    ) -> int:
        scope = await self._scope(connection, name, state, marked)
        await charts.mark(connection, scope.waiting)
        await charts.mark(connection, scope.still_relocked(), is_relocked=True)
        wanted = {chart: scope.ready[chart] for rule in scope.judged for chart in rule.charts}
        known = await load(connection, wanted, state.numbering, self._policy.timezone)
        judged = [] if known is None else [(rule.find(known), self._reach_of(rule, scope)) for rule in scope.judged]
        revisions = await save_findings(connection, judged, self._policy.digest, now)
        await self._messages.put(connection, revisions, now)
        await self._retract_unruled(connection, name, scope, now)
        evaluated = marked.charts & scope.ready.keys()
        await charts.save_until(connection, {chart: scope.ready[chart].until for chart in evaluated})
        await charts.mark_signals(connection, evaluated)
        if state.since is not None and all(scope.waiting.isdisjoint(rule.charts) for rule in scope.rules):
            await pipelines.clear_since(connection, name)
        return len(revisions)

    async def _scope(self, connection: Connection, name: str, state: PipelineState, marked: StaleCharts) -> _Scope:
        pipeline = self._policy.pipelines.get(name)
        rules = [] if pipeline is None else rules_of(name, pipeline)
        changed = [rule for rule in rules if not marked.charts.isdisjoint(rule.charts)]
        asked = marked.charts.union(*(rule.charts for rule in changed))
        extents = await points.extents(connection, asked, state.numbering)
        ready = {chart: extent for chart, extent in extents.items() if extent.weeks >= state.over}
        judged = [rule for rule in changed if ready.keys() >= set(rule.charts)]
        return _Scope(state, marked, rules, changed, judged, ready, await charts.until(connection, ready))

    def _reach_of(self, rule: ChartRule, scope: _Scope) -> Reach:
        """A relock revises intervals of any age."""
        reach = self._reach(scope.state, scope.until_of(rule))
        return reach if scope.marked.relocked.isdisjoint(rule.charts) else reach._replace(since=_BEGINNING)

    def _reach(self, state: PipelineState, until: datetime | None) -> Reach:
        """Of what is evaluated until an instant; None: it never was."""
        reached = max((micros(at) for at in (state.reached, until) if at is not None), default=None)
        if until is None:
            return Reach(reached, _BEGINNING)
        edges = [micros(until) - self._lateness] + ([] if state.since is None else [micros(state.since)])
        return Reach(reached, max(min(edges), _BEGINNING))

    async def _retract_unruled(self, connection: Connection, pipeline: str, scope: _Scope, now: datetime) -> None:
        since = self._reach(scope.state, max(scope.until.values(), default=None)).since
        rows = await problems.take_unruled(connection, pipeline, [rule.key for rule in scope.rules], since)
        await self._messages.put_unruled(connection, rows, now)

"""Evaluates charts that changed, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks of a chart
anew: intervals are a function of the points, the policy and the relocks, whatever came when. A chart waits until all of
its weeks that are over have come; a rule is judged when one of its charts changed and none of them waits. A statement
reads or writes what it can of all pipelines at once: the end of a week changes every chart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from services.analyst.evaluate.charts import ChartRule, load
from services.analyst.evaluate.findings import RuleFinding
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


@dataclass(frozen=True)
class _Scope:
    """What one evaluation of a pipeline covers.

    `rules`: all of the pipeline; `changed`: those with a marked chart. `extents`: of charts that are marked, or of a
    changed rule.
    """

    name: str
    state: PipelineState
    marked: StaleCharts
    rules: Sequence[ChartRule]
    changed: Sequence[ChartRule]
    extents: Mapping[Chart, Extent]

    @cached_property
    def ready(self) -> dict[Chart, Extent]:
        """The charts of which all weeks that are over have come."""
        charts = self.marked.charts.union(*(rule.charts for rule in self.changed))
        known = ((chart, self.extents.get(chart)) for chart in charts)
        return {chart: extent for chart, extent in known if extent is not None and extent.weeks >= self.state.over}

    @cached_property
    def judged(self) -> list[ChartRule]:
        """The changed rules that wait for no chart."""
        return [rule for rule in self.changed if self.ready.keys() >= set(rule.charts)]

    @property
    def evaluated(self) -> dict[Chart, Extent]:
        """The marked charts that are evaluated now."""
        return {chart: self.ready[chart] for chart in self.marked.charts if chart in self.ready}

    @property
    def waiting(self) -> set[Chart]:
        """Marked charts of which weeks are missing."""
        return self.marked.charts - self.ready.keys()

    @property
    def still_relocked(self) -> set[Chart]:
        """Charts whose relock is not yet in all of their rules."""
        keys = {rule.key for rule in self.judged}
        unjudged = {chart for rule in self.changed if rule.key not in keys for chart in rule.charts}
        return self.marked.relocked & (unjudged | self.waiting)

    @property
    def is_complete(self) -> bool:
        """Whether no rule waits."""
        waiting = self.waiting
        return all(waiting.isdisjoint(rule.charts) for rule in self.rules)

    @property
    def until(self) -> datetime | None:
        """How far the chart that is evaluated furthest was evaluated before; None: none ever was."""
        return max((one.evaluated for one in self.ready.values() if one.evaluated is not None), default=None)

    def until_of(self, rule: ChartRule) -> datetime | None:
        """How far a rule is evaluated: as far as the first of its charts; None: it never was."""
        known = [self.ready[chart].evaluated for chart in rule.charts]
        return None if None in known else min(at for at in known if at is not None)


class ChartEvaluator:
    """Keeps nothing between evaluations: all state is in the database."""

    def __init__(self, policy: Policy, messages: ProblemMessages) -> None:
        self._policy, self._messages = policy, messages
        self._lateness = policy.lateness.micros()
        self._rules = {name: rules_of(name, pipeline) for name, pipeline in policy.pipelines.items()}

    async def evaluate(self, connection: Connection, now: datetime) -> int | None:
        """Evaluate the charts that changed; how many messages that published.

        None: another replica evaluates, or must, as it was started later with another policy.
        """
        if not await problems.try_lock(connection) or await charts.policy(connection) != self._policy.digest:
            return None
        # Pipelines first: a message's state must not be seen without the charts that it marks.
        states, stale = await pipelines.load(connection), await charts.take(connection)
        marked = {name: some for name, some in sorted(stale.by_pipeline().items()) if name in states}
        scopes = await self._scopes(connection, marked, states)
        await charts.mark(connection, _all(scope.waiting for scope in scopes))
        await charts.mark(connection, _all(scope.still_relocked for scope in scopes), is_relocked=True)
        found = await self._judge(connection, scopes)
        revisions = await save_findings(connection, found, self._policy.digest, now)
        await self._messages.put(connection, revisions, now)
        await self._finish(connection, scopes, now)
        return len(revisions)

    async def _scopes(
        self, connection: Connection, marked: Mapping[str, StaleCharts], states: Mapping[str, PipelineState]
    ) -> list[_Scope]:
        changed = {
            name: [rule for rule in self._rules.get(name, ()) if not some.charts.isdisjoint(rule.charts)]
            for name, some in marked.items()
        }
        asked = _all(some.charts for some in marked.values())
        asked |= _all(rule.charts for rules in changed.values() for rule in rules)
        extents = await points.extents(connection, {chart: states[chart.pipeline].numbering for chart in asked})
        return [
            _Scope(name, states[name], some, self._rules.get(name, ()), changed[name], extents)
            for name, some in marked.items()
        ]

    async def _judge(self, connection: Connection, scopes: Sequence[_Scope]) -> list[tuple[RuleFinding, Reach]]:
        wanted = {chart: one.ready[chart] for one in scopes for rule in one.judged for chart in rule.charts}
        known = await load(connection, wanted, self._policy.timezone)
        found = list[tuple[RuleFinding, Reach]]()
        for one in scopes:
            found += [(rule.find(known[one.name]), self._reach_of(rule, one)) for rule in one.judged]
            # Other tasks run between pipelines.
            await asyncio.sleep(0)
        return found

    async def _finish(self, connection: Connection, scopes: Sequence[_Scope], now: datetime) -> None:
        """Note what is evaluated, and take back what no rule finds any more."""
        since = {scope.name: self._reach(scope.state, scope.until).since for scope in scopes}
        keys = [rule.key for scope in scopes for rule in scope.rules]
        await self._messages.put_unruled(connection, await problems.take_unruled(connection, since, keys), now)
        evaluated = {chart: extent for scope in scopes for chart, extent in scope.evaluated.items()}
        await points.save_evaluated(connection, evaluated)
        await charts.mark_signals(connection, evaluated)
        for scope in scopes:
            if scope.state.since is not None and scope.is_complete:
                await pipelines.clear_since(connection, scope.name)

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


def _all(parts: Iterable[Iterable[Chart]]) -> set[Chart]:
    return set[Chart]().union(*parts)

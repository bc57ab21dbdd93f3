"""Evaluates charts that changed, and publishes how the intervals differ from those before.

One replica at a time does so, in one transaction with the messages that it causes. It works out all weeks of a chart
anew: intervals are a function of the points, the policy and the relocks, whatever came when. A chart waits until all of
its weeks that are over have come; a rule is judged when one of its charts changed and none of them waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.charts import ChartFinding, ChartRule, ChartSet, load
from services.analyst.evaluate.rules import rules_of
from services.analyst.publish.problems import ChartRevision, ProblemMessages
from services.analyst.store import charts, pipelines, points, problems
from services.analyst.store.pipelines import PipelineState
from services.analyst.store.points import Extent
from services.analyst.store.problems import SavedProblem
from shared.contracts.problems import Mode
from shared.flow.intervals import Interval
from shared.flow.revisions import revisions_of
from shared.flow.statistics.columns import Chart
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.instants import micros

_BEGINNING = 0


class _Reach(NamedTuple):
    """`reached`: judgement time before this evaluation; intervals that cleared by `since` stay as published."""

    reached: int | None
    since: int


class ChartEvaluator:
    """Keeps nothing between evaluations: all state is in the database."""

    def __init__(self, policy: Policy, messages: ProblemMessages) -> None:
        self._policy, self._messages = policy, messages
        self._lateness = policy.lateness.micros()

    async def evaluate(self, connection: Connection, now: datetime) -> int | None:
        """Evaluate the charts that changed; returns how many messages that published. None: another replica does."""
        if not await problems.try_lock(connection):
            return None
        # Pipelines first: a message's state must not be seen without the charts that it marks.
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
        ready = await self._ready(connection, stale.union(*(rule.charts for rule in changed)), state)
        until = await charts.until(connection, ready)
        judged = [rule for rule in changed if ready.keys() >= set(rule.charts)]
        wanted = {chart: ready[chart] for rule in judged for chart in rule.charts}
        known = await load(connection, wanted, state.numbering, self._policy.timezone)
        revisions = [] if known is None else await self._revisions(connection, state, known, judged, until, now)
        await self._messages.put(connection, revisions, now)
        since = self._reach(state, max(until.values(), default=None)).since
        unruled = await problems.take_unruled(connection, name, [rule.key for rule in rules], since)
        await self._messages.put_unruled(connection, unruled, now)
        await self._save_progress(connection, stale, ready)
        waiting = stale - ready.keys()
        if state.since is not None and all(waiting.isdisjoint(rule.charts) for rule in rules):
            await pipelines.clear_since(connection, name)
        return len(revisions)

    async def _ready(
        self, connection: Connection, wanted: Collection[Chart], state: PipelineState
    ) -> dict[Chart, Extent]:
        """Of the charts those of which all weeks that are over have come."""
        extents = await points.extents(connection, wanted, state.numbering)
        return {chart: extent for chart, extent in extents.items() if extent.weeks >= state.over}

    async def _save_progress(self, connection: Connection, stale: set[Chart], ready: Mapping[Chart, Extent]) -> None:
        """Save how far the stale charts are evaluated, and have them published. Those not ready stay stale."""
        evaluated = stale & ready.keys()
        await charts.mark(connection, stale - evaluated)
        await charts.save_until(connection, {chart: ready[chart].until for chart in evaluated})
        await charts.mark_signals(connection, evaluated)

    async def _revisions(
        self,
        connection: Connection,
        state: PipelineState,
        known: ChartSet,
        judged: Sequence[ChartRule],
        until: Mapping[Chart, datetime],
        now: datetime,
    ) -> list[ChartRevision]:
        """Save how the intervals of rules differ from the published ones; returns the differences."""
        reach = {rule.key: self._reach(state, _until(rule, until)) for rule in judged}
        published = await problems.published(connection, {key: one.since for key, one in reach.items()})
        changes = [_changes(rule.find(known), published[rule.key], reach[rule.key]) for rule in judged]
        await problems.drop(connection, [gone for one in changes for gone in one.gone])
        saved = [problem for one in changes for problem in one.saved]
        await problems.save(connection, saved, self._policy.digest, now)
        return [revision for one in changes for revision in one.revisions]

    def _reach(self, state: PipelineState, until: datetime | None) -> _Reach:
        """Of a rule that was evaluated until an instant; None: it never was."""
        reached = max((micros(at) for at in (state.reached, until) if at is not None), default=None)
        if until is None:
            return _Reach(reached, _BEGINNING)
        edges = [micros(until) - self._lateness] + ([] if state.since is None else [micros(state.since)])
        return _Reach(reached, max(min(edges), _BEGINNING))


def _until(rule: ChartRule, until: Mapping[Chart, datetime]) -> datetime | None:
    """How far a rule is evaluated: as far as the last of its charts."""
    return min(until[chart] for chart in rule.charts) if until.keys() >= set(rule.charts) else None


class _RuleChanges(NamedTuple):
    """Revisions to publish, intervals to delete, by (key, opened at), and intervals to save, of one rule."""

    revisions: Sequence[ChartRevision]
    gone: Sequence[tuple[str, int]]
    saved: Sequence[SavedProblem]


def _changes(finding: ChartFinding, published: Mapping[int, tuple[Interval, Mode]], reach: _Reach) -> _RuleChanges:
    """How the intervals of one rule differ from the published ones."""
    rule = finding.rule
    found = [one for one in finding.intervals if one.cleared_at is None or one.cleared_at > reach.since]
    revised = revisions_of(published.values(), found, rule.mode, reach.reached)
    instants = {one.opened_at for one in found}
    return _RuleChanges(
        [ChartRevision(finding, one, revised.is_historic(one)) for one in revised.worth_publishing],
        [(rule.key, at) for at in published if at not in instants],
        [
            SavedProblem(rule, one, one.opened_at in revised.historic)
            for one in found
            if published.get(one.opened_at) != (one, rule.mode)
        ],
    )

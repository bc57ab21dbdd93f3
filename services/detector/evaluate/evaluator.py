"""Evaluates the rules: a pass takes what the writers changed, and publishes how the intervals differ from before.

One replica at a time does so, in one transaction with the messages that it causes. A pass goes back to a checkpoint
before the earliest change. It costs what happened and what fell due, never the number of open deals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.detector.evaluate.revise import FoundIntervals, revise
from services.detector.publish.problems import Finding, ProblemPublisher, RuleRevision
from services.detector.store import evaluation, history
from services.detector.store.watermark import current_watermark
from shared.contracts.problems import ProblemReason
from shared.flow.checkpoints import BEGINNING, Checkpoint, Pass, next_due, run, worth_keeping
from shared.flow.deltas import SLOT, PackedDeltas
from shared.flow.ruleset import Ruleset, wip
from shared.postgres.pool import Connection
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros

# Rows of changes that are in memory at once.
CHANGES_AT_ONCE = 100
ReadEdge = Callable[[Connection], Awaitable[int | None]]
"""From which instant on this policy does not judge any more, in microseconds; None: it goes on."""
# Microseconds by which the watermark may be ahead of our estimate of the database's clock.
CLOCK_SLACK = 1_000_000


@dataclass
class PassResult:
    """The watermark that a pass reached, and how many messages it published, by reason."""

    watermark: int
    published: dict[ProblemReason, int] = field(default_factory=dict)


class _Span(NamedTuple):
    """What a pass covers: `reached` is the watermark before it, `until` the one after it.

    Intervals that cleared by `since` stay as they are published. `now` is the wall clock's time.
    """

    reached: int | None
    until: int
    now: datetime
    since: int = BEGINNING


async def _no_edge(connection: Connection) -> int | None:
    return None


class Evaluator:
    """Keeps nothing between passes: all state is in the database."""

    def __init__(
        self,
        ruleset: Ruleset,
        publisher: ProblemPublisher,
        clock: ClockKind,
        changes_at_once: int = CHANGES_AT_ONCE,
        edge: ReadEdge = _no_edge,
    ) -> None:
        self._ruleset, self._publisher, self._clock = ruleset, publisher, clock
        self._changes_at_once, self._edge = changes_at_once, edge
        self._zone = ZoneInfo(ruleset.policy.timezone)
        self._lateness = ruleset.policy.lateness.micros()
        self._rules = {series.text: rules for series, rules in ruleset.series.items()}
        # By series: the one that counts all deals in its stage. By that one: the stage's other series.
        self._wip = {series.text: wip(series.pipeline, series.stage).text for series in ruleset.series}
        self._others: dict[str, list[str]] = {}
        for name, of_stage in self._wip.items():
            if name != of_stage:
                self._others.setdefault(of_stage, []).append(name)

    async def evaluate(self, connection: Connection, now: datetime) -> PassResult | None:
        """One pass, in the caller's transaction. None: locked, on hold, no watermark, or one after `now`.

        The last is left by a clock that was ahead: the pass waits for the present, or for `andon reevaluate`.
        """
        if not await evaluation.try_lock(connection):
            return None
        reached, held = await evaluation.state(connection)
        watermark, edge = await current_watermark(connection, self._clock), await self._edge(connection)
        if watermark is not None and edge is not None:
            watermark = min(watermark, edge - 1)
        if held or watermark is None or watermark <= 0:
            return None
        if self._clock is ClockKind.WALL and reached is not None and reached > micros(now) + CLOCK_SLACK:
            return None
        return await self.advance(connection, reached, watermark, now)

    async def advance(self, connection: Connection, reached: int | None, watermark: int, now: datetime) -> PassResult:
        """Evaluate from `reached` up to the watermark, where that is further. The caller holds the lock."""
        span = _Span(reached, max(watermark, reached or watermark), now)
        first = await self._take_changes(connection, reached)
        return await self._fold_and_publish(connection, await self._affected(connection, first, span.until), span)

    async def evaluate_refold(
        self, connection: Connection, changes: Mapping[str, PackedDeltas], now: datetime
    ) -> PassResult | None:
        """Evaluate again after a refold changed counts, up to the watermark, back to the lateness before it.

        The caller holds the lock. The changes take effect at their own instants, so that an interval that lasts into
        the lateness opens when it truly did, as after a rebuild. Late changes of the same series, which took effect at
        the edge, go back to their own instants too: else a deal would leave a count before it entered it. None: there
        is no watermark yet, or evaluation is on hold; then the changes are stored for the next pass.
        """
        reached, held = await evaluation.state(connection)
        if reached is None or held:
            await history.add_changes(connection, changes)
            return None
        first = await self._take_changes(connection, reached)
        late = await evaluation.take_late(connection, list(changes))
        exact = {name: PackedDeltas.combine([d, *late.get(name, ())], BEGINNING) for name, d in changes.items()}
        await self._merge(connection, {name: deltas for name, deltas in exact.items() if deltas}, first)
        span = _Span(reached, reached, now, since=reached - self._lateness)
        return await self._fold_and_publish(connection, await self._affected(connection, first, reached), span)

    async def reevaluate(self, connection: Connection, since: int, until: int, now: datetime) -> PassResult:
        """Evaluate all history after the buckets were rebuilt. Intervals that cleared by `since` stay as they are."""
        span = _Span(until, until, now, since)
        findings = await self._fold(connection, dict.fromkeys(self._rules, BEGINNING), until)
        keys = [rule.key for rule in self._ruleset.rules]
        keys += [rule.key for rule in self._ruleset.learned_rules.values()]
        unruled = await evaluation.take_unruled(connection, keys, since)
        await self._publisher.publish_unruled(connection, unruled, now)
        return await self._publish(connection, findings, span)

    async def _fold_and_publish(self, connection: Connection, series: dict[str, int], span: _Span) -> PassResult:
        findings = await self._fold(connection, series, span.until) if series else []
        return await self._publish(connection, findings, span)

    async def _take_changes(self, connection: Connection, reached: int | None) -> dict[str, int]:
        """Merge new changes into the buckets; the first instant that changes, by series.

        Changes older than the lateness take effect at its edge: the past before it stays, and the present is right.
        """
        edge = BEGINNING if reached is None else reached - self._lateness
        first: dict[str, int] = {}
        async for changes in evaluation.take_changes(connection, edge, self._changes_at_once):
            await self._merge(connection, changes, first)
        return first

    async def _merge(self, connection: Connection, changes: Mapping[str, PackedDeltas], first: dict[str, int]) -> None:
        """Merge changes of the ruleset's series into the buckets, and lower `first` to where they begin."""
        own = {series: deltas for series, deltas in changes.items() if series in self._rules}
        await evaluation.merge(connection, own)
        for series, deltas in own.items():
            first[series] = min(first.get(series, deltas.first_at), deltas.first_at)

    async def _affected(self, connection: Connection, first: dict[str, int], until: int) -> dict[str, int]:
        """The series to fold, each with the instant before which to begin."""
        ahead = {series: at for series, at in first.items() if at > until}
        await evaluation.set_due(connection, ahead, earlier_only=True)
        series = dict.fromkeys(await evaluation.due(connection, until) & self._rules.keys(), until + 1)
        return series | {name: at for name, at in first.items() if at <= until}

    async def _fold(self, connection: Connection, series: dict[str, int], until: int) -> list[Finding]:
        starts = await evaluation.starts(connection, series)
        starts |= await self._of_new_stages(connection, series, starts)
        first_visits = await self._first_visits(connection, starts)
        buckets = await evaluation.buckets(
            connection, {name: start.at for name, start in starts.items()}, until // SLOT
        )
        following = await evaluation.following(connection, list(starts), until // SLOT)
        passes: dict[str, Pass] = {}
        due: dict[str, int] = {}
        for name, start in starts.items():
            rules, deltas = self._rules[name], PackedDeltas.concat(buckets.pop(name)).after(start.at)
            passes[name] = run(rules, start, deltas.upto(until), until, self._zone, first_visits.get(self._wip[name]))
            ahead = deltas.after(until)
            due[name] = next_due(rules, passes[name].last, ahead.first_at if ahead else following.get(name), self._zone)
        await evaluation.set_due(connection, due)
        await self._keep_checkpoints(connection, starts, passes, until)
        return [Finding(name, self._rules[name], starts[name], passes[name]) for name in passes]

    async def _of_new_stages(
        self, connection: Connection, series: dict[str, int], starts: dict[str, Checkpoint]
    ) -> dict[str, Checkpoint]:
        """Where the first visits to a stage are folded: the starts of its other series, to sample the same days."""
        new = [name for name, start in starts.items() if start.at == BEGINNING and name in self._others]
        others = {
            other: min(series[name], series.get(other, series[name])) for name in new for other in self._others[name]
        }
        return await evaluation.starts(connection, others) if others else {}

    async def _first_visits(self, connection: Connection, starts: dict[str, Checkpoint]) -> dict[str, int]:
        """When the first visit to a stage began, by its series of work in progress, for series that start over."""
        stages = {self._wip[name] for name, start in starts.items() if start.at == BEGINNING}
        return await evaluation.following(connection, sorted(stages), BEGINNING // SLOT) if stages else {}

    async def _keep_checkpoints(
        self, connection: Connection, starts: dict[str, Checkpoint], passes: dict[str, Pass], until: int
    ) -> None:
        """Save the new checkpoints, and thin out by age. One before the edge of the lateness always stays."""
        after = {name: start.at for name, start in starts.items()}
        await evaluation.save_checkpoints(connection, after, {name: p.checkpoints for name, p in passes.items()})
        edge = until - self._lateness
        gone = []
        for name, instants in (await evaluation.checkpoints(connection, list(passes))).items():
            base = max((at for at in instants if at < edge), default=instants[0])
            gone += [(name, at) for at in instants[:-1] if at < base or (at > base and not worth_keeping(at, until))]
        await evaluation.drop_checkpoints(connection, gone)

    async def _publish(self, connection: Connection, findings: list[Finding], span: _Span) -> PassResult:
        revisions = await self._revise(connection, findings, span) if findings else []
        # Measures first: the usual count, and the chart of a new ticket, are made of them.
        await self._publisher.publish_measures(connection, findings)
        await self._publisher.publish_problems(connection, revisions, span.until, span.now)
        await evaluation.save_watermark(connection, span.until)
        result = PassResult(span.until)
        for one in revisions:
            result.published[one.revision.reason] = result.published.get(one.revision.reason, 0) + 1
        return result

    async def _revise(self, connection: Connection, findings: list[Finding], span: _Span) -> list[RuleRevision]:
        """Save the differences of all series; returns those worth a message."""
        since = {rule.key: max(span.since, finding.start.at) for finding in findings for rule in finding.rules}
        published = await evaluation.published(connection, since)
        worth: list[RuleRevision] = []
        for finding in findings:
            for rule in finding.rules:
                intervals, edge = finding.result.intervals(rule.key), since[rule.key]
                lasting = [i for i in intervals if i.cleared_at is None or i.cleared_at > edge]
                found = FoundIntervals(rule, lasting, finding.result.last.states[rule.key])
                version = self._ruleset.policy.digest
                worth += await revise(connection, found, published[rule.key], version, span.reached, span.now)
        return worth

"""Judges whether sources are silent, as of the judgement time that comes after their receipts.

A source is judged again when it has new receipts or falls due: from the lateness before on, with the tables in force
then, each learned from the eight weeks before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

from services.analyst.evaluate.findings import AnalystRule, OpeningDetail, RuleFinding
from services.analyst.evaluate.revise import Reach, save_findings
from services.analyst.publish.problems import ProblemMessages
from services.analyst.store import problems, receipts
from services.analyst.store.receipts import JudgedSource, SilenceState
from shared.contracts.problems import CauseClass
from shared.flow.statistics.silence import SourceSilence, learned_from, silence_since
from shared.flow.statistics.wall_hours import WallHours
from shared.flow.statistics.weeks import Weeks
from shared.policy import Mode, Policy
from shared.policy.model import SilenceRule
from shared.postgres.pool import Connection
from shared.runtime.instants import moment

_BEGINNING = 0
KIND = "silence"


class SourceRule(AnalystRule):
    """The rule `silence` of one source."""

    pipeline = stage = ""
    cause = CauseClass.UNKNOWN
    # Each event that was to be expected makes the peak greater.
    growth = Fraction(3, 2)

    def __init__(self, source: str, rule: SilenceRule) -> None:
        self.key, self.kind, self.mode = f"{KIND}/{source}", KIND, rule.mode
        self.source, self.per_quarter = source, rule.budget


class SilenceEvaluator:
    """Keeps nothing between evaluations: all state is in the database."""

    def __init__(self, policy: Policy, messages: ProblemMessages) -> None:
        self._policy, self._messages = policy, messages
        self._lateness = policy.lateness.micros()
        holidays = {day for clock in policy.clocks.values() for day in clock.holidays}
        self._hours = WallHours(Weeks(_BEGINNING, policy.timezone), holidays)

    async def evaluate(self, connection: Connection, now: datetime) -> int:
        """Judge what changed or fell due; how many messages that published. The caller is the one that evaluates."""
        # In this order: what a judgement time speaks of must not be missed.
        state = await receipts.state(connection)
        if not state.is_stale or state.until is None:
            return 0
        known, stale = await receipts.judged_sources(connection), await receipts.take(connection)
        waiting = _ahead(known, state, state.until)
        await receipts.mark(connection, stale & waiting)
        found = [
            await self._judge(connection, source, state, state.until, known.get(source))
            for source in sorted((stale | _due(known, state, state.until)) - waiting)
        ]
        revisions = await save_findings(connection, [one for one in found if one], self._policy.digest, now)
        await self._messages.put(connection, revisions, now)
        await self._retract_unruled(connection, known.keys() | stale, self._edge(state, state.until), now)
        await receipts.evaluated(connection)
        return len(revisions)

    async def _judge(
        self, connection: Connection, source: str, state: SilenceState, until: int, before: JudgedSource | None
    ) -> tuple[RuleFinding, Reach] | None:
        """What is found of a source; None where it was not heard yet, or has no rule."""
        first, rule = await receipts.first(connection, source), self._rule(source)
        if first is None or first > until:
            return None
        if rule is None:
            await receipts.save_source(connection, source, JudgedSource(until, None))
            return None
        reach = self._reach(state, until, before)
        since = max(first, await receipts.heard_before(connection, source, reach.since) or first)
        heard = await receipts.load(connection, source, learned_from(since, self._hours), until)
        found = silence_since(heard, self._hours, rule.per_quarter, until, first, since)
        await receipts.save_source(connection, source, JudgedSource(until, _next_due(found, until)))
        pipelines = await receipts.pipelines(connection, source)
        return RuleFinding(rule, found.intervals, _details(found, heard, pipelines)), reach

    def _rule(self, source: str) -> SourceRule | None:
        rule = self._policy.silence_rule(source)
        return None if rule is None or rule.mode is Mode.OFF else SourceRule(source, rule)

    def _reach(self, state: SilenceState, until: int, before: JudgedSource | None) -> Reach:
        if state.since is not None:
            return Reach(until, self._edge(state, until))
        if before is None:
            return Reach(None, _BEGINNING)
        return Reach(before.until, self._edge(state, before.until))

    def _edge(self, state: SilenceState, until: int) -> int:
        """Intervals that cleared by then stay as published."""
        edges = [until - self._lateness] + ([] if state.since is None else [state.since])
        return max(min(edges), _BEGINNING)

    async def _retract_unruled(
        self, connection: Connection, sources: Collection[str], since: int, now: datetime
    ) -> None:
        keys = [rule.key for source in sources if (rule := self._rule(source)) is not None]
        rows = await problems.take_unruled(connection, {"": since}, keys)
        await self._messages.put_unruled(connection, rows, now)


def _due(known: Mapping[str, JudgedSource], state: SilenceState, until: int) -> set[str]:
    """The sources to judge again though they have no new receipts."""
    if state.since is not None:
        return set(known)
    return {s for s, one in known.items() if one.due is not None and one.due <= until and one.until < until}


def _ahead(known: Mapping[str, JudgedSource], state: SilenceState, until: int) -> set[str]:
    """Sources that were judged by a clock that was ahead: they wait for the present, or for `andon reevaluate`."""
    return set() if state.since is not None else {source for source, one in known.items() if one.until > until}


def _next_due(found: SourceSilence, until: int) -> int | None:
    """While a source is silent, its peak grows all the time."""
    is_silent = bool(found.intervals) and found.intervals[-1].cleared_at is None
    return until if is_silent else found.due


def _details(found: SourceSilence, heard: Sequence[int], pipelines: Sequence[str]) -> Mapping[int, OpeningDetail]:
    return {
        one.opened_at: OpeningDetail(
            SourceRule.cause,
            heard_at=moment(heard[bisect_left(heard, one.opened_at) - 1]),
            pipelines=tuple(pipelines),
        )
        for one in found.intervals
    }

"""Finds the problems of `aging-learned`: folds a stage's learned versions over the visits that are old enough to count.

The fold begins with the version in which the first change lies, in the state that is stored with it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.detector.evaluate.revise import FoundIntervals, revise
from services.detector.publish.age_limit import latest_start
from services.detector.publish.problems import RuleRevision
from services.detector.store import evaluation, learning
from services.detector.store.learning import StoredVersion
from shared.flow.intervals import Interval, RuleState, due
from shared.flow.statistics.aging_learned import LearnedRule, VersionFold, VersionRule, fold_versions
from shared.flow.statistics.chance import CountChance
from shared.flow.visits import Visit
from shared.postgres.pool import Connection

# Stands for a rule that has learned nothing, where something that it found must be retracted.
_NOTHING = StoredVersion(0, 0, 0, 0, None, RuleState())


@dataclass(frozen=True)
class FoldRange:
    """What to fold: `first` is the first instant that changes, `reached` the watermark before, `until` the one now.

    `edge`: intervals that cleared by then stay as they are published.
    """

    first: int
    edge: int
    reached: int | None
    until: int


class FoldedRule(NamedTuple):
    """`next_at`: when to fold again, before a new version and if nothing changes; None: not before that."""

    state: RuleState
    next_at: int | None
    revisions: Sequence[RuleRevision]


class LearnedRuleFold:
    """The rule of one stage under its versions, of which there is at least one."""

    def __init__(self, rule: LearnedRule, versions: Sequence[StoredVersion], span: FoldRange) -> None:
        self._rule, self._versions, self._span = rule, versions, span
        self._stage, self._clock = (rule.pipeline, rule.stage), rule.clocks.of(rule.pipeline, rule.stage)
        start = span.first if span.reached is None else min(span.first, span.reached)
        begun = bisect_right([version.since for version in versions], start)
        self._part = versions[max(begun - 1, 0) :]
        self._state = self._part[0].state if begun else RuleState()
        self._current = rule.under(versions[-1])

    async def run(self, connection: Connection, policy_version: str, now: datetime) -> FoldedRule:
        """Fold, save states and intervals; gives the revisions worth a message."""
        visits = await self._visits(connection)
        under = [VersionRule(version.since, self._rule.under(version)) for version in self._part]
        found = fold_versions(visits, under, self._span.until, self._state)
        starts = {version.since: state for version, state in zip(self._part, found.starts, strict=True)}
        await learning.save_states(connection, self._stage, starts)
        next_at = await self._next_at(connection, visits, found.state)
        return FoldedRule(found.state, next_at, await self._revise(connection, found, policy_version, now))

    async def _visits(self, connection: Connection) -> list[Visit]:
        """Those that count under any of the versions."""
        limits = [version.limit for version in self._part if version.limit is not None]
        start = latest_start(self._clock, min(limits), self._span.until) if limits else None
        return [] if start is None else await learning.visits(connection, self._stage, self._part[0].since, start)

    async def _next_at(self, connection: Connection, visits: Sequence[Visit], state: RuleState) -> int | None:
        """When a visit is known to reach the limit, or to end, or a hold ends."""
        if self._current is None or self._current.limit is None:
            return None
        limit, until = self._current.limit, self._span.until
        start = latest_start(self._clock, limit, until)
        entered = await learning.next_entered(connection, self._stage, -1 if start is None else start, until)
        ends = [visit.left for visit in visits if visit.left is not None and visit.left > until]
        hold = due(self._current, state)
        reached = None if entered is None else self._clock.due(entered, limit)
        return min((at for at in (hold, reached, *ends) if at is not None), default=None)

    async def _revise(
        self, connection: Connection, found: VersionFold, policy_version: str, now: datetime
    ) -> list[RuleRevision]:
        since = max(self._span.edge, self._part[0].since - 1)
        lasting = [one for one in found.intervals if one.cleared_at is None or one.cleared_at > since]
        published = await evaluation.published(connection, {self._rule.key: since})
        rule = self._current or self._rule.under(_NOTHING)
        assert rule is not None  # noqa: S101 (_NOTHING has numbers)
        intervals = FoundIntervals(rule, lasting, found.state)
        known = published[self._rule.key]
        revisions = await revise(connection, intervals, known, policy_version, self._span.reached, now)
        return [self._numbered(one) for one in revisions]

    def _numbered(self, found: RuleRevision) -> RuleRevision:
        """With the numbers in force now of an open problem, and those of the opening of one that cleared."""
        version = self._in_force(found.revision.interval)
        rule = self._rule.under(version)
        chance = CountChance(float(self._rule.policy.budget), version.usual)
        return found._replace(rule=rule, chance=chance) if rule is not None else found

    def _in_force(self, interval: Interval) -> StoredVersion:
        if interval.cleared_at is None and self._current is not None:
            return self._versions[-1]
        begun = bisect_right([version.since for version in self._versions], interval.opened_at)
        return self._versions[max(begun - 1, 0)]

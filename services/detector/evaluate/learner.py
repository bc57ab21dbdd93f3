"""Learns limits, counts and chances of stages week by week, and has the problems of `aging-learned` found under them.

One replica at a time, some stages in a transaction. A stage is taken up when something of it has changed or falls due:
a quiet one costs nothing. Versions after the first change are learned anew, but none before the edge of the lateness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from services.detector.evaluate.learned_rules import FoldRange, LearnedRuleFold
from services.detector.ingest.stage_marks import stage_of
from services.detector.publish.problems import ProblemPublisher, RuleRevision
from services.detector.store import evaluation, history, learning, weeks
from services.detector.store.learning import Stage, StaleStage
from services.detector.store.stages import StageMapCache
from shared.contracts.measures import Measure
from shared.contracts.now import StayCurve
from shared.contracts.problems import ProblemReason
from shared.flow.checkpoints import BEGINNING
from shared.flow.fold import fold
from shared.flow.intervals import RuleState
from shared.flow.known_visits import known_before
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.chance import CountChance, count_chance
from shared.flow.statistics.learned_limits import COUNT_WINDOW, StageHistory, learn, relearning_instants
from shared.flow.statistics.stay_curve import stay_shares
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit, WithdrawnVisit
from shared.postgres.pool import Connection
from shared.runtime.instants import moment

# Stages in one transaction. Learning of one takes tens of milliseconds.
STAGES_AT_ONCE = 5
_DEALS_AT_ONCE = 1000
_SECOND = 1_000_000


class LearnerPass(NamedTuple):
    """`published`: the reasons of the problem messages. `is_complete`: no stages are left."""

    published: Sequence[ProblemReason] = ()
    is_complete: bool = True


class _Task(NamedTuple):
    """One stage to take up. `instants`: the starts of weeks up to `span.until`."""

    stage: Stage
    weeks: Weeks
    span: FoldRange
    resolver: StageResolver

    @property
    def instants(self) -> list[int]:
        return relearning_instants(self.weeks, self.span.until)

    @property
    def week(self) -> int:
        """The week that holds the watermark."""
        return self.weeks.of(self.span.until)


class Learner:
    """Keeps nothing between passes: all state is in the database."""

    def __init__(self, ruleset: Ruleset, publisher: ProblemPublisher, stages_at_once: int = STAGES_AT_ONCE) -> None:
        self._ruleset, self._publisher, self._stages_at_once = ruleset, publisher, stages_at_once
        self._stage_maps = StageMapCache(ruleset)
        self._lateness = ruleset.policy.lateness.micros()
        self._rules: dict[Stage, list[Rule]] = {}
        for rule in ruleset.rules:
            self._rules.setdefault((rule.pipeline, rule.stage), []).append(rule)

    async def learn_some(self, connection: Connection, now: datetime) -> LearnerPass:
        """Take up some stages, in the caller's transaction.

        Raises OtherPolicyError where another policy is in force.
        """
        if not await learning.try_lock(connection):
            return LearnerPass()
        watermark, is_held = await evaluation.state(connection)
        first_event = await weeks.first_event(connection)
        if is_held or watermark is None or first_event is None or first_event > watermark:
            return LearnerPass()
        resolver = await self._stage_maps.refresh(connection)
        known = Weeks(first_event, self._ruleset.policy.timezone)
        week_start = known.start(known.of(watermark))
        await learning.take_marks(connection, watermark, week_start, list(self._ruleset.learned_rules))
        stages = sorted(self._ruleset.stages)
        stale = await learning.due(connection, stages, watermark, first_event, self._stages_at_once)
        revisions: list[RuleRevision] = []
        for one in stale:
            task = _Task((one.pipeline, one.stage), known, self._span(one, first_event, watermark), resolver)
            revisions += await self._take_up(connection, task, now)
        await self._publisher.publish_problems(connection, revisions, watermark, now)
        reasons = [one.revision.reason for one in revisions]
        return LearnerPass(reasons, len(stale) < self._stages_at_once)

    def _span(self, stale: StaleStage, first_event: int, watermark: int) -> FoldRange:
        """Nothing before the edge of the lateness is found again, but after a rebuild."""
        reached, until = stale.reached, max(watermark, stale.reached or watermark)
        if reached is None or stale.since is not None or stale.first_event is None:
            return FoldRange(BEGINNING, BEGINNING if stale.since is None else stale.since, reached, until)
        first = until + 1 if stale.stale_from is None else stale.stale_from
        if stale.first_event != first_event:
            first = min(first, first_event)
        edge = reached - self._lateness
        return FoldRange(max(first, edge), edge, reached, until)

    async def _take_up(self, connection: Connection, task: _Task, now: datetime) -> list[RuleRevision]:
        await self._learn(connection, task)
        state, next_at, revisions = RuleState(), task.weeks.end(task.week), list[RuleRevision]()
        rule = self._ruleset.learned_rules.get(task.stage)
        versions = await learning.versions(connection, task.stage) if rule is not None else []
        if rule is not None and versions:
            folded = await LearnedRuleFold(rule, versions, task.span).run(connection, self._ruleset.policy.digest, now)
            state, revisions = folded.state, list(folded.revisions)
            next_at = next_at if folded.next_at is None else min(next_at, folded.next_at)
        first_event = task.weeks.first_event
        await learning.save_stage(connection, task.stage, next_at, task.span.until, first_event, state)
        return revisions

    async def _learn(self, connection: Connection, task: _Task) -> None:
        """Learn the versions that are missing or that the first change precedes; likewise the chances."""
        rule, instants = self._ruleset.learned_rules.get(task.stage), task.instants
        due = await self._due_versions(connection, task) if rule is not None else []
        at, rules = task.weeks.start(task.week), self._rules.get(task.stage, [])
        stale = await self._stale_chances(connection, rules, task, at)
        is_stay_stale = task.span.first < at or await learning.stay_at(connection, task.stage) != at
        if not due and not stale and not is_stay_stale:
            return
        since = min([*due[:1], *([at] if stale or is_stay_stale else [])]) - COUNT_WINDOW
        known = await self._history(connection, task, since)
        if rule is not None and due:
            learned = await asyncio.to_thread(learn, known, task.weeks.first_event, due, rule.policy.budget)
            await learning.drop_versions(connection, task.stage, instants)
            await learning.save_versions(connection, task.stage, learned)
        await self._save_chances(connection, task, stale, known, at)
        if is_stay_stale:
            await learning.save_stay(connection, task.stage, at, await asyncio.to_thread(_stay_curve, known, at))

    async def _due_versions(self, connection: Connection, task: _Task) -> list[int]:
        kept = {version.since for version in await learning.versions(connection, task.stage)}
        return [at for at in task.instants if at > task.span.first or at not in kept]

    async def _stale_chances(self, connection: Connection, rules: Sequence[Rule], task: _Task, at: int) -> list[Rule]:
        stored = await learning.chances(connection, [rule.key for rule in rules])
        is_changed = task.span.first < at
        return [rule for rule in rules if is_changed or rule.key not in stored or stored[rule.key].at != at]

    async def _save_chances(
        self, connection: Connection, task: _Task, rules: Collection[Rule], known: StageHistory, at: int
    ) -> None:
        """As of the start of a week."""
        found: dict[str, CountChance] = {}
        for rule in rules:
            # Progress and planned steps are stored with the events only.
            full = rule.measure is Measure.STALLED
            past = await self._full_history(connection, task, at - COUNT_WINDOW) if full else known
            found[rule.key] = await asyncio.to_thread(count_chance, rule, past, task.weeks.first_event, at)
        await learning.save_chances(connection, at, found)

    async def _history(self, connection: Connection, task: _Task, since: int) -> StageHistory:
        """The visits of the stage that were open after an instant, without progress and planned steps."""
        return StageHistory(
            await learning.visits(connection, task.stage, since, task.span.until),
            await learning.withdrawn(connection, task.stage, since),
            self._ruleset.clocks.of(*task.stage),
        )

    async def _full_history(self, connection: Connection, task: _Task, since: int) -> StageHistory:
        """As `_history`, from the events."""
        visits, withdrawn = list[Visit](), list[WithdrawnVisit]()
        deals = await learning.deals(connection, task.stage, since)
        for start in range(0, len(deals), _DEALS_AT_ONCE):
            events = await history.events_of(connection, deals[start : start + _DEALS_AT_ONCE])
            for some in events.values():
                state = fold(some, task.resolver)
                visits += [visit for visit in state.visits if stage_of(visit) == task.stage]
                withdrawn += [one for one in state.withdrawn if stage_of(one.visit) == task.stage]
            await asyncio.sleep(0)
        return StageHistory(visits, withdrawn, self._ruleset.clocks.of(*task.stage))


def _stay_curve(history: StageHistory, at: int) -> str | None:
    """As on flow.now."""
    found = stay_shares(known_before(history.visits, history.withdrawn, at), history.clock, at)
    if found is None:
        return None
    return StayCurve(
        at=moment(at),
        finished=found.finished,
        open=found.open,
        limit_seconds=None if found.limit is None else found.limit / _SECOND,
        median_seconds=None if found.median is None else found.median / _SECOND,
        steps=tuple((time / _SECOND, round(share, 4)) for time, share in found.steps),
    ).model_dump_json()

"""Judges: a pass takes what the writers changed, goes back where it must, folds on, and tells the difference.

By one replica at a time, in one transaction with the messages that it causes. A pass costs what happened and what fell
due, never the number of open deals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.detector.publish.problems import Finding, ProblemPublisher
from services.detector.store import evaluation
from services.detector.store.evaluation import PublishedInterval
from services.detector.store.watermark import ClockKind, judgement_time
from shared.contracts.problems import ProblemReason
from shared.flow.checkpoints import BEGINNING, Checkpoint, Pass, next_due, run, worth_keeping
from shared.flow.deltas import SLOT, count_upto, first_at, instant_of, later_than
from shared.flow.intervals import Interval, RuleState
from shared.flow.revisions import Revision, diff
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset

_REACHED = "UPDATE judgement SET judged = $1"


@dataclass
class PassResult:
    """What a pass did: judgement time, and how many messages of each reason it caused."""

    judged: int
    told: dict[ProblemReason, int] = field(default_factory=dict)


class Evaluator:
    """Holds nothing between passes: what it needs is in the database."""

    def __init__(self, judging: Ruleset, publisher: ProblemPublisher, clock: ClockKind) -> None:
        self._judging, self._publisher, self._clock = judging, publisher, clock
        self._zone = ZoneInfo(judging.policy.timezone)
        self._lateness = judging.policy.lateness.micros()
        self._rules = {series.text: rules for series, rules in judging.series.items()}

    async def judge(self, connection: Any, now: datetime) -> PassResult | None:
        """One pass, in the caller's transaction; None when another replica judges or nothing may be judged yet."""
        if not await evaluation.try_lock(connection):
            return None
        reached, held = await connection.fetchrow("SELECT judged, held FROM judgement")
        until = await judgement_time(connection, self._clock)
        if held or until is None or until <= 0:
            return None
        until = max(until, reached or until)
        first = await self._take(connection, reached)
        series = await self._affected(connection, first, until)
        findings = await self._fold(connection, series, until) if series else []
        return await self._tell(connection, findings, reached, until, now)

    async def judge_all(self, connection: Any, since: int, until: int, now: datetime) -> PassResult:
        """Judge everything from the beginning, the counts being built anew; what ended by `since` stays as it was."""
        before = dict.fromkeys(self._rules, BEGINNING)
        findings = await self._fold(connection, before, until)
        keys = [rule.key for rules in self._rules.values() for rule in rules]
        unruled = await evaluation.take_unruled(connection, keys, since)
        await self._publisher.publish_unruled(connection, unruled, now)
        return await self._tell(connection, findings, until, until, now, since)

    async def _take(self, connection: Any, reached: int | None) -> dict[str, int]:
        """Put new changes into the buckets; the first instant that changes, by series.

        Those older than the lateness take effect at its edge, so that the present is right.
        """
        edge = BEGINNING if reached is None else reached - self._lateness
        first: dict[str, int] = {}
        async for taken in evaluation.take_changes(connection, edge):
            mine = {series: raw for series, raw in taken.items() if series in self._rules}
            await evaluation.merge(connection, mine)
            for series, raw in mine.items():
                first[series] = min(first.get(series, first_at(raw)), first_at(raw))
        return first

    async def _affected(self, connection: Any, first: dict[str, int], until: int) -> dict[str, int]:
        """The series to fold, each with the instant before which the fold must begin."""
        ahead = {series: at for series, at in first.items() if at > until}
        await evaluation.set_due(connection, ahead, earlier_only=True)
        series = dict.fromkeys(await evaluation.due(connection, until) & self._rules.keys(), until + 1)
        return series | {name: at for name, at in first.items() if at <= until}

    async def _fold(self, connection: Any, series: dict[str, int], until: int) -> list[Finding]:
        starts = await evaluation.starts(connection, series)
        found = await evaluation.boundaries(
            connection, {name: start.at for name, start in starts.items()}, until // SLOT
        )
        later = await evaluation.following(connection, list(series), until // SLOT)
        passes: dict[str, Pass] = {}
        dues: dict[str, int] = {}
        for name, start in starts.items():
            rules, boundaries = self._rules[name], later_than(found.pop(name), start.at)
            past = count_upto(boundaries, until)
            passes[name] = run(rules, start, boundaries[:past], until, self._zone)
            ahead = instant_of(boundaries[past]) if past < len(boundaries) else later.get(name)
            dues[name] = next_due(rules, passes[name].last, ahead, self._zone)
        await evaluation.set_due(connection, dues)
        await self._keep(connection, starts, passes, until)
        return [Finding(name, self._rules[name], starts[name], passes[name]) for name in passes]

    async def _keep(self, connection: Any, starts: dict[str, Checkpoint], passes: dict[str, Pass], until: int) -> None:
        """Checkpoints: the new ones, thinned by age, and always one before the edge of the lateness."""
        after = {name: start.at for name, start in starts.items()}
        await evaluation.save_checkpoints(connection, after, {name: p.checkpoints for name, p in passes.items()})
        edge = until - self._lateness
        gone = []
        for name, instants in (await evaluation.checkpoints(connection, list(passes))).items():
            base = max((at for at in instants if at < edge), default=instants[0])
            gone += [(name, at) for at in instants[:-1] if at < base or (at > base and not worth_keeping(at, until))]
        await evaluation.drop_checkpoints(connection, gone)

    async def _tell(
        self,
        connection: Any,
        findings: list[Finding],
        reached: int | None,
        until: int,
        now: datetime,
        since: int = BEGINNING,
    ) -> PassResult:
        revisions = []
        for finding in findings:
            revisions += await self._revise(connection, finding, reached, now, max(since, finding.start.at))
        # Measures first: what is usual, and the chart of a new ticket, are made of them.
        await self._publisher.publish_measures(connection, findings)
        await self._publisher.publish_problems(connection, revisions, until, now)
        await connection.execute(_REACHED, until)
        outcome = PassResult(until)
        for _, revision, _ in revisions:
            outcome.told[revision.reason] = outcome.told.get(revision.reason, 0) + 1
        return outcome

    async def _revise(
        self, connection: Any, finding: Finding, reached: int | None, now: datetime, since: int
    ) -> list[tuple[Rule, Revision, bool]]:
        """Write the differences of one series; those worth a message come back, with whether each is historic."""
        worth = []
        told = await evaluation.told(connection, dict.fromkeys((rule.key for rule in finding.rules), since))
        for rule in finding.rules:
            known = told[rule.key]
            state = finding.result.last.states[rule.key]
            found = [i for i in finding.result.intervals(rule.key) if i.cleared_at is None or i.cleared_at > since]
            revisions = diff([t.interval for t in known.values()], found) + _of_another_mode(rule, known, found)
            historic = {r.interval.opened_at for r in revisions if is_historic(r, reached)}
            await self._write(
                connection,
                rule,
                known,
                [PublishedInterval(i, _level(i, state), rule.mode) for i in found],
                historic,
                now,
            )
            for revision in revisions:
                was = known.get(revision.was.opened_at) if revision.was else None
                over = revision.interval.opened_at in historic
                if is_worth_telling(revision, was, _level(revision.interval, state), over):
                    worth.append((rule, revision, over))
        return worth

    async def _write(
        self,
        connection: Any,
        rule: Rule,
        known: dict[int, PublishedInterval],
        found: list[PublishedInterval],
        historic: set[int],
        now: datetime,
    ) -> None:
        """What is no longer found goes first, and an interval that lasts comes last: of a key, at most one may."""
        instants = {one.interval.opened_at for one in found}
        await evaluation.drop_problems(connection, [(rule.key, at) for at in known if at not in instants])
        for one in sorted(found, key=lambda one: one.interval.cleared_at is None):
            before = known.get(one.interval.opened_at)
            if before is None or (before.interval, before.mode) != (one.interval, one.mode):
                over = one.interval.opened_at in historic
                await evaluation.save_problem(connection, rule, one, self._judging.policy.digest, over, now)


def _of_another_mode(rule: Rule, known: dict[int, PublishedInterval], found: list[Interval]) -> list[Revision]:
    """What lasts as it did, but is watched otherwise now: tickets must hear of it."""
    same = [t.interval for t in known.values() if t.mode is not rule.mode and t.interval.cleared_at is None]
    return [Revision(ProblemReason.REVISED, interval, interval) for interval in same if interval in found]


def _level(interval: Interval, state: RuleState) -> int:
    """The count at the last telling."""
    return state.told if interval.cleared_at is None else interval.peak


def is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back, and over before the judgement time already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached


def is_worth_telling(revision: Revision, was: PublishedInterval | None, level: int, historic: bool) -> bool:
    """Growth is told by half again only; of a historic interval one message says all."""
    if revision.reason is ProblemReason.GREW:
        return was is None or was.told != level
    return not (historic and revision.reason is ProblemReason.OPENED)

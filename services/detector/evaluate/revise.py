"""Compares what is found of a rule with what was published, saves it, and gives the differences worth a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.detector.publish.problems import RuleRevision
from services.detector.store import evaluation
from services.detector.store.evaluation import PublishedInterval
from shared.contracts.problems import ProblemReason
from shared.flow.intervals import Interval, RuleState
from shared.flow.revisions import Revision, diff
from shared.flow.rules import Rule
from shared.postgres.pool import Connection


@dataclass(frozen=True)
class FoundIntervals:
    """What is found of a rule: intervals that last beyond some instant, and the state of the rule after them."""

    rule: Rule
    intervals: Sequence[Interval]
    state: RuleState


async def revise(
    connection: Connection,
    found: FoundIntervals,
    known: Mapping[int, PublishedInterval],
    policy_version: str,
    reached: int | None,
    now: datetime,
) -> list[RuleRevision]:
    """Save the differences from the `known` intervals, as they are published, by opening.

    `reached`: the watermark before. Gives those worth a message, in the order of their instants.
    """
    rule, state = found.rule, found.state
    revisions = diff([p.interval for p in known.values()], found.intervals)
    revisions += _changed_mode(rule, known, found.intervals)
    historic = {r.interval.opened_at for r in revisions if is_historic(r, reached)}
    current = [PublishedInterval(i, _published_count(i, state), rule.mode) for i in found.intervals]
    await _save(connection, rule, known, current, historic, policy_version, now)
    worth = []
    for revision in revisions:
        was = known.get(revision.was.opened_at) if revision.was else None
        over = revision.interval.opened_at in historic
        if is_worth_publishing(revision, was, _published_count(revision.interval, state), over):
            worth.append(RuleRevision(rule, revision, over))
    return worth


async def _save(
    connection: Connection,
    rule: Rule,
    known: Mapping[int, PublishedInterval],
    found: Sequence[PublishedInterval],
    historic: set[int],
    policy_version: str,
    now: datetime,
) -> None:
    """Delete lost intervals first and save an open one last: a key can have only one that is open."""
    instants = {one.interval.opened_at for one in found}
    await evaluation.drop_problems(connection, [(rule.key, at) for at in known if at not in instants])
    for one in sorted(found, key=lambda one: one.interval.cleared_at is None):
        before = known.get(one.interval.opened_at)
        if before is None or (before.interval, before.mode) != (one.interval, one.mode):
            over = one.interval.opened_at in historic
            await evaluation.save_problem(connection, rule, one, policy_version, over, now)


def _changed_mode(rule: Rule, known: Mapping[int, PublishedInterval], found: Sequence[Interval]) -> list[Revision]:
    """An open interval whose rule has another mode now: nothing else of it differs, but tickets must hear of it."""
    same = [p.interval for p in known.values() if p.mode is not rule.mode and p.interval.cleared_at is None]
    return [Revision(ProblemReason.REVISED, interval, interval) for interval in same if interval in found]


def _published_count(interval: Interval, state: RuleState) -> int:
    """The peak that was published last."""
    return state.published_count if interval.cleared_at is None else interval.peak


def is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back: over before the watermark that was already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached


def is_worth_publishing(revision: Revision, was: PublishedInterval | None, count: int, historic: bool) -> bool:
    """Growth is published by half again only; a historic interval in one message."""
    if revision.reason is ProblemReason.GREW:
        return was is None or was.published_count != count
    return not (historic and revision.reason is ProblemReason.OPENED)

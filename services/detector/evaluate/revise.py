"""Compares what is found of a rule with what was published, saves it, and returns the differences worth a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.detector.publish.problems import RuleRevision
from services.detector.store import evaluation
from services.detector.store.evaluation import PublishedInterval
from shared.contracts.problems import ProblemReason
from shared.flow.intervals import Interval, RuleState
from shared.flow.revisions import Revision, revisions_of
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

    `reached`: the watermark before. Returns those worth a message, in the order of their instants.
    """
    rule, state = found.rule, found.state
    revised = revisions_of([(one.interval, one.mode) for one in known.values()], found.intervals, rule.mode, reached)
    current = [PublishedInterval(i, _published_count(i, state), rule.mode) for i in found.intervals]
    await _save(connection, rule, known, current, revised.historic, policy_version, now)
    return [
        RuleRevision(rule, one, revised.is_historic(one))
        for one in revised.worth_publishing
        if not _is_small_growth(one, known, state)
    ]


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


def _published_count(interval: Interval, state: RuleState) -> int:
    """The peak that was published last."""
    return state.published_count if interval.cleared_at is None else interval.peak


def _is_small_growth(revision: Revision, known: Mapping[int, PublishedInterval], state: RuleState) -> bool:
    """Growth is published by half again only."""
    if revision.reason is not ProblemReason.GREW or revision.was is None:
        return False
    was = known.get(revision.was.opened_at)
    return was is not None and was.published_count == _published_count(revision.interval, state)

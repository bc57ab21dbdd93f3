"""The differences between the intervals that were published and those that are found now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.problems import ProblemReason
from shared.flow.intervals import Interval


@dataclass(frozen=True)
class Revision:
    """One difference; `was` is the published interval that it changes or retracts."""

    reason: ProblemReason
    interval: Interval
    was: Interval | None = None


def diff(published: Sequence[Interval], found: Sequence[Interval]) -> list[Revision]:
    """The differences in the order of their instants. An interval that moved is paired with one that it overlaps."""
    old = {interval.opened_at: interval for interval in published}
    new = {interval.opened_at: interval for interval in found}
    lost = [interval for at, interval in sorted(old.items()) if at not in new]
    revisions = []
    for at, interval in sorted(new.items()):
        was = old.get(at) or _overlapping(interval, lost)
        if was in lost:
            lost.remove(was)
        revisions += _between(was, interval)
    revisions += [Revision(ProblemReason.RETRACTED, was, was) for was in lost]
    return sorted(revisions, key=instant)


def _between(was: Interval | None, now: Interval) -> list[Revision]:
    if was is None:
        opened = Revision(ProblemReason.OPENED, now._replace(cleared_at=None))
        return [opened, Revision(ProblemReason.CLEARED, now)] if now.cleared_at is not None else [opened]
    if was == now:
        return []
    if was.opened_at == now.opened_at and was.cleared_at is None:
        reason = ProblemReason.GREW if now.cleared_at is None else ProblemReason.CLEARED
        return [Revision(reason, now, was)]
    return [Revision(ProblemReason.REVISED, now, was)]


def _overlapping(interval: Interval, others: Sequence[Interval]) -> Interval | None:
    for other in others:
        ends_after = other.cleared_at is None or other.cleared_at > interval.opened_at
        begins_before = interval.cleared_at is None or interval.cleared_at > other.opened_at
        if ends_after and begins_before:
            return other
    return None


def instant(revision: Revision) -> int:
    """When what a revision reports happened: the opening, or the clearing."""
    if revision.reason is ProblemReason.CLEARED and revision.interval.cleared_at is not None:
        return revision.interval.cleared_at
    return revision.interval.opened_at

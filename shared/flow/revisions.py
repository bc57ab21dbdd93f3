"""The differences between the intervals that were published and those that are found now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.contracts.problems import Mode, ProblemReason
from shared.flow.intervals import Interval


@dataclass(frozen=True)
class Revision:
    """One difference; `was` is the published interval that it changes or retracts."""

    reason: ProblemReason
    interval: Interval
    was: Interval | None = None


class RevisedRule(NamedTuple):
    """How the intervals of one rule differ from the published ones. `historic`: openings of those that are historic."""

    revisions: Sequence[Revision]
    historic: set[int]

    def is_historic(self, revision: Revision) -> bool:
        return revision.interval.opened_at in self.historic

    @property
    def worth_publishing(self) -> list[Revision]:
        """All but the openings of historic intervals: such an interval comes in one message."""
        return [one for one in self.revisions if not (one.reason is ProblemReason.OPENED and self.is_historic(one))]


def revisions_of(
    published: Collection[tuple[Interval, Mode]], found: Sequence[Interval], mode: Mode, reached: int | None
) -> RevisedRule:
    """Compare what is found of a rule of this mode with what was published, each interval with its rule's mode then.

    `reached`: the judgement time before; None: the rule was never judged.
    """
    revisions = diff([interval for interval, _ in published], found)
    revisions += _changed_mode(published, found, mode)
    return RevisedRule(revisions, {one.interval.opened_at for one in revisions if _is_historic(one, reached)})


def _changed_mode(
    published: Collection[tuple[Interval, Mode]], found: Sequence[Interval], mode: Mode
) -> list[Revision]:
    """An open interval whose rule has another mode now: nothing else of it differs, but tickets need to know."""
    return [
        Revision(ProblemReason.REVISED, interval, interval)
        for interval, was in published
        if was is not mode and interval.cleared_at is None and interval in found
    ]


def _is_historic(revision: Revision, reached: int | None) -> bool:
    """Found by going back: over before the judgement time that was already reached."""
    cleared = revision.interval.cleared_at
    return revision.was is None and reached is not None and cleared is not None and cleared <= reached


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

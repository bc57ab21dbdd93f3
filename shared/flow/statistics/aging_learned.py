"""The problems of `aging-learned`: the fold of `aging`, carried on from each learned version to the next.

A version is a rule of its own, with a series of its own: the visits over its limit. The state of the problem goes on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from shared.flow.calendars import AgeClocks
from shared.flow.intervals import Boundary, Interval, RuleState, Transition, TransitionKind, advance, intervals
from shared.flow.rules.aging_learned import AgingLearned
from shared.flow.statistics.learned_limits import LearnedVersion
from shared.flow.visits import Visit
from shared.policy import AgingLearnedRule


class LearnedNumbers(Protocol):
    """The limit (microseconds of the stage's clock), and the counts that open and end a problem; None: not learned."""

    @property
    def limit(self) -> int | None: ...
    @property
    def count(self) -> int | None: ...
    @property
    def clears_at(self) -> int | None: ...


@dataclass(frozen=True)
class LearnedRule:
    """The rule `aging-learned` of one stage, whatever is learned."""

    pipeline: str
    stage: str
    policy: AgingLearnedRule
    clocks: AgeClocks

    @property
    def key(self) -> str:
        """The key of the problem that this rule finds."""
        return f"{AgingLearned.kind}/{self.pipeline}/{self.stage}"

    def under(self, version: LearnedNumbers) -> AgingLearned | None:
        """The rule while a version with these numbers is in force; None where it learned nothing."""
        if version.limit is None or version.count is None or version.clears_at is None:
            return None
        numbers = {"limit": version.limit, "count": version.count, "clears_at": version.clears_at}
        return AgingLearned(self.pipeline, self.stage, self.policy, self.clocks, **numbers)


class VersionRule(NamedTuple):
    """The rule from an instant on, until the next version; None where nothing is learned."""

    since: int
    rule: AgingLearned | None


class VersionFold(NamedTuple):
    """The fold of versions up to an instant. `starts`: the state in which each version begins."""

    starts: Sequence[RuleState]
    state: RuleState
    transitions: Sequence[Transition]

    @property
    def intervals(self) -> list[Interval]:
        """The intervals that cleared in this fold, or are open after it."""
        return intervals(self.state, self.transitions)


def problem_intervals(
    rule: LearnedRule, visits: Iterable[Visit], versions: Sequence[LearnedVersion], as_of: int
) -> list[Interval]:
    """The problems of a stage as of an instant, from all its visits and the versions that begin by then, in order."""
    under = [VersionRule(version.since, rule.under(version)) for version in versions]
    return fold_versions(visits, under, as_of, RuleState()).intervals


def fold_versions(
    visits: Iterable[Visit], versions: Sequence[VersionRule], as_of: int, state: RuleState
) -> VersionFold:
    """Carry the state, in which the first version begins, through versions in order, up to an instant."""
    starts, transitions = list[RuleState](), list[Transition]()
    ends = [*(version.since for version in versions), as_of + 1][1:]
    for version, end, changes in zip(versions, ends, _changes(visits, versions, ends), strict=True):
        starts.append(state)
        state, new = advance_version(state, version.rule, version.since, sorted(changes), end - 1)
        transitions += new
    return VersionFold(starts, state, transitions)


def advance_version(
    state: RuleState, rule: AgingLearned | None, since: int, changes: Sequence[Boundary], until: int
) -> tuple[RuleState, list[Transition]]:
    """Carry the state on into a version that begins at `since`, up to `until`.

    `changes`: of the number of visits over the version's limit, in order; those who are over it at `since` rise then.
    """
    if rule is None:
        return _close(state, since)
    # The new condition is tested at `since` also when no count changes then.
    return advance(rule, replace(state, count=0), [(since, 0), *changes], until)


def _close(state: RuleState, at: int) -> tuple[RuleState, list[Transition]]:
    """Nothing is learned: an open problem clears."""
    if state.opened_at is None:
        return RuleState(), []
    return RuleState(), [Transition(at, TransitionKind.CLEARED, state.opened_at, state.peak, 0)]


def _changes(visits: Iterable[Visit], versions: Sequence[VersionRule], ends: Sequence[int]) -> list[list[Boundary]]:
    """The changes within each version, in no order; the first of those who are over its limit already at its start."""
    starts = [version.since for version in versions]
    found: list[list[Boundary]] = [[] for _ in versions]
    # No visit is over a limit before it is over the least of them, which few ever are.
    least = min((one.rule for one in versions if one.rule is not None), key=lambda rule: rule.limit or 0, default=None)
    if least is None:
        return found
    for visit in visits:
        for due, left in least.spans(visit):
            first = max(bisect_right(starts, due) - 1, 0)
            for number in range(first, len(starts) if left is None else bisect_left(starts, left)):
                rule = versions[number].rule
                if rule is not None:
                    found[number] += _within(rule, visit, starts[number], ends[number])
    return found


def _within(rule: AgingLearned, visit: Visit, start: int, end: int) -> Iterable[Boundary]:
    """The changes that the visit makes in `[start, end)`."""
    for due, left in rule.spans(visit):
        if due < end and (left is None or left > start):
            yield max(due, start), 1
            if left is not None and left < end:
                yield left, -1

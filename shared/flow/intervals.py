"""From a count over time to problem intervals: the only judge, used live, in replays, in what-if and in tests.

Boundaries are (instant, delta), in order of instant. All changes of one instant are applied before the condition is
asked. A problem opens at `s + hold` when the condition is true on the whole closed interval from s to s + hold, s being
the start of an unbroken run; it clears at `f + clear_hold` likewise. States are values: an old one can be gone on from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from shared.flow.rules import Rule

Boundary = tuple[int, int]
GROWN_BY = 1.5


class TransitionKind(StrEnum):
    OPENED = "opened"
    GREW = "grew"
    CLEARED = "cleared"


class Transition(NamedTuple):
    """A problem opened, grew or cleared, at its exact instant."""

    at: int
    turn: TransitionKind
    opened_at: int
    peak: int
    number: int


@dataclass(frozen=True, slots=True)
class RuleState:
    """Where the judging of one rule stands. `run` is the start of the unbroken run of the condition as it is now."""

    count: int = 0
    begun: bool = False
    breached: bool = False
    run: int | None = None
    opened_at: int | None = None
    peak: int = 0
    told: int = 0

    def pack(self) -> list[Any]:
        return [self.count, self.begun, self.breached, self.run, self.opened_at, self.peak, self.told]

    @staticmethod
    def unpack(raw: Sequence[Any]) -> RuleState:
        return RuleState(*raw)


class Interval(NamedTuple):
    """`[opened_at, cleared_at)` with the greatest count (for `wip-low` the least) in it."""

    opened_at: int
    cleared_at: int | None
    peak: int


def due(rule: Rule, state: RuleState) -> int | None:
    """The instant at which, if nothing changes before, the problem opens or clears by its hold running out."""
    if state.run is None or state.breached == (state.opened_at is not None):
        return None
    return state.run + (rule.clear_hold if state.opened_at is not None else rule.hold)


def advance(
    rule: Rule, state: RuleState, boundaries: Iterable[Boundary], until: int
) -> tuple[RuleState, list[Transition]]:
    """Fold the boundaries with instants <= `until`, then let fall due what falls due by then."""
    changes: list[Transition] = []
    at: int | None = None
    delta = 0
    for instant, change in boundaries:
        if instant != at:
            if at is not None:
                state = _step(rule, state, at, delta, changes)
            at, delta = instant, 0
        delta += change
        if change > 0 and not state.begun:
            state = replace(state, begun=True)
    if at is not None:
        state = _step(rule, state, at, delta, changes)
    return _fall_due(rule, state, until, changes), changes


def _step(rule: Rule, state: RuleState, at: int, delta: int, changes: list[Transition]) -> RuleState:
    """One instant: what was due before it, its changes, then what is due at it."""
    state = _fall_due(rule, state, at - 1, changes)
    count = state.count + delta
    breached = rule.breached(count) and (state.begun or not rule.starves)
    if breached != state.breached or (state.run is None and breached):
        state = RuleState(count, state.begun, breached, at, state.opened_at, state.peak, state.told)
    elif delta:
        state = RuleState(count, state.begun, breached, state.run, state.opened_at, state.peak, state.told)
    state = _fall_due(rule, state, at, changes)
    return _worsen(rule, state, at, changes) if state.opened_at is not None else state


def _fall_due(rule: Rule, state: RuleState, until: int, changes: list[Transition]) -> RuleState:
    """Opening and clearing by time alone."""
    instant = due(rule, state)
    if instant is None or instant > until:
        return state
    if state.opened_at is None:
        changes.append(Transition(instant, TransitionKind.OPENED, instant, state.count, state.count))
        return replace(state, opened_at=instant, peak=state.count, told=state.count)
    changes.append(Transition(instant, TransitionKind.CLEARED, state.opened_at, state.peak, state.count))
    return replace(state, opened_at=None, peak=0, told=0)


def _worsen(rule: Rule, state: RuleState, at: int, changes: list[Transition]) -> RuleState:
    """Follow the peak; growth by half again since the last telling is told, at the instant it is reached."""
    peak = min(state.peak, state.count) if rule.starves else max(state.peak, state.count)
    if peak == state.peak:
        return state
    grown = peak * GROWN_BY <= state.told if rule.starves else peak >= state.told * GROWN_BY
    if grown:
        changes.append(Transition(at, TransitionKind.GREW, state.opened_at or at, peak, state.count))
    return replace(state, peak=peak, told=peak if grown else state.told)


def intervals(state: RuleState, changes: Iterable[Transition]) -> list[Interval]:
    """The intervals that changes tell of; one still open comes last, with the peak of `state`."""
    found = [Interval(c.opened_at, c.at, c.peak) for c in changes if c.turn is TransitionKind.CLEARED]
    if state.opened_at is not None:
        found.append(Interval(state.opened_at, None, state.peak))
    return found


def boundaries(spans: Iterable[tuple[int, int | None]]) -> list[Boundary]:
    """The ends of spans, unordered."""
    found: list[Boundary] = []
    for start, end in spans:
        found.append((start, 1))
        if end is not None:
            found.append((end, -1))
    return found

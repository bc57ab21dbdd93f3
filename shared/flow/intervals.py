"""Turns a count over time into problem intervals: the one evaluation, live, in replays, in what-if and in tests.

Boundaries are (instant, delta), in the order of their instants. All changes at one instant are applied before the
condition is tested. A problem opens at `s + hold` when the condition is true on the whole closed interval from s to
s + hold, where s is the start of an unbroken run; it clears at `f + clear_hold` likewise. States are values: evaluation
can resume from an old one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from shared.flow.rules import Rule
from shared.flow.rules.rule import Span

Boundary = tuple[int, int]
GROWN_BY = 1.5


class TransitionKind(StrEnum):
    OPENED = "opened"
    GREW = "grew"
    CLEARED = "cleared"


class Transition(NamedTuple):
    """A problem opened, grew or cleared, at its exact instant."""

    at: int
    kind: TransitionKind
    opened_at: int
    peak: int
    deals: int


@dataclass(frozen=True, slots=True)
class RuleState:
    """How far one rule is evaluated.

    `begun`: the count has risen at least once. `run`: since when the condition has been as it is now. `opened_at` and
    `peak`: of the open problem. `published_count`: the peak when the problem was last published.
    """

    count: int = 0
    begun: bool = False
    breached: bool = False
    run: int | None = None
    opened_at: int | None = None
    peak: int = 0
    published_count: int = 0

    def pack(self) -> list[Any]:
        return [self.count, self.begun, self.breached, self.run, self.opened_at, self.peak, self.published_count]

    @staticmethod
    def unpack(raw: Sequence[Any]) -> RuleState:
        return RuleState(*raw)


class Interval(NamedTuple):
    """`[opened_at, cleared_at)`; `peak` is the greatest count in it, for `wip-low` the least."""

    opened_at: int
    cleared_at: int | None
    peak: int


def due(rule: Rule, state: RuleState) -> int | None:
    """When the problem opens or clears because its hold ends, if the count does not change before."""
    if state.run is None or state.breached == (state.opened_at is not None):
        return None
    return state.run + (rule.clear_hold if state.opened_at is not None else rule.hold)


def advance(
    rule: Rule, state: RuleState, boundaries: Iterable[Boundary], until: int
) -> tuple[RuleState, list[Transition]]:
    """Apply boundaries, all of them at `until` or before, then the holds that end by `until`."""
    transitions: list[Transition] = []
    at: int | None = None
    delta = 0
    for instant, change in boundaries:
        if instant != at:
            if at is not None:
                state = _step(rule, state, at, delta, transitions)
            at, delta = instant, 0
        delta += change
        if change > 0 and not state.begun:
            state = replace(state, begun=True)
    if at is not None:
        state = _step(rule, state, at, delta, transitions)
    return _end_hold(rule, state, until, transitions), transitions


def _step(rule: Rule, state: RuleState, at: int, delta: int, transitions: list[Transition]) -> RuleState:
    """One instant: first the holds that end before it, then its changes, then the holds that end at it."""
    state = _end_hold(rule, state, at - 1, transitions)
    count = state.count + delta
    if state.opened_at is not None:
        breached = not rule.recovered(count)
    else:
        breached = rule.breached(count) and (state.begun or not rule.starves)
    if breached != state.breached or (state.run is None and breached):
        state = RuleState(count, state.begun, breached, at, state.opened_at, state.peak, state.published_count)
    elif delta:
        state = RuleState(count, state.begun, breached, state.run, state.opened_at, state.peak, state.published_count)
    state = _end_hold(rule, state, at, transitions)
    return _worsen(rule, state, at, transitions) if state.opened_at is not None else state


def _end_hold(rule: Rule, state: RuleState, until: int, transitions: list[Transition]) -> RuleState:
    """Open or clear because time passes."""
    instant = due(rule, state)
    if instant is None or instant > until:
        return state
    if state.opened_at is None:
        transitions.append(Transition(instant, TransitionKind.OPENED, instant, state.count, state.count))
        return replace(state, opened_at=instant, peak=state.count, published_count=state.count)
    transitions.append(Transition(instant, TransitionKind.CLEARED, state.opened_at, state.peak, state.count))
    return replace(state, opened_at=None, peak=0, published_count=0)


def _worsen(rule: Rule, state: RuleState, at: int, transitions: list[Transition]) -> RuleState:
    """Follow the peak. It grew when it is half again what was last published, at the instant when that is reached."""
    peak = min(state.peak, state.count) if rule.starves else max(state.peak, state.count)
    if peak == state.peak:
        return state
    grown = peak * GROWN_BY <= state.published_count if rule.starves else peak >= state.published_count * GROWN_BY
    if grown:
        transitions.append(Transition(at, TransitionKind.GREW, state.opened_at or at, peak, state.count))
    return replace(state, peak=peak, published_count=peak if grown else state.published_count)


def intervals(state: RuleState, transitions: Iterable[Transition]) -> list[Interval]:
    """The intervals that cleared; one still open comes last, with the peak of `state`."""
    found = [Interval(t.opened_at, t.at, t.peak) for t in transitions if t.kind is TransitionKind.CLEARED]
    if state.opened_at is not None:
        found.append(Interval(state.opened_at, None, state.peak))
    return found


def marks_of(spans: Sequence[Span], until: int) -> array[int]:
    """The changes of a count up to an instant, in order: twice the instant, and one more where the count rises.

    The last is the end, just after `until`.
    """
    marks = [2 * start + 1 for start, _ in spans if start <= until]
    marks += [2 * end for _, end in spans if end is not None and end <= until]
    marks.sort()
    return array("q", [*marks, 2 * until + 2])


def decisive(rule: Rule, marks: array[int]) -> Iterator[Boundary]:
    """The changes of the count that can decide anything, one an instant, in order; `marks`: all of them.

    Left out: changes between two counts that are both no breach, and so neither open, clear nor are a peak.
    """
    is_breach = cache(rule.breached)
    level = told = 0
    at, was_breached, begins = marks[0] >> 1, False, False
    # `wip-low` is judged from the first visit on.
    is_judged = not rule.starves
    for mark in marks:
        instant = mark >> 1
        if instant != at:
            breached = is_judged and is_breach(level)
            if breached or was_breached or begins:
                yield at, level - told
                told, begins = level, False
            at, was_breached = instant, breached
        if mark & 1:
            level += 1
            begins, is_judged = begins or not is_judged, True
        else:
            level -= 1

"""From a count to intervals, by example: holds, growth, and what happens exactly at a boundary."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.flow.intervals import Boundary, Interval, RuleState, TransitionKind, advance, due, intervals
from shared.flow.rules import Rule
from shared.flow.ruleset import Ruleset
from shared.policy import parse
from tests.support import histories

SECOND = 1_000_000


def rule(**written: Any) -> Rule:
    return Ruleset(parse(json.dumps(histories.policy_text([written])))).rules[0]


def found(one: Rule, boundaries: list[tuple[int, int]], until: int) -> list[tuple[int, int | None, int]]:
    """Intervals in seconds."""
    taken = in_micros([boundary for boundary in boundaries if boundary[0] <= until])
    state, transitions = advance(one, RuleState(), taken, until * SECOND)
    return [seconds(interval) for interval in intervals(state, transitions)]


def in_micros(boundaries: list[tuple[int, int]]) -> list[Boundary]:
    return [(at * SECOND, delta) for at, delta in boundaries]


def seconds(interval: Interval) -> tuple[int, int | None, int]:
    cleared = interval.cleared_at
    return interval.opened_at // SECOND, None if cleared is None else cleared // SECOND, interval.peak


HIGH = rule(kind="wip-high", max=1)
HELD = rule(kind="wip-high", max=1, hold="5s", clear_hold="3s")
LOW = rule(kind="wip-low", min=2)


@pytest.mark.parametrize(
    ("one", "boundaries", "until", "expected"),
    [
        (HIGH, [(1, 1), (3, 1)], 3, [(3, None, 2)]),
        (HIGH, [(1, 1), (3, 1)], 2, []),
        (HIGH, [(1, 1), (3, 1), (7, -1)], 9, [(3, 7, 2)]),
        (HIGH, [(1, 1), (3, 1), (3, -1)], 9, []),
        (HELD, [(1, 1), (3, 1)], 7, []),
        (HELD, [(1, 1), (3, 1)], 8, [(8, None, 2)]),
        (HELD, [(1, 1), (3, 1), (8, -1)], 9, []),
        (HELD, [(1, 1), (3, 1), (9, -1)], 11, [(8, None, 2)]),
        (HELD, [(1, 1), (3, 1), (9, -1)], 12, [(8, 12, 2)]),
        (HELD, [(1, 1), (3, 1), (9, -1), (11, 1)], 20, [(8, None, 2)]),
        (HELD, [(1, 1), (3, 1), (5, -1), (6, 1)], 10, []),
        (HELD, [(1, 1), (3, 1), (5, -1), (6, 1)], 11, [(11, None, 2)]),
        (LOW, [], 9, []),
        (LOW, [(2, 1)], 9, [(2, None, 1)]),
        (LOW, [(2, 2), (5, -2)], 9, [(5, None, 0)]),
    ],
    ids=[
        "opens at the instant",
        "not before",
        "clears",
        "both at one instant are none",
        "still held",
        "held long enough",
        "ends in the instant that the hold ends",
        "still clearing",
        "cleared",
        "came back in time",
        "a break starts the hold anew",
        "and it opens later",
        "low: never begun",
        "low: from the first visit",
        "low: the least is the peak",
    ],
)
def test_intervals(one: Rule, boundaries: list[tuple[int, int]], until: int, expected: list[Any]) -> None:
    assert found(one, boundaries, until) == expected


def test_growth_is_by_half_again_of_what_was_published() -> None:
    boundaries = in_micros([(1, 2), (2, 1), (3, 1), (4, 1), (5, -1), (6, 1)])

    _, transitions = advance(HIGH, RuleState(), boundaries, 9 * SECOND)

    assert [(t.at // SECOND, t.peak) for t in transitions if t.kind is TransitionKind.GREW] == [(2, 3), (4, 5)]


def test_a_hold_that_runs_is_due_at_its_end() -> None:
    state, _ = advance(HELD, RuleState(), in_micros([(1, 2)]), 2 * SECOND)
    opened, _ = advance(HELD, state, [], 6 * SECOND)

    assert due(HELD, state) == 6 * SECOND
    assert due(HELD, opened) is None

"""Windows against their definition, counted pair by pair."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flow.statistics.columns import Point, Value
from shared.flow.statistics.ranks import memory, stretch
from shared.flow.statistics.segments import Segment, segments
from shared.flow.statistics.windows import WindowInterval, window_intervals, window_looks, window_test
from shared.policy.watchable import Side

LEVEL = Fraction(1, 416)
SIDES = st.sampled_from(Side)
LEVELS = st.sampled_from([Fraction(1, n) for n in (10, 100, 416, 5000, 10**6)])
# The last two have the same double.
CLOSE = st.sampled_from([Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**30)])
VALUES = st.lists(st.one_of(st.none(), st.integers(0, 9), st.fractions(0, 9, max_denominator=3), CLOSE), max_size=70)
CUTS = st.dictionaries(st.one_of(st.none(), st.integers(0, 75)), st.integers(12, 20), max_size=3)


def pairs_worse(baseline: list[Value], late: list[Value], side: Side) -> Fraction:
    """U: pairs in which the late value is worse, a tie one half."""
    signs = [(b > a) - (b < a) for a in baseline for b in late]
    worse = 1 if side is Side.HIGH else -1
    return Fraction(sum(2 * (sign == worse) + (sign == 0) for sign in signs), 2)


def fires(baseline: list[Value], late: list[Value], side: Side, level: Fraction) -> bool:
    m, n = len(baseline), len(late)
    critical = rarest(m, n, level)
    if critical is None:
        return False
    need = stretch(memory(baseline), m, n) * (critical - m * n / 2)
    if n == 8:
        need = min(need, 0.475 * 8 * m)
    return float(pairs_worse(baseline, late, side)) - m * n / 2 >= need - 1e-9


RAREST: dict[tuple[int, int, Fraction], int | None] = {}


def rarest(m: int, n: int, level: Fraction) -> int | None:
    """The least u that is rare enough, from how many ways there are to write u as n places among m + n."""
    if (m, n, level) not in RAREST:
        ways = [[1] + [0] * (m * n)] + [[0] * (m * n + 1) for _ in range(n)]
        for size in range(m + n):
            for taken in range(n, 0, -1):
                below = size - (taken - 1)
                if 0 <= below <= m:
                    for u in range(m * n, below - 1, -1):
                        ways[taken][u] += ways[taken - 1][u - below]
        tails = [sum(ways[n][u:]) for u in range(m * n + 1)]
        rare = [u for u, tail in enumerate(tails) if Fraction(tail, comb(m + n, n)) <= level]
        RAREST[m, n, level] = min(rare, default=None)
    return RAREST[m, n, level]


def by_definition(
    values: list[Value | None], cuts: dict[int | None, int], side: Side, level: Fraction
) -> list[tuple[int, int | None, int, list[int]]]:
    """The rule of the specification, week by week."""
    found: list[tuple[int, int | None, int, list[int]]] = []
    for week, value in enumerate(values):
        if value is None:
            continue
        start = max((cut for cut in cuts if cut is not None and cut <= week), default=None)
        mine = [w for w in range(start or 0, week + 1) if values[w] is not None]
        m = cuts.get(start, 20)
        firing = []
        for n in (4, 8):
            if len(mine) >= m + n:
                base, late = [[values[w] for w in part] for part in (mine[:m], mine[-n:])]
                if fires(base, late, side, level):  # type: ignore[arg-type]
                    firing.append((n, 100 * pairs_worse(base, late, side) // (m * n)))  # type: ignore[arg-type]
        is_open = bool(found) and found[-1][1] is None
        if firing:
            peak = int(max(share for _, share in firing))
            if is_open:
                found[-1] = (found[-1][0], None, max(found[-1][2], peak), found[-1][3])
            else:
                found.append((week, None, peak, mine[-firing[-1][0] :]))
        elif is_open:
            found[-1] = (found[-1][0], week, *found[-1][2:])
    return found


@given(VALUES, CUTS, SIDES, LEVELS)
def test_intervals_are_those_of_the_definition(
    values: list[Value | None], cuts: dict[int | None, int], side: Side, level: Fraction
) -> None:
    points = [Point(week, value) for week, value in enumerate(values) if value is not None]
    found = window_intervals(segments(points, cuts, len(values)), side, level)

    assert [(*one[:3], list(one.trigger)) for one in found] == by_definition(values, cuts, side, level)


@given(VALUES, CUTS, SIDES, LEVELS, st.integers(0, 70))
def test_what_was_found_stays_when_weeks_are_added(
    values: list[Value | None], cuts: dict[int | None, int], side: Side, level: Fraction, over: int
) -> None:
    """As of a week, the intervals are the later ones without what came after it."""

    def found(known: list[Value | None]) -> list[WindowInterval]:
        points = [Point(week, value) for week, value in enumerate(known) if value is not None]
        return window_intervals(segments(points, cuts, len(known)), side, level)

    whole = [one for one in found(values) if one.opened < over]
    early = found(values[:over])

    assert [one.opened for one in early] == [one.opened for one in whole]
    for then, now in zip(early, whole, strict=True):
        ended = now.cleared is not None and now.cleared < over
        assert (then.cleared, then.trigger) == (now.cleared if ended else None, now.trigger)


def test_a_small_table_of_critical_values_by_listing_every_arrangement() -> None:
    for m, n in ((3, 2), (5, 4), (4, 4)):
        for level in (Fraction(1, 5), Fraction(1, 50), Fraction(1, 200)):
            us = [sum(place - rank for rank, place in enumerate(taken)) for taken in combinations(range(m + n), n)]
            rare = [u for u in range(m * n + 1) if Fraction(sum(v >= u for v in us), len(us)) <= level]
            assert rarest(m, n, level) == min(rare, default=None)


def chart(*values: int, size: int = 20) -> Segment:
    return Segment([Point(week, value) for week, value in enumerate(values, 1)], size)


def test_nothing_is_judged_before_the_baseline_is_complete() -> None:
    assert window_test(chart(*range(19)), Side.HIGH, LEVEL) is None
    assert window_looks(chart(*range(20)), Side.HIGH, LEVEL) == []
    assert window_test(chart(*range(20)), Side.HIGH, LEVEL) is not None


def test_points_of_the_baseline_are_in_no_window() -> None:
    looks = window_looks(chart(*[5] * 16, *[90] * 4, *[100] * 3), Side.HIGH, LEVEL)

    assert [(look.twice_4, look.twice_8) for look in looks] == [(None, None)] * 3


@pytest.mark.parametrize(("side", "late"), [(Side.HIGH, 6), (Side.LOW, 4)])
def test_a_baseline_of_equal_points_is_judged_like_any_other(side: Side, late: int) -> None:
    (found,) = window_intervals([chart(*[5] * 20, *[late] * 4)], side, LEVEL)

    assert (found.opened, found.peak, found.trigger) == (24, 100, [21, 22, 23, 24])
    assert not window_intervals([chart(*[5] * 20, *[10 - late] * 30)], side, LEVEL)


def test_a_level_that_no_window_can_reach_turns_it_off() -> None:
    test = window_test(chart(*range(20)), Side.HIGH, Fraction(1, comb(24, 4) + 1))

    assert test is not None
    assert (test.windows[4].critical, test.windows[4].need) == (None, None)
    assert test.windows[8].critical is not None


def test_the_rarest_result_alone_is_enough_where_it_is_just_rare_enough() -> None:
    segment = chart(*range(0, 40, 2), *[99] * 4)
    exact = Fraction(1, comb(24, 4))

    for level, critical in ((exact, 80), (exact - Fraction(1, 10**9), None)):
        test = window_test(segment, Side.HIGH, level)
        assert test is not None
        assert test.windows[4].critical == critical

"""Silence of a part of the receipts: the same as of all of them, and when it is due."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from fractions import Fraction
from random import Random

import pytest

from shared.flow.statistics.silence import SourceSilence, learned_from, silence, silence_since
from shared.flow.statistics.wall_hours import HOUR, WallHours
from shared.flow.statistics.weeks import Weeks
from tests.unit.flow.statistics.test_silence import DAY, SourceLife, at

TENTH = Fraction(1, 10)
WEEK = 7 * DAY


@pytest.mark.parametrize("seed", range(12))
def test_of_the_gaps_since_an_instant(seed: int) -> None:
    life = SourceLife(seed, weekly=seed * 4 + 5, office=seed % 2 == 0, heap=seed % 3 + 1)
    chance, receipts = Random(seed), life.receipts()
    hours, as_of = WallHours(Weeks(0, life.zone), life.holidays), receipts[-1] + chance.randrange(3 * WEEK)
    whole = silence(receipts, WallHours(Weeks(receipts[0], life.zone), life.holidays), TENTH, as_of)
    for edge in (receipts[0] + chance.randrange(as_of - receipts[0]) for _ in range(8)):
        # The gap that the edge lies in begins at the last receipt before it.
        since = receipts[max(bisect_left(receipts, edge) - 1, 0)]
        known = receipts[bisect_left(receipts, learned_from(since, hours)) :]
        found = silence_since(known, hours, TENTH, as_of, receipts[0], since)

        assert (found.need, found.due) == (whole.need, whole.due)
        assert lasting(found, edge) == lasting(whole, edge)


def lasting(found: SourceSilence, edge: int) -> list[object]:
    return [one for one in found.intervals if one.cleared_at is None or one.cleared_at > edge]


def test_it_opens_when_it_is_due_and_not_before() -> None:
    start = at("2026-01-12")
    receipts = [start + n * HOUR // 3 for n in range(10 * 7 * 72)]
    hours = WallHours(Weeks(start, "UTC"), [])
    due = silence(receipts, hours, TENTH, receipts[-1]).due

    assert due is not None
    assert silence(receipts, hours, TENTH, due - 1).intervals == []
    (opened,) = silence(receipts, hours, TENTH, due).intervals
    assert (opened.opened_at, opened.cleared_at) == (due, None)
    assert silence(receipts, hours, TENTH, due).due is None


def test_nothing_is_due_before_a_rhythm_is_learned_or_when_all_days_are_off() -> None:
    start = at("2026-01-12")
    few = [start + n * HOUR for n in range(7 * 24 * 7)]
    assert silence(few, WallHours(Weeks(start, "UTC"), []), TENTH, few[-1]).due is None
    assert silence([], WallHours(Weeks(start, "UTC"), []), TENTH, start).due is None
    many = [start + n * HOUR for n in range(7 * 24 * 10)]
    off = [date.fromordinal(date(2026, 3, 23).toordinal() + n) for n in range(100)]
    looked = silence(many, WallHours(Weeks(start, "UTC"), off), TENTH, many[-1]).due
    assert looked is not None
    assert looked > many[-1] + 50 * DAY, "as far ahead as was looked: nothing is expected on days off"

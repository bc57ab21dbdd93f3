"""How often a change of a size is missed, as told while planning, against changes that are made up."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from shared.flow.statistics.columns import Value
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import Ground, Seal, seal
from shared.flow.statistics.smallest_effect import missed, smallest
from shared.flow.statistics.verification import StudiedChange, Verdict, oriented, verify

SHARES = [False, True]


def weeks(random: Random, length: int, middle: float = 20.0) -> list[Value | None]:
    return [Fraction(round(random.gauss(middle, 2), 2)).limit_denominator(100) for _ in range(length)]


def sealed(before: list[Value | None], *, higher: bool = False) -> tuple[Seal, list[Value | None]]:
    turned = list(oriented(before, higher_is_better=higher))
    found = seal(turned, Ground())
    assert isinstance(found, Seal)
    return found, turned


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("higher", [False, True])
def test_of_the_smallest_effect_no_more_than_one_in_five_is_missed(higher: bool, share: bool) -> None:
    for seed in range(8):
        found, before = sealed(weeks(Random(seed), 30), higher=higher)
        least = smallest(found, before, WINDOW, share=share, higher=higher)
        assert least is not None
        told = missed(found, before, WINDOW, least, share=share, higher=higher)

        assert told is not None
        assert told <= 0.2 + 1e-9
        sizes = [least * Fraction(part, 4) for part in range(1, 9)]
        chances = [missed(found, before, WINDOW, size, share=share, higher=higher) or 0.0 for size in sizes]
        assert chances == sorted(chances, reverse=True)
        assert chances[0] > 0.4


def test_an_effect_that_leaves_nothing_is_hardly_missed_and_no_share_is_told_of_zeros() -> None:
    found, before = sealed(weeks(Random(1), 30))
    assert (missed(found, before, WINDOW, Fraction(1), share=True, higher=False) or 0.0) < 0.05
    found, before = sealed([Fraction(week % 3) for week in range(30)])
    assert missed(found, before, WINDOW, Fraction(1, 2), share=True, higher=False) is None


@pytest.mark.slow
@pytest.mark.parametrize("size", [1.5, 2, 3])
def test_what_is_told_is_what_happens(size: float) -> None:
    random, told, misses, runs = Random(7), 0.0, 0, 300
    for _ in range(runs):
        before, after = weeks(random, 24), weeks(random, WINDOW, 20 - size)
        found, turned = sealed(before)
        told += missed(found, turned, WINDOW, Fraction(size), share=False, higher=False) or 0.0
        change = StudiedChange(higher_is_better=False, before=before, after=after, ground=Ground())
        misses += verify(change).conclusion.verdict is not Verdict.VERIFIED

    assert abs(told - misses) / runs < 0.1

"""Each link pulls so often at once, and then at its rate; what one link did slows no other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.domain.rates import MAX_KEYS, Rate, Rates, TooOften
from tests.support.problems import BASE

RATE = Rate(3, timedelta(minutes=5))


def at(minutes: float) -> datetime:
    return BASE + timedelta(minutes=minutes)


def wait(rates: Rates, minutes: float, link: int = 1) -> float:
    """0 where the link may be used, else after how many minutes."""
    try:
        rates.take(link, at(minutes))
    except TooOften as error:
        return error.wait / timedelta(minutes=1)
    return 0.0


def test_a_burst_and_then_the_rate() -> None:
    rates = Rates(RATE)

    assert [wait(rates, minutes) for minutes in (0, 0, 0, 0, 4)] == [0, 0, 0, 5, 1]
    assert [wait(rates, minutes) for minutes in (5, 5, 10, 30, 30, 30, 30)] == [0, 5, 0, 0, 0, 0, 5]
    assert wait(rates, 0, link=2) == 0


def test_memory_is_bounded() -> None:
    rates = Rates(RATE)
    for number in range(3 * MAX_KEYS):
        rates.take(number, at(number))

    assert wait(rates, 3 * MAX_KEYS) == 0


@given(st.lists(st.floats(0, 100), max_size=60))
def test_no_span_holds_more_than_burst_and_rate_allow(times: list[float]) -> None:
    rates = Rates(RATE)
    taken = [one for one in sorted(times) if wait(rates, one) == 0]

    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= RATE.burst + (taken[last] - taken[first]) / 5 + 1e-6


@pytest.mark.parametrize("minutes", [0, 1, 4.99])
def test_after_the_wait_the_link_may_be_used(minutes: float) -> None:
    rates = Rates(RATE)
    for _ in range(3):
        rates.take(1, at(0))

    assert wait(rates, minutes + wait(rates, minutes)) == 0

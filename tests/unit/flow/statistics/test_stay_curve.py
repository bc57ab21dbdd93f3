"""The curve of how long deals stay: the shares of the definition, at evenly spaced times."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shared.flow.calendars import CalendarClock
from shared.flow.statistics.crossings import DAY
from shared.flow.statistics.learned_limits import learned_limit
from shared.flow.statistics.stay_curve import POINTS, stay_shares
from shared.flow.visits import Visit

AT = 100 * DAY


def visit(entered: int, days: int | None, known: bool = True) -> Visit:
    return Visit("p", "s", entered * DAY, known, None if days is None else (entered + days) * DAY)


def test_it_falls_from_all_to_few_and_ends_at_the_longest_stay() -> None:
    visits = [visit(n, 1 + n % 10) for n in range(40)] + [visit(60, None), visit(90, None)]

    found = stay_shares(visits, CalendarClock(), AT)

    assert found is not None
    assert (found.finished, found.open) == (40, 2)
    assert found.limit == learned_limit(visits, CalendarClock(), AT).limit == 9 * DAY
    # Of 42 visits 20 have ended by the fifth day, 24 by the sixth.
    assert found.median == 6 * DAY
    assert (found.steps[0], found.steps[-1][0]) == ((0, 1.0), 40 * DAY)
    assert len(found.steps) == POINTS + 1
    assert all(early >= late for (_, early), (_, late) in pairwise(found.steps))
    at = dict(found.steps)
    # All 42 visits last at least two days or were left before; nobody is censored by then.
    assert at[2 * DAY] == pytest.approx(34 / 42)


def test_too_few_finished_visits_give_none() -> None:
    few = [visit(n, 5) for n in range(29)]

    assert stay_shares(few, CalendarClock(), AT) is None
    assert stay_shares([*few, visit(30, 5, known=False)], CalendarClock(), AT) is None
    assert stay_shares([*few, visit(30, 5)], CalendarClock(), AT) is not None


def test_visits_that_end_as_they_begin_have_one_time() -> None:
    found = stay_shares([visit(n, 0) for n in range(30)], CalendarClock(), AT)

    assert found is not None
    assert found.steps == ((0, 0.0),)

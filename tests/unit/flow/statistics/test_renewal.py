"""A lock of 52 quiet weeks is proposed for renewal; no younger one, and none after weeks that stood out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from shared.flow.statistics.columns import Point
from shared.flow.statistics.renewal import Renewal, renewal
from shared.flow.statistics.segments import Segment
from shared.policy.watchable import Side
from tests.support.week_messages import quiet

LEVEL = Fraction(1, 100)


def segment(values: list[int], size: int = 20) -> Segment:
    return Segment([Point(week, value) for week, value in enumerate(values, 1)], size)


@pytest.mark.parametrize(("weeks", "since"), [(71, None), (72, 53), (90, 71)])
@pytest.mark.parametrize(("side", "level"), [(Side.HIGH, LEVEL), (Side.LOW, LEVEL), (None, None)])
def test_it_takes_52_judged_weeks(weeks: int, since: int | None, side: Side | None, level: Fraction | None) -> None:
    found = renewal(segment(quiet(weeks)), side, level)

    assert found == (None if since is None else Renewal(since, 20))


def test_an_early_lock_is_as_old_as_the_weeks_it_judged() -> None:
    assert renewal(segment(quiet(64), size=12), Side.HIGH, LEVEL) == Renewal(45, 20)
    assert renewal(segment(quiet(63), size=12), Side.HIGH, LEVEL) is None


@pytest.mark.parametrize(("after", "is_due"), [(51, False), (59, True)])
def test_weeks_that_fired_wait_for_52_quiet_ones(after: int, is_due: bool) -> None:
    values = [*quiet(30), *[90] * 4, *quiet(after)]

    assert (renewal(segment(values), Side.HIGH, LEVEL) is not None) is is_due
    # On its other side the chart was quiet all the time.
    assert renewal(segment(values), Side.LOW, LEVEL) is not None
    assert (renewal(segment(values), None, None) is not None) is is_due

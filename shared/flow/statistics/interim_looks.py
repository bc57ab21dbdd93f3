"""The three looks at the weeks after a change; their levels add up to 2.5 % (Pocock 1977: repeated looks at data).

Values are oriented: less is better. The weeks after the change are those that are over, None where one has no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from shared.flow.statistics.columns import Value, WeekValues
from shared.flow.statistics.ranks import critical, passes, twice_u
from shared.flow.statistics.sealing import Seal

WINDOW = 13
LEVELS = (Fraction(4, 1000), Fraction(8, 1000), Fraction(13, 1000))
_WORSE_LEVEL = Fraction(25, 1000)


class ChangeLook(NamedTuple):
    """The weeks up to one week against the m weeks of the reference. Skipped where too few of them have a value.

    `twice_u`: twice the pairs in which the week after is the better one; None where the look is skipped.
    """

    week: int
    points: int
    m: int
    twice_u: int | None = None
    critical: int | None = None
    # The U from which the look passes; None where no U is rare enough.
    needed: float | None = None
    passed: bool = False
    # Whether any U passes; and whether U shows a change for the worse.
    can_pass: bool = False
    worse: bool = False


def look_weeks(window: int) -> tuple[int, int, int]:
    """The weeks at whose ends the looks are: 4, 8 and 13 of 13. A window of 3 weeks or more has three."""
    return (3 * window + 5) // 10, (6 * window + 5) // 10, window


def enough(weeks: int) -> int:
    """How many weeks must have a value: three of four."""
    return -(-3 * weeks // 4)


def look_at(seal: Seal, before: WeekValues, after: WeekValues, week: int, window: int = WINDOW) -> ChangeLook:
    """The look at the end of one of the look weeks, which is over."""
    level = LEVELS[look_weeks(window).index(week)]
    return _look(seal, seal.before(before), after[:week], level)


def _look(seal: Seal, reference: Sequence[Value], after: WeekValues, level: Fraction) -> ChangeLook:
    late, week = seal.after(after), len(after)
    m, n = len(reference), len(late)
    if n < enough(week):
        return ChangeLook(week, n, m)
    twice, found, g = twice_u(reference, late, higher=False), critical(m, n, level), seal.stretch(m, n)
    return ChangeLook(
        week,
        n,
        m,
        twice,
        found,
        needed=None if found is None else m * n / 2 + g * (found - m * n / 2),
        passed=passes(twice, m, n, level, g),
        can_pass=passes(2 * m * n, m, n, level, g),
        worse=passes(2 * m * n - twice, m, n, _WORSE_LEVEL, g),
    )

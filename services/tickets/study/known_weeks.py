"""A chart with what was known of its weeks when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile

from shared.contracts.measures import Column
from shared.flow.statistics.columns import WeekValues, points

# An instant by which all that is known now was known.
ALL_KNOWN = 2**63


@dataclass(frozen=True)
class RevisedChart:
    """A chart's values in the printed unit by week, from week 0 to the last before the first that has not come.

    `was`: by week the values that it had, each until the instant at which another was known, in order.
    """

    column: Column
    values: Sequence[Fraction | None]
    was: Mapping[int, Sequence[tuple[int, Fraction | None]]]

    @classmethod
    def of(
        cls,
        column: Column,
        found: Mapping[int, Fraction | None],
        was: Mapping[int, Sequence[tuple[int, Fraction | None]]],
        *,
        is_renumbered: bool = False,
    ) -> RevisedChart:
        """`found`: the weeks that have come, in whatever order.

        `is_renumbered`: weeks were numbered anew and some may be missing, so that the first to come are no beginning.
        """
        first = min(found, default=0)
        if is_renumbered and first > 1:
            return cls(column, [], was)
        come = takewhile(lambda week: week in found, range(first, first + len(found)))
        return cls(column, [*[None] * first, *(found[week] for week in come)], was)

    @property
    def over(self) -> int:
        """The first week that has not come."""
        return len(self.values)

    def at(self, instant: int) -> WeekValues:
        """The values of points as known at an instant; what came later was known from its first value on."""
        known = [self._known(week, value, instant) for week, value in enumerate(self.values)]
        values: list[Fraction | None] = [None] * len(known)
        for week, value in points(self.column, known):
            values[week] = Fraction(value)
        return values

    def _known(self, week: int, value: Fraction | None, instant: int) -> Fraction | None:
        return next((was for until, was in self.was.get(week, ()) if until > instant), value)

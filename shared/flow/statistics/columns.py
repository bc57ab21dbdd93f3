"""The weekly measures by name, and charts: one measure of one stage or pipeline. Values are exact."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

# Exact: a count, a share as a fraction, or a time in parts of a microsecond (`Column.scale`).
Value = int | Fraction
_SECOND = 1_000_000


class Column(StrEnum):
    """A weekly measure; its value names the column wherever measures are printed. `_s`: seconds on the age clock."""

    ARRIVALS = "arrivals"
    DEPARTURES = "departures"
    WIP_END = "wip_end"
    TIME_IN_STAGE_MEDIAN = "time_in_stage_median_s"
    TIME_IN_STAGE_P85 = "time_in_stage_p85_s"
    REWORK = "rework"
    REWORK_RATE = "rework_rate"
    THROUGHPUT = "throughput"
    WON = "won"
    LOST = "lost"
    WIN_RATE = "win_rate"
    LEAD_TIME_MEDIAN = "lead_time_median_s"
    LEAD_TIME_P85 = "lead_time_p85_s"
    OPEN_AGE_MEAN = "open_age_mean_s"
    PUSHED = "pushed"
    OPEN_WITH_CLOSE = "open_with_close"
    PUSHED_SHARE = "pushed_share"

    @property
    def measure(self) -> str:
        """Its name in policies and problem keys: without the unit."""
        return self.value.removesuffix("_s")

    @property
    def of_pipeline(self) -> bool:
        """Whether a pipeline has it; else a stage has."""
        return self in _OF_PIPELINE

    @property
    def scale(self) -> int:
        """How much of a value makes 1 of what is printed: a median is kept as the sum of two times in microseconds."""
        return _SCALES.get(self, 1)


_OF_PIPELINE = frozenset(
    {Column.THROUGHPUT, Column.WON, Column.LOST, Column.WIN_RATE, Column.LEAD_TIME_MEDIAN, Column.LEAD_TIME_P85}
    | {Column.PUSHED, Column.OPEN_WITH_CLOSE, Column.PUSHED_SHARE}
)
_SCALES = {
    Column.TIME_IN_STAGE_MEDIAN: 2 * _SECOND,
    Column.LEAD_TIME_MEDIAN: 2 * _SECOND,
    Column.TIME_IN_STAGE_P85: 20 * _SECOND,
    Column.LEAD_TIME_P85: 20 * _SECOND,
    Column.OPEN_AGE_MEAN: _SECOND,
}


class Chart(NamedTuple):
    """One weekly measure of one stage, or of a pipeline where `stage` is empty."""

    pipeline: str
    stage: str
    column: Column

    @property
    def name(self) -> str:
        """Its name in output, relocks and topics: `loans/-/throughput`."""
        return f"{self.pipeline}/{self.stage or '-'}/{self.column.value}"


# The values of a chart by week, week 0 first; None where a week has no value.
WeekValues = Sequence[Value | None]


class Point(NamedTuple):
    """A week of a chart that is over and has a value."""

    week: int
    value: Value


# Young logs hold short lead times only: the rules on measures leave these weeks of them out.
_LEAD_TIME_FIRST = 27


def points(column: Column, values: WeekValues) -> list[Point]:
    """The points that the rules on measures judge; `values` holds the weeks that are over."""
    first = _LEAD_TIME_FIRST if column in (Column.LEAD_TIME_MEDIAN, Column.LEAD_TIME_P85) else 1
    return [Point(week, value) for week, value in enumerate(values) if week >= first and value is not None]


def printed(column: Column, value: Value | None) -> int | float | None:
    """The value as it is printed: a count as an integer, a share or seconds as a float."""
    if value is None or (isinstance(value, int) and column.scale == 1):
        return value
    return float(Fraction(value, column.scale))

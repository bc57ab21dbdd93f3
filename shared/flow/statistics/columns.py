"""The weekly measures by name, and charts: one measure of one stage or pipeline. Values are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from shared.contracts.measures import Column

__all__ = [
    "COLUMNS",
    "Chart",
    "Column",
    "Point",
    "Value",
    "WeekValues",
    "exact_text",
    "exact_value",
    "points",
    "printed",
]
# By name. A call of an Enum costs more than all else of a row that is read.
COLUMNS: Mapping[str, Column] = {column.value: column for column in Column}
# Exact: a count, a share as a fraction, or a time in parts of a microsecond (`Column.scale`).
Value = int | Fraction


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
    scale = column.scale
    if value is None or (scale == 1 and isinstance(value, int)):
        return value
    # Division of integers rounds once, as that of a fraction does.
    return value.numerator / (value.denominator * scale)


def exact_value(column: Column, text: str | None) -> Value | None:
    """A value as charts keep it, from the text of messages, `5` or `5/7` in the unit in which it is printed."""
    if text is None:
        return None
    numerator, _, denominator = text.partition("/")
    whole = int(numerator) * column.scale
    if not denominator:
        return whole
    # Times are whole numbers: a fraction is made only of a share.
    value, rest = divmod(whole, int(denominator))
    return Fraction(whole, int(denominator)) if rest else value


def exact_text(column: Column, value: Value | None) -> str | None:
    """The value as messages write it, in the unit in which it is printed."""
    if value is None or column.scale == 1:
        return None if value is None else str(value)
    return str(Fraction(value.numerator, value.denominator * column.scale))

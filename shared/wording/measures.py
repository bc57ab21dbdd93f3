"""Weekly measures in a manager's words: what each is called, its unit, and its values as they are shown."""

from __future__ import annotations

from fractions import Fraction

from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart, Value
from shared.policy import Policy
from shared.wording.quantities import CALENDAR_DAY, age, rounded

NAMES = {
    Column.ARRIVALS: "Deals that came in",
    Column.DEPARTURES: "Deals that left",
    Column.WIP_END: "Deals in work at the end of the week",
    Column.TIME_IN_STAGE_MEDIAN: "Time in stage (median)",
    Column.TIME_IN_STAGE_P85: "Time in stage (85th percentile)",
    Column.OPEN_AGE_MEAN: "Mean age of open deals",
    Column.REWORK: "Deals that came back",
    Column.REWORK_RATE: "Share of deals that came back",
    Column.THROUGHPUT: "Deals closed",
    Column.WON: "Deals won",
    Column.LOST: "Deals lost",
    Column.WIN_RATE: "Share of closed deals that were won",
    Column.LEAD_TIME_MEDIAN: "Lead time (median)",
    Column.LEAD_TIME_P85: "Lead time (85th percentile)",
    Column.PUSHED: "Close dates put off",
    Column.OPEN_WITH_CLOSE: "Open deals with a close date",
    Column.PUSHED_SHARE: "Share of close dates put off",
}
# What a measure is when its value is lower, and when it is higher.
_CHANGED = {
    Column.ARRIVALS: ("fewer", "more"),
    Column.DEPARTURES: ("fewer", "more"),
    Column.WIP_END: ("fewer", "more"),
    Column.TIME_IN_STAGE_MEDIAN: ("shorter", "longer"),
    Column.TIME_IN_STAGE_P85: ("shorter", "longer"),
    Column.OPEN_AGE_MEAN: ("younger", "older"),
    Column.THROUGHPUT: ("fewer", "more"),
    Column.LEAD_TIME_MEDIAN: ("shorter", "longer"),
    Column.LEAD_TIME_P85: ("shorter", "longer"),
}
_SHARES = frozenset({Column.REWORK_RATE, Column.WIN_RATE, Column.PUSHED_SHARE})
DEALS, SHARE = "deals", "%"


def day_of(chart: Chart, policy: Policy) -> int:
    """Seconds of a day on the clock of a chart's times. Lead times are calendar time."""
    has_stage = bool(chart.stage) and policy.stage(chart.pipeline, chart.stage) is not None
    return policy.day_seconds(chart.pipeline, chart.stage) if has_stage else CALENDAR_DAY


def unit_of(column: Column, day: int) -> str:
    """`deals`, `%`, `days` or `working days`. `day`: seconds of a day on the chart's clock."""
    if is_share(column):
        return SHARE
    if not is_time(column):
        return DEALS
    return "days" if day == CALENDAR_DAY else "working days"


def changed(column: Column, *, higher: bool) -> str:
    """What a measure is when its value is higher, or lower: `shorter`, `more`."""
    return _CHANGED.get(column, ("smaller", "greater"))[higher]


def is_share(column: Column) -> bool:
    """Whether a measure is a share of deals."""
    return column in _SHARES


def is_time(column: Column) -> bool:
    """Whether a measure is a length of time."""
    return column.value.endswith("_s")


def shown(column: Column, value: Value, day: int) -> float:
    """A value in the unit of its chart."""
    return in_unit(column, Fraction(value, column.scale), day)


def in_unit(column: Column, printed: Fraction | float, day: int) -> float:
    """A value as messages have it (seconds, a fraction of 1, a count) in the unit of its chart."""
    if is_share(column):
        return float(printed * 100)
    return float(printed / day if is_time(column) else printed)


def in_words(column: Column, printed: float, day: int) -> str:
    """The same with its unit: `34 days`, `12 %`, `2.5 deals`; a time below one day in hours."""
    value = in_unit(column, printed, day)
    if is_time(column) and value < 1:
        return age(printed, day)
    return with_unit(value, unit_of(column, day))


def with_unit(value: float, unit: str) -> str:
    """`5.2 days`, `12 %`"""
    one = "1" if rounded(value) == "1" else ""
    return f"{rounded(value)} {unit.removesuffix('s') if one and unit != SHARE else unit}"

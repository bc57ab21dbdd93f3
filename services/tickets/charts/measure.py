"""The charts of a weekly measure: its weeks with their limits, its moves from week to week, weeks side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median

from services.tickets.charts.signals import ChartSignals, DrawnSegment
from services.tickets.charts.spec import ForecastFan, Grain, Level, LineChart, Point, WeekGroups
from services.tickets.store.weekly_points import ChartWeeks
from shared.contracts.measures import Column
from shared.contracts.problems import ProblemData, SignalDetail
from shared.flow.statistics.columns import Chart, Value
from shared.flow.statistics.forecast import Forecast, Outlook
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy
from shared.runtime.instants import micros, moment
from shared.wording.measures import NAMES, day_of, shown, unit_of, with_unit

UPPER, LOWER, CENTRE = "upper limit", "lower limit", "mean of the baseline"
RANGE_LIMIT, RANGE_CENTRE = "limit of moves", "mean move of the baseline"
MARKS = {1: "outside the limits", 2: "eight weeks on one side", 3: "three of four near a limit"}
# Weeks that charts of a stage, and of what lies ahead, show.
YEAR, QUARTER = 52, 13
FLOW_COLUMNS = (Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END)


@dataclass(frozen=True)
class MeasureScale:
    """How values of a chart become numbers of its unit."""

    chart: Chart
    policy: Policy

    @property
    def unit(self) -> str:
        return unit_of(self.chart.column, day_of(self.chart, self.policy))

    def of(self, value: Value) -> float:
        return shown(self.chart.column, value, day_of(self.chart, self.policy))


def week_chart(signals: ChartSignals, policy: Policy, title: str, zone: str) -> LineChart:
    """The weeks with the limits of each segment, and the weeks that stand out ringed."""
    scale = MeasureScale(signals.chart, policy)
    values = {point.week: (_start(signals.weeks, point.week), scale.of(point.value)) for point in signals.points}
    line = list(values.values())
    found = [mark for part in signals.parts if part.xmr for mark in part.xmr.marks]
    marks = {name: [values[mark.week] for mark in found if mark.rule == rule] for rule, name in MARKS.items()}
    return LineChart(
        title,
        scale.unit,
        {NAMES[signals.chart.column]: line},
        line[0][0],
        line[-1][0],
        zone,
        grain=Grain.WEEK,
        levels=list(_levels(signals, scale, _of_weeks)),
        marks={name: points for name, points in marks.items() if points},
    )


def move_chart(signals: ChartSignals, policy: Policy, zone: str) -> LineChart | None:
    """How far each week is from the one before; None where no segment has limits, or no two weeks are there."""
    scale, moves = MeasureScale(signals.chart, policy), list[Point]()
    for part in signals.parts:
        moves += [
            (_start(signals.weeks, late.week), scale.of(abs(Fraction(late.value - early.value))))
            for early, late in pairwise(part.segment.points)
        ]
    if not moves or not any(part.xmr for part in signals.parts):
        return None
    levels = list(_levels(signals, scale, _of_moves))
    since, until = _start(signals.weeks, signals.points[0].week), moves[-1][0]
    title = f"From one week to the next it moved by {with_unit(moves[-1][1], scale.unit)}{_usual_move(signals, scale)}"
    lines = {"move from week to week": moves}
    return LineChart(title, scale.unit, lines, since, until, zone, grain=Grain.WEEK, levels=levels)


def _usual_move(signals: ChartSignals, scale: MeasureScale) -> str:
    limits = signals.newest.xmr
    return f"; usual is up to {with_unit(scale.of(limits.range_limit), scale.unit)}" if limits else ""


def _of_weeks(part: DrawnSegment) -> Iterator[tuple[str, Fraction, bool]]:
    """Name, value and whether it is a limit."""
    if part.xmr:
        yield UPPER, part.xmr.upper, True
        yield CENTRE, part.xmr.centre, False
        if part.xmr.lower is not None:
            yield LOWER, part.xmr.lower, True


def _of_moves(part: DrawnSegment) -> Iterator[tuple[str, Fraction, bool]]:
    if part.xmr:
        yield RANGE_LIMIT, part.xmr.range_limit, True
        yield RANGE_CENTRE, part.xmr.mean_moving_range, False


def _levels(
    signals: ChartSignals,
    scale: MeasureScale,
    named: Callable[[DrawnSegment], Iterator[tuple[str, Fraction, bool]]],
) -> Iterator[Level]:
    for part in signals.parts:
        for name, value, is_limit in named(part):
            since, until = (_start(signals.weeks, part.segment.points[end].week) for end in (0, -1))
            yield Level(name, scale.of(value), since, until, is_limit)


def side_by_side(
    detail: SignalDetail, known: ChartWeeks, chart: Chart, policy: Policy, title: str
) -> WeekGroups | None:
    """The weeks that opened a problem beside its baseline; None where their values are not known here."""
    scale, values = MeasureScale(chart, policy), known.charts[chart]
    groups = {
        f"{len(detail.baseline)} weeks of the baseline": _named(detail.baseline, known.weeks, values, scale),
        f"last {len(detail.weeks)} weeks": _named(detail.weeks, known.weeks, values, scale),
    }
    if not all(groups.values()):
        return None
    middle = median(value for _, value in next(iter(groups.values())))
    return WeekGroups(title, scale.unit, groups, middle)


def _named(
    names: Sequence[str], weeks: Weeks, values: Sequence[Value | None], scale: MeasureScale
) -> list[tuple[str, float]]:
    found = [(name, weeks.number(name)) for name in names]
    return [
        (name, scale.of(value))
        for name, week in found
        if 0 <= week < len(values) and (value := values[week]) is not None
    ]


def time_chart(known: ChartWeeks, pipeline: str, stage: str, policy: Policy, title: str, zone: str) -> LineChart | None:
    """Time in stage of the deals that left it in each week of the last year: half were faster than the median, 85 of
    100 faster than the 85th percentile. None where no deal has left it.
    """
    names = {"median": Column.TIME_IN_STAGE_MEDIAN, "85th percentile": Column.TIME_IN_STAGE_P85}
    lines: dict[str, list[Point]] = {}
    for name, column in names.items():
        chart = Chart(pipeline, stage, column)
        scale = MeasureScale(chart, policy)
        lines[name] = [(at, scale.of(value)) for at, value in _points(known, chart, YEAR)]
    if not lines["median"]:
        return None
    unit = MeasureScale(Chart(pipeline, stage, Column.TIME_IN_STAGE_MEDIAN), policy).unit
    since, until = lines["median"][0][0], lines["median"][-1][0]
    return LineChart(title, unit, lines, since, until, zone, grain=Grain.WEEK)


def cumulative_flow(
    known: ChartWeeks, pipeline: str, stage: str, title: str, zone: str, weeks: range | None = None
) -> LineChart | None:
    """Deals that came in and left in some weeks; between both lines are those in work at the end of each week.

    `weeks`: their numbers, of a quarter or more; None: the last quarter. None where not all of them are known.
    """
    wanted = range(known.over - QUARTER, known.over) if weeks is None else weeks
    came, left, work = (Chart(pipeline, stage, one) for one in FLOW_COLUMNS)
    arrived, departed = _points_in(known, came, wanted), _points_in(known, left, wanted)
    before = known.charts[work][wanted.start - 1] if wanted.start > 0 else None
    if not len(arrived) == len(departed) == len(wanted) >= QUARTER or before is None:
        return None
    lines = {"came in": _summed(arrived, int(before)), "left": _summed(departed, 0)}
    since, until, band = arrived[0][0], arrived[-1][0], ("left", "came in", "deals in work")
    return LineChart(title, "deals", lines, since, until, zone, grain=Grain.WEEK, band=band)


def bottleneck_flow(
    known: ChartWeeks, problem: ProblemData, title: str, zone: str, until: datetime
) -> LineChart | None:
    """What came into a bottleneck and what left it: from a quarter before it opened until a month after it was over.

    None where not all of these weeks are known.
    """
    opened = known.weeks.of(micros(problem.opened_at) - 1)
    over = until if problem.cleared_at is None else min(until, problem.cleared_at + timedelta(weeks=4))
    weeks = range(opened - QUARTER + 1, min(known.over, max(known.weeks.of(micros(over)), opened + 1)))
    chart = cumulative_flow(known, problem.pipeline, problem.stage or "", title, zone, weeks)
    return None if chart is None else replace(chart, intervals=[(problem.opened_at, problem.cleared_at)])


def _points_in(known: ChartWeeks, chart: Chart, weeks: range) -> list[tuple[datetime, Value]]:
    found = ((week, known.charts[chart][week]) for week in weeks if 0 <= week < known.over)
    return [(_start(known.weeks, week), value) for week, value in found if value is not None]


def _points(known: ChartWeeks, chart: Chart, last: int) -> list[tuple[datetime, Value]]:
    """Those of the last weeks."""
    found = list(enumerate(known.charts[chart]))[-last:]
    return [(_start(known.weeks, week), value) for week, value in found if value is not None]


def _summed(points: Sequence[tuple[datetime, Value]], total: int) -> list[Point]:
    """Sums from the first point on, of `total` before it."""
    return [(at, float(total := total + int(value))) for at, value in points]


def forecast_fan(history: Sequence[int], found: Forecast) -> ForecastFan | None:
    """The closings of the next weeks; None where the pipeline is not stable enough to forecast."""
    if found.at_least is None:
        return None
    title = f"At least {found.at_least[QUARTER]} deals are closed in the next {QUARTER} weeks (85 % sure)"
    outlook = Outlook(history[-found.weeks :])
    ahead = [(0, 0, 0)]
    for weeks in range(1, QUARTER + 1):
        low, high = outlook.between(weeks)
        ahead.append((low, outlook.at_least(weeks), high))
    return ForecastFan(title, "deals closed", ahead, "90 % sure", "at least, 85 % sure")


def _start(weeks: Weeks, week: int) -> datetime:
    return moment(weeks.start(week))

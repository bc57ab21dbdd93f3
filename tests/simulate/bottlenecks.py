"""`bottleneck` in a line of four stages, each with one server: false ones by load, and one that is overloaded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from random import Random

from shared.flow.statistics.bottleneck import BottleneckInterval, StageCharts, bottleneck_intervals
from shared.flow.statistics.columns import Column, Point, Value
from shared.flow.statistics.segments import Segment
from tests.simulate.figures import Cell, SimulatedFigure, scaled
from tests.simulate.stages import Stay, arrivals, by_week, served

STUDY = "bottleneck"
_STAGES, _PER_WEEK = 4, 22.0
# Weeks until the line is in its steady state; they are not in the log.
_WARM_UP, _BASELINE, _QUARTERS = 30, 20, 8
_OVERLOAD = 1.27
_MOST = {0.7: 1, 0.85: 4, 0.93: 12}


def cells() -> Iterator[Cell]:
    """False bottlenecks by load, and a true one."""
    for load in _MOST:
        yield Cell(STUDY, f"false, load {load:g}", _false, (load,))
    yield Cell(STUDY, "found", _found)


def _false(random: Random, scale: float, load: float) -> Iterator[SimulatedFigure]:
    lines, opened = scaled(250, scale), 0
    for _ in range(lines):
        stages = _line(random, _BASELINE + 13 * _QUARTERS, load)
        opened += sum(len(bottleneck_intervals(charts)) for charts in stages)
    rate = 100 * opened / (lines * _STAGES * _QUARTERS)
    yield SimulatedFigure(STUDY, f"load {load:g}", "false per 100 stages and quarter", rate, most=_MOST[load])


def _found(random: Random, scale: float) -> Iterator[SimulatedFigure]:
    lines, found, since = scaled(400, scale), 0, _BASELINE + 13
    for _ in range(lines):
        charts = _line(random, since + 13, 0.7, since)[1]
        found += any(_is_open_from(one, since) for one in bottleneck_intervals(charts))
    case = f"load .7 to {_OVERLOAD:g} in the second stage"
    yield SimulatedFigure(STUDY, case, "found within 13 weeks", found / lines, least=0.95)


def _is_open_from(found: BottleneckInterval, since: int) -> bool:
    return found.cleared is None or found.cleared > since


def _line(random: Random, weeks: int, load: float, overloaded_since: int | None = None) -> list[StageCharts]:
    """The charts of each stage. From the week `overloaded_since` on the second one gets more than it can do."""
    total, service = _WARM_UP + weeks, 7 / _PER_WEEK
    changed = 7 * (_WARM_UP + overloaded_since) if overloaded_since is not None else None
    entered: Sequence[float] = list(arrivals(random, _PER_WEEK, total))
    measured = []
    for number in range(_STAGES):
        slow = changed if number == 1 else None

        def mean(at: float, slow: float | None = slow) -> float:
            return service * (load if slow is None or at < slow else _OVERLOAD)

        stays = served(random, entered, mean)
        measured.append(_measures(stays, total))
        entered = [left for _, left in stays]
    following = [[_segment(one[Column.WIP_END])] for one in measured[1:]]
    return [
        StageCharts({column: [_segment(values)] for column, values in one.items()}, next_wip)
        for one, next_wip in zip(measured, [*following, None], strict=True)
    ]


def _segment(values: Sequence[Value]) -> Segment:
    """Week 0 of the log is no point."""
    return Segment([Point(week, value) for week, value in enumerate(values[_WARM_UP:]) if week])


def _measures(stays: Sequence[Stay], weeks: int) -> Mapping[Column, Sequence[Value]]:
    """First in, first out: at any time those in the stage entered one after another."""
    starts, ends = [entered for entered, _ in stays], [left for _, left in stays]
    sums = [0.0, *accumulate(starts)]
    wip, ages = list[int](), list[Fraction]()
    for week in range(1, weeks + 1):
        last, first = bisect_left(starts, 7 * week), bisect_left(ends, 7 * week)
        wip.append(last - first)
        total = 7 * week * (last - first) - (sums[last] - sums[first])
        ages.append(Fraction(round(86_400_000_000 * total), max(last - first, 1)))
    return {
        Column.ARRIVALS: by_week(starts, weeks),
        Column.DEPARTURES: by_week(ends, weeks),
        Column.WIP_END: wip,
        Column.OPEN_AGE_MEAN: ages,
    }

"""The problems that a pipeline's charts show: what is found, before it is compared with what was published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.analyst.store.points import PipelinePoints
from shared.contracts.problems import SignalDetail
from shared.flow.intervals import Interval
from shared.flow.statistics.columns import Chart, Point, Value
from shared.flow.statistics.columns import points as judged_points
from shared.flow.statistics.relocks import Relock, cuts_of
from shared.flow.statistics.segments import Segment, segments
from shared.flow.statistics.watched import Watch
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import WindowInterval, window_intervals, window_test


class ChartFinding(NamedTuple):
    """The intervals of a watched chart, and by opening what its weeks showed then."""

    watch: Watch
    intervals: Sequence[Interval]
    details: Mapping[int, SignalDetail]


def segments_of(points: PipelinePoints, chart: Chart, relocks: Iterable[Relock]) -> list[Segment]:
    """The segments of a chart, up to the last week that is over."""
    values = points.charts.get(chart, [])
    return segments(judged_points(chart.column, values), cuts_of(relocks, chart.name, points.weeks), len(values))


def judge(points: PipelinePoints, watches: Iterable[Watch], relocks: Sequence[Relock]) -> Iterator[ChartFinding]:
    """What the windows of each watched chart find, over all weeks that are over."""
    for watch in watches:
        parts = segments_of(points, watch.chart, relocks)
        found = window_intervals(parts, watch.side, watch.level)
        intervals = [_interval(one, points.weeks) for one in found]
        details = {
            interval.opened_at: _detail(watch, one, parts, points.weeks)
            for interval, one in zip(intervals, found, strict=True)
        }
        yield ChartFinding(watch, intervals, details)


def _interval(found: WindowInterval, weeks: Weeks) -> Interval:
    cleared = None if found.cleared is None else weeks.end(found.cleared)
    return Interval(weeks.end(found.opened), cleared, found.peak)


def _detail(watch: Watch, found: WindowInterval, parts: Sequence[Segment], weeks: Weeks) -> SignalDetail:
    """What the sentence of the problem tells: the pairs are those of the window that opened it."""
    segment = next(part for part in reversed(parts) if part.points and part.points[0].week <= found.opened)
    test, n = window_test(segment, watch.side, watch.level), len(found.trigger)
    need = test.windows[n].need if test else None
    if test is None or need is None:
        raise ValueError(f"{watch.key}: a window without a baseline opened a problem")
    pairs = len(segment.baseline) * n
    twice = sum(test.score(value) for value in _values(segment.points, found.trigger))
    return SignalDetail(
        measure=watch.chart.column,
        weeks=tuple(map(weeks.name, found.trigger)),
        baseline=tuple(weeks.name(point.week) for point in segment.baseline),
        pairs=100 * twice // (2 * pairs),
        pairs_needed=-int(-(100 * (pairs / 2 + need) / pairs - 1e-9) // 1),
    )


def _values(points: Sequence[Point], weeks: Sequence[int]) -> Iterator[Value]:
    wanted = set(weeks)
    return (point.value for point in points if point.week in wanted)

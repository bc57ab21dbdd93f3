"""Windows and XmR marks of charts as `andon what-if --measures` prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from shared.flow.statistics.columns import Chart, Column, Value, printed
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.watched import WatchedChart
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import window_test
from shared.flow.statistics.xmr import xmr

# The charts that are drawn with XmR limits.
DRAWN = (
    *(Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END, Column.TIME_IN_STAGE_MEDIAN, Column.TIME_IN_STAGE_P85),
    *(Column.REWORK_RATE, Column.THROUGHPUT, Column.LEAD_TIME_MEDIAN, Column.WIN_RATE),
)


def window_records(watch: WatchedChart, segments: Sequence[Segment], weeks: Weeks) -> Iterator[tuple[str, Any]]:
    """Names and windows of a watched chart's segments; the last one under the chart's own name."""
    for name, segment in _named(watch.chart, segments, weeks):
        yield name, _window_record(watch, segment, weeks)


def signal_records(chart: Chart, segments: Sequence[Segment], weeks: Weeks) -> Iterator[tuple[str, Any]]:
    """Names, limits and marks of a chart's segments; the last one under the chart's own name."""
    for name, segment in _named(chart, segments, weeks):
        yield name, _signal_record(chart.column, segment, weeks)


def _named(chart: Chart, segments: Sequence[Segment], weeks: Weeks) -> Iterator[tuple[str, Segment]]:
    """Earlier segments go by the first week of their baseline, if it is complete."""
    for segment in segments[:-1]:
        if segment.is_locked:
            yield f"{chart.name}@{weeks.name(segment.points[0].week)}", segment
    yield chart.name, segments[-1]


def _window_record(watch: WatchedChart, segment: Segment, weeks: Weeks) -> dict[str, Any] | None:
    test = window_test(segment, watch.side, watch.level)
    if test is None:
        return None
    looks = [(weeks.name(week), *rest) for week, *rest in test.looks(segment.after)]
    return {
        "m": segment.size,
        "baseline": [weeks.name(point.week) for point in segment.baseline],
        "bad": watch.side.value,
        "level": float(watch.level),
        "phi": test.phi,
        "critical": {str(n): window.critical for n, window in test.windows.items()},
        "g": {str(n): window.g for n, window in test.windows.items()},
        "need": {str(n): window.need for n, window in test.windows.items()},
        "looks": [list(look) for look in looks],
    }


def _signal_record(column: Column, segment: Segment, weeks: Weeks) -> dict[str, Any] | None:
    chart = xmr(segment)
    if chart is None:
        return None

    def number(value: Value | None) -> float | None:
        found = printed(column, value)
        return None if found is None else float(found)

    return {
        "centre": number(chart.centre),
        "upper": number(chart.upper),
        "lower": number(chart.lower),
        "mean_moving_range": number(chart.mean_moving_range),
        "range_limit": number(chart.range_limit),
        "signals": [
            {"period": weeks.name(one.week), "rule": one.rule, "side": one.side.value, "baseline": one.in_baseline}
            for one in chart.marks
        ],
    }

"""Charts as they are stored: their points in segments, and the problems that they show."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.analyst.store import points, relocks
from services.analyst.store.points import Extent
from services.analyst.store.relocks import StoredRelock
from shared.contracts.problems import SignalDetail
from shared.flow.intervals import Interval
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Point, Value
from shared.flow.statistics.findings import window_findings
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.watched import WatchedChart
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import pairs_needed, window_test
from shared.postgres.pool import Executor
from shared.runtime.instants import micros


class ChartFinding(NamedTuple):
    """The intervals of a watched chart, and by opening what its weeks showed then."""

    watch: WatchedChart
    intervals: Sequence[Interval]
    details: Mapping[int, SignalDetail]


@dataclass(frozen=True)
class ChartSet:
    """Charts of one pipeline, all of whose weeks are known. `until`: the end of the last week of each."""

    weeks: Weeks
    segments: ChartSegments
    relocks: Sequence[StoredRelock]
    until: Mapping[Chart, datetime]

    @property
    def charts(self) -> Collection[Chart]:
        return self.until.keys()


async def load(executor: Executor, extents: Mapping[Chart, Extent], numbering: int, zone: str) -> ChartSet | None:
    """The charts of these extents; None where there are none."""
    if not extents:
        return None
    values = await points.load(executor, extents, numbering)
    weeks = Weeks(micros(next(iter(extents.values())).first), zone)
    known = [one for one in await relocks.load(executor, [c.name for c in extents]) if _exists(one.relock, weeks)]
    segments = ChartSegments(WeeklyMeasures(weeks, values), weeks, [one.relock for one in known])
    return ChartSet(weeks, segments, known, {chart: extent.until for chart, extent in extents.items()})


def _exists(relock: Relock, weeks: Weeks) -> bool:
    """A relock from a week before the log's first waits until the log begins earlier."""
    return relock.from_week is None or weeks.number(relock.from_week) >= 0


def judge(known: ChartSet, watches: Sequence[WatchedChart]) -> Iterator[ChartFinding]:
    """What the windows of each watched chart find, over all weeks that are over."""
    for watch in watches:
        parts = known.segments.judged(watch.chart)
        found = window_findings(watch, known.segments)
        details = {one.interval.opened_at: _detail(watch, one.trigger, parts, known.weeks) for one in found}
        yield ChartFinding(watch, [one.interval for one in found], details)


def _detail(watch: WatchedChart, trigger: Sequence[int], parts: Sequence[Segment], weeks: Weeks) -> SignalDetail:
    """What the sentence of the problem tells: the pairs are those of the window that opened it."""
    segment = next(part for part in reversed(parts) if part.points and part.points[0].week <= trigger[-1])
    test, n = window_test(segment, watch.side, watch.level), len(trigger)
    need = test.windows[n].need if test else None
    if test is None or need is None:
        raise ValueError(f"{watch.key}: a window without a baseline opened a problem")
    pairs = len(segment.baseline) * n
    twice = sum(test.score(value) for value in _values(segment.points, trigger))
    return SignalDetail(
        measure=watch.chart.column,
        weeks=tuple(map(weeks.name, trigger)),
        baseline=tuple(weeks.name(point.week) for point in segment.baseline),
        pairs=100 * twice // (2 * pairs),
        pairs_needed=pairs_needed(need, pairs),
    )


def _values(points: Sequence[Point], weeks: Sequence[int]) -> Iterator[Value]:
    wanted = set(weeks)
    return (point.value for point in points if point.week in wanted)

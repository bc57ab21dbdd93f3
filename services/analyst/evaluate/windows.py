"""The rules `shift`, `rework` and `slipping`: recent weeks that rank worse than the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from statistics import median

from services.analyst.evaluate.charts import ChartRule, ChartSet
from services.analyst.evaluate.findings import OpeningDetail, RuleFinding
from shared.contracts.measures import Column
from shared.contracts.problems import CauseClass, SignalDetail
from shared.flow.statistics.columns import Point, Value
from shared.flow.statistics.findings import window_findings
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.watched import WatchedChart
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import pairs_needed, window_test


class WindowRule(ChartRule):
    """The windows of one watched chart."""

    cause = CauseClass.SPECIAL

    def __init__(self, watch: WatchedChart) -> None:
        self._watch = watch
        self.key, self.kind, self.mode, self.per_quarter = watch.key, watch.kind, watch.mode, watch.per_quarter
        self.pipeline, self.stage, self.charts = watch.chart.pipeline, watch.chart.stage, [watch.chart]

    def find(self, known: ChartSet) -> RuleFinding:
        parts = known.segments.judged(self._watch.chart)
        found = window_findings(self._watch, known.segments)
        details = {one.interval.opened_at: self._detail(one.trigger, parts, known.weeks) for one in found}
        return RuleFinding(self, [one.interval for one in found], details)

    def _detail(self, trigger: Sequence[int], parts: Sequence[Segment], weeks: Weeks) -> OpeningDetail:
        detail = _detail(self._watch, trigger, parts, weeks)
        return OpeningDetail(self.cause, detail.pairs_needed, detail)


def _detail(watch: WatchedChart, trigger: Sequence[int], parts: Sequence[Segment], weeks: Weeks) -> SignalDetail:
    """What the problem's sentence says. The pairs are those of the window that opened it."""
    segment = next(part for part in reversed(parts) if part.points and part.points[0].week <= trigger[-1])
    test, n = window_test(segment, watch.side, watch.level), len(trigger)
    need = test.windows[n].need if test else None
    if test is None or need is None:
        raise ValueError(f"{watch.key}: a window without a baseline opened a problem")
    pairs = len(segment.baseline) * n
    column, recent = watch.chart.column, list(_values(segment.points, trigger))
    twice = sum(test.score(value) for value in recent)
    return SignalDetail(
        measure=column,
        weeks=tuple(map(weeks.name, trigger)),
        baseline=tuple(weeks.name(point.week) for point in segment.baseline),
        pairs=100 * twice // (2 * pairs),
        pairs_needed=pairs_needed(need, pairs),
        recent=_middle(column, recent),
        usual=_middle(column, (point.value for point in segment.baseline)),
    )


def _middle(column: Column, values: Iterable[Value]) -> float:
    """The median in the unit in which the measure is printed; exact before it becomes a double."""
    return float(median(map(Fraction, values)) / column.scale)


def _values(points: Sequence[Point], weeks: Sequence[int]) -> Iterator[Value]:
    wanted = set(weeks)
    return (point.value for point in points if point.week in wanted)

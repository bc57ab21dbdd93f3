"""The problem intervals of every kind, with what stands beside them: cause, trigger weeks, label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import median
from typing import NamedTuple

from shared.contracts.problems import BottleneckDetail, BottleneckLabel, CauseClass, SignalDetail
from shared.flow.intervals import Interval
from shared.flow.rules import Rule
from shared.flow.statistics.aging_learned import LearnedRule, problem_intervals
from shared.flow.statistics.bottleneck import BottleneckInterval, StageCharts, bottleneck_intervals
from shared.flow.statistics.cause import Cause, cause_of
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Column, Value
from shared.flow.statistics.learned_limits import LearnedVersion
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.silence import SourceSilence
from shared.flow.statistics.watched import WatchedChart
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import pairs_needed, window_intervals, window_test
from shared.flow.visits import Visit


class ProblemFinding(NamedTuple):
    """An interval of a problem. `cause` is None for a kind that has none.

    `points`: how many points the cause class of a count rests on, of how many needed. `trigger`: of a window, the weeks
    that opened it. `version`: of aging-learned, what was in force at the opening.
    """

    interval: Interval
    cause: CauseClass | None = None
    points: tuple[int, int] | None = None
    trigger: Sequence[int] = ()
    bottleneck: BottleneckInterval | None = None
    version: LearnedVersion | None = None


def count_findings(rule: Rule, intervals: Iterable[Interval], charts: ChartSegments) -> list[ProblemFinding]:
    """The intervals of a rule on counts, with the cause class that the stage's charts give."""
    found = []
    for interval in intervals:
        cause = cause_at(rule, interval.opened_at, charts)
        found.append(ProblemFinding(interval, cause.cause, (cause.points, cause.needed)))
    return found


def cause_at(rule: Rule, instant: int, charts: ChartSegments) -> Cause:
    """The cause class of a problem that a rule on counts opens at an instant."""

    def segments_of(column: Column) -> Sequence[Segment]:
        return charts.of_stage(rule.pipeline, rule.stage, column)

    return cause_of(rule.cause_charts, charts.weeks.over(instant), segments_of)


def window_findings(watch: WatchedChart, charts: ChartSegments) -> list[ProblemFinding]:
    """The intervals of a watched chart."""
    found = window_intervals(charts.judged(watch.chart), watch.side, watch.level)
    return [
        ProblemFinding(
            _at_week_ends(one.opened, one.cleared, one.peak, charts.weeks), CauseClass.SPECIAL, trigger=one.trigger
        )
        for one in found
    ]


def window_detail(watch: WatchedChart, trigger: Sequence[int], charts: ChartSegments) -> SignalDetail:
    """What the sentence about a window problem needs; its pairs and medians are those of the weeks that opened it."""
    parts = reversed(charts.judged(watch.chart))
    segment = next(one for one in parts if one.points and one.points[0].week <= trigger[-1])
    test, n = window_test(segment, watch.side, watch.level), len(trigger)
    need = test.windows[n].need if test else None
    if test is None or need is None:
        raise ValueError(f"{watch.key}: a window without a baseline opened a problem")
    column, weeks, pairs = watch.chart.column, set(trigger), len(segment.baseline) * n
    recent = [point.value for point in segment.points if point.week in weeks]
    twice = sum(map(test.score, recent))
    return SignalDetail(
        measure=column,
        weeks=tuple(map(charts.weeks.name, trigger)),
        baseline=tuple(charts.weeks.name(point.week) for point in segment.baseline),
        pairs=100 * twice // (2 * pairs),
        pairs_needed=pairs_needed(need, pairs),
        recent=_middle(column, recent),
        usual=_middle(column, (point.value for point in segment.baseline)),
    )


def _middle(column: Column, values: Iterable[Value]) -> float:
    """The median in the unit in which the measure is printed; exact before it becomes a double."""
    return float(median(map(Fraction, values)) / column.scale)


def learned_findings(
    rule: LearnedRule, visits: Iterable[Visit], versions: Sequence[LearnedVersion], as_of: int
) -> list[ProblemFinding]:
    """The intervals of `aging-learned` in one stage."""
    found = problem_intervals(rule, visits, versions, as_of)
    return [ProblemFinding(one, CauseClass.SPECIAL, version=_in_force(versions, one.opened_at)) for one in found]


def _in_force(versions: Sequence[LearnedVersion], instant: int) -> LearnedVersion:
    return [version for version in versions if version.since <= instant][-1]


def bottleneck_findings(charts: StageCharts, weeks: Weeks) -> list[ProblemFinding]:
    """The intervals of `bottleneck` in one stage."""
    return [
        ProblemFinding(
            _at_week_ends(one.opened, one.cleared, one.peak, weeks),
            CauseClass.UNKNOWN if one.label is BottleneckLabel.UNCLEAR else CauseClass.SPECIAL,
            bottleneck=one,
        )
        for one in bottleneck_intervals(charts)
    ]


def bottleneck_detail(charts: StageCharts, found: BottleneckInterval) -> BottleneckDetail:
    """What the sentence about a bottleneck needs."""
    return BottleneckDetail(
        label=found.label,
        net=found.inflow.net,
        wip=int(charts.value(Column.WIP_END, found.opened) or 0),
        usual_wip=charts.usual_wip(found.opened),
        next_starved=found.next_starved,
        **found.little._asdict(),
    )


def silence_findings(found: SourceSilence) -> list[ProblemFinding]:
    """The intervals of `silence` of one source."""
    return [ProblemFinding(interval) for interval in found.intervals]


def _at_week_ends(opened: int, cleared: int | None, peak: int, weeks: Weeks) -> Interval:
    return Interval(weeks.end(opened), None if cleared is None else weeks.end(cleared), peak)

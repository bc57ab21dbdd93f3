"""What the problems of weekly charts carry for their sentence."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from services.analyst.evaluate.charts import ChartSet
from services.analyst.evaluate.windows import WindowRule
from shared.contracts.measures import Column
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.columns import Chart, Value
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.watched import WatchedChart, pipeline_watches
from shared.policy import parse
from tests.support.week_messages import WEEKS, quiet

POLICY = """
version: 1
timezone: Europe/Berlin
pipelines:
  new:
    name: New
    owner: {name: Head, mail: head@sales.example}
    stages: [{id: a, name: A}, {id: b, name: B}]
    rules:
      - {kind: shift, measure: throughput}
      - {kind: shift, measure: win_rate}
      - {kind: shift, stage: a, measure: time_in_stage_median}
"""
DAY = 86_400


def watch(column: Column) -> WatchedChart:
    pipeline = parse(POLICY).pipelines["new"]
    return next(one for one in pipeline_watches("new", pipeline) if one.chart.column is column)


@pytest.mark.parametrize(
    ("column", "baseline", "recent", "middles"),
    [
        # Of four weeks the middle lies between two of them.
        (Column.THROUGHPUT, quiet(21), [20, 21, 30, 1], (20.5, 40.5)),
        (Column.WIN_RATE, [Fraction(1, 2)] * 21, [Fraction(1, 3), 0, Fraction(1, 3), Fraction(1, 7)], (5 / 21, 0.5)),
        # The median of a week is the sum of its two middle values.
        (Column.TIME_IN_STAGE_MEDIAN, [2 * DAY * 10**6] * 21, [6 * DAY * 10**6] * 4, (3.0 * DAY, 1.0 * DAY)),
    ],
)
def test_a_signal_carries_the_middle_of_both_groups_of_weeks(
    column: Column, baseline: Sequence[Value], recent: Sequence[Value], middles: tuple[float, float]
) -> None:
    watched = watch(column)
    values = {Chart(*watched.chart): [*baseline, *recent]}
    known = ChartSet(WEEKS, ChartSegments(WeeklyMeasures(WEEKS, values), WEEKS, []), [])

    (detail,) = WindowRule(watched).find(known).details.values()

    assert detail.signal is not None
    assert len(detail.signal.weeks) == 4
    assert (detail.signal.recent, detail.signal.usual) == pytest.approx(middles)

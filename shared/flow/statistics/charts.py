"""The charts of a log: the points of each, in the segments that relocks make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from shared.flow.statistics.columns import Chart, Column, Point, WeekValues, points
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock, cuts_of
from shared.flow.statistics.segments import Segment, segments
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.xmr import drawn_points


class ChartSegments:
    """The segments of every chart, newest last. Those asked for are worked out once."""

    def __init__(self, measures: WeeklyMeasures, weeks: Weeks, relocks: Sequence[Relock]) -> None:
        self.weeks, self._values, self._relocks = weeks, measures.values, relocks
        self.judged = cache(self._judged)

    def of_stage(self, pipeline: str, stage: str, column: Column) -> list[Segment]:
        """The judged segments of a stage's chart."""
        return self.judged(Chart(pipeline, stage, column))

    def drawn(self, chart: Chart) -> list[Segment]:
        """The points that XmR marks stand on: also the young weeks of lead times."""
        return self._cut(chart, drawn_points(self._values[chart]))

    def values(self, chart: Chart) -> WeekValues:
        """The values of all weeks that are over."""
        return self._values[chart]

    def _judged(self, chart: Chart) -> list[Segment]:
        """The points that the rules on measures judge."""
        return self._cut(chart, points(chart.column, self._values[chart]))

    def _cut(self, chart: Chart, found: Sequence[Point]) -> list[Segment]:
        return segments(found, cuts_of(self._relocks, chart.name, self.weeks), len(self._values[chart]))

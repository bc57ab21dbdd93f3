"""What a chart of weeks shows: segments with their limits and marks, and what the windows of its last weeks say.

Worked out here from the weekly points, by the functions that the analyst uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tickets.store.weekly_points import ChartWeeks
from shared.contracts.relocks import RelockData
from shared.flow.statistics.chart_records import DRAWN
from shared.flow.statistics.columns import Chart, Point, points
from shared.flow.statistics.relocks import Relock, cuts_of, relock_of
from shared.flow.statistics.renewal import Renewal, renewal
from shared.flow.statistics.segments import Segment, segments
from shared.flow.statistics.watched import WatchedChart, pipeline_watches
from shared.flow.statistics.weeks import Weeks
from shared.flow.statistics.windows import LONG, SHORT, Look, WindowTest, pairs_needed, window_test
from shared.flow.statistics.xmr import XmrChart, drawn_points, xmr
from shared.policy import Policy


@dataclass(frozen=True)
class DrawnSegment:
    """Points that have one baseline. `xmr`: None before the baseline is complete, or where no limits can be drawn.

    `relock`: what began it; None for the first one of a chart whose baseline nobody locked early.
    """

    segment: Segment
    xmr: XmrChart | None
    relock: RelockData | None


@dataclass(frozen=True)
class WindowSays:
    """What the last `n` weeks say against the baseline.

    `pairs`: of 100 pairs of a baseline week and a recent one, in how many the recent one is worse; `needed`: of these,
    from how many on the window fires, None where it never can.
    """

    n: int
    pairs: int
    needed: int | None
    fires: bool


@dataclass(frozen=True)
class ChartSignals:
    """A chart with all that is known of it.

    `watch`: the rule that watches it. `judged`: what windows see of its newest segment, and `looks` what they say.
    """

    chart: Chart
    weeks: Weeks
    points: Sequence[Point]
    parts: Sequence[DrawnSegment]
    watch: WatchedChart | None
    judged: Segment
    test: WindowTest | None
    looks: Sequence[Look]

    @property
    def newest(self) -> DrawnSegment:
        return self.parts[-1]

    @property
    def renewal(self) -> Renewal | None:
        """The proposal to renew the newest baseline; None where it needs none."""
        watch = self.watch
        return renewal(self.judged, watch.side if watch else None, watch.level if watch else None)

    @property
    def windows(self) -> list[WindowSays]:
        """What the windows say now; none before enough weeks are there."""
        if self.test is None or not self.looks:
            return []
        last, m = self.looks[-1], len(self.test.baseline)
        asked = ((SHORT, last.twice_4, last.fires_4), (LONG, last.twice_8, last.fires_8))
        return [
            WindowSays(n, 100 * twice // (2 * m * n), self._needed(n), fires)
            for n, twice, fires in asked
            if twice is not None
        ]

    def _needed(self, n: int) -> int | None:
        assert self.test is not None  # noqa: S101 (only asked where windows are)
        need, pairs = self.test.windows[n].need, len(self.test.baseline) * n
        return None if need is None else pairs_needed(need, pairs)


def chart_signals(chart: Chart, known: ChartWeeks, relocks: Sequence[RelockData], policy: Policy) -> ChartSignals:
    """Everything about a chart, over all weeks that are over."""
    values = known.charts[chart]
    cuts = cuts_of(map(Relock.of, relocks), chart.name, known.weeks)
    judged = segments(points(chart.column, values), cuts, known.over)[-1]
    drawn = segments(drawn_points(values), cuts, known.over)
    watch = _watch(chart, policy)
    test = window_test(judged, watch.side, watch.level) if watch else None
    parts = [
        DrawnSegment(
            one,
            xmr(one) if chart.column in DRAWN else None,
            relock_of(one, relocks, chart.name, known.weeks, known.over),
        )
        for one in drawn
    ]
    looks = list(test.looks(judged.after)) if test else []
    return ChartSignals(chart, known.weeks, drawn_points(values), parts, watch, judged, test, looks)


def _watch(chart: Chart, policy: Policy) -> WatchedChart | None:
    found = pipeline_watches(chart.pipeline, policy.pipelines[chart.pipeline])
    return next((watch for watch in found if watch.chart == chart), None)

"""Changes that never were, in whole logs: every third week of every chart is taken for the week of a change.

In the shop's log some things did change, and what they did is known: `where nothing happened` leaves out a change if
one of them began or ended, in the same pipeline, between its first reference week and the end of its window. A real log
is read from outside of the repository, and left out where it is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from itertools import groupby
from random import Random
from typing import NamedTuple

from shared.flow.statistics.columns import Chart, Point
from shared.flow.statistics.sealing import Ground
from shared.flow.statistics.segments import BASELINE_POINTS, Segment
from shared.flow.statistics.verification import StudiedChange, verify
from shared.flow.statistics.watched import bad_side
from shared.flow.statistics.xmr import xmr
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES, Side
from tests.simulate.figures import Cell, SimulatedFigure, share_figure
from tests.simulate.verification.changes import is_verified
from tests.support.outside import ROOT
from tests.support.printed_log import PrintedLog, folder

STUDY = "placebo changes"
_SHOP, _LOANS = "shop", "bpic2012/variation"
_MOST = 0.03
_LEAST_BEFORE = 12


class _LogPlan(NamedTuple):
    """The window of the study, and from one change that never was to the next, in weeks."""

    window: int
    step: int


# The loans' log has 22 whole weeks: a shorter window, and every week.
_PLANS = {_SHOP: _LogPlan(13, 3), _LOANS: _LogPlan(8, 1)}


class PlaceboChange(NamedTuple):
    """What was concluded of a week in which nobody changed anything. `quiet`: nothing happened around it."""

    chart: Chart
    verified: bool
    marked: bool
    quiet: bool


def cells() -> Iterator[Cell]:
    """The logs that are there."""
    yield Cell(STUDY, "shop", _placebos, (_SHOP,))
    if (ROOT / "data" / _LOANS).exists():
        yield Cell(STUDY, "bpic2012", _placebos, (_LOANS,))


def _placebos(_: Random, scale: float, log: str) -> Iterator[SimulatedFigure]:
    """At a scale of 1/2, of every second change: there is one log."""
    made, name = list(placebo_changes(log, round(1 / scale))), log.partition("/")[0]
    quiet = [one for one in made if one.quiet]
    for column, some in groupby(sorted(quiet, key=lambda one: one.chart.column), lambda one: one.chart.column):
        yield _verified(f"{name}, {column.measure}", list(some), None)
    yield from _rules(f"{name}, all charts", quiet, _MOST)
    if name == _SHOP:
        yield from _rules(f"{name}, all charts, also where something happened", made, None)


def _rules(case: str, made: Sequence[PlaceboChange], most: float | None) -> Iterator[SimulatedFigure]:
    yield SimulatedFigure(STUDY, case, "changes that never were", len(made))
    yield _verified(case, made, most)
    yield share_figure(STUDY, case, "draft rule", sum(one.marked for one in made), len(made))


def _verified(case: str, made: Sequence[PlaceboChange], most: float | None) -> SimulatedFigure:
    return share_figure(STUDY, case, "verified", sum(one.verified for one in made), len(made), most=most)


@cache
def placebo_changes(name: str, every: int = 1) -> Sequence[PlaceboChange]:
    """Those that have weeks enough before and after them; with 2, every second one of each chart."""
    log, plan = PrintedLog(name), _PLANS[name]
    return [
        change
        for chart in log.values
        if chart.column.measure in (PIPELINE_MEASURES if chart.column.of_pipeline else STAGE_MEASURES)
        for week in range(_LEAST_BEFORE + 1, len(log.values[chart]) - plan.window + 1, plan.step * every)
        if (change := _placebo(log, chart, week, plan.window)) is not None
    ]


def _placebo(log: PrintedLog, chart: Chart, week: int, window: int) -> PlaceboChange | None:
    points, end = log.judged(chart), week + window
    values = dict(points)
    before, after = [values.get(one) for one in range(1, week)], [values.get(one) for one in range(week, end)]
    found = verify(StudiedChange(bad_side(chart.column) is Side.LOW, before, after, Ground(), window=window))
    if found.seal is None:
        return None
    first = 1 + found.weeks.reference[0]
    quiet = not any(first <= happened < end for happened in _happenings(chart.pipeline))
    return PlaceboChange(chart, is_verified(found), _is_marked(points, chart, week, end), quiet)


def _is_marked(points: Sequence[Point], chart: Chart, week: int, end: int) -> bool:
    """The draft rule."""
    drawn = xmr(Segment([point for point in points if point.week < end], BASELINE_POINTS))
    return (
        any(mark.week >= week and mark.side is not bad_side(chart.column) for mark in drawn.marks) if drawn else False
    )


@cache
def _happenings(pipeline: str) -> Sequence[int]:
    """The weeks in which something began or ended in a pipeline of the shop."""
    weeks = PrintedLog(_SHOP).weeks
    truth = json.loads((folder(_SHOP) / "truth.json").read_text())
    days = [one[end] for one in truth["changes"] for end in ("from", "to") if one["pipeline"] == pipeline]
    first = weeks.first_day(0)
    return [(date.fromisoformat(day) - first).days // 7 for day in days if day]

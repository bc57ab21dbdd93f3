"""Windows, XmR marks and cause classes of two whole logs, from their printed measures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any

import pytest

from shared.flow.rules import KINDS
from shared.flow.statistics.cause import cause_of
from shared.flow.statistics.chart_records import DRAWN, signal_records, window_records
from shared.flow.statistics.columns import Chart, Column
from shared.flow.statistics.segments import Segment
from shared.flow.statistics.watched import WatchedChart, watches
from shared.flow.statistics.windows import WindowInterval, window_intervals
from shared.runtime.instants import micros
from tests.support.printed_log import LOGS, PrintedLog
from tests.support.variation_cases import same

log = cache(PrintedLog)


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", LOGS)
def test_every_look_of_every_watched_chart(name: str) -> None:
    it, found = log(name), dict[str, Any]()
    for watch in watches(it.policy):
        found |= window_records(watch, it.segments(watch.chart, it.judged), it.weeks)

    expected = it.expected("windows")
    assert found.keys() == expected.keys()
    assert same(found, expected)


@pytest.mark.parametrize("name", LOGS)
def test_limits_and_marks_of_every_drawn_chart(name: str) -> None:
    it, found = log(name), dict[str, Any]()
    for chart in it.values:
        if chart.column in DRAWN:
            found |= signal_records(chart, it.segments(chart, it.shown), it.weeks)

    expected = it.expected("signals")
    assert found.keys() == expected.keys()
    assert same(found, expected)


@pytest.mark.parametrize("name", LOGS)
def test_problems_of_windows(name: str) -> None:
    it = log(name)

    def interval(one: WindowInterval) -> tuple[int, int | None, int, list[str]]:
        cleared = None if one.cleared is None else it.weeks.end(one.cleared)
        return it.weeks.end(one.opened), cleared, one.peak, [it.weeks.name(week) for week in one.trigger]

    def problem(watch: WatchedChart) -> list[Any]:
        judged = it.segments(watch.chart, it.judged)
        return [interval(one) for one in window_intervals(judged, watch.side, watch.level)]

    found = {watch.key: problem(watch) for watch in watches(it.policy)}
    kinds = {watch.kind for watch in watches(it.policy)}
    expected = {
        key: [(instant(i["opened_at"]), instant(i["cleared_at"]), i["peak"], i["trigger"]) for i in intervals]
        for key, intervals in it.expected("problems")["problems"].items()
        if key.split("/")[0] in kinds
    }
    assert kinds == {"shift", "rework", "slipping"}
    assert found == expected


@pytest.mark.parametrize("name", LOGS)
def test_cause_classes_of_problems_on_counts(name: str) -> None:
    it = log(name)

    def of(pipeline: str, stage: str, column: Column) -> Sequence[Segment]:
        return it.segments(Chart(pipeline, stage, column), it.judged)

    asked = 0
    for key, intervals in it.expected("problems")["problems"].items():
        kind, pipeline, stage = [*key.split("/"), "", ""][:3]
        for one in intervals if kind in KINDS else ():
            over = it.weeks.over(instant(one["opened_at"]) or 0)
            assert cause_of(KINDS[kind].cause_charts, over, partial(of, pipeline, stage)).cause.value == one["cause"], (
                key,
                one,
            )
            asked += 1
    assert asked > 50


def instant(text: str | None) -> int | None:
    return None if text is None else micros(datetime.fromisoformat(text))

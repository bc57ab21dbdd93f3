"""Weekly points and problems on them as messages, for tests of what shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.problems import ProblemData, SignalDetail
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros, moment
from tests.support.problems import problem

# Week 0 of the charts of these tests.
WEEKS = Weeks(micros(datetime(2025, 1, 1, tzinfo=UTC)), "Europe/Berlin")
NEW_CLOSED = Chart("new", "", Column.THROUGHPUT)


def week_events(chart: Chart, values: Iterable[int | Fraction | None]) -> list[MeasureEvent]:
    """The points of a chart from week 0 on, in the unit in which they are printed."""
    points = [
        MeasureData(
            pipeline=chart.pipeline,
            stage=chart.stage or None,
            measure=chart.column,
            period="week",
            start=moment(WEEKS.start(week)),
            end=moment(WEEKS.end(week)),
            value=None if value is None else float(value),
            exact=None if value is None else str(value),
            week=week,
            numbering=1,
        )
        for week, value in enumerate(values)
    ]
    return [MeasureEvent(id=p.key, source="andon/detector", subject=p.key, time=p.end, data=p) for p in points]


def quiet(weeks: int, middle: int = 40) -> list[int]:
    """A measure that moves without a trend, between 4 below and 4 above the middle."""
    return [middle + (week * 7) % 9 - 4 for week in range(weeks)]


def week_problem(kind: str, chart: Chart, recent: Sequence[int], **fields: Any) -> ProblemData:
    """A problem that the weeks `recent` opened, beside a baseline of weeks 1 to 20."""
    detail = SignalDetail(
        measure=chart.column,
        weeks=tuple(map(WEEKS.name, recent)),
        baseline=tuple(map(WEEKS.name, range(1, 21))),
        pairs=98,
        pairs_needed=86,
    )
    begun = moment(WEEKS.end(recent[-1]))
    told: dict[str, Any] = {
        "key": f"{kind}/{chart.pipeline}/{chart.stage}/{chart.column.measure}",
        "kind": kind,
        "pipeline": chart.pipeline,
        "stage": chart.stage or None,
        "opened_at": begun,
        "detected_at": begun,
        "count": 98,
        "peak": 98,
        "threshold": 86,
        "rule": f"{kind}/1",
        "limit": None,
        "limit_seconds": None,
        "usual": None,
        "evidence": None,
        "chance": 0.125,
        "signal": detail,
    }
    return problem(**(told | fields))

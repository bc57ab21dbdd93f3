"""A chart on a page: its drawing, its numbers, and what is shown of each point on hover and focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import orjson

from services.tickets.charts import render
from services.tickets.charts.spec import LineChart, Point
from services.tickets.web.times import Times
from services.tickets.web.zones import page_zone
from shared.wording.quantities import number


@dataclass(frozen=True)
class ChartView:
    """`drawing`: SVG; `points`: JSON of `[x in the drawing, text]`, in order of time."""

    chart: LineChart
    drawing: str
    points: str


def chart_view(chart: LineChart, policy_zone: str) -> ChartView:
    """Draw it, once a minute while nothing else of it changes: pages ask for themselves every few seconds.

    Takes long: call it in a thread.
    """
    return _drawn(to_the_minute(chart).to_json(), policy_zone, page_zone(policy_zone))


@lru_cache(64)
def _drawn(written: bytes, policy_zone: str, reader_zone: str) -> ChartView:
    """`reader_zone`: the zone of the page that is being made, which the texts are in."""
    chart = LineChart.from_json(written)
    drawn, times = render.inline(chart), Times(policy_zone)
    names = list(chart.lines)
    readings = [
        [round(drawn.x_of(at), 1), f"{_capital(times.day_ended(at))}: {_values(names, values, chart.unit)}"]
        for at, values in reversed(chart.rows())
    ]
    return ChartView(chart, drawn.svg, orjson.dumps(readings).decode())


def to_the_minute(chart: LineChart) -> LineChart:
    """Its times without seconds, which no reader can see."""

    def whole(points: Sequence[Point]) -> list[Point]:
        return [(at.replace(second=0, microsecond=0), value) for at, value in points]

    lines = {name: whole(points) for name, points in chart.lines.items()}
    (since, _), (until, _) = whole([(chart.since, 0), (chart.until, 0)])
    return replace(chart, lines=lines, since=since, until=until, dots=whole(chart.dots))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _values(names: Sequence[str], values: Sequence[float | None], unit: str) -> str:
    """`12 deals over the limit`; `oldest deal 40, median 9.5 days`"""
    known = [(name, number(value)) for name, value in zip(names, values, strict=True) if value is not None]
    if names == [unit]:
        return " ".join(f"{value} {unit}" for _, value in known)
    return f"{', '.join(f'{name} {value}' for name, value in known)} {unit}"

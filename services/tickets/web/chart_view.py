"""A chart on a page: its drawing, its numbers, and what is shown of each point on hover and focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from services.tickets.charts import render
from services.tickets.charts.spec import Chart
from services.tickets.web.times import Times
from shared.wording.quantities import number


@dataclass(frozen=True)
class ChartView:
    """`drawing`: SVG; `points`: JSON of `[x in the drawing, text]`, in order of time."""

    chart: Chart
    drawing: str
    points: str


def chart_view(chart: Chart, policy_zone: str) -> ChartView:
    """Draw it. Takes long: call it in a thread."""
    drawn, times = render.drawn(chart), Times(policy_zone)
    names = list(chart.lines)
    readings = [
        [round(drawn.x_of(at), 1), f"{times.day_ended(at).capitalize()}: {_values(names, values, chart.unit)}"]
        for at, values in reversed(chart.rows())
    ]
    return ChartView(chart, drawn.svg, orjson.dumps(readings).decode())


def _values(names: Sequence[str], values: Sequence[float | None], unit: str) -> str:
    """`12 deals over the limit`; `oldest deal 40, median 9.5 days`"""
    known = [(name, number(value)) for name, value in zip(names, values, strict=True) if value is not None]
    if names == [unit]:
        return " ".join(f"{value} {unit}" for _, value in known)
    return f"{', '.join(f'{name} {value}' for name, value in known)} {unit}"

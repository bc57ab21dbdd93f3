"""Weekly measures as the detector publishes them, compared with the pure function of the same events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from shared.contracts.events import DealEvent
from shared.contracts.measures import MeasureData, MeasureEvent
from shared.flow.events import event_of
from shared.flow.stage_map import StageMap
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.what_if import find
from shared.policy import Policy
from shared.runtime.instants import micros, moment

# By chart and start of the week: the number of the week, and its exact value in the printed unit; None: no value.
WeeklyPoints = Mapping[tuple[str, datetime], tuple[int, Fraction | None]]


def expected_points(
    events: Iterable[DealEvent], policy: Policy, until: datetime, stage_map: StageMap | None = None
) -> WeeklyPoints:
    """Of every chart and every week that is over at `until`."""
    found = find([event_of(event) for event in events], policy, micros(until), stage_map)
    measures = found.statistics.measures
    return {
        (chart.name, moment(measures.weeks.start(week))): (
            week,
            None if value is None else Fraction(value, chart.column.scale),
        )
        for chart, values in measures.values.items()
        for week, value in enumerate(values)
    }


def published_points(messages: Iterable[bytes]) -> WeeklyPoints:
    """What a reader of `flow.measures` knows after all messages: of the newest numbering, the newest of each key."""
    newest: dict[str, MeasureData] = {}
    for value in messages:
        data = MeasureEvent.model_validate_json(value).data
        if data.period == "week":
            newest[data.key] = data
    numbering = max((data.numbering or 0 for data in newest.values()), default=0)
    return {
        (f"{data.pipeline}/{data.stage or '-'}/{data.measure}", data.start): (data.week or 0, _exact(data))
        for data in newest.values()
        if data.numbering == numbering
    }


def point_events(
    measures: WeeklyMeasures, first: int = 0, over: int | None = None, **fields: Any
) -> list[MeasureEvent]:
    """What the detector publishes when weeks from `first` on are over, `over` weeks in all; `fields` as of a point."""
    found = []
    for chart, values in measures.values.items():
        weeks = len(values) if over is None else over
        for week in range(first, weeks):
            value = values[week]
            data = MeasureData(
                pipeline=chart.pipeline,
                stage=chart.stage or None,
                measure=chart.column,
                period="week",
                start=moment(measures.weeks.start(week)),
                end=moment(measures.weeks.end(week)),
                value=None if value is None else float(Fraction(value, chart.column.scale)),
                exact=None if value is None else str(Fraction(value, chart.column.scale)),
                **{"week": week, "over": weeks, "numbering": 1} | fields,
            )
            found.append(MeasureEvent.new(source="andon/detector", subject=data.key, time=data.end, data=data))
    return sorted(found, key=lambda event: event.data.week or 0)


def _exact(data: MeasureData) -> Fraction | None:
    return None if data.exact is None else Fraction(data.exact)

"""When is a stage a bottleneck, and why?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.flow.statistics.bottleneck import BottleneckInterval, StageCharts, bottleneck_intervals, bottleneck_looks
from shared.flow.statistics.columns import Column, Point, Value
from shared.flow.statistics.questions.fields import Fields
from shared.flow.statistics.segments import Segment

_COUNTS = {"arrivals": Column.ARRIVALS, "departures": Column.DEPARTURES, "wip": Column.WIP_END}
_FIELDS = ("ask", *_COUNTS, "age", "next_wip")
_GREATEST = 10**9


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """What is established at the end of each week, and the intervals; weeks as indices. Raises QuestionError."""
    fields = Fields(question, _FIELDS)
    values: dict[Column, Sequence[Value]] = {column: _counts(fields, name) for name, column in _COUNTS.items()}
    values[Column.OPEN_AGE_MEAN] = fields.numbers("age")
    following = _counts(fields, "next_wip") if fields.has("next_wip") else None
    weeks = len(values[Column.ARRIVALS])
    for name, found in zip(_FIELDS[1:], [*values.values(), following], strict=True):
        if found is not None and len(found) != weeks:
            raise fields.refused(name, f"write {weeks} values, one for each week, as many as arrivals has")
    segments = {column: [_segment(found)] for column, found in values.items()}
    charts = StageCharts(segments, None if following is None else [_segment(following)])
    return {
        "weeks": [list(look) for look in bottleneck_looks(charts)],
        "intervals": [_interval(interval) for interval in bottleneck_intervals(charts)],
    }


def _counts(fields: Fields, name: str) -> list[int]:
    if not fields.has(name):
        raise fields.refused(name, "write a list with a whole number for each week")
    return fields.wholes(name, 0, _GREATEST)


def _segment(values: Sequence[Value]) -> Segment:
    return Segment([Point(week, value) for week, value in enumerate(values)])


def _interval(found: BottleneckInterval) -> dict[str, Any]:
    return {
        "opened": found.opened,
        "cleared": found.cleared,
        "peak": found.peak,
        "label": found.label.value,
        "next_starved": found.next_starved,
        **found.inflow._asdict(),
    }

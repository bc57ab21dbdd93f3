"""What a chart shows, as a value: drawing it needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter

Point = tuple[datetime, float]


class Grain(StrEnum):
    """What a point of a line belongs to. A day's point is at its end, a week's at its start."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True)
class Level:
    """A value in force for a time, drawn from `since` to `until`. `is_limit`: dashed; else the middle, dotted."""

    name: str
    value: float
    since: datetime
    until: datetime
    is_limit: bool


@dataclass(frozen=True)
class LineChart:
    """Lines of points, limits as named lines, the problem's intervals shaded, deals as dots.

    `levels`: limits that changed in time, one legend entry a name. `marks`: points that stand out, ringed. `band`: the
    ground between two of the lines, the lower one first, and its name.
    """

    title: str
    unit: str
    lines: Mapping[str, Sequence[Point]]
    since: datetime
    until: datetime
    zone: str
    limits: Mapping[str, float] = field(default_factory=dict)
    usual: float | None = None
    intervals: Sequence[tuple[datetime, datetime | None]] = ()
    dots: Sequence[Point] = ()
    grain: Grain = Grain.DAY
    levels: Sequence[Level] = ()
    marks: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    band: tuple[str, str, str] | None = None

    def rows(self) -> list[tuple[datetime, list[float | None]]]:
        """The numbers behind the lines, the newest first: one value a line, none where it has no point."""
        by_time: dict[datetime, list[float | None]] = {}
        for column, points in enumerate(self.lines.values()):
            for at, value in points:
                by_time.setdefault(at, [None] * len(self.lines))[column] = value
        return sorted(by_time.items(), reverse=True)


@dataclass(frozen=True)
class WeekGroups:
    """Weeks compared side by side: a dot for each week of each group, by name and value, in order of time.

    `middle`: the median of the first group, which the others are compared with.
    """

    title: str
    unit: str
    groups: Mapping[str, Sequence[tuple[str, float]]]
    middle: float
    middle_name: str = "usual in the baseline"

    def places(self) -> Mapping[str, Sequence[int]]:
        """Where the dots are from the left, by group; a gap lies between two groups."""
        found, place = dict[str, Sequence[int]](), 0
        for name, weeks in self.groups.items():
            found[name] = range(place, place + len(weeks))
            place += len(weeks) + 2
        return found


@dataclass(frozen=True)
class ForecastFan:
    """What the next weeks will bring in all, by number of weeks: bounds of a range, and what is nearly sure."""

    title: str
    unit: str
    # From 0 weeks on: the lower bound, what is at least reached, the upper bound.
    ahead: Sequence[tuple[int, int, int]]
    range_name: str
    sure_name: str


@dataclass(frozen=True)
class StayDrawing:
    """How long deals stay: (time, share that stays longer), from time 0 on. `limits`: times as named lines."""

    title: str
    unit: str
    time_unit: str
    name: str
    steps: Sequence[tuple[float, float]]
    limits: Mapping[str, float]


Drawing = LineChart | WeekGroups | ForecastFan | StayDrawing
_JSON: TypeAdapter[Drawing] = TypeAdapter(Drawing)


def to_json(chart: Drawing) -> bytes:
    return _JSON.dump_json(chart)


def from_json(text: bytes) -> Drawing:
    """The same chart, to the microsecond and the last digit."""
    return _JSON.validate_json(text)

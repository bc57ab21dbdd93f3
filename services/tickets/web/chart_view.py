"""A chart on a page: its drawing, its numbers, and what is shown of each point on hover and focus."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from services.tickets.charts.drawing import DRAWINGS
from services.tickets.charts.spec import (
    Drawing,
    ForecastFan,
    Grain,
    LineChart,
    Point,
    StayDrawing,
    WeekGroups,
    from_json,
    to_json,
)
from services.tickets.web.times import Times
from services.tickets.web.zones import page_zone
from shared.wording.measures import with_unit
from shared.wording.quantities import number, week_begin

# Nobody can write a mark into a page.
MARK_SECRET = secrets.token_hex(8)


@dataclass(frozen=True)
class NumberTable:
    """The numbers of a chart: the first column names each row. `ends_in_words`: the last column holds no numbers."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    ends_in_words: bool = False


@dataclass(frozen=True)
class ChartView:
    """A chart with its words and numbers. `written`: what it shows, as JSON. No table: dots alone.

    Its drawing takes long, so a page has marks in its place, which `DrawnPage` fills while it sends the page.
    `readings`: what each point says, by where it is, from left to right. `last_week`: of a chart of weeks, the newest.
    """

    title: str
    written: bytes
    readings: Sequence[tuple[datetime | float, str]]
    table: NumberTable | None
    last_week: str | None

    @property
    def key(self) -> str:
        return hashlib.sha256(self.written).hexdigest()

    @property
    def drawing(self) -> str:
        """Mark of the SVG."""
        return f"\x00{MARK_SECRET}{self.key} drawing\x00"

    @property
    def points(self) -> str:
        """Mark of the JSON of `[x in the drawing, text]`."""
        return f"\x00{MARK_SECRET}{self.key} points\x00"

    async def draw(self) -> tuple[str, str]:
        """SVG and points. Takes long."""
        drawn = await DRAWINGS.inline(self.written)
        readings = [[round(drawn.x_of(place), 1), text] for place, text in self.readings]
        return drawn.svg, orjson.dumps(readings).decode()


def chart_view(chart: Drawing, policy_zone: str) -> ChartView:
    """The same for an hour while nothing else of it changes: pages ask for themselves every few seconds."""
    return _viewed(to_json(as_seen(chart)), policy_zone, page_zone(policy_zone))


@lru_cache(512)
def _viewed(written: bytes, policy_zone: str, reader_zone: str) -> ChartView:
    """`reader_zone`: the zone of the page that is being made, which the texts are in."""
    chart = from_json(written)
    if isinstance(chart, LineChart):
        found, table = _line_readings(chart, policy_zone), _line_table(chart, policy_zone)
    elif isinstance(chart, WeekGroups):
        found, table = _group_readings(chart), _group_table(chart)
    elif isinstance(chart, ForecastFan):
        found, table = _fan_readings(chart), _fan_table(chart)
    else:
        found, table = _stay_readings(chart), _stay_table(chart)
    return ChartView(chart.title, written, list(found), table, _last_week(chart, policy_zone))


Readings = Iterator[tuple[datetime | float, str]]


def _line_readings(chart: LineChart, policy_zone: str) -> Readings:
    names, marked = list(chart.lines), _marked(chart)
    for at, values in reversed(chart.rows()):
        note = f" ({marked[at]})" if at in marked else ""
        yield at, f"{_reading_of(chart, at, policy_zone)}: {_values(names, values, chart)}{note}"


def _reading_of(chart: LineChart, at: datetime, policy_zone: str) -> str:
    period = _period(chart, at, policy_zone)
    return _capital(f"the week of {period}" if chart.grain is Grain.WEEK else period)


def _line_table(chart: LineChart, policy_zone: str) -> NumberTable | None:
    if not chart.lines:
        return None
    is_weekly, marked = chart.grain is Grain.WEEK, _marked(chart)
    rows = [
        [_period(chart, at, policy_zone), *(_cell(chart, value) for value in values)]
        + ([marked.get(at, "")] if marked else [])
        for at, values in chart.rows()
    ]
    columns = ["Week of" if is_weekly else "Day", *map(_capital, chart.lines), *(["Stands out"] if marked else [])]
    when = "by week" if is_weekly else "at the end of each day"
    return NumberTable(f"{_capital(chart.unit)}, {when}", columns, rows, bool(marked))


def _marked(chart: LineChart) -> dict[datetime, str]:
    """By point, why it stands out."""
    found: dict[datetime, list[str]] = {}
    for name, points in chart.marks.items():
        for at, _ in points:
            found.setdefault(at, []).append(name)
    return {at: ", ".join(names) for at, names in found.items()}


def _period(chart: LineChart, at: datetime, policy_zone: str) -> str:
    """`Mon 26 October`, or of a week when it begins: `26 October 2026`, in the policy's zone for all readers."""
    if chart.grain is Grain.DAY:
        return Times(policy_zone).day_ended(at)
    return week_begin(_week(at.astimezone(ZoneInfo(policy_zone))))


def _week(local: datetime) -> str:
    return f"{local:%G-W%V}"


def _last_week(chart: Drawing, policy_zone: str) -> str | None:
    if isinstance(chart, LineChart) and chart.grain is Grain.WEEK:
        return _week(chart.until.astimezone(ZoneInfo(policy_zone)))
    return list(chart.groups.values())[-1][-1][0] if isinstance(chart, WeekGroups) else None


def _cell(chart: LineChart, value: float | None) -> str:
    if value is None:
        return ""
    is_count = chart.grain is Grain.DAY and not chart.dots and len(chart.lines) == 1
    return str(int(value)) if is_count else number(value) if chart.grain is Grain.WEEK else str(round(value, 1))


def _group_readings(chart: WeekGroups) -> Readings:
    for name, places in chart.places().items():
        for place, (week, value) in zip(places, chart.groups[name], strict=True):
            yield float(place), f"The week of {week_begin(week)}: {with_unit(value, chart.unit)} ({name})"


def _group_table(chart: WeekGroups) -> NumberTable:
    rows = [[week_begin(week), number(value), name] for name, weeks in chart.groups.items() for week, value in weeks]
    return NumberTable(f"{_capital(chart.unit)}, by week", ["Week of", _capital(chart.unit), "Belongs to"], rows, True)


def _fan_readings(chart: ForecastFan) -> Readings:
    for weeks, (low, sure, high) in enumerate(chart.ahead[1:], 1):
        yield float(weeks), f"In {_weeks(weeks)}: {chart.sure_name} {sure}; {low} to {high} {chart.range_name}"


def _fan_table(chart: ForecastFan) -> NumberTable:
    rows = [[_weeks(weeks), str(sure), f"{low} to {high}"] for weeks, (low, sure, high) in enumerate(chart.ahead)][1:]
    columns = ["Within", _capital(chart.sure_name), _capital(chart.range_name)]
    return NumberTable(f"{_capital(chart.unit)}, in all", columns, rows)


def _stay_readings(chart: StayDrawing) -> Readings:
    for time, share in chart.steps:
        yield time, f"{_percent(share)} of deals stay longer than {number(time)} {chart.time_unit}"


def _stay_table(chart: StayDrawing) -> NumberTable:
    rows = [[number(time), _percent(share)] for time, share in chart.steps]
    rows += [[number(time), name] for name, time in chart.limits.items()]
    return NumberTable(chart.title, [_capital(chart.time_unit), _capital(chart.name)], rows)


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def _weeks(count: int) -> str:
    return "1 week" if count == 1 else f"{count} weeks"


def as_seen(chart: Drawing) -> Drawing:
    """Its times no finer than a reader can see: no seconds, and days from and to whole hours.

    So a chart of days is drawn again when it shows something else, or an hour later.
    """
    if not isinstance(chart, LineChart):
        return chart

    def whole(points: Sequence[Point]) -> list[Point]:
        return [(at.replace(second=0, microsecond=0), value) for at, value in points]

    lines = {name: whole(points) for name, points in chart.lines.items()}
    (since, _), (until, _) = whole([(chart.since, 0), (chart.until, 0)])
    if chart.grain is Grain.DAY:
        since, until = since.replace(minute=0), until.replace(minute=0) + timedelta(hours=1)
    return replace(chart, lines=lines, since=since, until=until, dots=whole(chart.dots))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _values(names: Sequence[str], values: Sequence[float | None], chart: LineChart) -> str:
    """`12 deals over the limit`; `oldest deal 40, median 9.5 days`"""
    known = [(name, number(value)) for name, value in zip(names, values, strict=True) if value is not None]
    if len(names) == 1:
        return " ".join(f"{value} {chart.unit}" for _, value in known)
    return f"{', '.join(f'{name} {value}' for name, value in known)} {chart.unit}"

"""A chart on a page: its words, its numbers, its drawing, and what is shown of each point on hover and focus."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import orjson
from markupsafe import Markup, escape

from services.tickets.charts.drawing import DRAWINGS
from services.tickets.charts.layout import PAGE, layout_of
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
from services.tickets.web.zones import page_zone, reader_in
from shared.wording.measures import with_unit
from shared.wording.quantities import number, week_begin

# Charts that pages have shown, and may be asked to draw: about 40 kB each.
KEPT = 512
KEY_LETTERS = 32
# Of a drawing that stands alone, as where a page has no scripts. Within a page, the page's own are in force. The
# colours are those of `andon.css`.
STYLE = (
    "svg:root{color:#1d2327;--blue:#0072b2;--act:#b34700;--quiet:#565e64}"
    "svg:root text{font-family:system-ui,sans-serif!important}"
    "@media(prefers-color-scheme:dark){svg:root{color:#e6eaec;--blue:#56b4e9;--act:#ffab73;--quiet:#a9b3b9}}"
)


@dataclass(frozen=True)
class NumberTable:
    """The numbers of a chart: the first column names each row. `ends_in_words`: the last column holds no numbers."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    ends_in_words: bool = False

    @cached_property
    def html(self) -> Markup:
        """The table. Made once: a page that keeps itself up to date has most of its tables again every few seconds."""
        head = "".join([self._cell("th", ' scope="col"', *one) for one in enumerate(self.columns)])
        rows = "\n".join([f"<tr>{self._row(row)}</tr>" for row in self.rows])
        return Markup(
            f"<table><caption>{escape(self.caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>"
        )

    def _row(self, row: Sequence[str]) -> str:
        named, *cells = row
        return f'<th scope="row">{escape(named)}</th>' + "".join(
            [self._cell("td", "", number, cell) for number, cell in enumerate(cells, 1)]
        )

    def _cell(self, element: str, scope: str, number: int, text: str) -> str:
        is_words = number == 0 or (self.ends_in_words and number == len(self.columns) - 1)
        marked = "" if is_words else ' class="n"'
        return f"<{element}{scope}{marked}>{escape(text)}</{element}>"


@dataclass(frozen=True)
class ChartView:
    """A chart with its words and numbers, all but its drawing, which takes longer than all else of a page.

    `key`: a digest of all that it shows. `written`: that as JSON. `ratio`: its width to its height, for CSS.
    `zones`: the policy's and the reader's. No table: dots alone. `last_week`: of a chart of weeks, the newest.
    """

    key: str
    title: str
    written: bytes
    ratio: str
    zones: tuple[str, str]
    table: NumberTable | None
    last_week: str | None

    def readings(self) -> Sequence[tuple[datetime | float, str]]:
        """What each point says, by where it is, from left to right: of a drawing, which most charts never get."""
        policy_zone, reader_zone = self.zones
        with reader_in(reader_zone):
            return list(_readings(from_json(self.written), policy_zone))

    async def draw(self) -> str:
        """SVG, a whole file and part of a page alike, whose `data-points` is the JSON of `[x in the drawing, text]`.

        Takes long. Raises DrawingError.
        """
        drawn = await DRAWINGS.inline(self.written)
        readings = [[round(drawn.x_of(place), 1), text] for place, text in self.readings()]
        points = escape(orjson.dumps(readings).decode())
        begin, end = drawn.svg.split(">", 1)
        return f'{begin} data-points="{points}"><style>{STYLE}</style>{end}'


_kept: OrderedDict[str, ChartView] = OrderedDict()


def chart_view(chart: Drawing, policy_zone: str) -> ChartView:
    """The same for an hour while nothing else of it changes: pages ask for themselves every few seconds."""
    written, reader_zone = to_json(as_seen(chart)), page_zone(policy_zone)
    key = hashlib.sha256(b"\0".join([reader_zone.encode(), policy_zone.encode(), written])).hexdigest()[:KEY_LETTERS]
    found = kept_view(key)
    if found is None:
        found = _kept[key] = _viewed(key, written, (policy_zone, reader_zone))
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def kept_view(key: str) -> ChartView | None:
    """A chart that a page has shown lately."""
    if key in _kept:
        _kept.move_to_end(key)
    return _kept.get(key)


def _viewed(key: str, written: bytes, zones: tuple[str, str]) -> ChartView:
    chart, policy_zone = from_json(written), zones[0]
    layout = layout_of(chart, PAGE, titled=False)
    ratio = f"{layout.width:.2f} / {layout.height:.2f}"
    table = _table(chart, policy_zone)
    return ChartView(key, chart.title, written, ratio, zones, table, _last_week(chart, policy_zone))


def _table(chart: Drawing, policy_zone: str) -> NumberTable | None:
    if isinstance(chart, LineChart):
        return _line_table(chart, policy_zone)
    if isinstance(chart, WeekGroups):
        return _group_table(chart)
    return _fan_table(chart) if isinstance(chart, ForecastFan) else _stay_table(chart)


Readings = Iterator[tuple[datetime | float, str]]


def _readings(chart: Drawing, policy_zone: str) -> Readings:
    if isinstance(chart, LineChart):
        return _line_readings(chart, policy_zone)
    if isinstance(chart, WeekGroups):
        return _group_readings(chart)
    return _fan_readings(chart) if isinstance(chart, ForecastFan) else _stay_readings(chart)


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

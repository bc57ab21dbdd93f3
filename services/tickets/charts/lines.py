"""Paints lines over time with their limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib import dates
from matplotlib.ticker import FixedLocator, MaxNLocator

from services.tickets.charts.spec import Grain, LineChart
from services.tickets.charts.style import BLUE, GREY, ORANGE, VERMILION

# The library has no types for these.
_Locator: Any = dates.AutoDateLocator
_Formatter: Any = dates.ConciseDateFormatter
_datetimes: Any = dates.num2date
# Each line has its own colour and its own dashes: distinct in black and white too.
_LINES = ((BLUE, "-"), (ORANGE, (0, (5, 1.5))), (GREY, (0, (2, 1))))
# How much of the width is left free of dates at the right.
_EDGE = 0.05
# From this number on, labels of an axis are whole.
_WHOLE_FROM = 4


def paint(axes: Any, chart: LineChart) -> None:
    _shade(axes, chart)
    _lines(axes, chart)
    _limits(axes, chart)
    _axes(axes, chart)


def _shade(axes: Any, chart: LineChart) -> None:
    for number, (opened, cleared) in enumerate(chart.intervals):
        begin, end = max(opened, chart.since), min(cleared or chart.until, chart.until)
        axes.axvspan(begin, end, color=ORANGE, alpha=0.2, linewidth=0, label="problem" if number == 0 else None)
    if chart.band:
        low, high, name = chart.band
        lower, upper = dict(chart.lines[low]), dict(chart.lines[high])
        at = sorted(lower.keys() & upper.keys())
        bounds = [lower[one] for one in at], [upper[one] for one in at]
        axes.fill_between(at, *bounds, color=BLUE, alpha=0.15, linewidth=0, label=name)


def _lines(axes: Any, chart: LineChart) -> None:
    is_stepped = chart.grain is Grain.DAY and len(chart.lines) == 1
    for (name, points), (colour, dashes) in zip(chart.lines.items(), _LINES, strict=False):
        axes.plot(
            [at for at, _ in points],
            [value for _, value in points],
            color=colour,
            linestyle=dashes,
            label=name,
            linewidth=1.6 if chart.grain is Grain.DAY else 1.1,
            marker="." if chart.grain is Grain.WEEK and len(chart.lines) == 1 else None,
            markersize=4,
            drawstyle="steps-post" if is_stepped else "default",
        )
    if chart.dots:
        axes.plot(*zip(*chart.dots, strict=True), "o", color=BLUE, markersize=3.5, alpha=0.75, label="a deal")
    for (name, points), marker in zip(chart.marks.items(), ("D", "s", "^"), strict=False):
        axes.plot(*zip(*points, strict=True), marker, label=name, markersize=6, mfc="none", mec=VERMILION, mew=1.4)


def _limits(axes: Any, chart: LineChart) -> None:
    """Limits as dashed lines. The legend names them: a name beside its line would lie under a curve."""
    for name, value in chart.limits.items():
        axes.axhline(value, color=VERMILION, linestyle="--", linewidth=1.2, label=name)
    if chart.usual is not None:
        axes.axhline(chart.usual, color=GREY, linestyle=":", linewidth=1.4, label=f"usual {chart.usual:g}")
    named = set[str]()
    for level in chart.levels:
        colour, dashes = (VERMILION, "--") if level.is_limit else (GREY, "-.")
        label = None if level.name in named else level.name
        axes.hlines(level.value, level.since, level.until, color=colour, linestyle=dashes, linewidth=1.2, label=label)
        named.add(level.name)


def _values(chart: LineChart) -> Iterator[float]:
    yield from (value for points in chart.lines.values() for _, value in points)
    yield from (value for _, value in chart.dots)
    yield from chart.limits.values()
    yield from (level.value for level in chart.levels)


def _axes(axes: Any, chart: LineChart) -> None:
    if chart.grain is Grain.DAY:
        axes.set_xlim(chart.since, chart.until + timedelta(hours=12))
    else:
        # Rings around the first and the last week are whole.
        margin = max(timedelta(days=2), (chart.until - chart.since) / 40)
        axes.set_xlim(chart.since - margin, chart.until + margin)
    values = list(_values(chart))
    top = max([*values, 1]) if chart.grain is Grain.DAY else max([*values, 0.001])
    axes.set_ylim(0, top * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(integer=top >= _WHOLE_FROM, nbins=5))
    _dates(axes, chart)


def _dates(axes: Any, chart: LineChart) -> None:
    locator: Any = _Locator(tz=ZoneInfo(chart.zone), minticks=3, maxticks=6)
    # For three days, no interval that the library tries is long enough.
    locator.intervald[dates.HOURLY] = [1, 3, 6, 12, 24]
    begin, end = axes.get_xlim()
    ticks = locator.tick_values(*_datetimes((begin, end), ZoneInfo(chart.zone)))
    # A label is centred: that of a tick at the edge would reach over it.
    axes.xaxis.set_major_locator(FixedLocator([one for one in ticks if one <= end - (end - begin) * _EDGE]))
    # Weeks reach over years.
    year = "%b" if chart.grain is Grain.DAY else "%Y"
    axes.xaxis.set_major_formatter(
        _Formatter(
            locator,
            tz=ZoneInfo(chart.zone),
            formats=["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%S"],
            zero_formats=["", year, "%-d %b", "%-d %b", "%H:%M", "%H:%M"],
            show_offset=False,
        )
    )

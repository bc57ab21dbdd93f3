"""Draws charts as SVG for pages and PNG for mails, and sparklines for lists.

Okabe-Ito colours; matplotlib by its objects, whose settings are made once: charts are drawn in several threads. Drawn
narrow, so that the letters can be read on a phone.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib
from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.tickets.charts.spec import Chart, Point

# Set once: a context of settings would leak into other threads that draw at the same time. `$` in a stage's name is a
# dollar, not a formula.
matplotlib.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "andon", "font.family": "sans-serif", "text.parse_math": False}
)
# The library has no types for these.
_Locator: Any = dates.AutoDateLocator
_Formatter: Any = dates.ConciseDateFormatter
BLUE, ORANGE, VERMILION, GREY, INK = "#0072b2", "#e69f00", "#d55e00", "#767676", "#333333"
# Dark enough for text: WCAG AA on white.
DARK_VERMILION = "#b34700"
PAGE, MAIL = 3.8, 4.6
_TITLE_LETTERS = 10
_OWN_IDS = re.compile(r' id="[a-z0-9]+_\d+"')


def drawn(chart: Chart) -> str:
    """As `inline`, drawn once a minute at most while nothing else of it changes: pages ask for it every few seconds."""
    return _drawn(to_the_minute(chart).to_json())


@lru_cache(64)
def _drawn(chart: bytes) -> str:
    return inline(Chart.from_json(chart))


def to_the_minute(chart: Chart) -> Chart:
    """Its times without seconds, which no reader can see."""

    def whole(points: Sequence[Point]) -> list[Point]:
        return [(at.replace(second=0, microsecond=0), value) for at, value in points]

    lines = {name: whole(points) for name, points in chart.lines.items()}
    (since, _), (until, _) = whole([(chart.since, 0), (chart.until, 0)])
    return replace(chart, lines=lines, since=since, until=until, dots=whole(chart.dots))


def inline(chart: Chart) -> str:
    """SVG for a page, which gives it its title and its colours."""
    text = _OWN_IDS.sub("", _svg(_draw(chart, PAGE, titled=False)))
    for colour, variable in ((BLUE, "blue"), (DARK_VERMILION, "act"), (VERMILION, "act"), (GREY, "quiet")):
        text = text.replace(colour, f"var(--{variable})")
    return text.replace(INK, "currentColor")


def svg(chart: Chart) -> str:
    """SVG as a file of its own, with its title."""
    figure = _draw(chart, PAGE, titled=True)
    figure.patch.set(facecolor="white", alpha=1)
    return _svg(figure)


def png(chart: Chart) -> bytes:
    """PNG for a mail: 600 points wide at twice the density, in 32 colours."""
    figure = _draw(chart, MAIL, titled=True)
    figure.patch.set(facecolor="white", alpha=1)
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(210)
    canvas.draw()
    out = io.BytesIO()
    _image(canvas).save(out, "PNG", optimize=True)
    return out.getvalue()


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(out, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _image(canvas: Any) -> Any:
    """The image with a palette, which takes a third of the bytes."""
    from PIL import Image

    return (
        Image.frombuffer("RGBA", canvas.get_width_height(physical=True), canvas.buffer_rgba())
        .convert("RGB")
        .quantize(32, Image.Quantize.FASTOCTREE)
    )


def _draw(chart: Chart, width: float, titled: bool) -> Figure:
    title = _title(chart.title, width) if titled else []
    height = 2.45 + 0.2 * len(title)
    figure = Figure(figsize=(width, height))
    # Fixed margins: a layout engine would take longer than the drawing.
    top = 1 - (0.06 + 0.2 * len(title)) / height
    figure.subplots_adjust(left=0.5 / width, right=1 - 0.1 / width, top=top, bottom=0.58 / height)
    figure.patch.set_alpha(0)
    axes: Any = figure.add_subplot()
    axes.patch.set_alpha(0)
    if title:
        figure.text(0.02, 1 - 0.05 / height, "\n".join(title), fontsize=11, fontweight="bold", color=INK, va="top")
    axes.set_ylabel(chart.unit, color=INK, fontsize=9.5)
    _shade(axes, chart)
    _lines(axes, chart)
    _limits(axes, chart)
    _finish(axes, chart)
    return figure


def _title(text: str, width: float) -> list[str]:
    """The title in lines that fit, with a space for each unprintable character."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return textwrap.wrap(printable, int(width * _TITLE_LETTERS), max_lines=3, placeholder=" …")


def _lines(axes: Any, chart: Chart) -> None:
    for (name, points), colour in zip(chart.lines.items(), (BLUE, ORANGE, GREY), strict=False):
        axes.plot(
            [at for at, _ in points],
            [value for _, value in points],
            color=colour,
            label=name,
            linewidth=1.6,
            drawstyle="steps-post" if len(chart.lines) == 1 else "default",
        )
    if chart.dots:
        axes.plot(*zip(*chart.dots, strict=True), "o", color=BLUE, markersize=3.5, alpha=0.75, label="a deal")


def _limits(axes: Any, chart: Chart) -> None:
    """Limits as dashed lines, each with its name at the left, on the side away from the data."""
    early = chart.since + (chart.until - chart.since) / 2
    for name, value in chart.limits.items():
        axes.axhline(value, color=VERMILION, linestyle="--", linewidth=1.2)
        first = [v for points in chart.lines.values() for at, v in points if at < early]
        side = "top" if sum(v > value for v in first) > len(first) / 2 else "bottom"
        axes.text(0.015, value, name, transform=axes.get_yaxis_transform(), va=side, fontsize=9.5, color=DARK_VERMILION)
    if chart.usual is not None:
        axes.axhline(chart.usual, color=GREY, linestyle=":", linewidth=1.4, label=f"usual {chart.usual:g}")


def _shade(axes: Any, chart: Chart) -> None:
    for number, (opened, cleared) in enumerate(chart.intervals):
        begin, end = max(opened, chart.since), min(cleared or chart.until, chart.until)
        axes.axvspan(begin, end, color=ORANGE, alpha=0.2, linewidth=0, label="problem" if number == 0 else None)


def _finish(axes: Any, chart: Chart) -> None:
    axes.set_xlim(chart.since, chart.until + timedelta(hours=12))
    values = [value for points in chart.lines.values() for _, value in points]
    # Space above for the name of a limit.
    axes.set_ylim(0, max([*values, *chart.limits.values(), *(v for _, v in chart.dots), 1]) * 1.16)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    locator: Any = _Locator(tz=ZoneInfo(chart.zone), minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        _Formatter(
            locator,
            tz=ZoneInfo(chart.zone),
            formats=["%Y", "%b", "%-d %b", "%H:%M", "%H:%M", "%S"],
            zero_formats=["", "%b", "%-d %b", "%-d %b", "%H:%M", "%H:%M"],
            show_offset=False,
        )
    )
    axes.tick_params(colors=INK, labelsize=9.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    axes.figure.legend(
        fontsize=9.5,
        frameon=False,
        loc="lower left",
        ncols=4,
        labelcolor=INK,
        handlelength=1.2,
        columnspacing=1,
        handletextpad=0.5,
        borderaxespad=0.1,
    )


def sparkline(points: Sequence[Point], limit: float | None, width: int = 120, height: int = 28) -> str:
    """A small line for a list, as SVG without text: the sentence next to it says what it shows."""
    values = [value for _, value in points]
    if len(values) < 2:
        return ""
    top = max([*values, limit or 0, 1])
    steps = " ".join(
        f"{index * (width - 2) / (len(values) - 1) + 1:.1f},{height - 2 - value / top * (height - 4):.1f}"
        for index, value in enumerate(values)
    )
    line = "" if limit is None else height - 2 - limit / top * (height - 4)
    bar = f'<line x1="0" x2="{width}" y1="{line:.1f}" y2="{line:.1f}" class="limit"/>' if limit is not None else ""
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">{bar}'
        f'<polyline points="{steps}"/></svg>'
    )

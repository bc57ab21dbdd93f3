"""The two charts of a ticket: the count against its limit, and the ages. SVG for pages, PNG for mails.

Okabe-Ito colours; matplotlib by its objects. Its settings are made once: charts are drawn in several threads.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib
from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Untyped in the library.
_Locator: Any = dates.AutoDateLocator
_Formatter: Any = dates.ConciseDateFormatter
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#767676"
Point = tuple[datetime, float]
# Names of stages are told as they are: between two $ the library would read a formula.
matplotlib.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "andon", "font.family": "sans-serif", "text.parse_math": False}
)


@dataclass(frozen=True)
class Chart:
    """What is drawn: lines of daily points, limits as named lines, the problem's intervals shaded, deals as dots."""

    title: str
    unit: str
    lines: Mapping[str, Sequence[Point]]
    since: datetime
    until: datetime
    zone: str
    limits: dict[str, float] = field(default_factory=dict)
    intervals: Sequence[tuple[datetime, datetime | None]] = ()
    dots: Sequence[Point] = ()


def svg(chart: Chart) -> str:
    """For a page: text stays text, and takes the page's colour."""
    out = io.StringIO()
    canvas: Any = FigureCanvasSVG(_draw(chart))
    canvas.print_svg(out, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace("#333333", "currentColor")


def png(chart: Chart) -> bytes:
    """For a mail: 600 points wide at twice the density, few colours."""
    figure = _draw(chart)
    figure.patch.set(facecolor="white", alpha=1)
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(144)
    canvas.draw()
    out = io.BytesIO()
    _image(canvas).save(out, "PNG", optimize=True)
    return out.getvalue()


def _image(canvas: Any) -> Any:
    """Quantised to a palette: a third of the bytes."""
    from PIL import Image

    return (
        Image.frombuffer("RGBA", canvas.get_width_height(physical=True), canvas.buffer_rgba())
        .convert("RGB")
        .quantize(32, Image.Quantize.FASTOCTREE)
    )


def _draw(chart: Chart) -> Figure:
    figure = Figure(figsize=(6.2, 2.9))
    # Margins by hand: working them out costs more than all the drawing.
    figure.subplots_adjust(left=0.085, right=0.975, top=0.9, bottom=0.27)
    figure.patch.set_alpha(0)
    axes: Any = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_title(chart.title, loc="left", fontsize=11, fontweight="bold", color="#333333")
    axes.set_ylabel(chart.unit, color="#333333", fontsize=9)
    _shade(axes, chart)
    for (name, points), colour in zip(chart.lines.items(), (BLUE, ORANGE, GREY), strict=False):
        axes.plot(
            [at for at, _ in points], [value for _, value in points], color=colour, label=name, linewidth=1.8,
            drawstyle="steps-post" if len(chart.lines) == 1 else "default",
        )  # fmt: skip
    if chart.dots:
        axes.plot(*zip(*chart.dots, strict=True), "o", color=BLUE, markersize=4, alpha=0.75, label="deals now")
    for name, value in chart.limits.items():
        dashed = "--" if "usual" not in name else ":"
        axes.axhline(value, color=VERMILION if dashed == "--" else GREY, linestyle=dashed, linewidth=1.2, label=name)
    _finish(axes, chart)
    return figure


def _shade(axes: Any, chart: Chart) -> None:
    for number, (opened, cleared) in enumerate(chart.intervals):
        begin, end = max(opened, chart.since), min(cleared or chart.until, chart.until)
        axes.axvspan(begin, end, color=ORANGE, alpha=0.18, linewidth=0, label="problem" if number == 0 else None)


def _finish(axes: Any, chart: Chart) -> None:
    axes.set_xlim(chart.since, chart.until + timedelta(hours=12))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    locator: Any = _Locator(tz=ZoneInfo(chart.zone), minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(_Formatter(locator, tz=ZoneInfo(chart.zone), show_offset=True))
    axes.tick_params(colors="#333333", labelsize=9)
    axes.xaxis.get_offset_text().set_color("#333333")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    axes.figure.legend(fontsize=8, frameon=False, loc="lower left", ncols=4, labelcolor="#333333")


def sparkline(points: Sequence[Point], limit: float | None, width: int = 120, height: int = 28) -> str:
    """A small line for the list, as SVG without text."""
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

"""Draws charts as SVG for pages and PNG for mails, and sparklines for lists.

Okabe-Ito colours; matplotlib by its objects, whose settings are made once: charts are drawn in several threads. Drawn
narrow, so that the letters can be read on a phone.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib
from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.tickets.charts.spec import LineChart, Point

# Set once: a context of settings would leak into other threads that draw at the same time. `$` in a stage's name is a
# dollar, not a formula.
matplotlib.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "andon", "font.family": "sans-serif", "text.parse_math": False}
)
# The library has no types for these.
_Locator: Any = dates.AutoDateLocator
_Formatter: Any = dates.ConciseDateFormatter
BLUE, ORANGE, VERMILION, GREY, INK = "#0072b2", "#e69f00", "#d55e00", "#767676", "#333333"
PAGE, MAIL = 3.8, 4.6
_TITLE_LETTERS = 10
# Letters of the legend in an inch, and what the key of a name takes.
_LEGEND_LETTERS, _KEY_LETTERS = 14, 5
_OWN_IDS = re.compile(r' id="[a-z0-9]+_\d+"')


@dataclass(frozen=True)
class InlineChart:
    """SVG within a page. `origin`: where 1970 is, in units of its view box from the left; `per_day`: of one day."""

    svg: str
    origin: float
    per_day: float

    def x_of(self, at: datetime) -> float:
        """Where an instant is."""
        return self.origin + self.per_day * float(dates.date2num(at))  # type: ignore[no-untyped-call]


def inline(chart: LineChart) -> InlineChart:
    """A chart for a page, which gives it its title and its colours."""
    figure = _draw(chart, PAGE, titled=False)
    text = _OWN_IDS.sub("", _svg(figure))
    for colour, variable in ((BLUE, "blue"), (VERMILION, "act"), (GREY, "quiet")):
        text = text.replace(colour, f"var(--{variable})")
    axes: Any = figure.axes[0]
    # SVG has 72 units an inch.
    (origin, _), (next_day, _) = axes.transData.transform([(0, 0), (1, 0)]) * 72 / figure.dpi
    return InlineChart(text.replace(INK, "currentColor"), float(origin), float(next_day - origin))


def svg(chart: LineChart) -> str:
    """SVG as a file of its own, with its title."""
    figure = _draw(chart, PAGE, titled=True)
    figure.patch.set(facecolor="white", alpha=1)
    return _svg(figure)


def png(chart: LineChart) -> bytes:
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


def _draw(chart: LineChart, width: float, titled: bool) -> Figure:
    title = _title(chart.title, width) if titled else []
    legend = _legend_rows(chart, width)
    height = 2.25 + 0.2 * (len(title) + len(legend))
    figure = Figure(figsize=(width, height))
    # Fixed margins: a layout engine would take longer than the drawing.
    top = 1 - (0.06 + 0.2 * len(title)) / height
    figure.subplots_adjust(left=0.5 / width, right=1 - 0.1 / width, top=top, bottom=(0.38 + 0.2 * len(legend)) / height)
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
    if titled:
        # A page names the zone of all its times; a chart alone does it itself.
        figure.text(0.99, 0.02 / height, chart.zone, fontsize=7.5, color=GREY, ha="right", va="bottom")
    _legend(figure, axes, legend)
    return figure


def _title(text: str, width: float) -> list[str]:
    """The title in lines that fit, with a space for each unprintable character."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return textwrap.wrap(printable, int(width * _TITLE_LETTERS), max_lines=3, placeholder=" …")


def _lines(axes: Any, chart: LineChart) -> None:
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


def _limits(axes: Any, chart: LineChart) -> None:
    """Limits as dashed lines. The legend names them: a name beside its line would lie under a curve."""
    for name, value in chart.limits.items():
        axes.axhline(value, color=VERMILION, linestyle="--", linewidth=1.2, label=name)
    if chart.usual is not None:
        axes.axhline(chart.usual, color=GREY, linestyle=":", linewidth=1.4, label=f"usual {chart.usual:g}")


def _names(chart: LineChart) -> list[str]:
    """What the legend names, in its order."""
    names = [*chart.lines, *(["a deal"] if chart.dots else []), *chart.limits]
    names += [f"usual {chart.usual:g}"] if chart.usual is not None else []
    return names + (["problem"] if chart.intervals else [])


def _legend_rows(chart: LineChart, width: float) -> list[list[str]]:
    """The names of the legend, in rows that fit into the width in inches."""
    rows: list[list[str]] = [[]]
    for name in _names(chart):
        if rows[-1] and sum(len(one) + _KEY_LETTERS for one in (*rows[-1], name)) > width * _LEGEND_LETTERS:
            rows.append([])
        rows[-1].append(name)
    return rows


def _legend(figure: Any, axes: Any, rows: Sequence[Sequence[str]]) -> None:
    """One legend for each row: columns of one legend would be as wide as its longest name."""
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    for number, names in enumerate(reversed(rows)):
        figure.legend(
            [handles[name] for name in names],
            names,
            fontsize=9.5,
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(0, 0.2 * number / figure.get_figheight()),
            ncols=len(names),
            labelcolor=INK,
            handlelength=1.2,
            columnspacing=1,
            handletextpad=0.5,
            borderaxespad=0.1,
        )


def _shade(axes: Any, chart: LineChart) -> None:
    for number, (opened, cleared) in enumerate(chart.intervals):
        begin, end = max(opened, chart.since), min(cleared or chart.until, chart.until)
        axes.axvspan(begin, end, color=ORANGE, alpha=0.2, linewidth=0, label="problem" if number == 0 else None)


def _finish(axes: Any, chart: LineChart) -> None:
    axes.set_xlim(chart.since, chart.until + timedelta(hours=12))
    values = [value for points in chart.lines.values() for _, value in points]
    axes.set_ylim(0, max([*values, *chart.limits.values(), *(v for _, v in chart.dots), 1]) * 1.08)
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

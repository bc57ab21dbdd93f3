"""Draws charts as SVG for pages and PNG for mails.

matplotlib by its objects, without its global state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from services.tickets.charts import fan, groups, lines, stay
from services.tickets.charts.drawing import InlineChart
from services.tickets.charts.layout import MAIL, PAGE, ROW, layout_of
from services.tickets.charts.spec import Drawing, ForecastFan, LineChart, StayDrawing, WeekGroups
from services.tickets.charts.style import BLUE, GREY, INK, VERMILION

# Inches from the left to the axis' label, whose letters stand upright there.
_LABEL_AT = 0.2
_OWN_IDS = re.compile(r' id="[a-z0-9]+_\d+"')
_PAINTERS: Mapping[type[Drawing], Callable[[Any, Any], None]] = {
    LineChart: lines.paint,
    WeekGroups: groups.paint,
    ForecastFan: fan.paint,
    StayDrawing: stay.paint,
}


def inline(chart: Drawing) -> InlineChart:
    """A chart for a page, which gives it its title and its colours."""
    figure = _draw(chart, PAGE, titled=False)
    text = _OWN_IDS.sub("", _svg(figure))
    for colour, variable in ((BLUE, "blue"), (VERMILION, "act"), (GREY, "quiet")):
        text = text.replace(colour, f"var(--{variable})")
    axes: Any = figure.axes[0]
    # SVG has 72 units an inch.
    (origin, _), (next_unit, _) = axes.transData.transform([(0, 0), (1, 0)]) * 72 / figure.dpi
    return InlineChart(text.replace(INK, "currentColor"), float(origin), float(next_unit - origin))


def svg(chart: Drawing) -> str:
    """SVG as a file of its own, with its title."""
    figure = _draw(chart, PAGE, titled=True)
    figure.patch.set(facecolor="white", alpha=1)
    return _svg(figure)


def png(chart: Drawing) -> bytes:
    """PNG for a mail: 600 points wide at twice the density, in 32 colours."""
    figure = _draw(chart, MAIL, titled=True)
    figure.patch.set(facecolor="white", alpha=1)
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(210)
    canvas.draw()
    out = io.BytesIO()
    # Mails wait for it: the smallest file would take six times as long.
    _image(canvas).save(out, "PNG", compress_level=6)
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


def _draw(chart: Drawing, width: float, titled: bool) -> Figure:
    layout = layout_of(chart, width, titled)
    title, legend, height = layout.title, layout.legend, layout.height
    figure = Figure(figsize=(width, height))
    # Fixed margins: a layout engine would take longer than the drawing.
    top, bottom = 1 - (0.06 + ROW * len(title)) / height, (layout.below + ROW * len(legend)) / height
    figure.patch.set_alpha(0)
    axes: Any = figure.add_subplot()
    axes.patch.set_alpha(0)
    if title:
        figure.text(0.02, 1 - 0.05 / height, "\n".join(title), fontsize=11, fontweight="bold", color=INK, va="top")
    axes.set_ylabel(chart.unit, color=INK, fontsize=9.5)
    _PAINTERS[type(chart)](axes, chart)
    _finish(axes)
    left = 0.5 + 0.09 * max(0, _letters(axes.yaxis) - 2)
    figure.subplots_adjust(left=left / width, right=1 - 0.1 / width, top=top, bottom=bottom)
    _place_labels(figure, axes, _LABEL_AT / width, (top + bottom) / 2)
    if titled and isinstance(chart, LineChart):
        figure.text(0.99, 0.02 / height, chart.zone, fontsize=7.5, color=GREY, ha="right", va="bottom")
    _legend(figure, axes, legend)
    return figure


def _letters(axis: Any) -> int:
    """How many letters the longest number beside an axis has."""
    places = axis.get_major_locator().tick_values(*axis.get_view_interval())
    return max(map(len, axis.get_major_formatter().format_ticks(places)))


def _place_labels(figure: Figure, axes: Any, x: float, y: float) -> None:
    """Fix where labels are. To find a place, the library would lay out all ticks twice more, a third of the drawing."""
    axes.yaxis.set_label_coords(x, y, transform=figure.transFigure)
    axes.xaxis.set_label_coords(0.5, 0)
    axes.set_title("", y=1)


def _finish(axes: Any) -> None:
    axes.tick_params(colors=INK, labelsize=9.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)


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
            bbox_to_anchor=(0, ROW * number / figure.get_figheight()),
            ncols=len(names),
            labelcolor=INK,
            handlelength=1.6,
            columnspacing=1,
            handletextpad=0.5,
            borderaxespad=0.1,
        )

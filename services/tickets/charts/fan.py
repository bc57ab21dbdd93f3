"""Paints a forecast: what the next weeks bring in all."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import MaxNLocator

from services.tickets.charts.spec import ForecastFan
from services.tickets.charts.style import BLUE, INK


def paint(axes: Any, chart: ForecastFan) -> None:
    weeks = range(len(chart.ahead))
    low, sure, high = zip(*chart.ahead, strict=True)
    axes.fill_between(weeks, low, high, color=BLUE, alpha=0.2, linewidth=0, label=chart.range_name)
    axes.plot(weeks, sure, color=BLUE, linewidth=1.8, marker=".", label=chart.sure_name)
    axes.set_xlim(0, len(chart.ahead) - 1)
    axes.set_ylim(0, max(*high, 1) * 1.05)
    axes.set_xlabel("weeks from now", color=INK, fontsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))

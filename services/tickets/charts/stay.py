"""Paints how long deals stay in a stage: the share of them that stays longer than each time."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import MaxNLocator

from services.tickets.charts.spec import StayDrawing
from services.tickets.charts.style import BLUE, INK, VERMILION


def paint(axes: Any, chart: StayDrawing) -> None:
    times, shares = zip(*chart.steps, strict=True)
    axes.plot(times, [100 * share for share in shares], color=BLUE, linewidth=1.8, label=chart.name)
    # Dashed and dotted: told apart in black and white too.
    for (name, time), dashes in zip(chart.limits.items(), ("--", ":", "-."), strict=False):
        axes.axvline(time, color=VERMILION, linestyle=dashes, linewidth=1.3, label=name)
    axes.set_xlim(0, max(times[-1], *chart.limits.values(), 0.001) * 1.02)
    axes.set_ylim(0, 104)
    axes.set_xlabel(chart.time_unit, color=INK, fontsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))

"""Paints weeks that are compared, side by side."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import MaxNLocator

from services.tickets.charts.spec import WeekGroups
from services.tickets.charts.style import BLUE, GREY, VERMILION
from shared.wording.quantities import weeks_between

# Hollow circles, then filled diamonds: distinct in black and white too.
_DOTS = (("o", "none", BLUE), ("D", VERMILION, VERMILION))


def paint(axes: Any, chart: WeekGroups) -> None:
    """The weeks of the groups are below them, where no dot is."""
    places = chart.places()
    for (name, weeks), (marker, face, edge) in zip(chart.groups.items(), _DOTS, strict=False):
        values = [value for _, value in weeks]
        axes.plot(places[name], values, marker, mfc=face, mec=edge, mew=1.3, markersize=5.5, label=name)
    axes.axhline(chart.middle, color=GREY, linestyle=":", linewidth=1.4, label=chart.middle_name)
    spans = {(where[0] + where[-1]) / 2: chart.groups[name] for name, where in places.items()}
    axes.set_xticks(list(spans), [weeks_between(weeks[0][0], weeks[-1][0]) for weeks in spans.values()])
    # The weeks of the last group are few: centred, their label would reach over the edge.
    axes.get_xticklabels()[-1].set_horizontalalignment("right" if len(spans) > 1 else "center")
    last = max(where[-1] for where in places.values())
    axes.set_xlim(-1, last + 1)
    top = max(value for weeks in chart.groups.values() for _, value in weeks)
    axes.set_ylim(0, max(top, chart.middle, 0.001) * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=top >= 4, nbins=5))

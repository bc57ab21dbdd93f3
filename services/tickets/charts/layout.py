"""How large a chart is, and its title and legend in rows: a page reserves its place before it is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from services.tickets.charts.spec import Drawing, ForecastFan, LineChart, WeekGroups

# Inches: narrow, so that the letters can be read on a phone.
PAGE, MAIL = 3.8, 4.6
_PLAIN_HEIGHT, ROW = 2.25, 0.2
_TITLE_LETTERS = 10
# Letters of the legend in an inch, and what the key of a name takes.
_LEGEND_LETTERS, _KEY_LETTERS = 14, 5


@dataclass(frozen=True)
class Layout:
    """Inches. `below`: what the labels under the axis take. `title`, `legend`: by row."""

    width: float
    height: float
    below: float
    title: Sequence[str]
    legend: Sequence[Sequence[str]]


def layout_of(chart: Drawing, width: float, titled: bool) -> Layout:
    title = _title_rows(chart.title, width) if titled else []
    # A page names the zone of all its times; a chart alone does it itself, in the corner below.
    corner = chart.zone if titled and isinstance(chart, LineChart) else ""
    legend = _legend_rows(names(chart), width, corner)
    # A line of labels, or two.
    below = 0.38 if isinstance(chart, LineChart) else 0.58
    height = _PLAIN_HEIGHT + (below - 0.38) + ROW * (len(title) + len(legend))
    return Layout(width, height, below, title, legend)


def names(chart: Drawing) -> list[str]:
    """What the legend names, in its order."""
    if isinstance(chart, LineChart):
        return _names_of_lines(chart)
    if isinstance(chart, WeekGroups):
        return [*chart.groups, chart.middle_name]
    if isinstance(chart, ForecastFan):
        return [chart.sure_name, chart.range_name]
    return [chart.name, *chart.limits]


def _names_of_lines(chart: LineChart) -> list[str]:
    found = [*chart.lines, *(["a deal"] if chart.dots else []), *chart.marks, *chart.limits]
    found += [chart.band[2]] if chart.band else []
    found += dict.fromkeys(level.name for level in chart.levels)
    found += [f"usual {chart.usual:g}"] if chart.usual is not None else []
    return found + (["problem"] if chart.intervals else [])


def _title_rows(text: str, width: float) -> list[str]:
    """The title in lines that fit, with a space for each unprintable character."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return textwrap.wrap(printable, int(width * _TITLE_LETTERS), max_lines=3, placeholder=" …")


def _legend_rows(names: Sequence[str], width: float, corner: str) -> list[list[str]]:
    """The names of the legend, in rows that fit into the width in inches, the last one beside what is in the corner."""
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and _letters_of([*rows[-1], name]) > width * _LEGEND_LETTERS:
            rows.append([])
        rows[-1].append(name)
    if len(rows[-1]) > 1 and _letters_of(rows[-1]) + len(corner) > width * _LEGEND_LETTERS:
        rows.append([rows[-1].pop()])
    return rows


def _letters_of(row: Sequence[str]) -> int:
    return sum(len(name) + _KEY_LETTERS for name in row)

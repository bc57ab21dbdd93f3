"""Places panels in the grid of 24 columns, without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import common, dashboard, timeseries

COLUMNS = 24
FIRST_SCREEN = 22
"""Rows of the grid that show on a screen of 1920 x 1080 without scrolling, below Grafana's own bars."""


class Shelf(NamedTuple):
    """Panels side by side, each with its width; together they fill all columns."""

    height: int
    panels: Sequence[tuple[int, dashboard.Panel]]


class Fold(NamedTuple):
    """Shelves under a title, folded until somebody opens them."""

    title: str
    shelves: Sequence[Shelf]


def evenly(height: int, *panels: dashboard.Panel) -> Shelf:
    """Panels of one width."""
    return Shelf(height, [(COLUMNS // len(panels), panel) for panel in panels])


def place(first: Sequence[Shelf], folds: Sequence[Fold]) -> list[dashboard.Panel | dashboard.RowPanel]:
    """Panels with places and numbers: those of the first screen, then the folded ones."""
    y, placed = _put(first, 0)
    found: list[dashboard.Panel | dashboard.RowPanel] = [*placed]
    for fold in folds:
        _, inside = _put(fold.shelves, y + 1)
        grid = dashboard.GridPos(h=1, w=COLUMNS, x=0, y=y)
        found.append(dashboard.RowPanel(collapsed=True, title=fold.title, grid_pos=grid, panels=inside))
        y += 1
    _number(found)
    return found


def _put(shelves: Sequence[Shelf], y: int) -> tuple[int, list[dashboard.Panel]]:
    """The panels with their places from row `y` on, and the row below them."""
    placed = []
    for shelf in shelves:
        x = 0
        for width, panel in shelf.panels:
            panel.grid_pos = dashboard.GridPos(h=shelf.height, w=width, x=x, y=y)
            if width < COLUMNS // 2 and isinstance(panel.options, timeseries.Options):
                # Beside the lines it would take half of a narrow panel.
                panel.options.legend.placement = common.LegendPlacement.BOTTOM
            placed.append(panel)
            x += width
        y += shelf.height
    return y, placed


def _number(panels: Sequence[dashboard.Panel | dashboard.RowPanel]) -> None:
    """Give each panel, also those in folded rows, a number of its own."""
    number = 0
    for panel in panels:
        for one in (panel, *(panel.panels if isinstance(panel, dashboard.RowPanel) else ())):
            number += 1
            one.id_val = number

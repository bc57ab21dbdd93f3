"""Small lines for lists, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_SIZE = 120, 28


# A page draws a hundred lines, most of which end as they did on the page before.
@lru_cache(4096)
def _line(values: tuple[float, ...], top: float) -> str:
    """The points of a line of two values or more, the greatest at most `top`."""
    width, height = _SIZE
    step, low, high = (width - 2) / (len(values) - 1), height - 2, height - 4
    return " ".join([f"{n * step + 1:.1f},{low - value / top * high:.1f}" for n, value in enumerate(values)])


def sparkline(values: Sequence[float], limit: float | None, before_change: int = 0) -> str:
    """A small line for a list, as SVG without text: the sentence next to it says what it shows.

    `before_change`: after so many values, an upright line.
    """
    width, height = _SIZE
    if len(values) < 2:
        return ""
    top, marks = max([*values, limit or 0, 1]), ""
    if limit is not None:
        y = height - 2 - limit / top * (height - 4)
        marks += f'<line x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" class="limit"/>'
    if before_change:
        x = (before_change - 0.5) * (width - 2) / (len(values) - 1) + 1
        marks += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" class="change"/>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg class="spark" {size} aria-hidden="true">{marks}<polyline points="{_line(tuple(values), top)}"/></svg>'

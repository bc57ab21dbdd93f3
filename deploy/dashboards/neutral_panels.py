"""Panels that are neither good nor bad by themselves: how often something happens, how long it takes."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards import panels
from deploy.dashboards.panels import About, Unit
from deploy.dashboards.queries import Query, over_time
from deploy.dashboards.scales import NEUTRAL, Scale

NEVER = "never: it is neither good nor bad by itself."
LATER = "compare it with the lag; `docker compose logs --tail 50 SERVICE`."
OF_SOURCE = '{source=~"$source"}'
"""Of the chosen sources."""
OF_SERVICE = '{service=~"$service"}'
"""Of the chosen services."""


def rate(title: str, about: About, expr: str, legend: str, scale: Scale = NEUTRAL) -> dashboard.Panel:
    """How often something happens in a second."""
    return panels.lines(title, about, [over_time(expr, legend)], Unit("cps", "none"), scale)


def spent(title: str, queries: Sequence[Query]) -> dashboard.Panel:
    """How long something takes that has no bound of its own."""
    about = About("what 99 of 100 take.", NEVER, LATER)
    return panels.lines(title, about, queries, Unit("s", "nothing happened"))

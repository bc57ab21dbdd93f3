"""What all dashboards share: refresh, zone, links to each other, variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import dashboard

from deploy.dashboards.layout import Fold, Shelf, place
from deploy.dashboards.variants import POSTGRES, PROMETHEUS, QueryAnnotation

TAG = "andon"
EVERY = "$__all"
_LINK = dashboard.DashboardLink(
    title="Dashboards",
    type_val=dashboard.DashboardLinkType.DASHBOARDS,
    tags=[TAG],
    keep_time=True,
    include_vars=True,
)


class Frame(NamedTuple):
    """A dashboard without its panels. `name`: of its file and its address; `back`: how far it looks, as 6h."""

    name: str
    title: str
    shows: str
    back: str
    variables: Sequence[dashboard.VariableModel] = ()
    annotations: Sequence[QueryAnnotation] = ()


def framed(frame: Frame, first: Sequence[Shelf], folds: Sequence[Fold]) -> dashboard.Dashboard:
    """The dashboard with its panels in their places."""
    return dashboard.Dashboard(
        uid=f"andon-{frame.name}",
        title=frame.title,
        description=f"{frame.shows} Times are in the zone of your browser.",
        tags=[TAG],
        timezone="browser",
        editable=True,
        graph_tooltip=dashboard.DashboardCursorSync.CROSSHAIR,
        time=dashboard.DashboardDashboardTime(f"now-{frame.back}", "now"),
        refresh="30s",
        schema_version=36,
        panels=place(first, folds),
        templating=dashboard.DashboardDashboardTemplating(list(frame.variables)),
        annotations=dashboard.AnnotationContainer(list(frame.annotations)),
        links=[_LINK],
    )


def labels(name: str, label: str, query: str) -> dashboard.VariableModel:
    """Values of a label in Prometheus, several or all."""
    return _choice(name, label, query, PROMETHEUS, all_value=".*")


def names(name: str, label: str, query: str) -> dashboard.VariableModel:
    """Rows of SQL with the columns __text and __value, several or all. There must always be one."""
    return _choice(name, label, query, POSTGRES, all_value=None)


def address(name: str, query: str) -> dashboard.VariableModel:
    """An address for links, from a label in Prometheus; not shown."""
    return dashboard.VariableModel(
        name=name,
        type_val=dashboard.VariableType.QUERY,
        query=query,
        datasource=PROMETHEUS,
        hide=dashboard.VariableHide.HIDE_VARIABLE,
        refresh=dashboard.VariableRefresh.ON_DASHBOARD_LOAD,
        multi=False,
        include_all=False,
    )


def text(name: str, label: str, value: str) -> dashboard.VariableModel:
    """A text that whoever looks may change."""
    return dashboard.VariableModel(
        name=name,
        label=label,
        type_val=dashboard.VariableType.TEXTBOX,
        query=value,
        current=dashboard.VariableOption(selected=True, text=value, value=value),
    )


def to_dashboard(name: str, variables: str = "") -> str:
    """The address of another dashboard with the same range. `variables`: as var-source=x."""
    return f"/d/andon-{name}?${{__url_time_range}}" + (f"&{variables}" if variables else "")


def _choice(
    name: str, label: str, query: str, source: dashboard.DataSourceRef, all_value: str | None
) -> dashboard.VariableModel:
    return dashboard.VariableModel(
        name=name,
        label=label,
        type_val=dashboard.VariableType.QUERY,
        query=" ".join(query.split()),
        datasource=source,
        current=dashboard.VariableOption(selected=True, text=["All"], value=[EVERY]),
        multi=True,
        include_all=True,
        all_value=all_value,
        refresh=dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=dashboard.VariableSort.ALPHABETICAL_ASC,
    )

"""Queries of panels, and annotations."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import prometheus

from deploy.dashboards.variants import POSTGRES, PROMETHEUS, PostgresQuery, QueryAnnotation

Query = prometheus.Dataquery | PostgresQuery


def now(expr: str, legend: str = "") -> prometheus.Dataquery:
    """The values of this instant, whatever the range of the dashboard."""
    return _prometheus(expr, legend, instant=True)


def over_time(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A line for each series over the range of the dashboard."""
    return _prometheus(expr, legend, instant=False)


def rows(expr: str) -> prometheus.Dataquery:
    """The values of this instant as rows of a table, with a column for each label."""
    query = _prometheus(expr, "", instant=True)
    query.format_val = prometheus.PromQueryFormat.TABLE
    return query


def sql(text: str) -> PostgresQuery:
    """Rows of a table."""
    return PostgresQuery(" ".join(text.split()), "table")


def sql_over_time(text: str) -> PostgresQuery:
    """Lines by time: columns time, metric and value, or a column for each line."""
    return PostgresQuery(" ".join(text.split()), "time_series")


def sql_annotation(name: str, color: str, text: str) -> QueryAnnotation:
    """Marks from SQL with the columns time, timeend, text and tags; for Grafana before and since its version 10."""
    text = " ".join(text.split())
    target = {"refId": "Anno", "editorMode": "code", "rawQuery": True, "rawSql": text, "format": "table"}
    return QueryAnnotation(name, POSTGRES, color, {"rawQuery": text, "target": target})


def annotation(name: str, color: str, expr: str, title: str) -> QueryAnnotation:
    """Marks where an expression has samples. `title`: with labels, as {{service}}."""
    details: dict[str, object] = {"expr": expr, "step": "60s", "titleFormat": title, "textFormat": ""}
    return QueryAnnotation(name, PROMETHEUS, color, details)


def quantile(share: float, metric: str, by: Sequence[str] = (), where: str = "") -> str:
    """The quantile of a histogram over the last interval."""
    labels = ", ".join(("le", *by))
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))"


def _prometheus(expr: str, legend: str, instant: bool) -> prometheus.Dataquery:
    return prometheus.Dataquery(
        expr=" ".join(expr.split()),
        instant=instant,
        range_val=not instant,
        editor_mode=prometheus.QueryEditorMode.CODE,
        format_val=prometheus.PromQueryFormat.TIME_SERIES,
        legend_format=legend,
        datasource=PROMETHEUS,
    )

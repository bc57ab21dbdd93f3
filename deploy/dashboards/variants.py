"""Small variants of the SDK's classes, for what it lacks: SQL, annotations that ask a data source, states that last."""

from __future__ import annotations

from typing import Any, Self

from grafana_foundation_sdk.cog import runtime, variants
from grafana_foundation_sdk.models import dashboard, prometheus, statetimeline

PROMETHEUS = dashboard.DataSourceRef("prometheus", "prometheus")
POSTGRES = dashboard.DataSourceRef("postgres", "postgres")


class PostgresQuery(variants.Dataquery):
    """SQL for a Postgres data source. `format_val`: table, or time_series (columns time, metric, value)."""

    def __init__(self, raw_sql: str, format_val: str, ref_id: str = "A") -> None:
        self.raw_sql, self.format_val, self.ref_id = raw_sql, format_val, ref_id
        self.datasource = POSTGRES

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": self.datasource,
            "editorMode": "code",
            "rawQuery": True,
            "rawSql": self.raw_sql,
            "format": self.format_val,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["rawSql"], data["format"], data["refId"])


class QueryAnnotation(dashboard.AnnotationQuery):
    """An annotation from a query. `details`: the keys that its data source reads, which the SDK does not have."""

    def __init__(
        self,
        name: str,
        datasource: dashboard.DataSourceRef,
        color: str,
        details: dict[str, object],
        enable: bool = True,
    ) -> None:
        super().__init__(name=name, datasource=datasource, enable=enable, icon_color=color)
        self.details = details

    def to_json(self) -> dict[str, object]:
        return super().to_json() | self.details

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        source = dashboard.DataSourceRef.from_json(data["datasource"])
        details = {key: data[key] for key in data.keys() - {"name", "datasource", "enable", "iconColor", "hide"}}
        return cls(data["name"], source, data["iconColor"], details, data["enable"])


class StateDrawing(statetimeline.FieldConfig):
    """How states over time are drawn. Each row has values at its own instants only, and lasts until its next."""

    def __init__(self, line_width: int = 0, fill_opacity: int = 80, span_nulls: bool = True) -> None:
        super().__init__(line_width=line_width, fill_opacity=fill_opacity)
        self.span_nulls = span_nulls

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"spanNulls": self.span_nulls}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["lineWidth"], data["fillOpacity"], data["spanNulls"])


def register_variants() -> None:
    """Let the SDK read dashboards with these variants."""
    runtime.register_dataquery_variant(runtime.DataqueryConfig("prometheus", prometheus.Dataquery.from_json))
    runtime.register_dataquery_variant(runtime.DataqueryConfig("postgres", PostgresQuery.from_json))
    states = runtime.PanelCfgConfig("state-timeline", statetimeline.Options.from_json, StateDrawing.from_json)
    runtime.register_panelcfg_variant(states)

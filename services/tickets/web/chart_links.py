"""Links to the pages of charts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import charts_of, pipeline_watches
from shared.policy import Policy
from shared.wording.measures import NAMES


@dataclass(frozen=True)
class ChartLink:
    """A chart by its name, with the address of its page, and whether a rule watches it."""

    name: str
    address: str
    is_watched: bool


def chart_address(chart: Chart) -> str:
    """Address of a chart's page. Ids may hold anything, also what means something in a path."""
    return f"/charts/{quote(chart.name)}"


def board_address(pipeline: str) -> str:
    """Address of the page of a pipeline."""
    return f"/pipelines/{quote(pipeline, safe='')}"


def links_of(policy: Policy, pipeline: str, stage: str = "") -> list[ChartLink]:
    """The charts of a stage; of the pipeline itself where the stage is empty."""
    watched = {watch.chart for watch in pipeline_watches(pipeline, policy.pipelines[pipeline])}
    return [
        ChartLink(NAMES[chart.column], chart_address(chart), chart in watched)
        for chart in charts_of(policy)
        if (chart.pipeline, chart.stage) == (pipeline, stage)
    ]


def preview_address(pipeline: str) -> str:
    """Address of the page that tries other rules of a pipeline."""
    return f"/what-if?{urlencode({'pipeline': pipeline})}"


def forecast_address(pipeline: str) -> str:
    """Address of the page of a pipeline's forecast."""
    return f"/forecast?{urlencode({'pipeline': pipeline})}"

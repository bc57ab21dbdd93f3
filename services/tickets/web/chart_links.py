"""Links to the pages of charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import charts_of, watches
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


class ChartLinks:
    """The links to charts of a policy's stages and pipelines."""

    def __init__(self, policy: Policy) -> None:
        watched = {watch.chart for watch in watches(policy)}
        self._links: dict[tuple[str, str], list[ChartLink]] = {}
        for chart in charts_of(policy):
            link = ChartLink(NAMES[chart.column], chart_address(chart), chart in watched)
            self._links.setdefault((chart.pipeline, chart.stage), []).append(link)

    def of(self, pipeline: str, stage: str = "") -> Sequence[ChartLink]:
        """The charts of a stage; of the pipeline itself where the stage is empty."""
        return self._links.get((pipeline, stage), [])


def preview_address(pipeline: str) -> str:
    """Address of the page that tries other rules of a pipeline."""
    return f"/what-if?{urlencode({'pipeline': pipeline})}"


def forecast_address(pipeline: str) -> str:
    """Address of the page of a pipeline's forecast."""
    return f"/forecast?{urlencode({'pipeline': pipeline})}"

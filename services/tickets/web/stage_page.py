"""The page of a stage: its open deals by age, its work and ages by day, what is watched, and its tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.charts.measure import FLOW_COLUMNS, cumulative_flow, time_chart
from services.tickets.charts.spec import Drawing, LineChart
from services.tickets.charts.stage import StageFacts, stage_charts
from services.tickets.domain.ticket import Ticket
from services.tickets.store import daily_points, stages, tickets, weekly_points
from services.tickets.store import now as now_store
from services.tickets.store.weekly_points import ChartWeeks
from services.tickets.web.chart_frames import frames, page_or_drawing
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from services.tickets.web.stage_rows import oldest, stage_address
from services.tickets.web.view_models import rule_view, ticket_view
from services.tickets.web.zones import page_zone
from shared.contracts.measures import Column, Measure
from shared.flow.calendars import AgeClocks
from shared.flow.statistics.columns import Chart
from shared.policy import StageTitles
from shared.postgres.pool import snapshot
from shared.stream import stages_now
from shared.stream.stages_now import StagesNow

SHOWN_DAYS = 90
MAX_TICKETS = 50


@dataclass(frozen=True)
class StageContent:
    """What the database has for a stage's page."""

    titles: StageTitles
    standing: StagesNow
    charts: Sequence[Drawing]
    tickets: Sequence[Ticket]


class StagePage:
    """One page for each stage of the policy."""

    def __init__(self, context: PageContext) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._clocks = AgeClocks(context.policy)
        self._html, self._error, self._tags = context.html, context.error, context.tags

    def routes(self) -> list[BaseRoute]:
        return [Route("/stage", self._tags.watch(self.stage))]

    async def stage(self, request: Request) -> Response:
        pipeline, stage = (request.query_params.get(name, "") for name in ("pipeline", "stage"))
        if self._policy.stage(pipeline, stage) is None:
            return self._error(404, "The policy has no such stage", "The page of pipelines shows all that there are.")
        return await page_or_drawing(request, lambda: self._page(request, pipeline, stage))

    async def _page(self, request: Request, pipeline: str, stage: str) -> Response:
        content, now = await self._load(pipeline, stage), self._clock.now()
        standing = content.standing.stages.get((pipeline, stage))
        views = [ticket_view(one, self._policy, content.titles, now) for one in content.tickets]
        page = self._html(
            "stage.html",
            title=content.titles.title(pipeline, stage),
            pipeline=self._policy.pipelines[pipeline].name,
            pipeline_id=pipeline,
            stage_id=stage,
            as_of=content.standing.at,
            wip=standing.wip if standing else None,
            oldest=oldest(standing, content.standing, self._clocks),
            charts=frames(stage_address(pipeline, stage), content.charts, self._policy.timezone),
            rules=[
                rule_view(rule, pipeline, self._policy, content.titles)
                for rule in self._policy.pipelines[pipeline].count_rules
                if rule.stage == stage
            ],
            tickets=views,
        )
        return answer_if_changed(request, page)

    async def _load(self, pipeline: str, stage: str) -> StageContent:
        now = self._clock.now()
        since = now - timedelta(days=SHOWN_DAYS)
        wanted = {one: (pipeline, stage, one.value) for one in Measure}
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            standing = await stages_now.by_minute(connection, [(pipeline, stage)])
            points = await daily_points.points(connection, list(wanted.values()), since, now)
            known = await weekly_points.load(connection, pipeline, _charts(pipeline, stage), self._policy.timezone)
            open_since = await now_store.open_since(connection, (pipeline, stage))
            found = await tickets.of_stage(connection, pipeline, stage, MAX_TICKETS)
        facts = StageFacts(
            pipeline,
            stage,
            titles.title(pipeline, stage),
            {one: points[series] for one, series in wanted.items()},
            standing.stages.get((pipeline, stage)),
            open_since,
            since,
            standing.at or now,
            page_zone(self._policy.timezone),
        )
        charts = [*stage_charts(facts, self._policy, self._clocks), *self._weekly(known, facts)]
        return StageContent(titles, standing, charts, found)

    def _weekly(self, known: ChartWeeks | None, facts: StageFacts) -> Sequence[LineChart]:
        """Time in stage, and what came in and left, week by week."""
        if known is None:
            return []
        place, zone = (facts.pipeline, facts.stage), facts.zone
        stayed = f"How long deals stayed in {facts.title}, by the week they left"
        flow = f"Deals that came into {facts.title} and left it, over 13 weeks"
        found = time_chart(known, *place, self._policy, stayed, zone), cumulative_flow(known, *place, flow, zone)
        return [chart for chart in found if chart is not None]


def _charts(pipeline: str, stage: str) -> list[Chart]:
    """What the page draws by week."""
    columns = Column.TIME_IN_STAGE_MEDIAN, Column.TIME_IN_STAGE_P85, *FLOW_COLUMNS
    return [Chart(pipeline, stage, column) for column in columns]

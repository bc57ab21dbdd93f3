"""Pipelines of the API: as the policy has them, and as they are now."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from services.tickets.api.faults import ApiFault
from services.tickets.api.models_of_flow import (
    PipelineBoard,
    PipelineList,
    PipelineSummary,
    StageInPolicy,
    StageOnBoard,
    StageRuleNow,
)
from services.tickets.api.parts import ApiParts
from services.tickets.store import stages, tickets, weekly_points
from services.tickets.store.weekly_points import LastWeek
from services.tickets.web.board_view import CLOSED_COLUMNS, STAGE_COLUMNS
from shared.contracts.measures import Column
from shared.contracts.now import NowData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.watched import charts_of
from shared.postgres.pool import snapshot
from shared.stream import stages_now

PipelineId = Annotated[str, Path(description="as the policy names it")]


class PipelineEndpoints:
    def __init__(self, parts: ApiParts) -> None:
        self._pool, self._policy = parts.pool, parts.policy

    async def pipelines(self) -> PipelineList:
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
        charts = charts_of(self._policy)
        return PipelineList(
            pipelines=[
                PipelineSummary(
                    id=key,
                    name=found.name,
                    stages=[
                        StageInPolicy(id=one.id, name=titles.title(key, one.id), outcome=one.outcome)
                        for one in found.stages
                    ],
                    charts=[chart.name for chart in charts if chart.pipeline == key],
                )
                for key, found in self._policy.pipelines.items()
            ]
        )

    async def board(self, name: PipelineId) -> PipelineBoard:
        if name not in self._policy.pipelines:
            raise ApiFault(404, "the policy has no such pipeline; /api/v1/pipelines lists all")
        pipeline = self._policy.pipelines[name]
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            standing = await stages_now.of_stages(connection, [(name, stage) for stage in pipeline.open_stages])
            columns = (*STAGE_COLUMNS, *CLOSED_COLUMNS)
            week = await weekly_points.last_week(connection, name, columns, self._policy.timezone)
            found = await tickets.names(connection, name)
        numbers = dict[str | None, list[int]]()
        for one in found:
            numbers.setdefault(one.stage, []).append(one.id)
        shown = [
            _standing(
                Chart(name, stage, Column.ARRIVALS),
                titles.title(name, stage),
                standing.stages.get((name, stage)),
                week,
                numbers.get(stage, []),
            )
            for stage in pipeline.open_stages
        ]
        return PipelineBoard(
            id=name,
            name=pipeline.name,
            as_of=standing.at,
            week=week.name if week else None,
            closed=_count(week, Chart(name, "", Column.THROUGHPUT)),
            won=_count(week, Chart(name, "", Column.WON)),
            lost=_count(week, Chart(name, "", Column.LOST)),
            stages=shown,
            tickets=numbers.get(None, []),
        )


def _standing(
    arrivals: Chart, title: str, now: NowData | None, week: LastWeek | None, tickets_of: list[int]
) -> StageOnBoard:
    return StageOnBoard(
        id=arrivals.stage,
        name=title,
        wip=now.wip if now else None,
        oldest_entered_at=now.oldest_entered_at if now else None,
        arrived=_count(week, arrivals),
        left=_count(week, arrivals._replace(column=Column.DEPARTURES)),
        rules=[
            StageRuleNow(
                kind=one.kind, count=one.count, threshold=one.threshold, breached=one.breached, since=one.since
            )
            for one in (now.rules if now else ())
        ],
        tickets=tickets_of,
    )


def _count(week: LastWeek | None, chart: Chart) -> int | None:
    """A number of deals of the last week."""
    value = week.values.get(chart) if week else None
    return None if value is None else int(value)

"""The page of a pipeline: all its stages at a glance, as a board."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.store import daily_points, plans, stages, tickets, weekly_points
from services.tickets.web import board_view
from services.tickets.web.board_view import CLOSED_COLUMNS, STAGE_COLUMNS, BoardFacts
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from shared.contracts.measures import Measure
from shared.flow.calendars import AgeClocks
from shared.postgres.pool import snapshot
from shared.stream import stages_now

SPARK_DAYS = 60


class BoardPage:
    """One page for each pipeline of the policy."""

    def __init__(self, context: PageContext) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._clocks = AgeClocks(context.policy)
        self._html, self._error, self._tags = context.html, context.error, context.tags

    def routes(self) -> list[BaseRoute]:
        return [Route("/pipelines/{name:path}", self._tags.watch(self.board))]

    async def board(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._policy.pipelines:
            return self._error(
                404, "The policy has no such pipeline", "The page of pipelines shows all that there are."
            )
        facts = await self._load(name)
        found = board_view.board_stages(facts, self._policy, self._clocks)
        page = self._html(
            "board.html",
            key=name,
            pipeline=self._policy.pipelines[name],
            as_of=facts.standing.at,
            sentence=board_view.board_sentence(found),
            stages=found,
            week=facts.week.name if facts.week else None,
            closed=board_view.closed(facts),
            spark_days=SPARK_DAYS,
            whole=board_view.tickets_of(facts, None),
        )
        return answer_if_changed(request, page)

    async def _load(self, name: str) -> BoardFacts:
        now, open_stages = self._clock.now(), self._policy.pipelines[name].open_stages
        wip = [(name, stage, Measure.WIP.value) for stage in open_stages]
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            standing = await stages_now.by_minute(connection, [(name, stage) for stage in open_stages])
            days = await daily_points.values(connection, wip, now - timedelta(days=SPARK_DAYS), now)
            columns = (*STAGE_COLUMNS, *CLOSED_COLUMNS)
            week = await weekly_points.last_week(connection, name, columns, self._policy.timezone)
            found = await tickets.names(connection, name)
            sealed = await plans.in_force(connection, [one.id for one in found if one.change_date])
        shown = [board_view.board_ticket(one, sealed.get(one.id), self._policy, titles) for one in found]
        return BoardFacts(name, titles, standing, days, week, shown, {one.id: one.stage for one in found})

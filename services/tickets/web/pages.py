"""The pages: list, ticket, pipelines, charts. Everything works without scripts; nothing changes on GET."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.tickets.charts import render
from services.tickets.charts.ticket import with_newest
from services.tickets.domain.faults import AlreadyDone, NotPossibleError
from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import latest_counts, rule_series
from services.tickets.plan_changes import TicketWriter
from services.tickets.query import QueryError
from services.tickets.store import daily_points, problems, stages, tickets
from services.tickets.store.tickets import TicketFilter
from services.tickets.web import forms, listing, stage_rows
from services.tickets.web.addresses import STATIC, favicon
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.refusals import Refusal
from services.tickets.web.stage_rows import open_stages
from services.tickets.web.templating import templates
from services.tickets.web.ticket_page import TicketPage
from services.tickets.web.view_models import RuleView, TicketView, rule_view, ticket_view
from services.tickets.web.zones import page_zone
from shared.contracts.measures import Measure
from shared.contracts.tickets import TicketState
from shared.flow.calendars import AgeClocks
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import Clock
from shared.stream import stages_now

SPARK_DAYS = 60
CLOSED_DAYS = 30
MAX_TICKETS = 1000
OPEN_STATES = tuple(state for state in TicketState if state is not TicketState.CLOSED)
FILTERS = ("pipeline", "kind", "state", "sort")


class TicketPages:
    """Server-rendered pages over the ticket store. `changed` is called after a commit that changed a ticket."""

    def __init__(
        self, pool: Pool, writer: TicketWriter, policy: Policy, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._pool, self._writer, self._policy, self._clock = pool, writer, policy, clock
        self._changed, self._clocks = changed, AgeClocks(policy)
        self._templates = templates(policy)
        self._ticket = TicketPage(pool, policy, clock, self.html, self.error)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.tickets),
            Route("/tickets", self.tickets),
            *self._ticket.routes(),
            Route("/tickets/{number:ticket}/{action:action}", self.back),
            Route("/tickets/{number:ticket}/{action}", self.act, methods=["POST"]),
            Route("/pipelines", self.pipelines),
            Route("/favicon.ico", favicon),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def html(self, name: str, status: int = 200, **values: Any) -> Response:
        values = {"now": self._clock.now(), "zone": page_zone(self._policy.timezone)} | values
        return HTMLResponse(self._templates.get_template(name).render(values), status)

    def error(self, status: int, title: str, detail: str) -> Response:
        """A page that says what went wrong and what to do."""
        return self.html("error.html", status, title=title, detail=detail)

    async def tickets(self, request: Request) -> Response:
        """The list: what needs somebody first, then what is snoozed, then what closed recently."""
        query = {name: value for name, value in request.query_params.items() if value}
        if len(query) < len(request.query_params):
            # The form also sends what was not chosen. Drop it: people pass this address on.
            return RedirectResponse(f"/tickets?{urlencode(query)}".rstrip("?"), 303)
        try:
            where, sort = listing.parse(query)
        except QueryError as error:
            return self.error(422, "The list cannot be shown like that", f"{error}.")
        async with self._pool.acquire() as connection:
            titles = await stages.titles(connection, self._policy)
            found, more = await self._find(connection, where)
            views = await self._with_sparks(connection, found, titles)
            flow = await problems.summary(connection)
        chosen = {name: query.get(name, "") for name in FILTERS}
        page = self.html(
            "tickets.html",
            **listing.parts(views, sort),
            flow=flow,
            watching=self._watching(titles),
            chosen=chosen,
            is_filtered=any(chosen[name] for name in ("pipeline", "kind", "state")),
            is_recent=where.state is None and where.before is None,
            closed_days=CLOSED_DAYS,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            more=more,
            address=urlencode(query),
        )
        return answer_if_changed(request, page)

    async def _find(self, connection: Connection, where: TicketFilter) -> tuple[Sequence[Ticket], int | None]:
        """What is open and what closed lately; with a state or a page, one page of that and where the next begins."""
        if where.state in OPEN_STATES and where.before is None:
            # All of them: what hurts most may be old.
            return await tickets.find(connection, replace(where, limit=MAX_TICKETS)), None
        if where.state is not None or where.before is not None:
            found = await tickets.find(connection, where)
            return found, found[-1].id if len(found) == where.limit else None
        since = self._clock.now() - timedelta(days=CLOSED_DAYS)
        here = (where.pipeline, where.kind, None, None, MAX_TICKETS)
        open_now = await tickets.find(connection, TicketFilter(*here, is_open=True))
        return [*open_now, *await tickets.find(connection, TicketFilter(*here, closed_after=since))], None

    async def _with_sparks(
        self, connection: Connection, found: Sequence[Ticket], titles: StageTitles
    ) -> list[TicketView]:
        """The tickets, the open ones with the line of the last weeks."""
        now = self._clock.now()
        counts = await latest_counts(connection, found)
        first = await problems.found(connection, [ticket.problem for ticket in found])
        wanted = {t.id: series for t in found if t.is_open and (series := rule_series(t.problem))}
        points = await daily_points.points(connection, list(wanted.values()), now - timedelta(days=SPARK_DAYS), now)

        def spark(ticket: Ticket) -> str:
            if ticket.id not in wanted:
                return ""
            line = with_newest(points[wanted[ticket.id]], counts[ticket.id].problem, now)
            return render.sparkline(line, float(ticket.problem.threshold))

        return [
            ticket_view(one, self._policy, titles, now, counts[one.id], begun, spark(one))
            for one, begun in zip(found, first, strict=True)
        ]

    def _watching(self, titles: StageTitles) -> list[RuleView]:
        return [
            rule_view(rule, key, self._policy, titles)
            for key, pipeline in self._policy.pipelines.items()
            for rule in pipeline.count_rules
        ]

    async def back(self, request: Request) -> Response:
        """The address of a form, opened as a page: after an error it is in the address bar."""
        return RedirectResponse(f"/tickets/{request.path_params['number']}", 303)

    async def act(self, request: Request) -> Response:
        """A form of the ticket page was sent."""
        number = request.path_params["number"]
        if not forms.is_same_origin(request):
            return self.error(403, "This form came from another site", "Open the ticket's page and use its buttons.")
        form = {name: str(value) for name, value in (await request.form()).items()}
        action = request.path_params["action"]
        try:
            wish = forms.wish_of(action, form, self._policy.timezone)
            async with self._pool.acquire() as connection, connection.transaction():
                if not await wish.form.carry_out(self._writer, connection, number, wish.version):
                    return self._ticket.no_ticket(number)
            self._changed()
        except AlreadyDone:
            pass
        except NotPossibleError as error:
            return await self._ticket.render(number, Refusal(error, action, form))
        # From the list back to the list, as it was chosen there.
        back = f"/tickets?{form['list']}" if "list" in form else f"/tickets/{number}"
        return RedirectResponse(back.rstrip("?"), 303)

    async def pipelines(self, request: Request) -> Response:
        """Each pipeline with its stages as they are now, and what is watched."""
        now = self._clock.now()
        shown = open_stages(self._policy)
        wanted = [(pipeline, stage.id, Measure.WIP.value) for pipeline, stage in shown]
        async with self._pool.acquire() as connection:
            titles = await stages.titles(connection, self._policy)
            points = await daily_points.points(connection, wanted, now - timedelta(days=SPARK_DAYS), now)
            found = await tickets.find(connection, TicketFilter(limit=MAX_TICKETS, is_open=True))
            unwatched = await stages.unwatched(connection)
            standing = await stages_now.of_stages(connection, [(pipeline, stage.id) for pipeline, stage in shown])
        views = [ticket_view(one, self._policy, titles, now) for one in found]
        rows = stage_rows.by_pipeline(self._policy, self._clocks, titles, standing, points, views)
        whole = {
            name: [view for view in views if view.ticket.problem.pipeline == name and not view.ticket.problem.stage]
            for name in self._policy.pipelines
        }
        silent = [view for view in views if view.ticket.problem.source]
        page = self.html(
            "pipelines.html", rows=rows, whole=whole, silent=silent, unwatched=unwatched, as_of=standing.at
        )
        return answer_if_changed(request, page)

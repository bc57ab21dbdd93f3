"""The pages: list, ticket, pipelines, charts. Everything works without scripts; nothing changes on GET."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.tickets import deals_csv
from services.tickets.charts import render
from services.tickets.charts.spec import Drawing, LineChart
from services.tickets.charts.ticket import age_chart, main_chart, with_newest
from services.tickets.domain.faults import AlreadyDone, NotPossibleError
from services.tickets.domain.ticket import CHOICES, MARK, Ticket
from services.tickets.latest_count import LatestCount, latest_counts, rule_series, with_deals
from services.tickets.plan_changes import TicketWriter
from services.tickets.query import QueryError
from services.tickets.store import daily_points, notices, problems, stages, tickets
from services.tickets.store.tickets import TicketFilter
from services.tickets.web import forms, history, listing, stage_rows, view_models
from services.tickets.web.addresses import STATIC, favicon
from services.tickets.web.chart_links import chart_address
from services.tickets.web.chart_view import chart_view
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.refusals import NONE_REFUSED, Refusal, question_of
from services.tickets.web.stage_rows import open_stages
from services.tickets.web.templating import templates
from services.tickets.web.view_models import RuleView, TicketView, rule_view, ticket_view
from services.tickets.web.zones import page_zone
from shared import wording
from shared.contracts.measures import Measure
from shared.contracts.problems import ProblemData
from shared.contracts.tickets import TicketState
from shared.flow.calendars import AgeClocks
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Connection, Pool, Record
from shared.runtime.clock import Clock
from shared.stream import stages_now
from shared.wording.quantities import CALENDAR_DAY

SPARK_DAYS = 60
CLOSED_DAYS = 30
MAX_TICKETS = 1000
FIRST_SNOOZE_DAY, LAST_SNOOZE_DAY = 1, 90
OPEN_STATES = tuple(state for state in TicketState if state is not TicketState.CLOSED)
FILTERS = ("pipeline", "kind", "state", "sort")


@dataclass(frozen=True)
class TicketPage:
    """What the database has for a ticket's page."""

    ticket: Ticket
    titles: StageTitles
    latest: LatestCount
    found: ProblemData
    charts: Sequence[Drawing]
    earlier: Sequence[Ticket]
    changes: Sequence[Record]
    mails: Sequence[Record]
    is_newest: bool


class TicketPages:
    """Server-rendered pages over the ticket store. `changed` is called after a commit that changed a ticket."""

    def __init__(
        self, pool: Pool, writer: TicketWriter, policy: Policy, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._pool, self._writer, self._policy, self._clock = pool, writer, policy, clock
        self._changed, self._clocks = changed, AgeClocks(policy)
        self._templates = templates(policy)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.tickets),
            Route("/tickets", self.tickets),
            Route("/tickets/{number:ticket}", self.ticket),
            Route("/tickets/{number:ticket}/deals.csv", self.deals),
            Route("/tickets/{number:ticket}/{chart}.svg", self.svg),
            Route("/tickets/{number:ticket}/chart.png", self.png),
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

    async def ticket(self, request: Request) -> Response:
        mark = request.query_params.get("of", "")
        if MARK.fullmatch(mark) and (moved := await self._of_mark(request.path_params["number"], mark)):
            return moved
        return answer_if_changed(request, await self._ticket_page(request.path_params["number"]))

    async def _of_mark(self, number: int, mark: str) -> Response | None:
        """Where a mail's link leads if its ticket has another number now; None if the number is right.

        After the database was set back, numbers that mails already name are given again.
        """
        ticket = await tickets.get(self._pool, number)
        if ticket is not None and ticket.mark == mark:
            return None
        if (found := await tickets.number_of(self._pool, mark)) is not None:
            return RedirectResponse(f"/tickets/{found}?of={mark}", 303)
        return self.error(
            404,
            f"Ticket {number} is not the one that this link was for",
            "The database was set back after the mail was sent, so the number was free again. The list shows every"
            " problem that there is.",
        )

    async def _ticket_page(self, number: int, refusal: Refusal = NONE_REFUSED) -> Response:
        page, now, zone = await self._load(number), self._clock.now(), page_zone(self._policy.timezone)
        if page is None:
            return self._no_ticket(number)
        ticket = page.ticket
        charts = await asyncio.to_thread(lambda: [chart_view(chart, self._policy.timezone) for chart in page.charts])
        question, days = question_of(refusal, ticket, page.changes), self._day_seconds(ticket)
        return self.html(
            "ticket.html",
            refusal.status,
            view=ticket_view(ticket, self._policy, page.titles, now, page.latest, page.found),
            wrong=None if question and question.is_asked else refusal.error,
            question=question,
            kept=refusal.form,
            evidence=view_models.evidence_view(page.latest.problem, days),
            evidence_found=view_models.evidence_view(page.found, days) if page.latest.rule else None,
            no_deals=wording.of(ticket.problem.kind).no_deals,
            chart_link=_chart_link(ticket.problem),
            charts=charts,
            earlier=[ticket_view(one, self._policy, page.titles, now) for one in page.earlier],
            history=history.history_rows(page.changes, page.mails, wording.of(ticket.problem.kind).is_weekly),
            is_newest=page.is_newest,
            by_person=CHOICES,
            rule=view_models.rule_words(ticket.problem),
            answer=refusal.error is not None,
            soonest=view_models.date_after(now, FIRST_SNOOZE_DAY, zone),
            latest=view_models.date_after(now, LAST_SNOOZE_DAY, zone),
        )

    async def _load(self, number: int) -> TicketPage | None:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                return None
            titles, now = await stages.titles(connection, self._policy), self._clock.now()
            latest = await self._latest(connection, ticket)
            readers = (main_chart, age_chart) if self._has_place(ticket) else ()
            charts = [await read(connection, latest.problem, self._policy, titles, now) for read in readers]
            return TicketPage(
                ticket,
                titles,
                latest,
                (await problems.found(connection, [ticket.problem]))[0],
                [self._in_zone(chart) for chart in charts if chart],
                await tickets.earlier(connection, ticket),
                await tickets.history(connection, number),
                await notices.of_ticket(connection, ticket),
                await tickets.is_newest(connection, ticket),
            )

    async def _latest(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The ticket's problem as it is now, with its deals."""
        latest = (await latest_counts(connection, [ticket]))[ticket.id]
        return await with_deals(connection, latest, self._policy, self._clocks)

    def _has_place(self, ticket: Ticket) -> bool:
        """Whether the policy has the ticket's stage, or its pipeline where it is about a whole one."""
        return self._has_stage(ticket) or (
            not ticket.problem.stage and ticket.problem.pipeline in self._policy.pipelines
        )

    def _in_zone(self, chart: Drawing) -> Drawing:
        return replace(chart, zone=page_zone(self._policy.timezone)) if isinstance(chart, LineChart) else chart

    def _has_stage(self, ticket: Ticket) -> bool:
        return self._policy.stage(ticket.problem.pipeline, ticket.problem.stage or "") is not None

    def _day_seconds(self, ticket: Ticket) -> int:
        """Length of a day on the clock of the ticket's stage."""
        if not self._has_stage(ticket):
            return CALENDAR_DAY
        return self._policy.day_seconds(ticket.problem.pipeline, ticket.problem.stage or "")

    def _no_ticket(self, number: int) -> Response:
        return self.error(404, f"There is no ticket {number}", "The list of tickets shows all that there are.")

    def _no_chart(self) -> Response:
        return self.error(404, "There is no such chart", "The ticket's page shows the charts that there are.")

    async def deals(self, request: Request) -> Response:
        """All deals of a ticket as a file for spreadsheets."""
        number = request.path_params["number"]
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            latest = await self._latest(connection, ticket) if ticket else None
        if latest is None:
            return self._no_ticket(number)
        return deals_csv.download(latest.problem, number, marked=True)

    async def svg(self, request: Request) -> Response:
        """A chart alone, to be linked and embedded."""
        reader = {"chart": main_chart, "ages": age_chart}.get(request.path_params["chart"])
        chart = await self._chart(request, reader) if reader else None
        if chart is None:
            return self._no_chart()
        return Response(await asyncio.to_thread(render.svg, chart), media_type="image/svg+xml")

    async def png(self, request: Request) -> Response:
        chart = await self._chart(request, main_chart)
        if chart is None:
            return self._no_chart()
        return Response(await asyncio.to_thread(render.png, chart), media_type="image/png")

    async def _chart(self, request: Request, reader: Callable[..., Any]) -> Drawing | None:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, request.path_params["number"])
            if ticket is None or not self._has_place(ticket):
                return None
            titles = await stages.titles(connection, self._policy)
            problem = (await self._latest(connection, ticket)).problem
            chart: Drawing | None = await reader(connection, problem, self._policy, titles, self._clock.now())
            return self._in_zone(chart) if chart else None

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
                    return self._no_ticket(number)
            self._changed()
        except AlreadyDone:
            pass
        except NotPossibleError as error:
            return await self._ticket_page(number, Refusal(error, action, form))
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


def _chart_link(problem: ProblemData) -> str | None:
    """Address of the chart that a problem on a measure is about."""
    if problem.signal is None:
        return None
    return chart_address(Chart(problem.pipeline, problem.stage or "", problem.signal.measure))

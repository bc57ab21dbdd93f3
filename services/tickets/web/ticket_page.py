"""The page of one ticket, its charts alone, and its deals as a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets import deals_csv
from services.tickets.charts.drawing import DRAWINGS
from services.tickets.charts.spec import Drawing, LineChart, to_json
from services.tickets.charts.ticket import age_chart, main_chart
from services.tickets.domain.ticket import CHOICES, MARK, Ticket
from services.tickets.latest_count import LatestCount, counts_by_minute, latest_counts, with_deals
from services.tickets.present import present
from services.tickets.store import notices, problems, stages, tickets
from services.tickets.web import history, tried_plans, view_models
from services.tickets.web.chart_frames import frames, page_or_drawing
from services.tickets.web.chart_links import chart_address
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from services.tickets.web.refusals import NONE_REFUSED, Refusal, question_of
from services.tickets.web.tried_plans import TriedPlans
from services.tickets.web.view_models import ticket_view
from services.tickets.web.zones import page_zone
from shared import wording
from shared.contracts.problems import ProblemData
from shared.flow.calendars import AgeClocks
from shared.flow.statistics.columns import Chart
from shared.policy import StageTitles
from shared.postgres.pool import Connection, Record, snapshot
from shared.wording.quantities import CALENDAR_DAY

FIRST_SNOOZE_DAY, LAST_SNOOZE_DAY = 1, 90


@dataclass(frozen=True)
class TicketContent:
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
    tried: TriedPlans


class TicketPage:
    """A ticket with what is known of its problem. `render` also shows what became of a form."""

    def __init__(self, context: PageContext) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error, self._tags = context.html, context.error, context.tags
        self._clocks, self._issues = AgeClocks(context.policy), context.issues

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/tickets/{number:ticket}", self._tags.watch(self.ticket)),
            Route("/tickets/{number:ticket}/deals.csv", self.deals),
            Route("/tickets/{number:ticket}/{chart}.svg", self.svg),
            Route("/tickets/{number:ticket}/chart.png", self.png),
        ]

    async def ticket(self, request: Request) -> Response:
        mark = request.query_params.get("of", "")
        if MARK.fullmatch(mark) and (moved := await self._of_mark(request.path_params["number"], mark)):
            return moved
        return await page_or_drawing(request, lambda: self._page(request))

    async def _page(self, request: Request) -> Response:
        return answer_if_changed(request, await self.render(request.path_params["number"]))

    async def _of_mark(self, number: int, mark: str) -> Response | None:
        """Where a mail's link leads if its ticket has another number now; None if the number is right.

        After the database was set back, numbers that mails already name are given again.
        """
        ticket = await tickets.get(self._pool, number)
        if ticket is not None and ticket.mark == mark:
            return None
        if (found := await tickets.number_of(self._pool, mark)) is not None:
            return RedirectResponse(f"/tickets/{found}?of={mark}", 303)
        return self._error(
            404,
            f"Ticket {number} is not the one that this link was for",
            "The database was set back after the mail was sent, so the number was free again. The list shows every"
            " problem that there is.",
        )

    async def render(self, number: int, refusal: Refusal = NONE_REFUSED) -> Response:
        page, now, zone = await self.load(number), self._clock.now(), page_zone(self._policy.timezone)
        if page is None:
            return self.no_ticket(number)
        ticket = page.ticket
        question, days = question_of(refusal, ticket, page.changes), self.day_seconds(ticket)
        return self._html(
            "ticket.html",
            refusal.status,
            view=ticket_view(ticket, self._policy, page.titles, now, page.latest, page.found),
            wrong=None if question and question.is_asked else refusal.error,
            question=question,
            kept=refusal.form,
            sent=refusal.action,
            sent_fields=refusal.fields,
            wrong_at=refusal.anchor,
            evidence=view_models.evidence_view(page.latest.problem, days),
            evidence_found=view_models.evidence_view(page.found, days) if page.latest.rule else None,
            no_deals=wording.of(ticket.problem.kind).no_deals,
            chart_link=_chart_link(ticket.problem),
            charts=frames(f"/tickets/{number}", page.charts, self._policy.timezone),
            earlier=[ticket_view(one, self._policy, page.titles, now) for one in page.earlier],
            history=history.history_rows(
                page.changes,
                page.mails,
                wording.of(ticket.problem.kind).counted,
                wording.of(ticket.problem.kind).opened,
            ),
            is_newest=page.is_newest,
            has_issues=bool(self._issues.names),
            by_person=CHOICES,
            **page.tried.parts(ticket, self._policy, page.titles),
            ack_within=self._ack_within(ticket),
            doing_limit=self._policy.doing_limit,
            rule=view_models.rule_words(ticket.problem),
            answer=refusal.error is not None,
            soonest=view_models.date_after(now, FIRST_SNOOZE_DAY, zone),
            latest=view_models.date_after(now, LAST_SNOOZE_DAY, zone),
        )

    async def load(self, number: int) -> TicketContent | None:
        """What there is of a ticket; None: there is no such ticket."""
        async with snapshot(self._pool) as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                return None
            titles, now = await stages.titles(connection, self._policy), await present(connection, self._clock)
            latest = await self._latest(connection, ticket)
            readers = (main_chart, age_chart) if self._has_place(ticket) else ()
            charts = [await read(connection, latest.problem, self._policy, titles, now) for read in readers]
            tried = await tried_plans.load(connection, ticket, self._policy, now)
            charts.insert(0, await tried_plans.drawing(connection, tried, self._policy))
            return TicketContent(
                ticket,
                titles,
                latest,
                await problems.found(connection, ticket.problem),
                [self._in_zone(chart) for chart in charts if chart],
                await tickets.earlier(connection, ticket),
                await tickets.history(connection, number),
                await notices.of_ticket(connection, ticket),
                await tickets.is_newest(connection, ticket),
                tried,
            )

    async def _latest(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The ticket's problem as it is now, with its deals."""
        latest = (await counts_by_minute(connection, [ticket]))[ticket.id]
        return await with_deals(connection, latest, self._policy, self._clocks)

    async def _exact(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The same to the second, as the API says it."""
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

    def day_seconds(self, ticket: Ticket) -> int:
        """Length of a day on the clock of the ticket's stage."""
        if not self._has_stage(ticket):
            return CALENDAR_DAY
        return self._policy.day_seconds(ticket.problem.pipeline, ticket.problem.stage or "")

    def _ack_within(self, ticket: Ticket) -> str | None:
        """How soon somebody is to acknowledge it; None where the policy does not say."""
        pipeline = self._policy.pipelines.get(ticket.problem.pipeline)
        return pipeline.ack_within.words() if pipeline and pipeline.ack_within else None

    def no_ticket(self, number: int) -> Response:
        return self._error(404, f"There is no ticket {number}", "The list of tickets shows all that there are.")

    def _no_chart(self) -> Response:
        return self._error(404, "There is no such chart", "The ticket's page shows the charts that there are.")

    async def deals(self, request: Request) -> Response:
        """All deals of a ticket as a file for spreadsheets."""
        number = request.path_params["number"]
        async with snapshot(self._pool) as connection:
            ticket = await tickets.get(connection, number)
            latest = await self._exact(connection, ticket) if ticket else None
        if latest is None:
            return self.no_ticket(number)
        return deals_csv.download(latest.problem, number, marked=True)

    async def svg(self, request: Request) -> Response:
        """A chart alone, to be linked and embedded."""
        reader = {"chart": main_chart, "ages": age_chart}.get(request.path_params["chart"])
        chart = await self._chart(request, reader) if reader else None
        if chart is None:
            return self._no_chart()
        return Response(await DRAWINGS.svg(to_json(chart)), media_type="image/svg+xml")

    async def png(self, request: Request) -> Response:
        chart = await self._chart(request, main_chart)
        if chart is None:
            return self._no_chart()
        return Response(await DRAWINGS.png(to_json(chart)), media_type="image/png")

    async def _chart(self, request: Request, reader: Callable[..., Any]) -> Drawing | None:
        async with snapshot(self._pool) as connection:
            ticket = await tickets.get(connection, request.path_params["number"])
            if ticket is None or not self._has_place(ticket):
                return None
            titles = await stages.titles(connection, self._policy)
            problem = (await self._latest(connection, ticket)).problem
            chart: Drawing | None = await reader(connection, problem, self._policy, titles, self._clock.now())
            return self._in_zone(chart) if chart else None


def _chart_link(problem: ProblemData) -> str | None:
    """Address of the chart that a problem on a measure is about."""
    if problem.signal is None:
        return None
    return chart_address(Chart(problem.pipeline, problem.stage or "", problem.signal.measure))

"""The pages: list, ticket, pipelines, charts. Everything works without scripts; nothing changes on GET."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.tickets import latest_count
from services.tickets.api.routes import place_of
from services.tickets.charts import data as picture
from services.tickets.charts import render as charts
from services.tickets.domain.lifecycle import AlreadyDone, NotPossibleError, Ticket, TooLateError
from services.tickets.handlers import TicketHandlers
from services.tickets.latest_count import judged
from services.tickets.store import tickets as store
from services.tickets.store.tickets import Series, TicketFilter
from services.tickets.web import forms, view_models
from services.tickets.web.times import Times
from shared.contracts.measures import Measure
from shared.contracts.tickets import TicketState
from shared.policy import Policy
from shared.policy.model import Stage
from shared.runtime.clock import Clock
from shared.wording import problem_text

HERE = Path(__file__).parent
SPARK_DAYS = 60
CLOSED_DAYS = 30
MOST = 1000
FILTERS = ("pipeline", "kind", "state")


class _TicketNumber(IntegerConvertor):
    """What Postgres keeps as a bigint; a longer number is no page."""

    regex = "[0-9]{1,18}"


class _Action(StringConvertor):
    """What a form of the ticket page does."""

    regex = "|".join(forms.ACTIONS)


register_url_convertor("ticket", _TicketNumber())
register_url_convertor("action", _Action())


class TicketPages:
    """Server-rendered pages over the ticket store."""

    def __init__(self, pool: Any, desk: TicketHandlers, policy: Policy, clock: Clock, wake: asyncio.Event) -> None:
        self._pool, self._desk, self._policy, self._clock, self._wake = pool, desk, policy, clock, wake
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        times = Times(policy.timezone)
        self._templates.filters.update(
            moment=times.moment,
            when=times.when,
            day=times.day,
            day_ended=times.day_ended,
            moment_at_home=times.moment_at_home,
            day_at_home=times.day_at_home,
        )
        self._templates.globals.update(
            kinds=view_models.KINDS,
            states=view_models.STATES,
            policy=policy,
            watched=lambda rule, pipeline: problem_text.watched(rule, pipeline, policy),
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.tickets),
            Route("/tickets", self.tickets),
            Route("/tickets/{number:ticket}", self.ticket),
            Route("/tickets/{number:ticket}/{chart}.svg", self.chart),
            Route("/tickets/{number:ticket}/chart.png", self.image),
            Route("/tickets/{number:ticket}/{action:action}", self.back),
            Route("/tickets/{number:ticket}/{action}", self.act, methods=["POST"]),
            Route("/pipelines", self.pipelines),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]

    def html(self, name: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(now=self._clock.now(), **values), status)

    def error(self, status: int, title: str, detail: str) -> Response:
        """A page that says what went wrong and what to do."""
        return self.html("error.html", status, title=title, detail=detail)

    async def tickets(self, request: Request) -> Response:
        """The list: what needs somebody first, then what is put aside, then what closed lately."""
        query = {name: value for name, value in request.query_params.items() if value}
        if len(query) < len(request.query_params):
            # The form sends what was not chosen, too; the address is to be sent on.
            return RedirectResponse(f"/tickets?{urlencode(query)}".rstrip("?"), 303)
        try:
            place = place_of(query)
        except ValueError as error:
            return self.error(422, "The list cannot be shown like that", f"{error}.")
        async with self._pool.acquire() as connection:
            found, more = await self._found(connection, place)
            views = await self._with_sparks(connection, found)
            calm = await store.calm(connection)
        of_state: dict[TicketState, list[view_models.View]] = {state: [] for state in TicketState}
        for one in views:
            of_state[one.ticket.state].append(one)
        chosen = {name: query.get(name, "") for name in FILTERS}
        return self.html(
            "tickets.html",
            needing=of_state[TicketState.OPEN] + of_state[TicketState.ACKNOWLEDGED],
            calm=calm,
            unseen=len(of_state[TicketState.OPEN]),
            resting=of_state[TicketState.SNOOZED],
            chosen=chosen,
            closed=of_state[TicketState.CLOSED],
            lately=place.state is None and place.before is None,
            outcomes=view_models.outcomes([v.ticket for v in of_state[TicketState.CLOSED]]),
            closed_days=CLOSED_DAYS,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            more=more,
            address=urlencode(query),
        )

    async def _found(self, connection: Any, place: TicketFilter) -> tuple[Sequence[Ticket], int | None]:
        """What is open and what closed lately; with a state or a place in the list, one page of that."""
        if place.state is not None or place.before is not None:
            found = await store.listed(connection, place)
            return found, found[-1].id if len(found) == place.limit else None
        since = self._clock.now() - timedelta(days=CLOSED_DAYS)
        here = (place.pipeline, place.kind, None, None, MOST)
        open_now = await store.listed(connection, TicketFilter(*here, open=True))
        return [*open_now, *await store.listed(connection, TicketFilter(*here, closed_after=since))], None

    async def _with_sparks(self, connection: Any, tickets: Sequence[Ticket]) -> list[view_models.View]:
        """Each open ticket with the line of the last weeks."""
        now = self._clock.now()
        newest = await latest_count.newest(connection, tickets, now)
        wanted = {ticket.id: series for ticket in tickets if ticket.is_open for series in judged(ticket.problem)}
        found = await store.points(connection, list(wanted.values()), now - timedelta(days=SPARK_DAYS), now)

        def spark(ticket: Ticket) -> str:
            if ticket.id not in wanted:
                return ""
            points = picture.with_newest(found[wanted[ticket.id]], ticket.problem, now)
            return charts.sparkline(points, float(ticket.problem.threshold))

        return [view_models.view(one, self._policy, now, newest[one.id], spark(one)) for one in tickets]

    async def ticket(self, request: Request) -> Response:
        return await self._ticket_page(request.path_params["number"])

    async def _ticket_page(
        self, number: int, wrong: NotPossibleError | None = None, kept: dict[str, str] | None = None
    ) -> Response:
        async with self._pool.acquire() as connection:
            ticket = await store.one(connection, number)
            if ticket is None:
                return self._no_ticket(number)
            problem, now = ticket.problem, self._clock.now()
            known = self._policy.stage(problem.pipeline, problem.stage or "") is not None
            day = self._policy.day_seconds(problem.pipeline, problem.stage or "") if known else 86_400
            drawn = [
                await draw(connection, problem, self._policy, now)
                for draw in (picture.count_chart, picture.age_chart)
                if known
            ]
            newest = (await latest_count.newest(connection, [ticket], now))[number]
            earlier = await store.earlier(connection, ticket)
            changes, mails = await store.history(connection, number), await store.notices_of(connection, number)
        pictures = await asyncio.to_thread(lambda: [(chart, charts.inline(chart)) for chart in drawn])
        status = 200 if wrong is None else 409 if isinstance(wrong, TooLateError) else 422
        return self.html(
            "ticket.html",
            status,
            view=view_models.view(ticket, self._policy, now, newest),
            wrong=wrong,
            kept=kept or {},
            evidence=view_models.evidence(problem, day),
            charts=pictures,
            earlier=[view_models.view(one, self._policy, now) for one in earlier],
            history=view_models.history_rows(changes, mails),
            soonest=view_models.days_from(now, 1, self._policy.timezone),
            latest=view_models.days_from(now, 90, self._policy.timezone),
        )

    def _no_ticket(self, number: int) -> Response:
        return self.error(404, f"There is no ticket {number}", "The list of tickets shows all that there are.")

    async def chart(self, request: Request) -> Response:
        """A chart alone, to be linked and embedded."""
        draw = {"chart": picture.count_chart, "ages": picture.age_chart}.get(request.path_params["chart"])
        made = await self._drawn(request, draw) if draw else None
        if made is None:
            return self.error(404, "There is no such chart", "The ticket's page shows the charts that there are.")
        return Response(await asyncio.to_thread(charts.svg, made), media_type="image/svg+xml")

    async def image(self, request: Request) -> Response:
        made = await self._drawn(request, picture.count_chart)
        if made is None:
            return self.error(404, "There is no such chart", "The ticket's page shows the charts that there are.")
        return Response(await asyncio.to_thread(charts.png, made), media_type="image/png")

    async def _drawn(self, request: Request, draw: Callable[..., Awaitable[charts.Chart]]) -> charts.Chart | None:
        async with self._pool.acquire() as connection:
            ticket = await store.one(connection, request.path_params["number"])
            known = ticket and self._policy.stage(ticket.problem.pipeline, ticket.problem.stage or "")
            return await draw(connection, ticket.problem, self._policy, self._clock.now()) if known and ticket else None

    async def back(self, request: Request) -> Response:
        """The address of a form, opened as a page: after an error it stands in the address bar."""
        return RedirectResponse(f"/tickets/{request.path_params['number']}", 303)

    async def act(self, request: Request) -> Response:
        """A form of the ticket page was sent."""
        number = request.path_params["number"]
        if not forms.same_origin(request):
            return self.error(403, "This form came from another site", "Open the ticket's page and use its buttons.")
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            wish = forms.wish(request.path_params["action"], form, self._policy.timezone)
            async with self._pool.acquire() as connection, connection.transaction():
                if await self._desk.act(connection, number, wish) is None:
                    return self._no_ticket(number)
            self._wake.set()
        except AlreadyDone:
            pass
        except NotPossibleError as error:
            return await self._ticket_page(number, error, form)
        # From the list back to the list, as it was chosen there.
        back = f"/tickets?{form['list']}" if "list" in form else f"/tickets/{number}"
        return RedirectResponse(back.rstrip("?"), 303)

    async def pipelines(self, request: Request) -> Response:
        """Each pipeline with its stages as they were at the end of the last day, and what is watched."""
        now = self._clock.now()
        stages = [
            (key, stage)
            for key, pipeline in self._policy.pipelines.items()
            for stage in pipeline.stages
            if stage.outcome.value == "open"
        ]
        wanted = [(key, stage.id, measure.value) for key, stage in stages for measure in Measure]
        async with self._pool.acquire() as connection:
            points = await store.points(connection, wanted, now - timedelta(days=SPARK_DAYS), now)
            tickets = await store.listed(connection, TicketFilter(limit=MOST, open=True))
            unwatched = await store.unwatched(connection)
        views = [view_models.view(ticket, self._policy, now) for ticket in tickets]
        rows: dict[str, list[dict[str, Any]]] = {key: [] for key in self._policy.pipelines}
        for key, stage in stages:
            rows[key].append(self._stage_row(key, stage, points, views))
        ends = [line[-1][0] for line in points.values() if line]
        return self.html("pipelines.html", rows=rows, unwatched=unwatched, until=max(ends, default=None))

    def _stage_row(
        self,
        pipeline: str,
        stage: Stage,
        points: dict[Series, list[tuple[datetime, float]]],
        views: list[view_models.View],
    ) -> dict[str, Any]:
        lines = {measure: points[pipeline, stage.id, measure.value] for measure in Measure}
        newest = {measure: line[-1][1] for measure, line in lines.items() if line}
        oldest = newest.get(Measure.AGE_OLDEST) if newest.get(Measure.WIP) else None
        rules = [rule for rule in self._policy.pipelines[pipeline].rules if rule.stage == stage.id]
        # The line's limit: only that of work, as it is work that is drawn.
        limit = next((float(rule.max) for rule in rules if rule.kind == "wip-high"), None)
        return {
            "stage": stage,
            "rules": rules,
            "newest": newest,
            "spark": charts.sparkline(lines[Measure.WIP], limit),
            "oldest": "" if oldest is None else problem_text.age(oldest, self._policy.day_seconds(pipeline, stage.id)),
            "views": [v for v in views if (v.ticket.problem.pipeline, v.ticket.problem.stage) == (pipeline, stage.id)],
        }

"""The pages: list, ticket, pipelines, charts. Everything works without scripts; nothing changes on GET."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.tickets import charts, lifecycle, picture, store
from services.tickets.desk import Desk
from services.tickets.lifecycle import NotPossibleError, Step, Ticket
from services.tickets.store import Place
from services.tickets.web import present
from shared.contracts.measures import Measure
from shared.contracts.tickets import Outcome, TicketState
from shared.policy import Policy
from shared.runtime.clock import Clock

HERE = Path(__file__).parent
SPARK_DAYS = 60


class _TicketNumber(IntegerConvertor):
    """What Postgres keeps as a bigint; a longer number is no page."""

    regex = "[0-9]{1,18}"


register_url_convertor("ticket", _TicketNumber())


class Pages:
    """Server-rendered pages over the ticket store."""

    def __init__(self, pool: Any, desk: Desk, policy: Policy, clock: Clock, wake: asyncio.Event) -> None:
        self._pool, self._desk, self._policy, self._clock, self._wake = pool, desk, policy, clock, wake
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.globals.update(kinds=present.KINDS, states=present.STATES, policy=policy)
        self._templates.filters["exact"] = lambda moment: present.exact(moment, policy.timezone)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.tickets),
            Route("/tickets", self.tickets),
            Route("/tickets/{number:ticket}", self.ticket),
            Route("/tickets/{number:ticket}/{chart}.svg", self.chart),
            Route("/tickets/{number:ticket}/chart.png", self.image),
            Route("/tickets/{number:ticket}/{action}", self.act, methods=["POST"]),
            Route("/pipelines", self.pipelines),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]

    def html(self, name: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(**values), status)

    def error(self, status: int, title: str, detail: str) -> Response:
        """A page that says what went wrong and what to do."""
        return self.html("error.html", status, title=title, detail=detail)

    async def tickets(self, request: Request) -> Response:
        """The list: what needs somebody first, then the rest."""
        # Postgres keeps no NUL character, so nothing is found by it.
        asked = {name: value.replace("\x00", "\ufffd") for name, value in request.query_params.items()}
        chosen = {name: asked.get(name) or None for name in ("pipeline", "kind", "state")}
        before = asked.get("before", "")
        until = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        place = Place(chosen["pipeline"], chosen["kind"], chosen["state"], until)
        async with self._pool.acquire() as connection:
            found = await store.listed(connection, place)
            views = [await self._listed(connection, ticket) for ticket in found]
            quiet = await store.quiet_since(connection)
        needing = [v for v in views if v.ticket.state in (TicketState.OPEN, TicketState.ACKNOWLEDGED)]
        return self.html(
            "tickets.html", needing=needing, quiet=quiet, chosen=chosen, now=self._clock.now(),
            resting=[v for v in views if v.ticket.state is TicketState.SNOOZED],
            closed=[v for v in views if v.ticket.state is TicketState.CLOSED],
            more=found[-1].id if len(found) == place.limit else None,
        )  # fmt: skip

    async def _listed(self, connection: Any, ticket: Ticket) -> present.View:
        problem, now = ticket.problem, self._clock.now()
        spark = ""
        if ticket.is_open and problem.kind in picture.MEASURE:
            measure = picture.MEASURE[problem.kind].value
            since = now - timedelta(days=SPARK_DAYS)
            points = await store.points(connection, problem.pipeline, problem.stage or "", [measure], since, now)
            spark = charts.sparkline(points[measure], float(problem.threshold))
        return present.view(ticket, self._policy, now, spark)

    async def ticket(self, request: Request) -> Response:
        return await self._ticket_page(request.path_params["number"])

    async def _ticket_page(self, number: int, status: int = 200, wrong: str = "", kept: Any = None) -> Response:
        async with self._pool.acquire() as connection:
            ticket = await store.one(connection, number)
            if ticket is None:
                return self._no_ticket(number)
            problem, now, zone = ticket.problem, self._clock.now(), self._policy.timezone
            known = self._policy.stage(problem.pipeline, problem.stage or "") is not None
            day = self._policy.day_seconds(problem.pipeline, problem.stage or "") if known else 86_400
            shown = problem.evidence
            chart = await picture.count_chart(connection, problem, self._policy, now) if known else None
            values = {
                "view": present.view(ticket, self._policy, now), "now": now, "wrong": wrong, "kept": kept or {},
                "worst": [present.deal_row(d, zone, day) for d in shown.worst] if shown else [],
                "sample": [present.deal_row(d, zone, day) for d in shown.sample] if shown else [],
                "chart": chart, "count_svg": charts.svg(chart) if chart else "",
                "age_svg": charts.svg(await picture.age_chart(connection, problem, self._policy, now)) if known else "",
                "earlier": [present.view(t, self._policy, now) for t in await store.earlier(connection, ticket)],
                "history": present.history_rows(
                    await store.history(connection, number), await store.notices_of(connection, number), zone
                ),
                "soonest": present.days_from(now, 1), "latest": present.days_from(now, 90),
            }  # fmt: skip
        return self.html("ticket.html", status, **values)

    def _no_ticket(self, number: int) -> Response:
        return self.error(404, f"There is no ticket {number}", "The list of tickets shows all that there are.")

    async def chart(self, request: Request) -> Response:
        """A chart alone, to be linked and embedded."""
        draw = {"chart": picture.count_chart, "ages": picture.age_chart}.get(request.path_params["chart"])
        made = await self._drawn(request, draw) if draw else None
        if made is None:
            return self.error(404, "There is no such chart", "The ticket's page shows the charts that there are.")
        return Response(charts.svg(made).replace("currentColor", "#333333"), media_type="image/svg+xml")

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

    async def act(self, request: Request) -> Response:
        """A form of the ticket page was sent."""
        number = request.path_params["number"]
        if not _same_origin(request):
            return self.error(403, "This form came from another site", "Open the ticket's page and use its buttons.")
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            wish = self._wish(request.path_params["action"], form)
            async with self._pool.acquire() as connection, connection.transaction():
                ticket = await self._desk.act(connection, number, wish)
        except NotPossibleError as error:
            return await self._ticket_page(number, 422, str(error), form)
        if ticket is None:
            return self._no_ticket(number)
        self._wake.set()
        return RedirectResponse(f"/tickets/{number}", 303)

    def _wish(self, action: str, form: dict[str, str]) -> Callable[[Ticket, datetime], Step]:
        reason = form.get("reason", "").replace("\x00", "")[:2000]
        if action == "acknowledge":
            return lifecycle.acknowledge
        if action == "snooze":
            until = _until(form.get("until", ""), self._policy.timezone)
            return lambda ticket, now: lifecycle.snooze(ticket, until, now, reason or None)
        if action == "close":
            outcome = next((o for o in Outcome if o.value == form.get("outcome")), Outcome.RETRACTED)
            return lambda ticket, now: lifecycle.close(ticket, outcome, reason, now)
        raise NotPossibleError("There is no such action; use the buttons of this page.")

    async def pipelines(self, request: Request) -> Response:
        """Each pipeline with its stages as they are today, and what is watched."""
        async with self._pool.acquire() as connection:
            newest = await store.newest_points(connection)
            tickets = await store.listed(connection, Place(limit=500))
        open_tickets: dict[tuple[str, str], list[present.View]] = {}
        for ticket in tickets:
            if ticket.is_open:
                place = (ticket.problem.pipeline, ticket.problem.stage or "")
                open_tickets.setdefault(place, []).append(present.view(ticket, self._policy, self._clock.now()))
        rows = {
            key: [
                {
                    "stage": stage, "wip": newest.get((key, stage.id, Measure.WIP.value)),
                    "over": newest.get((key, stage.id, Measure.OVER_AGE.value)),
                    "oldest": self._age(key, stage.id, newest), "tickets": open_tickets.get((key, stage.id), []),
                    "rules": [rule for rule in pipeline.rules if rule.stage == stage.id],
                }
                for stage in pipeline.stages if stage.outcome.value == "open"
            ]
            for key, pipeline in self._policy.pipelines.items()
        }  # fmt: skip
        return self.html("pipelines.html", rows=rows, now=self._clock.now())

    def _age(self, pipeline: str, stage: str, newest: dict[tuple[str, str, str], float | None]) -> str:
        seconds = newest.get((pipeline, stage, Measure.AGE_OLDEST.value))
        if seconds is None or not newest.get((pipeline, stage, Measure.WIP.value)):
            return ""
        return present.age(seconds, self._policy.day_seconds(pipeline, stage))


def _until(text: str, zone: str) -> datetime:
    """The morning of a day, where the policy is at home."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
        return datetime.combine(day, time(8), ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotPossibleError(f"{text!r} is no day; choose one in the calendar, as 2026-03-31.") from None


def _same_origin(request: Request) -> bool:
    """Browsers say where a form comes from; a program without a browser has no session to be misused."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")

"""The page that a signed link of a mail opens: one ticket, for reading only, without sign-in."""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.identity import network_of
from services.tickets.domain.rates import Rate, Rates, TooOften
from services.tickets.settings import TicketsSettings
from services.tickets.store import tickets
from services.tickets.web import view_models
from services.tickets.web.chart_frames import frames, page_or_drawing
from services.tickets.web.page_context import PageContext
from services.tickets.web.ticket_page import TicketContent, TicketPage
from services.tickets.web.view_models import ticket_view
from shared import wording
from shared.runtime.clock import Clock
from shared.runtime.read_links import PATH, LinkedTicket

PER_ADDRESS = Rate(60, timedelta(seconds=1))


class ReadPage:
    """It has no form, no name of anybody and no way on but to sign in. `wall`: links expire in real time."""

    def __init__(self, context: PageContext, settings: TicketsSettings, wall: Clock) -> None:
        self._context, self._settings, self._wall = context, settings, wall
        self._links, self._ticket = settings.read_links, TicketPage(context)
        self._rates = Rates[str](PER_ADDRESS)

    def routes(self) -> list[BaseRoute]:
        return [Route(f"{PATH}{{token}}", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        now = self._wall.now()
        try:
            self._rates.take(network_of(request, self._settings), now)
        except TooOften as error:
            answer = self._context.error(429, "Too many pages at once", "Wait a minute, and open the link again.")
            answer.headers["Retry-After"] = str(ceil(error.wait.total_seconds()))
            return answer
        token = request.path_params["token"]
        linked = self._links.opened(token)
        if linked is None:
            return self._unusable()
        if now >= linked.ends_at:
            return self._context.error(
                410,
                "This link has expired",
                f"It opened ticket {linked.number} until {linked.ends_at:%Y-%m-%d}. Sign in to see the ticket, or use"
                " the link in a newer mail.",
            )
        return await page_or_drawing(request, lambda: self._shown(linked, PATH + token))

    async def _shown(self, linked: LinkedTicket, address: str) -> Response:
        page = await self._ticket.load(linked.number)
        if page is not None and page.ticket.mark == linked.mark:
            return self._html(page, linked, address)
        number = await tickets.number_of(self._context.pool, linked.mark)
        if number is None:
            return self._unusable()
        # The number was given to another ticket: the database was set back.
        page = await self._ticket.load(number)
        return self._html(page, linked, address) if page is not None else self._unusable()

    def _html(self, page: TicketContent, linked: LinkedTicket, address: str) -> Response:
        policy, ticket = self._context.policy, page.ticket
        view = ticket_view(ticket, policy, page.titles, self._context.clock.now(), page.latest, page.found)
        return self._context.html(
            "read.html",
            view=view,
            charts=frames(address, page.charts, policy.timezone),
            evidence=view_models.evidence_view(page.latest.problem, self._ticket.day_seconds(ticket)),
            no_deals=wording.of(ticket.problem.kind).no_deals,
            ends_on=linked.ends_at.date(),
            **page.tried.parts(ticket, policy, page.titles),
        )

    def _unusable(self) -> Response:
        return self._context.error(
            404,
            "This link does not work",
            "It is not complete, was changed, or its key is no longer in use. Open the link in the newest mail about"
            " the ticket, or sign in and look for it in the list.",
        )

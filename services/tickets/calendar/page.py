"""Serves the calendars. Their address is a secret, as programs that read calendars cannot sign in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta
from math import ceil
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.identity import network_of
from services.tickets.calendar.due_dates import DueDates, PlannedTicket
from services.tickets.calendar.ical import MEDIA_TYPE, calendar
from services.tickets.domain.rates import Rate, Rates, TooOften
from services.tickets.settings import TicketsSettings
from services.tickets.store import calendar as store
from services.tickets.store import plans, stages, tickets
from services.tickets.store.calendar import CalendarReader
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from shared.policy import Policy
from shared.postgres.pool import Connection, snapshot
from shared.runtime.clock import Clock
from shared.wording.problem_text import text_of

# On each replica. Of an address more, as the programs of many people come from the same ones.
PER_ACCOUNT, PER_ADDRESS = Rate(10, timedelta(seconds=30)), Rate(60, timedelta(seconds=1))
_NAME = "Andon: due dates"


class CalendarPage:
    """`/calendar/TOKEN.ics`."""

    def __init__(self, context: PageContext, settings: TicketsSettings, wall: Clock) -> None:
        self._pool, self._policy, self._settings, self._wall = context.pool, context.policy, settings, wall
        url, host = settings.tickets_url, urlsplit(settings.tickets_url).hostname or ""
        self._dates = DueDates(url.rstrip("/"), host, context.policy.timezone)
        self._by_address, self._by_account = Rates[str](PER_ADDRESS), Rates[int](PER_ACCOUNT)

    def routes(self) -> list[BaseRoute]:
        return [Route("/calendar/{token}.ics", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        """The calendar of the token's account. What opens none is answered alike, after the same look-up."""
        now = self._wall.now()
        try:
            self._by_address.take(network_of(request, self._settings), now)
            reader = await store.find(self._pool, request.path_params["token"])
            if reader is None:
                return PlainTextResponse("there is no such calendar\n", 404)
            self._by_account.take(reader.account, now)
        except TooOften as error:
            wait = {"Retry-After": str(ceil(error.wait.total_seconds()))}
            return PlainTextResponse("too many requests; wait a little\n", 429, wait)
        if reader.used_on != (day := now.astimezone(UTC).date()):
            await store.used(self._pool, reader.account, day)
        return answer_if_changed(request, await self._calendar(reader))

    async def _calendar(self, reader: CalendarReader) -> Response:
        async with snapshot(self._pool) as connection:
            due = await self._due(connection, reader)
        events = [event for one in due for event in self._dates.of(one)]
        return Response(calendar(_NAME, events), media_type=MEDIA_TYPE)

    async def _due(self, connection: Connection, reader: CalendarReader) -> Sequence[PlannedTicket]:
        numbers = await store.due(connection, owned(reader.email, self._policy) or None)
        found = await tickets.of_numbers(connection, numbers)
        sealed = await plans.in_force(connection, numbers)
        titles = await stages.titles(connection, self._policy)
        return [
            PlannedTicket(found[number], text_of(found[number].problem, self._policy, titles).title, sealed[number])
            for number in numbers
            if number in found and number in sealed
        ]


def owned(email: str, policy: Policy) -> Sequence[str]:
    """The pipelines that the policy names this mail address as the owner of."""
    return [name for name, one in policy.pipelines.items() if one.owner.mail.lower() == email.lower()]

"""The pages: list, ticket, pipelines, charts. Everything works without scripts; nothing changes on GET."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.tickets.domain.faults import AlreadyDone, NotPossibleError
from services.tickets.plan_changes import TicketWriter
from services.tickets.store import daily_points, stages, tickets
from services.tickets.web import forms, stage_rows
from services.tickets.web.addresses import STATIC, favicon
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.list_page import ListPage
from services.tickets.web.page_context import PageContext
from services.tickets.web.refusals import Refusal
from services.tickets.web.stage_rows import open_stages
from services.tickets.web.ticket_page import TicketPage
from services.tickets.web.view_models import named_ticket
from shared.contracts.measures import Measure
from shared.flow.calendars import AgeClocks
from shared.postgres.pool import snapshot
from shared.stream import stages_now

SPARK_DAYS = 60


class TicketPages:
    """Server-rendered pages over the ticket store. `changed` is called after a commit that changed a ticket."""

    def __init__(self, context: PageContext, writer: TicketWriter, changed: Callable[[], None]) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error, self._tags = context.html, context.error, context.tags
        self._writer, self._changed, self._clocks = writer, changed, AgeClocks(context.policy)
        self._list, self._ticket = ListPage(context), TicketPage(context)

    def routes(self) -> list[BaseRoute]:
        return [
            *self._list.routes(),
            *self._ticket.routes(),
            Route("/tickets/{number:ticket}/{action:action}", self.back),
            Route("/tickets/{number:ticket}/{action}", self.act, methods=["POST"]),
            Route("/pipelines", self._tags.watch(self.pipelines)),
            Route("/favicon.ico", favicon),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def back(self, request: Request) -> Response:
        """The address of a form, opened as a page: after an error it is in the address bar."""
        return RedirectResponse(f"/tickets/{request.path_params['number']}", 303)

    async def act(self, request: Request) -> Response:
        """A form of the ticket page was sent."""
        number = request.path_params["number"]
        if not forms.is_same_origin(request):
            return self._error(403, "This form came from another site", "Open the ticket's page and use its buttons.")
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
        return RedirectResponse(_back(number, form), 303)

    async def pipelines(self, request: Request) -> Response:
        """Each pipeline with its stages as they are now, and what is watched."""
        now = self._clock.now()
        shown = open_stages(self._policy)
        wanted = [(pipeline, stage.id, Measure.WIP.value) for pipeline, stage in shown]
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            days = await daily_points.values(connection, wanted, now - timedelta(days=SPARK_DAYS), now)
            found = await tickets.names(connection)
            unwatched = await stages.unwatched(connection)
            standing = await stages_now.by_minute(connection, [(pipeline, stage.id) for pipeline, stage in shown])
        named = [named_ticket(one, self._policy, titles) for one in found]
        rows = stage_rows.by_pipeline(self._policy, self._clocks, titles, standing, days, named)
        whole = {
            name: [one for one in named if one.of.pipeline == name and not one.of.stage]
            for name in self._policy.pipelines
        }
        silent = [one for one in named if one.of.source]
        page = self._html(
            "pipelines.html", rows=rows, whole=whole, silent=silent, unwatched=unwatched, as_of=standing.at
        )
        return answer_if_changed(request, page)


def _back(number: int, form: Mapping[str, str]) -> str:
    """Where a form leads: to the list or the meeting that it was sent from, as it was chosen there; else its ticket."""
    if "list" in form:
        return f"/tickets?{form['list']}".rstrip("?")
    if "meeting" in form:
        return "/meeting" + (f"?{urlencode({'pipeline': form['meeting']})}" if form["meeting"] else "")
    return f"/tickets/{number}"

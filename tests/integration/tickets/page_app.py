"""The pages and the API over the parts of one replica."""

from __future__ import annotations

from functools import partial

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.tickets.access.roles import THIS_MACHINE, visiting
from services.tickets.api.routes import PREFIX
from services.tickets.web import templating
from services.tickets.web.board_page import BoardPage
from services.tickets.web.chart_page import ChartPage
from services.tickets.web.forecast_page import ForecastPage
from services.tickets.web.ledger_page import LedgerPage
from services.tickets.web.meeting_page import MeetingPage
from services.tickets.web.page_context import PageContext
from services.tickets.web.pages import TicketPages
from services.tickets.web.plan_page import PlanPage
from services.tickets.web.stage_page import StagePage
from services.tickets.web.zones import ReaderZone
from shared.runtime.clock import WholeMinutes
from tests.integration.tickets.records import TicketParts, nothing
from tests.support.made_once import CompiledTemplates, LateRoutes

# Each application compiles its templates, and FastAPI its routes: together more than half of the time of a test.
templating.Environment = partial(Environment, bytecode_cache=CompiledTemplates())


def page_app(parts: TicketParts) -> Starlette:
    """As `services.tickets.app` puts them together, without what needs Kafka."""
    context = PageContext(parts.pool, parts.policy, WholeMinutes(parts.clock))
    routes = [
        LateRoutes(PREFIX, parts.make_api().routes),
        *BoardPage(context).routes(),
        *MeetingPage(context, dict).routes(),
        *StagePage(context).routes(),
        *ChartPage(context, "flow.relocks", nothing).routes(),
        *ForecastPage(context).routes(),
        *LedgerPage(context).routes(),
        *PlanPage(context, parts.writer, nothing).routes(),
        *TicketPages(context, parts.writer, nothing).routes(),
    ]
    return Starlette(routes=routes, middleware=[Middleware(ReaderZone), Middleware(AtThisMachine)])


class AtThisMachine:
    """Middleware: as where nobody needs to sign in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with visiting(THIS_MACHINE):
            await self._app(scope, receive, send)

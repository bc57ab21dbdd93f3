"""Puts the parts of sign-in together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.account_pages import AccountPages
from services.tickets.access.cookies import Cookies
from services.tickets.access.door import AuditedDoor
from services.tickets.access.identity import Identity
from services.tickets.access.pages import SignInPages
from services.tickets.access.provider import Provider, ProviderAccess
from services.tickets.access.sign_in import SignIn
from services.tickets.calendar.page import CalendarPage
from services.tickets.settings import TicketsSettings
from services.tickets.store import api_answers, api_tokens, audit, sessions
from services.tickets.web.page_context import PageContext
from services.tickets.web.read_page import ReadPage
from shared.postgres.pool import Pool
from shared.runtime.addresses import LOOPBACK
from shared.runtime.clock import Clock


class AccessParts:
    """Of one replica. `wall`: sessions live in real time, also where the pages live in a log's."""

    def __init__(self, settings: TicketsSettings, pool: Pool, wall: Clock) -> None:
        self._settings, self._pool, self._wall = settings, pool, wall
        self.is_https = urlsplit(settings.tickets_url).scheme == "https"
        self.is_on_network = settings.host not in LOOPBACK
        self._cookies = Cookies(self.is_https)
        self._sign_in = SignIn(pool, wall, settings.new_role)

    def pages(self, context: PageContext) -> SignInPages:
        return SignInPages(context, self._settings, self._sign_in, self._provider(), self._cookies, self._wall)

    def account_pages(self, context: PageContext) -> AccountPages:
        return AccountPages(context, self._settings, self._sign_in, self._cookies.session, self._wall)

    def read_page(self, context: PageContext) -> ReadPage:
        return ReadPage(context, self._settings, self._wall)

    def calendar(self, context: PageContext) -> CalendarPage:
        return CalendarPage(context, self._settings, self._wall)

    def door(self, pages: SignInPages) -> AuditedDoor:
        return AuditedDoor(pages, self._pool, self._wall)

    def middleware(self, unavailable: Callable[[Request, Exception], Awaitable[Response]]) -> Middleware:
        """Tells each request who it comes from."""
        return Middleware(
            Identity,
            settings=self._settings,
            cookie=self._cookies.session,
            pool=self._pool,
            wall=self._wall,
            unavailable=unavailable,
        )

    async def forget(self) -> None:
        """Remove sessions and tokens that are over, and answers and audit rows that were kept for long enough."""
        now = self._wall.now()
        await api_tokens.forget(self._pool, now)
        await api_answers.forget(self._pool, now)
        await sessions.forget(self._pool, now, self._settings.session_limits)
        await audit.forget(self._pool, now - timedelta(days=self._settings.sign_in_audit_days))

    def _provider(self) -> Provider | None:
        settings = self._settings
        if settings.sign_in != "provider":
            return None
        secret = settings.sign_in_client_secret.get_secret_value()
        back = f"{settings.tickets_url.rstrip('/')}/sign-in/provider/answer"
        access = ProviderAccess(settings.sign_in_issuer, settings.sign_in_client, secret, back)
        return Provider(access, self._pool, self._wall)

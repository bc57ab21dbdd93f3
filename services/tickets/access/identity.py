"""Finds out who each request comes from, before any page sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import ceil

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.tickets.access.addresses import whose
from services.tickets.access.cookies import SecretCookie
from services.tickets.access.names import is_mail_address
from services.tickets.access.roles import NOBODY, THIS_MACHINE, Visitor, visiting
from services.tickets.access.sessions import NOTED_EVERY
from services.tickets.access.settings import AccessSettings
from services.tickets.access.tokens import is_token
from services.tickets.api import faults
from services.tickets.domain.rates import Rate, Rates, TooOften
from services.tickets.store import api_tokens, sessions
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import Clock

# Who asks for these does not matter, and for the cord nobody may find out.
_NOT_ASKED = ("/static/", "/cord/", "/calendar/", "/read/", "/favicon.ico", "/livez", "/readyz", "/metrics")
# Requests with one token, on each replica.
PER_TOKEN = Rate(120, timedelta(milliseconds=200))


class Identity:
    """Middleware. `unavailable` answers while the database does not."""

    def __init__(
        self,
        app: ASGIApp,
        settings: AccessSettings,
        cookie: SecretCookie,
        pool: Pool,
        wall: Clock,
        unavailable: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self._app, self._settings, self._cookie = app, settings, cookie
        self._pool, self._wall, self._unavailable = pool, wall, unavailable
        self._by_token = Rates[int](PER_TOKEN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            visitor = NOBODY if scope["path"].startswith(_NOT_ASKED) else await self._visitor(HTTPConnection(scope))
        except TooOften as error:
            answer = faults.answer_of_status(429, {"Retry-After": str(ceil(error.wait.total_seconds()))})
            await answer(scope, receive, send)
            return
        except TRANSIENT as error:
            answer = await self._unavailable(Request(scope, receive), error)
            await answer(scope, receive, send)
            return
        with visiting(visitor):
            await self._app(scope, receive, send)

    async def _visitor(self, request: HTTPConnection) -> Visitor:
        if not self._settings.asks_to_sign_in:
            return THIS_MACHINE
        token = _bearer(request) if faults.is_api(request) else None
        if token is not None:
            return await self._of_token(token)
        secret = self._cookie.read(request)
        return await self._of_session(secret, request) if secret else NOBODY

    async def _of_token(self, token: str) -> Visitor:
        """Whose token it is. Raises TooOften."""
        now = self._wall.now()
        found = await api_tokens.find(self._pool, token, now) if is_token(token) else None
        if found is None:
            return NOBODY
        self._by_token.take(found.id, now)
        if found.used_at is None or now - found.used_at >= NOTED_EVERY:
            await api_tokens.used(self._pool, found.id, now)
        return found.visitor

    async def _of_session(self, secret: str, request: HTTPConnection) -> Visitor:
        now = self._wall.now()
        found = await sessions.find(self._pool, secret)
        if found is None or found.is_over(now, self._settings.session_limits):
            return NOBODY
        # Whoever signs out at the proxy, or in as another, is another here as well.
        if self._settings.sign_in == "proxy" and named_by_proxy(request, self._settings).lower() != found.email.lower():
            return NOBODY
        if now - found.seen_at >= NOTED_EVERY:
            await sessions.seen(self._pool, secret, now)
        return found.visitor(secret)


def _bearer(request: HTTPConnection) -> str | None:
    """The token that a request shows (RFC 6750, 2.1); None: none. Of two headers neither counts."""
    shown = request.headers.getlist("authorization")
    bearers = [one for one in shown if one.partition(" ")[0].lower() == "bearer"]
    if not bearers:
        return None
    return bearers[0].partition(" ")[2].strip() if len(shown) == 1 else ""


def named_by_proxy(request: HTTPConnection, settings: AccessSettings) -> str:
    """The mail address in the proxy's header; empty where the request comes from elsewhere, or names not just one."""
    if request.client is None or not settings.is_proxy(request.client.host):
        return ""
    named = [name.strip() for name in request.headers.getlist(settings.sign_in_proxy_header)]
    return named[0] if len(named) == 1 and is_mail_address(named[0]) else ""


def network_of(request: HTTPConnection, settings: AccessSettings) -> str:
    """Who a request counts for: its network address, as a trusted proxy says where there is one."""
    peer = request.client.host if request.client else ""
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    # Each trusted proxy adds the address before it at the end; what stands further left anyone may have written.
    while hops and settings.is_proxy(peer):
        peer = hops.pop()
    return whose(peer)

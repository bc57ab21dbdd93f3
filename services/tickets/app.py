"""Wires tickets: the consumer, the relay, the clock that wakes what rests, pages and API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import ConsumerRecord
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.tickets.api.routes import Api, api_fault, is_api
from services.tickets.handlers import TicketHandlers
from services.tickets.metrics import TicketMetrics
from services.tickets.settings import TicketsSettings
from services.tickets.store import tickets as store
from services.tickets.web.pages import TicketPages
from shared.contracts.topics import MEASURES, NOTICES, PROBLEMS, STAGE_STATUS
from shared.kafka.publisher import Publisher
from shared.policy import load
from shared.postgres.pool import TRANSIENT, open_pool
from shared.runtime.addresses import LOOPBACK
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.stream import positions
from shared.stream.batches import handle_batch
from shared.stream.consumer import Consumer
from shared.stream.outbox import Relay
from shared.stream.reader import Subscription

_log = logger(__name__)
WAKE_SECONDS = 5.0
TOPICS = (PROBLEMS, MEASURES, NOTICES, STAGE_STATUS)
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        b" frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


class SafeHeaders:
    """No page runs a script of another's, sits in another's frame, or tells other sites where it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)


class Tickets:
    """The loops of one replica."""

    def __init__(self, settings: TicketsSettings, pool: Any, registry: Any) -> None:
        self._pool, self.progress, self.clock = pool, Progress(), SystemClock()
        self.policy = load(settings.policy)
        self._metrics = TicketMetrics(registry)
        self.desk = TicketHandlers(self.policy, settings.tickets_url, settings.topic_prefix, self._metrics, self.clock)
        self.relay = Relay(pool, Publisher(settings.kafka), OutboxMetrics(registry), self.progress, batch=20)
        topics = [settings.topic(name) for name in TOPICS]
        consumed = ConsumerMetrics.of_topics(registry, dict(zip(topics, TOPICS, strict=True)))
        self.consumer = Consumer(
            Subscription(settings.kafka, topics, settings.topic("andon-tickets")),
            self._take,
            positions.StoredPositions(pool, topics),
            consumed,
            self.progress,
        )

    def loops(self) -> Sequence[Any]:
        return (self.consumer.run, self.relay.run, self._waking_loop)

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        changes = await handle_batch(self._pool, records, self.desk.take, self.desk.bury)
        if changes:
            _log.info("tickets changed", changes=changes)
            self.relay.wake.set()

    async def _waking_loop(self) -> None:
        while True:
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    # Another replica may have heard of them.
                    await self.desk.learn_names(connection)
                    if await self.desk.wake(connection):
                        self.relay.wake.set()
                self._metrics.count(await store.counts(self._pool))
            except TRANSIENT as error:
                _log.warning("tickets cannot be looked at", error=repr(error))
            await asyncio.sleep(WAKE_SECONDS)


def application(tickets: Tickets, pool: Any, registry: Any, hosts: Sequence[str]) -> Starlette:
    """Pages, API, health; every fault is a page that says what to do."""
    pages = TicketPages(pool, tickets.desk, tickets.policy, tickets.clock, tickets.relay.wake)

    async def fault(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if is_api(request):
            return api_fault(status, error.headers if isinstance(error, HTTPException) else None)
        if status == 404:
            return pages.error(404, "There is no such page", "Look whether the address is whole, or begin at the list.")
        if status == 405:
            return pages.error(405, "This page cannot be asked like that", "Open the ticket and use its buttons.")
        return pages.error(status, "This did not work", "Try again; if it stays, tell those who run Andon.")

    async def away(request: Request, error: Exception) -> Response:
        _log.warning("page without a database", error=repr(error))
        if is_api(request):
            return api_fault(503)
        return pages.error(503, "The database does not answer just now", "Nothing is lost. Try again in a minute.")

    handlers: dict[Any, Any] = {HTTPException: fault, 500: fault} | dict.fromkeys(TRANSIENT, away)
    routes = [
        *health_routes(tickets.progress, registry),
        *Api(pool, tickets.policy, tickets.clock).routes(),
        *pages.routes(),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SafeHeaders)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


@asynccontextmanager
async def build(settings: TicketsSettings) -> AsyncIterator[Service]:
    """Connect and put the parts together."""
    if settings.host not in LOOPBACK:
        _log.warning("tickets are shown to anyone who reaches this port: there is no sign-in yet", host=settings.host)
    pool = await open_pool(settings.dsn, "tickets")
    registry = new_registry()
    tickets = Tickets(settings, pool, registry)
    yield Service(application(tickets, pool, registry, settings.hosts), tickets.loops())
    await pool.close()


def main() -> None:
    """`andon tickets`."""
    run_service("tickets", TicketsSettings, build)

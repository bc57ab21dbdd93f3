"""Wires tickets: consumer, publisher of ticket messages, relay, clock loop, pages and API."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import fastapi
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from services.tickets.access.guard import guard
from services.tickets.access.parts import AccessParts
from services.tickets.access.route_roles import RULES
from services.tickets.api import faults
from services.tickets.api.parts import ApiParts
from services.tickets.api.routes import Api
from services.tickets.canary import SCHEMA, canary_handlers, is_canary
from services.tickets.changes import TicketChanges
from services.tickets.charts.drawing import DRAWINGS
from services.tickets.cord.pages import CordPages, is_cord
from services.tickets.cord.parts import CordParts
from services.tickets.handlers import DECODERS, ConsumedEvent, TicketHandlers
from services.tickets.metrics import TicketMetrics
from services.tickets.plan_changes import PlanChanges, TicketWriter
from services.tickets.policy_saving import PolicySaving
from services.tickets.present import clock_of
from services.tickets.preview.client import PreviewClient
from services.tickets.publish import TicketPublisher
from services.tickets.renewals import BaselineRenewals
from services.tickets.route_times import RouteTimes
from services.tickets.settings import TicketsSettings
from services.tickets.store import inbox, messages
from services.tickets.store import tickets as ticket_store
from services.tickets.study.loop import StudyLoop
from services.tickets.study.student import Student
from services.tickets.web.board_page import BoardPage
from services.tickets.web.chart_page import ChartPage
from services.tickets.web.forecast_page import ForecastPage
from services.tickets.web.headers import SafeHeaders
from services.tickets.web.ledger_page import LedgerPage
from services.tickets.web.meeting_page import MeetingPage
from services.tickets.web.page_context import PageContext
from services.tickets.web.pages import TicketPages
from services.tickets.web.plan_page import PlanPage
from services.tickets.web.policy_fields import PolicyFieldsPage
from services.tickets.web.policy_page import PolicyPages
from services.tickets.web.preview_page import PreviewPage
from services.tickets.web.stage_page import StagePage
from services.tickets.web.zones import ReaderZone
from shared.contracts.dead import DeadReason
from shared.contracts.topics import POLICY, RELOCKS, TICKETS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.policy import Policy
from shared.postgres.canary_tables import CanaryEmptying
from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import TRANSIENT, Pool, open_pool
from shared.postgres.schema_check import check_schema
from shared.runtime.clock import Clock, SystemClock, WholeMinutes
from shared.runtime.health import Progress
from shared.runtime.known_hosts import KnownHosts
from shared.runtime.log import logger
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.page_body_limit import PageBodyLimit
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.service import Loop, Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch
from shared.runtime.yaml_file import Fault, FaultsError
from shared.stream import policies, positions
from shared.stream.canary import WithCanary
from shared.stream.consumer import Consumer
from shared.stream.dependencies import dependencies_of
from shared.stream.outbox import Relay
from shared.stream.policies import PolicyInForce, file_policy
from shared.stream.policy_follower import PolicyWatch, policy_loops
from shared.stream.processor import Processor
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions

_log = logger(__name__)
CLOCK_SECONDS = 5.0
# The longest plan, each of its letters written as twelve bytes of a form.
MAX_BODY_BYTES = 2 * 1024 * 1024
# What may be late is done at every so many ticks.
TICKS_OF_CARE = 4
# Messages carry charts: fewer of them make a batch.
RELAY_BATCH = 20


class Tickets:
    """The loops of one replica."""

    def __init__(
        self,
        settings: TicketsSettings,
        pool: Pool,
        registry: CollectorRegistry,
        found: PolicyInForce | None = None,
        watch: PolicyWatch | None = None,
    ) -> None:
        self._pool, self.progress, self._wall = pool, Progress(), SystemClock()
        self.clock = clock_of(settings.clock, self._wall)
        self.dependencies = dependencies_of("tickets", settings, registry)
        self.relocks_topic = settings.topic(RELOCKS)
        self.in_force = file_policy(settings) if found is None else found
        self.policy, self._watch = self.in_force.policy, watch
        self.saving = None if settings.is_policy_a_file else policy_saving(settings, self.clock)
        self.preview = PreviewClient(settings.detector_url)
        self.renewals = BaselineRenewals(pool, self.policy)
        self._inbox_age = inbox_age(settings, self.policy)
        self._metrics = TicketMetrics(registry, settings.tickets_url)
        self.relay = Relay(
            pool, Publisher(KafkaAccess.of(settings)), OutboxMetrics(registry), self.progress, RELAY_BATCH
        )
        self.publisher = TicketPublisher(
            pool, settings.topic(TICKETS), self.relay.wake.set, self._metrics, self.progress
        )
        self.changes = TicketChanges(self.policy, settings.tickets_url, self._metrics, self.clock)
        self.writer = TicketWriter(self.changes, PlanChanges(self.changes, self.policy), settings.issue_hosts)
        student = Student(self.changes, self.policy, self.clock, self._wall, self.relocks_topic)
        self.studies = StudyLoop(pool, student, self._metrics, self.progress, self._on_study)
        self.access = AccessParts(settings, pool, self._wall)
        self.cord = CordParts(settings, pool, self.policy, self.changes, self.clock, registry, self.publisher.wake.set)
        self.processor = self._new_processor(settings)
        self._consumers = self._consumer_loops(settings, registry)

    def _new_processor(self, settings: TicketsSettings) -> Processor[ConsumedEvent]:
        changed = self.publisher.wake.set
        own = TicketHandlers(self.changes, self.policy, self._wall, changed, self.studies.wake.set)
        canary = canary_handlers(settings.tickets_url, self._wall, changed)
        return Processor(
            PostgresTransactions(self._pool),
            WithCanary(own, canary, is_canary, SCHEMA),
            settings.topic_prefix,
            lambda record: self._wall.now(),
            self._count_dead,
            self.relay.wake.set,
        )

    def _consumer_loops(self, settings: TicketsSettings, registry: CollectorRegistry) -> Sequence[Loop]:
        names = {settings.topic(name): name for name in DECODERS}
        consumed = ConsumerMetrics.of_topics(registry, names | {settings.topic(POLICY): POLICY})
        consumer = Consumer(
            Subscription(KafkaAccess.of(settings), list(names), settings.topic("andon-tickets")),
            self.processor.run,
            positions.StoredPositions(self._pool, list(names)),
            {topic: consumed[topic] for topic in names},
            self.progress,
        )
        if self._watch is None:
            return (consumer.run,)
        followed = settings, self._pool, consumed, self.progress, self._watch
        return consumer.run, *policy_loops("tickets", *followed, self._count_dead, self.relay.wake.set)

    def _count_dead(self, reason: DeadReason) -> None:
        self._metrics.dead_letters.inc()

    def _on_study(self) -> None:
        self.publisher.wake.set()
        self.relay.wake.set()

    def api_parts(self) -> ApiParts:
        """What the API works with."""
        return ApiParts(
            self._pool,
            self.policy,
            self.clock,
            self.writer,
            self.publisher.wake.set,
            self.relay.wake.set,
            self.relocks_topic,
            self.renewals.due,
            self._wall,
            self.in_force,
            self.saving,
        )

    def loops(self) -> Sequence[Loop]:
        return (
            *self._consumers,
            self.publisher.run,
            self.relay.run,
            self.studies.run,
            self._clock_loop,
            self.dependencies.run,
            CanaryEmptying(self._pool, SCHEMA, "services.tickets").run,
            *self.cord.loops(),
        )

    async def _clock_loop(self) -> None:
        for ticks in itertools.count():
            try:
                await self.tick()
                if ticks % TICKS_OF_CARE == 0:
                    await self.care()
            except TRANSIENT as error:
                _log.warning("clock loop waits: database unavailable", error=repr(error))
            await asyncio.sleep(CLOCK_SECONDS)

    async def tick(self) -> None:
        """Do what time asks for: end snoozes, begin studies."""
        async with self._pool.acquire() as connection, connection.transaction():
            changed = await self.changes.wake_due(connection) + await self.changes.begin_studies(connection)
        if changed:
            self.publisher.wake.set()
            self.studies.wake.set()

    async def care(self) -> None:
        """Find baselines to renew, forget old ids of the inbox and sessions that are over, refresh the gauges."""
        await self.renewals.refresh()
        await inbox.forget(self._pool, self._wall.now() - self._inbox_age)
        await self.access.forget()
        self._metrics.count(await ticket_store.counts(self._pool))
        self._metrics.show_waiting(await ticket_store.waiting(self._pool, self.clock.now()))
        self._metrics.messages_oldest.set(await messages.oldest_seconds(self._pool))


def policy_saving(settings: TicketsSettings, clock: Clock) -> PolicySaving:
    """Saves versions of the policy that the settings allow."""
    return PolicySaving(settings.topic(POLICY), clock, partial(inbox_age, settings))


def inbox_age(settings: TicketsSettings, policy: Policy) -> timedelta:
    """How long to keep ids of handled messages; raises FaultsError where that is too short.

    A relay that crashed may publish a message again, under a new offset. Within lateness, the interval that the message
    is about may have been revised since, and the old message would undo that.
    """
    age, lateness = timedelta(days=settings.tickets_inbox_days), timedelta(microseconds=policy.lateness.micros())
    if age <= lateness:
        text = (
            f"{policy.lateness.text} is not less than ANDON_TICKETS_INBOX_DAYS={settings.tickets_inbox_days}; set"
            f" ANDON_TICKETS_INBOX_DAYS to {lateness.days + 1} or more"
        )
        raise FaultsError([Fault(0, "lateness", text)])
    return age


class Application(Starlette):
    """Its headers are on every answer, also where a fault is answered outside of all middleware."""

    def __init__(self, is_https: bool, **parts: Any) -> None:
        super().__init__(**parts)
        self._is_https = is_https
        # Starlette would lead an address that ends in a slash to the host name of the request.
        self.router.redirect_slashes = False

    def build_middleware_stack(self) -> ASGIApp:
        return SafeHeaders(super().build_middleware_stack(), self._is_https)


def application(tickets: Tickets, pool: Pool, registry: CollectorRegistry, hosts: Sequence[str]) -> Application:
    """Pages, API, health."""
    is_free = tickets.access.is_on_network
    context = PageContext(pool, tickets.policy, WholeMinutes(tickets.clock), tickets.writer.issues)
    cord, signing_in = tickets.cord.pages(context.html), tickets.access.pages(context)
    routes = [*health_routes(tickets.progress, tickets.dependencies, registry)]
    routes += [*signing_in.routes(), *_routes_of_access(tickets, context)]
    routes += [*Api(tickets.api_parts()).routes(), *cord.routes(), *_routes_of_pages(tickets, context)]
    RouteTimes(registry).watch(routes)
    # Last, so that nothing stands before the rules.
    guard(routes, RULES, tickets.access.door(signing_in))
    handlers = _fault_pages(context, cord)
    return Application(
        tickets.access.is_https,
        routes=routes,
        middleware=[
            Middleware(KnownHosts, hosts=hosts, setting="ANDON_TICKETS_URL", are_machines_free=is_free),
            Middleware(PageBodyLimit, max_bytes=MAX_BODY_BYTES, too_large=fastapi.HTTPException),
            Middleware(ReaderZone),
            tickets.access.middleware(handlers[TRANSIENT[0]]),
        ],
        exception_handlers=handlers,
    )


def _routes_of_access(tickets: Tickets, context: PageContext) -> Iterator[BaseRoute]:
    access = tickets.access
    for part in (access.account_pages(context), access.calendar(context), access.read_page(context)):
        yield from part.routes()


def _routes_of_pages(tickets: Tickets, context: PageContext) -> Iterator[BaseRoute]:
    changed = tickets.publisher.wake.set
    policy_pages = PolicyPages(context, tickets.in_force, tickets.preview, tickets.saving, tickets.relay.wake.set)
    # Routes of tickets' forms take any action, so they come last.
    parts = (
        BoardPage(context),
        MeetingPage(context, tickets.renewals.due),
        StagePage(context),
        ChartPage(context, tickets.relocks_topic, tickets.relay.wake.set),
        PreviewPage(context, tickets.in_force, tickets.preview, tickets.saving is not None),
        policy_pages,
        PolicyFieldsPage(context, policy_pages),
        ForecastPage(context),
        LedgerPage(context),
        PlanPage(context, tickets.writer, changed),
        TicketPages(context, tickets.writer, changed),
    )
    for part in parts:
        yield from part.routes()


def _fault_pages(context: PageContext, cord: CordPages) -> Mapping[Any, Any]:
    """Every fault as a page that says what to do, or as a `Problem` under `/api`."""

    async def fault(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if faults.is_api(request):
            return faults.answer_of_status(status, error.headers if isinstance(error, HTTPException) else None)
        if is_cord(request):
            return cord.fault(status, "This page does not work like that", "Open the link of the cord again.")
        if status == 404:
            return context.error(404, "There is no such page", "Check the address, or start at the list.")
        if status == 405:
            return context.error(405, "This page does not work like that", "Open the ticket and use its buttons.")
        if status == 413:
            return context.error(413, "This is too long", "Nothing was saved. Go back, and write it shorter.")
        return context.error(
            status, "This did not work", "Try again; if it keeps failing, contact those who run Andon."
        )

    async def unavailable(request: Request, error: Exception) -> Response:
        _log.warning("page failed: database unavailable", error=repr(error))
        return context.error(503, "The database does not answer just now", "Nothing is lost. Try again in a minute.")

    return {HTTPException: fault, 500: fault} | dict.fromkeys(TRANSIENT, unavailable)


@asynccontextmanager
async def build(settings: TicketsSettings) -> AsyncIterator[Service]:
    """Connect and put the parts together."""
    policies.check_file(settings)
    pool = await open_pool(settings.dsn, "tickets")
    try:
        await check_schema(pool, "tickets")
        DRAWINGS.start()
        registry, renewal = new_registry(settings.revision), ServiceRenewal()
        found = await policy_of(settings, pool)
        watch = PolicyWatch(pool, renewal, found.version, registry)
        tickets = Tickets(settings, pool, registry, found, watch)
        measures = PostgresMetrics(pool, "tickets", registry).run, LoopDelay(registry).run
        stuck = StuckWatch(tickets.progress, tickets.dependencies, settings.stuck_seconds)
        loops = [*tickets.loops(), *measures, stuck.run]
        yield Service(application(tickets, pool, registry, settings.hosts), loops, renewal)
    finally:
        await pool.close()


async def policy_of(settings: TicketsSettings, pool: Pool) -> PolicyInForce:
    """The policy in force; the file becomes its first version where people edit it in the browser."""
    if not settings.is_policy_a_file and not await policies.number_in_force(pool):
        file = file_policy(settings)
        inbox_age(settings, file.policy)
        await policy_saving(settings, clock_of(settings.clock, SystemClock())).begin(pool, file)
    return await policies.policy_in_force(settings, pool)


def main() -> None:
    """`andon tickets`."""
    run_service("tickets", TicketsSettings, build)

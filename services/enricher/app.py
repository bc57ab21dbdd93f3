"""Wires the enricher: a consumer that finds gaps, and for each CRM a fetcher, a reconciler and its stage names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.enricher import store
from services.enricher.connections import connect, known_sources
from services.enricher.context import Context
from services.enricher.fetcher import Fetcher
from services.enricher.handler import DealHandler
from services.enricher.metrics import EnricherMetrics
from services.enricher.reconcile import Reconciler
from services.enricher.settings import EnricherSettings
from services.enricher.stage_names import StageNames
from shared.connectors.base.source import Source
from shared.contracts.topics import EVENTS
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import TRANSIENT, Pool, open_pool
from shared.postgres.pruning import Retention
from shared.postgres.schema_check import check_schema
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.retry import retry_forever
from shared.runtime.service import Loop, Service, every, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch
from shared.stream.consumer import Consumer
from shared.stream.dependencies import dependencies_of
from shared.stream.outbox import Relay
from shared.stream.positions import StoredPositions
from shared.stream.processor import Processor
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions

_log = logger(__name__)
MEASURE_SECONDS = 5.0


class Enricher:
    """The loops of one replica."""

    def __init__(
        self, settings: EnricherSettings, sources: dict[str, Source], pool: Pool, registry: CollectorRegistry
    ) -> None:
        self._settings, self._clock = settings, SystemClock()
        self._interval = timedelta(seconds=settings.enricher_reconcile_seconds)
        self.progress, self.dependencies = Progress(), dependencies_of("enricher", settings, registry)
        metrics = EnricherMetrics(registry, sources)
        self._connections = connect(settings, sources, metrics)
        self._crms = [one.crm for one in self._connections.values() if one.crm is not None]
        self._relay = Relay(pool, Publisher(KafkaAccess.of(settings)), OutboxMetrics(registry), self.progress)
        self._context = Context(
            pool,
            settings.topic_prefix,
            metrics,
            self.progress,
            self._clock,
            self._relay.wake,
            timedelta(seconds=settings.enricher_refused_seconds),
        )
        self._stage_names = {crm.source.name: StageNames(self._context, crm) for crm in self._crms}
        self._consumer = self._new_consumer(registry)
        self._measures = PostgresMetrics(pool, "crm", registry).run, LoopDelay(registry).run

    def _new_consumer(self, registry: CollectorRegistry) -> Consumer:
        topic, context = self._settings.topic(EVENTS), self._context
        processor = Processor(
            PostgresTransactions(context.pool),
            DealHandler(self._connections, self._clock, self._stages_seen),
            context.prefix,
            lambda record: self._clock.now(),
            lambda reason: context.metrics.dead.inc(),
            context.wake.set,
        )
        return Consumer(
            Subscription(
                KafkaAccess.of(self._settings), [topic], self._settings.topic("andon-enricher"), max_records=2000
            ),
            processor.run,
            StoredPositions(context.pool, [topic]),
            ConsumerMetrics.of_topics(registry, {topic: EVENTS}),
            self.progress,
        )

    def _stages_seen(self, source: str, stages: set[str]) -> None:
        if source in self._stage_names:
            self._stage_names[source].seen(stages)

    def loops(self) -> Sequence[Loop]:
        interval = self._interval
        overlap = timedelta(seconds=self._settings.enricher_overlap_seconds)
        keep = timedelta(days=self._settings.enricher_keep_days)
        reconcilers = [Reconciler(self._context, crm, interval, overlap) for crm in self._crms if interval]
        return (
            self._consumer.run,
            self._relay.run,
            self._measure_forever,
            self.dependencies.run,
            *self._measures,
            Retention(partial(store.prune, self._context.pool), keep, self._clock).run,
            *(Fetcher(self._context, crm).run for crm in self._crms),
            *(reconciler.run for reconciler in reconcilers),
            *(names.run for names in self._stage_names.values()),
        )

    async def start(self) -> None:
        """Want the deals that got gaps before there were credentials."""
        async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
            with attempt:
                await store.want_thin(self._context.pool, [crm.source.name for crm in self._crms], self._clock.now())

    async def stop(self) -> None:
        """Close the connections to CRMs."""
        for crm in self._crms:
            await crm.client.close()

    async def _measure_forever(self) -> None:
        reconciled = {crm.source.name for crm in self._crms if self._interval}
        await every(MEASURE_SECONDS, partial(_measure, self._context, self._connections, reconciled))


async def _measure(context: Context, sources: Collection[str], reconciled_sources: Collection[str]) -> None:
    """Of a source without an API, nothing is ever reconciled: it has no such time."""
    try:
        counts, reconciled = await store.counts(context.pool), await store.reconciled_until(context.pool)
    except TRANSIENT as error:
        _log.warning("metrics refresh failed: database unavailable", error=repr(error))
        return
    for source in sources:
        found = counts.get(source, store.GapCounts(0, 0))
        context.metrics.thin.set(found.gaps, source)
        context.metrics.wanted.set(found.wanted, source)
    for source in reconciled_sources:
        context.metrics.reconciled.set(reconciled[source].timestamp() if source in reconciled else 0, source)


@asynccontextmanager
async def build(settings: EnricherSettings) -> AsyncIterator[Service]:
    """Read the sources, connect and put the parts together."""
    sources = known_sources(settings)
    pool = await open_pool(settings.dsn, "crm")
    await check_schema(pool, "crm")
    registry = new_registry(settings.revision)
    enricher = Enricher(settings, sources, pool, registry)
    await enricher.start()
    routes = health_routes(enricher.progress, enricher.dependencies, registry)
    stuck = StuckWatch(enricher.progress, enricher.dependencies, settings.stuck_seconds)
    yield Service(Starlette(routes=routes), [*enricher.loops(), stuck.run])
    await enricher.stop()
    await pool.close()


def main() -> None:
    """`andon enricher`."""
    run_service("enricher", EnricherSettings, build)

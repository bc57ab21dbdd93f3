"""Wires the enricher: a consumer that notes gaps, and for each CRM a reader and a reconciler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.enricher import store
from services.enricher.connections import connect, known_sources
from services.enricher.context import Context
from services.enricher.fetcher import Fetcher
from services.enricher.handler import note
from services.enricher.metrics import EnricherMetrics
from services.enricher.reconcile import Reconciler
from services.enricher.settings import EnricherSettings
from services.enricher.stage_names import StageNames
from shared.connectors.base.source import Source
from shared.contracts.topics import EVENTS
from shared.kafka.publisher import Publisher
from shared.postgres.pool import TRANSIENT, open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import Service, every, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.stream import positions
from shared.stream.consumer import Consumer
from shared.stream.outbox import Relay
from shared.stream.reader import Subscription

_log = logger(__name__)
MEASURE_SECONDS = 5.0


class Enricher:
    """The loops of one replica."""

    def __init__(
        self, settings: EnricherSettings, sources: dict[str, Source], pool: Any, registry: CollectorRegistry
    ) -> None:
        self._settings, self._clock = settings, SystemClock()
        self.progress = Progress()
        metrics = EnricherMetrics(registry, sources)
        self._connections = connect(settings, sources, metrics)
        self._crms = [one.crm for one in self._connections.values() if one.crm is not None]
        self.relay = Relay(pool, Publisher(settings.kafka), OutboxMetrics(registry), self.progress)
        self.desk = Context(
            pool,
            settings.topic_prefix,
            metrics,
            self.progress,
            self._clock,
            self.relay.wake,
            timedelta(seconds=settings.enricher_refused_seconds),
        )
        self._naming = {crm.source.name: StageNames(self.desk, crm) for crm in self._crms}
        self._topic = settings.topic(EVENTS)
        self.consumer = Consumer(
            Subscription(settings.kafka, [self._topic], settings.topic("andon-enricher"), max_records=2000),
            self._take,
            positions.StoredPositions(pool, [self._topic]),
            ConsumerMetrics.of_topics(registry, {self._topic: EVENTS}),
            self.progress,
        )

    def loops(self) -> Sequence[Any]:
        readers = [Fetcher(self.desk, crm).run for crm in self._crms]
        between = timedelta(seconds=self._settings.enricher_reconcile_seconds)
        overlap = timedelta(seconds=self._settings.enricher_overlap_seconds)
        passes = [Reconciler(self.desk, crm, between, overlap).run for crm in self._crms if between]
        return (
            self.consumer.run,
            self.relay.run,
            self._measuring,
            *readers,
            *passes,
            *(one.run for one in self._naming.values()),
        )

    async def start(self) -> None:
        await store.want_thin(self.desk.pool, [crm.source.name for crm in self._crms], self._clock.now())

    async def stop(self) -> None:
        for crm in self._crms:
            await crm.client.close()

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        async with self.desk.pool.acquire() as connection, connection.transaction():
            seen = await note(connection, records, self._connections, self._clock.now())
        for source, stages in seen.items():
            if source in self._naming:
                self._naming[source].saw(stages)

    async def _measuring(self) -> None:
        await every(MEASURE_SECONDS, self._measure)

    async def _measure(self) -> None:
        try:
            counts, reached = await store.counts(self.desk.pool), await store.reached(self.desk.pool)
        except TRANSIENT as error:
            _log.warning("gaps cannot be measured", error=repr(error))
            return
        for source in self._connections:
            found = counts.get(source, store.GapCounts(0, 0))
            self.desk.metrics.thin.labels(source).set(found.gaps)
            self.desk.metrics.wanted.labels(source).set(found.wanted)
            if source in reached:
                self.desk.metrics.reconciled.labels(source).set(reached[source].timestamp())


@asynccontextmanager
async def build(settings: EnricherSettings) -> AsyncIterator[Service]:
    """Read the sources, connect and put the parts together."""
    sources = known_sources(settings)
    pool = await open_pool(settings.dsn, "crm")
    registry = new_registry()
    enricher = Enricher(settings, sources, pool, registry)
    await enricher.start()
    yield Service(Starlette(routes=health_routes(enricher.progress, registry)), enricher.loops())
    await enricher.stop()
    await pool.close()


def main() -> None:
    """`andon enricher`."""
    run_service("enricher", EnricherSettings, build)

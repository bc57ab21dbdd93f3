"""Runs a reconciliation pass or a back-fill for one source, outside the enricher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from services.detector.settings import DetectorSettings
from services.enricher.backfill import BackFill
from services.enricher.connections import connect, known_sources
from services.enricher.context import Context
from services.enricher.metrics import EnricherMetrics
from services.enricher.reconcile import Reconciler
from services.enricher.settings import EnricherSettings
from services.importer.load import LoadProgress, LoadResult
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable, error_text
from shared.connectors.base.crm_api import CrmApi
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.postgres.pool import Pool, open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.metrics import OutboxMetrics
from shared.stream.outbox import Relay

Show = Callable[[int], None]


def reconcile(name: str, show: Show) -> int:
    """Run one pass over a source; how many events it published. Raises ValueError if the CRM does not answer."""
    return asyncio.run(_reconcile(EnricherSettings.from_environment(), name, show))


def backfill(name: str, since: datetime, progress: LoadProgress) -> tuple[BackFill, LoadResult]:
    """Load the history of a source; the finished job with its counts, and the result of evaluating it."""
    return asyncio.run(_backfill(EnricherSettings.from_environment(), name, since, progress))


async def _reconcile(settings: EnricherSettings, name: str, show: Show) -> int:
    registry, progress = CollectorRegistry(), Progress()
    metrics, publisher = EnricherMetrics(registry, [name]), Publisher(KafkaAccess.of(settings))
    async with _connected(settings, name, metrics) as (crm, pool):
        relay = Relay(pool, publisher, OutboxMetrics(registry), progress)
        context = Context(pool, settings.topic_prefix, metrics, progress, SystemClock(), relay.wake)
        interval = timedelta(seconds=settings.enricher_reconcile_seconds or 3600)
        overlap = timedelta(seconds=settings.enricher_overlap_seconds)
        try:
            published = await Reconciler(context, crm, interval, overlap).run_once(show, force=True)
        except (CrmUnavailable, CrmRejected) as error:
            raise ValueError(error_text(error, crm.kind)) from error
        # The enricher's own relay may publish the same outbox at the same time.
        while await relay.run_once():
            pass
        await publisher.stop()
        return published or 0


async def _backfill(
    settings: EnricherSettings, name: str, since: datetime, progress: LoadProgress
) -> tuple[BackFill, LoadResult]:
    async with _connected(settings, name, EnricherMetrics(CollectorRegistry(), [name])) as (crm, pool):
        job = BackFill(pool, crm, since)
        return job, await job.run(DetectorSettings.from_environment(), progress)


@asynccontextmanager
async def _connected(
    settings: EnricherSettings, name: str, metrics: EnricherMetrics
) -> AsyncIterator[tuple[CrmApi, Pool]]:
    """The API of a source, and the enricher's database. Raises ValueError for a source without an API."""
    sources = known_sources(settings)
    if name not in sources:
        known = ", ".join(sorted(sources))
        raise ValueError(f"{name}: no source with an API in {settings.sources}; known are {known}")
    crm = connect(settings, {name: sources[name]}, metrics)[name].crm
    if crm is None:
        page = f"docs/sources/{sources[name].kind}.md"
        raise ValueError(f"{name}: has no `api` in {settings.sources}; {page} says what to write")
    pool = await open_pool(settings.dsn, "crm")
    try:
        yield crm, pool
    finally:
        await crm.client.close()
        await pool.close()

"""`andon reconcile` and `andon backfill`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

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
from shared.kafka.publisher import Publisher
from shared.postgres.pool import open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.metrics import OutboxMetrics
from shared.stream.outbox import Relay

Show = Callable[[int], None]


@asynccontextmanager
async def _asking(settings: EnricherSettings, name: str, metrics: EnricherMetrics) -> AsyncIterator[tuple[CrmApi, Any]]:
    """The CRM of a source, and the database; raises ValueError where it cannot be asked."""
    sources = known_sources(settings)
    if name not in sources:
        raise ValueError(f"{name}: no source with an API in {settings.sources}; there are {', '.join(sorted(sources))}")
    crm = connect(settings, {name: sources[name]}, metrics)[name].crm
    if crm is None:
        raise ValueError(f"{name}: has no `api` in {settings.sources}; docs/sources/{sources[name].kind}.md says which")
    pool = await open_pool(settings.dsn, "crm")
    try:
        yield crm, pool
    finally:
        await crm.client.close()
        await pool.close()


async def _reconcile(settings: EnricherSettings, name: str, show: Show) -> int:
    registry, progress = CollectorRegistry(), Progress()
    metrics, publisher = EnricherMetrics(registry, [name]), Publisher(settings.kafka)
    async with _asking(settings, name, metrics) as (crm, pool):
        relay = Relay(pool, publisher, OutboxMetrics(registry), progress)
        context = Context(pool, settings.topic_prefix, metrics, progress, SystemClock(), relay.wake)
        between = timedelta(seconds=settings.enricher_reconcile_seconds or 3600)
        overlap = timedelta(seconds=settings.enricher_overlap_seconds)
        try:
            told = await Reconciler(context, crm, between, overlap).run_once(show, force=True)
        except (CrmUnavailable, CrmRejected) as error:
            raise ValueError(error_text(error, crm.kind)) from error
        # Where the service runs, its relay may be at it already.
        while await relay.run_once():
            pass
        await publisher.stop()
        return told or 0


async def _fill(
    settings: EnricherSettings, name: str, since: datetime, shown: LoadProgress
) -> tuple[BackFill, LoadResult]:
    async with _asking(settings, name, EnricherMetrics(CollectorRegistry(), [name])) as (crm, pool):
        filling = BackFill(pool, crm, since)
        return filling, await filling.run(DetectorSettings.from_environment(), shown)


def reconcile(name: str, show: Show) -> int:
    """One pass over a source; how many events it told. Raises ValueError where the CRM does not answer."""
    return asyncio.run(_reconcile(EnricherSettings.from_environment(), name, show))


def backfill(name: str, since: datetime, shown: LoadProgress) -> tuple[BackFill, LoadResult]:
    """Let the history of a source in; what was looked at, and what came of it."""
    return asyncio.run(_fill(EnricherSettings.from_environment(), name, since, shown))

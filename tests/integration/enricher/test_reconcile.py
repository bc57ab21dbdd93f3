"""Passes of reconciliation on a real Postgres: they end, and a forced one that fails delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from services.enricher import store
from services.enricher.context import Context
from services.enricher.metrics import EnricherMetrics
from services.enricher.reconcile import Reconciler
from shared.connectors.base.api_client import CrmUnavailable
from shared.connectors.base.crm_api import Page
from shared.postgres.pool import Pool, open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress

HOUR = timedelta(hours=1)


class Changing:
    """A CRM in which something changes with every page; `away`: it does not respond."""

    source = SimpleNamespace(name="crm")
    away = False

    def __init__(self, began: datetime) -> None:
        self.began, self.pages = began, 0

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        if self.away:
            raise CrmUnavailable("503")
        while self.pages < 100:
            self.pages += 1
            yield Page([], 1, reached=self.began + timedelta(minutes=self.pages - 10))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, "crm", max_size=2)
    yield pool
    await pool.close()


def passes(pool: Pool, crm: Changing) -> Reconciler:
    metrics = EnricherMetrics(CollectorRegistry(), ["crm"])
    context = Context(pool, "", metrics, Progress(), SystemClock(), asyncio.Event())
    return Reconciler(context, crm, HOUR, timedelta(0))  # type: ignore[arg-type]


async def due(pool: Pool) -> datetime:
    found: datetime = await pool.fetchval("SELECT due FROM crm_cursor WHERE purpose = 'reconcile'")
    return found


async def test_what_changes_during_a_pass_is_for_the_next(pool: Pool) -> None:
    crm = Changing(datetime.now(UTC))
    await passes(pool, crm).run_once(lambda deals: None)

    assert crm.pages == 11
    assert crm.began <= (await store.reconciled_until(pool))["crm"] < crm.began + timedelta(seconds=30)


async def test_a_forced_pass_that_fails_delays_no_other(pool: Pool) -> None:
    crm = Changing(datetime.now(UTC))
    crm.away = True
    forced = passes(pool, crm)
    with pytest.raises(CrmUnavailable):
        await forced.run_once(lambda deals: None, force=True)
    assert await due(pool) <= datetime.now(UTC), "the first pass is still to be made"

    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=7)
    await store.set_pass_due(pool, "crm", soon)
    with pytest.raises(CrmUnavailable):
        await forced.run_once(lambda deals: None, force=True)
    assert await due(pool) == soon

    crm.away = False
    await forced.run_once(lambda deals: None, force=True)
    assert await due(pool) > datetime.now(UTC) + HOUR - timedelta(minutes=1)

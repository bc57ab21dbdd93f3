"""Passes of reconciliation before a real Postgres: they come to an end, and one by hand puts no other off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.enricher import store
from services.enricher.context import Context
from services.enricher.metrics import EnricherMetrics
from services.enricher.reconcile import Reconciler
from shared.connectors.base.api_client import CrmUnavailable
from shared.connectors.base.crm_api import Page
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import open_pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress

HOUR = timedelta(hours=1)


class Changing:
    """A CRM in which something changes with every page; `away`: it does not answer."""

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
async def pool(dsn: str) -> AsyncIterator[Any]:
    await migrate_all(dsn)
    pool = await open_pool(dsn, "crm", most=2)
    yield pool
    await pool.close()


def passes(pool: Any, crm: Changing) -> Reconciler:
    metrics = EnricherMetrics(CollectorRegistry(), ["crm"])
    desk = Context(pool, "", metrics, Progress(), SystemClock(), asyncio.Event())
    return Reconciler(desk, crm, HOUR, timedelta(0))  # type: ignore[arg-type]


async def due(pool: Any) -> datetime:
    found: datetime = await pool.fetchval("SELECT due FROM walk WHERE purpose = 'reconcile'")
    return found


async def test_what_changes_during_a_pass_is_for_the_next(pool: Any) -> None:
    crm = Changing(datetime.now(UTC))
    await passes(pool, crm).once(lambda deals: None)

    assert crm.pages == 11
    assert crm.began <= (await store.reached(pool))["crm"] < crm.began + timedelta(seconds=30)


async def test_a_pass_by_hand_that_fails_puts_no_other_off(pool: Any) -> None:
    crm = Changing(datetime.now(UTC))
    crm.away = True
    by_hand = passes(pool, crm)
    with pytest.raises(CrmUnavailable):
        await by_hand.once(lambda deals: None, at_once=True)
    assert await due(pool) <= datetime.now(UTC), "the first pass is still to be made"

    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=7)
    await store.walk_due(pool, "crm", soon)
    with pytest.raises(CrmUnavailable):
        await by_hand.once(lambda deals: None, at_once=True)
    assert await due(pool) == soon

    crm.away = False
    await by_hand.once(lambda deals: None, at_once=True)
    assert await due(pool) > datetime.now(UTC) + HOUR - timedelta(minutes=1)

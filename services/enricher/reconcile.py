"""Reconciliation: lists the deals of one source that changed since the last pass, and publishes what webhooks lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from services.enricher import store
from services.enricher.context import Context
from services.enricher.publish import publish
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi, Page
from shared.connectors.base.fields import InvalidField
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
# How often to check whether a pass is due.
POLL_SECONDS = 1.0
# How far back the first pass looks.
FIRST = timedelta(days=1)
RETRY = timedelta(minutes=1)


class Reconciler:
    """One loop for one source. The first replica that finds a pass due runs it."""

    def __init__(self, context: Context, crm: CrmApi, interval: timedelta, overlap: timedelta) -> None:
        self._context, self._crm, self._interval, self._overlap = context, crm, interval, overlap
        self._source = crm.source.name

    async def run(self) -> None:
        """Run a pass whenever one is due, until cancelled."""
        loop = f"reconcile {self._source}"
        self._context.progress.expect(loop, 1800)
        while True:
            try:
                if not self._context.is_suspended(self._source):
                    await self._pass(loop)
            except TRANSIENT as error:
                _log.warning("reconciliation waits: database unavailable", source=self._source, error=repr(error))
            self._context.progress.beat(loop)
            await asyncio.sleep(POLL_SECONDS)

    async def _pass(self, loop: str) -> None:
        try:
            published = await self.run_once(lambda deals: self._context.progress.beat(loop))
        except CrmUnavailable as error:
            _log.warning("reconciliation deferred: CRM unavailable", source=self._source, error=str(error))
            await store.set_pass_due(self._context.pool, self._source, self._context.clock.now() + RETRY)
        except CrmRejected as error:
            if error.bad_credentials:
                self._context.suspend(self._source, error)
            else:
                _log.error("CRM rejected reconciliation", source=self._source, answer=str(error))
        except InvalidField as error:
            _log.error("CRM response is not as documented", source=self._source, error=str(error))
        else:
            if published is not None:
                self._context.answered(self._source)
            if published:
                _log.info("reconciled", source=self._source, events=published)

    async def run_once(self, report: Callable[[int], None], force: bool = False) -> int | None:
        """Run a pass if one is due, or with `force`; returns the number of events. None: no pass was due.

        `report` gets the number of deals listed so far. Raises CrmUnavailable or CrmRejected. A forced pass that fails
        does not delay the next one.
        """
        began = self._context.clock.now()
        since = await self._claim(began, force)
        if since is None:
            return None
        published = deals = 0
        async for page in self._crm.changed(since - self._overlap):
            published += await self._publish(page, began)
            deals += page.deals
            report(deals)
            # Leave later changes to the next pass: a busy CRM would keep this one from ending.
            if page.reached is not None and page.reached > began:
                break
        await store.advance(self._context.pool, self._source, began)
        if force:
            await store.set_pass_due(self._context.pool, self._source, began + self._interval)
        return published

    async def _claim(self, now: datetime, force: bool) -> datetime | None:
        """Up to when the source is reconciled, if this replica has to run a pass now."""
        due = now if force else now + self._interval
        return await store.claim_pass(self._context.pool, self._source, now - FIRST, due, now, force)

    async def _publish(self, page: Page, began: datetime) -> int:
        """Publish a page, and record how far the pass has come with it, in one transaction."""
        context, now = self._context, self._context.clock.now()
        async with context.pool.acquire() as connection, connection.transaction():
            result = await publish(connection, self._source, page.parsed, now, context.prefix)
            if page.reached is not None:
                await store.advance(connection, self._source, min(page.reached, began))
        context.metrics.events.labels(self._source).inc(result.accepted)
        context.metrics.count_left_out(self._source, result.left_out)
        context.wake.set()
        return result.accepted

"""Reconciliation: lists the deals of one source that changed since the last pass, so that nothing lost stays lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from services.enricher import store
from services.enricher.context import Context
from services.enricher.publish import tell
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi, Page
from shared.connectors.base.fields import InvalidField
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
LOOK_SECONDS = 1.0
FIRST = timedelta(days=1)
AGAIN = timedelta(minutes=1)


class Reconciler:
    """One loop for one source. Of several replicas, the one that finds a pass due makes it."""

    def __init__(self, desk: Context, crm: CrmApi, every: timedelta, overlap: timedelta) -> None:
        self._desk, self._crm, self._every, self._overlap = desk, crm, every, overlap
        self._source = crm.source.name

    async def run(self) -> None:
        """Make a pass whenever one is due, until cancelled."""
        loop = f"reconcile {self._source}"
        self._desk.progress.expect(loop, 1800)
        while True:
            try:
                if not self._desk.is_suspended(self._source):
                    await self._pass(loop)
            except TRANSIENT as error:
                _log.warning("reconciliation waits for Postgres", source=self._source, error=repr(error))
            self._desk.progress.beat(loop)
            await asyncio.sleep(LOOK_SECONDS)

    async def _pass(self, loop: str) -> None:
        try:
            told = await self.once(lambda deals: self._desk.progress.beat(loop))
        except CrmUnavailable as error:
            _log.warning("a pass of reconciliation will be tried again", source=self._source, error=str(error))
            await store.walk_due(self._desk.pool, self._source, self._desk.clock.now() + AGAIN)
        except CrmRejected as error:
            if error.bad_credentials:
                self._desk.suspend(self._source, error)
            else:
                _log.error("a pass of reconciliation was refused", source=self._source, answer=str(error))
        except InvalidField as error:
            _log.error("an answer has another form than documented", source=self._source, error=str(error))
        else:
            if told is not None:
                self._desk.answered(self._source)
            if told:
                _log.info("reconciled", source=self._source, events=told)

    async def once(self, show: Callable[[int], None], at_once: bool = False) -> int | None:
        """One pass, where one is due or `at_once`; how many events it told. Raises CrmUnavailable, CrmRejected.

        One `at_once` that fails puts no other off.
        """
        began = self._desk.clock.now()
        since = await store.claim_walk(
            self._desk.pool, self._source, began - FIRST, began if at_once else began + self._every, began, at_once
        )
        if since is None:
            return None
        told = deals = 0
        async for page in self._crm.changed(since - self._overlap):
            told += await self._keep(page, began)
            deals += page.deals
            show(deals)
            # What changes meanwhile is for the next pass: this one would have no end where much does.
            if page.reached is not None and page.reached > began:
                break
        await store.reach(self._desk.pool, self._source, began)
        if at_once:
            await store.walk_due(self._desk.pool, self._source, began + self._every)
        return told

    async def _keep(self, page: Page, began: datetime) -> int:
        """What a page says, and how far the pass has come with it, in one transaction."""
        now = self._desk.clock.now()
        async with self._desk.pool.acquire() as connection, connection.transaction():
            told = await tell(connection, self._source, page.parsed, now, self._desk.prefix)
            if page.reached is not None:
                await store.reach(connection, self._source, min(page.reached, began))
        self._desk.metrics.events.labels(self._source).inc(told)
        self._desk.wake.set()
        return told

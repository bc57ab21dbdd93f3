"""Reads wanted deals over one CRM's API: claimed before, marked with the events that were made of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from services.enricher import store
from services.enricher.context import Context
from services.enricher.gaps import GapState
from services.enricher.metrics import FetchOutcome
from services.enricher.publish import tell
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import Parsed
from shared.connectors.base.fields import InvalidField
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
IDLE_SECONDS = 1.0
DEFERRED = timedelta(seconds=60)
NOT_FOUND = "the CRM does not know this deal, or does not show it to these credentials"


class Fetcher:
    """One loop for one source. Several replicas may read at once: each deal is claimed by one."""

    def __init__(self, desk: Context, crm: CrmApi) -> None:
        self._desk, self._crm, self._source = desk, crm, crm.source.name

    async def run(self) -> None:
        """Read until cancelled."""
        loop = f"read {self._source}"
        self._desk.progress.expect(loop, 1800)
        while True:
            try:
                read = 0 if self._desk.is_suspended(self._source) else await self.round()
            except TRANSIENT as error:
                _log.warning("deals wait for Postgres", source=self._source, error=repr(error))
                read = 0
            self._desk.progress.beat(loop)
            if not read:
                await asyncio.sleep(IDLE_SECONDS)

    async def round(self) -> int:
        """Read some deals that are due; how many were taken in hand."""
        deals = await store.claim(self._desk.pool, self._source, self._desk.clock.now(), self._crm.batch_size)
        if not deals:
            return 0
        try:
            found, refused = await self._ask(deals)
        except CrmUnavailable as error:
            await self._defer(deals, error, timedelta(seconds=error.after or 0))
        except CrmRejected as error:
            self._desk.suspend(self._source, error)
            await self._defer(deals, error)
        except InvalidField as error:
            _log.error("an answer has another form than documented", source=self._source, error=str(error))
            await self._defer(deals, error, timedelta(hours=1))
        else:
            self._desk.answered(self._source)
            await self._end(deals, found, refused)
        return len(deals)

    async def _ask(self, deals: Sequence[str]) -> tuple[dict[str, list[Parsed]], dict[str, str]]:
        """What is told of each, and why some are refused: one bad id must not cost the others their answer."""
        try:
            return await self._crm.read(deals), {}
        except CrmRejected as error:
            if error.bad_credentials:
                raise
            if len(deals) == 1:
                return {}, {deals[0]: str(error)}
        found: dict[str, list[Parsed]] = {}
        refused: dict[str, str] = {}
        for deal in deals:
            one = await self._ask([deal])
            found |= one[0]
            refused |= one[1]
        return found, refused

    async def _end(self, deals: Sequence[str], found: dict[str, list[Parsed]], refused: dict[str, str]) -> None:
        desk, now, told = self._desk, self._desk.clock.now(), 0
        async with desk.pool.acquire() as connection, connection.transaction():
            for deal in sorted(deals):
                state = GapState.READ if deal in found else GapState.REFUSED
                answer = None if deal in found else refused.get(deal, NOT_FOUND)
                if await store.end(connection, self._source, deal, state, now, answer) and deal in found:
                    told += await tell(connection, self._source, found[deal], now, desk.prefix)
        desk.wake.set()
        desk.metrics.events.labels(self._source).inc(told)
        for deal in deals:
            outcome = (
                FetchOutcome.READ
                if deal in found
                else FetchOutcome.REFUSED
                if deal in refused
                else FetchOutcome.NOT_FOUND
            )
            desk.metrics.deals.labels(self._source, outcome.value).inc()
        if gone := [deal for deal in deals if deal not in found]:
            _log.warning(
                "deals cannot be read and keep their gaps; let the credentials see them, or let it be",
                source=self._source,
                deals=gone[:10],
                answer=refused.get(gone[0], NOT_FOUND),
            )

    async def _defer(self, deals: Sequence[str], error: Exception, wait: timedelta = DEFERRED) -> None:
        wait = max(wait, DEFERRED)
        _log.warning("deals will be read later", source=self._source, error=str(error), seconds=wait.total_seconds())
        await store.defer(self._desk.pool, self._source, deals, self._desk.clock.now() + wait, str(error))
        self._desk.metrics.deals.labels(self._source, FetchOutcome.DEFERRED.value).inc(len(deals))

"""Fetches wanted deals through one CRM's API: claims them first, marks them in the transaction that publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from services.enricher import store
from services.enricher.context import Context
from services.enricher.gaps import GapState
from services.enricher.metrics import FetchOutcome
from services.enricher.publish import publish
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import Parsed
from shared.connectors.base.fields import InvalidField
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger

_log = logger(__name__)
# How often to look for deals that are due.
POLL_SECONDS = 1.0
RETRY = timedelta(seconds=60)
RETRY_INVALID = timedelta(hours=1)
NOT_FOUND = "the CRM does not know this deal, or does not show it to these credentials"


class Fetcher:
    """One loop for one source. Replicas may fetch at the same time: each deal is claimed by one."""

    def __init__(self, context: Context, crm: CrmApi) -> None:
        self._context, self._crm, self._source = context, crm, crm.source.name

    async def run(self) -> None:
        """Read until cancelled."""
        loop = f"read {self._source}"
        self._context.progress.expect(loop, 1800)
        while True:
            try:
                read = 0 if self._context.is_suspended(self._source) else await self.run_once()
            except TRANSIENT as error:
                _log.warning("reading waits: database unavailable", source=self._source, error=repr(error))
                read = 0
            self._context.progress.beat(loop)
            if not read:
                await asyncio.sleep(POLL_SECONDS)

    async def run_once(self) -> int:
        """Fetch some deals that are due; returns how many were claimed."""
        context = self._context
        deals = await store.claim(context.pool, self._source, context.clock.now(), self._crm.batch_size)
        if not deals:
            return 0
        try:
            found, refused = await self._read(deals)
        except CrmUnavailable as error:
            await self._defer(deals, error, max(RETRY, timedelta(seconds=error.after or 0)))
        except CrmRejected as error:
            context.suspend(self._source, error)
            await self._defer(deals, error, RETRY)
        except InvalidField as error:
            _log.error("CRM response is not as documented", source=self._source, error=str(error))
            await self._defer(deals, error, RETRY_INVALID)
        else:
            context.answered(self._source)
            await self._end(deals, found, refused)
        return len(deals)

    async def _read(self, deals: Sequence[str]) -> tuple[dict[str, list[Parsed]], dict[str, str]]:
        """The facts of each deal, and why some were rejected. After a rejection, fetch each deal by itself."""
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
            found_one, refused_one = await self._read([deal])
            found |= found_one
            refused |= refused_one
        return found, refused

    async def _end(self, deals: Sequence[str], found: dict[str, list[Parsed]], refused: dict[str, str]) -> None:
        published = await self._publish(deals, found, refused)
        self._context.wake.set()
        self._context.metrics.events.labels(self._source).inc(published)
        for deal in deals:
            outcome = _outcome(deal, found, refused)
            self._context.metrics.deals.labels(self._source, outcome.value).inc()
        missing = [deal for deal in deals if deal not in found]
        if missing:
            _log.warning(
                "deals not fetched, gaps stay: give the credentials access to them, or ignore this",
                source=self._source,
                deals=missing[:10],
                answer=refused.get(missing[0], NOT_FOUND),
            )

    async def _publish(self, deals: Sequence[str], found: dict[str, list[Parsed]], refused: dict[str, str]) -> int:
        """Mark the deals and publish their events, in one transaction; returns the number of events."""
        context, now, published = self._context, self._context.clock.now(), 0
        async with context.pool.acquire() as connection, connection.transaction():
            for deal in sorted(deals):
                state = GapState.READ if deal in found else GapState.REFUSED
                answer = None if deal in found else refused.get(deal, NOT_FOUND)
                if await store.end(connection, self._source, deal, state, now, answer) and deal in found:
                    result = await publish(connection, self._source, found[deal], now, context.prefix)
                    published += result.accepted
                    context.metrics.count_left_out(self._source, result.left_out)
        return published

    async def _defer(self, deals: Sequence[str], error: Exception, wait: timedelta) -> None:
        context = self._context
        _log.warning("reading deferred", source=self._source, error=str(error), seconds=wait.total_seconds())
        await store.defer(context.pool, self._source, deals, context.clock.now() + wait, str(error))
        context.metrics.deals.labels(self._source, FetchOutcome.DEFERRED.value).inc(len(deals))


def _outcome(deal: str, found: dict[str, list[Parsed]], refused: dict[str, str]) -> FetchOutcome:
    if deal in found:
        return FetchOutcome.READ
    return FetchOutcome.REFUSED if deal in refused else FetchOutcome.NOT_FOUND

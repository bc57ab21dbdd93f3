"""Back-fill: loads the history of deals through the API, page by page, so that nobody waits months for a baseline.

Ids of events derive from the CRM's own, so a second run, or one resumed after a kill, adds no duplicates.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Protocol

from services.detector.settings import DetectorSettings
from services.enricher import store
from services.importer.load import LoadError, LoadProgress, LoadResult, Portion, load
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable, error_text
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import DealFact
from shared.connectors.base.messages import to_messages
from shared.postgres.pool import Pool
from shared.runtime.instants import micros


class Load(Protocol):
    """Loads a history: `services.importer.load.load`, or a test's."""

    async def __call__(
        self, settings: DetectorSettings, portions: AsyncIterable[Portion], progress: LoadProgress, /
    ) -> LoadResult: ...


class BackFill:
    """One run over one source. `deals`, `events`, `unreadable`: how many were read, published, and dead-lettered.

    `left_out`: fields that could not be read.
    """

    def __init__(self, pool: Pool, crm: CrmApi, since: datetime, load: Load = load) -> None:
        self._pool, self._crm, self._since, self._source, self._load = pool, crm, since, crm.source.name, load
        self.deals = self.events = self.unreadable = self.left_out = 0

    async def run(self, settings: DetectorSettings, progress: LoadProgress) -> LoadResult:
        """Load the history. Raises LoadError: the next run continues where this one stopped."""
        try:
            result = await self._load(settings, self._portions(settings.topic_prefix), progress)
        except (CrmUnavailable, CrmRejected) as error:
            # Once a portion is published, a note adds that evaluation stays on hold.
            words = (error_text(error, self._crm.kind), *getattr(error, "__notes__", ()))
            raise LoadError("\n".join(words)) from error
        await store.end_backfill(self._pool, self._source, datetime.now(UTC))
        return result

    async def _portions(self, prefix: str) -> AsyncIterator[Portion]:
        """Ask for the next portion once the last is acknowledged: only then is its cursor stored."""
        cursor, earliest = await store.begin_backfill(self._pool, self._source, self._since)
        if earliest is not None:
            yield Portion((), micros(earliest))
        async for page in self._crm.all(self._since, cursor):
            now = datetime.now(UTC)
            translation = to_messages(self._source, page.parsed, now, prefix)
            self.deals += page.deals
            self.events += translation.accepted
            self.unreadable += len(translation.invalid)
            self.left_out += sum(translation.left_out.values())
            earliest = None
            if translation.messages:
                # Dead letters have no time, but evaluation is held for them, too, until the end.
                earliest = min((one.time for one in page.parsed if isinstance(one, DealFact)), default=now)
                yield Portion(translation.messages, micros(earliest))
            await store.save_cursor(self._pool, self._source, page.cursor, earliest)

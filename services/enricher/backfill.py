"""Back-fill: the history of deals over the API, page by page, so that nobody waits months for a baseline.

Ids are made of the CRM's own, so that a second run, or one that goes on after a kill, adds nothing that is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from services.detector.settings import DetectorSettings
from services.enricher import store
from services.importer.load import LoadProgress, LoadResult, NotInError, Portion, go_in
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable, error_text
from shared.connectors.base.crm_api import CrmApi
from shared.connectors.base.facts import DealFact
from shared.connectors.base.messages import to_messages
from shared.flow.calendars import micros


class BackFill:
    """One run over one source: how many deals were looked at, and how many events and dead letters they gave."""

    def __init__(self, pool: Any, crm: CrmApi, since: datetime) -> None:
        self._pool, self._crm, self._since, self._source = pool, crm, since, crm.source.name
        self.deals = self.events = self.unreadable = 0

    async def run(self, settings: DetectorSettings, shown: LoadProgress) -> LoadResult:
        """Let the history in. Raises NotInError: the next run goes on where this stopped."""
        try:
            went = await go_in(settings, self._portions(settings.topic_prefix), shown)
        except (CrmUnavailable, CrmRejected) as error:
            # Once a portion is out, a note says that judging waits.
            words = (error_text(error, self._crm.kind), *getattr(error, "__notes__", ()))
            raise NotInError("\n".join(words)) from error
        await store.end_fill(self._pool, self._source, datetime.now(UTC))
        return went

    async def _portions(self, prefix: str) -> AsyncIterator[Portion]:
        """When the next portion is asked for, the last is acknowledged: only then its place is kept."""
        place, earliest = await store.begin_fill(self._pool, self._source, self._since)
        if earliest is not None:
            yield Portion((), micros(earliest))
        async for page in self._crm.all(self._since, place):
            now = datetime.now(UTC)
            result = to_messages(self._source, page.parsed, now, prefix)
            self.deals += page.deals
            self.events += result.accepted
            self.unreadable += len(result.invalid)
            earliest = None
            if result.messages:
                # Dead letters speak of no time; but judging waits for them, too, and goes on at the end.
                earliest = min((one.time for one in page.parsed if isinstance(one, DealFact)), default=now)
                yield Portion(result.messages, micros(earliest))
            await store.keep_place(self._pool, self._source, page.cursor, earliest)

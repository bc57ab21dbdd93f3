"""Back-fill: the history of deals over the API, page by page, so that nobody waits months for a baseline.

Ids are made of the CRM's own, so that a second run, or one that goes on after a kill, adds nothing that is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from services.detector.clocks import micros
from services.detector.settings import DetectorSettings
from services.enricher import store
from services.enricher.crms.base import Crm
from services.importer.going_in import Portion, Shown, WentIn, go_in
from services.intake.canonical import translated
from services.intake.sources.base import Told


class BackFill:
    """One run over one source. `deals` tells how many were looked at."""

    def __init__(self, pool: Any, crm: Crm, since: datetime) -> None:
        self._pool, self._crm, self._since, self._source = pool, crm, since, crm.source.name
        self.deals = 0

    async def run(self, settings: DetectorSettings, shown: Shown) -> WentIn:
        """Let the history in. Raises NotInError, AwayError, RefusedError: the next run goes on where this stopped."""
        went = await go_in(settings, self._portions(settings.topic_prefix), shown)
        await store.end_fill(self._pool, self._source, datetime.now(UTC))
        return went

    async def _portions(self, prefix: str) -> AsyncIterator[Portion]:
        """When the next portion is asked for, the last is acknowledged: only then its place is kept."""
        place, earliest = await store.begin_fill(self._pool, self._source, self._since)
        if earliest is not None:
            yield Portion((), micros(earliest))
        async for page in self._crm.all(self._since, place):
            self.deals += page.deals
            times = [one.time for one in page.said if isinstance(one, Told)]
            if times:
                messages = translated(self._source, page.said, datetime.now(UTC), prefix).messages
                yield Portion(messages, micros(min(times)))
            await store.keep_place(self._pool, self._source, page.place, min(times, default=None))

"""Back-fill: the history of deals over the API, page by page, so that nobody waits months for a baseline.

Ids are made of the CRM's own, so that a second run, or one that goes on after a kill, adds nothing that is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.enricher import store
from services.enricher.crms.base import Crm
from services.intake.canonical import translated
from shared.bus.publisher import OutgoingMessage


class Part(NamedTuple):
    """The messages of some deals, and how many deals were looked at for them."""

    messages: list[OutgoingMessage]
    deals: int


async def parts(pool: Any, crm: Crm, since: datetime, prefix: str) -> AsyncIterator[Part]:
    """The history of every deal that was open at some time since then, from where an unended run stopped.

    Whoever asks for the next part has published this one: only then its place is kept. Raises AwayError, RefusedError.
    """
    source = crm.source.name
    place = await store.begin_fill(pool, source, since)
    async for page in crm.all(since, place):
        yield Part(translated(source, page.said, datetime.now(UTC), prefix).messages, page.deals)
        await store.place(pool, source, page.place)
    await store.end_fill(pool, source, datetime.now(UTC))

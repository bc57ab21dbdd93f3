"""Publishes what an API returned, without what was published before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.enricher import store
from shared.connectors.base.facts import DealFact, Parsed
from shared.connectors.base.messages import TranslationResult, to_messages
from shared.postgres.pool import Connection
from shared.stream import outbox

_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
# A CRM may return a change a little later than another one that has a later time.
MARGIN = timedelta(minutes=10)


async def publish(
    connection: Connection, source: str, parsed: Sequence[Parsed], now: datetime, prefix: str
) -> TranslationResult:
    """Put events into the outbox, in the caller's transaction. Their ids make duplicates harmless."""
    facts = sorted((one for one in parsed if isinstance(one, DealFact)), key=lambda fact: fact.time)
    published = await store.published_until(connection, source, sorted({fact.deal for fact in facts}))
    known = {deal: until - MARGIN for deal, until in published.items()}
    fresh = [one for one in parsed if not isinstance(one, DealFact) or one.time >= known.get(one.deal, _BEGINNING)]
    translation = to_messages(source, fresh, now, prefix)
    await outbox.put(connection, translation.messages)
    latest = {fact.deal: min(fact.time, now) for fact in facts}
    await store.set_published_until(connection, source, latest)
    return translation

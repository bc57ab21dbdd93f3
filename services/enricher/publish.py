"""What an API told goes into the outbox, without what was put there before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services.enricher import store
from shared.connectors.base.facts import DealFact, Parsed
from shared.connectors.base.messages import to_messages
from shared.stream import outbox

_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
# A CRM may show a change a little later than another that came after it.
MARGIN = timedelta(minutes=10)


async def tell(connection: Any, source: str, said: Sequence[Parsed], now: datetime, prefix: str) -> int:
    """Put events into the outbox, in the caller's transaction; how many. Ids make a second time harmless."""
    deals = sorted({one.deal for one in said if isinstance(one, DealFact)})
    before = {deal: at - MARGIN for deal, at in (await store.told(connection, source, deals)).items()}
    fresh = [one for one in said if not isinstance(one, DealFact) or one.time >= before.get(one.deal, _BEGINNING)]
    result = to_messages(source, fresh, now, prefix)
    await outbox.put(connection, result.messages)
    until = {one.deal: one.time for one in sorted((o for o in said if isinstance(o, DealFact)), key=lambda o: o.time)}
    await store.set_told(connection, source, {deal: min(at, now) for deal, at in until.items()})
    return result.accepted

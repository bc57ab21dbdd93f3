"""Notes of every deal on `pipeline.events` what has been said of it, and which deals are to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.enricher import store
from services.enricher.connections import Connection
from services.enricher.gaps import Known, after, said_by
from shared.contracts.events import DealEvent
from shared.stream import positions


async def note(
    connection: Any, records: Sequence[ConsumerRecord], connections: Mapping[str, Connection], now: datetime
) -> dict[str, set[str]]:
    """One batch, in the caller's transaction; the stages that were named in it, by source."""
    claimed = await positions.claim(connection, records)
    if not claimed:
        return {}
    said: dict[store.Deal, int] = {}
    stages: dict[str, set[str]] = {}
    for event in _events(claimed):
        if event.source in connections:
            deal = (event.source, event.deal.removeprefix(f"{event.source}:"))
            said[deal] = said.get(deal, 0) | said_by([event])
            stages.setdefault(event.source, set()).update({event.data.stage} if event.data.stage else ())
    known = await store.known(connection, sorted(said))
    found = {
        deal: after(known.get(deal, Known()), parts, connections[deal[0]].wish, now) for deal, parts in said.items()
    }
    # Most events say nothing new of their deal.
    await store.save(connection, {deal: one for deal, one in found.items() if one != known.get(deal)})
    await positions.advance(connection, claimed)
    return stages


def _events(records: Sequence[ConsumerRecord]) -> list[DealEvent]:
    """What cannot be read is in the dead letters already: the detector reads the same records."""
    found = []
    for record in records:
        try:
            found.append(DealEvent.model_validate_json(record.value or b""))
        except ValidationError:
            continue
    return found

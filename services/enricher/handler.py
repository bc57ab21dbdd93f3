"""Records which facts of each deal are known, and which deals to fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.enricher import store
from services.enricher.connections import Connection
from services.enricher.gaps import Knowledge, after, parts_of
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.runtime.clock import Clock
from shared.stream.processor import Received
from shared.stream.transaction import Transaction

# Called with a source, and stages that its deals came to.
StagesSeen = Callable[[str, set[str]], None]


class DealHandler:
    """Finds deals with gaps. Events of sources that have no connection are skipped."""

    def __init__(self, connections: Mapping[str, Connection], clock: Clock, stages_seen: StagesSeen) -> None:
        self._connections, self._clock, self._stages_seen = connections, clock, stages_seen
        self.decoders = {EVENTS: self._decode}

    async def handle(self, transaction: Transaction, messages: list[Received[DealEvent]]) -> None:
        """Record the facts of a batch; report its stages after the commit."""
        now = self._clock.now()
        parts, stages = _collect([message.message for message in messages if not self._is_to_be_fetched(message)])
        known = await store.known(transaction.connection, sorted(parts))
        found = {
            deal: after(known.get(deal, Knowledge()), new, self._connections[deal[0]].policy, now)
            for deal, new in parts.items()
        }
        # Skip unchanged rows: most events do not change the gaps.
        await store.save(transaction.connection, {deal: one for deal, one in found.items() if one != known.get(deal)})
        for source, names in stages.items():
            transaction.after_commit(partial(self._stages_seen, source, names))

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do."""

    def _decode(self, record: ConsumerRecord) -> DealEvent | None:
        """The detector reads the same topic, and dead-letters what cannot be decoded."""
        try:
            event = DealEvent.model_validate_json(record.value or b"")
        except ValidationError:
            return None
        return event if event.source in self._connections else None

    def _is_to_be_fetched(self, received: Received[DealEvent]) -> bool:
        """A merge only says where a new deal begins: where there is an API, its own history is fetched all the same."""
        event = received.message
        return event.data.merged_from is not None and self._connections[event.source].policy.has_api


def _collect(events: Sequence[DealEvent]) -> tuple[dict[store.Deal, int], dict[str, set[str]]]:
    """The parts that events give, by deal, and the stages that they name, by source."""
    parts: dict[store.Deal, int] = {}
    stages: dict[str, set[str]] = {}
    for event in events:
        deal = (event.source, event.deal.removeprefix(f"{event.source}:"))
        parts[deal] = parts.get(deal, 0) | parts_of([event])
        if event.data.into:
            # The surviving deal, about which the CRM may send nothing else.
            into = (event.source, event.data.into.removeprefix(f"{event.source}:"))
            parts.setdefault(into, 0)
        stages.setdefault(event.source, set()).update({event.data.stage} if event.data.stage else ())
    return parts, stages

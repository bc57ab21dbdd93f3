"""Writes relocks: cause classes rest on the baselines that they begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord

from services.detector.store import causes
from shared.contracts.relocks import RelockEvent
from shared.contracts.topics import RELOCKS
from shared.flow.checkpoints import BEGINNING
from shared.stream import relocks
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction


class RelockWriter:
    """Handles `flow.relocks`. A relock revises problems of any age."""

    decoders: Mapping[str, Decoder[RelockEvent]] = {RELOCKS: contract(RelockEvent)}

    async def handle(self, transaction: Transaction, messages: list[Received[RelockEvent]]) -> None:
        """Save relocks, and have cause classes found again. Any order and repetition gives the same."""
        await relocks.save(transaction.connection, [received.message.data for received in messages])
        await causes.mark(transaction.connection, BEGINNING, BEGINNING)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""

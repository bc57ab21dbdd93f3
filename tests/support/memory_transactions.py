"""Transactions in memory: positions, outbox and effects that roll back, for tests of processors and handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.publisher import OutgoingMessage
from shared.stream.positions import PositionsSetBack
from shared.stream.transaction import Transaction, Transactions


@dataclass
class Memory:
    """What is committed."""

    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    outbox: list[OutgoingMessage] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)


class MemoryTransaction(Transaction):
    """Works on `memory`, which a rollback puts back as it was."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    async def claim(
        self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int]
    ) -> list[ConsumerRecord]:
        stored = {
            TopicPartition(*p): self.memory.positions.get(p, 0) for p in {(r.topic, r.partition) for r in records}
        }
        behind = {partition: offset for partition, offset in stored.items() if offset < known.get(partition, 0)}
        if behind:
            raise PositionsSetBack(behind)
        return [r for r in records if r.offset >= self.memory.positions.get((r.topic, r.partition), 0)]

    async def advance(self, records: Sequence[ConsumerRecord]) -> None:
        self.memory.positions |= {(r.topic, r.partition): r.offset + 1 for r in records}

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        self.memory.outbox += messages

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        async with restored(self.memory):
            yield


class MemoryTransactions(Transactions):
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        transaction = MemoryTransaction(self._memory)
        async with restored(self._memory):
            yield transaction
        transaction.committed()


@asynccontextmanager
async def restored(memory: Memory) -> AsyncIterator[None]:
    """Put everything back when the block raises."""
    before = deepcopy(memory)
    try:
        yield
    except BaseException:
        memory.__dict__.update(before.__dict__)
        raise

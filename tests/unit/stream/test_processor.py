"""The Processor over transactions in memory."""

from __future__ import annotations

import pytest

from shared.stream.transaction import Transaction
from tests.support.memory_transactions import Memory, MemoryTransaction, MemoryTransactions
from tests.support.processor_suite import PREFIX, TOPIC, ProcessorRig, ProcessorSuite


class InMemory(ProcessorRig):
    def __init__(self) -> None:
        self._memory = Memory()
        self.transactions = MemoryTransactions(self._memory)

    async def apply(self, transaction: Transaction, name: str) -> None:
        assert isinstance(transaction, MemoryTransaction)
        transaction.memory.effects.append(name)

    async def effects(self) -> list[str]:
        return self._memory.effects

    async def outbox(self) -> list[tuple[str, bytes]]:
        return [(message.topic, message.value) for message in self._memory.outbox]

    async def next_offset(self) -> int:
        return self._memory.positions.get((PREFIX + TOPIC, 0), 0)


class TestInMemory(ProcessorSuite):
    @pytest.fixture
    def world(self) -> ProcessorRig:
        return InMemory()

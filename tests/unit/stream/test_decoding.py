"""While a batch of heavy records is decoded, other tasks run."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiokafka import ConsumerRecord

from shared.stream.processor import Processor
from shared.stream.transaction import Transaction
from tests.support.memory_transactions import Memory, MemoryTransactions


def slowly(record: ConsumerRecord) -> Any:
    time.sleep(0.003)
    return record.value


class SlowDecoding:
    """A handler whose records take longer to decode than a task may hold up the others."""

    decoders: ClassVar = {"things": slowly}

    async def handle(self, transaction: Transaction, messages: Any) -> None:
        """Keep nothing."""

    async def finish(self, transaction: Transaction, records: Any) -> None:
        """Nothing is left to do."""


async def test_other_tasks_run_between_heavy_records() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    records: list[Any] = [ConsumerRecord("things", 0, n, 0, 0, b"k", b"v", 0, 1, 0, ()) for n in range(20)]
    now, nothing = datetime(2026, 3, 2, tzinfo=UTC), lambda *_: None
    processor: Processor[Any] = Processor(
        MemoryTransactions(Memory()), SlowDecoding(), "", lambda _: now, nothing, nothing
    )
    running = asyncio.create_task(other())
    await processor.run(records)
    running.cancel()

    assert turns >= len(records)

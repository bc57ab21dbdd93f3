"""A batch in one transaction; where one record alone is the cause that it fails, that one is put aside.

The ordinary way costs nothing more: only a batch that failed is run again, record by record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord

from shared.bus.publisher import OutgoingMessage
from shared.runtime.log import logger
from shared.storage import outbox, positions
from shared.storage.pool import PASSING

_log = logger(__name__)
Take = Callable[[Any, Sequence[ConsumerRecord]], Awaitable[int]]
Bury = Callable[[ConsumerRecord, Exception], OutgoingMessage]
# More in one batch are no bad records but a defect of ours, or of the database.
MOST_BURIED = 10
# Of what Postgres answers, these alone can be caused by what is in a record.
_BY_VALUES = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)


async def take_batch(pool: Any, records: Sequence[ConsumerRecord], take: Take, bury: Bury) -> int:
    """`take` for all records, or for each that can be taken; the sum of what it gave.

    Raises what passes by itself, what no record causes, and what more than MOST_BURIED records of a batch cause:
    nothing of the batch is done then.
    """
    try:
        async with pool.acquire() as connection, connection.transaction():
            return await take(connection, records)
    except Exception as error:
        if not _of_a_record(error):
            raise
        _log.warning("a batch is taken record by record", error=repr(error), records=len(records))
    async with pool.acquire() as connection, connection.transaction():
        return await _one_by_one(connection, records, take, bury)


async def _one_by_one(connection: Any, records: Sequence[ConsumerRecord], take: Take, bury: Bury) -> int:
    total = buried = 0
    for record in records:
        try:
            async with connection.transaction():
                total += await take(connection, [record])
        except Exception as error:
            buried += 1
            if not _of_a_record(error) or buried > MOST_BURIED:
                raise
            _log.error("a record is put aside", place=f"{record.topic}/{record.partition}/{record.offset}")
            await _put_aside(connection, record, bury(record, error))
    return total


async def _put_aside(connection: Any, record: ConsumerRecord, letter: OutgoingMessage) -> None:
    if await positions.claim(connection, [record]):
        await outbox.put(connection, [letter])
        await positions.advance(connection, [record])


def _of_a_record(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _BY_VALUES)
    return not isinstance(error, (*PASSING, MemoryError))

"""A batch in one transaction; where single records are the cause that it fails, those are put aside.

The ordinary way costs nothing more: only a batch that failed is taken apart, in halves, down to the records that fail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import TRANSIENT
from shared.runtime.log import logger
from shared.stream import outbox, positions

_log = logger(__name__)
Take = Callable[[Any, Sequence[ConsumerRecord]], Awaitable[int]]
Bury = Callable[[ConsumerRecord, Exception], OutgoingMessage]
# As many that fail alike, and no other that passes, are more likely to meet a defect of ours.
MOST_ALIKE = 10
# The statements are the same for every record: what is too long, too large or of no such form is so in the record.
_BY_VALUE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
# Of what Postgres answers, these alone can be caused by what is in a record.
_BY_RECORDS = (*_BY_VALUE, asyncpg.IntegrityConstraintViolationError)


class NotARecordsFault(Exception):
    """What no record causes, though it is met while one is taken: the batch fails as a whole."""


async def handle_batch(
    pool: Any, records: Sequence[ConsumerRecord], take: Take, bury: Bury, again: Take | None = None
) -> int:
    """`take` for all records, or for each that can be taken; the sum of what it gave.

    `again` is `take` for a transaction in which others may have been taken before.

    A service that ends for a bad record meets it again after every restart: so any number of them is put aside. They
    are told by a metric, and can be driven again.

    Raised, with nothing of the batch done, is what would put aside what is good: what passes by itself; what no record
    causes (a missing table or column, permissions, memory); and what may be a defect of ours as well (a constraint, an
    exception of the handler), where more than MOST_ALIKE records meet the same and not one of the batch passes. A
    defect that strikes only some, or batches of a few, is found in the dead letters.
    """
    try:
        async with pool.acquire() as connection, connection.transaction():
            return await take(connection, records)
    except Exception as error:
        if not _of_a_record(error):
            raise
        _log.warning("a batch is taken apart", error=repr(error), records=len(records))
    async with pool.acquire() as connection, connection.transaction():
        apart = _Apart(connection, again or take, bury)
        await apart.take(records)
        apart.check()
        return apart.total


class _Apart:
    """A batch that failed: what can be taken of it is taken, in order, each part in a savepoint."""

    def __init__(self, connection: Any, take: Take, bury: Bury) -> None:
        self._connection, self._take, self._bury = connection, take, bury
        self._passed = False
        self._errors: list[Exception] = []
        self.total = 0

    async def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Take all, or each half by itself; one alone that fails is put aside."""
        try:
            async with self._connection.transaction():
                self.total += await self._take(self._connection, records)
            self._passed = True
            return
        except Exception as error:
            if not _of_a_record(error):
                raise
            failed = error
        middle = len(records) // 2
        if middle:
            await self.take(records[:middle])
            await self.take(records[middle:])
        else:
            await self._put_aside(records[0], failed)

    async def _put_aside(self, record: ConsumerRecord, error: Exception) -> None:
        self._errors.append(error)
        place = f"{record.topic}/{record.partition}/{record.offset}"
        _log.error("a record is put aside", place=place, error=repr(error))
        if await positions.claim(self._connection, [record]):
            await outbox.put(self._connection, [self._bury(record, error)])
            await positions.advance(self._connection, [record])

    def check(self) -> None:
        """Raise what is more likely a defect of ours, so that nothing is put aside for it."""
        alike = {(type(error), getattr(error, "constraint_name", None)) for error in self._errors}
        several = len(self._errors) > MOST_ALIKE and len(alike) == 1 and not self._passed
        if several and not isinstance(self._errors[0], _BY_VALUE):
            raise self._errors[0]


def _of_a_record(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _BY_RECORDS)
    return not isinstance(error, (*TRANSIENT, KafkaError, MemoryError, NotARecordsFault))

"""Runs batches of records through a handler, with effects exactly once, even if some records are invalid.

1. Claim: lock the partitions' positions; records that another replica has handled fall out. Where a position stands
   lower than it did, nothing is done: the consumer takes the partition up from there.
2. Decode: each record by itself; what is invalid goes to the dead letters.
3. Handle: all in one savepoint. Where that fails for what is in the records, in halves, down to the records that fail;
   those go to the dead letters.
4. Advance the positions, and commit everything together.

A batch that succeeds costs one transaction; only a failed batch is bisected, in a second transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from shared.contracts.dead import DeadReason
from shared.contracts.envelope import Envelope
from shared.postgres.pool import TRANSIENT
from shared.runtime import tracing
from shared.runtime.log import logger
from shared.runtime.validation import explain
from shared.stream import dead_letters
from shared.stream.positions import PositionsSetBack
from shared.stream.transaction import Transaction, Transactions

_log = logger(__name__)
Message = TypeVar("Message")
# After decoding for so long, other tasks run. A record takes microseconds, or with hundreds of deals milliseconds.
DECODE_SECONDS = 0.002
# More failures than this, all alike, with no other record of the batch succeeding, are more likely a defect of ours.
MAX_ALIKE = 10
# Statements are the same for every record: what is too long, too large or malformed is so in the record.
_BY_VALUE = (asyncpg.DataError, asyncpg.ProgramLimitExceededError)
# The only Postgres errors that a record's content can cause.
_BY_RECORDS = (*_BY_VALUE, asyncpg.IntegrityConstraintViolationError)


class InvalidRecord(Exception):
    """A record that is not to be handled: it goes to the dead letters."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class NotARecordsFault(Exception):
    """Met while a record was handled, but caused by none: the batch fails as a whole."""


class Received(NamedTuple, Generic[Message]):
    """A record and what was decoded from it."""

    record: ConsumerRecord
    message: Message


# From a tuple, in a third of the time that the constructor takes.
_received = partial(tuple.__new__, Received)
# Gives the message of a record, or None to skip it. Raises ValidationError or InvalidRecord.
Decoder = Callable[[ConsumerRecord], Message | None]


class Handler(Protocol[Message]):
    """What a service does with the messages of its topics.

    Promised: messages of a partition come in their order, and the effects of `handle` are committed once.
    Not promised: that `handle` is called once for a message. After a failure it is called again, in another transaction
    or for parts of the batch; so it keeps nothing of a call except in the database.
    """

    @property
    def decoders(self) -> Mapping[str, Decoder[Message]]:
        """By topic, without prefix."""

    async def handle(self, transaction: Transaction, messages: list[Received[Message]]) -> None:
        """Apply messages. The list is the handler's: it may empty it to free memory."""

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Called once before the commit, with every record of the batch, also those that were not handled."""


def contract(model: type[Envelope[Any]]) -> Callable[[ConsumerRecord], Any]:
    """A decoder of one message type."""
    # What `model_validate_json` calls, which adds a tenth to the cost of an event.
    validate = model.__pydantic_validator__.validate_json
    return lambda record: validate(record.value or b"")


class Processor(Generic[Message]):
    """Hands batches to one handler.

    `now` gives the present as of a record (of the log where that is the clock); `rejected` counts dead letters;
    `published` is called after a commit that put something into the outbox.
    """

    def __init__(
        self,
        transactions: Transactions,
        handler: Handler[Message],
        topic_prefix: str,
        now: Callable[[ConsumerRecord], datetime],
        rejected: Callable[[DeadReason], None],
        published: Callable[[], None],
    ) -> None:
        self._transactions, self._handler, self._prefix = transactions, handler, topic_prefix
        self._now, self._rejected, self._published = now, rejected, published

    async def run(self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int] | None = None) -> None:
        """Handle a batch. Any number of bad records is dead-lettered: a service that ended would meet them again.

        `known`: where the consumer has seen the stored positions of its partitions. Raises, with nothing of the batch
        done, PositionsSetBack where one stands lower, and what dead letters would be wrong for: what is transient; what
        no record causes (a missing table, permissions, memory); and what may be a defect of ours (a constraint, an
        exception of the handler) where more than MAX_ALIKE records meet the same and not one of the batch succeeds.
        """
        try:
            await self._run(records, known or {}, self._handle_all)
        except Exception as error:
            if not _caused_by_records(error):
                raise
            _log.warning("batch failed, handling its records in parts", error=repr(error), records=len(records))
            await self._run(records, known or {}, self._handle_apart)

    async def _run(
        self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int], handle: Callable[..., Any]
    ) -> None:
        with tracing.handling(self._span_name(records), (record.value for record in records)):
            await self._run_traced(records, known, handle)

    async def _run_traced(
        self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int], handle: Callable[..., Any]
    ) -> None:
        async with self._transactions.begin() as transaction:
            claimed = await transaction.claim(records, known)
            if claimed:
                messages = await self._decode(transaction, claimed)
                if messages:
                    await handle(transaction, messages)
                await transaction.advance(claimed)
            await self._handler.finish(transaction, records)
            if transaction.has_published:
                transaction.after_commit(self._published)
            transaction.after_commit(tracing.remember)

    def _span_name(self, records: Sequence[ConsumerRecord]) -> str:
        return f"handle {records[0].topic.removeprefix(self._prefix)}" if records else "handle"

    async def _handle_all(self, transaction: Transaction, messages: list[Received[Message]]) -> None:
        await self._handler.handle(transaction, messages)

    async def _handle_apart(self, transaction: Transaction, messages: list[Received[Message]]) -> None:
        bisection = _Bisection(transaction, self._handler)
        await bisection.handle(messages)
        bisection.check()
        for received, error in bisection.failed:
            await self._dead_letter(transaction, received.record, DeadReason.HANDLER, repr(error))

    async def _decode(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> list[Received[Message]]:
        messages: list[Received[Message]] = []
        decoders = {self._prefix + topic: decode for topic, decode in self._handler.decoders.items()}
        began = time.monotonic()
        for record in records:
            try:
                message = decoders[record.topic](record)
            except ValidationError as error:
                await self._dead_letter(transaction, record, reason_of(error), explain(error))
            except InvalidRecord as error:
                await self._dead_letter(transaction, record, error.reason, str(error))
            else:
                if message is not None:
                    messages.append(_received((record, message)))
            if time.monotonic() - began > DECODE_SECONDS:
                await asyncio.sleep(0)
                began = time.monotonic()
        return messages

    async def _dead_letter(
        self, transaction: Transaction, record: ConsumerRecord, reason: DeadReason, detail: str
    ) -> None:
        topic = record.topic.removeprefix(self._prefix)
        _log.warning(
            "record goes to the dead letters",
            place=f"{topic}/{record.partition}/{record.offset}",
            reason=reason.value,
            detail=detail[:300],
        )
        await transaction.publish([dead_letters.of_record(record, topic, reason, detail, self._now(record))])
        transaction.after_commit(lambda: self._rejected(reason))


class _Bisection(Generic[Message]):
    """A batch that failed: handles all that can be, in order, each part in a savepoint."""

    def __init__(self, transaction: Transaction, handler: Handler[Message]) -> None:
        self._transaction, self._handler = transaction, handler
        self._succeeded = False
        self.failed: list[tuple[Received[Message], Exception]] = []

    async def handle(self, messages: Sequence[Received[Message]]) -> None:
        """Handle all, or each half by itself; a single one that fails is noted."""
        try:
            async with self._transaction.savepoint():
                await self._handler.handle(self._transaction, list(messages))
            self._succeeded = True
            return
        except Exception as error:
            if not _caused_by_records(error):
                raise
            failed = error
        middle = len(messages) // 2
        if middle:
            await self.handle(messages[:middle])
            await self.handle(messages[middle:])
        else:
            self.failed.append((messages[0], failed))

    def check(self) -> None:
        """Raise what is more likely a defect of ours, so that good records are not dead-lettered for it."""
        errors = [error for _, error in self.failed]
        kinds = {(type(error), getattr(error, "constraint_name", None)) for error in errors}
        if len(errors) > MAX_ALIKE and len(kinds) == 1 and not self._succeeded and not isinstance(errors[0], _BY_VALUE):
            raise errors[0]


def _caused_by_records(error: Exception) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(error, _BY_RECORDS)
    return not isinstance(error, (*TRANSIENT, OSError, KafkaError, MemoryError, NotARecordsFault, PositionsSetBack))


def reason_of(error: ValidationError) -> DeadReason:
    """Why a record cannot be read."""
    is_json = not any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False))
    return DeadReason.BAD_SHAPE if is_json else DeadReason.NOT_JSON

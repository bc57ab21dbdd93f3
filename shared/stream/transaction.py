"""One transaction of a consumer: effects, messages out and positions are committed together, or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import Connection, Pool
from shared.stream import outbox, positions


class Transaction(ABC):
    """What a handler works in. `connection` runs its SQL.

    Not promised: that it commits. Effects outside of the database belong into `after_commit`.
    """

    connection: Connection

    def __init__(self) -> None:
        self._after_commit: list[Callable[[], None]] = []
        self.has_published = False

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call once the transaction is committed; never, where it or the savepoint around this call is rolled back."""
        self._after_commit.append(call)

    def committed(self) -> None:
        """The transaction is committed: run what was left for then."""
        for call in self._after_commit:
            call()

    async def publish(self, messages: Iterable[OutgoingMessage]) -> None:
        """Put messages into the outbox; the relay publishes them after the commit, in order."""
        listed = list(messages)
        if listed:
            self.has_published = True
            await self._publish(listed)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo everything inside when it raises; the transaction goes on."""
        kept = len(self._after_commit)
        try:
            async with self._savepoint():
                yield
        except BaseException:
            del self._after_commit[kept:]
            raise

    @abstractmethod
    async def claim(
        self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int]
    ) -> list[ConsumerRecord]:
        """Lock the partitions of the records, and give those that nobody has handled yet.

        `known`: where the consumer has seen their stored positions. Raises PositionsSetBack if one is lower.
        """

    @abstractmethod
    async def advance(self, records: Sequence[ConsumerRecord]) -> None:
        """Record that the claimed records are handled."""

    @abstractmethod
    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None: ...

    @abstractmethod
    def _savepoint(self) -> AbstractAsyncContextManager[object]: ...


class Transactions(ABC):
    """Opens transactions: on Postgres for services, in memory for tests."""

    @abstractmethod
    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, rolls back when it raises."""


class PostgresTransaction(Transaction):
    """On a connection that is in a transaction."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    async def claim(
        self, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int]
    ) -> list[ConsumerRecord]:
        return await positions.claim(self.connection, records, known)

    async def advance(self, records: Sequence[ConsumerRecord]) -> None:
        await positions.advance(self.connection, records)

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        await outbox.put(self.connection, messages)

    def _savepoint(self) -> AbstractAsyncContextManager[object]:
        return self.connection.transaction()


class PostgresTransactions(Transactions):
    """On the pool of a service."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                transaction = PostgresTransaction(connection)
                yield transaction
            transaction.committed()

"""The outbox: messages are written with the effects that cause them, and published afterwards, in order.

Source: the transactional outbox pattern. Rows are deleted once the broker has acknowledged them, so no cursor can skip
a transaction that commits late. One relay works at a time, so messages of one key keep their order. A message too large
for its topic moves to `outbox_refused`: no retry would help it, and all others would wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from shared.kafka.publisher import OutgoingMessage, Publisher, TooLargeError
from shared.postgres import locks
from shared.postgres.pool import TRANSIENT, Connection, Executor, Pool, Record
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import OutboxMetrics
from shared.runtime.waiting import wait_within

_log = logger(__name__)
_NEXT = "SELECT id, topic, key, value FROM outbox ORDER BY id LIMIT $1"
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_MEASURE = """
SELECT count(*) AS depth, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) AS oldest,
    (SELECT count(*) FROM outbox_refused) AS refused FROM outbox
"""
_REFUSE = """
INSERT INTO outbox_refused (id, topic, key, value, created_at, reason)
SELECT id, topic, key, value, created_at, $2 FROM outbox WHERE id = $1
"""
# How often to look for messages of processes that cannot wake this relay, such as `andon reevaluate`.
POLL_SECONDS = 5.0
# How soon to try again when another replica's relay is at work: it may have read before this one was woken.
BUSY_SECONDS = 0.05
MEASURE_SECONDS = 10.0
# While another replica's relay is at work: a message older than this shows that it is stuck.
STUCK_SECONDS = 60.0


async def put(connection: Executor, messages: Iterable[OutgoingMessage]) -> None:
    """Write messages in the transaction of the effects that cause them."""
    rows = [(message.topic, message.key, message.value) for message in messages]
    if rows:
        # COPY encodes a row at a fraction of what arrays of parameters cost in the client.
        await connection.copy_records_to_table("outbox", records=rows, columns=("topic", "key", "value"))


class Relay:
    """Empties the outbox into Kafka. Set `wake` after a commit that put something into it."""

    def __init__(
        self, pool: Pool, publisher: Publisher, metrics: OutboxMetrics, progress: Progress, batch: int = 500
    ) -> None:
        self._pool, self._publisher, self._metrics, self._progress = pool, publisher, metrics, progress
        self._batch = batch
        self.wake = asyncio.Event()
        self._measured, self._oldest_seconds = 0.0, 0.0

    async def run(self) -> None:
        """Work until cancelled. Waits while the broker or the database is unavailable."""
        self._progress.expect("relay", 60)
        while True:
            self.wake.clear()
            try:
                await self._measure_sometimes()
                published = await self.run_once()
                pause = BUSY_SECONDS if published is None else 0 if published else POLL_SECONDS
            except TRANSIENT as error:
                _log.warning("outbox waits", error=repr(error))
                pause = POLL_SECONDS
            await self._wait(pause)

    async def run_once(self) -> int | None:
        """Publish one batch; how many messages it had. None: another replica's relay is at work."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await locks.try_lock(connection, "outbox"):
                if self._oldest_seconds < STUCK_SECONDS:
                    self._progress.beat("relay")
                return None
            self._progress.beat("relay")
            rows = await connection.fetch(_NEXT, self._batch)
            if rows:
                refused = await self._publish(connection, rows)
                await connection.execute(_DELETE, [row["id"] for row in rows])
                self._metrics.published.inc(len(rows) - refused)
            return len(rows)

    async def _publish(self, connection: Connection, rows: Sequence[Record]) -> int:
        """Publish what Kafka takes; how many messages it never will."""
        try:
            await self._publisher.publish_all([_message(row) for row in rows])
            return 0
        except TooLargeError:
            # One by one, to find which. Some are published twice, which their ids make harmless.
            return sum([await self._is_refused(connection, row) for row in rows])

    async def _is_refused(self, connection: Connection, row: Record) -> bool:
        self._progress.beat("relay")
        try:
            await self._publisher.publish_all([_message(row)])
            return False
        except TooLargeError as error:
            _log.error("message too large for its topic", topic=row["topic"], id=row["id"], bytes=len(row["value"]))
            await connection.execute(_REFUSE, row["id"], str(error))
            return True

    async def _measure_sometimes(self) -> None:
        """Before each publish: also while Kafka, or another replica, keeps messages from going out."""
        if time.monotonic() - self._measured > MEASURE_SECONDS:
            self._measured = time.monotonic()
            await self.measure()

    async def measure(self) -> None:
        """Bring the gauges up to date, from the table: whichever replica publishes."""
        row = await self._pool.fetchrow(_MEASURE)
        assert row is not None  # noqa: S101 (an aggregate always has a row)
        self._metrics.depth.set(row["depth"])
        self._oldest_seconds = float(row["oldest"])
        self._metrics.oldest_seconds.set(self._oldest_seconds)
        self._metrics.refused.set(row["refused"])

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await wait_within(self.wake, seconds)


def _message(row: Record) -> OutgoingMessage:
    return OutgoingMessage(row["topic"], row["key"], row["value"])

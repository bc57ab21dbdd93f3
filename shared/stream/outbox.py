"""The outbox: messages are written with the effects that cause them, and published afterwards, in order.

Source: the transactional outbox pattern. Rows are deleted once the broker has acknowledged them, so no
cursor can skip a transaction that commits late. One relay works at a time, so messages of one key keep their order.
What is too large for its topic goes aside to `outbox_refused`: no time would mend it, and all others would wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from shared.kafka.publisher import OutgoingMessage, Publisher, TooLargeError
from shared.postgres.pool import TRANSIENT
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import OutboxMetrics

_log = logger(__name__)
_PUT = "INSERT INTO outbox (topic, key, value) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])"
_NEXT = "SELECT id, topic, key, value FROM outbox ORDER BY id LIMIT $1"
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_MEASURE = """
SELECT count(*) AS depth, coalesce(extract(epoch FROM clock_timestamp() - min(written)), 0) AS oldest,
    (SELECT count(*) FROM outbox_refused) AS refused FROM outbox
"""
_REFUSE = """
INSERT INTO outbox_refused (id, topic, key, value, written, why)
SELECT id, topic, key, value, written, $2 FROM outbox WHERE id = $1
"""
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(current_schema() || '.outbox', 0))"
IDLE_SECONDS = 0.05
MEASURE_EVERY = 5.0


async def put(connection: Any, messages: Iterable[OutgoingMessage]) -> None:
    """Write messages in the transaction of the effects that cause them."""
    listed = list(messages)
    if listed:
        await connection.execute(_PUT, [m.topic for m in listed], [m.key for m in listed], [m.value for m in listed])


class Relay:
    """Empties the outbox into Kafka. `wake` is set after a commit, so that nothing waits for the next look."""

    def __init__(
        self, pool: Any, publisher: Publisher, metrics: OutboxMetrics, progress: Progress, batch: int = 500
    ) -> None:
        self._pool, self._publisher, self._metrics, self._progress = pool, publisher, metrics, progress
        self._batch = batch
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; a broker or database that is away is waited for."""
        self._progress.expect("relay", 60)
        measured = 0.0
        while True:
            try:
                sent = await self.run_once()
                if asyncio.get_running_loop().time() - measured > MEASURE_EVERY:
                    measured = asyncio.get_running_loop().time()
                    await self.measure()
            except (*TRANSIENT, TimeoutError) as error:
                _log.warning("outbox waits", error=repr(error))
                sent = 0
                await asyncio.sleep(1)
            if not sent:
                await self._rest()

    async def run_once(self) -> int:
        """Publish one batch; how many messages it had."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_LOCK):
                self._progress.beat("relay")
                return 0
            rows = await connection.fetch(_NEXT, self._batch)
            if rows:
                refused = await self._publish(connection, rows)
                await connection.execute(_DELETE, [row["id"] for row in rows])
                self._metrics.published.inc(len(rows) - refused)
            self._progress.beat("relay")
            return len(rows)

    async def _publish(self, connection: Any, rows: Sequence[Any]) -> int:
        """Publish all that Kafka takes; how many are put aside because it never will."""
        try:
            await self._publisher.publish_all([_message(row) for row in rows])
            return 0
        except TooLargeError:
            # One by one it shows which; what was written with it is written twice, and ids make that harmless.
            return sum([await self._refuses(connection, row) for row in rows])

    async def _refuses(self, connection: Any, row: Any) -> bool:
        self._progress.beat("relay")
        try:
            await self._publisher.publish_all([_message(row)])
            return False
        except TooLargeError as error:
            _log.error("a message is put aside", topic=row["topic"], id=row["id"], bytes=len(row["value"]))
            await connection.execute(_REFUSE, row["id"], str(error))
            return True

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        row = await self._pool.fetchrow(_MEASURE)
        self._metrics.depth.set(row["depth"])
        self._metrics.oldest_seconds.set(float(row["oldest"]))
        self._metrics.refused.set(row["refused"])

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), IDLE_SECONDS)
        except TimeoutError:
            return
        self.wake.clear()


def _message(row: Any) -> OutgoingMessage:
    return OutgoingMessage(row["topic"], row["key"], row["value"])

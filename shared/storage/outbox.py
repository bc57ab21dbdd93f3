"""The outbox: messages are written with the effects that cause them, and published afterwards, in order.

Source: the transactional outbox pattern. Rows are deleted once the broker has acknowledged them, so no
cursor can skip a transaction that commits late. One relay works at a time, so messages of one key keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from shared.bus.publisher import OutgoingMessage, Publisher
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.metrics import OutboxMetrics
from shared.storage.pool import PASSING

_log = logger(__name__)
_PUT = "INSERT INTO outbox (topic, key, value) SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[])"
_NEXT = "SELECT id, topic, key, value FROM outbox ORDER BY id LIMIT $1"
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_MEASURE = """
SELECT count(*) AS depth, coalesce(extract(epoch FROM clock_timestamp() - min(written)), 0) AS oldest FROM outbox
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
            except (*PASSING, TimeoutError) as error:
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
                await self._publisher.publish_all([OutgoingMessage(r["topic"], r["key"], r["value"]) for r in rows])
                await connection.execute(_DELETE, [row["id"] for row in rows])
                self._metrics.published.inc(len(rows))
            self._progress.beat("relay")
            return len(rows)

    async def measure(self) -> None:
        """Bring the gauges up to date."""
        row = await self._pool.fetchrow(_MEASURE)
        self._metrics.depth.set(row["depth"])
        self._metrics.oldest_seconds.set(float(row["oldest"]))

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), IDLE_SECONDS)
        except TimeoutError:
            return
        self.wake.clear()

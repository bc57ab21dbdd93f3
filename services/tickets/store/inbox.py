"""SQL of the inbox: which problem messages were handled, so that a second delivery changes nothing.

A redelivery under the same offset never comes this far: `position` drops it. The inbox finds the same message under
another offset: a relay that crashed after publishing publishes again, or a truncated log is read again from its
beginning. Kafka keeps `flow.problems` without end, so ids would pile up.

Old ids are forgotten instead, and `inbox_horizon` keeps how far they reached in each partition. A record below the
horizon, both by offset and by time, was handled: partitions are handled in order. Both are checked because a truncated
log gives old offsets to new records, and a clock that was set back gives old times to new records. The time of a record
is its writer's: where that clock is ahead of ours, a record seems to be written after it was handled, by less than
`SKEW`. A record that is really new is later than the horizon by the age of ids, a day or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from shared.contracts.problems import ProblemEvent
from shared.postgres.pool import Connection, Executor
from shared.stream.processor import Received

_ADD = """
INSERT INTO inbox (id, partition, record_offset, handled_at)
SELECT DISTINCT ON (id) id, partition, record_offset, $5
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS w (id, partition, record_offset, written_ms)
WHERE NOT EXISTS (
    SELECT FROM inbox_horizon AS h WHERE h.partition = w.partition AND w.record_offset <= h.record_offset
        AND w.written_ms <= extract(epoch FROM h.handled_at + $6::interval) * 1000
)
ORDER BY id ON CONFLICT DO NOTHING RETURNING id
"""
_FORGET = """
WITH old AS (
    SELECT id FROM inbox WHERE handled_at < $1 ORDER BY handled_at LIMIT $2 FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM inbox USING old WHERE inbox.id = old.id RETURNING partition, record_offset, handled_at
), horizon AS (
    INSERT INTO inbox_horizon AS h (partition, record_offset, handled_at)
    SELECT partition, max(record_offset), max(handled_at) FROM forgotten GROUP BY partition ORDER BY partition
    ON CONFLICT (partition) DO UPDATE SET record_offset = greatest(h.record_offset, excluded.record_offset),
        handled_at = greatest(h.handled_at, excluded.handled_at)
)
SELECT count(*) FROM forgotten
"""
# How far the clocks of two machines may be apart.
SKEW = timedelta(hours=1)
# Ids to forget in one transaction: a few milliseconds.
FORGET_BATCH = 1000


async def add(connection: Connection, received: Sequence[Received[ProblemEvent]], now: datetime) -> set[str]:
    """Record that messages are handled. Returns the ids of those that were not handled before."""
    if not received:
        return set()
    records: list[ConsumerRecord] = [one.record for one in received]
    rows = await connection.fetch(
        _ADD,
        [one.message.id for one in received],
        [record.partition for record in records],
        [record.offset for record in records],
        [record.timestamp for record in records],
        now,
        SKEW,
    )
    return {row["id"] for row in rows}


async def forget(executor: Executor, before: datetime) -> int:
    """Forget a batch of ids that were handled before an instant, oldest first. Returns how many."""
    forgotten: int = await executor.fetchval(_FORGET, before, FORGET_BATCH)
    return forgotten

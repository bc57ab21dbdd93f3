"""How far a service has read its topics, stored with its effects: effect and offset are one transaction.

Source: aiokafka's documentation, "Storing Offsets Outside Kafka".
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.records import by_partition
from shared.postgres.pool import Connection, Executor, Pool

_LOAD = "SELECT topic, partition, next_offset FROM position WHERE topic = ANY($1)"
_LOCK = """
WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[]) AS w (topic, partition))
SELECT topic, partition, next_offset FROM position JOIN wanted USING (topic, partition)
ORDER BY topic, partition FOR UPDATE OF position
"""
_ENSURE = """
INSERT INTO position SELECT topic, partition, 0 FROM unnest($1::text[], $2::int[]) AS w (topic, partition)
ORDER BY topic, partition ON CONFLICT DO NOTHING
"""
_ADVANCE = """
UPDATE position AS p SET next_offset = w.next_offset
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w (topic, partition, next_offset)
WHERE p.topic = w.topic AND p.partition = w.partition
"""


_NEXT_OFFSET = "SELECT next_offset FROM position WHERE topic = $1 AND partition = $2"
_SET_BACK = """
UPDATE position SET next_offset = $4 WHERE topic = $1 AND partition = $2 AND next_offset = $3 RETURNING next_offset
"""


class StoredPositions:
    """The positions of one service in some topics, for the consumer that reads them."""

    def __init__(self, pool: Pool, topics: Sequence[str]) -> None:
        self._pool, self._topics = pool, topics

    async def load(self) -> dict[TopicPartition, int]:
        """The next offset of every partition that has one stored."""
        return await load(self._pool, self._topics)

    async def set_back(self, partition: TopicPartition, stored: int, beginning: int) -> int:
        """Set a partition back to `beginning` if it still stands at `stored`; where it stands now.

        Waits for a replica that has claimed it.
        """
        changed: int | None = await self._pool.fetchval(_SET_BACK, *partition, stored, beginning)
        if changed is not None:
            return changed
        moved_on: int = await self._pool.fetchval(_NEXT_OFFSET, *partition)
        return moved_on


async def load(connection: Executor, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """The next offset of every partition of these topics that has one stored."""
    rows = await connection.fetch(_LOAD, list(topics))
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def claim(connection: Connection, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
    """Lock the positions of the batch, and return the records that nobody has handled yet.

    The new owner of a partition may have handled records that its former owner still holds: they are left out, and the
    lock keeps the two from handling records at once. Call it in the transaction that calls `advance`.
    """
    read = by_partition(records)
    partitions = sorted(read)
    topics, numbers = [t for t, _ in partitions], [p for _, p in partitions]
    rows = await connection.fetch(_LOCK, topics, numbers)
    if len(rows) < len(partitions):
        await connection.execute(_ENSURE, topics, numbers)
        rows = await connection.fetch(_LOCK, topics, numbers)
    stored = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    if all(some[0].offset >= stored[partition] for partition, some in read.items()):
        # The usual case. Records of a partition are in order, so the first one decides.
        return list(records)
    return [record for record in records if record.offset >= stored[record.topic, record.partition]]


async def advance(connection: Connection, records: Sequence[ConsumerRecord]) -> None:
    """Record that the claimed records are handled."""
    ends = {partition: some[-1].offset + 1 for partition, some in by_partition(records).items()}
    await connection.execute(_ADVANCE, [t for t, _ in ends], [p for _, p in ends], list(ends.values()))

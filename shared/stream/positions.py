"""Where a service stands in its topics, kept with its effects: an effect and its offset are one transaction.

Source: aiokafka's documentation, "Storing Offsets Outside Kafka".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.records import by_partition

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


_STANDS = "SELECT next_offset FROM position WHERE topic = $1 AND partition = $2"
_SET_BACK = """
UPDATE position SET next_offset = $4 WHERE topic = $1 AND partition = $2 AND next_offset = $3 RETURNING next_offset
"""


class StoredPositions:
    """The positions of one service in some topics, for the consumer that reads them."""

    def __init__(self, pool: Any, topics: Sequence[str]) -> None:
        self._pool, self._topics = pool, topics

    async def load(self) -> dict[TopicPartition, int]:
        """The next offset of every partition that was read from."""
        return await load(self._pool, self._topics)

    async def set_back(self, place: TopicPartition, known: int, beginning: int) -> int:
        """Begin a partition again, where it stands as it was known to; where it stands now.

        It waits for who has claimed it. One that has moved on meanwhile is left as it is.
        """
        moved: int | None = await self._pool.fetchval(_SET_BACK, *place, known, beginning)
        return moved if moved is not None else await self._pool.fetchval(_STANDS, *place)


async def load(connection: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """The next offset of every partition that this service has read from."""
    rows = await connection.fetch(_LOAD, list(topics))
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def claim(connection: Any, records: Sequence[ConsumerRecord]) -> list[ConsumerRecord]:
    """Lock the positions of the batch and give the records that nobody has handled yet.

    A replica that has lost a partition finds its records handled by the new owner: they fall out here, and the lock
    keeps the two from working on them at once. Call inside the transaction that also calls `advance`.
    """
    read = by_partition(records)
    partitions = sorted(read)
    topics, numbers = [t for t, _ in partitions], [p for _, p in partitions]
    rows = await connection.fetch(_LOCK, topics, numbers)
    if len(rows) < len(partitions):
        await connection.execute(_ENSURE, topics, numbers)
        rows = await connection.fetch(_LOCK, topics, numbers)
    standing = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    if all(some[0].offset >= standing[place] for place, some in read.items()):
        # The usual case: those of a partition are in order.
        return list(records)
    return [record for record in records if record.offset >= standing[record.topic, record.partition]]


async def advance(connection: Any, records: Sequence[ConsumerRecord]) -> None:
    """Note that the claimed records are handled."""
    ends = {place: some[-1].offset + 1 for place, some in by_partition(records).items()}
    await connection.execute(_ADVANCE, [t for t, _ in ends], [p for _, p in ends], list(ends.values()))

"""How far a service has read its topics, stored with its effects: effect and offset are one transaction.

Source: aiokafka's documentation, "Storing Offsets Outside Kafka".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.records import by_partition, positions_of
from shared.postgres.pool import Connection, Executor, Pool

_LOAD = """
SELECT topic, partition, next_offset, last_ms, verified_offset, verified_ms FROM position WHERE topic = ANY($1)
"""
_LOCK = """
WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[]) AS w (topic, partition))
SELECT topic, partition, next_offset FROM position JOIN wanted USING (topic, partition)
ORDER BY topic, partition FOR UPDATE OF position
"""
_ENSURE = """
INSERT INTO position SELECT topic, partition, 0, 0, 0, 0 FROM unnest($1::text[], $2::int[]) AS w (topic, partition)
ORDER BY topic, partition ON CONFLICT DO NOTHING
"""
_ADVANCE = """
UPDATE position AS p SET next_offset = w.next_offset,
    last_ms = CASE WHEN p.last_ms IS NOT NULL THEN greatest(p.last_ms, w.last_ms) END,
    verified_offset = CASE WHEN p.next_offset = 0 THEN w.next_offset ELSE p.verified_offset END,
    verified_ms = CASE WHEN p.next_offset = 0 THEN greatest(p.last_ms, w.last_ms) ELSE p.verified_ms END
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS w (topic, partition, next_offset, last_ms)
WHERE p.topic = w.topic AND p.partition = w.partition
"""
_NEXT_OFFSET = "SELECT next_offset FROM position WHERE topic = $1 AND partition = $2"
_SET_BACK = """
UPDATE position SET next_offset = $4, verified_offset = $4, verified_ms = last_ms
WHERE topic = $1 AND partition = $2 AND next_offset = $3 RETURNING next_offset
"""
_VERIFY = """
UPDATE position AS p SET verified_offset = w.next_offset, verified_ms = w.last_ms
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS w (topic, partition, next_offset, last_ms)
WHERE p.topic = w.topic AND p.partition = w.partition AND w.next_offset <= p.next_offset
    AND (p.verified_offset, p.verified_ms) IS DISTINCT FROM (w.next_offset, w.last_ms)
"""


class StoredPosition(NamedTuple):
    """A stored row: the next offset, and the greatest record time before it in milliseconds (None: not known).

    `verified_offset`, `verified_ms`: both as of when the log was last found to be the one that was read.
    """

    next_offset: int
    last_ms: int | None
    verified_offset: int
    verified_ms: int | None


NOT_STORED = StoredPosition(0, 0, 0, 0)


class PositionsSetBack(Exception):
    """Rows are lower than this consumer has seen them: Postgres lost its last commits, or a log is read again.

    The records in between must be handled again, so write nothing of the batch: continue the partitions from the
    rows.
    """

    def __init__(self, rows: Mapping[TopicPartition, int]) -> None:
        super().__init__(f"stored positions were set back: {dict(rows)}")


class StoredPositions:
    """The positions of one service in some topics, for the consumer that reads them."""

    def __init__(self, pool: Pool, topics: Sequence[str]) -> None:
        self._pool, self._topics = pool, topics

    async def load(self) -> dict[TopicPartition, StoredPosition]:
        """The position of every partition that has one stored."""
        return await load(self._pool, self._topics)

    async def verify(self, found: Mapping[TopicPartition, StoredPosition]) -> None:
        """The logs were the ones that were read when these positions had been loaded."""
        await self._pool.execute(
            _VERIFY,
            [topic for topic, _ in found],
            [partition for _, partition in found],
            [position.next_offset for position in found.values()],
            [position.last_ms for position in found.values()],
        )

    async def set_back(self, partition: TopicPartition, stored: int, beginning: int) -> int:
        """Set a partition back to `beginning` if it is still at `stored`, or has no row; returns its position.

        Waits for a replica that has claimed it.
        """
        changed: int | None = await self._pool.fetchval(_SET_BACK, *partition, stored, beginning)
        if changed is not None:
            return changed
        moved_on: int | None = await self._pool.fetchval(_NEXT_OFFSET, *partition)
        return beginning if moved_on is None else moved_on


async def load(connection: Executor, topics: Sequence[str]) -> dict[TopicPartition, StoredPosition]:
    """The position of every partition of these topics that has one stored."""
    rows = await connection.fetch(_LOAD, list(topics))
    return {TopicPartition(topic, partition): StoredPosition(*position) for topic, partition, *position in rows}


async def claim(
    connection: Connection, records: Sequence[ConsumerRecord], known: Mapping[TopicPartition, int]
) -> list[ConsumerRecord]:
    """Lock the positions of the batch, and return the records that nobody has handled yet.

    `known`: where this consumer has seen each row stand. The records of a partition go on from there; a gap between
    the two is one of the log itself. Raises PositionsSetBack where a row stands lower.

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
    behind = {p: stored[p] for p in partitions if stored[p] < known.get(p, 0)}
    if behind:
        raise PositionsSetBack(behind)
    if all(some[0].offset >= stored[partition] for partition, some in read.items()):
        # The usual case. Records of a partition are in order, so the first one decides.
        return list(records)
    return [record for record in records if record.offset >= stored[record.topic, record.partition]]


async def advance(connection: Connection, records: Sequence[ConsumerRecord]) -> None:
    """Record that the claimed records are handled."""
    ends = positions_of(records)
    await connection.execute(
        _ADVANCE,
        [topic for topic, _ in ends],
        [partition for _, partition in ends],
        [end.next_offset for end in ends.values()],
        [end.last_ms for end in ends.values()],
    )

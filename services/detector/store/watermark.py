"""The watermark (judgement time): the instant up to which everything in the log has been read.

It is the least, over the partitions, of: now, where a partition is read to its end; else the time of its last applied
record. Each replica records its partitions in `progress`; the one that evaluates takes the least of all. The database's
clock bounds it: no clock that is ahead, of a replica or of a producer, moves it beyond the present.

A topic that was made anew may have fewer partitions. Those that are gone count no more once no replica has seen as many
as before for FEWER_SECONDS: the metadata of one broker or replica may be old.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.kafka.records import Position, positions_of
from shared.postgres.pool import Executor

# A fetch saw the end of the log a little before its answer was recorded.
MARGIN_MS = 50
# Many times the metadata age of a replica.
FEWER_SECONDS = 30
# `known` writes only where something changes: this runs ten times a second.
_RECORD = f"""
WITH known AS (
    UPDATE evaluation_state SET
        partitions = CASE WHEN partitions > $6 AND fewer_since IS NULL THEN partitions ELSE $6 END,
        fewer_since = CASE WHEN partitions > $6 AND fewer_since IS NULL THEN clock_timestamp() END
    WHERE $6 > 0 AND CASE
        WHEN partitions > $6 THEN fewer_since IS NULL OR clock_timestamp() - fewer_since > '{FEWER_SECONDS} s'
        ELSE partitions IS DISTINCT FROM $6 OR fewer_since IS NOT NULL
    END
)
INSERT INTO progress AS p (partition, at_end, read_at, last_at, applied)
SELECT partition, at_end, least(read_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), last_at, applied
FROM unnest($1::int[], $2::bool[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS w (partition, at_end, read_at, last_at, applied)
ON CONFLICT (partition) DO UPDATE SET at_end = excluded.at_end, read_at = greatest(p.read_at, excluded.read_at),
    last_at = greatest(p.last_at, excluded.last_at), applied = greatest(p.applied, excluded.applied)
"""
_READ = """
SELECT partition, at_end, read_at, last_at, applied FROM progress
WHERE partition < (SELECT partitions FROM evaluation_state)
"""
_BOUND = "UPDATE progress SET read_at = least(read_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
_PARTITIONS = "SELECT partitions FROM evaluation_state"


class ClockKind(StrEnum):
    """`wall`: live. `log`: for replays; now is the time of the last record in the log."""

    WALL = "wall"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is applied, in microseconds.

    `read_at`: now where it is read to its end, else the time of its last applied record. `last_at`: the greatest time
    of its applied records. `applied`: when a batch of it was last applied, by the wall clock; 0 for never.
    """

    partition: int
    at_end: bool
    read_at: int
    last_at: int
    applied: int = 0


def standings(
    kafka: AIOKafkaConsumer | None,
    handled: Mapping[TopicPartition, Position],
    records: Sequence[ConsumerRecord] = (),
    ahead: timedelta = timedelta(0),
) -> list[Standing]:
    """How far this replica's partitions are applied; with `records`: how far they will be after that batch.

    `ahead`: by how much the database's clock is ahead of ours.
    """
    shift = ahead // timedelta(microseconds=1)
    now = time.time_ns() // 1000 + shift if records else 0
    positions = positions_of(records) if records else dict(handled)
    if kafka is None:
        return []
    mine = kafka.assignment()
    found = []
    for partition, position in positions.items():
        end = kafka.highwater(partition) if partition in mine else None
        if end is not None and (polled := kafka.last_poll_timestamp(partition)) is not None:
            at_end = position.next_offset >= end
            last_at = position.last_ms * 1000
            read_at = (polled - MARGIN_MS) * 1000 + shift if at_end else last_at
            found.append(Standing(partition.partition, at_end, read_at, last_at, now))
    return found


async def record(connection: Executor, standings: Sequence[Standing], partitions: int = 0) -> None:
    """Save how far partitions are applied, and how many the topic has (0: not known). No instant decreases."""
    rows = sorted(standings, key=lambda s: s.partition)
    await connection.execute(
        _RECORD,
        [s.partition for s in rows],
        [s.at_end for s in rows],
        [s.read_at for s in rows],
        [s.last_at for s in rows],
        [s.applied for s in rows],
        partitions,
    )


async def bound(connection: Executor) -> None:
    """Set back progress beyond the present: the database's clock was ahead."""
    await connection.execute(_BOUND)


async def current_watermark(connection: Executor, kind: ClockKind) -> int | None:
    """The instant up to which to evaluate, in microseconds; None until every partition has been seen."""
    rows = [Standing(*row) for row in await connection.fetch(_READ)]
    partitions = await connection.fetchval(_PARTITIONS)
    if partitions is None or len(rows) < partitions:
        return None
    if kind is ClockKind.WALL:
        return min(row.read_at for row in rows)
    everything_read = all(row.at_end for row in rows) and min(r.read_at for r in rows) > max(r.applied for r in rows)
    # A partition whose replica has gone may hold more than that replica knew of. So each counts up to its own last
    # record, until all have been seen at their ends after the last batch.
    return max(row.last_at for row in rows) if everything_read else min(row.last_at for row in rows)

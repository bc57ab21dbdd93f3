"""The watermark (judgement time): the instant up to which everything in the log has been read.

It is the least, over the partitions, of: now, where a partition is read to its end; else the time of its last applied
record. Each replica records its partitions in `progress`; the one that evaluates takes the least of all. The database's
clock bounds it: no clock that is ahead, of a replica or of a producer, moves it beyond the present.

A topic that was made anew may have fewer partitions. Those that are gone count no more once no replica has seen as many
as before for FEWER_SECONDS: the metadata of one broker or replica may be old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka.records import Position, positions_of
from shared.postgres.pool import Executor
from shared.runtime.clock import ClockKind
from shared.stream.log_ends import LogEnd

# Many times the metadata age of a replica.
FEWER_SECONDS = 30
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
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
SELECT partition, at_end, least(read_at, {_NOW}), last_at, CASE WHEN $5 THEN {_NOW} ELSE 0 END
FROM unnest($1::int[], $2::bool[], $3::bigint[], $4::bigint[]) AS w (partition, at_end, read_at, last_at)
ON CONFLICT (partition) DO UPDATE SET at_end = excluded.at_end, read_at = greatest(p.read_at, excluded.read_at),
    last_at = greatest(p.last_at, excluded.last_at), applied = greatest(p.applied, excluded.applied)
"""
_READ = """
SELECT e.partitions, p.partition, p.at_end, p.read_at, p.last_at, p.applied
FROM evaluation_state AS e JOIN progress AS p ON p.partition < e.partitions
"""
_BOUND = f"UPDATE progress SET read_at = least(read_at, {_NOW})"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is applied, in microseconds.

    `read_at`: now where it is read to its end, else the time of its last applied record. `last_at`: the greatest time
    of its applied records. `applied`: when a batch of it was last applied, by the database's clock; 0 for never.
    """

    partition: int
    at_end: bool
    read_at: int
    last_at: int
    applied: int = 0


def standings(
    ends: Mapping[TopicPartition, LogEnd],
    handled: Mapping[TopicPartition, Position],
    records: Sequence[ConsumerRecord] = (),
    ahead: timedelta = timedelta(0),
) -> list[Standing]:
    """How far this replica's partitions are applied; with `records`: how far they will be after that batch.

    `ends`: where the logs of its partitions end. `ahead`: by how much the database's clock is ahead of ours, at least.
    """
    found = []
    for partition, position in (positions_of(records) if records else handled).items():
        if partition in ends:
            end, seen_ms = ends[partition]
            at_end, last_at = False, position.last_ms * 1000
            read_at = last_at
            if seen_ms is not None and position.next_offset >= end:
                at_end, read_at = True, seen_ms * 1000 + ahead // timedelta(microseconds=1)
            found.append(Standing(partition.partition, at_end, read_at, last_at))
    return found


async def record(
    connection: Executor, standings: Sequence[Standing], partitions: int = 0, applied: bool = False
) -> None:
    """Save how far partitions are applied, and how many the topic has (0: not known). No instant decreases.

    `applied`: whether the transaction applies a batch of them.
    """
    rows = sorted(standings, key=lambda s: s.partition)
    await connection.execute(
        _RECORD,
        [s.partition for s in rows],
        [s.at_end for s in rows],
        [s.read_at for s in rows],
        [s.last_at for s in rows],
        applied,
        partitions,
    )


async def database_now(executor: Executor) -> int:
    """The present by the database's clock, in microseconds."""
    return int(await executor.fetchval(f"SELECT {_NOW}"))


async def bound(connection: Executor) -> None:
    """Set back progress beyond the present: the database's clock was ahead."""
    await connection.execute(_BOUND)


async def current_watermark(connection: Executor, kind: ClockKind) -> int | None:
    """The instant up to which to evaluate, in microseconds.

    None while a partition is not known: no replica has read a record of it or seen its end. It may hold anything.
    """
    found = await connection.fetch(_READ)
    if not found or len(found) < found[0]["partitions"]:
        return None
    rows = [Standing(*standing) for _, *standing in found]
    if kind is ClockKind.WALL:
        return min(row.read_at for row in rows) or None
    everything_read = all(row.at_end for row in rows) and min(r.read_at for r in rows) > max(r.applied for r in rows)
    # A partition whose replica has gone may hold more than that replica knew of. So each counts up to its own last
    # record, until all have been seen at their ends after the last batch.
    return (max(row.last_at for row in rows) if everything_read else min(row.last_at for row in rows)) or None

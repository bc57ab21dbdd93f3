"""Judgement time: the instant up to which everything that the log held has been read.

It is the least, over the partitions, of: now, where a partition is read to its end; else the time of its next unread
record. What a replica knows of its partitions it writes to `progress`; whoever judges takes the least of all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka import ConsumerRecord

from shared.kafka.records import Position, positions_of

# What a fetch saw of the log's end is a little older than the moment at which its answer was noted.
MARGIN_MS = 50
_NOTE = """
INSERT INTO progress AS p (partition, at_end, read_at, last_at, applied)
SELECT * FROM unnest($1::int[], $2::bool[], $3::bigint[], $4::bigint[], $5::bigint[])
ON CONFLICT (partition) DO UPDATE SET at_end = excluded.at_end, read_at = greatest(p.read_at, excluded.read_at),
    last_at = greatest(p.last_at, excluded.last_at), applied = greatest(p.applied, excluded.applied)
"""
_READ = "SELECT partition, at_end, read_at, last_at, applied FROM progress"
_COUNTED = "UPDATE judgement SET partitions = $1 WHERE coalesce(partitions, 0) < $1"
_COUNT = "SELECT partitions FROM judgement"


class ClockKind(StrEnum):
    """`wall`: live. `log`: replays; the records' own times stand for now, and the end of the log is its last."""

    WALL = "wall"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is applied, in microseconds.

    `read_at`: now where it is read to its end, else its last applied record's time. `last_at`: the greatest time of its
    applied records. `applied`: when, by the wall, a batch of it was applied; 0 where nothing was.
    """

    partition: int
    at_end: bool
    read_at: int
    last_at: int
    applied: int = 0


def standings(kafka: Any, handled: dict[Any, Position], records: Sequence[ConsumerRecord] = ()) -> list[Standing]:
    """Where this replica's partitions stand; with `records`, as they will when that batch is applied."""
    now = time.time_ns() // 1000 if records else 0
    places = positions_of(records) if records else dict(handled)
    mine = kafka.assignment() if kafka is not None else ()
    found = []
    for partition, place in places.items():
        end = kafka.highwater(partition) if partition in mine else None
        if end is not None and (polled := kafka.last_poll_timestamp(partition)) is not None:
            at_end = place.next_offset >= end
            read_ms = polled - MARGIN_MS if at_end else place.last_ms
            found.append(Standing(partition.partition, at_end, read_ms * 1000, place.last_ms * 1000, now))
    return found


async def note(connection: Any, standings: Sequence[Standing]) -> None:
    """Write what is known; an instant never goes back."""
    rows = sorted(standings, key=lambda s: s.partition)
    await connection.execute(
        _NOTE,
        [s.partition for s in rows],
        [s.at_end for s in rows],
        [s.read_at for s in rows],
        [s.last_at for s in rows],
        [s.applied for s in rows],
    )


async def counted(connection: Any, partitions: int) -> None:
    """So many partitions there are; they never become fewer."""
    await connection.execute(_COUNTED, partitions)


async def judgement_time(connection: Any, kind: ClockKind) -> int | None:
    """The instant up to which may be judged; None until every partition has been seen."""
    rows = [Standing(*row) for row in await connection.fetch(_READ)]
    partitions = await connection.fetchval(_COUNT)
    if partitions is None or len(rows) < partitions:
        return None
    if kind is ClockKind.WALL:
        return min(row.read_at for row in rows)
    everything_read = all(row.at_end for row in rows) and min(r.read_at for r in rows) > max(r.applied for r in rows)
    # A partition whose owner has gone may hold more than it knew of: until all have been seen at their ends after
    # the last batch, each stands at its own last record.
    return max(row.last_at for row in rows) if everything_read else min(row.last_at for row in rows)

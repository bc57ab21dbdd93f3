"""Records by partition, and how far they go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition

_PARTITION, _TIMESTAMP = attrgetter("topic", "partition"), attrgetter("timestamp")


def partitions_of(records: Iterable[ConsumerRecord]) -> set[TopicPartition]:
    """The partitions that have any of these records."""
    return {TopicPartition(*partition) for partition in set(map(_PARTITION, records))}


def by_partition(records: Iterable[ConsumerRecord]) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Group records by partition, in order. Fetches return runs of one partition, so grouping by run is cheap."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    for partition, run in groupby(records, _PARTITION):
        found.setdefault(TopicPartition(*partition), []).extend(run)
    return found


class Position(NamedTuple):
    """How far a partition is handled: the next offset, and the greatest record time (0: none since the start)."""

    next_offset: int
    last_ms: int


def positions_of(records: Sequence[ConsumerRecord]) -> dict[TopicPartition, Position]:
    """How far these records go. Those of a partition are in order, so its last one has the greatest offset."""
    return {
        partition: Position(some[-1].offset + 1, max(map(_TIMESTAMP, some)))
        for partition, some in by_partition(records).items()
    }

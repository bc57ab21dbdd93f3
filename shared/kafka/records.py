"""Records by the partition that they lie in."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from aiokafka import ConsumerRecord, TopicPartition

_PLACE = attrgetter("topic", "partition")


def by_partition(records: Iterable[ConsumerRecord]) -> dict[TopicPartition, list[ConsumerRecord]]:
    """The records of each partition, in their order. They come in runs, so that most cost no look of their own."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    for place, run in groupby(records, _PLACE):
        found.setdefault(TopicPartition(*place), []).extend(run)
    return found

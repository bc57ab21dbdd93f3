"""Where the log of each partition ends, and up to what time nothing was written beyond that end.

aiokafka stamps a fetch when it handles the answer. A process that was frozen (stopped, paused, starved) may do so long
after the broker answered, so the stamp does not tell when the log ended there. But aiokafka has only one fetch in
flight for each broker: it sent this fetch after it had handled the one before. The answer therefore shows everything
that was written up to the stamp before.

Not covered: while its leader moves, a partition may have a fetch in flight at both brokers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition


class LogEnd(NamedTuple):
    """The next offset of a log, and up to when nothing was written there, in milliseconds (None: not known)."""

    offset: int
    seen_ms: int | None


class FetchStamps:
    """The last two stamps of each partition's fetches."""

    def __init__(self) -> None:
        self._stamps: dict[TopicPartition, tuple[int | None, int]] = {}

    def sent_after(self, partition: TopicPartition, stamp: int) -> int | None:
        """A time before the fetch with this stamp was sent; None before the second fetch, and after a step back.

        Fetches in between that were not observed only make it earlier.
        """
        before, last = self._stamps.get(partition, (None, stamp))
        if stamp != last:
            before, last = last, stamp
        self._stamps[partition] = before, last
        return before if before is not None and before < last else None


class LogEnds:
    """Reads the ends that aiokafka knows. Call `observe` often: `seen_ms` lags by the time between calls."""

    def __init__(self, kafka: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._kafka, self._stamps = kafka, FetchStamps()

    def observe(self) -> dict[TopicPartition, LogEnd]:
        """The end of each assigned partition that has been fetched."""
        kafka = self._kafka()
        if kafka is None:
            return {}
        found = {}
        for partition in kafka.assignment():
            offset, stamp = kafka.highwater(partition), kafka.last_poll_timestamp(partition)
            if offset is not None and stamp is not None:
                found[partition] = LogEnd(offset, self._stamps.sent_after(partition, stamp))
        return found

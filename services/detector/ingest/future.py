"""Rejects times in the future: they come from a wrong clock, and would count only when they are reached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from shared.contracts.dead import DeadReason
from shared.stream.processor import InvalidRecord

AHEAD = timedelta(minutes=5)


class FutureCheck:
    """`now` tells the present as of a record; for a later record it is never earlier."""

    def __init__(self, now: Callable[[ConsumerRecord], datetime]) -> None:
        self._now = now
        # The present as of a record with this timestamp. Most times lie before it, which saves asking the clock.
        self._timestamp: int | None = None
        self._past: datetime | None = None

    def check(self, record: ConsumerRecord, time: datetime) -> None:
        """Raises InvalidRecord for a time more than five minutes ahead of the record."""
        if self._past is not None and time <= self._past and record.timestamp >= (self._timestamp or 0):
            return
        self._timestamp, self._past = record.timestamp, self._now(record)
        if time > self._past + AHEAD:
            raise InvalidRecord(
                DeadReason.IN_THE_FUTURE,
                f"time {time.isoformat()} is more than five minutes in the future; correct the sender's clock",
            )

"""Rejects times in the future: they come from a wrong clock, and would count only when they are reached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from shared.contracts.dead import DeadReason
from shared.stream.processor import InvalidRecord

AHEAD = timedelta(minutes=5)


class FutureCheck:
    """`now` tells the present as of a record. It is asked each time: our own clock may be set back."""

    def __init__(self, now: Callable[[ConsumerRecord], datetime]) -> None:
        self._now = now

    def check(self, record: ConsumerRecord, time: datetime) -> None:
        """Raises InvalidRecord for a time more than five minutes ahead of the record."""
        if time > self._now(record) + AHEAD:
            raise InvalidRecord(
                DeadReason.IN_THE_FUTURE,
                f"time {time.isoformat()} is more than five minutes in the future; correct the sender's clock",
            )

"""Rejects times in the future: they come from a wrong clock, and would count only when they are reached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord

from shared.contracts.dead import DeadReason
from shared.stream.processor import InvalidRecord

AHEAD = timedelta(minutes=5)


class FutureCheck:
    """`now` gives the present as of a record. Where it is the same for all, one answer serves for `reuse` records.

    For no more than that: our own clock may be set back.
    """

    def __init__(self, now: Callable[[ConsumerRecord], datetime], reuse: int = 1) -> None:
        self._now, self._reuse, self._left = now, reuse, 0
        self._past = datetime.min.replace(tzinfo=UTC)

    def check(self, record: ConsumerRecord, time: datetime) -> None:
        """Raises InvalidRecord for a time more than five minutes ahead of the record."""
        if not self._left:
            self._past, self._left = self._now(record), self._reuse
        self._left -= 1
        if time > self._past and time > self._now(record) + AHEAD:
            raise InvalidRecord(
                DeadReason.IN_THE_FUTURE,
                f"time {time.isoformat()} is more than five minutes in the future; correct the sender's clock",
            )

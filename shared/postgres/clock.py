"""The database's clock: one for all replicas, independent of the clocks of their machines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.log import logger

_log = logger(__name__)
MEASURE_SECONDS = 10.0
# A slower answer is too imprecise.
MAX_ROUND_TRIP_SECONDS = 1.0
SAMPLES = 3


class DatabaseClock:
    """A `Clock` that continues from the database's last answer by the monotonic clock, so steps of ours do not show.

    It lags by up to the round trip and is never ahead: a replica must not claim to have read up to a time that has not
    come. Before the first measurement it is the machine's clock.
    """

    def __init__(self, pool: Pool, monotonic: Callable[[], float] = time.monotonic, samples: int = SAMPLES) -> None:
        self._pool, self._monotonic, self._samples = pool, monotonic, samples
        self._zero: datetime | None = None

    def now(self) -> datetime:
        if self._zero is None:
            return datetime.now(UTC)
        return self._zero + timedelta(seconds=self._monotonic())

    @property
    def ahead(self) -> timedelta:
        """By how much the database's clock is ahead of the machine's, at least."""
        return self.now() - datetime.now(UTC)

    async def measure(self) -> None:
        """Ask the database a few times; the quickest answer counts, as it lags least."""
        took, zero = min([await self._ask() for _ in range(self._samples)])
        if self._zero is None or took <= MAX_ROUND_TRIP_SECONDS:
            self._zero = zero

    async def _ask(self) -> tuple[float, datetime]:
        """The seconds of a round trip, and when the monotonic clock was at zero."""
        before = self._monotonic()
        answer: datetime = await self._pool.fetchval("SELECT clock_timestamp()")
        after = self._monotonic()
        return after - before, answer - timedelta(seconds=after)

    async def run(self) -> None:
        """Measure from time to time until cancelled. Goes on by itself while the database is unavailable."""
        while True:
            try:
                await self.measure()
            except TRANSIENT as error:
                _log.warning("clock not compared: database unavailable", error=repr(error))
            await asyncio.sleep(MEASURE_SECONDS)

"""Deletes what is old, in small batches, so that no table only grows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from shared.postgres.pool import TRANSIENT
from shared.runtime.clock import Clock
from shared.runtime.log import logger

_log = logger(__name__)
# Deletes up to `limit` rows from before a time; returns how many it found.
Prune = Callable[[datetime, int], Awaitable[int]]


class Retention:
    """One loop. `keep`: the age from which rows are deleted; replicas may run it at once."""

    def __init__(
        self, prune: Prune, keep: timedelta, clock: Clock, batch: int = 500, interval_seconds: float = 3600.0
    ) -> None:
        self._prune, self._keep, self._clock = prune, keep, clock
        self._batch, self._interval = batch, interval_seconds

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            try:
                deleted = await self.run_once()
                if deleted:
                    _log.info("old rows deleted", rows=deleted)
            except TRANSIENT as error:
                _log.warning("old rows stay: database unavailable", error=repr(error))
            await asyncio.sleep(self._interval)

    async def run_once(self) -> int:
        """Delete all that is old enough; how many rows. Other tasks run between the batches."""
        before, total = self._clock.now() - self._keep, 0
        while found := await self._prune(before, self._batch):
            total += found
            await asyncio.sleep(0)
        return total

"""Paces loops that work on a backlog in portions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class WorkShare:
    """Rests a loop between portions of work.

    A loop with a backlog works for at most `share` of the time; without one it runs every `seconds`, which is also its
    longest rest. Work is measured from the end of one rest to the beginning of the next.
    """

    def __init__(self, share: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_per_work, self._seconds, self._clock = 1 / share - 1, seconds, clock
        self._began = clock()

    async def rest(self, has_backlog: bool) -> None:
        """Rest in proportion to the work that was just done, or for the whole interval."""
        await asyncio.sleep(self.rest_seconds(has_backlog))
        self._began = self._clock()

    def rest_seconds(self, has_backlog: bool) -> float:
        """How long to rest now."""
        worked = self._clock() - self._began
        return min(worked * self._rest_per_work, self._seconds) if has_backlog else self._seconds

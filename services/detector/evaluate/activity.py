"""Paces loops: at once when events have come in, seldom while nothing happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

IDLE_SECONDS = 1.0
LINGER_SECONDS = 2.0
# The interval of loops while events come in, where nothing wakes them.
USUAL_SECONDS = 0.1
# The least time between two runs of a loop.
LEAST_SECONDS = 0.02
# A loop that is woken all the time rests for this many times as long as its last run took: it works for a quarter of
# the time, until the usual interval is reached.
REST_PER_WORK = 3.0


class Activity:
    """Whether batches are being handled, here or in another replica.

    A `mark` wakes the loops that rest, and keeps all at their usual interval for LINGER_SECONDS. Without one they run
    once every `idle_seconds`.
    """

    def __init__(
        self,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle, self._clock = idle_seconds, clock
        self._until = clock() + LINGER_SECONDS
        self._marked = asyncio.Event()
        self.marks = 0

    def mark(self) -> None:
        """A batch was committed, or another replica reports one."""
        self.marks += 1
        self._until = self._clock() + LINGER_SECONDS
        # Wakes every loop that waits at this moment; one that does not will see `marks`.
        self._marked.set()
        self._marked.clear()

    async def wait(self, seen: int, usual_seconds: float, rested: float) -> None:
        """Wait for a mark after those `seen`; without one until the interval is over, of which `rested` has passed."""
        seconds = usual_seconds if self._clock() < self._until else max(usual_seconds, self._idle)
        if self.marks == seen and seconds > rested:
            # `wait_for` would begin to wait a turn of the loop later, and miss a mark in between.
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds - rested):
                    await self._marked.wait()


class Turns:
    """The turns of one loop: each begins with `begin`, and ends with `rest`."""

    def __init__(
        self,
        activity: Activity,
        least_seconds: float = LEAST_SECONDS,
        usual_seconds: float = USUAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._activity, self._clock = activity, clock
        self._least, self._usual = least_seconds, max(least_seconds, usual_seconds)
        self._seen, self._began = activity.marks, clock()

    def begin(self) -> bool:
        """Begin to work. Returns whether there was a mark since the last turn began."""
        before, self._seen = self._seen, self._activity.marks
        self._began = self._clock()
        return self._seen != before

    async def rest(self) -> None:
        """Rest in proportion to the work, then until a mark that came since the turn began, or the usual interval."""
        worked = self._clock() - self._began
        rested = max(self._least, min(worked * REST_PER_WORK, self._usual))
        await asyncio.sleep(rested)
        await self._activity.wait(self._seen, self._usual, rested)

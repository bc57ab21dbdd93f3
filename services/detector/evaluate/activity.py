"""Paces loops: often while events come in, seldom while nothing happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

IDLE_SECONDS = 1.0
LINGER_SECONDS = 2.0


class Activity:
    """Whether batches are being handled, here or in another replica.

    After a `mark`, loops that rest wake at once, and all keep their own short interval for LINGER_SECONDS. Without
    one they run once every `idle_seconds`.
    """

    def __init__(
        self,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle, self._clock = idle_seconds, clock
        self._until = clock() + LINGER_SECONDS
        self._marked = asyncio.Event()

    def mark(self) -> None:
        """A batch was committed, or another replica reports one."""
        self._until = self._clock() + LINGER_SECONDS
        # Wakes every loop that waits at this moment; one that does not will see `_until`.
        self._marked.set()
        self._marked.clear()

    async def rest(self, seconds: float) -> None:
        """Rest for `seconds` while active; else until the next mark, or the end of the idle interval."""
        await asyncio.sleep(seconds)
        idle = self._idle - seconds
        if idle > 0 and self._clock() >= self._until:
            # `wait_for` would begin to wait a turn of the loop later, and miss a mark in between.
            with suppress(TimeoutError):
                async with asyncio.timeout(idle):
                    await self._marked.wait()

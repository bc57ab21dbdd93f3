"""Ends a process that is stuck, so that it is restarted: Compose restarts what has ended, never what is unhealthy."""

from __future__ import annotations

import asyncio
import faulthandler
import time
from collections.abc import Callable

from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress

LOOK_SECONDS = 5.0
_STDERR = 2


class LoopStuck(Exception):
    """Loops made no progress for too long, although every server answered; names them."""


class StuckWatch:
    """Raises LoopStuck for a loop that stays stuck, and ends the process with its stacks where the event loop does.

    `limit_seconds`: how long a loop may be stuck beyond its own limit, or the event loop stand still. While a server
    does not answer nothing counts: waiting for it is no fault, and a restart would not help.
    """

    def __init__(
        self,
        progress: Progress,
        dependencies: Dependencies,
        limit_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._dependencies = progress, dependencies
        self._limit_seconds, self._monotonic = limit_seconds, monotonic
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                # A timer outside of Python, which this loop has to set back again and again.
                faulthandler.dump_traceback_later(self._limit_seconds, exit=True, file=_STDERR)
                self.check()
                await asyncio.sleep(min(LOOK_SECONDS, self._limit_seconds / 2))
        finally:
            faulthandler.cancel_dump_traceback_later()

    def check(self) -> None:
        """Look once. Raises LoopStuck."""
        stuck = {} if self._dependencies.unavailable() else self._progress.stuck()
        now = self._monotonic()
        self._since = {loop: self._since.get(loop, now) for loop in stuck}
        ended = [loop for loop, since in self._since.items() if now - since >= self._limit_seconds]
        if ended:
            raise LoopStuck("; ".join(f"{loop}: {stuck[loop]}" for loop in ended))

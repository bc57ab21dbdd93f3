"""How long the event loop keeps tasks waiting that could run."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry, Histogram

INTERVAL_SECONDS = 0.5
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class LoopDelay:
    """Sleeps again and again, and observes how late it wakes up: that late is every other task, too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delay = Histogram(
            "andon_event_loop_delay_seconds",
            "How much later than asked for a task woke up, twice a second. Of a replica: aggregate by sum.",
            buckets=SECONDS,
            registry=registry,
        )

    async def run(self) -> None:
        """Observe until cancelled."""
        while True:
            due = time.monotonic() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self._delay.observe(max(0.0, time.monotonic() - due))

"""The loop of evaluations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.analyst.evaluate.evaluator import ChartEvaluator
from services.analyst.evaluate.silences import SilenceEvaluator
from services.analyst.metrics import AnalystMetrics
from services.analyst.publish.signals import SignalPublisher
from services.analyst.store import problems
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.waiting import wait_within

_log = logger(__name__)
PART = "evaluation"
# How often to look for charts that a crashed replica left.
POLL_SECONDS = 10.0
# While another replica evaluates.
BUSY_SECONDS = 1.0


class ChartEvaluationLoop:
    """Evaluates when woken. `published` is called after an evaluation that published something."""

    def __init__(
        self,
        pool: Pool,
        evaluator: ChartEvaluator,
        silences: SilenceEvaluator,
        signals: SignalPublisher,
        metrics: AnalystMetrics,
        progress: Progress,
        clock: Clock,
        published: Callable[[], None],
    ) -> None:
        self._pool, self._evaluator, self._silences = pool, evaluator, silences
        self._signals, self._metrics = signals, metrics
        self._progress, self._clock, self._published = progress, clock, published
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        self._progress.expect(PART, 120)
        while True:
            self.wake.clear()
            pause = POLL_SECONDS
            try:
                pause = BUSY_SECONDS if await self.run_once() is None else POLL_SECONDS
                await self._publish_charts()
                await self.measure()
            except TRANSIENT as error:
                _log.warning("evaluation postponed: database unavailable", error=repr(error))
            await wait_within(self.wake, pause)

    async def run_once(self) -> int | None:
        """Evaluate what changed. None: another replica does."""
        with self._metrics.seconds.time():
            async with self._pool.acquire() as connection, connection.transaction():
                now = self._clock.now()
                count = await self._evaluator.evaluate(connection, now)
                if count is not None:
                    count += await self._silences.evaluate(connection, now)
        self._progress.beat(PART)
        if count:
            self._metrics.messages.inc(count)
            _log.info("problems published", messages=count)
            self._published()
        return count

    async def measure(self) -> None:
        """Show since when problems are open."""
        self._metrics.problem_open.replace(await problems.open_since(self._pool))

    async def _publish_charts(self) -> None:
        """Publish until none are left, or something must be evaluated: problems come first."""
        is_left = True
        while is_left and not self.wake.is_set():
            is_left = await self.publish_signals() is not None

    async def publish_signals(self) -> int | None:
        """Publish some of the charts that may have changed; returns how many. None: none are left."""
        async with self._pool.acquire() as connection, connection.transaction():
            count = await self._signals.publish_some(connection)
        self._progress.beat(PART)
        if count:
            self._metrics.charts.inc(count)
            self._published()
        return count

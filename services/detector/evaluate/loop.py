"""The loops of evaluation: one advances the watermark, one evaluates up to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.detector.evaluate.activity import Activity
from services.detector.evaluate.evaluator import Evaluator, PassResult
from services.detector.metrics import DetectorMetrics
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation, watermark
from services.detector.store.stages import StageMapCache
from services.detector.store.watermark import ClockKind
from shared.contracts.topics import EVENTS
from shared.postgres.clock import DatabaseClock
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import Clock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.stream.consumer import Consumer

_log = logger(__name__)
PART = "evaluation"
STANDING_SECONDS = 0.1
CATCHING_UP_SECONDS = 10.0
# While another replica evaluates: a watermark that stands still for longer shows that it is stuck.
KEEPS_UP_SECONDS = 60.0


class WatermarkLoop:
    """Records how far this replica's partitions are read. One that is read to its end stands at now, also when idle."""

    def __init__(
        self, pool: Pool, consumer: Consumer, settings: DetectorSettings, activity: Activity, clock: DatabaseClock
    ) -> None:
        self._pool, self._consumer, self._activity, self._clock = pool, consumer, activity, clock
        self._topic = settings.topic(EVENTS)

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        while True:
            try:
                await self.run_once()
            except TRANSIENT as error:
                _log.warning("watermark not recorded: database unavailable", error=repr(error))
            await self._activity.rest(STANDING_SECONDS)

    async def run_once(self) -> None:
        """Record once."""
        standings = watermark.standings(self._consumer.kafka, self._consumer.handled, ahead=self._clock.ahead)
        partitions = self._consumer.partitions(self._topic)
        if standings or partitions:
            # The number each time: the database may have gone back to before it knew.
            await watermark.record(self._pool, standings, partitions)


class EvaluationLoop:
    """Runs passes of the evaluator. `published` is called after a pass that published something.

    `backlog` tells how many records this replica has still to handle: it evaluates less often while they are many,
    because they would change what was found.
    """

    def __init__(
        self,
        pool: Pool,
        evaluator: Evaluator,
        stage_maps: StageMapCache,
        settings: DetectorSettings,
        metrics: DetectorMetrics,
        progress: Progress,
        activity: Activity,
        clock: Clock,
        backlog: Callable[[], int],
        published: Callable[[], None],
    ) -> None:
        self._pool, self._evaluator, self._stage_maps, self._settings = pool, evaluator, stage_maps, settings
        self._metrics, self._progress, self._activity, self._clock = metrics, progress, activity, clock
        self._backlog, self._published = backlog, published
        self._reached: int | None = None

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        self._progress.expect(PART, 60)
        while True:
            try:
                await self.run_once()
            except TRANSIENT as error:
                _log.warning("evaluation postponed: database unavailable", error=repr(error))
                await asyncio.sleep(1)
            await self._activity.rest(self._settings.detector_pass_seconds)
            await self._catch_up()

    async def run_once(self) -> None:
        """One pass. Raises OtherPolicyError, with nothing of it done, where another policy is in force."""
        now = self._clock.now()
        with self._metrics.pass_seconds.time():
            async with self._pool.acquire() as connection, connection.transaction():
                result = await self._evaluator.evaluate(connection, now)
                await self._stage_maps.refresh(connection)
                reached, held = await evaluation.state(connection)
        if self._advances(reached, now.timestamp()) or held or result is not None:
            self._progress.beat(PART)
        if result is not None:
            self._report(result)

    def _advances(self, reached: int | None, now: float) -> bool:
        """Whether evaluation advances or keeps up, whichever replica evaluates."""
        before, self._reached = self._reached, reached
        if reached is None or self._settings.clock is not ClockKind.WALL:
            return True
        return reached != before or now - reached / 1_000_000 < KEEPS_UP_SECONDS

    def _report(self, result: PassResult) -> None:
        for reason, count in result.published.items():
            self._metrics.messages[reason].inc(count)
        if result.published:
            _log.info("problems published", **{reason.value: count for reason, count in result.published.items()})
            self._published()

    async def _catch_up(self) -> None:
        """Wait while many records are left to handle, but not for ever."""
        until = time.monotonic() + CATCHING_UP_SECONDS
        while self._backlog() > self._settings.detector_batch and time.monotonic() < until:
            self._progress.beat(PART)
            await asyncio.sleep(self._settings.detector_pass_seconds)

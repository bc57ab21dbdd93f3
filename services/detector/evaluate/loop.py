"""The loops of evaluation: one advances the watermark, one evaluates up to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aiokafka import TopicPartition

from services.detector.evaluate.activity import Activity, Turns
from services.detector.evaluate.evaluator import Evaluator, PassResult
from services.detector.metrics import DetectorMetrics
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation, watermark
from services.detector.store.stages import StageMapCache
from shared.contracts.topics import EVENTS
from shared.kafka.log_ends import LogEndsClient
from shared.postgres.clock import DatabaseClock
from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime import tracing
from shared.runtime.clock import Clock, ClockKind
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.stream.consumer import Consumer
from shared.stream.log_ends import LogEnd

_log = logger(__name__)
PART = "evaluation"
CATCHING_UP_SECONDS = 10.0
# How often to look whether a backlog is handled.
BACKLOG_SECONDS = 0.1
# While another replica evaluates: a watermark that stands still for longer shows that it is stuck.
KEEPS_UP_SECONDS = 60.0
# Evaluates something else in the transaction of a pass; whether it published something.
AlsoEvaluate = Callable[[Connection, datetime], Awaitable[bool]]


class WatermarkLoop:
    """Records how far this replica's partitions are read. One that is read to its end stands at now, also when idle.

    Runs at once after a batch, here or in another replica, and marks `advanced` then. What the consumer's fetches show
    is up to a fetch late, so it asks `leaders` then where the logs end.
    """

    def __init__(
        self,
        pool: Pool,
        consumer: Consumer,
        leaders: LogEndsClient,
        settings: DetectorSettings,
        activity: Activity,
        advanced: Activity,
        clock: DatabaseClock,
    ) -> None:
        self._pool, self._consumer, self._leaders, self._clock = pool, consumer, leaders, clock
        self._turns, self._advanced = Turns(activity), advanced
        self._topic = settings.topic(EVENTS)

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        try:
            while True:
                is_marked = self._turns.begin()
                try:
                    await self.run_once(ask=is_marked)
                except TRANSIENT as error:
                    _log.warning("watermark not recorded: database unavailable", error=repr(error))
                if is_marked:
                    self._advanced.mark()
                await self._turns.rest()
        finally:
            await self._leaders.close()

    async def run_once(self, ask: bool = False) -> None:
        """Record once. `ask`: where the logs end at this moment."""
        ends = self._consumer.log_ends() | (await self._asked() if ask else {})
        standings = watermark.standings(ends, self._consumer.handled, ahead=self._clock.ahead)
        partitions = self._consumer.partitions(self._topic)
        if standings or partitions:
            # The number each time: the database may have gone back to before it knew.
            await watermark.record(self._pool, standings, partitions)

    async def _asked(self) -> dict[TopicPartition, LogEnd]:
        """The partitions that are handled to the ends that their leaders give now.

        A log that was made anew may end before what was handled of the one before: so the offsets must be equal.
        """
        asked_ms = int(time.time() * 1000)
        ends = await self._leaders.ends(self._consumer.handled.keys())
        handled = self._consumer.handled
        return {
            tp: LogEnd(end, asked_ms) for tp, end in ends.items() if tp in handled and handled[tp].next_offset == end
        }


class PassOutcome(NamedTuple):
    """One pass. `result`: None if it did not evaluate. `reached`: the instant evaluated up to, in microseconds.

    `is_canary_told`: whether it published something of the canary.
    """

    result: PassResult | None
    reached: int | None
    is_held: bool
    at: datetime
    is_canary_told: bool = False


@dataclass(frozen=True)
class EvaluationPass:
    """What one pass does, in one transaction: evaluate up to the watermark, then refresh the names of stages.

    `canary` evaluates what is its own after that.
    """

    pool: Pool
    evaluator: Evaluator
    stage_maps: StageMapCache
    clock: Clock
    canary: AlsoEvaluate | None = None

    async def run(self) -> PassOutcome:
        """Raises OtherPolicyError, with nothing of the pass done, where another policy is in force."""
        now = self.clock.now()
        async with self.pool.acquire() as connection, connection.transaction():
            result = await self.evaluator.evaluate(connection, now)
            await self.stage_maps.refresh(connection)
            reached, is_held = await evaluation.state(connection)
            is_told = self.canary is not None and await self.canary(connection, now)
        return PassOutcome(result, reached, is_held, now, is_told)


@dataclass(frozen=True)
class Pace:
    """When the next pass starts: after the rest of `turns`, and later while a backlog is handled.

    `backlog` counts the records that this replica has still to handle, which would change what is found; up to
    `small_backlog` of them delay nothing.
    """

    turns: Turns
    backlog: Callable[[], int]
    small_backlog: int

    def begin(self) -> None:
        """A pass begins."""
        self.turns.begin()

    async def rest(self, beat: Callable[[], None]) -> None:
        """Wait for the next pass; calls `beat` while a backlog delays it."""
        await self.turns.rest()
        until = time.monotonic() + CATCHING_UP_SECONDS
        while self.backlog() > self.small_backlog and time.monotonic() < until:
            beat()
            await asyncio.sleep(BACKLOG_SECONDS)


class EvaluationLoop:
    """Runs passes. `published` is called after a pass that published something."""

    def __init__(
        self,
        evaluation_pass: EvaluationPass,
        pace: Pace,
        clock_kind: ClockKind,
        metrics: DetectorMetrics,
        progress: Progress,
        published: Callable[[], None],
    ) -> None:
        self._pass, self._pace, self._clock_kind = evaluation_pass, pace, clock_kind
        self._metrics, self._progress, self._published = metrics, progress, published
        self._reached: int | None = None

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        self._progress.expect(PART, 60)
        while True:
            self._pace.begin()
            try:
                await self.run_once()
            except TRANSIENT as error:
                _log.warning("evaluation postponed: database unavailable", error=repr(error))
                await asyncio.sleep(1)
            await self._pace.rest(self._beat)

    async def run_once(self) -> None:
        """One pass. Raises OtherPolicyError, with nothing of it done, where another policy is in force."""
        with self._metrics.pass_seconds.time(), tracing.following("evaluate"):
            outcome = await self._pass.run()
        if self._advances(outcome) or outcome.is_held or outcome.result is not None:
            self._beat()
        if outcome.result is not None:
            self._report(outcome.result)
        if outcome.is_canary_told:
            self._published()

    def _beat(self) -> None:
        self._progress.beat(PART)

    def _advances(self, outcome: PassOutcome) -> bool:
        """Whether evaluation advances or keeps up, whichever replica evaluates."""
        before, self._reached = self._reached, outcome.reached
        if outcome.reached is None or self._clock_kind is not ClockKind.WALL:
            return True
        return outcome.reached != before or outcome.at.timestamp() - outcome.reached / 1_000_000 < KEEPS_UP_SECONDS

    def _report(self, result: PassResult) -> None:
        for reason, count in result.published.items():
            self._metrics.messages[reason].inc(count)
        if result.published:
            _log.info("problems published", **{reason.value: count for reason, count in result.published.items()})
            self._published()

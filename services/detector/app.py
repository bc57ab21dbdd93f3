"""Wires the detector: a consumer that writes history, a judge, a relay, health and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.detector.evaluate import rebuild
from services.detector.evaluate.evaluator import Evaluator
from services.detector.ingest.event_writer import EventWriter
from services.detector.ingest.stage_writer import StageWriter
from services.detector.metrics import DetectorMetrics
from services.detector.publish.ages import AgePublisher
from services.detector.publish.gauges import refresh_gauges
from services.detector.publish.measures import MeasurePublisher
from services.detector.publish.problems import ProblemPublisher
from services.detector.publish.stages import StageStatusPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import watermark
from services.detector.store.copy_tables import open_flow
from services.detector.store.stages import StageMapCache
from services.detector.store.watermark import ClockKind
from shared.contracts.topics import EVENTS, STAGES
from shared.flow.ruleset import Ruleset
from shared.kafka.publisher import Publisher
from shared.policy import load
from shared.postgres.pool import TRANSIENT
from shared.runtime.clock import SystemClock
from shared.runtime.health import PartProgress, Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.service import Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.stream import positions
from shared.stream.batches import handle_batch
from shared.stream.consumer import Consumer
from shared.stream.outbox import Relay
from shared.stream.reader import Subscription

_log = logger(__name__)
STANDING_SECONDS = 0.1
PRESENT_SECONDS = 15.0
AGES_SECONDS = 5.0
CATCHING_UP_SECONDS = 10.0


class Detector:
    """The loops of one replica."""

    def __init__(self, settings: DetectorSettings, judging: Ruleset, pool: Any, registry: CollectorRegistry) -> None:
        self._settings, self._judging, self._pool = settings, judging, pool
        self._follower = StageMapCache(judging)
        self.progress = Progress()
        self._metrics = DetectorMetrics(registry, judging)
        self._applier = EventWriter(judging, self._metrics, self._present)
        self._describer = StageWriter(judging, settings, self._metrics, self._present)
        self._judge = Evaluator(judging, ProblemPublisher(judging, settings.topic_prefix), settings.clock)
        publisher = Publisher(settings.kafka)
        self.relay = Relay(pool, publisher, OutboxMetrics(registry), self.progress)
        topic, stages = settings.topic(EVENTS), settings.topic(STAGES)
        consumed = ConsumerMetrics.of_topics(registry, {topic: EVENTS, stages: STAGES})
        self.consumer = Consumer(
            Subscription(
                settings.kafka,
                [topic],
                settings.topic("andon-detector"),
                max_records=settings.detector_batch,
                workers=settings.detector_lanes,
            ),
            self._take,
            positions.StoredPositions(pool, [topic]),
            {topic: consumed[topic]},
            self.progress,
        )
        # By itself: what it takes up must not wait in a lane behind deals, nor count for judgement time.
        self.stages = Consumer(
            Subscription(
                settings.kafka, [stages], settings.topic("andon-detector-stages"), max_records=settings.detector_batch
            ),
            self._describe,
            positions.StoredPositions(pool, [stages]),
            {stages: consumed[stages]},
            PartProgress(self.progress, "stages"),
        )
        self._clock = SystemClock()
        self._changed, self._described = asyncio.Event(), asyncio.Event()

    def loops(self) -> Sequence[Any]:
        return (
            self.consumer.run,
            self.stages.run,
            self.relay.run,
            self._judging_loop,
            self._standing_loop,
            self._ages_loop,
            self._present_loop,
        )

    def _present(self, record: ConsumerRecord) -> datetime:
        if self._settings.clock is ClockKind.LOG:
            return datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return self._clock.now()

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        """One batch: its effects, and how far its partitions are read, in one transaction."""
        await handle_batch(self._pool, records, self._apply, self._applier.bury, self._apply_more)
        self._changed.set()

    async def _apply(self, connection: Any, records: Sequence[ConsumerRecord]) -> int:
        await self._applier.apply(connection, records)
        return await self._note(connection, records)

    async def _apply_more(self, connection: Any, records: Sequence[ConsumerRecord]) -> int:
        await self._applier.apply_more(connection, records)
        return await self._note(connection, records)

    async def _note(self, connection: Any, records: Sequence[ConsumerRecord]) -> int:
        standings = watermark.standings(self.consumer.kafka, self.consumer.handled, records)
        await watermark.note(connection, standings)
        return len(records)

    async def _describe(self, records: Sequence[ConsumerRecord]) -> None:
        """One batch of descriptions, and what follows of it."""
        refolded = await handle_batch(self._pool, records, self._describer.take, self._describer.bury)
        if refolded:
            self.relay.wake.set()
        self._described.set()

    async def _standing_loop(self) -> None:
        """A partition that is read to its end stands at now, also while nothing comes."""
        known = 0
        while True:
            standings = watermark.standings(self.consumer.kafka, self.consumer.handled)
            partitions = self.consumer.partitions(self._settings.topic(EVENTS))
            try:
                if standings:
                    await watermark.note(self._pool, standings)
                if partitions > known:
                    await watermark.counted(self._pool, partitions)
                    known = partitions
            except TRANSIENT as error:
                _log.warning("progress cannot be noted", error=repr(error))
            await asyncio.sleep(STANDING_SECONDS)

    async def _judging_loop(self) -> None:
        self.progress.expect("judge", 60)
        while True:
            try:
                await self._pass()
            except TRANSIENT as error:
                _log.warning("judging waits", error=repr(error))
                await asyncio.sleep(1)
            await self._rest()

    async def _rest(self) -> None:
        """Until the next pass. While much waits to be read, that comes first: it would change what was judged."""
        until = time.monotonic() + CATCHING_UP_SECONDS
        await asyncio.sleep(self._settings.detector_pass_seconds)
        while self.consumer.behind > self._settings.detector_batch and time.monotonic() < until:
            self.progress.beat("judge")
            await asyncio.sleep(self._settings.detector_pass_seconds)

    async def _pass(self) -> None:
        now = self._clock.now()
        with self._metrics.pass_seconds.time():
            async with self._pool.acquire() as connection, connection.transaction():
                outcome = await self._judge.judge(connection, now)
                await self._follower.follow(connection)
        self.progress.beat("judge")
        if outcome is None:
            return
        if self._settings.clock is ClockKind.WALL:
            self._metrics.judgement_delay.set(max(0.0, now.timestamp() - outcome.judged / 1_000_000))
        for reason, count in outcome.told.items():
            self._metrics.messages[reason].inc(count)
        if outcome.told:
            _log.info("judged", **{reason.value: count for reason, count in outcome.told.items()})
            self.relay.wake.set()

    async def _ages_loop(self) -> None:
        measures = MeasurePublisher(ZoneInfo(self._judging.policy.timezone), self._settings.topic_prefix)
        ages = AgePublisher(self._judging, measures)
        while True:
            began = time.monotonic()
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    published = await ages.publish_some(connection)
            except TRANSIENT as error:
                _log.warning("ages not published: database unavailable", error=repr(error))
                published = 0
            if published:
                self.relay.wake.set()
            # A backlog of days takes at most a fifth of the time: passes and new events come first.
            rest = 4 * (time.monotonic() - began) if published == ages.days_at_once else AGES_SECONDS
            await asyncio.sleep(min(rest, AGES_SECONDS))

    async def _present_loop(self) -> None:
        stages = StageStatusPublisher(self._judging.policy, self._settings.topic_prefix)
        while True:
            try:
                now = self._clock.now()
                await refresh_gauges(self._pool, self._judging, self._metrics, now)
                async with self._pool.acquire() as connection, connection.transaction():
                    if await stages.publish(connection, now):
                        self.relay.wake.set()
            except TRANSIENT as error:
                _log.warning("metrics refresh failed: database unavailable", error=repr(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._described.wait(), PRESENT_SECONDS)
            self._described.clear()


@asynccontextmanager
async def build(settings: DetectorSettings) -> AsyncIterator[Service]:
    """Connect and put the parts together."""
    judging = Ruleset(load(settings.policy))
    # One for each lane; others for stages, the judge, the relay, the standing and what is measured.
    pool = await open_flow(settings.dsn, most=settings.detector_lanes + 5)
    registry = new_registry()
    await rebuild.follow_policy(pool, judging, settings)
    detector = Detector(settings, judging, pool, registry)
    yield Service(Starlette(routes=health_routes(detector.progress, registry)), detector.loops())
    await pool.close()


def main() -> None:
    """`andon detector`."""
    run_service("detector", DetectorSettings, build)

"""Wires the detector: two consumers that write history and stages, evaluation, publishing, health and metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from services.detector.canary import SCHEMA, CanaryEvaluation, CanaryWriter, canary_ruleset, is_canary
from services.detector.evaluate.activity import Activity, Turns
from services.detector.evaluate.evaluator import Evaluator
from services.detector.evaluate.loop import EvaluationLoop, EvaluationPass, Pace, WatermarkLoop
from services.detector.evaluate.policy_switch import PolicySwitch
from services.detector.evaluate.statistics_loop import StatisticsLoop
from services.detector.ingest.event_writer import EventWriter
from services.detector.ingest.relock_writer import RelockWriter
from services.detector.ingest.stage_writer import StageWriter
from services.detector.ingest.week_marks import WeekMarks
from services.detector.metrics import DetectorMetrics
from services.detector.preview.endpoint import PreviewEndpoint
from services.detector.publish.handovers import HandoverPublisher
from services.detector.publish.loops import AgesLoop, NowLoop, PresentLoop, ReceiptsLoop, WeeksLoop
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import watermark
from services.detector.store.copy_tables import open_flow
from services.detector.store.fingerprint import OtherPolicyError
from services.detector.store.history import NewEvent
from services.detector.store.stages import StageMapCache
from services.detector.store.watermark import Standing
from shared.contracts.dead import DeadReason
from shared.contracts.topics import EVENTS, POLICY, RELOCKS, STAGES
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageField
from shared.kafka.access import KafkaAccess
from shared.kafka.log_ends import LogEndsClient
from shared.kafka.publisher import Publisher
from shared.postgres.canary_tables import CanaryEmptying
from shared.postgres.clock import DatabaseClock
from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import TRANSIENT, Pool
from shared.postgres.schema_check import check_schema
from shared.postgres.wakeups import Wakeups
from shared.runtime.addresses import LOOPBACK, LOOPBACK_HOSTS
from shared.runtime.clock import ClockKind
from shared.runtime.health import PartProgress, Progress
from shared.runtime.log import logger
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.retry import retry_forever
from shared.runtime.service import Loop, Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch
from shared.stream import policies, positions
from shared.stream.canary import WithCanary
from shared.stream.consumer import Consumer
from shared.stream.dependencies import dependencies_of
from shared.stream.outbox import Relay
from shared.stream.policy_follower import PolicyWatch, policy_loops
from shared.stream.processor import Handler, Message, Processor
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions

_log = logger(__name__)
CHANNEL = "andon_detector"
# Records that one look at the wall clock serves.
NOW_REUSE = 100
# Connections beside those of the workers: for stages, relocks, evaluation, the relay, the watermark, wake-ups, what is
# published beside evaluation, previews, and versions of the policy.
OTHER_CONNECTIONS = 14


class Detector:
    """The parts of one replica. `events` and `stages` are its processors, `evaluation` its loop of passes."""

    def __init__(
        self,
        settings: DetectorSettings,
        ruleset: Ruleset,
        pool: Pool,
        registry: CollectorRegistry,
        watch: PolicyWatch | None = None,
    ) -> None:
        self._settings, self._ruleset, self._pool = settings, ruleset, pool
        self.progress, self.dependencies = Progress(), dependencies_of("detector", settings, registry)
        self._metrics = DetectorMetrics(registry)
        self._clock = DatabaseClock(pool)
        self._activity, self._advanced = Activity(), Activity()
        self._wakeups = Wakeups(pool, CHANNEL, self._activity.mark)
        self._relay = Relay(pool, Publisher(KafkaAccess.of(settings)), OutboxMetrics(registry), self.progress)
        topics = {settings.topic(topic): topic for topic in (EVENTS, STAGES, RELOCKS, POLICY)}
        self._consumed = ConsumerMetrics.of_topics(registry, topics)
        published = self._relay.wake.set
        self._present = PresentLoop(pool, ruleset, settings, self._metrics, self._clock, published)
        self._ages = AgesLoop(pool, ruleset, settings, published)
        self._weeks = WeeksLoop(pool, ruleset, settings, published)
        self._receipts = ReceiptsLoop(pool, settings, published)
        self._statistics = StatisticsLoop(pool, ruleset, settings, self._metrics, self._clock, published)
        self._stands_now = NowLoop(pool, ruleset, settings, published)
        self.events = self._event_processor()
        self.stages = self._stage_processor()
        self._event_consumer = self._consumer(self.events, EVENTS, "andon-detector", self.progress)
        # A consumer of its own: a refold must not wait behind deals in a worker, nor count for the watermark.
        self._stage_consumer = self._consumer(
            self.stages, STAGES, "andon-detector-stages", PartProgress(self.progress, "stages")
        )
        self._relock_consumer = self._consumer(
            self._processor(RelockWriter()),
            RELOCKS,
            "andon-detector-relocks",
            PartProgress(self.progress, "relocks"),
        )
        self._watermark = self._watermark_loop()
        self.evaluation = self._evaluation_loop(published)
        self._policy_loops = self._loops_of_policy(watch)

    def _watermark_loop(self) -> WatermarkLoop:
        leaders = LogEndsClient(KafkaAccess.of(self._settings))
        return WatermarkLoop(
            self._pool, self._event_consumer, leaders, self._settings, self._activity, self._advanced, self._clock
        )

    async def start(self) -> None:
        """Compare clocks before the first record is judged by one. Waits while the database is unavailable."""
        async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
            with attempt:
                await self._clock.measure()

    def loops(self) -> Sequence[Loop]:
        """Everything that runs until the service stops."""
        parts = (
            self._event_consumer,
            self._stage_consumer,
            self._relock_consumer,
            self._relay,
            self.evaluation,
            self._watermark,
            self._wakeups,
            self._clock,
            self._ages,
            self._weeks,
            self._receipts,
            self._statistics,
            self._stands_now,
            self._present,
            self.dependencies,
            CanaryEmptying(self._pool, SCHEMA, "services.detector"),
        )
        return [*(part.run for part in parts), *self._policy_loops]

    def _loops_of_policy(self, watch: PolicyWatch | None) -> Sequence[Loop]:
        published = self._relay.wake.set
        parts = self._settings, self._pool, self._consumed, self.progress
        return () if watch is None else policy_loops("detector", *parts, watch, self._rejected, published)

    def _evaluation_loop(self, published: Callable[[], None]) -> EvaluationLoop:
        settings, ruleset = self._settings, self._ruleset
        edge = PolicySwitch(settings).edge
        evaluator = Evaluator(ruleset, ProblemPublisher(ruleset, settings.topic_prefix), settings.clock, edge=edge)
        pace = Pace(
            Turns(self._advanced, settings.detector_pass_seconds),
            backlog=lambda: self._event_consumer.behind,
            small_backlog=settings.detector_batch,
        )
        return EvaluationLoop(
            EvaluationPass(
                self._pool, evaluator, StageMapCache(ruleset), self._clock, CanaryEvaluation(settings).evaluate
            ),
            pace,
            settings.clock,
            self._metrics,
            self.progress,
            published,
        )

    def _event_processor(self) -> Processor[NewEvent]:
        is_wall = self._settings.clock is ClockKind.WALL
        writer = EventWriter(
            self._ruleset,
            self._metrics,
            self._now,
            self._standings,
            self._events_committed,
            now_reuse=NOW_REUSE if is_wall else 1,
            weeks=WeekMarks(self._ruleset.policy.timezone, self._clock if is_wall else None),
            handovers=HandoverPublisher(self._settings.topic_prefix, self._settings.clock),
            is_live=is_wall,
        )
        # Not live: how long its events take until they are seen is no measure of real ones.
        canary = EventWriter(canary_ruleset(), self._metrics, self._now, is_live=False)
        return Processor(
            PostgresTransactions(self._pool),
            WithCanary(writer, CanaryWriter(canary, self._metrics), is_canary, SCHEMA),
            self._settings.topic_prefix,
            self._now,
            self._event_rejected,
            self._relay.wake.set,
        )

    def _stage_processor(self) -> Processor[list[StageField]]:
        return self._processor(StageWriter(self._ruleset, self._settings, self._now, self._stages_committed))

    def _processor(self, writer: Handler[Message]) -> Processor[Message]:
        return Processor(
            PostgresTransactions(self._pool),
            writer,
            self._settings.topic_prefix,
            self._now,
            self._rejected,
            self._relay.wake.set,
        )

    def _consumer(
        self, processor: Processor[Any], topic: str, group: str, progress: Progress | PartProgress
    ) -> Consumer:
        name = self._settings.topic(topic)
        subscription = Subscription(
            KafkaAccess.of(self._settings),
            [name],
            self._settings.topic(group),
            max_records=self._settings.detector_batch,
            workers=self._settings.detector_workers if topic == EVENTS else 1,
        )
        return Consumer(
            subscription,
            processor.run,
            positions.StoredPositions(self._pool, [name]),
            {name: self._consumed[name]},
            progress,
        )

    def _now(self, record: ConsumerRecord) -> datetime:
        """The present as of a record: in replays, the time that it was written."""
        if self._settings.clock is ClockKind.LOG:
            return datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return self._clock.now()

    def _standings(self, records: Sequence[ConsumerRecord]) -> list[Standing]:
        consumer = self._event_consumer
        return watermark.standings(consumer.log_ends(), consumer.handled, records, self._clock.ahead)

    def _events_committed(self) -> None:
        self._activity.mark()
        self._wakeups.send()

    def _stages_committed(self) -> None:
        # A refold may have published problems.
        self._relay.wake.set()
        self._present.wake()

    def _event_rejected(self, reason: DeadReason) -> None:
        self._metrics.dead_lettered.inc()
        self._rejected(reason)

    def _rejected(self, reason: DeadReason) -> None:
        self._metrics.dead[reason].inc()


@asynccontextmanager
async def build(settings: DetectorSettings) -> AsyncIterator[Service]:
    """Connect and wire the parts."""
    policies.check_file(settings)
    pool = await open_flow(settings.dsn, max_size=settings.detector_workers + OTHER_CONNECTIONS)
    try:
        yield await _service(settings, pool)
    finally:
        await pool.close()


async def _service(settings: DetectorSettings, pool: Pool) -> Service:
    await check_schema(pool, "flow")
    registry, switch = new_registry(settings.revision), PolicySwitch(settings)
    found = await switch.start(pool)
    ruleset = Ruleset(found.policy)
    renewal = ServiceRenewal() if settings.is_policy_a_file else ServiceRenewal(OtherPolicyError)
    watch = PolicyWatch(pool, renewal, found.version, registry, switch.number)
    detector = Detector(settings, ruleset, pool, registry, watch)
    await detector.start()
    routes = [
        *health_routes(detector.progress, detector.dependencies, registry),
        *PreviewEndpoint(pool, ruleset).routes(),
    ]
    hosts = LOOPBACK_HOSTS if settings.host in LOOPBACK else ("*",)
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
    measures = PostgresMetrics(pool, "flow", registry).run, LoopDelay(registry).run
    stuck = StuckWatch(detector.progress, detector.dependencies, settings.stuck_seconds)
    loops = [*detector.loops(), *measures, stuck.run]
    return Service(Starlette(routes=routes, middleware=middleware), loops, renewal)


def main() -> None:
    """`andon detector`."""
    run_service("detector", DetectorSettings, build)

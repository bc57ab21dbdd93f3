"""Wires the analyst: a consumer of weekly points, relocks and receipts, evaluation, the relay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.analyst.evaluate.evaluator import ChartEvaluator
from services.analyst.evaluate.loop import ChartEvaluationLoop
from services.analyst.evaluate.silences import SilenceEvaluator
from services.analyst.handlers import DECODERS, AnalystHandler, ConsumedMessage
from services.analyst.metrics import AnalystMetrics
from services.analyst.publish.problems import ProblemMessages
from services.analyst.publish.signals import SignalPublisher
from services.analyst.settings import AnalystSettings
from services.analyst.store import charts, receipts
from shared.contracts.dead import DeadReason
from shared.contracts.topics import POLICY
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.policy import Policy
from shared.postgres.metrics import PostgresMetrics
from shared.postgres.pool import TRANSIENT, Pool, open_pool
from shared.postgres.schema_check import check_schema
from shared.runtime.clock import SystemClock
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.metrics import ConsumerMetrics, OutboxMetrics
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.retry import retry_forever
from shared.runtime.service import Loop, Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch
from shared.stream import policies
from shared.stream.consumer import Consumer
from shared.stream.dependencies import dependencies_of
from shared.stream.outbox import Relay
from shared.stream.policy_follower import PolicyWatch, policy_loops
from shared.stream.positions import StoredPositions
from shared.stream.processor import Processor
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions

_log = logger(__name__)


class Analyst:
    """The loops of one replica."""

    def __init__(
        self,
        settings: AnalystSettings,
        policy: Policy,
        pool: Pool,
        registry: CollectorRegistry,
        watch: PolicyWatch,
    ) -> None:
        clock, metrics = SystemClock(), AnalystMetrics(registry)
        self._metrics = metrics
        self.progress, self.dependencies = Progress(), dependencies_of("analyst", settings, registry)
        self._relay = Relay(pool, Publisher(KafkaAccess.of(settings)), OutboxMetrics(registry), self.progress)
        messages = ProblemMessages(policy, settings.topic_prefix)
        self.evaluation = ChartEvaluationLoop(
            pool,
            ChartEvaluator(policy, messages),
            SilenceEvaluator(policy, messages),
            SignalPublisher(policy, settings.topic_prefix),
            metrics,
            self.progress,
            clock,
            self._relay.wake.set,
        )
        processor = Processor(
            PostgresTransactions(pool),
            AnalystHandler(self.evaluation.wake.set),
            settings.topic_prefix,
            lambda record: clock.now(),
            self._count_dead,
            self._relay.wake.set,
        )
        self._consumers = self._consumer_loops(settings, pool, registry, processor, watch)
        self._measures = PostgresMetrics(pool, "analysis", registry).run, LoopDelay(registry).run

    def _consumer_loops(
        self,
        settings: AnalystSettings,
        pool: Pool,
        registry: CollectorRegistry,
        processor: Processor[ConsumedMessage],
        watch: PolicyWatch,
    ) -> Sequence[Loop]:
        names = {settings.topic(name): name for name in DECODERS}
        consumed = ConsumerMetrics.of_topics(registry, names | {settings.topic(POLICY): POLICY})
        consumer = Consumer(
            Subscription(KafkaAccess.of(settings), list(names), settings.topic("andon-analyst")),
            processor.run,
            StoredPositions(pool, list(names)),
            {topic: consumed[topic] for topic in names},
            self.progress,
        )
        followed = settings, pool, consumed, self.progress, watch
        return consumer.run, *policy_loops("analyst", *followed, self._count_dead, self._relay.wake.set)

    def _count_dead(self, reason: DeadReason) -> None:
        self._metrics.dead_letters.inc()

    def loops(self) -> Sequence[Loop]:
        """Everything that runs until the service stops."""
        return *self._consumers, self.evaluation.run, self._relay.run, self.dependencies.run, *self._measures


async def follow_policy(pool: Pool, policy: Policy) -> None:
    """At start: evaluate everything where the policy has changed. Waits while the database is unavailable."""
    async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
        with attempt:
            async with pool.acquire() as connection, connection.transaction():
                await charts.follow_policy(connection, policy.digest)
                await receipts.follow_policy(connection, policy.digest)


@asynccontextmanager
async def build(settings: AnalystSettings) -> AsyncIterator[Service]:
    """Connect and wire the parts."""
    policies.check_file(settings)
    pool = await open_pool(settings.dsn, "analysis")
    try:
        await check_schema(pool, "analysis")
        found = await policies.policy_in_force(settings, pool)
        registry, renewal, policy = new_registry(settings.revision), ServiceRenewal(), found.policy
        await follow_policy(pool, policy)
        analyst = Analyst(settings, policy, pool, registry, PolicyWatch(pool, renewal, found.version, registry))
        routes = health_routes(analyst.progress, analyst.dependencies, registry)
        stuck = StuckWatch(analyst.progress, analyst.dependencies, settings.stuck_seconds)
        yield Service(Starlette(routes=routes), [*analyst.loops(), stuck.run], renewal)
    finally:
        await pool.close()


def main() -> None:
    """`andon analyst`."""
    run_service("analyst", AnalystSettings, build)

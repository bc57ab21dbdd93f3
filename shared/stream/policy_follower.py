"""Follows the policy that people edit in the browser: keeps its versions, and has the service use the one in force."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry, Gauge

from shared.contracts.dead import DeadReason
from shared.contracts.policies import PolicyEvent
from shared.contracts.topics import POLICY
from shared.kafka.access import KafkaAccess
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.clock import SystemClock
from shared.runtime.health import PartProgress, Progress
from shared.runtime.log import logger
from shared.runtime.metrics import ConsumerMetrics
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.service import Loop, every
from shared.runtime.settings import ServiceSettings
from shared.stream import policies
from shared.stream.consumer import Consumer
from shared.stream.positions import StoredPositions
from shared.stream.processor import Decoder, Processor, Received, contract
from shared.stream.reader import Subscription
from shared.stream.transaction import PostgresTransactions, Transaction

_log = logger(__name__)
LOOK_SECONDS = 0.5
FindNumber = Callable[[Pool], Awaitable[int]]
"""Which version of the policy is to be in force now."""


class PolicyVersionWriter:
    """Handles `improvement.policy`. Any order and repetition gives the same."""

    decoders: Mapping[str, Decoder[PolicyEvent]] = {POLICY: contract(PolicyEvent)}

    async def handle(self, transaction: Transaction, messages: list[Received[PolicyEvent]]) -> None:
        await policies.save(transaction.connection, [received.message.data for received in messages])

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""


def behind_gauge(registry: CollectorRegistry) -> Gauge:
    """Whether a replica is behind the policy."""
    return Gauge(
        "andon_policy_behind",
        "1 while this replica works by another version of the policy than the one that is to be in force."
        " Of a replica: aggregate by max.",
        registry=registry,
    )


class PolicyWatch:
    """Asks for a renewal where another version than `version` is to be in force."""

    def __init__(
        self,
        pool: Pool,
        renewal: ServiceRenewal,
        version: int,
        registry: CollectorRegistry,
        find: FindNumber = policies.number_in_force,
    ) -> None:
        self._pool, self._renewal, self._version, self._find = pool, renewal, version, find
        self._behind = behind_gauge(registry)

    async def run(self) -> None:
        """Look until cancelled. Goes on while the database is unavailable."""
        await every(LOOK_SECONDS, self.look)

    async def look(self) -> None:
        """Look once."""
        try:
            found = await self._find(self._pool)
        except TRANSIENT as error:
            _log.warning("policy not looked up: database unavailable", error=repr(error))
            return
        self._behind.set(found != self._version)
        if found != self._version:
            _log.info("the policy changes", version=found)
            self._renewal.ask()


def policy_loops(
    service: str,
    settings: ServiceSettings,
    pool: Pool,
    metrics: Mapping[str, ConsumerMetrics],
    progress: Progress,
    watch: PolicyWatch,
    rejected: Callable[[DeadReason], None],
    published: Callable[[], None],
) -> Sequence[Loop]:
    """The loops of a service that reads the policy from its topic; none where the policy is a file.

    `service`: as its group on Kafka is called. `metrics`: with those of the topic, by its name. `rejected`
    counts dead letters.
    """
    if settings.is_policy_a_file:
        return ()
    topic, clock = settings.topic(POLICY), SystemClock()
    processor = Processor(
        PostgresTransactions(pool),
        PolicyVersionWriter(),
        settings.topic_prefix,
        lambda record: clock.now(),
        rejected,
        published,
    )
    consumer = Consumer(
        Subscription(KafkaAccess.of(settings), [topic], settings.topic(f"andon-{service}-policy")),
        processor.run,
        StoredPositions(pool, [topic]),
        {topic: metrics[topic]},
        PartProgress(progress, "policy"),
    )
    return consumer.run, watch.run

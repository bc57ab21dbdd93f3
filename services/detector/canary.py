"""The canary in the detector: the same writer and the same evaluation as all deals, over tables of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord

from services.detector.evaluate.evaluator import Evaluator
from services.detector.ingest.event_writer import EventWriter
from services.detector.metrics import DetectorMetrics
from services.detector.publish.problems import Finding, ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import copy_tables, evaluation
from services.detector.store.history import NewEvent
from services.detector.store.watermark import current_watermark
from shared.contracts.canary import CANARY_DEALS
from shared.flow.ruleset import Ruleset
from shared.policy.canary import canary_policy
from shared.postgres.canary_tables import are_usable, aside, front
from shared.postgres.pool import TRANSIENT, Connection
from shared.runtime.instants import micros
from shared.runtime.log import logger
from shared.stream.processor import Received
from shared.stream.transaction import Transaction

_log = logger(__name__)
SCHEMA = "flow"
# Something changed, or judgement time had not reached it when it did.
_HAS_WORK = f"""
SELECT EXISTS (SELECT FROM {front(SCHEMA)}.span_change) OR EXISTS (SELECT FROM {front(SCHEMA)}.due WHERE at <= $1)
"""
# What is read after a long stop tells nothing of the way as it is now, and would be evaluated and mailed all the same.
STALE = timedelta(hours=1)


def canary_ruleset() -> Ruleset:
    """Its one rule."""
    return Ruleset(canary_policy())


def is_canary(event: NewEvent) -> bool:
    """Whether an event is of the canary. Each event of every deal is asked."""
    return event.event.deal.startswith(CANARY_DEALS)


class CanaryWriter:
    """A `Handler` of the canary's events. Leaves the staging tables empty: another handler may use them after it.

    Stale events are counted as those that change nothing.
    """

    def __init__(self, writer: EventWriter, metrics: DetectorMetrics) -> None:
        self._writer, self._metrics, self.decoders = writer, metrics, writer.decoders

    async def handle(self, transaction: Transaction, messages: list[Received[NewEvent]]) -> None:
        now = datetime.now(UTC)
        fresh = [one for one in messages if now - one.message.at < STALE]
        stale = len(messages) - len(fresh)
        transaction.after_commit(lambda: self._metrics.record_batch(0, stale))
        if fresh:
            await copy_tables.clear(transaction.connection)
            await self._writer.handle(transaction, fresh)
            await copy_tables.clear(transaction.connection)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """The service's own writer records how far the partitions are applied."""


class _WithoutMeasures(ProblemPublisher):
    """Publishes problems; of the canary there are no measures."""

    async def publish_measures(self, connection: Connection, findings: Sequence[Finding]) -> None:
        """Nothing."""


class CanaryEvaluation:
    """Evaluates the canary's rule, in the transaction and up to the watermark of each pass."""

    def __init__(self, settings: DetectorSettings) -> None:
        ruleset, self._clock = canary_ruleset(), settings.clock
        self._evaluator = Evaluator(ruleset, _WithoutMeasures(ruleset, settings.topic_prefix), settings.clock)
        self._is_made = False

    async def evaluate(self, connection: Connection, now: datetime) -> bool:
        """Whether it published something. What fails is logged: nothing real waits for it."""
        self._is_made = self._is_made or await are_usable(connection, SCHEMA)
        if not self._is_made or not await connection.fetchval(_HAS_WORK, micros(now)):
            return False
        try:
            # No replica evaluates while another one does.
            return await evaluation.try_lock(connection) and await self._evaluate(connection, now)
        except TRANSIENT:
            raise
        except Exception as error:
            _log.warning("the canary was not evaluated", error=repr(error))
            return False

    async def _evaluate(self, connection: Connection, now: datetime) -> bool:
        watermark = await current_watermark(connection, self._clock)
        if watermark is None:
            return False
        async with aside(connection, SCHEMA):
            reached = (await evaluation.state(connection)).watermark
            return bool((await self._evaluator.advance(connection, reached, watermark, now)).published)

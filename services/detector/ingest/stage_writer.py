"""Writes the stage map. Where descriptions change how stages resolve, visits are refolded in the same transaction.

So visits are always f(history, policy, stage map), in any order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiokafka import ConsumerRecord

from services.detector.evaluate.evaluator import Evaluator
from services.detector.evaluate.renamed_stages import refold
from services.detector.ingest.future_times import FutureCheck
from services.detector.publish.handovers import HandoverPublisher
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation, fingerprint
from services.detector.store import stages as stage_store
from services.detector.store.stages import StageMapCache
from shared.contracts.stages import StageEvent
from shared.contracts.topics import STAGES
from shared.flow.ruleset import Ruleset
from shared.flow.stage_facts import stage_fields
from shared.flow.stage_map import StageField
from shared.flow.stage_resolver import StageResolver
from shared.postgres.pool import Connection
from shared.runtime.log import logger
from shared.stream.processor import Received
from shared.stream.transaction import Transaction

_log = logger(__name__)


class StageWriter:
    """Handles `pipeline.stages`. `now` gives the present as of a record; `committed` is called after each batch."""

    def __init__(
        self,
        ruleset: Ruleset,
        settings: DetectorSettings,
        now: Callable[[ConsumerRecord], datetime],
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ruleset, self._committed = ruleset, committed
        self._future = FutureCheck(now)
        self._stage_maps = StageMapCache(ruleset)
        self._evaluator = Evaluator(ruleset, ProblemPublisher(ruleset, settings.topic_prefix), settings.clock)
        self._handovers = HandoverPublisher(settings.topic_prefix, settings.clock)
        self.decoders = {STAGES: self._decode}

    def _decode(self, record: ConsumerRecord) -> list[StageField] | None:
        if record.value is None:
            # A tombstone: removing a record from the topic takes back nothing of the description.
            return None
        event = StageEvent.model_validate_json(record.value)
        self._future.check(record, event.time)
        return stage_fields(event)

    async def handle(self, transaction: Transaction, messages: list[Received[list[StageField]]]) -> None:
        """Apply descriptions. Any order and repetition gives the same map."""
        await self._learn(transaction.connection, [field for received in messages for field in received.message])

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        transaction.after_commit(self._committed)

    async def _learn(self, connection: Connection, fields: Sequence[StageField]) -> None:
        # Until the commit nobody else evaluates, rebuilds, or changes the map.
        await evaluation.lock(connection)
        before = await self._stage_maps.refresh(connection)
        await stage_store.save(connection, fields)
        after = StageResolver(self._ruleset.policy, await stage_store.load(connection))
        if sources := _changed_sources(before, after):
            _log.info("stages resolve differently: refolding visits, reevaluating within the lateness", sources=sources)
            changes = await refold(connection, self._ruleset, sources, before, after, self._handovers)
            await fingerprint.save(connection, fingerprint.of(self._ruleset, after))
            await self._evaluator.evaluate_refold(connection, changes, datetime.now(UTC))


def _changed_sources(before: StageResolver, after: StageResolver) -> list[str]:
    old, new = before.facts_by_source(), after.facts_by_source()
    return sorted(source for source in old.keys() | new.keys() if old.get(source) != new.get(source))

"""Takes descriptions of stages. Where one leads a stage elsewhere, visits are refolded in the same transaction.

So visits are always f(history, policy, stage map), whatever came first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.detector.evaluate import rebuild
from services.detector.ingest.event_writer import AHEAD, explain, reason_of
from services.detector.metrics import DetectorMetrics
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation
from services.detector.store import stages as stage_store
from shared.contracts.dead import DeadReason
from shared.contracts.stages import StageEvent
from shared.contracts.topics import STAGES
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageField, facts_of
from shared.flow.stage_resolver import StageResolver
from shared.kafka.publisher import OutgoingMessage
from shared.runtime.log import logger
from shared.stream import dead_letters, outbox, positions

_log = logger(__name__)


class StageWriter:
    """Takes batches of `pipeline.stages`. `present` tells when now is, for times that lie in the future."""

    def __init__(
        self,
        judging: Ruleset,
        settings: DetectorSettings,
        metrics: DetectorMetrics,
        present: Callable[[ConsumerRecord], datetime],
    ) -> None:
        self._judging, self._settings, self._metrics, self._present = judging, settings, metrics, present

    async def take(self, connection: Any, records: Sequence[ConsumerRecord]) -> bool:
        """One transaction's work; whether visits were refolded."""
        records = await positions.claim(connection, records)
        if not records:
            return False
        facts, dead = self._decode(records)
        refolded = await self._learn(connection, facts) if facts else False
        await outbox.put(connection, dead)
        await positions.advance(connection, records)
        return refolded

    def bury(self, record: ConsumerRecord, error: Exception) -> OutgoingMessage:
        """The dead letter of a record that can be read and cannot be handled."""
        return self._bury(record, DeadReason.HANDLER, repr(error))

    def _decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[StageField], list[OutgoingMessage]]:
        facts, dead = [], []
        for record in records:
            if record.value is None:
                # A tombstone: whoever removes a record from the topic takes nothing back.
                continue
            try:
                event = StageEvent.model_validate_json(record.value)
            except ValidationError as error:
                dead.append(self._bury(record, reason_of(error), explain(error)))
                continue
            if event.time > self._present(record) + AHEAD:
                detail = f"time {event.time.isoformat()} is more than five minutes in the future; mend the clock"
                dead.append(self._bury(record, DeadReason.IN_THE_FUTURE, detail))
                continue
            facts += facts_of(event)
        return facts, dead

    def _bury(self, record: ConsumerRecord, reason: DeadReason, detail: str) -> OutgoingMessage:
        self._metrics.dead[reason].inc()
        return dead_letters.of_record(record, STAGES, reason, detail, self._present(record))

    async def _learn(self, connection: Any, facts: Sequence[StageField]) -> bool:
        # Whoever judges or refolds meanwhile would use another map.
        await evaluation.lock(connection)
        before = StageResolver(self._judging.policy, await stage_store.load(connection))
        await stage_store.save(connection, facts)
        learned = Ruleset(self._judging.policy, await stage_store.load(connection))
        if before.digest == learned.places.digest:
            return False
        _log.info("stages are at home elsewhere: visits are refolded, and judged anew within the lateness")
        await rebuild.refold(connection, learned, self._settings)
        return True

"""An analyst without its consumer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from services.analyst.evaluate.evaluator import ChartEvaluator
from services.analyst.evaluate.silences import SilenceEvaluator
from services.analyst.handlers import AnalystHandler
from services.analyst.publish.problems import ProblemMessages
from services.analyst.publish.signals import SignalPublisher
from services.analyst.store import charts, receipts
from shared.contracts.envelope import iso
from shared.contracts.measures import MeasureEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.receipts import ReceiptsEvent
from shared.contracts.relocks import RelockEvent
from shared.contracts.signals import ChartData, ChartEvent
from shared.contracts.topics import MEASURES, RECEIPTS, RELOCKS
from shared.policy import Policy
from shared.postgres.pool import Pool
from shared.stream.processor import Processor
from shared.stream.transaction import PostgresTransactions

PROBLEMS = "SELECT key, opened_at, cleared_at, peak FROM analysis.problem ORDER BY key, opened_at"
Intervals = dict[str, list[dict[str, Any]]]
TOPICS: dict[type[Any], str] = {MeasureEvent: MEASURES, RelockEvent: RELOCKS, ReceiptsEvent: RECEIPTS}


class AnalystStore:
    """One analyst without its consumer: `take` handles messages, `evaluate` finds problems."""

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self.pool = pool
        self.evaluator = ChartEvaluator(policy, ProblemMessages(policy, ""))
        self.silences = SilenceEvaluator(policy, ProblemMessages(policy, ""))
        self.signals = SignalPublisher(policy, "")
        handler = AnalystHandler(lambda: None)
        self._processor = Processor(
            PostgresTransactions(pool), handler, "", lambda record: datetime.now(UTC), lambda reason: None, lambda: None
        )
        self._offset = 0

    async def follow(self, policy: Policy) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await charts.follow_policy(connection, policy.digest)
            await receipts.follow_policy(connection, policy.digest)

    async def take(self, events: Sequence[MeasureEvent | RelockEvent | ReceiptsEvent]) -> None:
        records = []
        for event in events:
            topic, value = TOPICS[type(event)], event.to_json()
            records.append(ConsumerRecord(topic, 0, self._offset, 0, 0, b"k", value, 0, len(value), 0, ()))  # type: ignore[arg-type]
            self._offset += 1
        for start in range(0, len(records), 5000):
            for topic in TOPICS.values():
                if part := [record for record in records[start : start + 5000] if record.topic == topic]:
                    await self._processor.run(part)

    async def evaluate(self) -> int:
        count = await self.try_evaluate()
        assert count is not None
        async with self.pool.acquire() as connection, connection.transaction():
            return count + await self.silences.evaluate(connection, datetime.now(UTC))

    async def try_evaluate(self) -> int | None:
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.evaluator.evaluate(connection, datetime.now(UTC))

    async def intervals(self) -> Intervals:
        return intervals_of(await self.pool.fetch(PROBLEMS))

    async def messages(self) -> list[ProblemEvent]:
        """Those put into the outbox since this was called last."""
        rows = await self.pool.fetch("DELETE FROM outbox WHERE topic = 'flow.problems' RETURNING id, value")
        return [ProblemEvent.model_validate_json(row["value"]) for row in sorted(rows, key=lambda row: row["id"])]

    async def charts(self) -> dict[str, ChartData]:
        """Publish all charts; what a reader of flow.signals gets of them."""
        count: int | None = 0
        while count is not None:
            async with self.pool.acquire() as connection, connection.transaction():
                count = await self.signals.publish_some(connection)
        rows = await self.pool.fetch("DELETE FROM outbox WHERE topic = 'flow.signals' RETURNING id, value")
        found = [ChartEvent.model_validate_json(row["value"]).data for row in sorted(rows, key=lambda row: row["id"])]
        return {data.key: data for data in found}


def intervals_of(rows: Iterable[Any]) -> Intervals:
    found: Intervals = {}
    for row in rows:
        cleared = None if row["cleared_at"] is None else iso(row["cleared_at"])
        one = {"opened_at": iso(row["opened_at"]), "cleared_at": cleared, "peak": row["peak"]}
        found.setdefault(row["key"], []).append(one)
    return found

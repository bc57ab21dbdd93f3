"""One detector on a real Postgres, without Kafka: tests hand records in, move time on, and see what is found."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from services.detector.evaluate.evaluator import Evaluator
from services.detector.ingest.event_writer import EventWriter
from services.detector.metrics import DetectorMetrics
from services.detector.publish.problems import ProblemPublisher
from services.detector.store.watermark import Standing, record
from shared.contracts.events import DealEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.stages import StageEvent
from shared.flow.events import event_of
from shared.flow.ruleset import Ruleset
from shared.flow.stage_facts import stage_fields
from shared.flow.stage_map import StageMap
from shared.flow.what_if import find
from shared.policy import Policy
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import ClockKind
from shared.runtime.instants import micros, moment
from shared.stream.processor import Handler, Processor
from shared.stream.transaction import PostgresTransaction, PostgresTransactions, Transaction, Transactions
from tests.support.histories import START

PARTITIONS = 4
WIP = [{"kind": "wip-high", "max": 0}]
TABLES = (
    "event, deal, visit, span_change, late_change, bucket, checkpoint, due, problem, measure, progress, position,"
    " outbox, stale_day, stage_fact, now_published, correction, closing, stale_week, withdrawn_visit, stage_change,"
    " stale_cause, learned_stage, learned, chance, relock, new_receipt, receipt_hour, source_pipeline, stay,"
    " handover"
)
PROBLEMS = "SELECT key, opened_at, cleared_at, peak FROM problem ORDER BY key, opened_at"
VISITS = "SELECT deal, pipeline, stage, entered, left_at, known FROM visit"


class OpenTransaction(Transactions):
    """The transaction that a connection is in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        yield PostgresTransaction(self._connection)


class Store:
    """One detector without its consumer: `take` handles a batch, `evaluate_at` moves its watermark on."""

    def __init__(self, pool: Pool, policy: Policy, now: datetime | None = None) -> None:
        self.pool, self.policy, self.ruleset = pool, policy, Ruleset(policy)
        self.present = now or datetime.now(UTC)
        self.registry = CollectorRegistry()
        self.metrics = DetectorMetrics(self.registry)
        # Write in bulk from two events on, and evaluate so few changes at once that a pass takes several portions.
        self.event_writer = EventWriter(self.ruleset, self.metrics, lambda record: self.present, direct_copy_min=2)
        self.events = self.processor(self.event_writer)
        publisher = ProblemPublisher(self.ruleset)
        self.evaluator = Evaluator(self.ruleset, publisher, ClockKind.WALL, changes_at_once=2)
        self.offset = 0

    def processor(self, handler: Handler[Any], connection: Connection | None = None) -> Processor[Any]:
        """Run batches through a handler; given a connection, in the transaction that its caller has begun."""
        transactions = OpenTransaction(connection) if connection else PostgresTransactions(self.pool)
        return Processor(transactions, handler, "", lambda record: self.present, lambda reason: None, lambda: None)

    async def take(self, values: list[bytes], **fields: Any) -> None:
        """Handle one batch of events."""
        await self.events.run(self.records(values, **fields))

    def records(self, values: list[bytes], **fields: Any) -> list[ConsumerRecord]:
        """Records as they come from Kafka; `fields`: another key, headers or partition."""
        given = {"key": b"k", "headers": (), "partition": 0} | fields
        key, headers, partition = given["key"], given["headers"], given["partition"]
        first, self.offset = self.offset, self.offset + len(values)
        return [
            ConsumerRecord("pipeline.events", partition, offset, 0, 0, key, value, 0, len(value), 0, headers)
            for offset, value in enumerate(values, first)
        ]

    async def evaluate_at(self, instant: datetime) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await record(connection, [Standing(n, True, micros(instant), micros(instant)) for n in range(PARTITIONS)])
            await self.evaluator.evaluate(connection, datetime.now(UTC))

    async def problems(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.pool.fetch(PROBLEMS)]

    async def visits(self) -> set[tuple[Any, ...]]:
        return {tuple(row) for row in await self.pool.fetch(VISITS)}

    async def told(self) -> list[ProblemEvent]:
        rows = await self.pool.fetch("SELECT value FROM outbox WHERE topic = 'flow.problems' ORDER BY id")
        return [ProblemEvent.model_validate_json(row["value"]) for row in rows]


def expected(
    events: list[DealEvent], policy: Policy, until: datetime, descriptions: Iterable[StageEvent] = ()
) -> tuple[list[Any], set[Any]]:
    """The problems and visits that the pure core finds, in the form of `problems` and `visits`."""
    stage_map = StageMap.of(fact for one in descriptions for fact in stage_fields(one))
    result = find([event_of(event) for event in events], policy, micros(until), stage_map)
    problems = [
        (key, moment(i.opened_at), None if i.cleared_at is None else moment(i.cleared_at), i.peak)
        for key, some in sorted(result.problems.items())
        for i in some
    ]
    visits = {
        (deal, v.pipeline, v.stage, moment(v.entered), None if v.left is None else moment(v.left), v.known)
        for deal, v in result.visits
    }
    return problems, visits


async def emptied(pool: Pool) -> Pool:
    """The pool, with its database as it is before the first event."""
    await pool.execute(
        f"TRUNCATE {TABLES}; UPDATE evaluation_state SET watermark = NULL, held = false, ruleset_digest = '',"
        f" stage_digest = '', partitions = {PARTITIONS}, fewer_since = NULL; DELETE FROM week_state;"
        " INSERT INTO week_state DEFAULT VALUES; UPDATE receipt_state SET judged = NULL, since = NULL"
    )
    return pool


def moved(deal: int, second: float, stage: str, number: int = 0) -> bytes:
    """A move of a deal to a stage, `second` seconds after the start; `number` distinguishes events of one instant."""
    event = {
        "id": f"{deal}-{second}-{number}",
        "source": "crm",
        "type": "andon.deal.moved",
        "subject": f"crm:{deal}",
        "time": (START + timedelta(seconds=second)).isoformat(),
        "specversion": "1.0",
        "data": {"pipeline": "p", "stage": stage},
    }
    return json.dumps(event).encode()

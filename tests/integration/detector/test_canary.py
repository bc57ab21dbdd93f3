"""The canary among real deals, in a whole detector without Kafka: neither changes anything of the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry

from services.detector.app import Detector
from services.detector.canary import SCHEMA, CanaryWriter, canary_ruleset, is_canary
from services.detector.evaluate import rebuild
from services.detector.ingest.event_writer import EventWriter
from services.detector.metrics import DetectorMetrics
from services.detector.settings import DetectorSettings
from services.detector.store.watermark import Standing, record
from shared.contracts.canary import CANARY, CANARY_DEAL, CANARY_STAGE
from shared.contracts.problems import ProblemEvent
from shared.flow.ruleset import Ruleset
from shared.policy import parse
from shared.postgres.canary_tables import CanaryEmptying, copies_of, make_copies
from shared.postgres.pool import Pool
from shared.runtime.instants import micros
from shared.stream.canary import WithCanary
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.support import histories
from tests.support.detector_store import PARTITIONS, WIP, emptied

ENTER, LEAVE = "moved", "won"
_TOPICS = "SELECT DISTINCT topic FROM outbox WHERE position($1::bytea IN value) > 0"


class CanaryStore:
    """A detector: `take` hands it events, `evaluate` lets it judge up to now."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.offset, self.now = pool, 0, datetime.now(UTC) - timedelta(minutes=10)
        self.ruleset = Ruleset(parse(json.dumps(histories.policy_text(WIP))))
        self.replica = self.started()

    def started(self) -> Detector:
        """A replica as it is after a start."""
        return Detector(DetectorSettings(), self.ruleset, self.pool, CollectorRegistry())

    def records(self, *values: bytes) -> list[ConsumerRecord]:
        first, self.offset = self.offset, self.offset + len(values)
        return [
            ConsumerRecord("pipeline.events", 0, offset, 0, 0, b"k", value, 0, len(value), 0, ())
            for offset, value in enumerate(values, first)
        ]

    async def take(self, *values: bytes) -> None:
        await self.replica.events.run(self.records(*values))

    async def evaluate(self, ahead: timedelta = timedelta(0)) -> None:
        """`ahead`: how far after now judgement time is."""
        now = micros(datetime.now(UTC))
        await record(self.pool, [Standing(n, True, now, now) for n in range(PARTITIONS)], PARTITIONS)
        await self.pool.execute("UPDATE progress SET read_at = read_at + $1", ahead // timedelta(microseconds=1))
        await self.replica.evaluation.run_once()

    async def told(self) -> list[tuple[str, str]]:
        """(pipeline, reason) of every message about a problem."""
        rows = await self.pool.fetch("SELECT value FROM outbox WHERE topic = 'flow.problems' ORDER BY id")
        found = [ProblemEvent.model_validate_json(row["value"]).data for row in rows]
        return [(data.pipeline, data.reason.value) for data in found]

    async def real_deals(self) -> set[str]:
        rows = await self.pool.fetch("SELECT deal FROM event UNION SELECT deal FROM deal UNION SELECT deal FROM visit")
        return {row["deal"] for row in rows}

    def event(self, kind: str, deal: str = CANARY_DEAL, stage: str = CANARY_STAGE, pipeline: str = CANARY) -> bytes:
        """Each a second later than the one before."""
        self.now += timedelta(seconds=1)
        return json.dumps(
            {
                "id": self.now.isoformat(),
                "source": deal.partition(":")[0],
                "type": f"andon.deal.{kind}",
                "subject": deal,
                "time": self.now.isoformat(),
                "specversion": "1.0",
                "data": {"pipeline": pipeline, "stage": stage} if kind == ENTER else {},
            }
        ).encode()

    def real(self, number: int) -> bytes:
        return self.event(ENTER, f"crm:{number}", "a", "p")


@pytest.fixture
async def store(pool: Pool) -> CanaryStore:
    await emptied(pool)
    async with pool.acquire() as connection:
        copies = copies_of("services.detector")
        assert copies is not None
        await make_copies(connection, "flow", "andon_detector", copies, is_changed=True)  # type: ignore[arg-type]
    return CanaryStore(pool)


async def test_among_real_deals_its_problem_is_told_and_nothing_else_of_it(store: CanaryStore) -> None:
    await store.take(store.real(1), store.event(ENTER), store.real(2))
    await store.evaluate()
    await store.take(store.event(LEAVE))
    # Over the ends of days, of which counts are published.
    await store.evaluate(ahead=timedelta(days=2))

    assert await store.real_deals() == {"crm:1", "crm:2"}
    assert await store.pool.fetch("SELECT DISTINCT deal FROM flow_canary.event") == [(CANARY_DEAL,)]
    assert sorted(await store.told()) == [(CANARY, "cleared"), (CANARY, "opened"), ("p", "opened")]
    assert [row["topic"] for row in await store.pool.fetch(_TOPICS, CANARY.encode())] == ["flow.problems"]


async def test_parts_of_a_batch_in_one_transaction_stay_apart(store: CanaryStore) -> None:
    of_canary, metrics = canary_ruleset(), DetectorMetrics(CollectorRegistry())
    own, canary = (
        EventWriter(rules, metrics, lambda record: datetime.now(UTC)) for rules in (store.ruleset, of_canary)
    )
    handler = WithCanary(own, CanaryWriter(canary, metrics), is_canary, SCHEMA)
    decode = own.decoders["pipeline.events"]
    async with PostgresTransactions(store.pool).begin() as transaction:
        for value in (store.event(ENTER), store.real(1), store.event(LEAVE), store.real(2)):
            (one,) = store.records(value)
            message = decode(one)
            assert message is not None
            await handler.handle(transaction, [Received(one, message)])

    assert await store.real_deals() == {"crm:1", "crm:2"}
    assert await store.pool.fetch("SELECT DISTINCT deal FROM flow_canary.event") == [(CANARY_DEAL,)]


async def test_repeated_records_and_restarts_tell_nothing_twice(store: CanaryStore) -> None:
    values = [store.event(LEAVE), store.event(ENTER), store.real(1)]
    for _ in range(2):
        await store.take(*values)
        await store.evaluate()
        store.replica = store.started()
    await store.take(store.event(LEAVE), store.event(ENTER))
    await store.evaluate()

    of_canary = [reason for pipeline, reason in await store.told() if pipeline == CANARY]
    assert of_canary == ["opened", "cleared", "opened"]
    assert await store.real_deals() == {"crm:1"}


async def test_a_rebuild_and_another_policy_between_two_events_change_nothing(store: CanaryStore) -> None:
    await store.take(store.event(ENTER), store.real(1))
    await store.evaluate()
    await rebuild.rebuild(store.pool, store.ruleset, DetectorSettings(), 0, lambda done, total: None)
    store.ruleset = Ruleset(parse(json.dumps(histories.policy_text([]))))
    await rebuild.follow_policy(store.pool, store.ruleset, DetectorSettings())
    store.replica = store.started()

    await store.take(store.event(LEAVE), store.event(ENTER))
    await store.evaluate()

    of_canary = [reason for pipeline, reason in await store.told() if pipeline == CANARY]
    assert of_canary == ["opened", "cleared", "opened"]


async def test_what_judgement_time_has_not_reached_yet_is_judged_when_it_has(store: CanaryStore) -> None:
    await store.take(store.event(ENTER))
    await store.evaluate(ahead=timedelta(minutes=-20))
    assert await store.told() == []

    await store.evaluate()

    assert await store.told() == [(CANARY, "opened")]


async def test_it_is_judged_while_evaluation_is_on_hold(store: CanaryStore) -> None:
    await store.pool.execute("UPDATE evaluation_state SET held = true")
    await store.take(store.event(ENTER), store.real(1))
    await store.evaluate()

    assert await store.told() == [(CANARY, "opened")]


async def test_what_fails_of_it_costs_real_deals_nothing(store: CanaryStore) -> None:
    await store.pool.execute("ALTER TABLE flow_canary.visit ADD CHECK (stage = 'no stage')")
    await store.take(store.real(1), store.event(ENTER), store.real(2))
    await store.pool.execute("ALTER TABLE flow_canary.problem ADD CHECK (key = 'no key')")
    await store.evaluate()

    assert await store.real_deals() == {"crm:1", "crm:2"}
    assert await store.told() == [("p", "opened")]
    assert await store.pool.fetchval("SELECT count(*) FROM outbox WHERE topic LIKE '%dead'") == 0


async def test_a_fault_of_its_evaluation_leaves_that_of_real_deals(store: CanaryStore) -> None:
    await store.pool.execute("ALTER TABLE flow_canary.problem ADD CHECK (key = 'no key')")
    await store.take(store.event(ENTER), store.real(1))
    await store.evaluate()

    assert await store.told() == [("p", "opened")]


async def test_real_records_that_are_handled_in_parts_keep_it_apart(store: CanaryStore) -> None:
    await store.pool.execute("ALTER TABLE visit ADD CONSTRAINT no_bad_ones CHECK (deal <> 'crm:2')")
    try:
        await store.take(store.event(ENTER), store.real(1), store.real(2), store.real(3))
    finally:
        await store.pool.execute("ALTER TABLE visit DROP CONSTRAINT no_bad_ones")
    await store.evaluate()

    assert await store.real_deals() == {"crm:1", "crm:3"}
    assert (CANARY, "opened") in await store.told()


async def test_it_goes_on_after_its_tables_were_emptied(store: CanaryStore) -> None:
    emptying = CanaryEmptying(store.pool, "flow", "services.detector")
    for event in (ENTER, LEAVE):
        await store.take(store.event(event))
        assert not await emptying.once()
        await store.evaluate()
        assert await emptying.once() == (event == LEAVE)
    assert await store.pool.fetchval("SELECT count(*) FROM flow_canary.event") == 0

    await store.take(store.event(LEAVE), store.event(ENTER))
    await store.evaluate()

    assert await store.told() == [(CANARY, "opened"), (CANARY, "cleared"), (CANARY, "opened")]


async def test_what_is_read_after_a_long_stop_is_not_judged_any_more(store: CanaryStore) -> None:
    store.now -= timedelta(hours=2)
    await store.take(store.event(ENTER), store.real(1))
    await store.evaluate()

    assert await store.told() == [("p", "opened")]

"""The enricher's handler behind the Processor, on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from services.enricher import store
from services.enricher.connections import Connection
from services.enricher.gaps import ReadPolicy
from services.enricher.handler import DealHandler
from shared.connectors.base.deal_parts import ALL_PARTS, DealPart
from shared.contracts.dead import DeadEvent, DeadReason
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS, dead
from shared.postgres.pool import Pool, open_pool
from shared.postgres.pruning import Retention
from shared.runtime.clock import SystemClock
from shared.stream.processor import Processor
from shared.stream.transaction import PostgresTransactions

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
POLICY = ReadPolicy(ALL_PARTS, True, timedelta(minutes=1), timedelta(days=1))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "crm", max_size=2)
    yield opened
    await opened.close()


def event(deal: str, kind: str = "moved", source: str = "crm", **data: Any) -> bytes:
    document = {
        "id": deal,
        "source": source,
        "type": f"andon.deal.{kind}",
        "subject": f"{source}:{deal}",
        "time": NOW,
        "data": data,
    }
    return DealEvent.model_validate(document).to_json()


def records(*values: bytes) -> list[ConsumerRecord]:
    return [
        ConsumerRecord(EVENTS, 0, offset, 0, 0, b"key", value, None, 3, len(value), ())
        for offset, value in enumerate(values)
    ]


class HandlerReports:
    """What one handler reports."""

    def __init__(self) -> None:
        self.rejected: list[DeadReason] = []
        self.stages: list[tuple[str, set[str]]] = []

    def stages_seen(self, source: str, stages: set[str]) -> None:
        self.stages.append((source, stages))


async def handle(pool: Pool, batch: Sequence[ConsumerRecord], has_api: bool = True) -> HandlerReports:
    counted = HandlerReports()
    policy = replace(POLICY, has_api=has_api)
    connections = {"crm": Connection(SimpleNamespace(name="crm"), None, policy)}  # type: ignore[arg-type]
    handler = DealHandler(connections, SystemClock(), counted.stages_seen)
    processor = Processor(
        PostgresTransactions(pool), handler, "", lambda record: NOW, counted.rejected.append, lambda: None
    )
    await processor.run(batch)
    return counted


async def deals(pool: Pool) -> list[str]:
    return [row["deal"] for row in await pool.fetch("SELECT deal FROM deal ORDER BY deal")]


async def test_a_record_that_cannot_be_stored_goes_to_the_dead_letters_and_the_others_are_handled(pool: Pool) -> None:
    await pool.execute("ALTER TABLE deal ADD CHECK (deal <> '2')")

    counted = await handle(pool, records(*(event(deal, stage="a") for deal in "123")))

    assert await deals(pool) == ["1", "3"]
    assert counted.rejected == [DeadReason.HANDLER]
    (letter,) = await pool.fetch("SELECT topic, value FROM outbox")
    assert letter["topic"] == dead(EVENTS)
    assert DeadEvent.model_validate_json(letter["value"]).data.place == f"{EVENTS}/0/1"
    assert await pool.fetchval("SELECT next_offset FROM position") == 3


async def test_records_that_cannot_be_decoded_and_those_of_other_sources_are_skipped(pool: Pool) -> None:
    counted = await handle(pool, records(b"{", event("1", source="other"), event("2", stage="a")))

    assert await deals(pool) == ["2"]
    assert counted.rejected == []
    assert counted.stages == [("crm", {"a"})]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_stages_are_reported_only_after_a_commit(pool: Pool) -> None:
    await pool.execute("ALTER TABLE deal ADD CHECK (deal <> '2')")

    counted = await handle(pool, records(event("1", stage="a"), event("2", stage="b")))

    assert counted.stages == [("crm", {"a"})]


async def test_only_deals_that_are_gone_are_pruned(pool: Pool) -> None:
    await handle(
        pool, records(event("1", stage="a"), event("2", "deleted"), event("3", "merged"), event("4", "deleted"))
    )
    await pool.execute("UPDATE deal SET updated_at = updated_at - interval '500 days' WHERE deal <> '4'")

    pruned = await Retention(partial(store.prune, pool), timedelta(days=400), SystemClock(), batch=1).run_once()

    assert (pruned, await deals(pool)) == (2, ["1", "4"])
    assert DealPart.GONE == 16, "as in the query"


async def test_the_deal_that_a_merge_goes_into_is_read_though_it_sent_nothing(pool: Pool) -> None:
    await handle(pool, records(event("1", "merged", into="crm:3")))

    states = {row["deal"]: row["state"] for row in await pool.fetch("SELECT deal, state FROM deal")}
    assert states == {"1": "whole", "3": "wanted"}


@pytest.mark.parametrize(("has_api", "state"), [(True, "wanted"), (False, "whole")])
async def test_the_history_of_a_deal_that_a_merge_has_placed_is_fetched_where_there_is_an_api(
    pool: Pool, has_api: bool, state: str
) -> None:
    placed = event("3", "moved", merged_from="crm:1", stage="a", pipeline="p")
    await handle(pool, records(event("1", "merged", into="crm:3"), event("3", "created", name="N"), placed), has_api)

    states = {row["deal"]: row["state"] for row in await pool.fetch("SELECT deal, state FROM deal")}
    assert states == {"1": "whole", "3": state}

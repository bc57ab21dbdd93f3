"""Silent sources on a real Postgres, from the events that a detector writes to the problems that an analyst publishes.

Whatever the batches, their order and duplicates: the intervals are those of what-if.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.detector.publish.receipts import ReceiptPublisher
from services.detector.store import evaluation
from services.detector.store.copy_tables import open_flow
from shared.contracts.problems import ProblemData, ProblemReason
from shared.contracts.receipts import ReceiptsEvent
from shared.policy import Policy, load
from shared.postgres.migrate import migrate_all
from shared.postgres.pool import Pool, open_pool
from shared.runtime.instants import micros
from tests.support.analyst_store import AnalystStore, Intervals
from tests.support.databases import new_database
from tests.support.detector_store import Store, emptied

SHOP = Path(__file__).parents[2] / "data" / "shop"
TABLES = "problem, correction, outbox, position, receipt_hour, judged_source, stale_source"
STATE = "UPDATE silence_state SET until = NULL, since = NULL, is_stale = false, policy = ''"
_PUBLISHED = "DELETE FROM outbox WHERE topic = 'flow.receipts' RETURNING id, value"


@dataclass
class Line:
    """A detector and an analyst with what lies between them; `published`: what came through."""

    detector: Store
    analyst: AnalystStore
    publisher: ReceiptPublisher = field(default_factory=lambda: ReceiptPublisher("", rows_at_once=3, part_size=40))
    published: list[ReceiptsEvent] = field(default_factory=list)

    async def take(self, values: Sequence[bytes]) -> None:
        await self.detector.take(list(values))

    async def judge(self, until: datetime) -> None:
        """Judgement time comes to an instant."""
        pool = self.detector.pool
        await evaluation.save_watermark(pool, micros(until))
        is_complete = False
        while not is_complete:
            async with pool.acquire() as connection, connection.transaction():
                is_complete = (await self.publisher.publish_some(connection)).is_complete
        rows = sorted(await pool.fetch(_PUBLISHED), key=lambda row: row["id"])
        events = [ReceiptsEvent.model_validate_json(row["value"]) for row in rows]
        self.published += events
        await self.analyst.take(events)
        await self.analyst.evaluate()

    async def told(self) -> list[ProblemData]:
        return [event.data for event in await self.analyst.messages()]


@pytest.fixture(scope="module")
async def pools(postgres: str) -> AsyncIterator[tuple[Pool, Pool]]:
    dsn = await new_database(postgres)
    await migrate_all(dsn)
    flow, analysis = await open_flow(dsn, max_size=2), await open_pool(dsn, "analysis", max_size=2)
    yield flow, analysis
    await flow.close()
    await analysis.close()


async def line_of(pools: tuple[Pool, Pool], policy: Policy) -> Line:
    flow, analysis = pools
    await analysis.execute(f"TRUNCATE {TABLES}; {STATE}")
    return Line(Store(await emptied(flow), policy), AnalystStore(analysis, policy))


def expected_of_shop() -> Intervals:
    written = json.loads((SHOP / "expected-problems.json").read_text())["problems"]
    return {key: some for key, some in written.items() if some and key.startswith("silence/")}


async def test_the_whole_shop_twice_and_out_of_order(pools: tuple[Pool, Pool]) -> None:
    line, seed = await line_of(pools, load(SHOP / "policy.yaml")), random.Random(4)
    with gzip.open(SHOP / "events.jsonl.gz") as file:
        lines = [(datetime.fromisoformat(json.loads(one)["time"]), one.strip()) for one in file]
    sent = lines + seed.sample(lines, len(lines) // 10)
    sent.sort(key=lambda one: one[0] + timedelta(hours=seed.choice([0, 0, 0, seed.randrange(160)])))
    for start in range(0, len(sent), 3000):
        part = sent[start : start + 3000]
        await line.take([one for _, one in part])
        await line.judge(max(at for at, _ in sent[: start + 3000]))

    assert await line.analyst.intervals() == expected_of_shop()
    told = await line.told()
    assert {data.source for data in told} == {"crm-eu", "crm-us"}
    assert all((data.pipeline, data.stage, data.chance) == ("", None, 0.1) for data in told)
    last = [data for data in told if data.key == "silence/crm-us"][-1]
    heard = max(at for at, one in lines if at < last.opened_at and b'"source":"crm-us"' in one)
    assert (last.reason, last.peak, last.heard_at) == (ProblemReason.CLEARED, 68, heard)

"""Silent sources on a real Postgres, from the events that a detector writes to the problems that an analyst publishes.

Whatever the batches, their order and duplicates: the intervals are those of what-if.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.cli.what_if_json import interval_json
from services.detector.publish.receipts import ReceiptPublisher
from services.detector.store import evaluation, receipts
from services.detector.store.copy_tables import open_flow
from shared.contracts.problems import ProblemData, ProblemReason
from shared.contracts.receipts import HourReceipts, ReceiptsEvent
from shared.flow.usual_events import ReadEvents
from shared.flow.what_if import find
from shared.policy import Policy, load, parse
from shared.postgres.pool import Pool, open_pool
from shared.runtime.instants import micros, moment
from tests.support import histories
from tests.support.analyst_store import AnalystStore, Intervals
from tests.support.databases import migrated_database, new_database
from tests.support.detector_store import WIP, Store, emptied, moved
from tests.support.event_lines import read_events, receipts_of
from tests.support.histories import START

SHOP = Path(__file__).parents[2] / "data" / "shop"
TABLES = "problem, correction, outbox, position, receipt_hour, judged_source, stale_source"
STATE = "UPDATE silence_state SET until = NULL, since = NULL, is_stale = false, policy = ''"
_PUBLISHED = "DELETE FROM outbox WHERE topic = 'flow.receipts' RETURNING id, value"


@dataclass
class ReceiptsLine:
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

    async def reevaluate(self, since: datetime) -> None:
        await receipts.rebuilt(self.detector.pool, micros(since))

    async def told(self) -> list[ProblemData]:
        return [event.data for event in await self.analyst.messages()]


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[tuple[Pool, Pool]]:
    flow, analysis = await open_flow(dsn, max_size=2), await open_pool(dsn, "analysis", max_size=2)
    yield flow, analysis
    await flow.close()
    await analysis.close()


@pytest.fixture(scope="module")
async def pools(postgres: str) -> AsyncIterator[tuple[Pool, Pool]]:
    async with opened(await migrated_database(postgres)) as found:
        yield found


async def line_of(pools: tuple[Pool, Pool], policy: Policy) -> ReceiptsLine:
    flow, analysis = pools
    await analysis.execute(f"TRUNCATE {TABLES}; {STATE}")
    analyst = AnalystStore(analysis, policy)
    await analyst.follow(policy)
    return ReceiptsLine(Store(await emptied(flow), policy), analyst)


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
    received = receipts_of(read_events(one for _, one in lines))["crm-us"]
    heard = max(at for at in received if at < micros(last.opened_at))
    assert (last.reason, last.peak, last.heard_at) == (ProblemReason.CLEARED, 68, moment(heard))


# An event every 20 minutes for ten weeks, then nothing: more than a day of it opens a problem.
STEP, EVENTS = timedelta(minutes=20), 5040
QUIET_SINCE = START + (EVENTS - 1) * STEP
RULES: dict[str, Any] = {"silence": [{}], "lateness": "7d"}


def policy_of(**fields: Any) -> Policy:
    return parse(json.dumps(histories.two_pipelines(WIP) | RULES | fields))


def sent(first: int, last: int, at: datetime = START) -> list[bytes]:
    """Moves of one deal after another, 20 minutes apart."""
    begin = (at - START).total_seconds()
    return [moved(n, begin + n * STEP.total_seconds(), "a") for n in range(first, last)]


@pytest.fixture(scope="module")
async def heard(postgres: str) -> str:
    """The name of a database whose detector has taken the events of ten weeks: copied, it need not take them again."""
    dsn = await migrated_database(postgres)
    async with opened(dsn) as (flow, _):
        store = Store(flow, policy_of())
        for first in range(0, EVENTS, 1008):
            await store.take(sent(first, first + 1008))
    return urlsplit(dsn).path.removeprefix("/")


@pytest.fixture
async def copied(postgres: str, heard: str) -> AsyncIterator[tuple[Pool, Pool]]:
    async with opened(await new_database(postgres, heard)) as found:
        yield found


async def ten_weeks(copied: tuple[Pool, Pool], policy: Policy) -> ReceiptsLine:
    """What was heard is judged until it ends; policies differ in what decides nothing before."""
    flow, analysis = copied
    analyst = AnalystStore(analysis, policy)
    await analyst.follow(policy)
    line = ReceiptsLine(Store(flow, policy), analyst)
    line.detector.offset = EVENTS
    await line.judge(QUIET_SINCE)
    return line


@cache
def read(events: tuple[bytes, ...]) -> ReadEvents:
    return read_events(events)


def expected(events: Iterable[bytes], until: datetime, policy: Policy) -> Intervals:
    """What what-if finds."""
    known = read(tuple(events))
    found = find(known.events, policy, micros(until), receipts=receipts_of(known))
    return {k: [interval_json(one) for one in some] for k, some in found.problems.items() if some and "silence" in k}


async def test_a_problem_opens_while_no_event_comes_grows_and_clears(copied: tuple[Pool, Pool]) -> None:
    policy = policy_of()
    line, events = await ten_weeks(copied, policy), sent(0, EVENTS)
    assert await line.told() == []
    for hours in (3, 12, 24, 25, 30, 36, 48, 72):
        until = QUIET_SINCE + timedelta(hours=hours)
        await line.judge(until)
        assert await line.analyst.intervals() == expected(events, until, policy), hours
    (opened, *grown) = await line.told()
    again = sent(EVENTS + 300, EVENTS + 301)
    await line.take(again)
    until = QUIET_SINCE + timedelta(hours=102)
    await line.judge(until)
    (cleared,) = await line.told()

    assert (opened.reason, opened.cleared_at, opened.heard_at) == (ProblemReason.OPENED, None, QUIET_SINCE)
    assert (opened.source, opened.pipelines, opened.historic) == ("crm", ("p",), False)
    peaks = [one.peak for one in (opened, *grown)]
    assert {one.reason for one in grown} == {ProblemReason.GREW}
    assert all(2 * after >= 3 * before for before, after in pairwise(peaks)), "no mail for each event that lacks"
    assert (cleared.reason, cleared.peak) == (ProblemReason.CLEARED, 301)
    assert await line.analyst.intervals() == expected([*events, *again], until, policy)


async def test_a_gap_that_is_judged_in_one_step_is_opened_and_cleared_in_order(copied: tuple[Pool, Pool]) -> None:
    """As after a stop of the services: what came meanwhile lies in Kafka, and judgement time comes to all of it."""
    line = await ten_weeks(copied, policy_of())
    await line.take(sent(EVENTS + 300, EVENTS + 310))
    await line.judge(QUIET_SINCE + timedelta(days=9))

    told = await line.told()
    assert [(one.reason, one.historic) for one in told][:2] == [
        (ProblemReason.OPENED, False),
        (ProblemReason.CLEARED, False),
    ]
    assert told[0].opened_at < told[1].cleared_at < told[2].opened_at  # type: ignore[operator]


async def test_an_event_that_comes_late_takes_a_problem_back(copied: tuple[Pool, Pool]) -> None:
    policy = policy_of()
    line = await ten_weeks(copied, policy)
    until = QUIET_SINCE + timedelta(hours=40)
    await line.judge(until)
    await line.told()
    late = sent(EVENTS, EVENTS + 115)
    await line.take(late)
    await line.judge(until + timedelta(minutes=1))

    assert await line.analyst.intervals() == {}
    assert [one.reason for one in await line.told()] == [ProblemReason.RETRACTED]
    await line.judge(until + timedelta(days=4))
    assert await line.analyst.intervals() == expected([*sent(0, EVENTS), *late], until + timedelta(days=4), policy)


async def test_a_history_that_is_loaded_is_judged_at_the_end_and_historic(pools: tuple[Pool, Pool]) -> None:
    policy = policy_of()
    line = await line_of(pools, policy)
    await evaluation.set_held(line.detector.pool, True)
    events = [*sent(0, EVENTS), *sent(EVENTS + 300, EVENTS + 800)]
    for first in range(0, len(events), 1000):
        await line.take(events[first : first + 1000])
        await line.judge(START)
    assert line.published == []
    await evaluation.set_held(line.detector.pool, False)
    until = START + (EVENTS + 800) * STEP
    await line.reevaluate(START)
    await line.judge(until)

    assert await line.analyst.intervals() == expected(events, until, policy)
    assert [(one.reason, one.historic) for one in await line.told()] == [(ProblemReason.CLEARED, True)]


async def test_what_is_older_than_the_lateness_waits_for_reevaluate(copied: tuple[Pool, Pool]) -> None:
    policy = policy_of(lateness="1d")
    line = await ten_weeks(copied, policy)
    events = [*sent(0, EVENTS), *sent(EVENTS + 300, EVENTS + 800)]
    until = START + (EVENTS + 800) * STEP
    await line.take(events[EVENTS:])
    await line.judge(until)
    before = await line.analyst.intervals()
    await line.told()
    late = sent(EVENTS, EVENTS + 150)
    await line.take(late)
    await line.judge(until + timedelta(seconds=1))
    assert await line.analyst.intervals() == before
    await line.reevaluate(START)
    await line.judge(until + timedelta(seconds=2))

    now = expected([*events, *late], until + timedelta(seconds=2), policy)
    assert await line.analyst.intervals() == now != before


@pytest.mark.parametrize(("silence", "reason"), [([{}, {"source": "crm", "mode": "off"}], "unruled"), ([], "unruled")])
async def test_a_policy_without_the_rule_takes_the_problem_back(
    copied: tuple[Pool, Pool], silence: list[Any], reason: str
) -> None:
    line = await ten_weeks(copied, policy_of())
    until = QUIET_SINCE + timedelta(hours=40)
    await line.judge(until)
    before = await line.analyst.intervals()
    await line.told()
    other = policy_of(silence=silence)
    line.analyst = AnalystStore(copied[1], other)
    await line.analyst.follow(other)
    await line.analyst.evaluate()

    assert len(before) == 1
    assert await line.analyst.intervals() == {}
    assert [(one.reason, one.source, one.pipeline) for one in await line.told()] == [(reason, "crm", "")]
    line.analyst = AnalystStore(copied[1], policy_of())
    await line.analyst.follow(policy_of())
    await line.analyst.evaluate()
    assert await line.analyst.intervals() == before


async def test_a_rule_that_only_monitors(copied: tuple[Pool, Pool]) -> None:
    line = await ten_weeks(copied, policy_of(silence=[{"mode": "monitor", "budget": "0.2"}]))
    await line.judge(QUIET_SINCE + timedelta(hours=40))

    assert [(one.mode, one.chance) for one in await line.told()] == [("monitor", 0.2)]


async def test_hours_are_published_in_full_parts_where_they_change(pools: tuple[Pool, Pool]) -> None:
    line = await line_of(pools, policy_of())
    line.publisher = ReceiptPublisher("", rows_at_once=2, part_size=40)
    hour = [moved(n, n * 7, "a") for n in range(100)]
    for first, last in ((0, 10), (10, 50), (0, 50), (50, 85), (85, 100), (30, 100)):
        await line.take(hour[first:last])
        await line.judge(START + timedelta(hours=2))
    found = {event.data.key: event.data for event in line.published}
    hours = [one for one in found.values() if isinstance(one, HourReceipts)]

    assert [(one.part, len(one.receipts)) for one in hours] == [(0, 40), (1, 40), (2, 20)]
    assert sorted(at for one in hours for at in one.receipts) == [n * 7_000_000 for n in range(100)]
    assert all(list(one.receipts) == sorted(one.receipts) for one in hours)
    assert sum(isinstance(event.data, HourReceipts) for event in line.published) == 6


async def test_judgement_time_that_was_set_back_takes_nothing_back(copied: tuple[Pool, Pool]) -> None:
    policy = policy_of()
    line = await ten_weeks(copied, policy)
    until = QUIET_SINCE + timedelta(hours=40)
    await line.judge(until)
    before = await line.analyst.intervals()
    await line.told()
    await line.take(sent(EVENTS + 200, EVENTS + 201))
    await line.judge(until - timedelta(days=20))
    assert await line.told() == []
    assert await line.analyst.intervals() == before
    await line.judge(until + timedelta(days=2))

    assert (await line.told())[0].reason is ProblemReason.CLEARED
    events = [*sent(0, EVENTS), *sent(EVENTS + 200, EVENTS + 201)]
    assert await line.analyst.intervals() == expected(events, until + timedelta(days=2), policy)

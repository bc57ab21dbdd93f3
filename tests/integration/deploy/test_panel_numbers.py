"""Numbers that panels compute in SQL, against the same computed here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tests.support.databases import migrated_database
from tests.support.grafana import View, panels, sql

ZONE = ZoneInfo("Europe/Berlin")
# Monday after the end of summer time: the week before it has an hour more.
MONDAY = datetime(2026, 10, 26, tzinfo=ZONE)
NOW = datetime(2026, 11, 11, 12, tzinfo=ZONE)
CHOSEN = {"pipeline": ["p"], "stage": ["", "a", "b"]}
BY_NAME = {one.name: one for one in panels()}


@pytest.fixture(scope="module")
async def flow(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A database whose pipeline has two stages."""
    connection = await asyncpg.connect(await migrated_database(postgres))
    await connection.execute("SET search_path = flow")
    stages = [("p", "a", "Sales", "First", 0, ZONE.key), ("p", "b", "Sales", "Second", 1, ZONE.key)]
    await connection.copy_records_to_table("policy_stage", records=stages)
    yield connection
    await connection.close()


async def answer(flow: asyncpg.Connection, name: str, start: datetime, end: datetime = NOW) -> list[tuple[Any, ...]]:
    """The rows of a panel."""
    view = View(start.timestamp(), end.timestamp(), CHOSEN)
    (target,) = BY_NAME[name].panel["targets"]
    return [tuple(row) for row in await flow.fetch(sql(target["rawSql"], view))]


def between_ranks(values: Iterable[float], share: float) -> float:
    """The percentile as docs/developer/statistics.md has it: linear between ranks."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


async def test_lead_times_are_those_of_whole_weeks_in_the_zone_of_the_policy(flow: asyncpg.Connection) -> None:
    """The range begins within the first of two weeks; deals closed at its very ends belong to it and to the next."""
    days = {MONDAY - timedelta(days=7): [3, 5, 6, 40], MONDAY: [1, 2]}
    deals = [
        (week + timedelta(days=1, hours=n), lasted) for week, found in days.items() for n, lasted in enumerate(found)
    ]
    await flow.executemany(
        "INSERT INTO closing VALUES ($1, $2, 'p', true, $3)",
        [
            (f"d{n}", micros(at), micros(at.astimezone(UTC) - timedelta(days=lasted)))
            for n, (at, lasted) in enumerate(deals)
        ],
    )

    found = await answer(flow, "flow: How long do deals take?", MONDAY - timedelta(days=2))

    names = {"half within": 0.5, "85 of 100 within": 0.85, "95 of 100 within": 0.95}
    assert sorted(found) == [
        (
            (week + timedelta(days=7)).astimezone(UTC),
            f"Sales, {name}",
            pytest.approx(between_ranks(lasted, share) * 86_400),
        )
        for week, lasted in days.items()
        for name, share in sorted(names.items())
    ]


def micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


async def test_ages_of_open_deals_at_the_end_of_the_range(flow: asyncpg.Connection) -> None:
    visits = [("d1", "a", 0.5, None), ("d2", "a", 2, None), ("d3", "b", 2, 1), ("d4", "b", 60, None)]
    await flow.executemany(
        "INSERT INTO visit (deal, pipeline, stage, entered, left_at, known, progressed)"
        " VALUES ($1, 'p', $2, $3, $4, true, $3)",
        [
            (deal, stage, NOW - timedelta(days=age), left and NOW - timedelta(days=left))
            for deal, stage, age, left in visits
        ],
    )

    *_, newest = await answer(flow, "flow: How old are open deals?", NOW - timedelta(days=90))

    assert newest == (NOW.astimezone(UTC), 1, 1, 0, 0, 0, 0, 1)


async def test_a_problem_lasts_from_its_beginning_or_that_of_the_range_to_its_end(flow: asyncpg.Connection) -> None:
    days = [("aging", "a", 9, 5), ("aging", "a", 2, None), ("wip-high", "b", 3, 1), ("wip-low", "b", 40, 30)]
    await flow.executemany(
        """INSERT INTO problem (key, opened_at, cleared_at, peak, published_count, kind, pipeline, stage, mode, rule,
        policy_version, historic, detected_at) VALUES ($1, $2, $3, 1, 1, $4, 'p', $5, 'active', '', '', false, $2)""",
        [
            (f"{kind}/p/{stage}", NOW - timedelta(days=begun), ended and NOW - timedelta(days=ended), kind, stage)
            for kind, stage, begun, ended in days
        ],
    )

    found = await answer(flow, "flow: Which problems, and when?", NOW - timedelta(days=7))

    late, much = "Deals wait too long in First", "Too much work in Second"
    assert found == [
        (NOW - timedelta(days=ago), name, state)
        for ago, name, state in ((7, late, 1), (5, late, 0), (3, much, 1), (2, late, 1), (1, much, 0))
    ]

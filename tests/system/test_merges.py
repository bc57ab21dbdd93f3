"""Merges that make new deals, from end to end: what the detector publishes comes back to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.simulator.dialects import DIALECTS
from shared.postgres import locks
from tests.support.line import Line
from tests.support.waiting import eventually

TOKEN = "a-token-that-is-long-enough"
STAGES = (("new", "New", "open"), ("proposal", "Proposal", "open"), ("signed", "Signed", "won"))
START = datetime.now(UTC) - timedelta(hours=1)


# HubSpot signs the address that it calls.
HUBSPOT_URL = "https://hooks.andon.example/v1/ingest/crm"


@pytest.fixture
async def hubspot(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[Line]:
    services = Line(kafka, dsn, prefix, tmp_path)
    await services.start("sales", STAGES, {"kind": "hubspot", "secrets": [TOKEN], "public_url": HUBSPOT_URL})
    yield services
    services.stop()


@pytest.fixture
async def line(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> AsyncIterator[Line]:
    services = Line(kafka, dsn, prefix, tmp_path)
    await services.start("sales", STAGES, {"kind": "cloudevents", "secrets": [TOKEN]})
    yield services
    services.stop()


async def send(line: Line, deal: int, minute: int, kind: str, **data: Any) -> None:
    event = {
        "specversion": "1.0",
        "id": f"{deal}-{minute}-{kind}",
        "source": "erp",
        "type": f"deal.{kind}",
        "time": (START + timedelta(minutes=minute)).isoformat(),
        "data": {"id": str(deal), **data},
    }
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(line.hook, json=event, headers=headers)
    assert answer.status_code == 202, answer.text


async def test_merged_deals_continue_one_after_the_other_and_follow_late_events(line: Line) -> None:
    await send(line, 7, 20, "merged", into="9", primary=True)
    await send(line, 1, 0, "created", pipeline="sales", stage="new")
    await send(line, 1, 10, "merged", into="7", primary=True)
    await send(line, 2, 10, "merged", into="7")
    whole = [("1", True, False), ("7", True, False), ("9", True, True)]
    await eventually(line.visits, lambda found: found == [(deal, "new", *rest) for deal, *rest in whole])

    await send(line, 1, 5, "moved", stage="proposal")
    expected = [("1", "new", True, False), *((deal, "proposal", *rest) for deal, *rest in whole)]
    await eventually(line.visits, lambda found: found == expected)
    await send(line, 1, 6, "won")
    await eventually(line.visits, lambda found: found == expected[:2])


def hubspot_event(number: int, deal: int, minute: int, kind: str, **fields: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=minute)
    ids = {"eventId": number, "subscriptionId": 1, "portalId": 1, "appId": 1, "attemptNumber": 0}
    what = {"subscriptionType": f"deal.{kind}", "objectId": deal, "occurredAt": int(at.timestamp() * 1000)}
    return ids | what | fields


# Deals 1 and 2; then HubSpot makes deal 7 of both, and says where 1 was but not where 7 is.
BEFORE = [
    hubspot_event(number, deal, 0, "propertyChange", propertyName=name, propertyValue=value)
    for number, (deal, name, value) in enumerate(
        ((1, "pipeline", "sales"), (1, "dealstage", "proposal"), (2, "pipeline", "sales"), (2, "dealstage", "new"))
    )
]
MERGE = [
    hubspot_event(10, 1, 10, "merge", primaryObjectId=1, mergedObjectIds=[2], newObjectId=7),
    hubspot_event(11, 7, 10, "creation"),
]
STAYED = [("1", "proposal", False, True), ("2", "new", False, True)]
MERGED = [("1", "proposal", False, False), ("2", "new", False, False), ("7", "proposal", True, True)]
MOVES = "SELECT count(*) FROM outbox WHERE topic LIKE '%pipeline.events'"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def post(line: Line, events: list[dict[str, Any]]) -> None:
    sent = DIALECTS["hubspot"](TOKEN, HUBSPOT_URL).sign(json.dumps(events).encode(), datetime.now(UTC))
    async with httpx.AsyncClient() as client:
        answer = await client.post(line.hook, content=sent.body, headers=dict(sent.headers))
    assert answer.status_code == 202, answer.text


@asynccontextmanager
async def held(dsn: str, lock: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """One of the detector's locks: who needs it waits, or leaves its work to whoever holds it."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "flow"})
    async with connection.transaction():
        await locks.lock(connection, lock)
        yield connection
    await connection.close()


async def restarted(line: Line) -> None:
    """The detector is killed already: what it left behind is finished, and nothing is done twice."""
    line.services["detector"].start().ready()
    await eventually(line.visits, lambda found: found == MERGED)


async def left_over(dsn: str) -> tuple[int, int, int]:
    """Moves that wait to be published; handovers that are stored; events of the deal that HubSpot made."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "flow"})
    queries = (MOVES, "SELECT count(*) FROM handover", "SELECT count(*) FROM event WHERE deal LIKE '%:7'")
    found = [await connection.fetchval(query) for query in queries]
    await connection.close()
    return found[0], found[1], found[2]


async def assert_whole(line: Line, dsn: str) -> None:
    await eventually(lambda: left_over(dsn), lambda found: found == (0, 1, 2))
    assert await line.visits() == MERGED


async def test_killed_before_a_handover_is_stored(hubspot: Line, dsn: str) -> None:
    await post(hubspot, BEFORE)
    await eventually(hubspot.visits, lambda found: found == STAYED)
    async with held(dsn, "handovers") as connection:
        await post(hubspot, MERGE)
        await eventually(lambda: connection.fetchval(WAITING), lambda waiting: waiting > 0)
        assert await hubspot.visits() == STAYED
        hubspot.services["detector"].kill()

    await restarted(hubspot)
    await assert_whole(hubspot, dsn)


async def test_killed_between_storing_and_publishing_a_handover(hubspot: Line, dsn: str) -> None:
    await post(hubspot, BEFORE)
    await eventually(hubspot.visits, lambda found: found == STAYED)
    async with held(dsn, "outbox") as connection:
        await post(hubspot, MERGE)
        await eventually(lambda: connection.fetchval(MOVES), lambda moves: moves == 1)
        hubspot.services["detector"].kill()
        assert [deal for deal, *_ in await hubspot.visits()] == ["1", "2"]

    await restarted(hubspot)
    await assert_whole(hubspot, dsn)


async def test_killed_after_publishing_a_handover_that_is_then_published_again(hubspot: Line, dsn: str) -> None:
    await post(hubspot, BEFORE)
    await eventually(hubspot.visits, lambda found: found == STAYED)
    row = await asyncpg.connect(dsn, server_settings={"search_path": "flow"})
    async with row.transaction():
        async with held(dsn, "outbox") as connection:
            await post(hubspot, MERGE)
            await eventually(lambda: connection.fetchval(MOVES), lambda moves: moves == 1)
            # The row cannot be deleted, so that publishing it is never committed.
            await row.execute("SELECT FROM outbox WHERE topic LIKE '%pipeline.events' FOR UPDATE")
        await eventually(hubspot.visits, lambda found: found == MERGED)
        assert await row.fetchval(MOVES) == 1
        hubspot.services["detector"].kill()
    await row.close()

    await restarted(hubspot)
    await assert_whole(hubspot, dsn)

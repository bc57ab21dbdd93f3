"""Merges that make new deals, from end to end: what the detector publishes comes back to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.line import Line
from tests.support.waiting import eventually

TOKEN = "a-token-that-is-long-enough"
STAGES = (("new", "New", "open"), ("proposal", "Proposal", "open"), ("signed", "Signed", "won"))
START = datetime.now(UTC) - timedelta(hours=1)


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

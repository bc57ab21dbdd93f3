"""A source that floods is slowed, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.intake.config import parse
from services.intake.door import Door
from services.intake.ingest import Ingest
from services.intake.limits import Limit
from services.intake.metrics import IntakeMetrics
from shared.bus.publisher import OutgoingMessage
from tests.unit.intake.support import TOKEN

EVENT = b'{"_model": "crm.lead", "_id": 5, "stage_id": 3, "write_date": "2026-03-10 09:00:00"}'


@given(st.floats(0.5, 50), st.lists(st.floats(0, 2), max_size=200))
def test_no_more_pass_than_the_burst_and_the_rate_allow(rate: float, pauses: list[float]) -> None:
    now, passed, since = 0.0, 0, 0.0
    limit = Limit(rate, 10, lambda: now)
    for pause in pauses:
        now += pause
        wait = limit.wait()
        passed += wait == 0
        assert passed <= max(1.0, rate) + rate * (now - since) + 1e-6
        if wait:
            now += wait + 1e-9
            assert limit.wait() == 0
            passed += 1


class Slow:
    """A Kafka that takes its time."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        await self.free.wait()


def client(delivery: Any, **settings: Any) -> httpx.AsyncClient:
    own = {"kind": "odoo", "secrets": [TOKEN]}
    sources = parse(json.dumps({"sources": {
        "flood": {**own, **settings}, "other": own, "events": {"kind": "cloudevents", "secrets": [TOKEN], **settings},
    }}))  # fmt: skip
    metrics = IntakeMetrics(CollectorRegistry(), list(sources))
    door = Door(Ingest(sources, delivery, metrics, "").answer, Starlette())
    return httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://intake/v1/ingest")


async def test_beyond_its_rate_a_source_is_told_to_come_again() -> None:
    delivery = Slow()
    delivery.free.set()
    async with client(delivery, per_second=2) as to:
        answers = [await to.post(f"/flood?key={TOKEN}", content=EVENT) for _ in range(4)]
        refused = await to.post("/flood?key=not-the-key-of-it", content=EVENT)
        other = await to.post(f"/other?key={TOKEN}", content=EVENT)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/cloudevents-batch+json"}
        events = [await to.post("/events", content=b"[]", headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 503, 503]
    assert (answers[2].headers["retry-after"], refused.status_code, other.status_code) == ("1", 401, 202)
    # CloudEvents' senders know 429.
    assert [answer.status_code for answer in events] == [202, 202, 429]


async def test_too_many_at_once_are_told_to_come_again() -> None:
    delivery = Slow()
    async with client(delivery, at_once=3) as to:
        waiting = [asyncio.ensure_future(to.post(f"/flood?key={TOKEN}", content=EVENT)) for _ in range(3)]
        await asyncio.sleep(0.05)
        fourth = await to.post(f"/flood?key={TOKEN}", content=EVENT)
        other = asyncio.ensure_future(to.post(f"/other?key={TOKEN}", content=EVENT))
        await asyncio.sleep(0)
        delivery.free.set()
        answers = [(await answer).status_code for answer in [*waiting, other]]
        after = await to.post(f"/flood?key={TOKEN}", content=EVENT)

    assert fourth.status_code == 503
    assert answers == [202] * 4
    assert after.status_code == 202

"""A source that floods is slowed, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.intake.http import IngestEndpoint
from services.intake.ingest import Ingest
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import FREE_BODY_BYTES, LogThrottle, MemoryBudget, RateLimit
from shared.connectors.config import parse
from shared.kafka.publisher import OutgoingMessage
from tests.support.webhooks import TOKEN

EVENT = b'{"_model": "crm.lead", "_id": 5, "stage_id": 3, "write_date": "2026-03-10 09:00:00"}'


@given(st.floats(0.5, 50), st.lists(st.floats(0, 2), max_size=200))
def test_no_more_pass_than_the_burst_and_the_rate_allow(rate: float, pauses: list[float]) -> None:
    now, passed, since = 0.0, 0, 0.0
    limit = RateLimit(rate, 10, lambda: now)
    for pause in pauses:
        now += pause
        wait = limit.acquire()
        passed += wait == 0
        assert passed <= max(1.0, rate) + rate * (now - since) + 1e-6
        if wait:
            now += wait + 1e-9
            assert limit.acquire() == 0
            passed += 1


def test_a_flood_is_told_once_a_second_with_its_count() -> None:
    times = iter([0.0, 0.1, 0.1, 0.2, 0.9, 1.2, 1.2, 1.3])
    throttle = LogThrottle(1.0, lambda: next(times))

    assert [throttle.count() for _ in range(5)] == [1, 0, 0, 3, 0]


class Slow:
    """A Kafka that takes its time."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        await self.free.wait()


def client(delivery: Any, memory: int = 2**25, **settings: Any) -> httpx.AsyncClient:
    own = {"kind": "odoo", "secrets": [TOKEN]}
    sources = parse(
        json.dumps(
            {
                "sources": {
                    "flood": {**own, **settings},
                    "other": own,
                    "events": {"kind": "cloudevents", "secrets": [TOKEN], **settings},
                }
            }
        )
    )
    metrics = IntakeMetrics(CollectorRegistry(), list(sources))
    endpoint = IngestEndpoint(Ingest(sources, delivery, metrics, "", MemoryBudget(memory)).answer, Starlette())
    return httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://intake/v1/ingest")


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


async def test_who_sends_slowly_takes_nobodys_place() -> None:
    delivery, go_on = Slow(), asyncio.Event()
    delivery.free.set()

    async def slowly() -> AsyncIterator[bytes]:
        yield EVENT[:10]
        await go_on.wait()
        yield EVENT[10:]

    async with client(delivery, at_once=2) as to:
        slow = [asyncio.ensure_future(to.post(f"/flood?key={TOKEN}", content=slowly())) for _ in range(2)]
        await asyncio.sleep(0.05)
        quick = await to.post(f"/flood?key={TOKEN}", content=EVENT)
        go_on.set()
        answers = [(await answer).status_code for answer in slow]

    assert (quick.status_code, answers) == (202, [202, 202])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 3 * FREE_BODY_BYTES)), max_size=60))
def test_no_more_bytes_are_in_hand_than_there_is_room_for(steps: list[tuple[str, int, int]]) -> None:
    budget, most = MemoryBudget(6 * FREE_BODY_BYTES), 6 * FREE_BODY_BYTES
    reservations = {(source, number): budget.reserve(source) for source in "ab" for number in range(6)}
    for source, number, size in steps:
        before, reservation = budget.used, reservations[source, number]
        if not size:
            reservation.release()
            reservations[source, number] = budget.reserve(source)
        elif not reservation.grow(size):
            assert budget.used == before
            assert before > 0
        held = [one.held for one in reservations.values()]
        assert budget.used == sum(held) <= max(most, *held)
        for name in "ab":
            mine = [one.held for (of, _), one in reservations.items() if of == name]
            assert budget.used_by_source.get(name, 0) == sum(mine) <= max(most // 2, *mine)
    for reservation in reservations.values():
        reservation.release()
    assert budget.used == 0


async def test_without_room_the_sender_is_told_to_come_again_and_small_ones_and_others_are_taken() -> None:
    delivery = Slow()
    large = EVENT[:-1] + b", " + b" " * 3 * FREE_BODY_BYTES + b'"x": 1}'
    async with client(delivery, memory=8 * FREE_BODY_BYTES) as to:
        first = asyncio.ensure_future(to.post(f"/flood?key={TOKEN}", content=large))
        await asyncio.sleep(0.05)
        second = await to.post(f"/flood?key={TOKEN}", content=large)
        others = [
            asyncio.ensure_future(to.post(f"/{name}?key={TOKEN}", content=body))
            for name, body in (("flood", EVENT), ("other", large))
        ]
        await asyncio.sleep(0.05)
        delivery.free.set()
        answers = [(await answer).status_code for answer in (first, *others)]
        again = await to.post(f"/flood?key={TOKEN}", content=large)

    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert (answers, again.status_code) == ([202] * 3, 202)


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, gzip", "identity, gzip"])
async def test_a_compressed_body_is_not_taken_for_something_else(coding: str) -> None:
    delivery = Slow()
    delivery.free.set()
    async with client(delivery) as to:
        answer = await to.post(f"/flood?key={TOKEN}", content=EVENT, headers={"Content-Encoding": coding})
        plain = await to.post(f"/flood?key={TOKEN}", content=EVENT, headers={"Content-Encoding": "identity"})

    assert (answer.status_code, answer.headers["accept-encoding"], plain.status_code) == (415, "identity", 202)
    assert "content-encoding" in answer.json()["detail"]
    assert answer.json()["detail"].endswith("send the body as it is")

"""What is sent to pages and the API has a maximum size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.tickets.app import MAX_BODY_BYTES, Tickets, application
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(pool: Pool, parts: TicketParts, service: Tickets) -> AsyncIterator[httpx.AsyncClient]:
    """The whole service over one ticket."""
    await parts.handle(record(event(problem()), 0))
    app = application(service, pool, CollectorRegistry(), ["127.0.0.1", "andon.example"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as found:
        yield found


async def parts_of(size: int) -> AsyncIterator[bytes]:
    """A body of which no header says how long it is."""
    field = b"reason=" + b"a" * 65_536 + b"&"
    for _ in range(size // len(field) + 1):
        yield field


@pytest.mark.parametrize("path", ["/tickets/1/close", "/tickets/1/draft", "/charts/new/proposal/wip_end"])
async def test_a_form_that_is_too_long_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, content=parts_of(MAX_BODY_BYTES), headers=FORM)

    assert (answer.status_code, "write it shorter" in answer.text) == (413, True)


async def test_json_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/tickets/1/draft", content=parts_of(MAX_BODY_BYTES), headers=JSON)

    assert (answer.status_code, answer.json()["detail"].startswith("the body is larger")) == (413, True)
    assert (await client.get("/api/v1/tickets/1")).json()["draft_version"] == 0


async def test_the_longest_plan_is_not_too_long(client: httpx.AsyncClient) -> None:
    text = "\U0001f600" * 2000
    tasks = {f"task_{row}_{part}": text for row in range(1, 21) for part in ("what", "who")}
    form = {"version": "1", "draft_version": "0", "aim": text, "change": text, "predicted_why": text, **tasks}
    assert len(urlencode(form)) < MAX_BODY_BYTES

    assert (await client.post("/tickets/1/draft", data=form)).status_code == 303
    assert (await client.get("/api/v1/tickets/1/plan")).json()["draft"]["aim"] == text

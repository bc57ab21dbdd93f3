"""The API on a real Postgres, as its description says."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.tickets.app import Tickets, application
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nothing", 404), ("GET", "/api", 404), ("POST", "/api/v1/tickets", 405), ("GET", "/nothing", 404)],
)
async def test_the_api_tells_every_fault_as_json(
    pool: Pool, service: Tickets, method: str, path: str, status: int
) -> None:
    app = application(service, pool, CollectorRegistry(), ["127.0.0.1", "andon.example"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.request(method, path)

    media = "application/problem+json" if path.startswith("/api") else "text/html; charset=utf-8"
    assert (answer.status_code, answer.headers["content-type"]) == (status, media)
    if media.endswith("json"):
        assert answer.json()["status"] == status
        assert "/api/v1/openapi.json" in answer.json()["detail"]
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


async def test_the_api_without_a_database_answers_as_json(pool: Pool, service: Tickets) -> None:
    app = application(service, pool, CollectorRegistry(), ["127.0.0.1", "andon.example"])
    await pool.execute("ALTER TABLE ticket RENAME TO away")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/tickets")

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")


async def test_answers_of_the_api_are_as_its_description_says(web: httpx.AsyncClient, parts: TicketParts) -> None:
    described = (await web.get("/api/v1/openapi.json")).json()
    assert described == parts.make_api().application().openapi()

    def check(value: Any, name: str) -> None:
        jsonschema.validate(value, {**described, "$ref": f"#/components/schemas/{name}"})

    check((await web.get("/api/v1/tickets")).json(), "TicketList")
    check((await web.get("/api/v1/tickets/1")).json(), "TicketWhole")
    whole = (await web.get("/api/v1/tickets/1")).json()
    assert [change["change"] for change in whole["history"]] == ["opened"]
    assert [mail["result"] for mail in whole["mails"]] == ["refused"]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("?state=lost", 422, "state"),
        ("?limit=0", 422, "limit"),
        ("?limit=x", 422, "limit"),
        ("?sort=1", 422, "sort"),
        ("?before=%00", 422, "before"),
        ("/x", 422, "number"),
        ("/77", 404, "77"),
        ("/" + "9" * 30, 422, "number"),
        ("?pipeline=%00", 200, ""),
    ],
)
async def test_wrong_questions_to_the_api_are_answered(
    web: httpx.AsyncClient, path: str, status: int, named: str
) -> None:
    answer = await web.get(f"/api/v1/tickets{path}")

    assert (answer.status_code, named in answer.text) == (status, True)


async def test_pages_of_the_api_follow_one_another(parts: TicketParts) -> None:
    for number in range(5):
        data = problem(opened=number * 40).model_copy(update={"key": f"aging/new/proposal-{number}"})
        await parts.handle(record(event(data), number))
    app = Starlette(routes=parts.make_api().routes())
    seen: list[int] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        before = ""
        while True:
            page = (await client.get(f"/api/v1/tickets?limit=2{before}")).json()
            seen += [ticket["id"] for ticket in page["tickets"]]
            if page["next_before"] is None:
                break
            before = f"&before={page['next_before']}"

    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/tickets", 200),
        ("HEAD", "/tickets/1", 200),
        ("GET", "", 404),
        ("POST", "", 404),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
    ],
)
async def test_the_api_has_these_addresses_and_no_others(
    web: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    assert (await web.request(method, f"/api/v1{path}")).status_code == status


async def test_the_description_says_who_may_ask_and_what_faults_are(web: httpx.AsyncClient) -> None:
    described = (await web.get("/api/v1/openapi.json")).json()

    assert (described["openapi"], described["servers"]) == ("3.1.0", [{"url": "/api/v1"}])
    assert described["security"] == [{"token": []}, {"session": []}]
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    operations = [one for path in described["paths"].values() for one in path.values()]
    for operation in operations:
        responses = operation["responses"]
        assert {"200", "401", "403", "429"} <= responses.keys(), operation["summary"]
        faults = {media for status, one in responses.items() if status != "200" for media in one["content"]}
        assert faults == {"application/problem+json"}, operation["summary"]
        assert "Retry-After" in responses["429"]["headers"]
    assert len({one["operationId"] for one in operations}) == len(operations) == 26
    assert list(described["paths"]["/tickets"]) == ["get"]
    changed = described["paths"]["/tickets/{number}/acknowledge"]["post"]
    assert {one["name"] for one in changed["parameters"]} == {"number", "If-Match", "Idempotency-Key"}
    assert {"409", "412", "422"} <= changed["responses"].keys()

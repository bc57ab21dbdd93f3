"""The API on a real Postgres, as its description says."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
from starlette.applications import Starlette

from services.tickets.desk import Desk
from services.tickets.web.api import Api, openapi
from shared.runtime.clock import SystemClock
from tests.integration.tickets.records import record, take
from tests.support.problems import event, policy, problem


async def test_answers_of_the_api_are_as_its_description_says(web: httpx.AsyncClient) -> None:
    described = (await web.get("/api/v1/openapi.json")).json()
    assert described == openapi()

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
        ("?state=lost", 422, "state"), ("?limit=0", 422, "limit"), ("?limit=x", 422, "limit"), ("?sort=1", 422, "sort"),
        ("?before=%00", 422, "before"), ("/x", 422, "number"), ("/77", 404, "77"), ("/" + "9" * 30, 422, "number"),
        ("?pipeline=%00", 200, ""),
    ],
)  # fmt: skip
async def test_wrong_questions_to_the_api_are_answered(
    web: httpx.AsyncClient, path: str, status: int, named: str
) -> None:
    answer = await web.get(f"/api/v1/tickets{path}")

    assert (answer.status_code, named in answer.text) == (status, True)


async def test_pages_of_the_api_follow_one_another(pool: Any, desk: Desk) -> None:
    for number in range(5):
        data = problem(opened=number * 40).model_copy(update={"key": f"aging/new/proposal-{number}"})
        await take(pool, desk, record(event(data), number))
    app = Starlette(routes=Api(pool, policy(), SystemClock()).routes())
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

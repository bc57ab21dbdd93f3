"""The API keeps to its description, whatever is sent; a client that is written from it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode, checks
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_tokens import token_of
from tests.integration.tickets.records import TicketParts, record, records
from tests.support.api_client import client_module
from tests.support.http_server import TestServer
from tests.support.problems import event, problem
from tests.support.week_messages import NEW_CLOSED, WEEKS, quiet, week_events

# What there is, so that not every request ends at what there is not.
THERE = {"number": 1, "name": NEW_CLOSED.name}
CASES = 12


@pytest.fixture
async def address(app_of: Callable[..., Starlette], parts: TicketParts) -> AsyncIterator[str]:
    """The application with one ticket and one chart, on a port of its own."""
    await parts.handle(record(event(problem()), 0), *records(week_events(NEW_CLOSED, quiet(45))))
    server = TestServer(uvicorn.Config(app_of(), host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.end()
    await serving


def check_operation(operation: Any, address: str, token: str) -> None:
    """Send what fits the description and what does not, always the same; every answer is as described."""
    fixed = {one.name: THERE[one.name] for one in operation.path_parameters if one.name in THERE}
    cases = [operation.as_strategy(), operation.as_strategy(GenerationMode.NEGATIVE)]
    if fixed:
        cases.append(operation.as_strategy(path_parameters=fixed))

    @settings(
        max_examples=CASES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategies.one_of(cases))
    def asked(case: Any) -> None:
        case.call_and_validate(
            base_url=f"{address}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            checks=[
                checks.not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_headers_conformance,
                checks.response_schema_conformance,
            ],
        )

    asked()


async def test_every_answer_is_as_described_whatever_is_sent(address: str, pool: Pool, people: dict[Role, str]) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        described = (await client.get("/api/v1/openapi.json")).json()
    operations = [one.ok() for one in schemathesis.openapi.from_dict(described).get_all_operations()]
    for operation in operations:
        # Each with a token of its own, whose rate it does not use up.
        token = await token_of(pool, people[Role.ADMIN], "own")
        await asyncio.to_thread(check_operation, operation, address, token)
        await pool.execute("DELETE FROM api_token")

    assert len(operations) == 26


async def test_a_client_that_is_written_from_the_description_works(
    address: str, pool: Pool, people: dict[Role, str]
) -> None:
    async with httpx.AsyncClient(base_url=address) as http:
        module = client_module((await http.get("/api/v1/openapi.json")).json())
        client = module.Client(http, await token_of(pool, people[Role.OWNER], "own"))
        (ticket,) = (await client.tickets(limit=1))["tickets"]
        assert (await client.ticket(ticket["id"]))["seq"] == 1
        done = await client.acknowledge(1, {}, if_match=client.etag, idempotency_key="one")
        assert (done["state"], client.etag) == ("acknowledged", '"2"')
        with pytest.raises(module.Refused) as refused:
            await client.close(1, {"outcome": "wont-fix", "reason": "x"}, if_match='"1"')
        assert (refused.value.status, [one["change"] for one in refused.value.problem["changes"]]) == (
            412,
            ["acknowledged"],
        )
        chart = await client.chart(NEW_CLOSED.name)
        wish = {"from_week": WEEKS.name(30), "points": 12, "reason": "x", "confirmed": True}
        assert len((await client.relock(chart["name"], wish, if_match=client.etag))["baselines"]) == 2
        assert "deal" in await client.deals(1)

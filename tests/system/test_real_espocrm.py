"""A real EspoCRM's own webhooks, unaltered, move a ticket: opportunities are changed through its own API.

`ANDON_TEST_ESPOCRM` is the folder of an installed EspoCRM (with its configuration and database, of which the test makes
use), `ANDON_TEST_ESPOCRM_ADMIN` the `name:password` of its administrator, `php` what it runs on.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.line import Line
from tests.support.ports import free_port
from tests.support.waiting import eventually

EVENTS = ("Opportunity.create", "Opportunity.update", "Opportunity.delete")
STAGES = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
OUTCOMES = {"Closed Won": "won", "Closed Lost": "lost"}
needs_espocrm = pytest.mark.skipif("ANDON_TEST_ESPOCRM" not in os.environ, reason="no EspoCRM: ANDON_TEST_ESPOCRM")


class EspoCrm:
    """EspoCRM on PHP's own server; what its scheduler runs every five minutes is run when it is wanted."""

    def __init__(self, place: Path) -> None:
        self._place, port = place, free_port()
        self._process = subprocess.Popen(
            ["php", "-S", f"127.0.0.1:{port}", "-t", "public"],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        name, _, password = os.environ["ANDON_TEST_ESPOCRM_ADMIN"].partition(":")
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1/", auth=(name, password), timeout=60)

    async def answers(self) -> bool:
        try:
            return (await self._client.get("App/user")).is_success
        except httpx.TransportError:
            return False

    async def say(self, method: str, path: str, **fields: Any) -> Any:
        answer = await self._client.request(method, path, json=fields)
        return answer.raise_for_status().json()

    async def send(self) -> None:
        """Run its job that sends webhooks."""
        command = ["php", "command.php", "run-job", "ProcessWebhookQueue"]
        await asyncio.to_thread(subprocess.run, command, cwd=self._place, check=True, capture_output=True)

    async def stop(self) -> None:
        await self._client.aclose()
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture
async def espocrm() -> AsyncIterator[EspoCrm]:
    server = EspoCrm(Path(os.environ["ANDON_TEST_ESPOCRM"]))
    await eventually(server.answers)
    yield server
    await server.stop()


@pytest.fixture
def line(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> Iterator[Line]:
    services = Line(kafka, dsn, prefix, tmp_path)
    yield services
    services.stop()


@pytest.fixture
async def hooks(espocrm: EspoCrm, line: Line) -> AsyncIterator[dict[str, Any]]:
    """The three webhooks of docs/sources/espocrm.md; EspoCRM keeps none of them."""
    made = [await espocrm.say("POST", "Webhook", event=event, url=line.hook) for event in EVENTS]
    yield {hook["id"]: {"event": hook["event"], "secrets": [hook["secretKey"]]} for hook in made}
    for hook in made:
        await espocrm.say("DELETE", f"Webhook/{hook['id']}")


@needs_espocrm
@pytest.mark.timeout(900)
async def test_opportunities_moved_in_espocrm_move_a_ticket(
    espocrm: EspoCrm, line: Line, hooks: dict[str, Any]
) -> None:
    await line.start(
        "sales", [(name, name, OUTCOMES.get(name, "open")) for name in STAGES], {"kind": "espocrm", "webhooks": hooks}
    )
    fields = {"stage": "Prospecting", "amount": 48500.5, "closeDate": "2030-12-31"}
    first, second = [
        (await espocrm.say("POST", "Opportunity", name=f"Müller & Söhne {n}", **fields))["id"] for n in range(2)
    ]
    await espocrm.send()
    for deal in (first, second):
        await espocrm.say("PUT", f"Opportunity/{deal}", stage="Qualification")
    await espocrm.send()
    assert await eventually(line.ticket, lambda t: t[1] == "open") == ("Too much work in Qualification", "open")
    for stage in ("Negotiation", "Proposal", "Negotiation", "Proposal"):
        await espocrm.say("PUT", f"Opportunity/{first}", stage=stage)
    await espocrm.send()
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await espocrm.say("PUT", f"Opportunity/{first}", stage="Qualification")
    await espocrm.send()
    await eventually(line.ticket, lambda ticket: ticket[1] == "open")
    await espocrm.say("PUT", f"Opportunity/{first}", stage="Closed Won")
    await espocrm.send()
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await espocrm.say("DELETE", f"Opportunity/{second}")
    await espocrm.send()

    stays = await eventually(line.visits, lambda found: not any(lasts for *_, lasts in found))
    assert [(deal, stage) for deal, stage, _, _ in stays if deal == first] == [
        (first, "Prospecting"),
        (first, "Qualification"),
        (first, "Proposal"),
        (first, "Qualification"),
    ]
    assert [stage for deal, stage, _, _ in stays if deal == second] == ["Prospecting", "Qualification"]

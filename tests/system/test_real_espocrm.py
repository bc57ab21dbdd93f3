"""Unaltered webhooks of a real EspoCRM open and close a ticket, as opportunities change through its API.

`ANDON_TEST_ESPOCRM` is the folder of an installed EspoCRM, whose configuration and database are used, and
`ANDON_TEST_ESPOCRM_ADMIN` the `name:password` of its administrator. Needs `php`.
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

from services.demo.ports import free_port
from tests.support.line import Line
from tests.support.waiting import eventually

EVENTS = ("Opportunity.create", "Opportunity.update", "Opportunity.delete")
STAGES = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
OUTCOMES = {"Closed Won": "won", "Closed Lost": "lost"}
needs_espocrm = pytest.mark.skipif(
    "ANDON_TEST_ESPOCRM" not in os.environ, reason="needs EspoCRM: set ANDON_TEST_ESPOCRM"
)


class EspoCrm:
    """EspoCRM on PHP's built-in server; the job that its scheduler would run every five minutes runs on demand."""

    def __init__(self, folder: Path) -> None:
        self._folder, port = folder, free_port()
        self._process = subprocess.Popen(
            ["php", "-S", f"127.0.0.1:{port}", "-t", "public"],
            cwd=folder,
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

    async def call(self, method: str, path: str, **fields: Any) -> Any:
        answer = await self._client.request(method, path, json=fields)
        return answer.raise_for_status().json()

    async def send_webhooks(self) -> None:
        """Run the job that sends queued webhooks."""
        command = ["php", "command.php", "run-job", "ProcessWebhookQueue"]
        await asyncio.to_thread(subprocess.run, command, cwd=self._folder, check=True, capture_output=True)

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
    """The three webhooks of docs/sources/espocrm.md, deleted after the test."""
    created = [await espocrm.call("POST", "Webhook", event=event, url=line.hook) for event in EVENTS]
    yield {hook["id"]: {"event": hook["event"], "secrets": [hook["secretKey"]]} for hook in created}
    for hook in created:
        await espocrm.call("DELETE", f"Webhook/{hook['id']}")


@needs_espocrm
@pytest.mark.timeout(900)
async def test_moved_opportunities_open_and_close_a_ticket(espocrm: EspoCrm, line: Line, hooks: dict[str, Any]) -> None:
    await line.start(
        "sales", [(name, name, OUTCOMES.get(name, "open")) for name in STAGES], {"kind": "espocrm", "webhooks": hooks}
    )
    fields = {"stage": "Prospecting", "amount": 48500.5, "closeDate": "2030-12-31"}
    first, second = [
        (await espocrm.call("POST", "Opportunity", name=f"Müller & Söhne {n}", **fields))["id"] for n in range(2)
    ]
    await espocrm.send_webhooks()
    for deal in (first, second):
        await espocrm.call("PUT", f"Opportunity/{deal}", stage="Qualification")
    await espocrm.send_webhooks()
    assert await eventually(line.ticket, lambda t: t[1] == "open") == ("Too much work in Qualification", "open")
    for stage in ("Negotiation", "Proposal", "Negotiation", "Proposal"):
        await espocrm.call("PUT", f"Opportunity/{first}", stage=stage)
    await espocrm.send_webhooks()
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await espocrm.call("PUT", f"Opportunity/{first}", stage="Qualification")
    await espocrm.send_webhooks()
    await eventually(line.ticket, lambda ticket: ticket[1] == "open")
    await espocrm.call("PUT", f"Opportunity/{first}", stage="Closed Won")
    await espocrm.send_webhooks()
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await espocrm.call("DELETE", f"Opportunity/{second}")
    await espocrm.send_webhooks()

    stays = await eventually(line.visits, lambda found: not any(lasts for *_, lasts in found))
    assert [(deal, stage) for deal, stage, _, _ in stays if deal == first] == [
        (first, "Prospecting"),
        (first, "Qualification"),
        (first, "Proposal"),
        (first, "Qualification"),
    ]
    assert [stage for deal, stage, _, _ in stays if deal == second] == ["Prospecting", "Qualification"]

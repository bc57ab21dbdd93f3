"""A real Odoo's own webhooks, unaltered, move a ticket: opportunities are dragged through its CRM as users do.

`ANDON_TEST_ODOO` is the folder of an `odoo-bin` of version 17 or newer, `ANDON_TEST_ODOO_PYTHON` a Python that has what
Odoo requires.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from shared.storage.migrate import migrate_all
from tests.support.odoo import Odoo, running
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

KEY = "a-key-that-is-long-enough"
SERVICES = ("intake", "detector", "tickets")
needs_odoo = pytest.mark.skipif("ANDON_TEST_ODOO" not in os.environ, reason="no Odoo is here: ANDON_TEST_ODOO")


@pytest.fixture
async def odoo(postgres: str, tmp_path: Path) -> AsyncIterator[Odoo]:
    async with running(Path(os.environ["ANDON_TEST_ODOO"]), postgres, tmp_path) as server:
        yield server


@pytest.fixture
def line(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> Iterator[Line]:
    services = Line(kafka, dsn, prefix, tmp_path)
    yield services
    services.stop()


class Line:
    """The services, with a policy for the stages that Odoo has, and what came of what Odoo sent."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path) -> None:
        self._dsn, self._folder = dsn, folder
        environment = {
            "ANDON_KAFKA": kafka, "ANDON_POSTGRES": dsn, "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(folder / "policy.yaml"), "ANDON_SOURCES": str(folder / "sources.yaml"),
        }  # fmt: skip
        self._services = {name: ServiceProcess(name, environment, folder) for name in SERVICES}
        self.hook = f"{self._services['intake'].url}/v1/ingest/odoo?key={KEY}"

    async def start(self, team: int, stages: list[dict[str, Any]]) -> None:
        policy = {
            "version": 1, "timezone": "UTC", "pipelines": {str(team): {
                "name": "Sales", "owner": {"name": "Head of sales", "mail": "sales@andon.example"},
                "stages": [
                    {"id": str(s["id"]), "name": s["name"], "outcome": "won" if s["is_won"] else "open"} for s in stages
                ],
                "rules": [{"kind": "wip-high", "stage": str(stages[1]["id"]), "max": 1}],
            }},
        }  # fmt: skip
        (self._folder / "policy.yaml").write_text(json.dumps(policy))
        (self._folder / "sources.yaml").write_text(
            json.dumps({"sources": {"odoo": {"kind": "odoo", "secrets": [KEY]}}})
        )
        await migrate_all(self._dsn)
        for service in self._services.values():
            service.start()
        for service in self._services.values():
            service.ready()

    def stop(self) -> None:
        for service in self._services.values():
            service.stop()

    async def ticket(self) -> tuple[str, str]:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self._services['tickets'].url}/api/v1/tickets")
        found = answer.json()["tickets"]
        assert len(found) <= 1
        return (found[0]["title"], found[0]["state"]) if found else ("", "")

    async def visits(self) -> list[tuple[str, str, bool, bool]]:
        """Deal, stage, whether the entry is known, whether it lasts; in the order of entering."""
        connection = await asyncpg.connect(self._dsn)
        rows = await connection.fetch("SELECT deal, stage, known, left_at FROM flow.visit ORDER BY entered, deal")
        await connection.close()
        return [(r["deal"].rpartition(":")[2], r["stage"], r["known"], r["left_at"] is None) for r in rows]


@needs_odoo
@pytest.mark.timeout(900)
async def test_opportunities_moved_in_odoo_move_a_ticket(odoo: Odoo, line: Line) -> None:
    stages = await odoo.call("crm.stage", "search_read", [], ["name", "is_won"])
    new, qualified, proposition, won = (stage["id"] for stage in stages)
    (team,) = await odoo.call("crm.team", "search", [])
    await line.start(team, stages)
    await odoo.tell(line.hook)

    first, second, third = [
        await odoo.call("crm.lead", "create", {"name": f"Müller & Söhne {n}", "type": "opportunity"}) for n in range(3)
    ]
    await odoo.call("crm.lead", "write", [first, second], {"stage_id": qualified})
    assert await eventually(line.ticket, lambda t: t[1] == "open") == ("Too much work in Qualified", "open")
    await odoo.call("crm.lead", "write", [first], {"stage_id": proposition})
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await odoo.call("crm.lead", "write", [third], {"stage_id": qualified})
    await eventually(line.ticket, lambda ticket: ticket[1] == "open")
    await odoo.call("crm.lead", "action_set_lost", [second])
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await odoo.call("crm.lead", "action_unarchive", [second])
    await eventually(line.ticket, lambda ticket: ticket[1] == "open")
    await odoo.call("crm.lead", "write", [third], {"stage_id": won})
    await eventually(line.ticket, lambda ticket: ticket[1] == "closed")
    await odoo.call("crm.lead", "unlink", [second])

    expected = [
        (first, new, False), (second, new, False), (third, new, False), (first, qualified, False),
        (second, qualified, False), (first, proposition, True), (third, qualified, False), (second, qualified, False),
    ]  # fmt: skip
    await eventually(
        line.visits, lambda found: found == [(str(deal), str(stage), True, lasts) for deal, stage, lasts in expected]
    )

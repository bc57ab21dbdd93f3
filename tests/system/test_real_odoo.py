"""Unaltered webhooks of a real Odoo open and close a ticket, as opportunities move through its stages.

`ANDON_TEST_ODOO` is a folder with the `odoo-bin` of version 17 or later, `ANDON_TEST_ODOO_PYTHON` a Python with the
packages that Odoo requires.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.line import Line
from tests.support.odoo import Odoo, running
from tests.support.waiting import eventually

KEY = "a-key-that-is-long-enough"
needs_odoo = pytest.mark.skipif("ANDON_TEST_ODOO" not in os.environ, reason="needs Odoo: set ANDON_TEST_ODOO")


@pytest.fixture
async def odoo(postgres: str, tmp_path: Path) -> AsyncIterator[Odoo]:
    async with running(Path(os.environ["ANDON_TEST_ODOO"]), postgres, tmp_path) as server:
        yield server


@pytest.fixture
def line(kafka: str, dsn: str, prefix: str, tmp_path: Path) -> Iterator[Line]:
    services = Line(kafka, dsn, prefix, tmp_path)
    yield services
    services.stop()


@needs_odoo
@pytest.mark.timeout(900)
async def test_moved_opportunities_open_and_close_a_ticket(odoo: Odoo, line: Line) -> None:
    stages = await odoo.call("crm.stage", "search_read", [], ["name", "is_won"])
    new, qualified, proposition, won = (stage["id"] for stage in stages)
    (team,) = await odoo.call("crm.team", "search", [])
    outcomes = [(str(s["id"]), s["name"], "won" if s["is_won"] else "open") for s in stages]
    await line.start(str(team), outcomes, {"kind": "odoo", "secrets": [KEY]})
    await odoo.tell(f"{line.hook}?key={KEY}")

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
        (first, new, False),
        (second, new, False),
        (third, new, False),
        (first, qualified, False),
        (second, qualified, False),
        (first, proposition, True),
        (third, qualified, False),
        (second, qualified, False),
    ]
    await eventually(
        line.visits, lambda found: found == [(str(deal), str(stage), True, lasts) for deal, stage, lasts in expected]
    )

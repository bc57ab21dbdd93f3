"""What messages, the API and the ledger say of pulls: how many, when, and whether somebody answered."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.tickets import ledger_csv
from services.tickets.store import ledger
from services.tickets.store.ledger import LedgerFilter
from shared.contracts.envelope import iso
from shared.contracts.tickets import CordFacts
from shared.postgres.pool import Pool
from tests.integration.tickets.cord.conftest import CORDS, CordWorld
from tests.integration.tickets.cord.test_ticket_of_a_cord import web as web
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.planning import PlanningParts
from tests.integration.tickets.records import record
from tests.support.problems import event, problem

HOUR = 3600


async def cords(world: CordWorld) -> list[CordFacts | None]:
    return [message.data.cord for message in await world.messages()]


async def act(web: Any, action: str, version: int, **fields: Any) -> dict[str, Any]:
    answer = await web.post(f"/api/v1/tickets/1/{action}", json={"version": version, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_each_message_counts_the_pull_that_it_is_about(world: CordWorld, web: Any) -> None:
    token, first = await world.link(), world.clock.now()
    await world.pull(token, "It waits")
    world.clock.pass_by(hours=2)
    await world.pull(token, "It waits again")
    world.clock.pass_by(hours=1)
    await act(web, "acknowledge", 2)
    world.clock.pass_by(hours=1)
    await world.pull(token, "Still")

    second, third = first + timedelta(hours=2), first + timedelta(hours=4)
    assert await cords(world) == [
        CordFacts(pulls=1, first_at=first, last_at=first, waited=1, answered=0, waiting_since=first),
        CordFacts(pulls=2, first_at=first, last_at=second, waited=2, answered=0, waiting_since=first),
        CordFacts(pulls=2, first_at=first, last_at=second, waited=2, answered=2, answer_seconds=3 * HOUR),
        # Somebody is at work: it waits for nobody.
        CordFacts(pulls=3, first_at=first, last_at=third, waited=2, answered=2, answer_seconds=3 * HOUR),
    ]


async def test_a_ticket_that_is_opened_again_keeps_its_pulls(world: CordWorld, web: Any) -> None:
    token, first = await world.link(), world.clock.now()
    await world.pull(token, "It waits")
    world.clock.pass_by(hours=1)
    await act(web, "close", 1, outcome="wont-fix", reason="Not now")
    world.clock.pass_by(days=2)
    await world.pull(token, "It waits again")

    again = world.clock.now()
    assert (await cords(world))[-1] == CordFacts(
        pulls=2, first_at=first, last_at=again, waited=2, answered=1, waiting_since=again, answer_seconds=HOUR
    )


async def test_a_pull_that_wakes_a_ticket_waits(world: CordWorld, web: Any) -> None:
    token = await world.link()
    await world.pull(token)
    world.clock.pass_by(minutes=30)
    await act(web, "snooze", 1, until=iso(world.clock.now() + timedelta(days=3)))
    world.clock.pass_by(days=1)
    await world.pull(token, "Still")

    *_, pulled, woken = await cords(world)
    assert pulled == woken
    assert woken is not None
    assert (woken.pulls, woken.waited, woken.answered, woken.waiting_since) == (2, 2, 1, world.clock.now())


async def test_an_answer_of_a_clock_that_was_set_back_took_no_time(world: CordWorld, web: Any) -> None:
    await world.pull(await world.link())
    world.clock.pass_by(hours=-1)

    assert (await act(web, "acknowledge", 1))["cord"]["answer_seconds"] == 0


async def test_the_api_has_them_on_the_list_and_on_the_ticket(world: CordWorld, web: Any) -> None:
    await world.parts.handle(record(event(problem()), 0))
    await world.pull(await world.link(), "Ms Example is slow", deal="4711")

    listed = (await web.get("/api/v1/tickets")).json()["tickets"]
    one = (await web.get("/api/v1/tickets/2")).json()["cord"]
    assert [(ticket["kind"], ticket["cord"]) for ticket in listed] == [("cord", one), ("aging", None)]
    assert one == {
        "pulls": 1,
        "first_at": iso(world.clock.now()),
        "last_at": iso(world.clock.now()),
        "waited": 1,
        "answered": 0,
        "waiting_since": iso(world.clock.now()),
        "answer_seconds": None,
    }


async def test_they_hold_nothing_that_somebody_wrote(world: CordWorld) -> None:
    await world.pull(await world.link(), "Ms Example is slow", deal="4711", day="2026-11-01")

    (facts,) = await cords(world)
    assert facts is not None
    assert "Example" not in facts.model_dump_json()
    assert set(facts.model_dump()) == set(CordFacts.model_fields)
    assert all(field.annotation not in (str, str | None) for field in CordFacts.model_fields.values())


@pytest.fixture
async def planned(world: CordWorld) -> PlanningParts:
    """A plan for the ticket of a cord that was pulled twice, and one for a ticket of another kind."""
    planning = PlanningParts(world.pool, CORDS)
    world.clock.at = planning.day_clock.at
    await planning.planned("legal")
    token = await world.link()
    await world.pull(token, "It waits")
    world.clock.pass_by(hours=2)
    await world.pull(token, "It waits again")
    planning.day_clock.at = world.clock.at = world.clock.at + timedelta(hours=3)
    await planning.open("proposal")
    await planning.draft(2, balancing="")
    await planning.seal(2, confirmed=True)
    return planning


async def test_the_ledger_says_how_often_it_was_pulled_and_when_somebody_answered(
    planned: PlanningParts, pool: Pool
) -> None:
    found = await ledger.attempts(pool, LedgerFilter(), 10)
    lines = list(csv.DictReader(io.StringIO(ledger_csv.write(found))))
    cells = [[line[name] for name in ledger_csv.COLUMNS if name.startswith("cord_")] for line in lines]
    assert [line["kind"] for line in lines] == ["cord", "aging"]
    assert cells == [["2", "2", "2", str(5 * HOUR)], ["", "", "", ""]]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(page_app(planned)), base_url="http://x") as client:
        page = (await client.get("/ledger")).text.replace("\u00a0", " ")
    assert page.count("<dt>Cord</dt>") == 1
    assert "pulled 2 times; 2 of 2 that waited were answered, after 5 hours at the longest" in page

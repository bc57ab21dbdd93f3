"""The cord by form, on a real Postgres: pulls, receipts, refusals."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.tickets.domain import commands
from services.tickets.domain.ticket import Ticket, TicketStep
from services.tickets.domain.tokens import new_token
from services.tickets.store import cord_links, waits
from services.tickets.store.waits import Wait
from shared.contracts.tickets import TicketOutcome
from tests.integration.tickets.cord.conftest import CordWorld


async def act(world: CordWorld, command: Any, ticket: int = 1) -> None:
    """What a person does to a ticket."""

    def of(one: Ticket, situation: Any) -> TicketStep:
        step: TicketStep = command(one, situation.now)
        return step

    async with world.pool.acquire() as connection, connection.transaction():
        seq = await connection.fetchval("SELECT seq FROM ticket WHERE id = $1", ticket)
        await world.parts.changes.act(connection, ticket, of, seq)


def close(ticket: Ticket, now: Any) -> TicketStep:
    return commands.close(ticket, TicketOutcome.CHANGED_UNPLANNED, "The list is <new>.", now)


def text_of(page: httpx.Response) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


async def test_a_pull_opens_a_ticket_and_shows_its_receipt(world: CordWorld) -> None:
    token = await world.link()
    form = await world.client.get(f"/cord/{token}")
    receipt = re.search(r'name="receipt" value="([a-z2-7]{26})"', form.text)
    assert receipt

    answer = await world.pull(token, "Approvals <b>take</b> a week.", day="2026-11-01", deal="4711", receipt=receipt[1])

    assert (answer.status_code, answer.headers["location"]) == (303, f"/cord/{token}/{receipt[1]}")
    page = await world.client.get(answer.headers["location"])
    assert page.status_code == 200
    assert "Approvals &lt;b&gt;take&lt;/b&gt; a week." in page.text
    assert "Nobody has answered yet" in text_of(page)
    assert f"https://cord.example/cord/{token}/{receipt[1]}" in page.text
    assert await world.changes() == [(1, 1, "opened", "Approvals <b>take</b> a week. (On 1 November; deal 4711.)")]
    (message,) = await world.messages()
    assert (message.data.key, message.data.kind, message.data.actor.value) == ("cord/new/proposal", "cord", "system")
    assert message.data.title == "Somebody pulled the cord in Proposal"
    assert "“Approvals <b>take</b> a week”" in message.data.sentence


async def test_pulls_join_the_open_ticket_of_their_stage(world: CordWorld) -> None:
    one, other, elsewhere = await world.link(), await world.link(), await world.link("demo")

    for token, seen in ((one, "first"), (other, "second"), (elsewhere, "third")):
        assert (await world.pull(token, seen)).status_code == 303

    assert await world.changes() == [(1, 1, "opened", "first"), (1, 2, "pulled", "second"), (2, 1, "opened", "third")]
    assert [m.data.count for m in await world.messages()] == [1, 2, 1]


async def test_two_first_pulls_at_once_open_one_ticket(world: CordWorld) -> None:
    tokens = [await world.link() for _ in range(4)]

    answers = await asyncio.gather(*(world.pull(token, f"seen {n}") for n, token in enumerate(tokens)))

    assert {answer.status_code for answer in answers} == {303}
    assert [change[:3] for change in await world.changes()] == [
        (1, 1, "opened"),
        (1, 2, "pulled"),
        (1, 3, "pulled"),
        (1, 4, "pulled"),
    ]


async def test_a_form_that_is_sent_twice_is_one_pull(world: CordWorld) -> None:
    token, receipt = await world.link(), new_token()

    answers = await asyncio.gather(*(world.pull(token, "twice", receipt=receipt) for _ in range(3)))
    other = await world.pull(token, "more", receipt=receipt)

    assert {answer.headers["location"] for answer in answers} == {f"/cord/{token}/{receipt}"}
    assert other.headers["location"] != f"/cord/{token}/{receipt}"
    assert [change[3] for change in await world.changes()] == ["twice", "more"]


async def test_a_form_with_the_receipt_of_another_stage_pulls_its_own_cord(world: CordWorld) -> None:
    one, other, receipt = await world.link(), await world.link("demo"), new_token()

    await world.pull(one, "It waits", receipt=receipt)
    answer = await world.pull(other, "It waits", receipt=receipt)

    assert answer.headers["location"] != f"/cord/{other}/{receipt}"
    assert [change[:3] for change in await world.changes()] == [(1, 1, "opened"), (2, 1, "opened")]


async def test_the_receipt_says_what_became_of_it(world: CordWorld) -> None:
    token = await world.link()
    first = (await world.pull(token, "first")).headers["location"]
    world.clock.pass_by(hours=3)
    second = (await world.pull(token, "second")).headers["location"]
    world.clock.pass_by(hours=1)
    await act(world, commands.acknowledge)
    third = (await world.pull(token, "third")).headers["location"]
    world.clock.pass_by(days=2)
    await act(world, close)

    page = text_of(await world.client.get(first))
    assert "Somebody answered after 4 hours." in page
    assert "Somebody is looking after it" in page
    assert "Closed: something was changed without a plan: The list is &lt;new&gt;." in page
    assert "second" not in page
    assert "Somebody answered after 1 hour." in text_of(await world.client.get(second))
    assert "Somebody was at work on it already." in text_of(await world.client.get(third))


async def test_only_pulls_that_had_to_wait_measure_the_answer(world: CordWorld) -> None:
    token = await world.link()
    await world.pull(token, "first")
    world.clock.pass_by(hours=4)
    await act(world, commands.acknowledge)
    await world.pull(token, "second")
    await act(world, close)

    rows = await world.pool.fetch("SELECT * FROM report.cord_pull ORDER BY pulled_at")
    assert [row["answered_at"] and row["answered_at"] - row["pulled_at"] for row in rows] == [timedelta(hours=4), None]
    where = ((None, None), ("new", "cord"), ("new", None), (None, "aging"))
    found = [await waits.times(world.pool, *one, world.clock.now()) for one in where]
    assert [one[Wait.ANSWERED].median for one in found[:3]] == [timedelta(hours=4)] * 3
    assert Wait.ANSWERED not in found[3]
    samples = next(iter(world.parts.metrics.cord_answer_seconds.collect())).samples
    assert {s.name: s.value for s in samples if not s.labels} == {
        "andon_cord_answer_seconds_count": 1.0,
        "andon_cord_answer_seconds_sum": 4 * 3600.0,
        **{s.name: s.value for s in samples if s.name.endswith("_created")},
    }


async def test_a_pull_wakes_a_snoozed_ticket(world: CordWorld) -> None:
    token = await world.link()
    await world.pull(token, "first")
    await act(world, lambda ticket, now: commands.snooze(ticket, now + timedelta(days=9), now))

    await world.pull(token, "second")

    assert [change[2] for change in await world.changes()] == ["opened", "snoozed", "pulled", "woke"]
    assert await world.pool.fetchval("SELECT state FROM ticket") == "open"


async def test_a_flood_is_slowed_and_keeps_what_was_typed(world: CordWorld) -> None:
    token, other = await world.link(), await world.link()
    for n in range(4):
        assert (await world.pull(token, f"seen {n}")).status_code == 303

    flooded = await world.pull(token, "one more <pull>")

    assert (flooded.status_code, flooded.headers["retry-after"]) == (429, "300")
    assert "Send it again in 5 minutes." in flooded.text
    assert "one more &lt;pull&gt;</textarea>" in flooded.text
    assert (await world.pull(other, "by another link")).status_code == 303
    world.clock.pass_by(minutes=5)
    assert (await world.pull(token, "later")).status_code == 303
    assert (await world.pull(token, "too soon")).status_code == 429
    assert len(await world.changes()) == 6
    assert world.metric("andon_cord_refused_total", reason="too-often") == 2


async def test_links_that_pull_nothing_look_the_same(world: CordWorld) -> None:
    revoked = await world.link()
    await cord_links.revoke(world.pool, (await world.link_of(revoked)).id, world.clock.now())
    without_cord, gone = await world.link("legal"), await world.link("left")
    pages = set()
    for token in (revoked, without_cord, gone, new_token(), "x", "A" * 26, "a" * 27, "%00", "é"):
        pages |= {(await world.client.get(f"/cord/{token}")).text, (await world.pull(token)).text}

    assert len(pages) == 1
    assert "This link pulls no cord" in pages.pop()
    assert await world.changes() == []


async def test_a_receipt_outlives_its_link(world: CordWorld) -> None:
    token = await world.link()
    receipt = (await world.pull(token)).headers["location"]
    await cord_links.revoke(world.pool, (await world.link_of(token)).id, world.clock.now())

    assert (await world.client.get(receipt)).status_code == 200
    assert (await world.client.get(f"/cord/{token}")).status_code == 404
    for wrong in (new_token(), "x", "%00"):
        assert (await world.client.get(f"/cord/{token}/{wrong}")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"seen": ""}, "seen"),
        ({"seen": "x" * 1001}, "seen"),
        ({"seen": "x", "day": "2027-01-01"}, "day"),
        ({"seen": "x", "deal": "d" * 301}, "deal"),
    ],
)
async def test_a_refused_form_keeps_what_was_typed(world: CordWorld, fields: dict[str, str], field: str) -> None:
    answer = await world.pull(await world.link(), **fields)

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true"', answer.text)
    assert fields["seen"] in answer.text
    assert await world.changes() == []


async def test_forms_of_other_sites_and_other_bodies_are_refused(world: CordWorld) -> None:
    address = f"/cord/{await world.link()}"
    foreign = {"origin": "https://evil.example"}
    crossed = {"sec-fetch-site": "cross-site"}
    plain = {"content-type": "text/plain"}
    client = world.client

    assert (await client.post(address, data={"seen": "x"}, headers=foreign)).status_code == 403
    assert (await client.post(address, data={"seen": "x"}, headers=crossed)).status_code == 403
    assert (await client.post(address, content=b"seen=x", headers=plain)).status_code == 415
    assert (await client.post(address, files={"seen": b"x"})).status_code == 415
    assert (await client.post(address, data={"seen": "x" * 40_000})).status_code == 413
    many = "&".join(f"a{n}=1" for n in range(50))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post(address, content=many.encode(), headers=form)).status_code == 400
    assert (await client.post(address, content="seen=ä".encode(), headers=form)).status_code == 400
    assert await world.changes() == []


HOSTILE = ["\x00'; DROP TABLE ticket; --", "<script>alert(1)</script>", "{{ 7*7 }}", "\u202egnp"]


@pytest.mark.parametrize("seen", HOSTILE)
async def test_hostile_texts_are_shown_as_texts(world: CordWorld, seen: str) -> None:
    receipt = (await world.pull(await world.link(), seen)).headers["location"]

    page = (await world.client.get(receipt)).text

    assert "<script>" not in page
    assert "49" not in re.sub(r"<[^>]*>", "", page)
    assert "\u202e" not in page
    assert "\x00" not in page


async def test_the_pages_have_no_script_and_set_no_cookie(world: CordWorld) -> None:
    token = await world.link()
    receipt = (await world.pull(token)).headers["location"]

    for address in (f"/cord/{token}", receipt, "/cord/x"):
        page = await world.client.get(address, headers={"cookie": "andon_zone=Asia/Tokyo"})
        assert "set-cookie" not in page.headers
        assert "<script" not in page.text
        assert "Europe/Berlin" in page.text
        assert not re.search(r'href="/(tickets|pipelines|")', page.text)

"""Links in mails after the database was set back: a number that is given again never shows another problem."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem


async def link_of(parts: TicketParts, stage: str, offset: int) -> str:
    """The link that mails about a new problem of the stage hold."""
    await parts.handle(record(event(problem(key=f"aging/new/{stage}", stage=stage)), offset))
    address = urlsplit((await parts.messages())[-1].data.url)
    return f"{address.path}?{address.query}"


async def test_a_link_shows_its_own_problem_whatever_its_number_is_now(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    link = await link_of(parts, "demo", 10)
    assert (await web.get(link)).status_code == 200
    number = int(link.partition("?")[0].rpartition("/")[2])

    # Set back, and read again in another order: another problem takes the number first.
    await pool.execute("DELETE FROM ticket_wait; DELETE FROM change; DELETE FROM ticket; DELETE FROM inbox")
    await pool.execute("SELECT setval(pg_get_serial_sequence('ticket', 'id'), $1, false)", number)
    other = await link_of(parts, "negotiation", 11)
    assert other.partition("?")[0] == link.partition("?")[0]

    gone = await web.get(link)
    assert gone.status_code == 404
    assert f"Ticket {number} is not the one that this link was for" in gone.text

    again = await link_of(parts, "demo", 12)
    answer = await web.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, again)
    assert (await web.get(other)).status_code == (await web.get(again)).status_code == 200


async def test_a_link_without_its_mark_shows_what_has_the_number(web: httpx.AsyncClient) -> None:
    for mark in ("", "?of=", "?of=x", "?of=%00%00%00%00%00%00%00%00"):
        assert (await web.get(f"/tickets/1{mark}")).status_code == 200
    assert (await web.get("/tickets/1?of=00000000")).status_code == 404

"""The list of very many tickets: a page shows the first of each part, and leads to the rest."""

from __future__ import annotations

import re

import httpx
import pytest

from shared.postgres.pool import Pool
from tests.integration.tickets.test_now import words

_MORE = """
INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem, closed_at, outcome, snoozed_until)
SELECT $1 || n, kind, pipeline, $1, seq, opened_at, changed_at, jsonb_set(problem, '{key}', to_jsonb($1 || n)),
    CASE WHEN $1 = 'closed' THEN now() END, CASE WHEN $1 = 'closed' THEN 'abandoned' END,
    CASE WHEN $1 = 'snoozed' THEN now() + interval '9 days' END
FROM ticket, generate_series(1, $2) AS n WHERE id = 1
"""


async def more(pool: Pool, state: str, number: int) -> None:
    """Copies of the only ticket, in a state; past the check that tickets begin as open."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(_MORE, state, number)


def shown(page: httpx.Response) -> list[int]:
    """The numbers of the tickets on a page, in order."""
    return [int(number) for number in re.findall(r'<li class="row \w+" id="ticket-(\d+)">', page.text)]


def link(page: httpx.Response, name: str) -> str:
    (found,) = re.findall(rf'id="{name}" href="([^"]+)"', page.text)
    return str(found).replace("&amp;", "&")


async def test_every_ticket_is_on_one_page(web: httpx.AsyncClient, pool: Pool) -> None:
    await more(pool, "open", 59)
    first = await web.get("/tickets?pipeline=new")

    assert "60 problems of the system need you" in words(first)
    assert "60 not yet seen" in words(first)
    assert "The next 25 of 60" in words(first)

    second = await web.get(link(first, "needing-more"))
    third = await web.get(link(second, "needing-more"))

    assert "The next 10 of 60" in words(second)
    assert 'id="needing-more"' not in third.text
    found = [shown(page) for page in (first, second, third)]
    assert [len(one) for one in found] == [25, 25, 10]
    assert len({number for one in found for number in one}) == 60
    assert "pipeline=new" in link(first, "needing-more")


async def test_a_form_leads_back_to_its_page(web: httpx.AsyncClient, pool: Pool) -> None:
    await more(pool, "open", 60)
    page = await web.get("/tickets?skip=50")

    assert '<input type="hidden" name="list" value="skip=50">' in page.text
    form = {"version": "1", "list": "skip=50"}
    answer = await web.post(f"/tickets/{shown(page)[0]}/acknowledge", data=form)
    assert answer.headers["location"] == "/tickets?skip=50"


async def test_other_parts_show_their_first_and_lead_to_the_rest(web: httpx.AsyncClient, pool: Pool) -> None:
    await more(pool, "snoozed", 60)
    await more(pool, "closed", 70)
    page = await web.get("/tickets")

    assert len(shown(page)) == 11
    assert "Snoozed (60)" in words(page)
    assert "Closed in the last 30 days (70: 70 given up)" in words(page)

    snoozed, closed = await web.get(link(page, "snoozed-more")), await web.get(link(page, "closed-more"))

    assert [len(shown(one)) for one in (snoozed, closed)] == [25, 50]
    assert len(shown(await web.get(link(snoozed, "snoozed-more")))) == 25
    assert len(shown(await web.get(link(closed, "older")))) == 20


async def test_past_the_end_is_nothing(web: httpx.AsyncClient) -> None:
    page = await web.get("/tickets?skip=500")

    assert (page.status_code, shown(page)) == (200, [])


@pytest.mark.parametrize("query", ["skip=x", "skip=-1", "skip=9999999999999999999"])
async def test_what_cannot_be_skipped_is_said(web: httpx.AsyncClient, query: str) -> None:
    page = await web.get(f"/tickets?{query}")

    assert (page.status_code, "skip: &#39;" in page.text) == (422, True)

"""Changes by API: nothing is overridden unseen, and nothing is done twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.tickets.api.answering import REPLAYED
from services.tickets.store import api_answers
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock

TICKET = "/api/v1/tickets/1"
SNOOZE = {"until": (SystemClock().now() + timedelta(days=2)).isoformat()}
FROM_A_KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def changes(web: httpx.AsyncClient) -> list[str]:
    return [one["change"] for one in (await web.get(TICKET)).json()["history"]]


async def post(web: httpx.AsyncClient, action: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await web.post(f"{TICKET}/{action}", json=body, headers=headers)


async def test_a_change_names_the_etag_that_it_was_decided_on(web: httpx.AsyncClient) -> None:
    etag = (await web.get(TICKET)).headers["etag"]
    done = await web.post(f"{TICKET}/acknowledge", json={}, headers={"If-Match": etag})

    assert (etag, done.status_code, done.headers["etag"]) == ('"1"', 200, '"2"')
    assert done.json()["state"] == "acknowledged"
    late = await web.post(f"{TICKET}/snooze", json=SNOOZE, headers={"If-Match": etag})
    assert (late.status_code, late.headers["content-type"]) == (412, "application/problem+json")
    assert [one["change"] for one in late.json()["changes"]] == ["acknowledged"]
    assert '"2"' in late.json()["detail"]
    assert await changes(web) == ["opened", "acknowledged"]


@pytest.mark.parametrize(
    ("tag", "body", "status"),
    [
        ("*", {}, 200),
        ('"1"', {}, 200),
        ('"1"', {"version": 1}, 200),
        ('"1"', {"version": 7}, 409),
        ('"7", "1"', {}, 200),
        ('W/"1"', {}, 412),
        ("1", {}, 412),
        ('"01"', {}, 412),
        ('"999999999999999999999999"', {}, 412),
        ("", {}, 412),
        ('"1', {}, 412),
        (None, {}, 422),
        (None, {"version": 1}, 200),
        (None, {"version": None}, 422),
        (None, {"version": 0}, 409),
    ],
)
async def test_if_match_is_as_http_says(
    web: httpx.AsyncClient, tag: str | None, body: dict[str, Any], status: int
) -> None:
    answer = await post(web, "acknowledge", body, **({} if tag is None else {"If-Match": tag}))

    assert answer.status_code == status, answer.text
    assert await changes(web) == ["opened", *["acknowledged"] * (status == 200)]


async def test_if_match_of_a_ticket_that_is_not_there(web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/v1/tickets/77/acknowledge", json={}, headers={"If-Match": '"1"'})

    assert answer.status_code == 404


async def test_the_same_request_under_a_key_is_carried_out_once(web: httpx.AsyncClient) -> None:
    first = await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY)
    await post(web, "snooze", {"version": 2} | SNOOZE)
    again = await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY)

    assert (first.status_code, REPLAYED in first.headers) == (200, False)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, first.content, '"2"')
    assert again.headers[REPLAYED] == "true"
    assert await changes(web) == ["opened", "acknowledged", "snoozed"]


async def test_what_was_asked_for_already_is_answered_alike_later(web: httpx.AsyncClient) -> None:
    await post(web, "acknowledge", {"version": 1})
    first = await post(web, "acknowledge", {"version": 2}, **FROM_A_KEY)
    await post(web, "snooze", {"version": 2} | SNOOZE)
    again = await post(web, "acknowledge", {"version": 2}, **FROM_A_KEY)

    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.parametrize(
    ("action", "body", "headers"),
    [
        ("acknowledge", {"version": 2}, {}),
        ("undo", {"version": 1}, {}),
        ("acknowledge", {"version": 1}, {"If-Match": '"1"'}),
    ],
)
async def test_another_request_under_the_key_is_refused(
    web: httpx.AsyncClient, action: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY)
    other = await post(web, action, body, **FROM_A_KEY, **headers)

    assert (other.status_code, "Idempotency-Key" in other.json()["detail"]) == (422, True)
    assert await changes(web) == ["opened", "acknowledged"]


async def test_many_at_once_under_one_key_are_one(web: httpx.AsyncClient) -> None:
    body = {"version": 1, "outcome": "wont-fix", "reason": "It is right.", "confirmed": True}
    answers = await asyncio.gather(*(post(web, "close", body, **FROM_A_KEY) for _ in range(8)))

    assert {one.status_code for one in answers} == {200}
    assert len({one.content for one in answers}) == 1
    assert sum(REPLAYED in one.headers for one in answers) == 7
    assert await changes(web) == ["opened", "closed"]


async def test_a_refusal_is_not_kept(web: httpx.AsyncClient, pool: Pool) -> None:
    refused = await post(web, "snooze", SNOOZE, **FROM_A_KEY, **{"If-Match": '"9"'})
    assert refused.status_code == 412
    assert await pool.fetchval("SELECT count(*) FROM api_answer") == 0
    done = await post(web, "snooze", SNOOZE, **FROM_A_KEY, **{"If-Match": '"1"'})
    assert done.status_code == 200


async def test_a_key_is_kept_for_a_day(web: httpx.AsyncClient, pool: Pool) -> None:
    await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY)
    await pool.execute("UPDATE api_answer SET asked_at = asked_at - interval '23 hours 58 minutes'")
    await api_answers.forget(pool, SystemClock().now())
    assert (await post(web, "undo", {"version": 2}, **FROM_A_KEY)).status_code == 422
    await pool.execute("UPDATE api_answer SET asked_at = asked_at - interval '2 minutes'")
    assert (await post(web, "undo", {"version": 2}, **FROM_A_KEY)).status_code == 200
    assert await changes(web) == ["opened", "acknowledged", "undone"]
    await api_answers.forget(pool, SystemClock().now() + api_answers.KEPT)
    assert await pool.fetchval("SELECT count(*) FROM api_answer") == 0


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "ä", "\x7f"])
async def test_what_is_no_key_is_refused(web: httpx.AsyncClient, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await web.post(f"{TICKET}/acknowledge", json={"version": 1}, headers=headers)

    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (422, True)
    assert await changes(web) == ["opened"]


async def test_a_request_of_another_site_is_refused_under_a_key_too(web: httpx.AsyncClient) -> None:
    await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert (await post(web, "acknowledge", {"version": 1}, **FROM_A_KEY, **foreign)).status_code == 403

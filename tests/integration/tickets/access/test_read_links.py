"""Signed links of mails: one ticket for reading only, for whoever has the link, until it expires."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from services.tickets.domain.rates import Rate
from services.tickets.web import read_page
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from shared.runtime.read_links import PATH, ReadLinks, ticket_mark
from tests.integration.tickets.access.visiting import signed_in
from tests.integration.tickets.records import TicketParts, record
from tests.support import sealed_plans
from tests.support.page_charts import chart_addresses
from tests.support.problems import event, problem
from tests.support.raw_request import RawAnswer, RawVisitor
from tests.support.signed_in import Browser

OLD, NEW = "o" * 40, "n" * 40
LINKS = ReadLinks((NEW.encode(),), timedelta(days=7))


@pytest.fixture
async def mark(parts: TicketParts) -> str:
    """One ticket, and what stands for it."""
    shown = problem(key="aging/new/proposal")
    await parts.handle(record(event(shown), 0))
    return ticket_mark(shown.key, shown.opened_at)


@pytest.fixture
def visitor(app_of: Callable[..., Starlette]) -> RawVisitor:
    return RawVisitor(app_of(link_keys=f"{NEW},{OLD}"))


async def read(visitor: RawVisitor, token: str, *headers: tuple[str, str]) -> RawAnswer:
    return await visitor.ask("GET", PATH + token, *headers)


async def test_the_link_shows_its_ticket_without_sign_in_forms_scripts_or_names(
    visitor: RawVisitor, mark: str, browser: Callable[..., Browser], people: dict[Role, str], pool: Pool
) -> None:
    one, cookie = await signed_in(browser, people[Role.MEMBER])
    assert (await one.send("/tickets/1/acknowledge", "/account", version="1")).status_code == 303
    await sealed_plans.seal(pool, 1, date(2031, 3, 5), "planned", SystemClock().now())
    token = LINKS.token(1, mark, SystemClock().now())
    for headers in ((), (cookie,)):
        answer = await read(visitor, token, *headers)
        page = answer.body.decode()

        assert answer.status == 200
        assert "Proposal" in page
        assert "Legal reads a proposal on the day it comes." in page
        assert not re.search(r"<form|<script|<input|<button|csrf|Member|member@shop", page)
        assert re.findall(r'<a [^>]*href="([^"#]+)"', page) == [f"/tickets/1?of={mark}"]
        assert answer.one("referrer-policy") == "no-referrer"
        assert answer.one("x-robots-tag") == "noindex, nofollow"
        assert answer.one("cache-control") == "no-store"
        assert not answer.all("set-cookie")


async def test_its_charts_are_for_whoever_has_the_link_and_as_long_as_it_works(
    visitor: RawVisitor, mark: str, browser: Callable[..., Browser], people: dict[Role, str]
) -> None:
    now = SystemClock().now()
    token = LINKS.token(1, mark, now)
    addresses = chart_addresses((await read(visitor, token)).body.decode())
    assert addresses
    assert all(one.startswith(f"{PATH}{token}?drawing=") for one in addresses)
    drawing = addresses[0].partition("?")[2]

    answer = await visitor.ask("GET", addresses[0])
    assert (answer.status, answer.one("content-type"), answer.body[:5]) == (200, "image/svg+xml", b"<svg ")
    assert answer.one("cache-control") == "private, max-age=31536000, immutable"
    assert answer.one("referrer-policy") == "no-referrer"
    assert not answer.all("set-cookie")

    _, cookie = await signed_in(browser, people[Role.VIEWER])
    assert (await visitor.ask("GET", f"/tickets/1?{drawing}", cookie)).body == answer.body
    assert (await visitor.ask("GET", f"/tickets/1?{drawing}")).status == 303
    expired, forged = LINKS.token(1, mark, now - LINKS.lasts), token[:-1] + ("0" if token[-1] != "0" else "1")
    for other, status in ((expired, 410), (forged, 404)):
        refused = await read(visitor, f"{other}?{drawing}")
        assert (refused.status, b"<svg" in refused.body) == (status, False)


async def test_it_opens_that_ticket_and_nothing_else(visitor: RawVisitor, mark: str) -> None:
    token = LINKS.token(1, mark, SystemClock().now())

    assert (await visitor.ask("POST", PATH + token)).status == 405
    for address in ("/tickets/1", f"/tickets/1?of={mark}", "/tickets/1/deals.csv", "/api/v1/tickets/1"):
        answer = await visitor.ask("GET", address, ("authorization", f"Bearer {token}"))
        assert answer.status in (303, 401), address
    assert (await read(visitor, token + "/deals.csv")).status == 404


async def test_a_forged_changed_or_foreign_link_is_told_what_to_do_and_shows_nothing(
    visitor: RawVisitor, mark: str
) -> None:
    now = SystemClock().now()
    good = LINKS.token(1, mark, now)
    wrong = [
        good[:-1],
        good + "0",
        good.upper(),
        "2" + good[1:],
        good.replace(mark, "0" * 8),
        ReadLinks((b"x" * 40,)).token(1, mark, now),
        "x",
        "%00",
        LINKS.token(99, "0" * 8, now),
        LINKS.token(1, "0" * 8, now),
    ]
    for token in wrong:
        answer = await read(visitor, token)
        assert answer.status == 404, token
        assert b"Open the link in the newest mail" in answer.body
        assert b"Proposal" not in answer.body


async def test_a_link_expires_and_says_so(visitor: RawVisitor, mark: str) -> None:
    now = SystemClock().now()
    answer = await read(visitor, LINKS.token(1, mark, now - LINKS.lasts))

    assert answer.status == 410
    assert b"This link has expired" in answer.body
    assert b"Sign in to see the ticket" in answer.body
    assert b"Proposal" not in answer.body
    assert (await read(visitor, LINKS.token(1, mark, now - LINKS.lasts + timedelta(minutes=10)))).status == 200


async def test_keys_are_rotated_and_without_any_there_are_no_links(
    app_of: Callable[..., Starlette], visitor: RawVisitor, mark: str
) -> None:
    now = SystemClock().now()
    old, new = ReadLinks((OLD.encode(),)).token(1, mark, now), LINKS.token(1, mark, now)
    assert [(await read(visitor, token)).status for token in (old, new)] == [200, 200]

    later = RawVisitor(app_of(link_keys=NEW))
    assert [(await read(later, token)).status for token in (old, new)] == [404, 200]
    assert [(await read(RawVisitor(app_of()), token)).status for token in (old, new)] == [404, 404]


async def test_a_ticket_whose_number_was_given_again_is_found_by_what_it_is_about(
    visitor: RawVisitor, mark: str, parts: TicketParts
) -> None:
    other = problem(key="aging/new/legal", stage="legal")
    await parts.handle(record(event(other), 1))
    now = SystemClock().now()
    answer = await read(visitor, LINKS.token(2, mark, now))

    assert answer.status == 200
    assert b"Ticket 1 " in answer.body
    assert b"Ticket 2 " not in answer.body


async def test_too_many_requests_of_one_address_wait(
    app_of: Callable[..., Starlette], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_page, "PER_ADDRESS", Rate(2, timedelta(hours=1)))
    app = app_of(link_keys=NEW)
    answers = [await read(RawVisitor(app), "x") for _ in range(3)]

    assert [one.status for one in answers] == [404, 404, 429]
    assert int(answers[2].one("retry-after")) > 0
    assert (await read(RawVisitor(app, "192.0.2.8"), "x")).status == 404

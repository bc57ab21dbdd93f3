"""Calendars of due dates: whose they are, what opens them, and what does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets import accounts as commands
from services.tickets.access.roles import Role
from services.tickets.access.sessions import digest
from services.tickets.calendar import page
from services.tickets.domain.rates import Rate
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts
from services.tickets.store import calendar as store
from services.tickets.store.calendar import CalendarReader
from shared.postgres.pool import Executor, Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.access.test_tokens import token_of
from tests.integration.tickets.records import TicketParts, record
from tests.support import sealed_plans
from tests.support.problems import event, policy, problem
from tests.support.raw_request import RawVisitor
from tests.support.signed_in import PASSWORD, Browser, hashed

MakeBrowser = Callable[..., Browser]
DAY = date(2031, 3, 5)


@pytest.fixture
async def planned(parts: TicketParts, pool: Pool) -> None:
    """A ticket of the pipeline `new` with a change on a day to come."""
    await parts.handle(record(event(problem()), 0))
    await sealed_plans.seal(pool, 1, DAY, "planned", SystemClock().now())


async def address_of(one: Browser) -> str:
    """Ask for an address on the account's page."""
    page = await one.send("/account/calendar", "/account")
    assert page.status_code == 200
    found = re.search(r"<code>http://127.0.0.1:8080(/calendar/[^<]+\.ics)</code>", page.text)
    assert found is not None
    return found[1]


async def reader(browser: MakeBrowser, email: str) -> tuple[Browser, str]:
    one = browser()
    assert (await one.sign_in(email)).status_code == 303
    return one, await address_of(one)


async def test_a_program_reads_the_due_dates_by_the_address_alone_and_again_only_when_they_change(
    browser: MakeBrowser, people: dict[Role, str], planned: None, pool: Pool, parts: TicketParts
) -> None:
    _, address = await reader(browser, people[Role.VIEWER])
    program = browser().client
    first = await program.get(address)

    assert first.status_code == 200
    assert first.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "DTSTART;VALUE=DATE:20310305\r\n" in first.text
    tag = {"If-None-Match": first.headers["etag"]}
    again = await program.get(address, headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert "Set-Cookie" not in first.headers
    await parts.handle(record(event(problem(stage="legal", key="aging/new/legal")), 1))
    await sealed_plans.seal(pool, 2, DAY + timedelta(days=1), "planned", SystemClock().now())
    changed = await program.get(address, headers=tag)
    assert changed.status_code == 200
    assert changed.text.count("BEGIN:VEVENT") == 2


async def test_an_owner_reads_of_their_own_pipelines_and_others_of_all(
    browser: MakeBrowser, people: dict[Role, str], planned: None, pool: Pool
) -> None:
    mail = policy().pipelines["new"].owner.mail
    await accounts.add(pool, mail.upper(), "Own", Role.VIEWER, SystemClock().now(), hashed(PASSWORD))
    _, own = await reader(browser, mail)
    _, everybodys = await reader(browser, people[Role.VIEWER])
    client = browser().client
    assert [(await client.get(one)).text.count("BEGIN:VEVENT") for one in (own, everybodys)] == [1, 1]

    await pool.execute("UPDATE ticket SET pipeline = 'other'")
    assert [(await client.get(one)).text.count("BEGIN:VEVENT") for one in (own, everybodys)] == [0, 1]
    await pool.execute("""UPDATE ticket SET problem = problem || '{"pipelines": ["new"]}'""")
    assert (await client.get(own)).text.count("BEGIN:VEVENT") == 1


async def test_the_address_is_shown_once_its_hash_is_kept_and_another_takes_its_place(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    one, address = await reader(browser, people[Role.MEMBER])
    token = address.removeprefix("/calendar/").removesuffix(".ics")
    assert len(token) >= 43
    assert token not in (await one.get("/account")).text
    assert await pool.fetchval("SELECT hash FROM calendar_link") == digest(token)
    client = browser().client
    assert (await client.get(address)).status_code == 200
    assert (await pool.fetchval("SELECT used_on FROM calendar_link")) is not None

    another = await address_of(one)
    assert [(await client.get(it)).status_code for it in (address, another)] == [404, 200]
    assert (await one.send("/account/calendar/revoke", "/account")).status_code == 303
    assert (await client.get(another)).status_code == 404
    details = await pool.fetch("SELECT detail FROM audit WHERE event = 'token-changed' ORDER BY id")
    assert [row["detail"] for row in details] == [{"calendar": "made"}, {"calendar": "made"}, {"calendar": "revoked"}]


async def test_nothing_but_the_address_opens_a_calendar_and_it_opens_nothing_else(
    app_of: Callable[..., Starlette], browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    one, address = await reader(browser, people[Role.ADMIN])
    token = address.removeprefix("/calendar/").removesuffix(".ics")
    visitor = RawVisitor(app_of())
    cookie = ("cookie", f"andon_session={one.client.cookies['andon_session']}")
    wrong = [
        token[:-1],
        token + "A",
        token.swapcase(),
        "A" * 43,
        "x",
        "%00",
        "%ff",
        "..%2f" + token,
        digest(token).hex(),
    ]
    answers = {(a.status, a.body) for a in [await visitor.ask("GET", f"/calendar/{it}.ics", cookie) for it in wrong]}

    assert {status for status, _ in answers} == {404}
    assert len([body for _, body in answers if b"no such calendar" in body]) == 1
    assert (await visitor.ask("POST", address)).status == 405
    shown = ("authorization", f"Bearer {token}")
    assert (await visitor.ask("GET", "/api/v1/tickets", shown)).status == 401
    assert (await visitor.ask("GET", "/tickets", ("cookie", f"andon_session={token}"))).status == 303

    await accounts.disable(pool, people[Role.ADMIN], SystemClock().now())
    assert (await visitor.ask("GET", address)).status == 404


async def test_what_opens_nothing_costs_the_same_look_up(browser: MakeBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is counted, not timed."""
    looked_up, find = list[str](), store.find

    async def counted(executor: Executor, token: str) -> CalendarReader | None:
        looked_up.append(token)
        return await find(executor, token)

    monkeypatch.setattr(store, "find", counted)
    client, wrong = browser().client, ["A" * 43, "x", "x" * 1000]
    for token in wrong:
        assert (await client.get(f"/calendar/{token}.ics")).status_code == 404
    assert looked_up == wrong


async def test_too_many_requests_wait_and_only_theirs(
    app_of: Callable[..., Starlette], browser: MakeBrowser, people: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = await reader(browser, people[Role.VIEWER])
    _, others = await reader(browser, people[Role.MEMBER])
    monkeypatch.setattr(page, "PER_ACCOUNT", Rate(2, timedelta(hours=1)))
    monkeypatch.setattr(page, "PER_ADDRESS", Rate(4, timedelta(hours=1)))
    app = app_of()
    answers = [await RawVisitor(app, f"192.0.2.{n}").ask("GET", address) for n in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    assert int(answers[2].one("retry-after")) > 0
    assert (await RawVisitor(app).ask("GET", others)).status == 200

    guesses = [(await RawVisitor(app, "192.0.2.99").ask("GET", "/calendar/x.ics")).status for _ in range(5)]
    assert guesses == [404, 404, 404, 404, 429]
    assert (await RawVisitor(app, "192.0.2.98").ask("GET", "/calendar/x.ics")).status == 404


async def programs_of(pool: Pool, browser: MakeBrowser, email: str) -> tuple[Browser, str, str]:
    """A browser that has signed in, and the token and the calendar of its account."""
    one, address = await reader(browser, email)
    return one, await token_of(pool, email, "read"), address


async def opened(client: httpx.AsyncClient, token: str, address: str) -> list[int]:
    api = await client.get("/api/v1/tickets", headers={"Authorization": f"Bearer {token}"})
    return [api.status_code, (await client.get(address)).status_code]


async def test_sign_out_everywhere_ends_what_programs_have_only_where_it_is_asked_to(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    one, token, address = await programs_of(pool, browser, people[Role.MEMBER])
    _, others_token, others_address = await programs_of(pool, browser, people[Role.VIEWER])
    client = browser().client
    assert (await one.send("/account/sessions", "/account")).status_code == 303
    assert await opened(client, token, address) == [200, 200]

    await one.sign_in(people[Role.MEMBER])
    assert (await one.send("/account/sessions", "/account", programs="end")).status_code == 303
    assert await opened(client, token, address) == [401, 404]
    assert await opened(client, others_token, others_address) == [200, 200]
    assert (await one.get("/account")).status_code == 303
    rows = await pool.fetch("SELECT event, detail FROM audit ORDER BY id DESC LIMIT 3")
    assert [row["event"] for row in rows] == ["signed-out", "token-changed", "token-changed"]
    assert [rows[1]["detail"]["calendar"], rows[2]["detail"]["revoked"]] == ["revoked", True]


async def test_a_new_password_at_a_link_and_forgetting_end_what_programs_have(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool, dsn: str
) -> None:
    settings = TicketsSettings(sign_in="password", postgres=dsn)  # type: ignore[arg-type]
    _, token, address = await programs_of(pool, browser, people[Role.MEMBER])
    client = browser().client
    link = (await commands.reset(settings, people[Role.MEMBER])).address.removeprefix("http://127.0.0.1:8080")
    assert await opened(client, token, address) == [200, 200]
    assert (await browser().send(link, password="another good password")).status_code == 303
    assert await opened(client, token, address) == [401, 404]

    _, token, address = await programs_of(pool, browser, people[Role.VIEWER])
    await commands.forget(settings, people[Role.VIEWER])
    assert await opened(client, token, address) == [401, 404]

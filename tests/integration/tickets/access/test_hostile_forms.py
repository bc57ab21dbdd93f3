"""Unwanted visitors: foreign forms, endless and broken bodies, planted cookies, guesses at accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from services.tickets.access.route_roles import RULES
from services.tickets.app import MAX_BODY_BYTES
from services.tickets.store import accounts, audit
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_every_route import address_of
from tests.integration.tickets.access.visiting import send, signed_in
from tests.support.raw_request import RawVisitor
from tests.support.signed_in import PASSWORD, Browser

MakeApp = Callable[..., Starlette]
MakeBrowser = Callable[..., Browser]


# Forms.


async def test_no_form_is_taken_that_another_session_was_shown_or_that_is_older_than_the_session(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str]
) -> None:
    one, cookie = await signed_in(browser, people[Role.ADMIN])
    other, _ = await signed_in(browser, people[Role.ADMIN])
    foreign, old = await other.token("/account"), await one.token("/account")
    await one.sign_in(people[Role.ADMIN])
    cookie = ("cookie", f"andon_session={one.client.cookies['andon_session']}")
    visitor, wrong = RawVisitor(app_of()), list[str]()
    for method, path in RULES:
        if method != "POST" or path.startswith(("/api/", "/cord/", "/sign-in")):
            continue
        for token in (foreign, old, "", "0" * 64, old.upper(), "é"):
            answer = await send(visitor, address_of(path), cookie, csrf=token)
            if answer.status != 403:
                wrong.append(f"{path} {token[:6]} {answer.status}")
        in_address = f"{address_of(path)}?csrf={await one.token('/account')}"
        if (await send(visitor, in_address, cookie)).status != 403:
            wrong.append(f"{path}: token in the address")
    assert wrong == []
    assert (await one.get("/account")).status_code == 200


CROSS_SITE = [
    [("origin", "https://evil.example")],
    [("origin", "null")],
    [("origin", "http://127.0.0.1:8081")],
    [("origin", "http://127.0.0.1:8080.evil.example")],
    [("sec-fetch-site", "cross-site")],
    [("sec-fetch-site", "same-site")],
    [("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")],
]


async def test_no_other_site_signs_a_browser_in_or_acts_by_api(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str]
) -> None:
    visitor, (_, cookie) = RawVisitor(app_of()), await signed_in(browser, people[Role.ADMIN])
    for headers in CROSS_SITE:
        answer = await send(visitor, "/sign-in", *headers, email=people[Role.VIEWER], password=PASSWORD)
        assert (answer.status, answer.all("set-cookie")) == (403, []), headers
        for kind in ("application/json", "text/plain"):
            sent = (cookie, ("content-type", kind), *headers)
            acted = await visitor.ask("POST", "/api/v1/tickets/1/acknowledge", *sent, body=[b'{"version": 1}'])
            assert acted.status == 403 or (kind, acted.status) == ("text/plain", 422), headers


# Bodies.


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_no_route_reads_a_body_without_end(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str], is_signed_in: bool
) -> None:
    one, cookie = await signed_in(browser, people[Role.ADMIN])
    token, visitor, wrong = await one.token("/account"), RawVisitor(app_of()), dict[str, int]()
    headers = (cookie, ("x-csrf-token", token)) if is_signed_in else ()
    for kind in ("application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x"):
        for method, path in RULES:
            if method == "GET":
                continue
            read = 0

            def parts() -> Iterator[bytes]:
                nonlocal read
                yield b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
                while read < 8_000_000:
                    read += 65_536
                    yield b"a" * 65_536

            answer = await visitor.ask(method, address_of(path), ("content-type", kind), *headers, body=parts())
            if read > 1.1 * MAX_BODY_BYTES or answer.status >= 500:
                wrong[f"{method} {path} {kind} {answer.status}"] = read
    assert wrong == {}


BROKEN = [
    b"\x00",
    b"email=%00&password=%00&name=%00&csrf=%00&to=%00&reason=%00",
    b"email=a%00b@shop.example&password=" + PASSWORD.encode(),
    b"email=%ff%fe&password=%ff",
    b"email=%ed%a0%80@x&password=x",
    b"&" * 5000 + b"=" * 5000,
    b"%" * 2000,
    b"{",
    b'{"version": "\\ud800"}',
    b"[" * 10_000,
    b'{"version": 1e999}',
    b"--x\r\n",
    b"--x\r\nContent-Disposition: form-data; name=\r\n\r\n",
    b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\x00\xff\r\n--x--\r\n',
]
WITHOUT_FIELDS = ("/sign-out", "/account/sessions", "/account/calendar", "/account/calendar/revoke")
KINDS = [
    "application/x-www-form-urlencoded",
    "application/json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "",
    "\xff",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_broken_body_breaks_a_route(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str], kind: str
) -> None:
    one, cookie = await signed_in(browser, people[Role.ADMIN])
    token, visitor, wrong = await one.token("/account"), RawVisitor(app_of()), list[str]()
    for headers in ((), (cookie, ("x-csrf-token", token))):
        for method, path in RULES:
            if method == "GET" or path in WITHOUT_FIELDS:
                continue
            for body in BROKEN:
                answer = await visitor.ask(method, address_of(path), ("content-type", kind), *headers, body=[body])
                if answer.status >= 500 or answer.status < 400:
                    wrong.append(f"{method} {path} {body[:20]!r} {answer.status}")
    assert wrong == []


async def test_no_query_breaks_sign_in(app_of: MakeApp) -> None:
    visitor = RawVisitor(app_of())
    for query in ("to=%00", "to=%ff", "to=" + "a" * 3000, "to", "to=/&to=//evil.example", "%00=%00", "&&="):
        assert (await visitor.ask("GET", f"/sign-in?{query}")).status == 200, query


UNUSABLE = [
    ("", "Ada"),
    ("ada", "Ada"),
    ("ada@shop.example, eve@evil.example", "Ada"),
    ("ada@shop.example\r\nBcc: eve@evil.example", "Ada"),
    ("a\x00da@shop.example", "Ada"),
    ("ada@shop.example", "A\x00da"),
    ("ada@shop.example", "A" * 101),
    ("ada@shop.example", "Ada\r\nBcc: eve@evil.example"),
    ("ada@shop.example", "Ad\u202ea"),
]


async def test_the_first_admin_has_one_mail_address_and_a_name_that_can_be_shown(app_of: MakeApp, pool: Pool) -> None:
    now = datetime.now(UTC)
    await accounts.add_link(pool, "x" * 43, None, now, now + timedelta(days=1))
    visitor = RawVisitor(app_of())
    for email, name in UNUSABLE:
        answer = await send(visitor, f"/sign-in/link/{'x' * 43}", email=email, name=name, password=PASSWORD)
        assert (answer.status, await accounts.is_any(pool)) == (422, False), (email, name)


# Cookies and sessions.


async def test_a_cookie_that_comes_twice_is_nobodys(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str]
) -> None:
    _, (_, mine) = await signed_in(browser, people[Role.VIEWER])
    _, (_, planted) = await signed_in(browser, people[Role.ADMIN])
    visitor = RawVisitor(app_of())

    doubled = [[("cookie", f"{first}; {second}")] for first, second in ((mine, planted), (planted, mine))]
    for headers in (*doubled, [("cookie", mine), ("cookie", planted)]):
        assert (await visitor.ask("GET", "/tickets", *headers)).status == 303
    assert (await visitor.ask("GET", "/tickets", ("cookie", f"other=1; {mine}; andon_zone=UTC"))).status == 200


async def test_no_cookie_breaks_a_page(app_of: MakeApp) -> None:
    visitor = RawVisitor(app_of())
    for value in ("=", "", "=%00", "=\xff", "=" + "a" * 9000, '="', "=;;;="):
        answer = await visitor.ask("GET", "/tickets", ("cookie", f"andon_session{value}"))
        assert (answer.status, answer.one("location")) == (303, "/sign-in?to=%2Ftickets"), value


async def test_a_session_that_a_stranger_made_up_does_not_become_the_one_of_who_signs_in(
    app_of: MakeApp, people: dict[Role, str]
) -> None:
    planted, visitor = ("cookie", "andon_session=" + "a" * 43), RawVisitor(app_of())
    answer = await send(visitor, "/sign-in", planted, email=people[Role.VIEWER], password=PASSWORD)

    assert answer.status == 303
    assert "a" * 43 not in answer.one("set-cookie")
    assert (await visitor.ask("GET", "/tickets", planted)).status == 303


async def test_a_link_of_an_account_that_was_disabled_lets_nobody_in_then_or_later(
    app_of: MakeApp, people: dict[Role, str], pool: Pool
) -> None:
    now, email = datetime.now(UTC), people[Role.MEMBER]
    account = await accounts.by_mail(pool, email)
    assert account is not None
    await accounts.add_link(pool, "x" * 43, account.id, now, now + timedelta(days=1))
    await accounts.disable(pool, email, now)
    visitor, link = RawVisitor(app_of()), f"/sign-in/link/{'x' * 43}"

    assert (await visitor.ask("GET", link)).status == 404
    answer = await send(visitor, link, password="another good password")
    assert (answer.status, answer.all("set-cookie")) == (422, [])
    await accounts.enable(pool, email)
    assert (await send(visitor, "/sign-in", email=email, password="another good password")).status == 422


# Who has an account.


async def test_an_unknown_account_costs_as_much_work_as_a_known_one(
    app_of: MakeApp, people: dict[Role, str], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = list[str]()
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str | bytes, password: str | bytes) -> Any:
        checked.append(str(stored).rpartition("$")[0].rpartition("$")[0])
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    await accounts.add(pool, "no-password@shop.example", "No", Role.VIEWER, datetime.now(UTC))
    visitor = RawVisitor(app_of())
    work = []
    for email in (people[Role.VIEWER], "nobody@shop.example", "no-password@shop.example", "", "x" * 5000, "a\x00b"):
        checked.clear()
        answer = await send(visitor, "/sign-in", email=email, password="wrong")
        work.append((answer.status, len(checked)))

    assert work == [(422, 1)] * len(work)


async def test_a_refusal_is_written_down_with_the_path_that_was_asked_for(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    _, cookie = await signed_in(browser, people[Role.VIEWER])
    visitor = RawVisitor(app_of())
    await visitor.ask("POST", "/sign-out", cookie, host="127.0.0.1:80/innocent#")
    await visitor.ask("POST", "/tickets/1/close", cookie)

    async with pool.acquire() as connection:
        rows = [row.detail async for row in audit.rows(connection) if row.event == "refused"]
    assert rows == [{"method": "POST", "path": "/tickets/1/close", "status": 403}]

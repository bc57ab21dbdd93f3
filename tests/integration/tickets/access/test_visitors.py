"""Unwanted visitors: forged names and addresses, foreign forms, tricks with paths, bodies and cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from services.tickets.access.identity import network_of
from services.tickets.access.roles import Role
from services.tickets.access.rules import RULES
from services.tickets.access.settings import AccessSettings
from services.tickets.store import accounts, audit
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_every_route import address_of
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem
from tests.support.raw_request import RawAnswer, RawVisitor
from tests.support.signed_in import PASSWORD, Browser

MakeApp = Callable[..., Starlette]
MakeBrowser = Callable[..., Browser]
FORM = ("content-type", "application/x-www-form-urlencoded")
NAMED = "x-forwarded-email"
PROXY = {"sign_in": "proxy", "sign_in_proxies": "10.0.0.5,10.1.0.0/16"}
FOREIGN = (
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "javascript:alert(1)",
    "https:evil.example",
    "/%0d%0aSet-Cookie:%20a=b\r\nSet-Cookie: a=b",
    "@evil.example",
    ".evil.example",
    "",
)


async def signed_in(browser: MakeBrowser, email: str) -> tuple[Browser, tuple[str, str]]:
    """A browser, and the header with its cookie."""
    one = browser()
    assert (await one.sign_in(email)).status_code == 303
    return one, ("cookie", f"andon_session={one.client.cookies['andon_session']}")


def leads_here(answer: RawAnswer) -> bool:
    """Whether a redirect stays on this host."""
    where = urlsplit(answer.one("location"))
    return not where.scheme and not where.netloc and answer.one("location").startswith("/")


async def send(visitor: RawVisitor, target: str, *headers: tuple[str, str], **fields: str) -> RawAnswer:
    return await visitor.ask("POST", target, FORM, *headers, body=[urlencode(fields).encode()])


ADMIN = "admin@shop.example"
NOT_NAMED: list[tuple[str, list[str]]] = [
    ("192.0.2.7", [ADMIN]),
    ("127.0.0.1", [ADMIN]),
    ("10.0.0.50", [ADMIN]),
    ("::ffff:192.0.2.7", [ADMIN]),
    ("", [ADMIN]),
    ("10.0.0.5", []),
    ("10.0.0.5", [""]),
    ("10.0.0.5", ["  "]),
    ("10.0.0.5", [ADMIN, ADMIN]),
    ("10.0.0.5", [ADMIN, ""]),
    ("10.0.0.5", ["eve@evil.example,admin@shop.example"]),
    ("10.0.0.5", ["admin@shop.example, eve@evil.example"]),
    ("10.0.0.5", ["admin@shop.example;eve@evil.example"]),
    ("10.0.0.5", ["Admin <admin@shop.example>"]),
    ("10.0.0.5", ["admin"]),
    ("10.0.0.5", ["@shop.example"]),
    ("10.0.0.5", ["ädmin@shop.example"]),
    ("10.0.0.5", ["a@" + "b" * 300 + ".example"]),
    ("10.0.0.5", ["<script>@shop.example"]),
]


# Proxies.


async def by_proxy(app: Starlette, address: str, *names: str) -> RawAnswer:
    return await RawVisitor(app, address).ask("GET", "/sign-in", *((NAMED, name) for name in names))


async def test_nobody_comes_in_by_a_header_that_no_trusted_proxy_sent_or_that_names_not_one_person(
    app_of: MakeApp, people: dict[Role, str], pool: Pool
) -> None:
    app = app_of(**PROXY)
    for address, names in NOT_NAMED:
        answer = await by_proxy(app, address, *names)
        assert (answer.status, answer.all("set-cookie")) == (403, []), (address, names)

    assert len(await accounts.all_accounts(pool)) == len(people)


async def test_a_trusted_proxy_names_a_person_and_the_session_counts_only_through_it(
    app_of: MakeApp, people: dict[Role, str]
) -> None:
    app, name, address = app_of(**PROXY), people[Role.MEMBER], "10.0.0.5"
    for other in ("10.1.255.255", "::ffff:10.0.0.5"):
        assert (await by_proxy(app, other, name)).status == 303
    answer = await by_proxy(app, address, f" {name.upper()} ")
    assert (answer.status, answer.one("location")) == (303, "/")
    cookie = ("cookie", answer.one("set-cookie").partition(";")[0])

    assert (await RawVisitor(app, address).ask("GET", "/tickets", cookie, (NAMED, name))).status == 200
    for headers in ((cookie,), (cookie, (NAMED, people[Role.ADMIN])), (cookie, (NAMED, name), (NAMED, name))):
        assert (await RawVisitor(app, address).ask("GET", "/tickets", *headers)).status == 303
    assert (await RawVisitor(app).ask("GET", "/tickets", cookie, (NAMED, name))).status == 303


OTHER_HEADERS = [
    ("x-forwarded-user", "admin@shop.example"),
    ("x-forwarded_email", "admin@shop.example"),
    ("x_forwarded_email", "admin@shop.example"),
    ("remote-user", "admin@shop.example"),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-for", "10.0.0.5"),
    ("x-real-ip", "10.0.0.5"),
    ("forwarded", "for=10.0.0.5;host=127.0.0.1;proto=https"),
    ("x-original-url", "/sign-in"),
    ("x-rewrite-url", "/sign-in"),
    ("x-http-method-override", "GET"),
    ("x-forwarded-prefix", "/cord/"),
    ("authorization", "Basic YWRtaW46YWRtaW4="),
]


@pytest.mark.parametrize("sign_in", ["password", "proxy"])
async def test_no_other_header_makes_a_stranger_somebody(
    app_of: MakeApp, people: dict[Role, str], sign_in: str
) -> None:
    visitor = RawVisitor(app_of(**(PROXY | {"sign_in": sign_in})))
    for header in OTHER_HEADERS:
        answer = await visitor.ask("GET", "/tickets", header, (NAMED, people[Role.ADMIN]))
        assert (answer.status, answer.one("location")) == (303, "/sign-in?to=%2Ftickets"), header


GUESSERS = [
    # A client writes what it likes; nobody believes it.
    ("192.0.2.7", ["198.51.100.{n}"], True),
    # Through a proxy, what is left of the client's address is the client's.
    ("10.0.0.5", ["198.51.100.{n}, 192.0.2.7"], True),
    ("10.0.0.5", ["198.51.100.{n}", "192.0.2.7"], True),
    ("10.0.0.5", ["192.0.2.7, 10.1.0.9"], True),
    # Some proxies add the port, which is another one each time.
    ("10.0.0.5", ["192.0.2.7:40{n:02}"], True),
    ("10.0.0.5", ["[2001:db8::7]:40{n:02}"], True),
    # Whoever has one address of a network of IPv6 has them all.
    ("10.0.0.5", ["2001:db8::{n}"], True),
    # What is no address is nobody's.
    ("10.0.0.5", ["unknown-{n}"], True),
    ("10.0.0.5", ["192.0.2.{n}"], False),
    ("10.0.0.5", ["2001:db8:0:{n}::7"], False),
]


def test_who_guesses_is_known_by_the_address_that_only_a_proxy_can_say() -> None:
    settings = AccessSettings(**PROXY)  # type: ignore[arg-type]
    for peer, forwarded, are_one in GUESSERS:
        counted = set()
        for n in range(24):
            hops = [(b"x-forwarded-for", hop.format(n=n).encode()) for hop in forwarded]
            counted.add(network_of(HTTPConnection({"type": "http", "client": (peer, 1), "headers": hops}), settings))
        assert (len(counted) == 1) == are_one, (peer, forwarded, counted)


# Where a request leads.


async def test_no_sign_in_leads_to_another_site(app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str]) -> None:
    visitor, (_, cookie) = RawVisitor(app_of()), await signed_in(browser, people[Role.VIEWER])
    for to in FOREIGN:
        answer = await send(visitor, "/sign-in", email=people[Role.VIEWER], password=PASSWORD, to=to)
        assert (answer.status, leads_here(answer), len(answer.all("set-cookie"))) == (303, True, 1), to
        already = await visitor.ask("GET", f"/sign-in?{urlencode({'to': to})}", cookie)
        assert (already.status, leads_here(already), already.all("set-cookie")) == (303, True, []), to


TARGETS = [
    "//evil.example/",
    "//evil.example/%2e%2e",
    "/tickets/",
    "//tickets",
    "/sign-in/",
    "/%5cevil.example/",
    "/api/v1/tickets/",
    "/static//evil.example/",
]
FORGED = ["127.0.0.1:8080", "127.0.0.1:8080@evil.example", "127.0.0.1:x/evil"]


async def test_no_path_and_no_host_leads_to_another_site(app_of: MakeApp) -> None:
    visitor = RawVisitor(app_of())
    for target, host in product(TARGETS, FORGED):
        answer = await visitor.ask("GET", target, ("x-forwarded-host", "evil.example"), host=host)
        expected = (303, 404, 401) if host == "127.0.0.1:8080" else (400,)
        assert answer.status in expected, (target, host, answer.status)
        assert answer.status != 303 or leads_here(answer), target
        assert b"evil.example" not in answer.body, (target, host)


SPELLINGS = [
    "/Tickets",
    "/TICKETS/1",
    "//tickets/1",
    "/tickets//1",
    "/tickets/1/",
    "/tickets/1;x=y",
    "/tickets;/1",
    "/cord/..;/tickets/1",
    "/cord/../tickets/1",
    "/cord/%2e%2e/tickets/1",
    "/cord/..%2ftickets%2f1",
    "/static/../tickets/1",
    "/static/%2e%2e/tickets/1",
    "/static/..%2f..%2faccess%2frules.py",
    "/static/%2e%2e%2f%2e%2e%2fmigrations%2f0002_access.sql",
    "/static//etc/passwd",
    "/static/..%5c..%5caccess%5crules.py",
    "/favicon.ico/../tickets/1",
    "/livez/../tickets/1",
    "/metrics%2f..%2ftickets%2f1",
    "/sign-in/../tickets/1",
    "/sign-in/link/../../tickets/1",
    "/tickets/1%00",
    "/tickets/%31",
    "/./tickets/1",
    "/%2e/tickets/1",
    "/tickets/1%0d%0aSet-Cookie:%20a=b",
    "/api/v1/../../tickets/1",
    "/api/v1//tickets/1",
    "/API/v1/tickets/1",
    "/api/v1/tickets/1%2f..%2f1",
]


async def test_no_spelling_of_a_path_shows_a_stranger_a_ticket_or_a_file(app_of: MakeApp, parts: TicketParts) -> None:
    await parts.handle(record(event(problem()), 0))
    visitor = RawVisitor(app_of())
    for path, method in product(SPELLINGS, ("GET", "POST", "HEAD")):
        answer = await visitor.ask(method, path)

        assert answer.status in (303, 401, 403, 404, 405, 422), (method, path, answer.status)
        assert answer.status != 303 or answer.one("location").startswith("/sign-in?to="), path
        assert not answer.all("set-cookie"), path
        assert not any(text in answer.body for text in (b"Proposal", b"CREATE TABLE", b"RULES", b"root:")), path


METHODS = ["TRACE", "TRACK", "CONNECT", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND", "get"]


async def test_a_method_that_a_route_does_not_have_does_nothing(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str]
) -> None:
    one, cookie = await signed_in(browser, people[Role.ADMIN])
    token, visitor, wrong = await one.token("/account"), RawVisitor(app_of()), list[str]()
    for method, path in product(METHODS, {path for _, path in RULES}):
        if (method, path) not in RULES:
            answer = await visitor.ask(method, address_of(path), cookie, ("x-csrf-token", token), ("x-secret", "echo"))
            if answer.status not in (403, 404, 405) or b"echo" in answer.body:
                wrong.append(f"{method} {path} {answer.status}")
    assert wrong == []
    assert (await one.get("/account")).status_code == 200


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
            if read > 1_000_000 or answer.status >= 500:
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
            if method == "GET" or path in ("/sign-out", "/account/sessions"):
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

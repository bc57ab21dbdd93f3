"""Unwanted visitors: forged names, hosts and addresses, redirects, tricks with paths and methods."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from services.tickets.access.identity import network_of
from services.tickets.access.roles import Role
from services.tickets.access.route_roles import RULES
from services.tickets.access.settings import AccessSettings
from services.tickets.store import accounts
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_every_route import address_of
from tests.integration.tickets.access.visiting import send, signed_in
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem
from tests.support.raw_request import RawAnswer, RawVisitor
from tests.support.signed_in import PASSWORD, Browser

MakeApp = Callable[..., Starlette]
MakeBrowser = Callable[..., Browser]
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


def leads_here(answer: RawAnswer) -> bool:
    """Whether a redirect stays on this host."""
    where = urlsplit(answer.one("location"))
    return not where.scheme and not where.netloc and answer.one("location").startswith("/")


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

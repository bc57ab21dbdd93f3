"""Every route of the application, as it lists them itself, and every role: nobody does what their role may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from services.tickets.access.guard import GuardedRoute, methods_of
from services.tickets.access.roles import Role
from services.tickets.access.route_roles import RULES
from services.tickets.store import accounts
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, policy, problem
from tests.support.signed_in import PASSWORD, Browser, hashed

MakeBrowser = Callable[..., Browser]
# What an address holds in place of each of its parameters.
FILLED = {"number": "1", "action": "acknowledge", "chart": "age", "token": "x" * 26, "receipt": "x" * 26}


def routes_of(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str, Route | Mount]]:
    """Method, address and route of all that the application answers to."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, prefix + route.path, route) for method in methods_of(route))
        elif isinstance(route, Mount) and route.routes:
            yield from routes_of(route.routes, prefix + route.path)
        elif isinstance(route, Mount):
            yield "GET", f"{prefix}{route.path}/{{path:path}}", route


def address_of(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: FILLED.get(found[1], "new/proposal"), path)


def test_every_route_has_a_role_and_a_guard_and_every_rule_a_route(app_of: Callable[..., Starlette]) -> None:
    found = list(routes_of(app_of().routes))

    undeclared = {(method, path) for method, path, _ in found} - RULES.keys()
    assert undeclared == {(method, "/api/v1") for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
    assert RULES.keys() <= {(method, path) for method, path, _ in found}
    assert [path for _, path, route in found if not isinstance(route.app, GuardedRoute)] == []


def is_refused(answer: httpx.Response) -> bool:
    """Whether the role was not enough, or nobody had signed in."""
    to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
    return to_sign_in or answer.status_code in (401, 403)


async def signed_in(browser: MakeBrowser, people: dict[Role, str], role: Role) -> Browser:
    one = browser()
    if role is not Role.NOBODY:
        assert (await one.sign_in(people[role])).status_code == 303
    return one


# What ends the session, and so the rest of the test.
ENDING = ("/sign-out", "/account/sessions")


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name.lower())
async def test_each_role_may_do_what_it_may_and_no_more(
    browser: MakeBrowser, people: dict[Role, str], role: Role
) -> None:
    one = await signed_in(browser, people, role)
    token = await one.token("/account") if role is not Role.NOBODY else ""
    wrong = list[str]()
    for (method, path), wanted in RULES.items():
        if path in ENDING and role is not Role.NOBODY:
            continue
        data = {"csrf": token} if method == "POST" else None
        headers = {"X-CSRF-Token": token} if method == "POST" and path.startswith("/api/") else {}
        answer = await one.client.request(method, address_of(path), data=data, headers=headers)
        if wanted is not Role.NOBODY and is_refused(answer) != (role < wanted):
            wrong.append(f"{method} {path}: {answer.status_code}")
        if answer.status_code >= 500 and path not in ("/readyz", "/what-if", "/what-if.yaml"):
            wrong.append(f"{method} {path}: {answer.status_code}")
    assert wrong == []


async def test_a_session_does_nothing_by_api_that_another_site_could_ask_of_it(
    browser: MakeBrowser, people: dict[Role, str], parts: TicketParts
) -> None:
    await parts.handle(record(event(problem()), 0))
    one = await signed_in(browser, people, Role.ADMIN)
    csrf = {"X-CSRF-Token": await one.token("/account")}
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    statuses = [
        (await one.client.post("/api/v1/tickets/1/acknowledge", json={"version": 1}, headers=headers)).status_code
        for headers in ({}, foreign, csrf | foreign, {"X-CSRF-Token": "x"}, csrf)
    ]

    assert statuses == [403, 403, 403, 403, 200]


async def test_a_baseline_is_set_by_the_owner_of_its_pipeline_and_by_owners_of_all(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    mail = policy().pipelines["new"].owner.mail
    await accounts.add(pool, mail.upper(), "Own", Role.MEMBER, SystemClock().now(), hashed(PASSWORD))
    for email, status in ((people[Role.MEMBER], 403), (people[Role.OWNER], 422), (mail, 422)):
        one = browser()
        await one.sign_in(email)
        answer = await one.send("/charts/new/proposal/arrivals", "/account", from_week="", points="", reason="")
        assert answer.status_code == status, email


async def test_the_history_says_who_worked_on_the_ticket_on_its_page_only_until_they_are_forgotten(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool, parts: TicketParts
) -> None:
    await parts.handle(record(event(problem()), 0))
    one = browser()
    await one.sign_in(people[Role.MEMBER])
    answer = await one.send("/tickets/1/acknowledge", "/account", version="1")

    assert answer.status_code == 303
    assert "Member has seen it" in (await one.get("/tickets/1")).text
    assert "Member" not in (await one.client.get("/api/v1/tickets/1")).text
    await pool.execute("DELETE FROM account WHERE email = $1", people[Role.MEMBER])
    await browser().sign_in(people[Role.VIEWER])
    assert await pool.fetchval("SELECT count(*) FROM change WHERE change = 'acknowledged' AND account IS NULL") == 1

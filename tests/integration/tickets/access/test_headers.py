"""What every answer carries, whatever the page and whatever goes wrong: looked at as a passive scanner does."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.applications import Starlette

from services.tickets.access.roles import Role
from services.tickets.access.route_roles import RULES
from shared.postgres.pool import Pool
from tests.integration.tickets.access.test_every_route import address_of
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, problem
from tests.support.raw_request import RawAnswer, RawVisitor
from tests.support.signed_in import Browser

MakeApp = Callable[..., Starlette]
MakeBrowser = Callable[..., Browser]
HTTPS = "https://andon.example"
# Each once: of a policy that comes twice, browsers take both, and proxies one.
ONCE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
POLICY_PARTS = {
    "default-src": "'none'",
    "object-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
    "base-uri": "'none'",
}
# What tells a stranger which programs run here.
TELLING = ("server", "x-powered-by", "via")


# Their addresses are secrets.
SECRET = ("/calendar/", "/read/")


def faults_of(answer: RawAnswer, is_https: bool = False, is_secret: bool = False) -> list[str]:
    """What a passive scanner would complain of."""
    once = ONCE | ({"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"} if is_secret else {})
    found = [f"{name}: {answer.all(name)}" for name, value in once.items() if answer.all(name) != [value]]
    found += [f"{name} is sent" for name in TELLING if answer.all(name)]
    policies = answer.all("content-security-policy")
    parts = dict(part.strip().split(" ", 1) for part in ";".join(policies).split(";"))
    if len(policies) != 1 or "unsafe" in parts.get("script-src", "unsafe") or "unsafe-eval" in policies[0]:
        found.append(f"policy: {policies}")
    found += [f"{name} {parts.get(name)}" for name, value in POLICY_PARTS.items() if parts.get(name) != value]
    if not re.search(r"camera=\(\).*geolocation=\(\)", answer.one("permissions-policy")):
        found.append("permissions-policy")
    if answer.one("cache-control") not in ("no-store", "no-cache"):
        found.append("cache-control")
    if answer.one("strict-transport-security") != ("max-age=31536000" if is_https else ""):
        found.append("strict-transport-security")
    if answer.body and answer.status != 204 and "content-type" not in dict(answer.headers):
        found.append("no content type")
    if b"<script>" in answer.body or re.search(rb"<[^>]*\son\w+=", answer.body):
        found.append("inline script")
    return found


async def cookie_of(browser: MakeBrowser, people: dict[Role, str]) -> tuple[str, str]:
    one = browser()
    await one.sign_in(people[Role.ADMIN])
    return "cookie", f"andon_session={one.client.cookies['andon_session']}"


async def test_no_answer_of_any_route_lacks_a_header(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str], parts: TicketParts
) -> None:
    await parts.handle(record(event(problem()), 0))
    cookie, wrong = await cookie_of(browser, people), dict[str, list[str]]()
    for headers in ((), (cookie,)):
        visitor = RawVisitor(app_of())
        for method, path in RULES:
            if path not in ("/sign-out", "/account/sessions"):
                answer = await visitor.ask(method, address_of(path), *headers)
                if found := faults_of(answer, is_secret=path.startswith(SECRET)):
                    wrong[f"{method} {path} {answer.status}"] = found
    assert wrong == {}


FAULTS = [
    ("GET", "/nowhere", None, 404),
    ("GET", "/", "evil.example", 400),
    ("GET", "/", "127.0.0.1:8080/x#", 400),
    ("TRACE", "/sign-in", None, 405),
    ("PUT", "/tickets/1", None, 405),
    ("GET", "/static/nothing.js", None, 404),
    ("GET", "/api/v1/nowhere", None, 404),
]


async def test_faults_carry_them_too(app_of: MakeApp) -> None:
    visitor = RawVisitor(app_of())
    for method, target, host, status in FAULTS:
        answer = await visitor.ask(method, target, host=host or "127.0.0.1:8080")
        assert (answer.status, faults_of(answer)) == (status, []), (method, target)


async def test_a_fault_of_ours_carries_them_too_and_tells_nothing(
    app_of: MakeApp, browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    cookie = await cookie_of(browser, people)
    await pool.execute("ALTER TABLE stage RENAME TO gone")
    answer = await RawVisitor(app_of()).ask("GET", "/pipelines", cookie)

    assert (answer.status, faults_of(answer)) == (500, [])
    assert not re.search(rb"Traceback|asyncpg|relation|\.py", answer.body)


async def test_over_https_browsers_never_fall_back_and_every_cookie_is_bound_to_this_host(
    app_of: MakeApp, people: dict[Role, str]
) -> None:
    visitor = RawVisitor(app_of(tickets_url=HTTPS))
    shown = await visitor.ask("GET", "/sign-in", host="andon.example")
    form = f"email={people[Role.VIEWER]}&password=correct+horse+battery+staple".encode()
    kind = ("content-type", "application/x-www-form-urlencoded")
    answer = await visitor.ask("POST", "/sign-in", kind, host="andon.example", body=[form])

    assert faults_of(shown, is_https=True) == []
    assert answer.status == 303
    assert re.fullmatch(
        r"__Host-andon_session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", answer.one("set-cookie")
    )


async def test_health_and_metrics_answer_to_any_name_where_sign_in_guards_the_rest(app_of: MakeApp) -> None:
    visitor = RawVisitor(app_of(tickets_url=HTTPS, host="0.0.0.0"))
    for path in ("/livez", "/metrics"):
        assert (await visitor.ask("GET", path, host="tickets:8080")).status == 200
    for host in ("tickets:8080", "10.0.0.7", "andon.example.evil.example", "", None):
        assert (await visitor.ask("GET", "/sign-in", host=host)).status == 400, host
    assert (await visitor.ask("GET", "/sign-in", ("host", "evil.example"), host="andon.example")).status == 400
    assert (await visitor.ask("GET", "/sign-in", host="Andon.Example:443")).status == 200

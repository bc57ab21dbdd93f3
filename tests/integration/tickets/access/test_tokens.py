"""API tokens: made once, scoped, limited, revoked; what they open, and what they do not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.access.identity import PER_TOKEN
from services.tickets.access.roles import Role
from services.tickets.access.tokens import MAX_TOKENS, TokenRefused, TokenWish, new_token
from services.tickets.store import accounts, api_tokens
from shared.postgres.pool import Pool
from shared.runtime.clock import SystemClock
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, policy, problem
from tests.support.signed_in import Browser

MakeBrowser = Callable[..., Browser]
LIST, ACKNOWLEDGE = "/api/v1/tickets", "/api/v1/tickets/1/acknowledge"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def token_of(pool: Pool, email: str, scope: str, days: int = 1, age: timedelta = timedelta(0)) -> str:
    account = await accounts.by_mail(pool, email)
    assert account is not None
    async with pool.acquire() as connection, connection.transaction():
        now = SystemClock().now() - age
        return await api_tokens.add(connection, account.id, TokenWish("robot", scope, days), now, None)


@pytest.fixture
async def robot(app_of: Callable[..., Starlette], parts: TicketParts) -> AsyncIterator[httpx.AsyncClient]:
    """A program without a session, and one ticket."""
    await parts.handle(record(event(problem()), 0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of()), base_url="http://127.0.0.1:8080") as client:
        yield client


async def statuses(robot: httpx.AsyncClient, token: str) -> list[int]:
    """Of a read, a piece of work, and a new baseline of a pipeline."""
    shown = bearer(token)
    return [
        (await robot.get(LIST, headers=shown)).status_code,
        (await robot.post(ACKNOWLEDGE, json={"version": 1}, headers=shown)).status_code,
    ]


@pytest.mark.parametrize(
    ("role", "scope", "wanted"),
    [
        (Role.VIEWER, "read", [200, 403]),
        (Role.MEMBER, "read", [200, 403]),
        (Role.ADMIN, "read", [200, 403]),
        (Role.MEMBER, "work", [200, 200]),
        (Role.ADMIN, "own", [200, 200]),
    ],
)
async def test_a_token_does_what_its_scope_says(
    robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str], role: Role, scope: str, wanted: list[int]
) -> None:
    assert await statuses(robot, await token_of(pool, people[role], scope)) == wanted


async def test_a_token_never_does_more_than_its_account_does_now(
    robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str]
) -> None:
    token, mail = await token_of(pool, people[Role.ADMIN], "own"), people[Role.ADMIN]
    await accounts.set_role(pool, mail, Role.VIEWER)
    assert await statuses(robot, token) == [200, 403]
    await accounts.disable(pool, mail, SystemClock().now())
    assert await statuses(robot, token) == [401, 401]
    await accounts.enable(pool, mail)
    assert await statuses(robot, token) == [200, 403]
    with pytest.raises(TokenRefused, match="no more than its account, a viewer"):
        await token_of(pool, mail, "work")


async def test_a_scope_holds_for_whom_the_policy_names_as_owner_too(pool: Pool, people: dict[Role, str]) -> None:
    mail = policy().pipelines["new"].owner.mail
    await accounts.add(pool, mail, "Own", Role.MEMBER, SystemClock().now())
    roles = []
    for scope in ("read", "work", "own"):
        found = await api_tokens.find(pool, await token_of(pool, mail, scope), SystemClock().now())
        assert found is not None
        roles.append(found.visitor.role_in("new", policy()))

    assert roles == [Role.VIEWER, Role.MEMBER, Role.OWNER]


async def test_what_is_no_valid_token_opens_nothing(
    robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str]
) -> None:
    token = await token_of(pool, people[Role.ADMIN], "own")
    over = await token_of(pool, people[Role.ADMIN], "own", age=timedelta(days=1))
    digest = (await pool.fetchval("SELECT hash FROM api_token ORDER BY id LIMIT 1")).hex()
    for shown in (over, new_token(), token[:-1], f"{token}x", token.upper(), digest, "", "andon_\x00", "null"):
        answer = await robot.get(LIST, headers=[(b"authorization", f"Bearer {shown}".encode())])
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="andon"'), shown
        assert answer.headers["content-type"] == "application/problem+json"
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {over}")]
    assert (await robot.get(LIST, headers=twice)).status_code == 401
    for elsewhere in (f"{LIST}?token={token}", f"{LIST}?access_token={token}"):
        assert (await robot.get(elsewhere)).status_code == 401


async def test_a_token_opens_the_api_only_and_stands_before_a_session(
    robot: httpx.AsyncClient, browser: MakeBrowser, pool: Pool, people: dict[Role, str]
) -> None:
    shown = bearer(await token_of(pool, people[Role.ADMIN], "own"))
    for address in ("/tickets", "/account", "/ledger.csv", "/apis", "/api-x"):
        assert (await robot.get(address, headers=shown)).status_code in (303, 404), address
    assert (await robot.post("/account/tokens", headers=shown)).status_code == 401
    one = browser()
    await one.sign_in(people[Role.ADMIN])
    assert (await one.client.get(LIST)).status_code == 200
    assert (await one.client.get(LIST, headers=bearer(new_token()))).status_code == 401


async def test_each_token_has_its_own_rate(robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str]) -> None:
    first, second = [await token_of(pool, people[Role.VIEWER], "read") for _ in range(2)]
    answers = [await robot.get("/api/v1/nothing", headers=bearer(first)) for _ in range(PER_TOKEN.burst)]
    while answers[-1].status_code != 429:
        answers.append(await robot.get("/api/v1/nothing", headers=bearer(first)))

    assert {one.status_code for one in answers[: PER_TOKEN.burst]} == {404}
    assert (answers[-1].headers["retry-after"], answers[-1].json()["status"]) == ("1", 429)
    assert (await robot.get(LIST, headers=bearer(second))).status_code == 200


async def test_the_account_page_shows_a_token_once_and_revokes_it(
    browser: MakeBrowser, robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str]
) -> None:
    one, other = browser(), browser()
    await one.sign_in(people[Role.MEMBER])
    await other.sign_in(people[Role.ADMIN])
    made = await one.send("/account/tokens", "/account", name="<b>report</b>", scope="work", days="30")
    token = re.findall(r"<code>(andon_[\w-]{43})</code>", made.text)
    assert (made.status_code, len(token), made.headers["cache-control"]) == (200, 1, "no-store")
    assert await statuses(robot, token[0]) == [200, 200]

    page = (await one.get("/account")).text
    assert (token[0] in page, "&lt;b&gt;report" in page, "<b>report" in page) == (False, True, False)
    assert token[0] not in str([dict(row) for row in await pool.fetch("SELECT * FROM api_token")])
    number = await pool.fetchval("SELECT id FROM api_token")
    assert (await other.send(f"/account/tokens/{number}", "/account")).status_code == 404
    assert (await one.send(f"/account/tokens/{number}")).status_code == 403
    assert (await one.send(f"/account/tokens/{10**30}", "/account")).status_code == 404
    assert (await one.send(f"/account/tokens/{number}", "/account")).status_code == 303
    assert await statuses(robot, token[0]) == [401, 401]
    events = await pool.fetch("SELECT event, detail FROM audit WHERE event LIKE 't%' ORDER BY id")
    assert [row["event"] for row in events] == ["token-changed", "ticket-changed", "token-changed"]
    assert events[1]["detail"]["by_token"] == number


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": ""}, "Name the token"),
        ({"name": "x" * 101}, "Name the token"),
        ({"name": "a\x00b"}, "Name the token"),
        ({"scope": "admin"}, "is no scope"),
        ({"scope": ""}, "is no scope"),
        ({"scope": "work"}, "no more than its account"),
        ({"days": "0"}, "1 to 365 days"),
        ({"days": "366"}, "1 to 365 days"),
        ({"days": "-1"}, "1 to 365 days"),
        ({"days": "²"}, "1 to 365 days"),
        ({"days": "9" * 5000}, "1 to 365 days"),
        ({}, ""),
    ],
)
async def test_a_wish_for_a_token_is_checked(
    browser: MakeBrowser, people: dict[Role, str], fields: dict[str, str], text: str
) -> None:
    one = browser()
    await one.sign_in(people[Role.VIEWER])
    wish = {"name": "robot", "scope": "read", "days": "365"} | fields
    answer = await one.send("/account/tokens", "/account", **wish)

    assert (answer.status_code, text in answer.text) == (422 if text else 200, True)


async def test_an_account_has_a_limited_number_of_tokens(pool: Pool, people: dict[Role, str]) -> None:
    for _ in range(MAX_TOKENS):
        await token_of(pool, people[Role.VIEWER], "read")
    with pytest.raises(TokenRefused, match="at most"):
        await token_of(pool, people[Role.VIEWER], "read")
    assert len(await token_of(pool, people[Role.MEMBER], "read")) == 49


async def test_a_token_ends_with_its_account_and_is_forgotten_when_it_expires(
    pool: Pool, people: dict[Role, str]
) -> None:
    await token_of(pool, people[Role.VIEWER], "read", days=1)
    await token_of(pool, people[Role.MEMBER], "read", days=365)
    await api_tokens.forget(pool, SystemClock().now() + timedelta(days=2))
    assert [one.email for one in await api_tokens.valid(pool, SystemClock().now())] == [people[Role.MEMBER]]
    await pool.execute("DELETE FROM account WHERE email = $1", people[Role.MEMBER])
    assert await api_tokens.valid(pool, SystemClock().now()) == []


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"\xff", 400, "JSON in UTF-8"),
        (b"{", 422, "body"),
        (b"[" * 100_000, 400, "JSON in UTF-8"),
        (b'{"version": 1, "x": "' + b"x" * 2_100_000 + b'"}', 413, "larger than 2 MB"),
        (b'{"version": 1e400}', 422, "version"),
        (b"", 422, "body"),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered(
    robot: httpx.AsyncClient, pool: Pool, people: dict[Role, str], body: bytes, status: int, text: str
) -> None:
    shown = bearer(await token_of(pool, people[Role.MEMBER], "work")) | {"Content-Type": "application/json"}
    answer = await robot.post(ACKNOWLEDGE, content=body, headers=shown)

    assert (answer.status_code, text in answer.json()["detail"]) == (status, True), answer.text[:200]

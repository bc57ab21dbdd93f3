"""Sign-in at a real OpenID provider, and what is not taken from one that is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette

from services.tickets.access.roles import Role
from services.tickets.store import accounts
from shared.postgres.pool import Pool
from tests.support import oidc
from tests.support.signed_in import Browser

BACK = "http://127.0.0.1:8080/sign-in/provider/answer"
pytestmark = pytest.mark.skipif(not oidc.is_installed(), reason="needs Node: make installs the OpenID provider with it")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc.provider(BACK) as found:
        yield found


@pytest.fixture
def browser_of(app_of: Callable[..., Starlette], issuer: str) -> Callable[..., Browser]:
    def made(**settings: str) -> Browser:
        access = {"sign_in": "provider", "sign_in_issuer": issuer, "sign_in_client": "andon"}
        app = app_of(**access, sign_in_client_secret=oidc.SECRET, **settings)
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
        return Browser(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080"))

    return made


@pytest.fixture
async def one(browser_of: Callable[..., Browser]) -> AsyncIterator[Browser]:
    made = browser_of()
    yield made
    await made.client.aclose()


async def come_back(one: Browser, name: str, to: str = "/tickets?sort=money") -> httpx.Response:
    left = await one.client.get("/sign-in/provider", params={"to": to})
    assert left.status_code == 303
    return await one.client.get(await oidc.sign_in(left.headers["location"], name))


async def test_somebody_new_signs_in_at_the_provider_and_may_read(one: Browser, pool: Pool) -> None:
    assert "Sign in with your company" in (await one.get("/sign-in")).text
    answer = await come_back(one, "ada")

    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets?sort=money")
    assert "Sign out" in (await one.get("/tickets")).text
    account = await accounts.by_mail(pool, "ada@shop.example")
    assert account is not None
    assert (account.role, account.password) == (Role.VIEWER, None)


async def test_an_account_that_was_made_before_is_theirs_with_its_role(
    one: Browser, pool: Pool, people: dict[Role, str]
) -> None:
    await come_back(one, "admin")
    assert "admin" in (await one.get("/account")).text
    assert len(await accounts.all_accounts(pool)) == len(people)


async def test_a_mail_address_that_the_provider_has_not_checked_gets_nobody_in(one: Browser, pool: Pool) -> None:
    answer = await come_back(one, "newcomer")
    assert (answer.status_code, "has checked" in answer.text) == (403, True)
    assert not await accounts.is_any(pool)


async def test_nobody_new_gets_in_where_the_settings_say_so(browser_of: Callable[..., Browser], pool: Pool) -> None:
    answer = await come_back(browser_of(sign_in_new_role="none"), "bo")
    assert answer.status_code == 403
    assert not await accounts.is_any(pool)


async def test_an_answer_counts_once_and_only_in_the_browser_that_left(
    one: Browser, browser_of: Callable[..., Browser]
) -> None:
    left = await one.client.get("/sign-in/provider")
    back = await oidc.sign_in(left.headers["location"], "cy")
    other = browser_of()
    assert (await other.client.get(back)).status_code == 403
    # The cookie of the other browser, which the attacker does not have, is what was missing.
    assert (await one.client.get(back)).status_code == 303
    assert (await one.client.get(back)).status_code == 403


async def test_no_provider_leads_to_another_site(one: Browser) -> None:
    for to in ("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"):
        answer = await come_back(one, "dee", to)
        assert answer.headers["location"] == "/"
        await one.send("/sign-out", "/account")

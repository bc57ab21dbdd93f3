"""Sign-in by password and by link; sessions begin, rotate and end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta

from services.tickets import accounts as commands
from services.tickets.access.roles import Role
from services.tickets.settings import TicketsSettings
from services.tickets.store import accounts
from shared.postgres.pool import Pool
from tests.support.signed_in import PASSWORD, Browser

MakeBrowser = Callable[..., Browser]


async def test_who_has_not_signed_in_is_asked_to_and_then_led_where_they_wanted(
    browser: MakeBrowser, people: dict[Role, str]
) -> None:
    one = browser()
    asked = await one.get("/tickets?sort=money")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?to=%2Ftickets%3Fsort%3Dmoney")
    answer = await one.sign_in(people[Role.VIEWER].upper(), to="/tickets?sort=money")

    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets?sort=money")
    shown = (await one.get("/tickets?sort=money")).text
    assert "Viewer" in shown
    assert "Sign out" in shown


async def test_a_wrong_password_an_unknown_and_a_disabled_account_look_alike(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    await pool.execute("UPDATE account SET disabled_at = now() WHERE email = $1", people[Role.MEMBER])
    tried = [(people[Role.VIEWER], "wrong"), ("nobody@shop.example", PASSWORD), (people[Role.MEMBER], PASSWORD)]
    answers = [await browser().sign_in(email, password) for email, password in tried]

    pages = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
    assert {answer.status_code for answer in answers} == {422}
    assert len(pages) == 1
    assert "do not fit" in pages.pop()
    assert not any("set-cookie" in answer.headers for answer in answers)


async def test_guessing_is_slowed_for_an_account_whoever_guesses_and_for_an_address(
    browser: MakeBrowser, people: dict[Role, str]
) -> None:
    tried = [await browser(f"192.0.2.{n}").sign_in(people[Role.VIEWER], "wrong") for n in range(7)]
    assert [answer.status_code for answer in tried] == [422] * 5 + [429] * 2
    assert 1 <= int(tried[-1].headers["retry-after"]) <= 30
    assert (await browser("192.0.2.99").sign_in(people[Role.MEMBER])).status_code == 303

    tries = (browser("198.51.100.1").sign_in(f"n{n}@shop.example", "wrong") for n in range(24))
    many = await asyncio.gather(*tries)
    assert [answer.status_code for answer in many].count(429) == 4


async def test_a_sign_in_gets_a_new_session_and_ends_the_one_that_was_planted(
    browser: MakeBrowser, people: dict[Role, str]
) -> None:
    one, planted = browser(), browser()
    await planted.sign_in(people[Role.VIEWER])
    secret = planted.client.cookies["andon_session"]
    one.client.cookies.set("andon_session", secret, domain="127.0.0.1")
    await one.sign_in(people[Role.MEMBER])

    assert one.client.cookies["andon_session"] != secret
    assert (await planted.get("/tickets")).status_code == 303


async def test_the_cookie_is_for_this_host_and_no_script(browser: MakeBrowser, people: dict[Role, str]) -> None:
    cookie = (await browser().sign_in(people[Role.VIEWER])).headers["set-cookie"]
    assert re.fullmatch(r"andon_session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)


async def test_sessions_end_by_sign_out_everywhere_at_once_idle_and_in_any_case(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    here, there = browser(), browser()
    for one in (here, there):
        await one.sign_in(people[Role.VIEWER])
    assert "In 2 browsers." in (await here.get("/account")).text
    out = await here.send("/sign-out", "/account")
    assert (out.status_code, out.headers["clear-site-data"]) == (303, '"cache", "storage"')
    assert (await here.get("/tickets")).status_code == 303
    assert (await there.get("/tickets")).status_code == 200

    await here.sign_in(people[Role.VIEWER])
    out = await here.send("/account/sessions", "/account")
    assert (out.status_code, out.headers["clear-site-data"]) == (303, '"cache", "storage"')
    assert (await there.get("/tickets")).status_code == 303

    for column, age in (("seen_at", timedelta(hours=12)), ("began_at", timedelta(days=7))):
        await here.sign_in(people[Role.VIEWER])
        assert (await here.get("/tickets")).status_code == 200
        await pool.execute(f"UPDATE session SET {column} = {column} - $1::interval", age)
        assert (await here.get("/tickets")).status_code == 303


async def test_a_form_without_the_token_of_its_session_is_not_taken(
    browser: MakeBrowser, people: dict[Role, str]
) -> None:
    one, other = browser(), browser()
    await one.sign_in(people[Role.ADMIN])
    await other.sign_in(people[Role.ADMIN])
    foreign = await other.token("/account")

    assert (await one.send("/sign-out")).status_code == 403
    assert (await one.send("/sign-out", csrf=foreign)).status_code == 403
    assert (await one.send("/sign-out", "/account")).status_code == 303


async def test_the_first_admin_makes_an_account_at_a_link_and_then_no_other_can(
    browser: MakeBrowser, pool: Pool, dsn: str
) -> None:
    settings = TicketsSettings(sign_in="password", postgres=dsn)  # type: ignore[arg-type]
    link = (await commands.first(settings)).address.removeprefix("http://127.0.0.1:8080")
    one, fields = browser(), {"name": "Ada", "email": "ada@shop.example"}
    assert "make the first account" in (await one.get(link)).text
    short = await one.send(link, **fields, password="short")
    assert (short.status_code, "15" in short.text) == (422, True)
    assert (await one.send(link, **fields, password=PASSWORD)).status_code == 303
    assert "Ada" in (await one.get("/tickets")).text

    account = await accounts.by_mail(pool, "ada@shop.example")
    assert account is not None
    assert account.role is Role.ADMIN
    assert (await browser().send(link, name="Eve", email="eve@shop.example", password=PASSWORD)).status_code == 422
    assert (await browser().get(link)).status_code == 404
    await _refused(commands.first(settings))


async def test_a_new_account_chooses_its_password_at_a_link_and_a_reset_ends_all_sessions(
    browser: MakeBrowser, pool: Pool, dsn: str
) -> None:
    settings = TicketsSettings(sign_in="password", postgres=dsn)  # type: ignore[arg-type]
    made = (await commands.add(settings, "bo@shop.example", "Bo", Role.MEMBER)).address
    one = browser()
    own = await one.send(made.removeprefix("http://127.0.0.1:8080"), password="Bo@Shop.Example")
    assert (own.status_code, "too easy to guess" in own.text) == (422, True)
    assert (await one.send(made.removeprefix("http://127.0.0.1:8080"), password=PASSWORD)).status_code == 303
    assert (await one.get("/tickets")).status_code == 200

    reset = (await commands.reset(settings, "BO@shop.example")).address.removeprefix("http://127.0.0.1:8080")
    assert (await one.get("/tickets")).status_code == 200
    assert (await browser().send(reset, password="another good password")).status_code == 303
    assert (await one.get("/tickets")).status_code == 303
    assert (await browser().sign_in("bo@shop.example")).status_code == 422
    assert (await browser().sign_in("bo@shop.example", "another good password")).status_code == 303


async def test_a_new_password_needs_the_present_one_and_ends_all_other_sessions(
    browser: MakeBrowser, people: dict[Role, str], pool: Pool
) -> None:
    one, other, new = browser(), browser(), "another good password"
    for each in (one, other):
        await each.sign_in(people[Role.VIEWER])
    before = one.client.cookies["andon_session"]
    assert (await one.send("/account/password", current=PASSWORD, password=new)).status_code == 403
    for current, wanted, told in (
        ("wrong", new, "not your current"),
        (PASSWORD, "short", "15"),
        (PASSWORD, "a" * 20, "easy"),
    ):
        answer = await one.send("/account/password", "/account", current=current, password=wanted)
        assert (answer.status_code, told in answer.text) == (422, True)
    assert await pool.fetchval("SELECT count(*) FROM session") == 2
    assert (await one.send("/account/password", "/account", current=PASSWORD, password=new)).status_code == 303

    assert one.client.cookies["andon_session"] != before
    assert (await one.get("/tickets")).status_code == 200
    assert (await other.get("/tickets")).status_code == 303
    assert (await browser().sign_in(people[Role.VIEWER])).status_code == 422
    assert (await browser().sign_in(people[Role.VIEWER], new)).status_code == 303


async def _refused(asked: object) -> None:
    try:
        await asked  # type: ignore[misc]
    except commands.AccountRefused:
        return
    raise AssertionError("it was not refused")

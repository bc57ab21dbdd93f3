"""The pages of preferences, as a browser, a mail program and a link checker use them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from services.cli.main import app as command_line
from services.notifier.domain.links import OPERATOR_LASTS, Links
from services.notifier.domain.readers import MailPace
from services.notifier.store import addresses
from services.notifier.store.signing_key import signing_key
from services.notifier.web.pages import PreferencePages
from shared.contracts.notices import NoticeReason
from shared.policy import parse
from shared.postgres.pool import open_pool
from tests.support.notice_rig import LINKS, NoticeRig
from tests.support.problems import POLICY, ticket_event

HEAD, DEPUTY = "head@sales.example", "deputy@sales.example"
OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
MORE = "\n    ack_within: 2d\n    recipients: [{name: Deputy, mail: deputy@sales.example, role: deputy}]"
RULES = parse(POLICY.replace(OWNER, OWNER + MORE))
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[NoticeRig]:
    pool = await open_pool(dsn, "notices")
    yield await NoticeRig(pool, RULES, NOON).begin()
    await pool.close()


@pytest.fixture
async def browser(rig: NoticeRig) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=PreferencePages(rig.preferences).routes())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://andon.example", follow_redirects=True
    ) as client:
        yield client


async def choice(rig: NoticeRig, address: str = HEAD) -> tuple[MailPace, set[str]]:
    (found,) = [one.choice for one in await addresses.read(rig.pool) if one.address == address]
    return found.pace, {reason.value for reason in found.unwanted}


def page(address: str = HEAD) -> str:
    return LINKS.page(address) or ""


def operators(at: datetime = NOON) -> str:
    return f"/mail/addresses/{LINKS.operator_token(at)}"


def form_of(text: str) -> dict[str, str]:
    """The first form with reasons, as a browser would send it unchanged."""
    fields: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", text.partition("No mails at all")[0]):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if found["type"] == "hidden" or " checked" in tag:
            fields[found["name"]] = found["value"]
    return fields | {"action": "save"}


async def test_a_link_that_is_only_opened_changes_nothing(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD"):
        answer = await browser.request(method, page())
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"

    assert await choice(rig) == (MailPace.AT_ONCE, set())


@pytest.mark.parametrize("sent", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}])
async def test_a_mail_program_unsubscribes_with_one_click(
    rig: NoticeRig, browser: httpx.AsyncClient, sent: dict[str, Any]
) -> None:
    """RFC 8058: a POST of either form type, without cookies, answered without a redirect."""
    await rig.handle(ticket_event())
    answer = await browser.post(page(), follow_redirects=False, **sent)

    assert answer.status_code == 200
    assert (await choice(rig))[0] is MailPace.OFF
    assert await rig.mails() == [("single", "head", "dropped"), ("opened", "deputy", "waiting")]
    assert (await browser.post(page(), follow_redirects=False, **sent)).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "yes"}, {"action": "save"}, {"pace": "never", "version": "1"}]
)
async def test_other_posts_change_nothing(rig: NoticeRig, browser: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await browser.post(page(), data=body)

    assert answer.status_code == 422
    assert await choice(rig) == (MailPace.AT_ONCE, set())


@pytest.mark.parametrize("token", ["x", "0" * 40, "..%2f", LINKS.token("gone@sales.example")])
async def test_a_link_of_nobody_is_no_page(browser: httpx.AsyncClient, token: str) -> None:
    for answer in (
        await browser.get(f"/mail/{token}"),
        await browser.post(f"/mail/{token}", data=ONE_CLICK),
    ):
        assert answer.status_code == 404


async def test_saving_the_form_unchanged_changes_nothing(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    await browser.post(page(), data=form_of((await browser.get(page())).text))

    assert await choice(rig) == (MailPace.AT_ONCE, set())


async def test_a_reader_chooses_reasons_and_pace(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    form = form_of((await browser.get(page())).text)
    del form["want-grew"]
    answer = await browser.post(page(), data=form | {"pace": "weekly"})

    assert answer.status_code == 200
    assert await choice(rig) == (MailPace.WEEKLY, {"grew"})
    again = form_of(answer.text)
    assert again["pace"] == "weekly"
    assert "want-grew" not in again
    assert "want-opened" in again


async def test_an_old_page_overrides_nothing(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    old = form_of((await browser.get(page())).text)
    await rig.preferences.choose(HEAD, None, MailPace.OFF, None)
    answer = await browser.post(page(), data=old)

    assert answer.status_code == 409
    assert "changed on another page" in answer.text
    assert (await choice(rig))[0] is MailPace.OFF


async def test_the_page_says_who_still_gets_the_mails(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    unsubscribe = {"version": "1", "pace": "off", "action": "unsubscribe"}
    text = " ".join((await browser.post(page(), data=unsubscribe)).text.split())

    assert "You get no mails." in text
    assert "Problems of New business go to Deputy (deputy)." in text
    assert "nobody acknowledges in time go to Deputy (deputy)." in text

    text = " ".join((await browser.post(page(DEPUTY), data=unsubscribe)).text.split())
    assert "Nobody gets mails about problems of New business." in text
    await rig.preferences.measure()
    assert [s.value for metric in rig.metrics.unheard.collect() for s in metric.samples] == [1]


async def test_a_returned_address_is_turned_on_by_its_page_or_by_operators(
    rig: NoticeRig, browser: httpx.AsyncClient
) -> None:
    for turn_on in (page(), operators()):
        async with rig.pool.acquire() as connection, connection.transaction():
            await addresses.turn_off(connection, HEAD, "5.1.1 <unknown>", NOON)
        assert "5.1.1 &lt;unknown&gt;" in (await browser.get(turn_on)).text
        await browser.post(turn_on, data={"action": "revive", "address": HEAD})
        (known, *_) = [one for one in await addresses.read(rig.pool) if one.address == HEAD]
        assert not known.choice.bounced


async def test_a_form_of_another_site_turns_nothing_on(rig: NoticeRig, browser: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://evil.example"}
    answer = await browser.post(operators(), data={"address": HEAD}, headers=headers)

    assert answer.status_code == 403


async def test_reasons_that_the_policy_does_not_offer_stay_as_they_are(
    rig: NoticeRig, browser: httpx.AsyncClient
) -> None:
    await rig.preferences.choose(HEAD, None, MailPace.AT_ONCE, {NoticeReason.HELD})
    form = form_of((await browser.get(page())).text)
    await browser.post(page(), data=form)

    assert await choice(rig) == (MailPace.AT_ONCE, {"held"})


async def test_the_page_of_all_addresses_needs_a_link_that_works_still(
    rig: NoticeRig, browser: httpx.AsyncClient
) -> None:
    async with rig.pool.acquire() as connection, connection.transaction():
        await addresses.turn_off(connection, HEAD, "5.1.1 <unknown>", NOON)
    good = operators()
    ends, _, signature = good.rpartition("/")[2].partition("-")
    later = f"/mail/addresses/{int(ends) + 1}-{signature}"
    old = operators(NOON - OPERATOR_LASTS)
    foreign = f"/mail/addresses/{Links(b'another key').operator_token(NOON)}"
    readers = f"/mail/addresses/{LINKS.token(HEAD)}"
    for address in (
        later,
        old,
        foreign,
        readers,
        good[:-1],
        good + "0",
        "/addresses",
        "/mail/addresses",
        "/mail/addresses/",
        "/mail/addresses/x",
    ):
        for answer in (await browser.get(address), await browser.post(address, data={"address": HEAD})):
            assert answer.status_code == 404, address
            assert HEAD not in answer.text
    assert [one.choice.bounced for one in await addresses.read(rig.pool) if one.address == HEAD] == [True]

    shown = await browser.get(good)
    assert (shown.status_code, HEAD in shown.text) == (200, True)
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert shown.headers["Cache-Control"] == "no-store"
    # Readers' own links go on working beside it.
    assert (await browser.get(page())).status_code == 200


async def test_the_command_prints_a_link_that_the_key_in_the_database_signs(
    rig: NoticeRig, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDON_POSTGRES", dsn)
    monkeypatch.setenv("ANDON_NOTIFIER_URL", "https://andon.example/")
    result = await asyncio.to_thread(CliRunner().invoke, command_line, ["mail", "addresses"])
    assert result.exit_code == 0, result.stderr

    base, _, token = result.stdout.strip().rpartition("/")
    assert base == "https://andon.example/mail/addresses"
    assert Links(await signing_key(rig.pool)).is_operator(token, datetime.now(UTC))

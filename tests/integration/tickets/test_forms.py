"""Forms of the ticket page: closing, reopening, undoing, and pages that are old."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.problems import ProblemInterval, ProblemReason
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import day, event, problem

CLOSE = {"outcome": "wont-fix", "reason": "The limit is <too> low."}


async def page(web: httpx.AsyncClient) -> str:
    return (await web.get("/tickets/1")).text


async def post(web: httpx.AsyncClient, action: str, version: object, **form: str) -> httpx.Response:
    return await web.post(f"/tickets/1/{action}", data={"version": str(version)} | form)


def fields(html: str) -> dict[str, str]:
    """The fields of the form that says yes to a question."""
    asked = html[html.index('class="wrong"') :]
    asked = asked[: asked.index("</form>")]
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked)
    return {name: value.replace("&lt;", "<").replace("&gt;", ">") for name, value in found}


async def state(web: httpx.AsyncClient) -> tuple[str, str | None, int]:
    told = (await web.get("/api/v1/tickets/1")).json()
    return told["state"], told["outcome"], told["seq"]


async def test_every_form_says_which_version_it_is_about(web: httpx.AsyncClient) -> None:
    for action in ((), ("acknowledge", {}), ("close", {**CLOSE, "confirmed": "yes"})):
        if action:
            await post(web, action[0], (await state(web))[2], **action[1])
        for path in ("/tickets/1", "/"):
            html = (await web.get(path)).text
            forms = re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL)
            assert forms or (path == "/" and action)
            version = f'name="version" value="{(await state(web))[2]}"'
            assert [form for form in forms if version not in form] == [], path


@pytest.mark.parametrize("outcome", ["changed-unplanned", "abandoned", "wont-fix"])
async def test_closing_asks_twice_while_the_problem_goes_on(web: httpx.AsyncClient, outcome: str) -> None:
    asked = await post(web, "close", 1, outcome=outcome, reason="The limit is <too> low.")

    assert (asked.status_code, "The problem goes on" in asked.text, "That did not work" in asked.text) == (
        409,
        True,
        False,
    )
    assert await state(web) == ("open", None, 1)
    done = await web.post("/tickets/1/close", data=fields(asked.text))
    assert done.status_code == 303
    assert await state(web) == ("closed", outcome, 2)
    closed, listed = await page(web), (await web.get("/")).text
    for html in (closed, listed):
        assert "The limit is &lt;too&gt; low." in html
        assert "✓" not in html
    assert "The problem goes on." in closed


@pytest.mark.parametrize("outcome", ["verified", "retracted", "restored", "not-shown", "cleared-without-change", ""])
async def test_outcomes_that_only_andon_finds_are_no_choice(web: httpx.AsyncClient, outcome: str) -> None:
    answer = await post(web, "close", 1, outcome=outcome, reason="because", confirmed="yes")

    assert (answer.status_code, await state(web)) == (422, ("open", None, 1))


async def test_an_old_page_is_told_what_changed_and_asked(web: httpx.AsyncClient) -> None:
    (latest,) = re.findall(r'max="([0-9-]+)"', await page(web))
    assert (await post(web, "snooze", 1, until=latest)).status_code == 303

    old = await post(web, "close", 1, **CLOSE)

    assert old.status_code == 409
    assert "The ticket has changed since you opened the page" in old.text
    assert "Snoozed by somebody on this page until" in old.text
    assert "The problem goes on" in old.text
    assert await state(web) == ("snoozed", None, 2)
    yes = fields(old.text)
    assert yes == CLOSE | {"version": "2", "confirmed": "yes"}
    assert (await web.post("/tickets/1/close", data=yes)).status_code == 303
    assert (await state(web))[:2] == ("closed", "wont-fix")


async def test_from_the_list_too_nothing_is_overridden(web: httpx.AsyncClient) -> None:
    await post(web, "acknowledge", 1)
    await post(web, "undo", 2)

    old = await post(web, "acknowledge", 1, list="pipeline=new")

    assert (old.status_code, "The last step was undone" in old.text) == (409, True)
    assert await state(web) == ("open", None, 3)
    done = await web.post("/tickets/1/acknowledge", data=fields(old.text))
    assert (done.status_code, done.headers["location"]) == (303, "/tickets?pipeline=new")


@pytest.mark.parametrize("version", ["", "x", "-1", "1e9", "²", "9" * 5000, " 1", "1\x00"])
async def test_a_form_without_a_version_does_nothing(web: httpx.AsyncClient, version: str) -> None:
    for action in ("acknowledge", "undo", "snooze", "close", "reopen"):
        answer = await post(web, action, version, until="2999-01-01", confirmed="yes", **CLOSE)

        assert (answer.status_code, "version of the ticket" in answer.text) == (422, True)
    assert (await web.post("/tickets/1/acknowledge")).status_code == 422
    assert await state(web) == ("open", None, 1)


@pytest.mark.parametrize("version", [0, 2, 2**31 - 1, 2**31, 9_999_999_999])
async def test_a_version_that_the_ticket_does_not_have_is_asked_about(web: httpx.AsyncClient, version: int) -> None:
    answer = await post(web, "acknowledge", version)

    assert (answer.status_code, await state(web)) == (409, ("open", None, 1))
    assert fields(answer.text)["version"] == "1"


async def test_a_closing_is_undone_by_one_click_and_reopened_with_a_reason(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    await post(web, "acknowledge", 1)
    await post(web, "close", 2, confirmed="yes", **CLOSE)
    assert "/tickets/1/undo" in await page(web)
    await post(web, "undo", 3)
    assert await state(web) == ("acknowledged", None, 4)
    assert "The last step was undone by somebody" in await page(web)

    await post(web, "close", 4, confirmed="yes", **CLOSE)
    refused = await post(web, "reopen", 5, reason=" ")
    assert (refused.status_code, "Write why you reopen it" in refused.text) == (422, True)
    await post(web, "reopen", 5, reason="There is <money> now.")

    assert await state(web) == ("acknowledged", None, 6)
    assert "Reopened by somebody on this page: <bdi>There is &lt;money&gt; now." in await page(web)
    assert (await post(web, "reopen", 6, reason="again")).status_code == 303
    assert (await parts.messages())[-1].data.change.value == "reopened"


async def test_a_problem_that_went_away_can_be_told_to_have_been_changed(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    opened = (await web.get("/api/v1/tickets/1")).json()["problem"]["opened_at"]
    whole = problem(ProblemReason.CLEARED).model_copy(
        update={"opened_at": day(0).fromisoformat(opened), "cleared_at": day(0).fromisoformat(opened) + timedelta(1)}
    )
    await parts.handle(record(event(whole), 5000))
    assert (await state(web))[:2] == ("closed", "cleared-without-change")

    await post(web, "reopen", 3, reason="we changed the price list")
    done = await post(web, "close", 4, outcome="changed-unplanned", reason="The price list.")

    assert done.status_code == 303
    assert await state(web) == ("closed", "changed-unplanned", 5)
    assert "What the change did is not known" in await page(web)


async def test_after_late_events_the_history_says_what_changed(web: httpx.AsyncClient, parts: TicketParts) -> None:
    was = (await web.get("/api/v1/tickets/1")).json()["problem"]
    before = ProblemInterval(**{name: was[name] for name in ("opened_at", "cleared_at", "peak")})
    moved = before.opened_at - timedelta(hours=1)
    late = problem(ProblemReason.REVISED).model_copy(update={"opened_at": moved, "was": before})

    await parts.handle(record(event(late), 5000))

    text = re.sub(r"<[^>]*>", "", await page(web))
    assert re.search(r"Late events changed it: began .* at \d\d:\d\d, shown as .* at \d\d:\d\d before", text)
    told = (await web.get("/api/v1/tickets/1")).json()["history"][-1]
    assert (told["was"]["opened_at"], told["became"]["opened_at"]) == (was["opened_at"], (told["became"]["opened_at"]))
    assert told["was"] != told["became"]


def notice(
    result: NoticeResult, at: float, detail: str | None = None, number: int = 7, key: str | None = None
) -> NoticeEvent:
    data = NoticeData(
        notice=f"1-{number}",
        ticket=1,
        reason=NoticeReason.GREW,
        result=result,
        message_id="<a@b>",
        at=day(at),
        detail=detail,
        key=key,
    )
    return NoticeEvent(id=f"{number}-{result}-{at}", source="andon/notifier", subject="1", time=day(at), data=data)


async def test_a_mail_about_another_problem_that_had_the_number_does_not_show(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    """As after Postgres was set back."""
    ticket = (await web.get("/api/v1/tickets/1")).json()
    ours, other = ticket["key"], "wip-high/new/forgotten"
    await parts.handle(record(notice(NoticeResult.SENT, 1, number=8, key=ours), 5000))
    await parts.handle(record(notice(NoticeResult.WAITING, 1, "451 try later", 9, other), 5001))

    mails = (await web.get("/api/v1/tickets/1")).json()["mails"]
    assert [mail["result"] for mail in mails] == ["sent", *(mail["result"] for mail in ticket["mails"])]
    assert "451 try later" not in await page(web)


async def test_a_waiting_mail_shows_until_it_is_sent(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(notice(NoticeResult.WAITING, 1, "451 try later"), 5000))
    await parts.handle(record(notice(NoticeResult.WAITING, 2, "452 mailbox full"), 5001))
    waiting = await page(web)
    assert "Mail to the owner: waiting, not sent yet (it grew): <bdi>452 mailbox full" in waiting
    assert "451" not in waiting

    await parts.handle(record(notice(NoticeResult.SENT, 3), 5002), record(notice(NoticeResult.WAITING, 2.5), 5003))
    await parts.handle(record(notice(NoticeResult.WAITING, 4, "late"), 5004))

    assert "Mail to the owner: sent (it grew)" in await page(web)
    assert "not sent yet" not in await page(web)


async def test_a_returned_mail_shows_with_the_role_of_its_recipient(web: httpx.AsyncClient, parts: TicketParts) -> None:
    sent, bounced = NoticeResult.SENT, NoticeResult.BOUNCED
    results = ((sent, 1, None), (bounced, 2, "5.1.1 user unknown"), (sent, 3, None))
    for offset, given in enumerate(results, 5000):
        made = notice(*given)
        theirs = made.data.model_copy(update={"role": "deputy"})
        await parts.handle(record(made.model_copy(update={"data": theirs}), offset))

    assert "Mail to the deputy: sent, and returned (it grew): <bdi>5.1.1 user unknown" in await page(web)

"""Pages, API and CSV show what is: counts, conditions and deals of `flow.now`, beside those of when it was found."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import httpx

from shared.contracts.now import NowData, NowEvent, RuleNow
from shared.contracts.problems import Evidence, EvidenceDeal, ProblemInterval, ProblemReason
from shared.postgres.pool import Pool
from tests.integration.tickets.records import TicketParts, record
from tests.support.problems import event, evidence, problem

KEY = "aging/new/proposal"


def deal(number: int, entered: datetime) -> EvidenceDeal:
    return EvidenceDeal(deal=f"crm:n{number}", name=f"New {number}", entered_at=entered, age_seconds=0)


def now_event(as_of: datetime, count: int = 46, **fields: Any) -> NowEvent:
    """Proposal as it is, with one rule, and a stage without rules."""
    deals = tuple(deal(n, as_of - timedelta(days=80 - n, minutes=1)) for n in range(min(count, 40)))
    shown = Evidence(at=as_of, total=count, worst=deals[:5], sample=deals[5:10], rest=deals[10:])
    rule = {"key": KEY, "kind": "aging", "count": count, "threshold": 5, "breached": True, "evidence": shown}
    given = rule | {"peak": 61, "problem_opened_at": as_of} | fields
    data = NowData(
        pipeline="new",
        stage="proposal",
        as_of=as_of,
        wip=93,
        oldest_entered_at=as_of - timedelta(days=80, minutes=1),
        rules=(RuleNow(**given),),
        open_since=tuple(as_of - timedelta(days=80 - n / 2, minutes=1) for n in range(93)),
    )
    return NowEvent(id=f"{as_of}", source="andon/detector", subject=data.key, time=as_of, data=data)


async def told_at(web: httpx.AsyncClient) -> datetime:
    """As of when the ticket's last message was."""
    return datetime.fromisoformat((await web.get("/api/v1/tickets/1")).json()["count_at"])


def words(page: httpx.Response) -> str:
    """The text of a page, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.text))


async def test_the_count_is_of_now_beside_the_one_when_it_was_found(web: httpx.AsyncClient, parts: TicketParts) -> None:
    as_of = await told_at(web) + timedelta(seconds=1)
    await parts.handle(record(now_event(as_of), 0))

    told = (await web.get("/api/v1/tickets/1")).json()
    assert (told["count"], told["peak"], datetime.fromisoformat(told["count_at"])) == (46, 61, as_of)
    assert told["found"]["count"] == 12
    assert told["sentence"].startswith("46 deals, usually 3, have been in Proposal")
    assert (await web.get("/api/v1/tickets")).json()["tickets"][0]["now"] == told["now"]
    listed, page = words(await web.get("/")), words(await web.get("/tickets/1"))
    assert re.search(r"As of today at [0-9:]+: 46 deals, usually 3, have .* 12 when it was found", listed)
    assert re.search(r"As of today at [0-9:]+: 46 deals, usually 3, have been in Proposal", page)
    assert re.search(r"When it was found .* the count was 12 deals, and at most 61 since then\.", page)
    assert "Proposal holds 46 deals older than 21 days as of today" in page
    pipelines = words(await web.get("/pipelines"))
    assert "Each stage as of today" in pipelines
    assert re.search(r"Proposal 93 80 days 5 deals or more for longer than 21 days: 46 now", pipelines)


async def test_a_message_that_is_newer_than_the_stage_counts(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(now_event(await told_at(web) - timedelta(seconds=1)), 0))

    told = (await web.get("/api/v1/tickets/1")).json()
    assert (told["count"], told["now"]) == (12, None)


async def test_a_condition_that_no_longer_holds_says_since_when_and_when_it_closes(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    as_of = await told_at(web) + timedelta(seconds=1)
    eased = {"breached": False, "since": as_of - timedelta(days=1), "clears_at": as_of + timedelta(days=1)}
    await parts.handle(record(now_event(as_of, 3, **eased), 0))

    for path in ("/", "/tickets/1"):
        found = words(await web.get(path))
        assert re.search(
            r"Below the limit since yesterday at [\d:]+; the ticket closes tomorrow at [\d:]+ if it stays so\.", found
        ), path
    now = (await web.get("/api/v1/tickets/1")).json()["now"]
    assert (now["breached"], datetime.fromisoformat(now["clears_at"])) == (False, eased["clears_at"])


async def test_the_evidence_is_of_now_and_that_of_the_opening_is_kept(
    web: httpx.AsyncClient, parts: TicketParts, pool: Pool
) -> None:
    as_of = await told_at(web) + timedelta(seconds=1)
    opened = (await web.get("/api/v1/tickets/1")).json()["problem"]["opened_at"]
    grown = problem(ProblemReason.GREW, count=40, evidence=evidence(7).model_copy(update={"at": as_of}))
    moved = grown.model_copy(update={"opened_at": datetime.fromisoformat(opened)})
    await parts.handle(record(event(moved), 1), record(now_event(as_of), 0))

    page = (await web.get("/tickets/1")).text
    now, found = page.split("The deals when it was found")
    assert "New 0" in now
    assert "Deal 0" not in now
    assert "The 5 longest in the stage, of 46" in now
    assert re.search(r">80 days<", now), "ages are of now"
    assert "Deal 0" in found
    assert "Deal 6" not in found, "the deals of a later message"
    told = (await web.get("/api/v1/tickets/1")).json()
    assert (len(told["evidence"]["rest"]), len(told["evidence_found"]["worst"])) == (30, 3)

    await parts.handle(record(now_event(as_of + timedelta(seconds=5), 0, breached=False, evidence=None), 1))
    assert "No deal is behind this problem any more" in (await web.get("/tickets/1")).text


async def test_a_revised_beginning_keeps_how_it_was_found(web: httpx.AsyncClient, parts: TicketParts) -> None:
    told = (await web.get("/api/v1/tickets/1")).json()
    opened = datetime.fromisoformat(told["problem"]["opened_at"])
    before = problem().model_copy(update={"opened_at": opened})
    revised = before.model_copy(
        update={
            "reason": ProblemReason.REVISED,
            "opened_at": opened - timedelta(hours=1),
            "count": 20,
            "was": ProblemInterval.model_validate(told["problem"]),
        }
    )
    await parts.handle(record(event(revised), 1))

    told = (await web.get("/api/v1/tickets/1")).json()
    assert (told["count"], told["found"]["count"]) == (20, 12)


async def test_all_deals_of_a_ticket_come_as_csv(web: httpx.AsyncClient, parts: TicketParts) -> None:
    await parts.handle(record(now_event(await told_at(web) + timedelta(seconds=1), 40), 0))

    page, api = await web.get("/tickets/1/deals.csv"), await web.get("/api/v1/tickets/1/deals.csv")

    assert page.headers["content-type"].startswith("text/csv")
    assert page.text == "\ufeff" + api.text
    assert len(api.text.splitlines()) == 41
    assert 'href="/tickets/1/deals.csv"' in (await web.get("/tickets/1")).text
    for path in ("/tickets/9/deals.csv", "/api/v1/tickets/9/deals.csv"):
        assert (await web.get(path)).status_code == 404


async def test_earlier_tickets_of_the_stage_are_linked_whatever_their_kind(
    web: httpx.AsyncClient, parts: TicketParts
) -> None:
    fields = {"kind": "wip-high", "limit": None, "limit_seconds": None}
    same = problem(opened=1, key="wip-high/new/proposal", **fields)
    other = problem(opened=1, key="wip-high/new/demo", stage="demo", **fields)
    await parts.handle(record(event(same), 1), record(event(other), 2))

    numbers = {one["key"]: one["id"] for one in (await web.get("/api/v1/tickets")).json()["tickets"]}
    page = (await web.get(f"/tickets/{numbers['wip-high/new/proposal']}")).text
    assert re.search(r'<a href="/tickets/1">Ticket 1</a>, <bdi>Deals wait too long in Proposal</bdi>', page)
    assert "Earlier tickets" not in (await web.get(f"/tickets/{numbers['wip-high/new/demo']}")).text


async def test_a_page_that_has_not_changed_is_not_sent_again(web: httpx.AsyncClient, parts: TicketParts) -> None:
    as_of = await told_at(web) + timedelta(seconds=1)
    await parts.handle(record(now_event(as_of), 0))

    for path in ("/", "/tickets/1", "/pipelines"):
        first = await web.get(path)
        again = await web.get(path, headers={"if-none-match": first.headers["etag"]})
        if again.status_code != 304:
            # A minute began in between.
            again = await web.get(path, headers={"if-none-match": again.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
    tag = (await web.get("/pipelines")).headers["etag"]
    await parts.handle(record(now_event(as_of, 47), 1))
    assert (await web.get("/pipelines", headers={"if-none-match": tag})).status_code == 200

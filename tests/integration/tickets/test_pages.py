"""The pages and their forms on a real Postgres."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.tickets.app import Tickets, application
from services.tickets.settings import TicketsSettings
from shared.policy import parse
from shared.postgres.pool import Pool
from tests.integration.tickets.page_app import page_app
from tests.integration.tickets.records import TicketParts, record
from tests.support.page_charts import drawings
from tests.support.problems import POLICY, event, evidence, problem


async def send(web: httpx.AsyncClient, action: str, form: dict[str, str] | None = None) -> httpx.Response:
    """Send a form of ticket 1 as its page makes it, with the version that it shows, and yes to what it asks."""
    version = (await web.get("/api/v1/tickets/1")).json()["seq"]
    return await web.post(f"/tickets/1/{action}", data={"version": version, "confirmed": "yes"} | (form or {}))


async def test_the_list_and_the_ticket_tell_the_problem(web: httpx.AsyncClient) -> None:
    listed, page = (await web.get("/")).text, await web.get("/tickets/1")
    ticket = page.text

    assert "1 problem of the system needs you" in listed
    assert 'class="spark"' in listed
    assert "12\u00a0deals, usually\u00a03, have been in Proposal for more than 21\u00a0days" in ticket
    assert len(await drawings(web, page)) == 2
    assert 'href="https://crm.example/deals/0"' in ticket
    assert "Mail to the owner: refused (it opened): <bdi>550" in ticket
    assert "550 no such &lt;user&gt;" in ticket


@pytest.mark.parametrize("path", ["/", "/tickets/1", "/pipelines", "/tickets/99"])
async def test_pages_can_be_used_by_everyone(web: httpx.AsyncClient, path: str) -> None:
    page = (await web.get(path)).text

    assert page.count("<h1>") == 1
    assert '<html lang="en" data-zone="Europe/Berlin">' in page
    assert not re.search(r"<script(?! src=)", page), "no script inside of a page"
    assert not re.search(r"\son\w+=", page)
    for field in re.findall(r'<(?:input|textarea)[^>]*id="(\w+)"', page):
        assert f'for="{field}"' in page
    assert all("alt=" in image for image in re.findall(r"<img[^>]*>", page))


async def test_a_form_changes_the_ticket_and_leads_back(web: httpx.AsyncClient, parts: TicketParts) -> None:
    answer = await send(web, "acknowledge")

    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets/1")
    assert "Somebody has seen it" in (await web.get("/tickets/1")).text
    assert [m.data.change.value for m in await parts.messages()] == ["opened", "acknowledged"]


async def test_what_closed_lately_is_counted_by_how(web: httpx.AsyncClient) -> None:
    await send(web, "close", {"outcome": "wont-fix", "reason": "the limit is too low"})

    listed, alone = (await web.get("/")).text, (await web.get("/tickets?state=closed")).text
    assert "Closed in the last 30 days (1: 1 left as it is)" in listed
    assert "1 problem goes on, and is snoozed or closed" in listed
    assert "Tickets that are closed" in alone


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("?state=lost", 422, "state"),
        ("?sort=1", 422, "sort"),
        ("?order=1", 422, "order"),
        ("?before=x", 422, "before"),
        ("?pipeline=%00", 200, "fits this choice"),
        ("?pipeline=new&kind=&state=", 303, ""),
    ],
)
async def test_wrong_choices_are_answered_and_empty_ones_left_out(
    web: httpx.AsyncClient, query: str, status: int, named: str
) -> None:
    answer = await web.get(f"/tickets{query}")

    assert (answer.status_code, named in answer.text) == (status, True)
    assert answer.headers.get("location") == ("/tickets?pipeline=new" if status == 303 else None)


@pytest.mark.parametrize(
    ("chosen", "back"),
    [
        ("", "/tickets"),
        ("pipeline=new", "/tickets?pipeline=new"),
        ("//evil.example\r\nX: y", "/tickets?//evil.example%0D%0AX:%20y"),
    ],
)
async def test_from_the_list_a_form_leads_back_to_the_list(web: httpx.AsyncClient, chosen: str, back: str) -> None:
    answer = await send(web, "acknowledge", {"list": chosen})

    assert (answer.status_code, answer.headers["location"]) == (303, back)


async def test_what_is_acknowledged_already_is_acknowledged(web: httpx.AsyncClient, parts: TicketParts) -> None:
    for _ in range(2):
        answer = await send(web, "acknowledge", {"list": ""})

        assert (answer.status_code, answer.headers["location"]) == (303, "/tickets")
    assert [m.data.change.value for m in await parts.messages()] == ["opened", "acknowledged"]


async def test_a_wish_that_comes_too_late_is_told_so_and_what_was_written_is_shown(web: httpx.AsyncClient) -> None:
    written = {"outcome": "wont-fix", "reason": "It is <too> dear.\r\nAsk finance."}
    await send(web, "close", {"outcome": "abandoned", "reason": "No time"})
    late = await send(web, "close", written)
    seen = await send(web, "acknowledge")

    assert (late.status_code, "The ticket is closed already" in late.text) == (409, True)
    assert re.search(r"<textarea[^>]*readonly[^>]*>It is &lt;too&gt; dear.\r?\nAsk finance.</textarea>", late.text)
    assert (seen.status_code, "nothing is left to acknowledge" in seen.text) == (409, True)
    assert "What you had written" not in seen.text


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "close"])
async def test_the_address_of_a_form_leads_to_its_ticket(web: httpx.AsyncClient, action: str) -> None:
    answer = await web.get(f"/tickets/1/{action}")

    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets/1")
    assert (await web.get("/tickets/1/explode")).status_code == 405


async def test_a_line_break_is_one_letter(web: httpx.AsyncClient) -> None:
    written = "\r\n".join(["x"] * 1000)
    answer = await send(web, "close", {"outcome": "wont-fix", "reason": written})

    assert answer.status_code == 303
    history = (await web.get("/api/v1/tickets/1")).json()["history"]
    assert history[-1]["reason"] == written.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("", "Choose a day in the calendar."),
        (" ", "Choose a day in the calendar."),
        ("2026-02-31", "&#39;2026-02-31&#39; is no day; choose one in the calendar, as 2026-03-31."),
    ],
)
async def test_a_fault_in_one_form_keeps_what_was_written_in_the_other(
    web: httpx.AsyncClient, until: str, said: str
) -> None:
    form = {"until": until, "outcome": "wont-fix", "reason": "it is dear"}
    answer = await send(web, "snooze", form)

    assert (answer.status_code, said in answer.text) == (422, True)
    assert ">it is dear</textarea>" in answer.text
    assert re.search(r'value="wont-fix" required checked', answer.text)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Auckland"])
async def test_a_ticket_comes_back_in_the_morning_of_the_zone_that_its_page_names(
    web: httpx.AsyncClient, zone: str
) -> None:
    if zone != "Europe/Berlin":
        web.cookies.set("andon_zone", zone)
    asked = (await web.get("/tickets/1")).text
    until = (datetime.now(UTC) + timedelta(days=9)).date()
    await send(web, "snooze", {"until": until.isoformat(), "zone": zone})
    ticket, listed = (await web.get("/tickets/1")).text, (await web.get("/")).text

    assert f"at 8 in the morning of that day in {zone}" in asked
    assert f'name="zone" value="{zone}"' in asked
    told = rf'snoozed until <time datetime="[^"]*" title="[^"]*">{until.day} {until:%B}'
    assert re.search(rf"{told}[^<]* at 08:00</time>", ticket)
    assert re.search(rf"{told}[^<]*</time>", listed)
    assert f"All times are in the zone {zone}." in ticket
    assert re.search(r"Snoozed by somebody on this page until <time[^>]*>[^<]* at 08:00</time>", ticket)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=closed", "No ticket that is closed fits this choice"),
        ("state=snoozed", "No ticket that is snoozed fits this choice"),
        ("state=acknowledged", "No ticket that is seen fits this choice"),
        ("kind=stalled", "No ticket that needs you fits this choice"),
        ("before=1", "No older tickets"),
    ],
)
async def test_an_empty_choice_is_told_in_its_words(web: httpx.AsyncClient, query: str, said: str) -> None:
    assert f"<h1>{said}</h1>" in (await web.get(f"/tickets?{query}")).text


async def test_a_reason_that_is_too_long_is_not_cut(web: httpx.AsyncClient) -> None:
    answer = await send(web, "close", {"outcome": "wont-fix", "reason": "x" * 2001})

    assert (answer.status_code, "The reason has 2,001 letters" in answer.text) == (422, True)
    assert "x" * 2001 in answer.text


async def test_what_was_typed_is_kept_when_something_is_wrong(web: httpx.AsyncClient) -> None:
    answer = await send(web, "close", {"reason": "it is <too> dear", "outcome": "sold"})

    assert answer.status_code == 422
    assert "it is &lt;too&gt; dear</textarea>" in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("snooze", {"until": "2026-02-31"}),
        ("snooze", {"until": "1999-01-01"}),
        ("snooze", {}),
        ("explode", {}),
        ("close", {"outcome": "wont-fix", "reason": ""}),
        ("close", {"outcome": "verified", "reason": "x"}),
    ],
)
async def test_wishes_that_cannot_be_are_answered(web: httpx.AsyncClient, path: str, form: dict[str, str]) -> None:
    answer = await send(web, path, form)

    assert (answer.status_code, "That did not work" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tickets?pipeline=%00", 200),
        ("/tickets?kind=%ff&state=lost", 422),
        ("/tickets?before=%C2%B2", 422),
        ("/tickets/" + "9" * 18, 404),
        ("/tickets/" + "9" * 5000, 404),
        ("/tickets/%00", 404),
        ("/static/%00", 404),
    ],
)
async def test_wrong_addresses_are_answered(web: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await web.get(path)).status_code == status


async def test_a_next_step_at_the_end_of_the_calendar_is_told(
    pool: Pool, parts: TicketParts, web: httpx.AsyncClient
) -> None:
    shown = evidence(1)
    late = shown.worst[0].model_copy(update={"next_step_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)})
    data = problem(evidence=shown.model_copy(update={"worst": (late,)}), key="aging/new/demo", stage="demo")

    await parts.handle(record(event(data), 1000))

    assert "31 Dec 9999, 23:59 UTC" in (await web.get("/tickets/2")).text


async def test_forms_of_other_sites_do_nothing(web: httpx.AsyncClient, parts: TicketParts) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert (await web.post("/tickets/1/acknowledge", headers=headers)).status_code == 403

    assert len(await parts.messages()) == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("andon.example", 200),
        ("evil.example:8080", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
    ],
)
async def test_pages_of_this_machine_answer_to_its_own_names(
    pool: Pool, tmp_path: Path, host: str, status: int
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    settings = TicketsSettings(policy=tmp_path / "policy.yaml", tickets_url="https://Andon.example/x")
    registry = CollectorRegistry()
    app = application(Tickets(settings, pool, registry), pool, registry, settings.hosts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}

        assert (await client.get("/", headers=headers)).status_code == status
        assert (await client.post("/tickets/1/acknowledge", headers=headers)).status_code == (
            404 if status == 200 else 400
        )


async def test_pages_are_kept_by_nobody_and_files_are_asked_for_again(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    registry = CollectorRegistry()
    settings = TicketsSettings(policy=tmp_path / "policy.yaml")
    app = application(Tickets(settings, pool, registry), pool, registry, settings.hosts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for path in ("/", "/pipelines", "/tickets/9", "/nowhere", "/api/v1/tickets", "/tickets/9/chart.svg"):
            assert (await client.get(path)).headers.get_list("cache-control") == ["no-store"], path
        for path in ("/static/andon.css", "/favicon.ico"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers.get_list("cache-control")) == (200, ["no-cache"]), path
        client.cookies.set("andon_zone", "Asia%2FTokyo")
        for path in ("/", "/nowhere"):
            assert "All times are in the zone Asia/Tokyo." in (await client.get(path)).text, path


async def test_sentences_and_charts_are_in_the_readers_zone(web: httpx.AsyncClient) -> None:
    told = {}
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        web.cookies.set("andon_zone", zone)
        told[zone] = (await web.get("/tickets/1")).text.replace("\u00a0", " ")
        assert zone in (await web.get("/tickets/1/chart.svg")).text
    asked = [re.search(r"happened around the week of ([^:]*):", page) for page in told.values()]
    began = [re.search(r"It began <time[^>]*>on ([^<]*) at", page) for page in told.values()]

    assert [one and one[1].replace("\u00a0", " ") for one in asked] == [one and monday_before(one[1]) for one in began]
    assert len({one and one[1] for one in began}) == 2


def monday_before(date: str) -> str:
    """Of a date in this year or the last, as `3 November`."""
    found = datetime.strptime(f"{date} {datetime.now(UTC).year} +0000", "%d %B %Y %z")
    if found > datetime.now(UTC) + timedelta(days=2):
        found = found.replace(year=found.year - 1)
    monday = found - timedelta(days=found.weekday())
    return f"{monday.day} {monday:%B}"


async def test_where_deals_are_missing_no_money_is_at_stake(web: httpx.AsyncClient, parts: TicketParts) -> None:
    data = problem(key="wip-low/new/demo", kind="wip-low", stage="demo", evidence=evidence(1))
    await parts.handle(record(event(data), 1000))

    assert "Money at stake" in (await web.get("/tickets/1")).text
    assert "Money at stake" not in (await web.get("/tickets/2")).text
    assert (await web.get("/tickets")).text.count("Money at stake") == 1


async def test_the_page_says_how_soon_somebody_is_to_acknowledge(pool: Pool) -> None:
    asks = parse(POLICY.replace("    name: New business\n", "    name: New business\n    ack_within: 2d\n"))
    parts = TicketParts(pool, asks)
    await parts.handle(record(event(problem()), 0))

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(page_app(parts)), base_url="http://andon.example"
    ) as client:
        assert "within 2 days as the policy asks" in (await client.get("/tickets/1")).text


async def test_what_hurts_most_comes_first(web: httpx.AsyncClient, parts: TicketParts) -> None:
    worth = {"demo": "10.00", "legal": "99999.00"}
    for offset, (stage, amount) in enumerate(worth.items()):
        deal = evidence(1).worst[0].model_copy(update={"amount": amount})
        shown = evidence(1).model_copy(update={"worst": (deal,), "sample": ()})
        data = problem(key=f"aging/new/{stage}", stage=stage, evidence=shown, opened=offset)
        await parts.handle(record(event(data), 1000 + offset))

    async def order(query: str) -> list[str]:
        html = (await web.get(f"/tickets{query}")).text
        return re.findall(r'class="title"[^>]*><bdi>[^<]* in (\w+)<', html)

    assert await order("") == ["Legal", "Proposal", "Demo"]
    await send(web, "acknowledge")
    assert await order("") == ["Legal", "Demo", "Proposal"]
    assert await order("?sort=money") == ["Legal", "Proposal", "Demo"]
    assert await order("?sort=newest") == ["Proposal", "Legal", "Demo"]
    assert await order("?sort=oldest") == ["Demo", "Legal", "Proposal"]
    listed = (await web.get("/tickets?sort=money")).text
    assert "Money at stake in this deal: <strong>99,999\u00a0EUR</strong>" in listed
    assert '<option value="money" selected>' in listed


@pytest.mark.parametrize(
    ("path", "media"), [("chart.svg", "image/svg+xml"), ("ages.svg", "image/svg+xml"), ("chart.png", "image/png")]
)
async def test_charts_can_be_linked(web: httpx.AsyncClient, path: str, media: str) -> None:
    answer = await web.get(f"/tickets/1/{path}")

    assert answer.headers["content-type"].startswith(media)
    assert len(answer.content) < 60_000
    assert (await web.get(f"/tickets/9/{path}")).status_code == 404


async def test_a_ticket_of_a_kind_that_is_not_known_is_shown(parts: TicketParts, web: httpx.AsyncClient) -> None:
    await parts.handle(record(event(problem(key="drought/new/demo", kind="drought", stage="demo")), 1000))

    for path in ("/", "/pipelines", "/tickets/2"):
        assert "drought in Demo" in (await web.get(path)).text
    assert (await web.get("/tickets/2/chart.svg")).status_code == 404
    assert (await parts.messages())[-1].data.chart_png is None

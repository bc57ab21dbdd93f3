"""The desk on a real Postgres: one open ticket a key, whatever arrives twice or at once; pages and API over it."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.tickets import store
from services.tickets.app import Tickets, application
from services.tickets.desk import Desk
from services.tickets.metrics import TicketMetrics
from services.tickets.settings import TicketsSettings
from services.tickets.store import Place
from services.tickets.web.api import Api, openapi
from services.tickets.web.pages import Pages
from shared.contracts.dead import DeadEvent
from shared.contracts.measures import Measure, MeasureData, MeasureEvent
from shared.contracts.notices import NoticeData, NoticeEvent, NoticeReason, NoticeResult
from shared.contracts.problems import ProblemReason
from shared.contracts.tickets import TicketEvent
from shared.runtime.clock import SystemClock
from shared.storage.migrate import migrate_all
from shared.storage.pool import open_pool
from tests.support.problems import POLICY, event, evidence, policy, problem

TOPICS = {"ProblemEvent": "flow.problems", "MeasureEvent": "flow.measures", "NoticeEvent": "improvement.notices"}


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Any]:
    await migrate_all(dsn)
    pool = await open_pool(dsn, "tickets")
    yield pool
    await pool.close()


@pytest.fixture
def desk() -> Desk:
    return Desk(policy(), "http://andon.example", "", TicketMetrics(CollectorRegistry()), SystemClock())


def record(message: Any, offset: int, partition: int = 0) -> Any:
    value = message if isinstance(message, bytes) else message.to_json()
    topic = "flow.problems" if isinstance(message, bytes) else TOPICS[type(message).__name__]
    return ConsumerRecord(topic, partition, offset, 0, 0, b"k", value, 0, len(value), 0, ())


async def take(pool: Any, desk: Desk, *records: Any) -> int:
    async with pool.acquire() as connection, connection.transaction():
        return await desk.take(connection, records)


async def messages(pool: Any) -> list[TicketEvent]:
    rows = await pool.fetch("SELECT value FROM outbox WHERE topic = 'improvement.tickets' ORDER BY id")
    return [TicketEvent.model_validate_json(row["value"]) for row in rows]


async def test_a_problem_becomes_a_ticket_with_history_message_and_chart(pool: Any, desk: Desk) -> None:
    await take(pool, desk, record(event(problem()), 0))

    (ticket,) = await store.listed(pool, Place())
    (told,) = await messages(pool)
    assert [row["change"] for row in await store.history(pool, ticket.id)] == ["opened"]
    assert told.data.sentence == "12 deals have been in Proposal for more than 21 days; usually 3 are."
    assert told.data.url == f"http://andon.example/tickets/{ticket.id}"
    assert base64.b64decode(told.data.chart_png or "").startswith(b"\x89PNG")


async def test_the_same_message_twice_changes_nothing(pool: Any, desk: Desk) -> None:
    message = event(problem())
    await take(pool, desk, record(message, 0), record(message, 1))
    await take(pool, desk, record(message, 2))
    await take(pool, desk, record(message, 0))

    assert len(await store.listed(pool, Place())) == 1
    assert len(await messages(pool)) == 1


async def test_two_replicas_at_once_open_one_ticket(pool: Any, desk: Desk) -> None:
    message = event(problem())
    results = await asyncio.gather(
        *(take(pool, desk, record(message, 0, partition)) for partition in range(4)), return_exceptions=True
    )

    assert len(await store.listed(pool, Place())) == 1
    assert sum(1 for result in results if result == 1) == 1
    assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, asyncpg.UniqueViolationError)]


async def test_the_database_itself_keeps_a_second_open_ticket_out(pool: Any, desk: Desk) -> None:
    await take(pool, desk, record(event(problem()), 0))
    columns = "key, kind, pipeline, state, seq, opened_at, changed_at, problem"

    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(f"INSERT INTO ticket ({columns}) SELECT {columns} FROM ticket")


@pytest.mark.parametrize("topic", TOPICS.values())
async def test_poison_on_any_topic_goes_to_its_dead_letters_and_nothing_else_is_lost(
    topic: str, pool: Any, desk: Desk
) -> None:
    good = event(problem()).to_json()
    bad = [
        b"", b"{", b"\xff", b"[" * 10_000, good.replace(b"aging/new", b"\\u0000"), good.replace(b"21d", b"soon"),
        good.replace(b'"peak":12', b'"peak":99999999999'), good.replace(b"2026-03-02T09", b"0001-03-02T09"),
    ]  # fmt: skip
    records = [ConsumerRecord(topic, 0, n, 0, 0, b"k", one, 0, len(one), 0, ()) for n, one in enumerate(bad)]

    await take(pool, desk, *records, record(event(problem()), len(bad)))

    assert len(await store.listed(pool, Place())) == 1
    dead = await pool.fetch("SELECT topic FROM outbox WHERE topic LIKE '%.dead'")
    assert [row["topic"] for row in dead] == [f"{topic}.dead"] * len(bad)


@pytest.fixture
def service(pool: Any, tmp_path: Path) -> Tickets:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return Tickets(TicketsSettings(policy=tmp_path / "policy.yaml"), pool, CollectorRegistry())


def keyed(*keys: str) -> list[Any]:
    return [record(event(problem(key=key)), n) for n, key in enumerate(keys)]


async def test_a_record_that_alone_cannot_be_handled_is_put_aside_and_the_others_are_taken(
    pool: Any, service: Tickets
) -> None:
    await pool.execute("ALTER TABLE problem ADD CHECK (key <> 'bad')")

    await service._take(keyed("a", "bad", "b"))

    assert {ticket.key for ticket in await store.listed(pool, Place())} == {"a", "b"}
    (row,) = await pool.fetch("SELECT value FROM outbox WHERE topic = 'flow.problems.dead'")
    letter = DeadEvent.model_validate_json(row["value"]).data
    assert (letter.reason.value, letter.place) == ("handler", "flow.problems/0/1")
    assert "CheckViolationError" in letter.detail
    assert await pool.fetchval("SELECT next_offset FROM position") == 3


async def test_what_is_no_records_fault_puts_nothing_aside(pool: Any, service: Tickets) -> None:
    await pool.execute("ALTER TABLE problem ADD CHECK (key <> 'bad')")
    with pytest.raises(asyncpg.CheckViolationError):
        await service._take(keyed(*["bad"] * 11))
    await pool.execute("ALTER TABLE problem RENAME TO hidden")
    with pytest.raises(asyncpg.UndefinedTableError):
        await service._take(keyed("a"))

    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    assert await pool.fetchval("SELECT count(*) FROM position") == 0


async def test_what_rests_wakes(pool: Any, desk: Desk) -> None:
    await take(pool, desk, record(event(problem()), 0))
    await pool.execute("UPDATE ticket SET state = 'snoozed', snoozed_until = now() - interval '1 minute'")

    async with pool.acquire() as connection, connection.transaction():
        assert await desk.wake(connection) == 1
        assert await desk.wake(connection) == 0

    assert [row["change"] for row in await store.history(pool, 1)] == ["opened", "woke"]


@pytest.fixture
async def web(pool: Any, desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The pages and the API over one ticket with measures and mails."""
    now = datetime.now(UTC)
    begun = now - timedelta(days=3)
    shown = evidence(3).model_copy(update={"at": now})
    data = problem().model_copy(update={"opened_at": begun, "detected_at": begun, "evidence": shown})
    points = [
        MeasureData(
            pipeline="new", stage="proposal", measure=measure, start=now - timedelta(days=n + 1),
            end=now - timedelta(days=n), value=float(n % 7) * (86_400 if "age" in measure else 1),
        )
        for n in range(60) for measure in (Measure.OVER_AGE, Measure.AGE_MEDIAN, Measure.AGE_OLDEST, Measure.WIP)
    ]  # fmt: skip
    measures = [MeasureEvent(id=p.key, source="andon/detector", subject=p.key, time=p.end, data=p) for p in points]
    refused = NoticeData(
        notice="1-1", ticket=1, reason=NoticeReason.OPENED, result=NoticeResult.REFUSED, message_id="<a@b>", at=now,
        detail="550 no such <user>",
    )  # fmt: skip
    notice = NoticeEvent(id="n", source="andon/notifier", subject="1", time=now, data=refused)
    await take(pool, desk, record(event(data), 0), record(notice, 0), *(record(m, n) for n, m in enumerate(measures)))
    pages = Pages(pool, desk, policy(), SystemClock(), asyncio.Event())
    app = Starlette(routes=[*Api(pool, policy(), SystemClock()).routes(), *pages.routes()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://andon.example") as client:
        yield client


async def test_the_list_and_the_ticket_tell_the_problem(web: httpx.AsyncClient) -> None:
    listed, ticket = (await web.get("/")).text, (await web.get("/tickets/1")).text

    assert "1 problem of the system needs you" in listed
    assert 'class="spark"' in listed
    assert "12 deals have been in Proposal for more than 21 days" in ticket
    assert ticket.count("<svg") == 2
    assert 'href="https://crm.example/deals/0"' in ticket
    assert "Mail to the owner of the policy, that it opened: refused: <bdi>550" in ticket
    assert "550 no such &lt;user&gt;" in ticket


async def test_the_count_is_the_newest_and_says_as_of_when(pool: Any, desk: Desk, web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/v1/tickets/1")).json()
    assert (told["count"], told["count_at"]) == (12, told["evidence"]["at"])
    later = datetime.fromisoformat(told["count_at"]) + timedelta(microseconds=1)
    point = MeasureData(
        pipeline="new", stage="proposal", measure=Measure.OVER_AGE, start=later - timedelta(days=1), end=later, value=59
    )

    await take(pool, desk, record(MeasureEvent(id="m", source="x", subject="x", time=later, data=point), 9000))

    now = (await web.get("/api/v1/tickets")).json()["tickets"][0]
    assert (now["count"], datetime.fromisoformat(now["count_at"])) == (59, later)
    assert now["sentence"].startswith("59 deals have been in Proposal")
    for path in ("/", "/tickets/1"):
        page = (await web.get(path)).text
        assert re.search(r"As of <time[^>]*>today at [^<]*</time>:\s+<bdi>59 deals have been in Proposal", page), path
    assert "Proposal holds 59 deals older than 21 days" in (await web.get("/tickets/1")).text


@pytest.mark.parametrize("path", ["/", "/tickets/1", "/pipelines", "/tickets/99"])
async def test_pages_can_be_used_by_everyone(web: httpx.AsyncClient, path: str) -> None:
    page = (await web.get(path)).text

    assert page.count("<h1>") == 1
    assert '<html lang="en">' in page
    assert not re.search(r"<script(?! src=)", page), "no script inside of a page"
    assert not re.search(r"\son\w+=", page)
    for field in re.findall(r'<(?:input|textarea)[^>]*id="(\w+)"', page):
        assert f'for="{field}"' in page
    assert all("alt=" in image for image in re.findall(r"<img[^>]*>", page))


async def test_a_form_changes_the_ticket_and_leads_back(web: httpx.AsyncClient, pool: Any) -> None:
    answer = await web.post("/tickets/1/acknowledge")

    assert (answer.status_code, answer.headers["location"]) == (303, "/tickets/1")
    assert "Somebody has seen it" in (await web.get("/tickets/1")).text
    assert [m.data.change.value for m in await messages(pool)] == ["opened", "acknowledged"]


async def test_what_closed_lately_is_counted_by_how(web: httpx.AsyncClient) -> None:
    await web.post("/tickets/1/close", data={"outcome": "wont-fix", "reason": "the limit is too low"})

    listed, alone = (await web.get("/")).text, (await web.get("/tickets?state=closed")).text
    assert "Closed in the last 30 days (1: 1 left as it is)" in listed
    assert "1 problem goes on, and is put aside or closed without a change" in listed
    assert "Tickets that are closed" in alone


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("?state=lost", 422, "state"), ("?sort=1", 422, "sort"), ("?before=x", 422, "before"),
        ("?pipeline=%00", 200, "fits this choice"), ("?pipeline=new&kind=&state=", 303, ""),
    ],
)  # fmt: skip
async def test_wrong_choices_are_answered_and_empty_ones_left_out(
    web: httpx.AsyncClient, query: str, status: int, named: str
) -> None:
    answer = await web.get(f"/tickets{query}")

    assert (answer.status_code, named in answer.text) == (status, True)
    assert answer.headers.get("location") == ("/tickets?pipeline=new" if status == 303 else None)


@pytest.mark.parametrize(
    ("chosen", "back"),
    [
        ("", "/tickets"), ("pipeline=new", "/tickets?pipeline=new"),
        ("//evil.example\r\nX: y", "/tickets?//evil.example%0D%0AX:%20y"),
    ],
)  # fmt: skip
async def test_from_the_list_a_form_leads_back_to_the_list(web: httpx.AsyncClient, chosen: str, back: str) -> None:
    answer = await web.post("/tickets/1/acknowledge", data={"list": chosen})

    assert (answer.status_code, answer.headers["location"]) == (303, back)


async def test_a_wish_that_comes_too_late_is_told_so(web: httpx.AsyncClient) -> None:
    await web.post("/tickets/1/acknowledge")
    answer = await web.post("/tickets/1/acknowledge")

    assert (answer.status_code, "nothing is left to acknowledge" in answer.text) == (409, True)


async def test_a_reason_that_is_too_long_is_not_cut(web: httpx.AsyncClient) -> None:
    answer = await web.post("/tickets/1/close", data={"outcome": "wont-fix", "reason": "x" * 2001})

    assert (answer.status_code, "The reason has 2,001 letters" in answer.text) == (422, True)
    assert "x" * 2001 in answer.text


async def test_what_was_typed_is_kept_when_something_is_wrong(web: httpx.AsyncClient) -> None:
    answer = await web.post("/tickets/1/close", data={"reason": "it is <too> dear", "outcome": "sold"})

    assert answer.status_code == 422
    assert "it is &lt;too&gt; dear</textarea>" in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("snooze", {"until": "2026-02-31"}), ("snooze", {"until": "1999-01-01"}), ("snooze", {}), ("explode", {}),
        ("close", {"outcome": "wont-fix", "reason": ""}), ("close", {"outcome": "verified", "reason": "x"}),
    ],
)  # fmt: skip
async def test_wishes_that_cannot_be_are_answered(web: httpx.AsyncClient, path: str, form: dict[str, str]) -> None:
    answer = await web.post(f"/tickets/1/{path}", data=form)

    assert (answer.status_code, "That did not work" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tickets?pipeline=%00", 200), ("/tickets?kind=%ff&state=lost", 422), ("/tickets?before=%C2%B2", 422),
        ("/tickets/" + "9" * 18, 404), ("/tickets/" + "9" * 5000, 404), ("/tickets/%00", 404), ("/static/%00", 404),
    ],
)  # fmt: skip
async def test_wrong_addresses_are_answered(web: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await web.get(path)).status_code == status


async def test_a_next_step_at_the_end_of_the_calendar_is_told(pool: Any, desk: Desk, web: httpx.AsyncClient) -> None:
    shown = evidence(1)
    late = shown.worst[0].model_copy(update={"next_step_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)})
    data = problem(evidence=shown.model_copy(update={"worst": (late,)}), key="aging/new/demo", stage="demo")

    await take(pool, desk, record(event(data), 1000))

    assert "31 Dec 9999, 23:59 UTC" in (await web.get("/tickets/2")).text


async def test_forms_of_other_sites_do_nothing(web: httpx.AsyncClient, pool: Any) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert (await web.post("/tickets/1/acknowledge", headers=headers)).status_code == 403

    assert len(await messages(pool)) == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200), ("localhost:8080", 200), ("[::1]:8080", 200), ("andon.example", 200),
        ("evil.example:8080", 400), ("127.0.0.1.evil.example", 400), ("", 400),
    ],
)  # fmt: skip
async def test_pages_of_this_machine_answer_to_its_own_names(pool: Any, tmp_path: Path, host: str, status: int) -> None:
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


@pytest.mark.parametrize(
    ("path", "media"), [("chart.svg", "image/svg+xml"), ("ages.svg", "image/svg+xml"), ("chart.png", "image/png")]
)
async def test_charts_can_be_linked(web: httpx.AsyncClient, path: str, media: str) -> None:
    answer = await web.get(f"/tickets/1/{path}")

    assert answer.headers["content-type"].startswith(media)
    assert len(answer.content) < 60_000
    assert (await web.get(f"/tickets/9/{path}")).status_code == 404


async def test_answers_of_the_api_are_as_its_description_says(web: httpx.AsyncClient) -> None:
    described = (await web.get("/api/v1/openapi.json")).json()
    assert described == openapi()

    def check(value: Any, name: str) -> None:
        jsonschema.validate(value, {**described, "$ref": f"#/components/schemas/{name}"})

    check((await web.get("/api/v1/tickets")).json(), "TicketList")
    check((await web.get("/api/v1/tickets/1")).json(), "TicketWhole")
    whole = (await web.get("/api/v1/tickets/1")).json()
    assert [change["change"] for change in whole["history"]] == ["opened"]
    assert [mail["result"] for mail in whole["mails"]] == ["refused"]


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("?state=lost", 422, "state"), ("?limit=0", 422, "limit"), ("?limit=x", 422, "limit"), ("?sort=1", 422, "sort"),
        ("?before=%00", 422, "before"), ("/x", 422, "number"), ("/77", 404, "77"), ("/" + "9" * 30, 422, "number"),
        ("?pipeline=%00", 200, ""),
    ],
)  # fmt: skip
async def test_wrong_questions_to_the_api_are_answered(
    web: httpx.AsyncClient, path: str, status: int, named: str
) -> None:
    answer = await web.get(f"/api/v1/tickets{path}")

    assert (answer.status_code, named in answer.text) == (status, True)


async def test_pages_of_the_api_follow_one_another(pool: Any, desk: Desk) -> None:
    for number in range(5):
        data = problem(opened=number * 40).model_copy(update={"key": f"aging/new/proposal-{number}"})
        await take(pool, desk, record(event(data), number))
    app = Starlette(routes=Api(pool, policy(), SystemClock()).routes())
    seen: list[int] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        before = ""
        while True:
            page = (await client.get(f"/api/v1/tickets?limit=2{before}")).json()
            seen += [ticket["id"] for ticket in page["tickets"]]
            if page["next_before"] is None:
                break
            before = f"&before={page['next_before']}"

    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 5


async def test_reasons_that_revise_keep_the_drawn_intervals_right(pool: Any, desk: Desk) -> None:
    moved = problem(ProblemReason.REVISED, opened=0.5, was=1)
    await take(pool, desk, record(event(problem(opened=1)), 0), record(event(moved), 1))

    rows = await pool.fetch("SELECT opened_at FROM problem")
    assert [row["opened_at"] for row in rows] == [moved.opened_at]

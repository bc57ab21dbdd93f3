"""Messages on a real Postgres: one open ticket per key, even if messages arrive twice or at once."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from services.tickets.app import Tickets
from services.tickets.domain import commands
from services.tickets.handlers import TicketHandlers
from services.tickets.store import tickets
from services.tickets.store.tickets import TicketFilter
from shared.contracts.dead import DeadEvent
from shared.contracts.measures import Measure, MeasureData, MeasureEvent
from shared.contracts.problems import ProblemReason
from shared.postgres.pool import Pool
from shared.stream.processor import NotARecordsFault
from shared.stream.transaction import Transaction
from tests.integration.tickets.records import TOPICS, TicketParts, record
from tests.support.histories import wild
from tests.support.problems import day, event, problem


async def test_a_problem_becomes_a_ticket_with_history_message_and_chart(pool: Pool, parts: TicketParts) -> None:
    await parts.handle(record(event(problem()), 0))

    (ticket,) = await tickets.find(pool, TicketFilter())
    (told,) = await parts.messages()
    assert [row["change"] for row in await tickets.history(pool, ticket.id)] == ["opened"]
    assert told.data.sentence == "12 deals, usually 3, have been in Proposal for more than 21 days."
    assert told.data.url == f"http://andon.example/tickets/{ticket.id}?of={ticket.mark}"
    assert base64.b64decode(told.data.chart_png or "").startswith(b"\x89PNG")


async def test_the_same_message_twice_changes_nothing(pool: Pool, parts: TicketParts) -> None:
    message = event(problem())
    await parts.handle(record(message, 0), record(message, 1))
    await parts.handle(record(message, 2))
    await parts.handle(record(message, 0))

    assert len(await tickets.find(pool, TicketFilter())) == 1
    assert len(await parts.messages()) == 1


async def test_an_opening_published_again_after_a_restore_reopens_nothing(pool: Pool, parts: TicketParts) -> None:
    opened, cleared = problem(opened=1), problem(ProblemReason.CLEARED, opened=1, cleared=2)
    await parts.handle(record(event(opened), 0), record(event(cleared), 1))

    # Under other ids, as where late events had moved it.
    await parts.handle(record(event(opened), 2), record(event(cleared), 3))

    assert [row["change"] for row in await tickets.history(pool, 1)] == ["opened", "cleared", "closed"]


async def test_a_problem_that_opens_again_reopens_its_ticket(pool: Pool, parts: TicketParts) -> None:
    cleared = problem(ProblemReason.CLEARED, opened=1, cleared=2)
    await parts.handle(record(event(problem(opened=1)), 0), record(event(cleared), 1))

    await parts.handle(record(event(problem(opened=3)), 2))

    assert [row["change"] for row in await tickets.history(pool, 1)] == ["opened", "cleared", "closed", "reopened"]


async def test_two_replicas_at_once_open_one_ticket(pool: Pool, parts: TicketParts) -> None:
    message = event(problem())
    results = await asyncio.gather(
        *(parts.handle(record(message, 0, partition)) for partition in range(4)), return_exceptions=True
    )

    assert len(await tickets.find(pool, TicketFilter())) == 1
    assert len(await parts.messages()) == 1
    assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, asyncpg.UniqueViolationError)]
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE topic LIKE '%.dead'") == 0


async def test_the_database_itself_keeps_a_second_open_ticket_out(pool: Pool, parts: TicketParts) -> None:
    await parts.handle(record(event(problem()), 0))
    columns = "key, kind, pipeline, state, seq, opened_at, changed_at, problem"

    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(f"INSERT INTO ticket ({columns}) SELECT {columns} FROM ticket")


@pytest.mark.parametrize("topic", TOPICS.values())
async def test_poison_on_any_topic_goes_to_its_dead_letters_and_nothing_else_is_lost(
    topic: str, pool: Pool, parts: TicketParts
) -> None:
    good = event(problem()).to_json()
    bad = [
        b"",
        b"{",
        b"\xff",
        b"[" * 10_000,
        good.replace(b"aging/new", b"\\u0000"),
        good.replace(b"21d", b"soon"),
        good.replace(b'"peak":12', b'"peak":99999999999'),
        good.replace(b"2026-03-02T09", b"0001-03-02T09"),
    ]
    records = [ConsumerRecord(topic, 0, n, 0, 0, b"k", one, 0, len(one), 0, ()) for n, one in enumerate(bad)]

    await parts.handle(*records, record(event(problem()), len(bad)))

    assert len(await tickets.find(pool, TicketFilter())) == 1
    dead = await pool.fetch("SELECT topic FROM outbox WHERE topic LIKE '%.dead'")
    assert [row["topic"] for row in dead] == [f"{topic}.dead"] * len(bad)


class Failing(TicketHandlers):
    """Fails on every message."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle(self, transaction: Transaction, messages: Any) -> None:
        raise self._error


def keyed(*keys: str) -> list[Any]:
    return [record(event(problem(key=key)), n) for n, key in enumerate(keys)]


async def test_a_record_that_alone_cannot_be_handled_is_put_aside_and_the_others_are_taken(
    pool: Pool, service: Tickets
) -> None:
    await pool.execute("ALTER TABLE problem ADD CHECK (key <> 'bad')")

    await service.processor.run(keyed("a", "bad", "b"))

    assert {ticket.key for ticket in await tickets.find(pool, TicketFilter())} == {"a", "b"}
    (row,) = await pool.fetch("SELECT value FROM outbox WHERE topic = 'flow.problems.dead'")
    letter = DeadEvent.model_validate_json(row["value"]).data
    assert (letter.reason.value, letter.place) == ("handler", "flow.problems/0/1")
    assert "CheckViolationError" in letter.detail
    assert await pool.fetchval("SELECT next_offset FROM position") == 3


async def test_any_number_of_bad_records_end_nothing(pool: Pool, service: Tickets) -> None:
    await pool.execute("ALTER TABLE problem ADD CHECK (key <> 'bad')")
    point = MeasureData(pipeline="p", stage="s", measure=Measure.WIP, start=day(0), end=day(1), value=1.0)
    # Two names; an index can hold one of them, not both.
    long = point.model_copy(update={"pipeline": wild(400, 1), "stage": wild(400, 2)})
    points = [MeasureEvent(id=f"{n}", source="d", subject="p", time=day(1), data=long) for n in range(30)]

    await service.processor.run(keyed(*["bad"] * 15, "a", *["bad"] * 15))
    await service.processor.run([record(one, n) for n, one in enumerate(points)])

    assert [ticket.key for ticket in await tickets.find(pool, TicketFilter())] == ["a"]
    dead = await pool.fetch("SELECT topic, value FROM outbox WHERE topic LIKE '%.dead' ORDER BY id")
    places = [DeadEvent.model_validate_json(row["value"]).data.place for row in dead]
    assert places[:30] == [f"flow.problems/0/{n}" for n in range(31) if n != 15]
    assert places[30:] == [f"flow.measures/0/{n}" for n in range(30)]


async def test_what_is_no_records_fault_puts_nothing_aside(pool: Pool, service: Tickets, parts: TicketParts) -> None:
    await pool.execute("ALTER TABLE problem ADD CHECK (key <> 'bad')")
    with pytest.raises(asyncpg.CheckViolationError):
        await service.processor.run(keyed(*["bad"] * 11))
    for error in (KafkaConnectionError(), NotARecordsFault(), MemoryError()):
        with pytest.raises(type(error)):
            await parts.processor(Failing(error)).run(keyed("a"))
    with pytest.raises(KeyError):
        await parts.processor(Failing(KeyError())).run(keyed(*"abcdefghijk"))
    await pool.execute("ALTER TABLE problem RENAME TO hidden")
    with pytest.raises(asyncpg.UndefinedTableError):
        await service.processor.run(keyed("a"))

    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    assert await pool.fetchval("SELECT count(*) FROM position") == 0


async def test_what_rests_wakes(pool: Pool, parts: TicketParts) -> None:
    await parts.handle(record(event(problem()), 0))
    until = datetime.now(UTC) + timedelta(days=1)
    async with pool.acquire() as connection, connection.transaction():
        await parts.changes.act(connection, 1, lambda ticket, at: commands.snooze(ticket, until, at.now), 1)
    await pool.execute("UPDATE ticket SET snoozed_until = now() - interval '1 minute'")

    async with pool.acquire() as connection, connection.transaction():
        assert await parts.changes.wake_due(connection) == 1
        assert await parts.changes.wake_due(connection) == 0

    assert [row["change"] for row in await tickets.history(pool, 1)] == ["opened", "snoozed", "woke"]


async def test_reasons_that_revise_keep_the_drawn_intervals_right(pool: Pool, parts: TicketParts) -> None:
    moved = problem(ProblemReason.REVISED, opened=0.5, was=1)
    await parts.handle(record(event(problem(opened=1)), 0), record(event(moved), 1))

    rows = await pool.fetch("SELECT opened_at FROM problem")
    assert [row["opened_at"] for row in rows] == [moved.opened_at]

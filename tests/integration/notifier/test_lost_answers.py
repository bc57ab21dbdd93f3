"""A mail server that answers the content late, or never: few resends, and no mail that waits behind one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from services.notifier.delivery.queue import SUPERSEDED
from shared.contracts.notices import NoticeEvent
from shared.contracts.tickets import TicketChange
from shared.postgres.pool import Pool
from tests.integration.notifier.test_claims import ids, mails, pool, replica, states, write  # noqa: F401 (fixtures)
from tests.support.notices import write_change
from tests.support.problems import ticket_event
from tests.support.sink import Sink
from tests.support.waiting import eventually

HOUR = timedelta(hours=1)


async def change(pool: Pool, kind: TicketChange, seq: int, every: timedelta = timedelta(0)) -> None:  # noqa: F811
    """What the notifier writes about one change of ticket 1."""
    facts = ticket_event(kind, seq=seq).data
    async with pool.acquire() as connection, connection.transaction():
        assert await write_change(connection, facts, datetime.now(UTC), every) is not None


async def mail_of(pool: Pool, seq: int) -> Any:  # noqa: F811
    """The mail about one change of ticket 1."""
    return await pool.fetchrow(
        "SELECT mail.*, due - clock_timestamp() AS pause FROM mail JOIN notice ON mail.id = notice.mail"
        " WHERE ticket = 1 AND seq = $1",
        seq,
    )


async def results(pool: Pool) -> list[tuple[str, str]]:  # noqa: F811
    rows = await pool.fetch("SELECT value FROM outbox ORDER BY id")
    events = [NoticeEvent.model_validate_json(row["value"]) for row in rows]
    return [(event.data.notice.rpartition("-")[0], event.data.result.value) for event in events]


async def lost(pool: Pool, times: int) -> Any:  # noqa: F811
    """Wait until this many answers were lost."""
    return await eventually(
        lambda: mail_of(pool, 1), lambda row: row["unanswered"] == times and not row["claimed_until"]
    )


async def test_a_late_answer_is_awaited_and_the_mail_is_sent_once(pool: Pool, mails: Sink) -> None:  # noqa: F811
    mails.answer_after = 2.0
    await write(pool, [1])
    async with replica(pool, mails, smtp_timeout_seconds=0.5), replica(pool, mails, smtp_timeout_seconds=0.5):
        await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    assert mails.contents == 1


async def test_after_a_lost_answer_the_next_resend_is_an_hour_away_and_further_each_time(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
) -> None:
    mails.on_mail = mails.hang_up
    await write(pool, [1])
    async with replica(pool, mails):
        for times, hours in enumerate((1, 4, 24, 72, 168, 168), 1):
            row = await lost(pool, times)
            assert timedelta(hours=hours) - timedelta(minutes=1) < row["pause"] <= timedelta(hours=hours)
            await asyncio.sleep(0.3)
            assert mails.contents == times
            await pool.execute("UPDATE mail SET due = now()")

    assert set(mails.ids()) == set(ids([1]))


async def test_an_answer_to_a_resend_ends_it(pool: Pool, mails: Sink) -> None:  # noqa: F811
    mails.on_mail = mails.hang_up
    await write(pool, [1])
    async with replica(pool, mails):
        await lost(pool, 1)
        mails.on_mail = lambda: None
        await pool.execute("UPDATE mail SET due = now()")
        await eventually(lambda: states(pool), lambda found: found == {1: "sent"})

    assert mails.ids() == ids([1]) * 2
    assert await results(pool) == [("1-1", "waiting"), ("1-1", "sent")]


async def test_later_mails_of_a_ticket_do_not_wait_for_a_lost_answer_and_end_its_resends(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
) -> None:
    mails.on_mail = mails.hang_up
    await write(pool, [1])
    async with replica(pool, mails, notifier_mail_every_seconds=0):
        await lost(pool, 1)
        mails.on_mail = lambda: None
        await change(pool, TicketChange.CLEARED, 2)
        await eventually(lambda: mail_of(pool, 2), lambda row: row["state"] == "sent")

    assert (await mail_of(pool, 1))["state"] == "dropped"
    assert await results(pool) == [("1-1", "waiting"), ("1-2", "sent"), ("1-1", "dropped")]
    assert SUPERSEDED in (
        await pool.fetchval("SELECT convert_from(value, 'UTF8') FROM outbox ORDER BY id DESC LIMIT 1")
    )


async def test_a_verdict_whose_answer_was_lost_is_sent_again_though_a_later_mail_went_out(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
) -> None:
    mails.on_mail = mails.hang_up
    await change(pool, TicketChange.VERDICT, 1)
    async with replica(pool, mails, notifier_mail_every_seconds=0):
        await lost(pool, 1)
        mails.on_mail = lambda: None
        await change(pool, TicketChange.GREW, 2)
        await eventually(lambda: mail_of(pool, 2), lambda row: row["state"] == "sent")
        assert (await mail_of(pool, 1))["state"] == "waiting"
        await pool.execute("UPDATE mail SET due = now() WHERE state = 'waiting'")
        await eventually(lambda: mail_of(pool, 1), lambda row: row["state"] == "sent")

    assert (mails.ids()[0], len(mails.ids()), len(set(mails.ids()))) == (mails.ids()[2], 3, 2)


async def test_a_mail_after_a_lost_answer_keeps_the_distance_of_an_hour(pool: Pool, mails: Sink) -> None:  # noqa: F811
    mails.on_mail = mails.hang_up
    await write(pool, [1])
    async with replica(pool, mails):
        await lost(pool, 1)
        await change(pool, TicketChange.CLEARED, 2, HOUR)
        row = await mail_of(pool, 2)

    assert timedelta(minutes=59) < row["pause"] <= HOUR


async def test_other_tickets_do_not_wait_for_a_lost_answer(pool: Pool, mails: Sink) -> None:  # noqa: F811
    mails.answer_after = 0.0

    def first_only() -> None:
        mails.hang_up()
        mails.on_mail = lambda: None

    mails.on_mail = first_only
    await write(pool, [1, 2, 3])
    async with replica(pool, mails):
        await eventually(lambda: states(pool), lambda found: list(found.values()).count("sent") == 2)

    assert (await states(pool))[1] == "waiting"

"""Old mails are pruned on a real Postgres, and no decision changes for it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from services.notifier.domain.decide import NoticeHistory
from services.notifier.store import notices as store
from services.notifier.store import retention
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.postgres.pool import Connection, Pool, open_pool
from shared.postgres.pruning import Retention
from shared.runtime.clock import SystemClock
from tests.support.notice_rig import NoticeRig
from tests.support.notices import HEAD, write_change
from tests.support.problems import policy, ticket_event

TICKETS = range(1, 31)
CHANGES = (
    TicketChange.OPENED,
    TicketChange.GREW,
    TicketChange.CLEARED,
    TicketChange.CLOSED,
    TicketChange.REOPENED,
    TicketChange.VERDICT,
    TicketChange.HELD,
)
CORD = {"key": "cord/new/proposal", "kind": "cord"}
_AGE = "UPDATE mail SET ended_at = ended_at - interval '500 days', created_at = created_at - interval '500 days'"
_AGE_NOTICES = "UPDATE notice SET created_at = created_at - interval '500 days'"


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


def pruner(pool: Pool) -> Retention:
    return Retention(partial(retention.prune, pool), timedelta(days=400), SystemClock(), batch=7)


async def live(pool: Pool, chance: random.Random, first_seq: int) -> None:
    """Twelve random changes of each ticket; between them some mails are sent or refused."""
    async with pool.acquire() as connection, connection.transaction():
        for seq in range(first_seq, first_seq + 12):
            for ticket in TICKETS:
                await change(connection, ticket, seq, chance)
            ended = chance.choice(("sent", "sent", "refused"))
            await connection.execute(
                "UPDATE mail SET state = $1, ended_at = clock_timestamp() WHERE state = 'waiting' AND random() < 0.5",
                ended,
            )


async def change(connection: Connection, ticket: int, seq: int, chance: random.Random) -> None:
    facts = ticket_event(chance.choice(CHANGES), ticket, seq).data
    outcome = chance.choice((None, TicketOutcome.RETRACTED))
    await write_change(connection, facts.model_copy(update={"outcome": outcome}), datetime.now(UTC), timedelta(0))


async def histories(pool: Pool) -> dict[int, NoticeHistory]:
    async with pool.acquire() as connection, connection.transaction():
        return {ticket: await store.history(connection, ticket_event(ticket=ticket).data, HEAD) for ticket in TICKETS}


async def test_pruning_changes_no_decision_and_leaves_little(pool: Pool) -> None:
    await live(pool, random.Random(7), 1)
    await pool.execute(_AGE)
    await pool.execute(_AGE_NOTICES)
    before, waiting = await histories(pool), await pool.fetch("SELECT id FROM mail WHERE state = 'waiting' ORDER BY id")
    written = await pool.fetchval("SELECT count(*) FROM notice")

    assert await pruner(pool).run_once() > 0

    assert await histories(pool) == before
    assert await pool.fetch("SELECT id FROM mail WHERE state = 'waiting' ORDER BY id") == waiting
    ended = "FROM notice JOIN mail ON mail.id = notice.mail WHERE state <> 'waiting'"
    assert await pool.fetchval(f"SELECT count(*) {ended} AND facts IS NOT NULL") == 0
    assert await pool.fetchval("SELECT count(*) FROM notice WHERE facts IS NULL") <= 3 * len(TICKETS) < written
    assert await pool.fetchval("SELECT count(*) FROM mail") == await pool.fetchval("SELECT count(*) FROM notice")
    assert await pruner(pool).run_once() == 0


async def test_the_time_of_the_last_mail_stays_where_an_older_one_ended_last(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        for seq in (1, 2):
            facts = ticket_event(TicketChange.REOPENED if seq > 1 else TicketChange.OPENED, 1, seq).data
            await write_change(connection, facts, datetime.now(UTC), timedelta(0))
            await connection.execute(
                "UPDATE mail SET state = 'sent', ended_at = clock_timestamp() WHERE state = 'waiting'"
            )
        await connection.execute(
            "UPDATE mail SET ended_at = ended_at + interval '1 minute' WHERE id = (SELECT min(id) FROM mail)"
        )
    await pool.execute(_AGE)
    before = await histories(pool)

    await pruner(pool).run_once()

    assert await histories(pool) == before


async def test_mails_that_ended_lately_stay(pool: Pool) -> None:
    await live(pool, random.Random(7), 1)
    await pool.execute("UPDATE mail SET state = 'sent', ended_at = clock_timestamp() WHERE state = 'waiting'")
    written = await pool.fetchval("SELECT count(*) FROM notice WHERE facts IS NOT NULL")

    assert await pruner(pool).run_once() == 0

    assert await pool.fetchval("SELECT count(*) FROM notice WHERE facts IS NOT NULL") == written > 0


async def test_closed_tickets_and_reports_of_long_ago_are_forgotten(pool: Pool) -> None:
    rig = await NoticeRig(pool, policy(), datetime(2026, 3, 4, 12, tzinfo=UTC)).begin()
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.WONT_FIX}
    await rig.handle(
        ticket_event(**CORD),
        ticket_event(ticket=2, **CORD),
        ticket_event(TicketChange.CLOSED, ticket=2, seq=2, **CORD, **closed),
    )
    await rig.at(datetime(2026, 3, 9, 12, tzinfo=UTC))
    await rig.send()
    await pool.execute(_AGE)
    await pool.execute("UPDATE ticket_now SET known_at = known_at - interval '500 days'")
    await pool.execute("UPDATE cord_wait SET pulled_at = pulled_at - interval '500 days'")
    await pool.execute("UPDATE report SET due = due - interval '500 days'")

    assert await pruner(pool).run_once() > 0

    assert [row["ticket"] for row in await pool.fetch("SELECT ticket FROM ticket_now")] == [1]
    assert [row["ticket"] for row in await pool.fetch("SELECT ticket FROM cord_wait")] == [1]
    assert await pool.fetchval("SELECT count(*) FROM report") == 0
    assert await pool.fetchval("SELECT count(*) FROM mail WHERE report IS NOT NULL") == 0
    assert await pruner(pool).run_once() == 0

"""A dialogue that breaks at any step, before two replicas: nothing is lost, and never more goes out than promised."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import TicketChange
from shared.postgres.pool import Pool
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.integration.notifier.test_claims import mails  # noqa: F401 (fixture)
from tests.integration.notifier.test_smtp_faults import BOTH, all_sent, pool, sending, written  # noqa: F401 (fixture)
from tests.support.notices import handler_of, writer_of
from tests.support.problems import day, policy, ticket_event
from tests.support.sink import Sink
from tests.support.smtp_wire import SmtpFault, SmtpStep, smtp_wire
from tests.support.waiting import eventually

BREAKS = 2
QUICK: dict[str, Any] = {"smtp_timeout_seconds": 0.5, "smtp_accept_seconds": 0.5}
SPAN = timedelta(seconds=2)
OVER = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
FLAPS = (TicketChange.GREW, TicketChange.CLEARED, TicketChange.REOPENED)
TICKETS = (1, 2, 3)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        *((step, SmtpFault.ABORT) for step in SmtpStep),
        (SmtpStep.DATA, SmtpFault.SILENCE),
        (SmtpStep.ANSWER, SmtpFault.SILENCE),
        (SmtpStep.CONNECT, SmtpFault.NONSENSE),
        (SmtpStep.ANSWER, SmtpFault.NONSENSE),
    ],
)
async def test_a_dialogue_that_breaks_loses_no_mail_and_repeats_only_what_may_have_arrived(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
    step: SmtpStep,
    fault: SmtpFault,
) -> None:
    await written(pool)
    async with smtp_wire(mails.port, step, fault, BREAKS) as (wire, port):
        async with sending(pool, mails, smtp_port=port, **QUICK):
            await all_sent(pool)
        assert wire.left == 0

    by_id = {str(mail["Message-ID"]): mail.as_bytes() for mail in mails.mails}
    assert {str(mail["To"].addresses[0].addr_spec) for mail in mails.mails} == set(BOTH)
    assert len(by_id) == 2
    assert len(mails.mails) == 2 + (BREAKS if step is SmtpStep.ANSWER else 0)
    assert all(by_id[str(mail["Message-ID"])] == mail.as_bytes() for mail in mails.mails)


# Not within the content: where its end was sent before the client sees the break, it waits for an hour.
@pytest.mark.parametrize("step", [SmtpStep.MAIL, SmtpStep.RCPT])
async def test_a_problem_that_flaps_is_one_mail_per_span_through_breaks_and_two_replicas(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
    step: SmtpStep,
) -> None:
    arrived: list[float] = []
    mails.on_mail = lambda: arrived.append(time.time())
    changes = 1 + 15
    async with smtp_wire(mails.port, step, SmtpFault.ABORT, 0) as (wire, port):
        given = QUICK | {"smtp_port": port, "notifier_mail_every_seconds": int(SPAN.total_seconds())}
        async with sending(pool, mails, policy(), **given):
            for seq in range(1, changes + 1):
                await flap(pool, seq)
                if seq == 1:
                    await eventually(lambda: asyncio.sleep(0, len(arrived)), lambda found: found == len(TICKETS))
                    wire.left = BREAKS
                await asyncio.sleep(0.3)

            async def waiting() -> int:
                found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE state = 'waiting'")
                return found

            await eventually(waiting, lambda found: found == 0)
        assert wire.left == 0

    for number in TICKETS:
        mine = [at for at, mail in zip(arrived, mails.mails, strict=True) if f"ticket-{number}-" in mail["Message-ID"]]
        assert len(mine) > 1
        assert all(later - earlier >= SPAN.total_seconds() for earlier, later in pairwise(mine))
    assert len(set(mails.ids())) == len(mails.ids())
    covered = await pool.fetch("SELECT ticket, sum(covered) AS covered FROM notice WHERE NOT dropped GROUP BY ticket")
    assert {row["ticket"]: row["covered"] for row in covered} == dict.fromkeys(TICKETS, changes)


async def flap(pool: Pool, seq: int) -> None:  # noqa: F811
    """One change of each ticket."""
    change = TicketChange.OPENED if seq == 1 else FLAPS[seq % 3]
    over: dict[str, Any] = {"problem": OVER} if change is TicketChange.CLEARED else {}
    handler = handler_of(writer_of(policy(), SPAN))
    for number in TICKETS:
        event = ticket_event(change, number, seq, at=day(seq), **over)
        async with PostgresTransactions(pool).begin() as transaction:
            await handler.handle(transaction, [Received(None, event)])  # type: ignore[arg-type]

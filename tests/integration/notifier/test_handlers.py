"""What the notifier makes of changes whose numbers are not enough, on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import Actor, TicketChange, TicketEvent, TicketOutcome, TicketState
from shared.policy import Policy, parse
from shared.postgres.pool import Pool, open_pool
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.support.notices import handler_of, writer_of
from tests.support.problems import POLICY, day, policy, ticket_event

MAILS = """
SELECT reason, state, facts ->> 'key' AS key FROM notice JOIN mail ON mail.id = notice.mail
WHERE NOT dropped ORDER BY notice.id
"""
SEND = "UPDATE mail SET state = 'sent', ended_at = clock_timestamp() WHERE state = 'waiting'"
OVER = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
OTHER: dict[str, Any] = {"key": "wip-high/new/lead", "kind": "wip-high", "stage": "lead", "stage_name": "Lead"}


class Notices:
    """The notices of one database."""

    def __init__(self, pool: Pool, rules: Policy | None = None) -> None:
        self._pool = pool
        self._handler = handler_of(writer_of(rules or policy()))

    async def handle(self, *events: TicketEvent) -> None:
        """Each change in a batch of its own."""
        for event in events:
            async with PostgresTransactions(self._pool).begin() as transaction:
                await self._handler.handle(transaction, [Received(None, event)])  # type: ignore[arg-type]

    async def send(self) -> None:
        await self._pool.execute(SEND)

    async def mails(self) -> list[tuple[str, str]]:
        """Reason and state of the mails that were not dropped, in order."""
        return [(row["reason"], row["state"]) for row in await self._pool.fetch(MAILS)]

    async def keys(self) -> list[str]:
        """The problem of each of them."""
        return [row["key"] for row in await self._pool.fetch(MAILS)]

    async def count(self, what: str) -> int:
        found: int = await self._pool.fetchval(f"SELECT count(*) FROM {what}")
        return found


@pytest.fixture
async def notices(dsn: str) -> AsyncIterator[Notices]:
    pool = await open_pool(dsn, "notices")
    yield Notices(pool)
    await pool.close()


def by_person(change: TicketChange, seq: int, state: TicketState, **fields: Any) -> TicketEvent:
    return ticket_event(change, seq=seq, actor=Actor.PERSON, state=state, at=day(seq), **fields)


CLOSED = by_person(TicketChange.CLOSED, 2, TicketState.CLOSED, outcome=TicketOutcome.WONT_FIX)


async def test_a_problem_that_gets_the_number_of_a_forgotten_ticket_is_mailed(notices: Notices) -> None:
    await notices.handle(ticket_event(), ticket_event(TicketChange.GREW, seq=2, at=day(1)))
    await notices.send()

    other = ticket_event(**OTHER, opened_at=day(3), at=day(3))
    await notices.handle(
        other, ticket_event(TicketChange.CLEARED, seq=2, problem=OVER, opened_at=day(3), at=day(4), **OTHER)
    )

    assert await notices.keys() == ["aging/new/proposal", "wip-high/new/lead"]
    assert await notices.count("thread") == 2


async def test_a_ticket_that_was_opened_anew_under_its_old_number_is_mailed(notices: Notices) -> None:
    await notices.handle(ticket_event())
    await notices.send()

    await notices.handle(ticket_event(opened_at=day(3), at=day(3)))

    assert await notices.mails() == [("opened", "sent"), ("opened", "waiting")]


async def test_the_same_changes_again_are_mailed_once(notices: Notices) -> None:
    """Kafka still holds what Postgres has forgotten, and the restored services publish it once more."""
    changes = [ticket_event(), ticket_event(TicketChange.GREW, seq=2, at=day(1))]
    await notices.handle(*changes)
    await notices.send()

    await notices.handle(*changes, *changes)

    assert await notices.mails() == [("opened", "sent")]


async def test_a_change_that_gets_the_number_of_a_forgotten_one_is_mailed(notices: Notices) -> None:
    """A person's change was forgotten, so the ticket counts on from before it."""
    await notices.handle(ticket_event(), CLOSED, by_person(TicketChange.UNDONE, 3, TicketState.OPEN))
    await notices.handle(ticket_event(TicketChange.GREW, seq=4, at=day(4)))
    await notices.send()

    await notices.handle(ticket_event(TicketChange.CLEARED, seq=2, problem=OVER, at=day(5)))

    assert (await notices.mails())[-1] == ("cleared", "waiting")


@pytest.mark.parametrize("change", [TicketChange.UNDONE, TicketChange.REOPENED])
async def test_the_first_mail_of_a_ticket_that_is_opened_again_goes_out(notices: Notices, change: TicketChange) -> None:
    await notices.handle(ticket_event(), CLOSED)
    assert await notices.mails() == []

    reopened = by_person(change, 3, TicketState.OPEN)
    await notices.handle(reopened, reopened)

    assert await notices.mails() == [("opened", "waiting")]
    await notices.handle(by_person(TicketChange.CLOSED, 4, TicketState.CLOSED, outcome=TicketOutcome.WONT_FIX))
    assert await notices.mails() == []
    await notices.handle(by_person(TicketChange.UNDONE, 5, TicketState.OPEN))
    assert await notices.mails() == [("opened", "waiting")]


async def test_what_was_reported_is_not_reported_again_when_a_person_opens_the_ticket(notices: Notices) -> None:
    await notices.handle(ticket_event())
    await notices.send()

    await notices.handle(CLOSED, by_person(TicketChange.REOPENED, 3, TicketState.ACKNOWLEDGED))

    assert await notices.mails() == [("opened", "sent")]


async def test_a_reopening_that_is_taken_back_drops_its_mail(notices: Notices) -> None:
    await notices.handle(ticket_event(), CLOSED, by_person(TicketChange.REOPENED, 3, TicketState.ACKNOWLEDGED))

    await notices.handle(by_person(TicketChange.UNDONE, 4, TicketState.CLOSED, outcome=TicketOutcome.WONT_FIX))

    assert await notices.mails() == []


async def test_a_mail_that_waits_again_says_when_its_problem_is_over(notices: Notices) -> None:
    await notices.handle(ticket_event(), CLOSED, by_person(TicketChange.UNDONE, 3, TicketState.OPEN))

    await notices.handle(ticket_event(TicketChange.CLEARED, seq=4, problem=OVER, at=day(4)))

    assert await notices.mails() == [(NoticeReason.OPENED_AND_CLEARED.value, "waiting")]


@pytest.mark.parametrize(
    ("pipelines", "owner"),
    [(("renewals",), "care@sales.example"), (("renewals", "new"), "head@sales.example"), ((), "head@sales.example")],
)
async def test_a_silent_source_is_mailed_to_the_owner_of_a_pipeline_with_its_deals(
    dsn: str, pipelines: tuple[str, ...], owner: str
) -> None:
    second = """
  renewals:
    name: Renewals
    owner: {name: Head of care, mail: care@sales.example}
    stages: [{id: asked, name: Asked}]
"""
    pool = await open_pool(dsn, "notices")
    facts = {"key": "silence/crm", "kind": "silence", "pipeline": "", "stage": None, "source": "crm"}
    await Notices(pool, parse(POLICY + second)).handle(ticket_event(**facts, pipelines=pipelines))

    assert [row["to_mail"] for row in await pool.fetch("SELECT to_mail FROM mail")] == [owner]
    await pool.close()

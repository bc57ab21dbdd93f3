"""Several recipients of a pipeline: each gets a mail and a thread of their own, when and as they want it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.domain.readers import MailPace
from shared.contracts.notices import NoticeReason
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.policy import parse
from shared.postgres.pool import open_pool
from tests.support.notice_rig import NoticeRig
from tests.support.problems import POLICY, day, ticket_event

RECIPIENTS = """
    recipients:
      - {name: Deputy, mail: deputy@sales.example, role: deputy, notices: [opened, verdict, weekly-report]}
      - {name: Night owl, mail: owl@sales.example, role: night shift, timezone: America/New_York,
         quiet: {from: "06:00", to: "18:00"}, quiet_for: all-but-urgent}
"""
OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
RULES = parse(POLICY.replace(OWNER, OWNER + RECIPIENTS))
# Wednesday, 13:00 in Berlin and 7:00 in New York.
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
CORD = {"key": "cord/new/proposal", "kind": "cord"}


@pytest.fixture
async def rig(dsn: str) -> AsyncIterator[NoticeRig]:
    pool = await open_pool(dsn, "notices")
    yield await NoticeRig(pool, RULES, NOON).begin()
    await pool.close()


async def test_each_recipient_gets_a_mail_and_a_thread(rig: NoticeRig) -> None:
    await rig.handle(ticket_event(), ticket_event())

    assert await rig.mails() == [
        ("opened", "head", "waiting"),
        ("opened", "deputy", "waiting"),
        ("opened", "owl", "waiting"),
    ]
    ids = [row["message_id"] for row in await rig.pool.fetch("SELECT message_id FROM mail")]
    threads = [row["message_id"] for row in await rig.pool.fetch("SELECT message_id FROM thread ORDER BY id")]
    assert len(set(ids)) == 3
    assert threads == ids


async def test_a_recipient_gets_only_the_reasons_of_the_policy(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())
    await rig.send()
    rig.clock.at += timedelta(hours=2)
    await rig.handle(ticket_event(TicketChange.GREW, seq=2, at=day(1)))

    assert (await rig.mails())[3:] == [("grew", "head", "waiting"), ("grew", "owl", "waiting")]


async def test_a_mail_that_waits_says_how_things_are_wanted_or_not(rig: NoticeRig) -> None:
    over = ProblemInterval(opened_at=day(0), cleared_at=day(1), peak=12)
    await rig.handle(ticket_event(), ticket_event(TicketChange.CLEARED, seq=2, problem=over, at=day(1)))

    assert {about for about, _, _ in await rig.mails()} == {"opened-and-cleared"}


async def test_a_mail_that_falls_into_quiet_hours_is_due_at_their_end(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())

    assert [await rig.due_in(number) for number in range(3)] == [timedelta(0), timedelta(0), timedelta(hours=11)]


async def test_an_urgent_mail_goes_out_in_quiet_hours_that_allow_it(rig: NoticeRig) -> None:
    await rig.handle(ticket_event(**CORD))

    assert await rig.mails() == [("cord", "head", "waiting"), ("cord", "owl", "waiting")]
    assert await rig.due_in(1) == timedelta(0)


async def test_an_urgent_matter_hastens_the_mail_that_waits_for_the_end_of_quiet_hours(rig: NoticeRig) -> None:
    await rig.handle(ticket_event(), ticket_event(TicketChange.PULLED, seq=2, at=day(1)))

    assert [(about, to) for about, to, _ in await rig.mails()][2] == ("cord", "owl")
    assert await rig.due_in(2) == timedelta(0)


async def test_a_verdict_outlives_the_closing_of_its_ticket(rig: NoticeRig) -> None:
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.VERIFIED}
    await rig.handle(
        ticket_event(TicketChange.VERDICT, seq=7, at=day(2), **closed),
        ticket_event(TicketChange.CLOSED, seq=8, at=day(2), **closed),
    )

    assert {about for about, _, _ in await rig.mails()} == {"verdict"}


async def test_a_verdict_that_is_taken_back_is_told_to_those_who_heard_it(rig: NoticeRig) -> None:
    closed = {"state": TicketState.CLOSED, "outcome": TicketOutcome.VERIFIED}
    await rig.handle(ticket_event(TicketChange.VERDICT, seq=7, at=day(2), **closed))
    await rig.pool.execute("UPDATE mail SET state = 'sent', ended_at = $1 WHERE to_mail LIKE 'head%'", NOON)
    rig.clock.at += timedelta(hours=2)
    await rig.handle(ticket_event(TicketChange.VERIFYING, seq=8, at=day(3), state=TicketState.VERIFYING))

    assert [one for one in await rig.mails() if one[2] == "waiting"] == [("verdict", "head", "waiting")]


async def test_the_beginning_of_a_study_is_no_news(rig: NoticeRig) -> None:
    await rig.handle(
        ticket_event(TicketChange.STARTED, seq=6, at=day(1), state=TicketState.DOING),
        ticket_event(TicketChange.VERIFYING, seq=7, at=day(2), state=TicketState.VERIFYING),
    )

    assert await rig.mails() == []


async def test_a_reader_who_unsubscribes_gets_nothing_that_waits_and_others_do(rig: NoticeRig) -> None:
    await rig.handle(ticket_event())
    await rig.pool.execute("UPDATE mail SET answer = '451 later'")

    assert await rig.preferences.choose("head@sales.example", None, MailPace.OFF, None)
    await rig.handle(ticket_event(ticket=2))

    assert [(to, state) for _, to, state in await rig.mails()] == [
        ("head", "dropped"),
        ("deputy", "waiting"),
        ("owl", "waiting"),
        ("deputy", "waiting"),
        ("owl", "waiting"),
    ]
    assert await rig.results() == [("opened", "dropped", "owner")]


async def test_a_reader_takes_one_mail_per_ticket_each_morning(rig: NoticeRig) -> None:
    """The urgent ones, too."""
    assert await rig.preferences.choose("head@sales.example", None, MailPace.DAILY, None)
    await rig.handle(ticket_event(), ticket_event(ticket=2, **CORD))
    rig.clock.at += timedelta(hours=5)
    await rig.handle(ticket_event(TicketChange.GREW, seq=2, at=day(1)))

    rows = [row for row in await rig.rows() if row["to_mail"].startswith("head")]
    assert [(row["about"], row["due"]) for row in rows] == [
        ("opened", datetime(2026, 3, 5, 7, tzinfo=UTC)),
        ("cord", datetime(2026, 3, 5, 7, tzinfo=UTC)),
    ]


async def test_a_reader_switches_one_reason_off(rig: NoticeRig) -> None:
    off = {NoticeReason.OPENED}
    assert await rig.preferences.choose("head@sales.example", 1, MailPace.AT_ONCE, off)
    assert not await rig.preferences.choose("head@sales.example", 1, MailPace.OFF, set())
    await rig.handle(ticket_event(), ticket_event(TicketChange.CLOSED, seq=2, state=TicketState.CLOSED))
    await rig.handle(ticket_event(TicketChange.REOPENED, seq=3, at=day(3)))

    assert [(about, to) for about, to, state in await rig.mails() if to == "head"] == [("reopened", "head")]

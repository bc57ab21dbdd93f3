"""Quiet hours over a change of the clock, with a real mail server: what comes in the night is one mail at their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notifier.delivery.sender import Sender
from shared.contracts.tickets import TicketChange
from shared.policy import Policy, parse
from shared.postgres.pool import Pool, open_pool
from tests.integration.notifier.test_claims import mails  # noqa: F401 (fixture)
from tests.integration.notifier.test_smtp_faults import OWNER, once, sending
from tests.support.notice_rig import NoticeRig
from tests.support.problems import POLICY, day, ticket_event
from tests.support.sink import Sink
from tests.support.waiting import eventually

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = timedelta(seconds=1)
# Years ahead: the database's own clock, which it spaces mails by, is behind all of it.
SPRING, AUTUMN, PLAIN = datetime(2035, 3, 24), datetime(2035, 10, 27), datetime(2035, 6, 2)  # noqa: DTZ001


def rules(begin: str, end: str) -> Policy:
    """The owner has quiet hours, the deputy none."""
    quiet = f', timezone: Europe/Berlin, quiet: {{from: "{begin}", to: "{end}"}}}}'
    deputy = "\n    recipients: [{name: Deputy, mail: deputy@sales.example, role: deputy}]"
    return parse(POLICY.replace(OWNER, OWNER.removesuffix("}") + quiet + deputy))


def local(day_before: datetime, hours: float, fold: int = 0) -> datetime:
    """An instant so many hours after that midnight, by the wall clock of Berlin."""
    return (day_before + timedelta(hours=hours)).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


def sent_to(mails: Sink, name: str) -> list[str]:  # noqa: F811
    """The texts that a recipient got."""
    mine = [mail for mail in mails.mails if str(mail["To"].addresses[0].addr_spec).startswith(name)]
    return [str(mail.get_body(("plain",)).get_content()) for mail in mine]  # type: ignore[union-attr, unused-ignore]


@pytest.mark.parametrize(
    ("before", "length"), [(SPRING, 13), (AUTUMN, 15), (PLAIN, 14)], ids=["spring", "autumn", "plain"]
)
async def test_a_night_has_an_hour_less_or_more_and_ends_with_one_mail(
    pool: Pool,
    mails: Sink,  # noqa: F811
    before: datetime,
    length: int,
) -> None:
    begin, end = local(before, 18), local(before, 32)
    assert end - begin == timedelta(hours=length)
    quiet = rules("18:00", "08:00")
    rig = await NoticeRig(pool, quiet, begin).begin()
    async with sending(pool, mails, quiet, rig.clock) as senders:
        await rig.handle(ticket_event())
        await eventually(lambda: asyncio.sleep(0, sent_to(mails, "deputy")))
        rig.clock.at = end - SECOND
        await rig.handle(ticket_event(TicketChange.GREW, seq=2, at=day(1)), ticket_event(ticket=2))
        await look(senders, mails, "deputy", 3)
        assert sent_to(mails, "head") == []

        rig.clock.at = end
        await look(senders, mails, "head", 2)

    texts = sent_to(mails, "head")
    assert sorted("it grew to 12 deals" in text for text in texts) == [False, True]
    assert len(set(mails.ids())) == len(mails.ids())


@pytest.mark.parametrize(
    ("before", "at", "end"),
    [
        # The clock jumps from 2:00 to 3:00, into and out of quiet hours.
        (SPRING, local(SPRING, 25.75), local(SPRING, 27)),
        # It shows 2:15 twice: quiet twice, and loud between.
        (AUTUMN, local(AUTUMN, 26.25), local(AUTUMN, 26.5)),
        (AUTUMN, local(AUTUMN, 26.25, fold=1), local(AUTUMN, 26.5, fold=1)),
    ],
    ids=["skipped", "first", "second"],
)
async def test_quiet_hours_within_the_change_of_the_clock(
    pool: Pool,
    mails: Sink,  # noqa: F811
    before: datetime,
    at: datetime,
    end: datetime,
) -> None:
    quiet = rules("01:30" if before is SPRING else "02:00", "02:30")
    rig = await NoticeRig(pool, quiet, at).begin()
    async with sending(pool, mails, quiet, rig.clock) as senders:
        await rig.handle(ticket_event())
        await look(senders, mails, "deputy", 1)
        rig.clock.at = end - SECOND
        await rig.handle(ticket_event(ticket=2))
        await look(senders, mails, "deputy", 2)
        assert sent_to(mails, "head") == []

        rig.clock.at = end
        await look(senders, mails, "head", 2)


async def test_attempts_of_a_server_that_is_down_into_the_night_begin_again_in_the_morning(
    pool: Pool,
    mails: Sink,  # noqa: F811
) -> None:
    quiet = rules("18:00", "08:00")
    end_of_outage = once(mails, "MAIL", "451 4.3.0 later")
    rig = await NoticeRig(pool, quiet, local(SPRING, 17.99)).begin()
    async with sending(pool, mails, quiet, rig.clock) as senders:
        await rig.handle(ticket_event())

        async def failed() -> int:
            found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE answer IS NOT NULL")
            return found

        await eventually(failed, lambda found: found == 2)
        rig.clock.at = local(SPRING, 18.5)
        end_of_outage()
        await look(senders, mails, "deputy", 1)
        assert sent_to(mails, "head") == []
        due = await pool.fetchval("SELECT due FROM mail WHERE to_mail LIKE 'head%'")
        assert due == local(SPRING, 32)

        rig.clock.at = due
        await look(senders, mails, "head", 1)

    assert len(mails.mails) == 2


async def look(senders: list[Sender], mails: Sink, name: str, count: int) -> None:  # noqa: F811
    """Let the senders look until a recipient has that many mails; all that was due with them is out, too."""

    async def found() -> int:
        for sender in senders:
            sender.wake.set()
        return len(sent_to(mails, name))

    await eventually(found, lambda number: number == count)

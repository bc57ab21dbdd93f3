"""A problem that comes and goes: at most one mail per ticket and hour, and the later one says what changed."""

from __future__ import annotations

from datetime import timedelta

from shared.contracts.tickets import TicketChange
from shared.postgres.pool import Pool
from tests.integration.notifier.test_claims import all_sent, mails, pool, replica, states, write  # noqa: F401 (fixtures)
from tests.integration.notifier.test_lost_answers import HOUR, change, mail_of
from tests.support.sink import Sink
from tests.support.waiting import eventually

FLAPS = (TicketChange.CLEARED, TicketChange.REOPENED, TicketChange.GREW) * 10


async def flap(pool: Pool, seq: int) -> int:  # noqa: F811
    for kind in FLAPS:
        seq += 1
        await change(pool, kind, seq, HOUR)
    return seq


async def test_whatever_changes_within_the_hour_goes_out_as_one_mail(pool: Pool, mails: Sink) -> None:  # noqa: F811
    await write(pool, [1])
    async with replica(pool, mails):
        await all_sent(pool, [1])
        seq = await flap(pool, 1)
        waiting = await pool.fetch("SELECT due - now() AS pause FROM mail WHERE state = 'waiting'")
        assert len(mails.raw) == len(waiting) == 1
        assert timedelta(minutes=59) < waiting[0]["pause"] <= HOUR
        await pool.execute("UPDATE mail SET ended_at = ended_at - interval '61 minutes' WHERE state = 'sent'")
        await pool.execute("UPDATE mail SET due = now() WHERE state = 'waiting'")
        await eventually(lambda: mail_of(pool, 2), lambda row: row["state"] == "sent")
        await change(pool, TicketChange.CLEARED, seq + 1, HOUR)
        pause = (await mail_of(pool, seq + 1))["pause"]

    text = mails.mails[1].get_body(("plain",)).get_content()  # type: ignore[union-attr, unused-ignore]
    assert "The problem has come back." in text
    assert f"earlier changes, not listed: {len(FLAPS) - 8}" in text
    assert (text.count("it was over"), text.count("it came back"), text.count("it grew")) == (2, 3, 3)
    assert mails.mails[0]["Subject"] == mails.mails[1]["Subject"]
    assert timedelta(minutes=59) < pause <= HOUR


async def test_a_mail_that_was_sent_late_holds_back_the_next_one_for_its_hour(pool: Pool, mails: Sink) -> None:  # noqa: F811
    """The next one was written while the first was on its way, with an hour counted from then."""
    await write(pool, [1])
    mails.answers["RCPT"] = "451 come later"
    async with replica(pool, mails):
        await eventually(lambda: mail_of(pool, 1), lambda row: row["attempts"] > 0)
        await pool.execute("UPDATE mail SET unanswered = 1")
        await change(pool, TicketChange.CLEARED, 2, timedelta(minutes=1))
        mails.answers.clear()
        await pool.execute("UPDATE mail SET due = now() WHERE due < now() + interval '30 seconds'")
        await eventually(lambda: mail_of(pool, 1), lambda row: row["state"] == "sent")
        row = await mail_of(pool, 2)

    assert timedelta(minutes=59) < row["pause"] <= HOUR
    assert row["due"] == row["wanted_at"]

"""A fault at each step of the SMTP dialogue: each recipient gets the mail, with the same Message-ID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.app import build_sender
from services.notifier.delivery.sender import Sender
from services.notifier.metrics import NotifierMetrics
from services.notifier.settings import NotifierSettings
from shared.policy import Policy, parse
from shared.postgres.pool import Pool, open_pool
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.health import Progress
from tests.integration.notifier.test_claims import mails  # noqa: F401 (fixture)
from tests.support.notice_rig import LINKS, NoticeRig
from tests.support.problems import POLICY, ticket_event
from tests.support.sink import Sink
from tests.support.waiting import eventually

OWNER = "owner: {name: Head of new business, mail: head@sales.example}"
MORE = "\n    recipients: [{name: Deputy, mail: deputy@sales.example, role: deputy}]"
RULES = parse(POLICY.replace(OWNER, OWNER + MORE))
BOTH = ["deputy@sales.example", "head@sales.example"]


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


@asynccontextmanager
async def sending(
    pool: Pool,
    mails: Sink,  # noqa: F811
    rules: Policy = RULES,
    clock: Clock | None = None,
    **given: Any,
) -> AsyncIterator[list[Sender]]:
    """Two senders at work. `given`: settings."""
    settings, now = NotifierSettings(**({"smtp_port": mails.port} | given)), clock or SystemClock()
    senders = [
        build_sender(settings, pool, rules, LINKS, NotifierMetrics(CollectorRegistry()), Progress(), now, lambda: None)
        for _ in range(2)
    ]
    tasks = [asyncio.ensure_future(sender.run()) for sender in senders]
    try:
        yield senders
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def written(pool: Pool, rules: Policy = RULES) -> NoticeRig:
    rig = await NoticeRig(pool, rules, SystemClock().now()).begin()
    await rig.handle(ticket_event())
    return rig


async def all_sent(pool: Pool) -> None:
    """Until nothing waits; what was put off is made due."""

    async def waiting() -> int:
        await pool.execute("UPDATE mail SET due = now() WHERE state = 'waiting' AND claimed_until IS NULL")
        found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE state = 'waiting'")
        return found

    await eventually(waiting, lambda found: found == 0)


def once(mails: Sink, step: str, answer: str) -> Callable[[], None]:  # noqa: F811
    """The server answers so until this is called."""
    if step == "content":
        mails.answer = lambda raw: answer
    else:
        mails.answers[step] = answer

    def end() -> None:
        mails.answers.clear()
        mails.answer = lambda raw: "250 kept"

    return end


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "content"])
@pytest.mark.parametrize("answer", ["421 going down", "451 4.3.0 later", "502 unknown"])
async def test_an_answer_that_may_pass_delays_the_mail_and_loses_nothing(
    pool: Pool,
    mails: Sink,  # noqa: F811
    step: str,
    answer: str,
) -> None:
    end = once(mails, step, answer)
    rig = await written(pool)
    async with sending(pool, mails):

        async def tried() -> int:
            found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE answer IS NOT NULL")
            return found

        await eventually(tried, bool)
        end()
        await all_sent(pool)

    assert sorted(str(mail["To"].addresses[0].addr_spec) for mail in mails.mails) == BOTH
    assert len(set(mails.ids())) == 2
    assert {state for _, _, state in await rig.mails()} == {"sent"}


async def test_a_line_that_breaks_after_the_content_resends_the_same_mail(pool: Pool, mails: Sink) -> None:  # noqa: F811
    mails.on_mail = mails.hang_up
    await written(pool)
    async with sending(pool, mails):

        async def unanswered() -> int:
            found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE unanswered > 0 AND claimed_until IS NULL")
            return found

        await eventually(unanswered, lambda found: found == 2)
        mails.on_mail = lambda: None
        await all_sent(pool)

    assert len(mails.ids()) == 4
    assert len(set(mails.ids())) == 2
    by_id = {str(mail["Message-ID"]): mail.as_bytes() for mail in mails.mails}
    assert all(by_id[str(mail["Message-ID"])] == mail.as_bytes() for mail in mails.mails)


async def test_an_attempt_that_falls_into_quiet_hours_waits_for_their_end(pool: Pool, mails: Sink) -> None:  # noqa: F811
    """It was written before they began, and the server was down."""
    begun = SystemClock().now() - timedelta(hours=1)
    quiet = f'quiet: {{from: "{begun:%H:%M}", to: "{begun + timedelta(hours=3):%H:%M}"}}, timezone: UTC'
    await written(pool)
    rules = parse(POLICY.replace(OWNER, OWNER.replace("}", f", {quiet}}}") + MORE))
    async with sending(pool, mails, rules):

        async def sent() -> int:
            found: int = await pool.fetchval("SELECT count(*) FROM mail WHERE state = 'sent'")
            return found

        await eventually(sent, lambda found: found == 1)

        async def postponed() -> bool:
            found: bool = await pool.fetchval(
                "SELECT due > now() + interval '1 hour' AND attempts = 0 AND claimed_until IS NULL AND wanted_at = due"
                " FROM mail WHERE state = 'waiting'"
            )
            return found

        await eventually(postponed)

    assert [str(mail["To"].addresses[0].addr_spec) for mail in mails.mails] == ["deputy@sales.example"]


async def test_mails_name_a_return_path_of_their_own(pool: Pool, mails: Sink) -> None:  # noqa: F811
    senders: list[str] = []

    async def note(server: object, session: object, envelope: object, address: str, options: list[str]) -> str:
        senders.append(address)
        envelope.mail_from = address  # type: ignore[attr-defined]
        return "250 OK"

    mails.handle_MAIL = note  # type: ignore[method-assign]
    await written(pool)
    async with sending(pool, mails):
        await all_sent(pool)

    rows = await pool.fetch("SELECT id FROM mail ORDER BY id")
    assert sorted(filter(None, map(LINKS.mail_of, senders))) == [row["id"] for row in rows]

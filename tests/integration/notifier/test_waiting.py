"""Any fault between us and the mail server: mails wait, show it on their tickets, and are sent in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from shared.contracts.notices import NoticeEvent
from shared.postgres.pool import Pool
from tests.integration.notifier.test_claims import all_sent, mails, pool, replica, sender_of, states, write  # noqa: F401 (fixtures)
from tests.support.certificates import Authority
from tests.support.sink import Sink, sink
from tests.support.waiting import eventually


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    with capture_logs() as lines:
        yield lines


async def details(pool: Pool) -> dict[int, list[tuple[str, str | None]]]:  # noqa: F811
    """The results of each ticket's mail, in order."""
    found: dict[int, list[tuple[str, str | None]]] = {}
    for row in await pool.fetch("SELECT value FROM outbox ORDER BY id"):
        data = NoticeEvent.model_validate_json(row["value"]).data
        found.setdefault(data.ticket, []).append((data.result.value, data.detail))
    return found


async def tried(pool: Pool, times: int) -> None:  # noqa: F811
    """Wait for this many attempts in all, and let the next ones come at once."""

    async def attempts() -> int:
        await pool.execute("UPDATE mail SET due = now() WHERE claimed_until IS NULL")
        return int(await pool.fetchval("SELECT sum(attempts) FROM mail WHERE claimed_until IS NULL") or 0)

    await eventually(attempts, lambda found: found >= times, 90)


@pytest.mark.parametrize("case", ["private CA", "expired", "another name"])
async def test_mails_wait_for_a_certificate_that_verifies(
    pool: Pool,  # noqa: F811
    case: str,
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    wrong = authority.server("127.0.0.9" if case == "another name" else "127.0.0.1", ended=case == "expired")
    with sink(wrong) as server:
        given = {"smtp_security": "starttls", "smtp_ca": "" if case == "private CA" else authority.pem}
        await write(pool, [1, 2, 3])
        async with replica(pool, server, **given):
            await tried(pool, 3)
        assert await states(pool) == dict.fromkeys([1, 2, 3], "waiting")
        server.stop()
        server.tls = authority.server()
        server.start()
        async with replica(pool, server, smtp_security="starttls", smtp_ca=authority.pem):
            await all_sent(pool, [1, 2, 3])

    for found in (await details(pool)).values():
        assert [result for result, _ in found] == ["waiting", "sent"]
        assert "CERTIFICATE_VERIFY_FAILED" in (found[0][1] or "")


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("EHLO", "550 5.7.1 helo name refused"),
        ("MAIL", "553 5.1.8 sender address rejected"),
        ("MAIL", "550 no such user"),
        ("RCPT", "554 5.7.1 relay access denied"),
        ("RCPT", "530 5.7.0 authentication required"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("RCPT", "503 5.5.1 bad sequence"),
        ("RCPT", "999 unknown"),
        ("DATA", "554 5.7.1 rejected for policy reasons"),
    ],
)
async def test_a_refusal_of_our_settings_drops_no_mail(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
    step: str,
    answer: str,
) -> None:
    mails.answers[step] = answer
    if step == "DATA":
        mails.answer = lambda raw: answer
    await write(pool, [1, 2])
    async with replica(pool, mails):
        await tried(pool, 3)
        assert await states(pool) == {1: "waiting", 2: "waiting"}
        mails.answers.clear()
        mails.answer = lambda raw: "250 kept"
        await pool.execute("UPDATE mail SET due = now()")
        await all_sent(pool, [1, 2])

    for found in (await details(pool)).values():
        assert [result for result, _ in found] == ["waiting", "sent"]
        assert answer in (found[0][1] or "")


async def test_a_different_answer_is_published_again_and_the_same_is_not(pool: Pool, mails: Sink) -> None:  # noqa: F811
    numbers = iter(range(1000))
    mails.answer = lambda raw: f"451 4.7.1 greylisted as <head@sales.example>, queue id {next(numbers)}"
    await write(pool, [1])
    async with replica(pool, mails):
        await tried(pool, 4)
        mails.answer = lambda raw: "452 4.2.2 mailbox full"
        await eventually(lambda: details(pool), lambda found: len(found[1]) == 2, 30)

    assert [answer.partition(" as")[0] for _, answer in (await details(pool))[1] if answer] == [
        "content: 451 4.7.1 greylisted",
        "content: 452 4.2.2 mailbox full",
    ]


async def test_the_log_has_each_different_answer_once(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
    logs: list[structlog.typing.EventDict],
) -> None:
    mails.answers["RCPT"] = "451 4.7.1 come later"
    await write(pool, [1, 2, 3])
    async with replica(pool, mails):
        await tried(pool, 9)
        mails.answers["RCPT"] = "554 5.7.1 relay access denied"
        await tried(pool, 15)

    told = [line["answer"] for line in logs if line["event"] == "mail waits"]
    assert told == ["RCPT TO: 451 4.7.1 come later", "RCPT TO: 554 5.7.1 relay access denied"]


async def test_when_the_server_is_down_every_waiting_mail_says_so_after_one_attempt(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
) -> None:
    mails.stop()
    await write(pool, range(1, 31))
    async with replica(pool, mails):
        found = await eventually(lambda: details(pool), lambda found: len(found) == 30)
        mails.start()
        await all_sent(pool, range(1, 31))

    assert all("Connect" in (results[0][1] or "") for results in found.values())


async def test_a_server_that_takes_nothing_is_told_from_a_mail_that_it_refuses(
    pool: Pool,  # noqa: F811
    mails: Sink,  # noqa: F811
) -> None:
    registry = CollectorRegistry()
    sender = sender_of(pool, mails, registry)
    task = asyncio.ensure_future(sender.run())

    async def failures() -> float | None:
        await sender.measure()
        return registry.get_sample_value("andon_notifier_server_failures")

    mails.answers["MAIL"] = "553 5.1.8 sender address rejected"
    await write(pool, [1])
    await tried(pool, 2)
    assert (await failures() or 0) >= 2
    mails.answers = {"RCPT": "552 5.2.2 mailbox full"}
    await tried(pool, 4)
    await eventually(failures, lambda found: found == 0, 30)

    task.cancel()
    await asyncio.wait([task])
